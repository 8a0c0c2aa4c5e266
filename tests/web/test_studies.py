"""The studio: who gets in, what it shows, what its button asks for."""

import pytest
from sqlalchemy import Engine, event
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.infra.storage import Storage
from app.models import Image, Study
from app.services import access, practice, rounds
from app.services.access import Level
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
        assert "every 2s" not in answer.text

    def test_opened_by_itself_it_leads_to_the_study(
        self, researcher: TestClient, study: Study
    ) -> None:
        answer = researcher.get(f"/studio/{study.slug}/progress")
        assert answer.headers["location"] == f"/studio/{study.slug}"
