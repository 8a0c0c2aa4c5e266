"""The pages of moderation and of concepts, and reporting a word."""

import re

import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.infra.storage import Storage
from app.models import (
    Concept,
    Flag,
    Image,
    Label,
    Note,
    Player,
    Restriction,
    Round,
    Study,
    StudyClass,
)
from app.services import honesty, moderation, rounds
from app.web.deps import PLAYER_COOKIE
from tests.factories import make_account, make_player
from tests.web.conftest import sign_in


def answer(session: Session, player: Player, study: Study, *texts: str) -> Round:
    round_ = rounds.deal(session, player=player, study=study)
    assert round_ is not None
    class_id = session.scalars(
        select(StudyClass.id).where(StudyClass.study_id == study.id).order_by(StudyClass.position)
    ).first()
    assert class_id is not None
    return rounds.guess(session, round_id=round_.id, player=player, class_id=class_id, labels=texts)


@pytest.fixture
def flagged(session: Session, storage: Storage, study: Study, image: Image) -> Round:
    """Somebody's round that waits, with the labels "sail" and "damn"."""
    round_ = answer(session, make_player(session), study, "sail", "damn")
    session.query(Flag).delete()
    honesty.flag(session, round_, "burst", "over 20 rounds a minute")
    session.commit()
    return round_


@pytest.fixture
def moderator(session: Session, client: TestClient) -> TestClient:
    sign_in(session, client, make_account(session, "anna", role="admin"))
    return client


def hidden(session: Session) -> list[str]:
    return list(
        session.scalars(select(Label.text).where(Label.hidden_at.is_not(None)).order_by(Label.id))
    )


def undo_last(client: TestClient, study: Study) -> None:
    page = client.get(f"/studio/{study.slug}/moderation").text
    found = re.search(r'name="entry_id" value="(\d+)"', page)
    assert found is not None
    answer = client.post(f"/studio/{study.slug}/moderation/undo", data={"entry_id": found.group(1)})
    assert answer.status_code == 303


def test_the_queue_tells_reason_labels_and_record(
    moderator: TestClient, study: Study, flagged: Round
) -> None:
    page = moderator.get(f"/studio/{study.slug}/moderation").text
    for words in ("very many rounds", "over 20 rounds a minute", "sail", "damn", "1 round,"):
        assert words in page


def test_ticked_labels_are_hidden_and_come_back(
    session: Session, moderator: TestClient, study: Study, flagged: Round
) -> None:
    damn = session.scalars(select(Label.id).where(Label.text == "damn")).one()
    address = f"/studio/{study.slug}/moderation"
    moderator.post(address, data={"act": "hide", "label_id": damn, "why": "a curse"})
    session.expire_all()
    assert hidden(session) == ["damn"]
    page = moderator.get(address).text
    assert "a curse" in page
    assert "Nothing waits" in page
    undo_last(moderator, study)
    session.expire_all()
    assert hidden(session) == []
    assert "1 round waits" in moderator.get(address).text


def test_a_ticked_round_stands_for_its_labels_and_its_player(
    session: Session, moderator: TestClient, study: Study, flagged: Round
) -> None:
    address = f"/studio/{study.slug}/moderation"
    moderator.post(address, data={"act": "hide", "round_id": flagged.id})
    assert hidden(session) == ["sail", "damn"]
    sent = moderator.post(address, data={"act": "banned", "round_id": flagged.id})
    assert sent.status_code == 303, sent.text
    assert session.scalars(select(Restriction.player_id)).all() == [flagged.player_id]
    assert "Restricted players" in moderator.get(address).text


@pytest.mark.parametrize(
    ("form", "status"),
    [
        ({"act": "hide"}, 422),
        ({"act": "burn"}, 422),
        ({"act": "banned", "round_id": "00000000-0000-0000-0000-000000000000"}, 422),
        ({"act": "hide", "label_id": "999999"}, 404),
    ],
)
def test_what_cannot_be_done_is_refused(
    session: Session,
    moderator: TestClient,
    study: Study,
    flagged: Round,
    form: dict[str, str],
    status: int,
) -> None:
    answer = moderator.post(f"/studio/{study.slug}/moderation", data=form)
    assert answer.status_code == status
    assert hidden(session) == []


def test_a_banned_player_gets_a_kind_page(
    session: Session, client: TestClient, study: Study, image: Image, player: Player
) -> None:
    answer(session, player, study, "sail")
    session.add(
        Restriction(study_id=study.id, player_id=player.id, kind="banned", since=image.created_at)
    )
    session.commit()
    page = client.get(f"/play/{study.slug}")
    assert page.status_code == 403
    assert "Other games are open to you" in page.text


def test_a_player_reports_a_word_they_see(
    session: Session, client: TestClient, study: Study, flagged: Round, player: Player
) -> None:
    mine = rounds.deal(session, player=player, study=study)
    assert mine is not None
    # As if the other round had been about the same map.
    for label in session.scalars(select(Label).where(Label.round_id == flagged.id)):
        label.cluster_map_id = mine.cluster_map_id
    session.flush()
    rounds.resign(session, round_id=mine.id, player=player)
    session.commit()
    assert "Report a word" in client.get(f"/rounds/{mine.id}").text
    sent = client.post(f"/rounds/{mine.id}/report", data={"text": "damn"})
    assert "Thank you" in client.get(sent.headers["location"]).text
    reasons = session.scalars(select(Flag.reason).where(Flag.round_id == flagged.id)).all()
    assert set(reasons) == {"burst", "reported"}


