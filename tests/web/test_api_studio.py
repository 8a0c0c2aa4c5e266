"""The JSON API beyond the game: studies, explanations, concepts, moderation, exports."""

from dataclasses import dataclass

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.infra.storage import Storage
from app.models import Account, AuditEntry, Concept, Export, Image, Label, Study, StudyDraft
from app.services import export_jobs, rounds, tokens
from tests.factories import make_account, make_image, make_network, make_player, make_study
from tests.web.conftest import Sent
from tests.web.test_api import API, is_problem


@dataclass
class Owned:
    study: Study
    owner: Account
    address: str


@pytest.fixture
def owned(session: Session, client: TestClient) -> Owned:
    """A study of somebody's, and the client with a token of theirs for everything."""
    owner = make_account(session, role="researcher")
    study = make_study(session, owner=owner)
    _, token = tokens.create(session, owner, name="all", scopes=set(tokens.SCOPES), days=1)
    session.commit()
    client.headers["Authorization"] = f"Bearer {token}"
    return Owned(study, owner, f"{API}/studies/{study.slug}")


def pages(client: TestClient, address: str, limit: int, **query: str) -> list[list[dict]]:
    """Every page of a list."""
    found, cursor = [], None
    while True:
        at = {"cursor": cursor} if cursor else {}
        answer = client.get(address, params={"limit": limit, **query, **at}).json()
        found.append(answer["items"])
        cursor = answer["next"]
        if cursor is None:
            return found


def type_labels(session: Session, study: Study, *texts: str) -> list[Label]:
    """Each text as a label of a player of its own, who guesses wrong."""
    wrong_id = study.classes[1].id
    for text in texts:
        round_ = rounds.deal(session, player=(player := make_player(session)), study=study)
        assert round_ is not None
        rounds.guess(session, round_id=round_.id, player=player, class_id=wrong_id, labels=[text])
    return list(session.scalars(select(Label).order_by(Label.id)))


class TestStudies:
    def test_pages_hold_everything_once(
        self, session: Session, client: TestClient, owned: Owned
    ) -> None:
        mine = [owned.study.slug, *(make_study(session, owner=owned.owner).slug for _ in range(4))]
        make_study(session)  # somebody else's
        session.commit()
        found = pages(client, f"{API}/studies", 2)
        assert [len(one) for one in found] == [2, 2, 1]
        assert sorted(study["slug"] for one in found for study in one) == sorted(mine)

    @pytest.mark.parametrize("cursor", ["x", "!!", "WyJhIl0", "W10", "e30", "é"])
    def test_a_made_up_cursor_is_a_problem(
        self, client: TestClient, owned: Owned, cursor: str
    ) -> None:
        assert is_problem(client.get(f"{API}/studies", params={"cursor": cursor}), 422)

    def test_a_game_is_paused_and_closed(
        self, session: Session, client: TestClient, owned: Owned
    ) -> None:
        for status in ("paused", "closed"):
            answer = client.put(f"{owned.address}/status", json={"status": status})
            session.refresh(owned.study)
            assert answer.json()["status"] == owned.study.status == status
        assert is_problem(client.put(f"{owned.address}/status", json={"status": "paused"}), 409)

    def test_a_picture_with_its_explanation(
        self, session: Session, storage: Storage, client: TestClient, owned: Owned
    ) -> None:
        image = make_image(session, storage, owned.study)
        session.add(
            Image(
                study_id=owned.study.id,
                class_id=image.class_id,
                file_name="new.png",
                sha256="0" * 64,
                original_key="originals/new",
            )
        )
        session.commit()
        assert [len(one) for one in pages(client, f"{owned.address}/images", 1)] == [1, 1]
        (found,) = pages(client, f"{owned.address}/images", 5, status="done")[0]
        assert (found["id"], found["said"]) == (str(image.id), "boat")
        assert client.get(f"{API}/images/{image.id}").json() == found
        assert client.get(f"{API}/images/{image.id}/view.jpg").content[:2] == b"\xff\xd8"
        local = client.get(f"{API}/images/{image.id}/explanation").json()
        assert (local["class"], len(local["layers"])) == ("boat", 2)
        of_class = client.get(f"{owned.address}/classes/{image.class_id}/explanation").json()
        assert (of_class["class"], of_class["pictures"]) == ("boat", 1)


