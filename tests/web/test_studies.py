"""The studio: who gets in, what it shows, what its button asks for."""

import re
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from fastapi import FastAPI
from sqlalchemy import Engine, event, select
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.infra.storage import Storage
from app.models import Image, Player, Round, Study
from app.services import access, overview, practice, rounds, studies
from app.services.access import Level
from app.services.signs import AtWork
from app.web import studies as studies_pages
from app.web.deps import SIGN_IN_COOKIE
from tests.factories import make_account, make_image, make_player, make_study, maps_of
from tests.web.conftest import Sent, sign_in
from tests.web.reading import part, text_of


class TestGettingIn:
    def test_a_visitor_is_sent_to_sign_in_and_comes_back(self, client: TestClient) -> None:
        page = client.get("/studio?x=1")
        assert page.headers["location"] == "/sign-in?next=%2Fstudio%3Fx%3D1"

    def test_a_player_is_told_why_not(self, client: TestClient, session: Session) -> None:
        sign_in(session, client, make_account(session))
        page = client.get("/studio")
        assert page.status_code == 403
        assert "would spoil the game for players" in text_of(page.text)

    def test_a_viewer_cannot_ask_for_concepts(
        self, client: TestClient, session: Session, study: Study, sent: Sent
    ) -> None:
        viewer = make_account(session)
        access.set_member(session, study, name=viewer.name, role="viewer")
        sign_in(session, client, viewer)
        page = client.get(f"/studio/{study.slug}")
        assert "Make concepts now" not in page.text
        assert client.post(f"/studio/{study.slug}/concepts").status_code == 403
        assert sent.jobs == []

    def test_a_researcher_sees_own_and_shared_studies(
        self, client: TestClient, session: Session, study: Study
    ) -> None:
        ada = make_account(session, role="researcher")
        make_study(session, name="Her own", owner=ada)
        sign_in(session, client, ada)
        said = text_of(client.get("/studio").text)
        assert "Her own" in said
        assert "Boats and kites" not in said
        access.set_member(session, study, name=ada.name, role="viewer")
        session.commit()
        assert "Boats and kites" in text_of(client.get("/studio").text)


class TestMembers:
    @pytest.fixture
    def owned(self, client: TestClient, session: Session) -> Study:
        """A study of the client's."""
        ada = make_account(session, "Ada", role="researcher")
        study = make_study(session, owner=ada)
        sign_in(session, client, ada)
        return study

    def test_an_owner_shares_a_study_and_takes_it_back(
        self, client: TestClient, session: Session, owned: Study
    ) -> None:
        ben = make_account(session, "Ben")
        address = f"/studio/{owned.slug}/members"
        answer = client.post(address, data={"name": "ben", "role": "moderator"})
        assert answer.headers["location"] == address
        assert access.level(session, ben, study_id=owned.id) == Level.MODERATE
        assert "Ben moderator" in text_of(client.get(address).text)
        client.post(f"{address}/{ben.id}/remove")
        assert access.level(session, ben, study_id=owned.id) == Level.NONE

    def test_a_name_that_nobody_has_is_said_and_kept(
        self, client: TestClient, owned: Study
    ) -> None:
        page = client.post(
            f"/studio/{owned.slug}/members", data={"name": "nobody", "role": "viewer"}
        )
        assert page.status_code == 404
        assert "There is no account named “nobody”." in text_of(page.text)
        assert 'value="nobody"' in page.text

    def test_a_role_that_there_is_not_is_refused(self, client: TestClient, owned: Study) -> None:
        answer = client.post(
            f"/studio/{owned.slug}/members", data={"name": "Ada", "role": "emperor"}
        )
        assert answer.status_code == 422