def test_a_reported_word_with_a_zero_character_is_refused(
    session: Session, client: TestClient, study: Study, flagged: Round, player: Player
) -> None:
    mine = answer(session, player, study)
    session.execute(update(Label).values(cluster_map_id=mine.cluster_map_id))
    session.commit()
    sent = client.post(f"/rounds/{mine.id}/report", data={"text": "damn\0"})
    assert sent.status_code == 422


def test_reports_are_limited(
    session: Session, client: TestClient, study: Study, flagged: Round, player: Player
) -> None:
    mine = answer(session, player, study)
    session.commit()
    sent = [client.post(f"/rounds/{mine.id}/report", data={"text": "x"}) for _ in range(11)]
    assert sent[9].status_code == 404
    assert sent[10].status_code == 429


class TestConcepts:
    @pytest.fixture
    def address(self, session: Session, study: Study, flagged: Round) -> str:
        class_id = session.scalars(select(StudyClass.id).order_by(StudyClass.position)).first()
        for name in ("sail", "damn"):
            concept = Concept(class_id=class_id, name=name)
            session.add(concept)
            session.flush()
            session.scalars(select(Label).where(Label.text == name)).one().concept_id = concept.id
        session.commit()
        return f"/studio/{study.slug}/concepts-of/{class_id}"

    def ids(self, session: Session) -> list[int]:
        return list(session.scalars(select(Concept.id).order_by(Concept.id)))

    def test_ticked_concepts_become_one_and_two_again(
        self, session: Session, moderator: TestClient, study: Study, address: str
    ) -> None:
        sail, damn = self.ids(session)
        form = {"act": "merge", "concept_id": [str(sail), str(damn)]}
        assert moderator.post(address, data=form).status_code == 303
        session.expire_all()
        assert set(session.scalars(select(Label.concept_id))) == {sail}
        assert "decided: later runs keep it" in moderator.get(address).text
        undo_last(moderator, study)
        session.expire_all()
        assert set(session.scalars(select(Label.concept_id))) == {sail, damn}

    def test_labels_are_split_off(
        self, session: Session, moderator: TestClient, address: str
    ) -> None:
        sail, damn = self.ids(session)
        moderator.post(address, data={"act": "merge", "concept_id": [sail, damn]})
        form = {"act": "split", "label": f"{sail}:damn", "name": "curse"}
        moderator.post(address, data=form)
        session.expire_all()
        label = session.scalars(select(Label).where(Label.text == "damn")).one()
        assert session.get_one(Concept, label.concept_id).name == "curse"

    def test_rename_junk_and_bias(
        self, session: Session, moderator: TestClient, address: str
    ) -> None:
        sail, damn = self.ids(session)
        moderator.post(address, data={"act": "rename", "concept_id": sail, "name": "canvas"})
        moderator.post(address, data={"act": "bias", "concept_id": sail})
        moderator.post(address, data={"act": "junk", "concept_id": damn})
        session.expire_all()
        one, other = session.get_one(Concept, sail), session.get_one(Concept, damn)
        assert (one.name, one.is_part, other.is_junk) == ("canvas", False, True)

    @pytest.mark.parametrize(
        ("form", "status"),
        [
            ({"act": "merge"}, 422),
            ({"act": "split", "label": "x:damn", "name": "curse"}, 422),
            ({"act": "junk", "concept_id": "999999"}, 404),
        ],
    )
    def test_what_cannot_be_done_is_refused(
        self, moderator: TestClient, address: str, form: dict[str, str], status: int
    ) -> None:
        assert moderator.post(address, data=form).status_code == status


def test_the_guest_cookie_is_what_players_report_by(client: TestClient, flagged: Round) -> None:
    client.cookies.delete(PLAYER_COOKIE)
    sent = client.post(f"/rounds/{flagged.id}/report", data={"text": "damn"})
    assert sent.status_code == 404


def test_a_note_is_shown_with_the_next_round_until_it_is_read(
    session: Session, client: TestClient, player: Player, study: Study, image: Image
) -> None:
    answer(session, player, study, "damn")
    moderation.warn(session, study, player_ids=[player.id], words="Please look.")
    session.commit()
    page = client.get(f"/play/{study.slug}")
    assert "Please look." in page.text
    address = re.search(r'action="(/play/[^"]+/read)"', page.text)
    assert address is not None
    assert client.post(address[1]).headers["location"] == f"/play/{study.slug}"
    assert "Please look." not in client.get(f"/play/{study.slug}").text


def test_players_are_warned_from_the_queue(
    session: Session, moderator: TestClient, study: Study, flagged: Round
) -> None:
    address = f"/studio/{study.slug}/moderation"
    moderator.post(address, data={"act": "warn", "round_id": str(flagged.id), "note": "Look!"})
    assert session.scalars(select(Note.words)).all() == ["Look!"]
    undo_last(moderator, study)
    assert session.scalars(select(Note.words)).all() == []