def test_a_study_is_begun(session: Session, client: TestClient, owned: Owned, sent: Sent) -> None:
    network = make_network(session)
    session.commit()
    source = client.get(f"{API}/networks", params={"limit": 1}).json()["items"][0]["source"]
    assert source == f"registered:{network.id}"
    made = client.post(f"{API}/drafts", json={"name": "From a program", "network": source}).json()
    address = f"{API}/drafts/{made['id']}"
    came_in = client.post(
        f"{address}/pictures",
        data={"class_name": "boat"},
        files=[("files", ("a.png", b"no picture", "image/png"))],
    )
    assert (came_in.status_code, came_in.json()["n_files"]) == (202, 1)
    assert client.get(address).json()["n_waiting"] == 1
    assert [job.name for job in sent.jobs] == ["drafts.read_network", "drafts.take_in"]
    assert is_problem(client.post(f"{address}/finish"), 409)
    assert client.delete(address).status_code == 204
    assert session.scalars(select(StudyDraft)).all() == []


class TestModerating:
    def test_concepts_are_merged_and_it_is_taken_back(
        self, session: Session, storage: Storage, client: TestClient, owned: Owned
    ) -> None:
        class_id = make_image(session, storage, owned.study).class_id
        sail, mast = (Concept(class_id=class_id, name=name) for name in ("sail", "mast"))
        session.add_all([sail, mast])
        labels = type_labels(session, owned.study, "sail", "mast")
        labels[0].concept, labels[1].concept = sail, mast
        session.commit()
        address = f"{owned.address}/classes/{class_id}/concepts"
        assert [one["name"] for one in pages(client, address, 5)[0]] == ["sail", "mast"]
        act = client.post(f"{address}/{mast.id}/merge", json={"into_id": sail.id}).json()
        assert (act["act"], act["actor"]) == ("concept.merge", owned.owner.name)
        (left,) = pages(client, address, 5)[0]
        assert (left["name"], left["n_labels"]) == ("sail", 2)
        undo = f"{owned.address}/moderation/acts/{act['id']}/undo"
        assert client.post(undo).json()["act"] == "undo"
        assert is_problem(client.post(undo), 409)
        assert len(pages(client, address, 5)[0]) == 2

    def test_a_concept_of_another_class_is_not_there(
        self, session: Session, client: TestClient, owned: Owned
    ) -> None:
        here, there = owned.study.classes
        concept = Concept(class_id=there.id, name="tail")
        session.add(concept)
        session.commit()
        address = f"{owned.address}/classes/{here.id}/concepts/{concept.id}"
        assert is_problem(client.put(f"{address}/name", json={"name": "kite"}), 404)
        assert concept.name == "tail"

    def test_a_case_is_worked_off(
        self, session: Session, storage: Storage, client: TestClient, owned: Owned
    ) -> None:
        make_image(session, storage, owned.study)
        labels = type_labels(session, owned.study, "sail", "mast")
        session.commit()
        address = f"{owned.address}/moderation"
        cases = [case for one in pages(client, f"{address}/cases", 1) for case in one]
        assert [case["labels"][0]["text"] for case in cases] == ["mast", "sail"]
        assert cases[0]["reasons"][0]["reason"] == "too fast"
        hide = {"label_ids": [labels[0].id], "why": "a test"}
        assert client.post(f"{address}/hide", json=hide).json()["why"] == "a test"
        session.refresh(labels[0])
        assert labels[0].hidden_at is not None
        player_id = cases[0]["player"]["id"]
        restrict = {"player_ids": [player_id], "kind": "banned"}
        client.post(f"{address}/restrict", json=restrict)
        assert client.get(f"{address}/cases").json() == {"items": [], "next": None}
        assert [act["act"] for act in client.get(f"{address}/acts").json()] == [
            "player.banned",
            "label.hide",
        ]


def test_data_is_taken_out(
    session: Session, storage: Storage, client: TestClient, owned: Owned, sent: Sent
) -> None:
    address = f"{owned.address}/exports"
    asked = client.post(address, json={"file_format": "csv", "classes": ["boat"]})
    assert asked.status_code == 202
    export = session.scalars(select(Export)).one()
    assert (sent.jobs[-1].name, asked.json()["status"]) == ("exports.write", "waiting")
    assert is_problem(client.get(f"{address}/{export.id}/file"), 409)
    export.status = "running"
    storage.put("exports/x.csv", b"label\n")
    export_jobs.finish(session, storage, export.id, file_key="exports/x.csv", file_name="x.csv")
    session.expire_all()
    assert client.get(f"{address}/{export.id}").json()["size_bytes"] == 6
    assert client.get(f"{address}/{export.id}/file").content == b"label\n"
    assert is_problem(client.post(address, json={"classes": ["bicycle"]}), 422)
    assert session.scalars(select(AuditEntry.actor)).all()[-1] == owned.owner.name
    client.post(f"{owned.address}/snapshots", json={"licence": "cc0-1.0"})
    assert sent.jobs[-1].arguments == {"study_slug": owned.study.slug, "licence": "cc0-1.0"}