class TestStudies:
    def test_each_study_is_listed_with_its_number_of_pictures(
        self, researcher: TestClient, study: Study, image: Image
    ) -> None:
        said = text_of(researcher.get("/studio").text)
        assert "Boats and kites" in said
        assert "1 picture ·" in said

    def test_with_none_it_says_how_to_make_one(self, researcher: TestClient) -> None:
        assert "layerplay study create" in researcher.get("/studio").text

    def test_a_study_shows_its_pictures_with_links_to_their_explanations(
        self, researcher: TestClient, study: Study, image: Image
    ) -> None:
        page = researcher.get(f"/studio/{study.slug}").text
        assert f'href="/explanations/{image.id}"' in page
        assert f'src="/images/{image.id}/view.jpg"' in page
        assert "All pictures are computed" in page

    def test_one_that_does_not_exist_is_a_404(self, researcher: TestClient) -> None:
        assert researcher.get("/studio/nowhere").status_code == 404

    def test_the_number_of_queries_does_not_grow_with_the_studies(
        self, researcher: TestClient, session: Session, storage: Storage, worker_engine: Engine
    ) -> None:
        def n_queries(address: str) -> int:
            seen: list[str] = []

            def count(_c: object, _u: object, statement: str, *_: object) -> None:
                if statement.startswith("SELECT"):
                    seen.append(statement)

            event.listen(worker_engine, "before_cursor_execute", count)
            assert researcher.get(address).status_code == 200
            event.remove(worker_engine, "before_cursor_execute", count)
            return len(seen)

        study = make_study(session)
        make_image(session, storage, study)
        session.commit()
        addresses = ("/studio", f"/studio/{study.slug}", "/")
        before = [n_queries(address) for address in addresses]
        for _ in range(3):
            make_study(session)
            make_image(session, storage, study)
        session.commit()
        assert [n_queries(address) for address in addresses] == before
        assert min(before) > 0

    def test_the_button_asks_for_the_concepts_of_every_class(
        self, researcher: TestClient, study: Study, sent: Sent
    ) -> None:
        answer = researcher.post(f"/studio/{study.slug}/concepts")
        assert answer.status_code == 303
        assert [job.name for job in sent.jobs] == ["labels.group_class"] * 2
        assert {job.arguments["class_id"] for job in sent.jobs} == {c.id for c in study.classes}
        assert "Asked for." in text_of(researcher.get(answer.headers["location"]).text)

    def test_practice_rounds_are_counted_apart(
        self, researcher: TestClient, session: Session, study: Study, image: Image
    ) -> None:
        for cluster_map in maps_of(session, image):
            practice.store_known_answer(
                session,
                cluster_map_id=cluster_map.id,
                region="sail",
                words=["sail"],
                energy_share=0.8,
            )
        player = make_player(session)
        round_ = rounds.deal(session, player=player, study=study)
        assert round_ is not None
        rounds.resign(session, round_id=round_.id, player=player)
        session.commit()
        said = text_of(researcher.get(f"/studio/{study.slug}").text)
        assert "Rounds played 0 Labels typed 0 Concepts found 0 Practice rounds 1" in said

    def test_of_a_class_with_very_many_pictures_the_first_are_shown_and_all_are_a_click_away(
        self,
        researcher: TestClient,
        session: Session,
        storage: Storage,
        study: Study,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(studies_pages, "_PICTURES_OF_A_CLASS", 2)
        for class_name in ("boat", "boat", "boat", "kite"):
            make_image(session, storage, study, class_name=class_name)
        session.commit()
        page = researcher.get(f"/studio/{study.slug}").text
        assert len(re.findall(r"/images/[^/]+/view.jpg", page)) == 3
        assert "boat 3 pictures" in text_of(page)
        (every,) = re.findall(rf'href="(/studio/{study.slug}\?of=\d+)#gallery-title">All 3', page)
        page = researcher.get(every).text
        assert len(re.findall(r"/images/[^/]+/view.jpg", page)) == 3
        assert "kite 1 picture" not in text_of(page)
        assert "Pictures of every class" in page

    def test_a_class_that_the_study_does_not_have_is_not_found(
        self, researcher: TestClient, study: Study
    ) -> None:
        page = researcher.get(f"/studio/{study.slug}?of={2**63 - 1}")
        assert page.status_code == 404
        assert "This study has no such class." in text_of(page.text)

    def test_very_many_labels_are_said_to_be_more_than_were_counted(
        self,
        researcher: TestClient,
        session: Session,
        study: Study,
        image: Image,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(overview, "MOST_COUNTED", 1)
        player = make_player(session)
        round_ = rounds.deal(session, player=player, study=study)
        assert round_ is not None
        rounds.guess(
            session,
            round_id=round_.id,
            player=player,
            class_id=image.class_id,
            labels=["sail", "mast"],
        )
        session.commit()
        said = text_of(researcher.get(f"/studio/{study.slug}").text)
        assert "Rounds played 1 Labels typed over 1 Concepts found 0" in said

    def test_a_picture_is_shown_as_the_network_saw_it(
        self, researcher: TestClient, storage: Storage, image: Image
    ) -> None:
        answer = researcher.get(f"/images/{image.id}/view.jpg")
        assert image.view_key is not None
        assert answer.content == storage.get(image.view_key)

    def test_a_picture_that_is_not_computed_has_no_view(
        self, researcher: TestClient, session: Session, study: Study
    ) -> None:
        pending = make_pending(session, study)
        assert researcher.get(f"/images/{pending.id}/view.jpg").status_code == 404


def make_pending(session: Session, study: Study, *, failure: str | None = None) -> Image:
    image = Image(
        study_id=study.id,
        class_id=study.classes[0].id,
        file_name="broken.jpg" if failure else "waiting.jpg",
        sha256=("f" if failure else "e") * 64,
        original_key="originals/x",
        status="failed" if failure else "pending",
        failure=failure,
    )
    session.add(image)
    session.commit()
    return image


class TestProgress:
    @pytest.fixture
    def computing(self, session: Session, storage: Storage) -> Study:
        study = make_study(session, name="Slow", status="computing")
        make_image(session, storage, study)
        make_pending(session, study)
        make_pending(session, study, failure="It is cut short.")
        return study

    def test_it_names_what_is_done_and_refused_and_asks_again(
        self, researcher: TestClient, computing: Study
    ) -> None:
        page = researcher.get(f"/studio/{computing.slug}").text
        said = text_of(page)
        assert "1 of 3 pictures done, 1 failed, 1 waiting" in page
        assert "broken.jpg : It is cut short." in said
        assert 'hx-trigger="sign from:#signs, every 4s"' in page

    def test_the_part_is_the_one_in_the_page(
        self, researcher: TestClient, computing: Study
    ) -> None:
        address = f"/studio/{computing.slug}"
        answer = researcher.get(f"{address}/progress", headers={"HX-Request": "true"})
        assert part(answer.text, "progress")
        assert part(answer.text, "progress") == part(researcher.get(address).text, "progress")

    def test_when_all_is_done_it_stops_asking_and_loads_the_page_anew(
        self, researcher: TestClient, study: Study, image: Image
    ) -> None:
        address = f"/studio/{study.slug}/progress"
        answer = researcher.get(address, headers={"HX-Request": "true"})
        assert answer.headers["HX-Refresh"] == "true"
        assert "every 4s" not in answer.text

    def test_opened_by_itself_it_leads_to_the_study(
        self, researcher: TestClient, study: Study
    ) -> None:
        answer = researcher.get(f"/studio/{study.slug}/progress")
        assert answer.headers["location"] == f"/studio/{study.slug}"

    def test_pictures_at_hand_are_shown_with_their_layers(
        self, researcher: TestClient, app: FastAPI, computing: Study
    ) -> None:
        image_id = uuid4()
        at = AtWork("kite-7.png", 1, 2, datetime.now(UTC))
        app.state.signs.give(computing.id, image_id, at)
        said = text_of(researcher.get(f"/studio/{computing.slug}").text)
        assert "kite-7.png 1 of 2 just now" in said
        app.state.signs.take_away(computing.id, image_id)
        assert "kite-7.png" not in researcher.get(f"/studio/{computing.slug}").text

    def test_a_long_silence_is_said_and_no_time_is_foretold(
        self, researcher: TestClient, session: Session, computing: Study
    ) -> None:
        computing.computing_since = datetime.now(UTC) - timedelta(minutes=5)
        session.commit()
        said = text_of(researcher.get(f"/studio/{computing.slug}").text)
        assert "Nothing is being computed" in said
        assert "For 5 minutes no worker has given a sign." in said
        assert "Time left, about –" in said

    def test_it_can_be_stopped_and_taken_up_again(
        self, researcher: TestClient, session: Session, computing: Study, sent: Sent
    ) -> None:
        address = f"/studio/{computing.slug}/computing"
        assert researcher.post(address, data={"to": "stop"}).status_code == 303
        assert "Computing is stopped" in text_of(researcher.get(f"/studio/{computing.slug}").text)
        assert sent.jobs == []
        researcher.post(address, data={"to": "retry"})
        assert [job.name for job in sent.jobs] == ["explanations.ask"]
        session.expire_all()
        progress = studies.progress(session, studies.get(session, computing.slug))
        assert (progress.is_stopped, progress.n_waiting, progress.n_failed) == (False, 2, 0)

    def test_any_other_wish_is_refused(self, researcher: TestClient, computing: Study) -> None:
        answer = researcher.post(f"/studio/{computing.slug}/computing", data={"to": "fly"})
        assert answer.status_code == 422


class TestGame:
    def test_a_paused_game_deals_no_round_and_says_so(
        self, researcher: TestClient, session: Session, study: Study, image: Image
    ) -> None:
        researcher.post(f"/studio/{study.slug}/status", data={"status": "paused"})
        answer = researcher.get(f"/play/{study.slug}")
        assert answer.status_code == 409
        assert "takes a break" in text_of(answer.text)
        researcher.post(f"/studio/{study.slug}/status", data={"status": "open"})
        assert researcher.get(f"/play/{study.slug}").status_code == 200

    def test_a_round_at_hand_may_be_finished_when_the_game_is_closed(
        self, researcher: TestClient, session: Session, study: Study, image: Image, player: Player
    ) -> None:
        assert "What is this?" in researcher.get(f"/play/{study.slug}").text
        researcher.post(f"/studio/{study.slug}/status", data={"status": "closed"})
        assert "What is this?" in researcher.get(f"/play/{study.slug}").text
        round_ = session.scalars(select(Round)).one()
        form = {"class_id": str(study.classes[0].id)}
        assert researcher.post(f"/rounds/{round_.id}/guess", data=form).status_code == 303
        assert "This game is over" in text_of(researcher.get(f"/play/{study.slug}").text)

    def test_a_game_without_a_computed_picture_cannot_be_opened(
        self, researcher: TestClient, session: Session
    ) -> None:
        study = make_study(session, name="Empty", status="computing")
        session.commit()
        answer = researcher.post(f"/studio/{study.slug}/status", data={"status": "open"})
        assert answer.status_code == 409

    def test_an_unlisted_game_lets_in_by_its_link_alone(
        self, client: TestClient, session: Session, study: Study, image: Image
    ) -> None:
        study.visibility = "unlisted"
        session.commit()
        assert study.name not in client.get("/").text
        assert client.get(f"/play/{study.slug}").status_code == 404
        joined = client.get(f"/join/{study.invite_token}")
        assert joined.headers["location"] == f"/play/{study.slug}"
        assert client.get(f"/play/{study.slug}").status_code == 200
        assert client.get(f"/join/{study.invite_token}").status_code == 303

    def test_a_new_link_shuts_the_old_one_but_not_those_who_are_in(
        self,
        client: TestClient,
        session: Session,
        study: Study,
        image: Image,
    ) -> None:
        study.visibility = "unlisted"
        session.commit()
        old = study.invite_token
        client.get(f"/join/{old}")
        sign_in(session, client, make_account(session, role="admin"))
        client.post(f"/studio/{study.slug}/invitation")
        client.cookies.delete(SIGN_IN_COOKIE)
        assert client.get(f"/join/{old}").status_code == 404
        assert client.get(f"/play/{study.slug}").status_code == 200

    def test_a_private_game_is_for_the_studio_alone(
        self, client: TestClient, session: Session, study: Study, image: Image
    ) -> None:
        study.visibility = "private"
        session.commit()
        assert client.get(f"/join/{study.invite_token}").status_code == 404
        assert client.get(f"/play/{study.slug}").status_code == 404
        sign_in(session, client, make_account(session, role="admin"))
        assert client.get(f"/play/{study.slug}").status_code == 200


class TestOverview:
    def test_each_chart_has_a_title_units_a_table_and_a_download(
        self, researcher: TestClient, study: Study, image: Image
    ) -> None:
        page = researcher.get(f"/studio/{study.slug}/overview").text
        for key in ("rounds", "players", "coverage", "agreement", "concepts"):
            chart = part(page, f"chart-{key}")
            for piece in ("<h2", "Up: ", "Across: ", "As a table", f"overview/{key}.csv"):
                assert piece in chart
            answer = researcher.get(f"/studio/{study.slug}/overview/{key}.csv")
            assert answer.headers["content-type"].startswith("text/csv")
            assert len(answer.text.splitlines()) > 1

    def test_a_download_says_what_the_chart_does(
        self, researcher: TestClient, session: Session, study: Study, image: Image
    ) -> None:
        study.n_wanted = 2
        session.commit()
        answer = researcher.get(f"/studio/{study.slug}/overview/coverage.csv")
        assert answer.text.splitlines() == ["rounds finished,maps", "0,2", "1,0", "2+,0"]

    def test_there_is_no_other_download(self, researcher: TestClient, study: Study) -> None:
        assert researcher.get(f"/studio/{study.slug}/overview/secrets.csv").status_code == 404

    def test_the_part_is_the_one_in_the_page(self, researcher: TestClient, study: Study) -> None:
        address = f"/studio/{study.slug}/overview"
        alone = researcher.get(address, headers={"HX-Request": "true"}).text
        assert part(alone, "overview") == part(researcher.get(address).text, "overview") != ""

    def test_answers_that_could_not_be_stored_are_an_alarm(
        self,
        researcher: TestClient,
        player: Player,
        study: Study,
        image: Image,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        def fail(*_: object, **__: object) -> None:
            raise OSError("the disk is full")

        researcher.get(f"/play/{study.slug}")
        address = f"/studio/{study.slug}/overview"
        assert "Answers are being lost" not in researcher.get(address).text
        with monkeypatch.context() as patch:
            patch.setattr(rounds, "guess", fail)
            answer = researcher.post(f"/rounds/{uuid4()}/guess", data={"class_id": "1"})
        assert answer.status_code == 500
        said = text_of(researcher.get(address).text)
        assert "Answers are being lost. 1 answer of the last half hour" in said
