"""The game as a browser meets it."""

import io
import re
from uuid import uuid4

import numpy as np
import pytest
from PIL import Image as Picture
from scipy.ndimage import maximum_filter
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app import rules
from app.explain.render import reveal_mask
from app.infra.storage import Storage
from app.models import ClusterMap, Image, Label, Player, PointsEntry, Round, Study
from app.services import practice, rounds
from app.web.deps import PLAYER_COOKIE
from tests.factories import make_image, make_player, make_study, maps_of, spot_map
from tests.web.conftest import Sent
from tests.web.reading import part, text_of

HTMX = {"HX-Request": "true"}


def stored(session: Session, round_: Round) -> Round:
    session.expire_all()
    return session.get_one(Round, round_.id)


def class_id(study: Study, name: str) -> int:
    return next(c.id for c in study.classes if c.name == name)


def n_rows(session: Session, model: type[Label | PointsEntry | Player | Round]) -> int:
    return session.scalar(select(func.count()).select_from(model)) or 0


def test_looking_for_a_partner_leads_to_the_round_that_comes_first(
    client: TestClient, study: Study, round_: Round
) -> None:
    page = client.post(f"/play/{study.slug}/live", follow_redirects=True)
    assert page.status_code == 200
    assert f"/rounds/{round_.id}/guess" in page.text
    assert "finish it, then look for a partner" in page.text


class TestArriving:
    def test_the_start_page_offers_the_open_games(self, client: TestClient, study: Study) -> None:
        page = client.get("/")
        assert page.status_code == 200
        assert f'href="/play/{study.slug}"' in page.text

    def test_without_an_open_game_the_start_page_says_so(
        self, client: TestClient, session: Session
    ) -> None:
        make_study(session, status="computing")
        session.commit()
        assert "No game is open right now." in text_of(client.get("/").text)
        assert "No game is open right now" in text_of(client.get("/play").text)

    def test_looking_around_makes_no_player(
        self, client: TestClient, session: Session, study: Study
    ) -> None:
        for address in ("/", "/healthz", "/readyz", "/static/css/base.css", "/nowhere", "/studio"):
            assert "set-cookie" not in client.get(address).headers
        assert n_rows(session, Player) == 0

    def test_playing_makes_one_guest_with_a_cookie_that_scripts_cannot_read(
        self, client: TestClient, session: Session, study: Study, image: Image
    ) -> None:
        first = client.get("/play")
        assert first.headers["location"] == f"/play/{study.slug}"
        cookie = first.headers["set-cookie"].lower()
        assert cookie.startswith(f"{PLAYER_COOKIE}=")
        assert {"httponly", "samesite=lax", "max-age=31536000"} <= set(cookie.split("; "))
        assert "set-cookie" not in client.get(first.headers["location"]).headers
        assert n_rows(session, Player) == 1

    def test_a_game_that_does_not_exist_makes_no_guest(
        self, client: TestClient, session: Session
    ) -> None:
        page = client.get("/play/nowhere")
        assert page.status_code == 404
        assert "set-cookie" not in page.headers
        assert n_rows(session, Player) == 0

    def test_with_several_games_the_player_chooses(
        self, client: TestClient, session: Session, study: Study
    ) -> None:
        other = make_study(session)
        session.commit()
        page = client.get("/play").text
        assert f'href="/play/{study.slug}"' in page
        assert f'href="/play/{other.slug}"' in page

    def test_a_study_that_still_computes_cannot_be_played(
        self, client: TestClient, session: Session
    ) -> None:
        study = make_study(session, status="computing")
        session.commit()
        page = client.get(f"/play/{study.slug}")
        assert page.status_code == 409
        assert "its pictures are still being computed" in text_of(page.text)


class TestOpenRound:
    def test_a_reload_resumes_it(
        self, client: TestClient, session: Session, study: Study, round_: Round
    ) -> None:
        client.post(f"/rounds/{round_.id}/reveal", data={"from_step": 0})
        for _ in range(2):
            page = client.get(f"/play/{study.slug}").text
            assert f"/rounds/{round_.id}/picture?step=1" in page
        assert n_rows(session, Round) == 1

    def test_its_own_address_leads_back_to_the_game(
        self, client: TestClient, study: Study, round_: Round
    ) -> None:
        page = client.get(f"/rounds/{round_.id}")
        assert (page.status_code, page.headers["location"]) == (303, f"/play/{study.slug}")

    def test_nothing_of_the_answer_leaves_before_the_guess(
        self, client: TestClient, study: Study, round_: Round, image: Image
    ) -> None:
        page = client.get(f"/play/{study.slug}")
        picture = client.get(f"/rounds/{round_.id}/picture", params={"step": 0})
        secrets = [image.id, image.file_name, image.sha256, round_.cluster_map_id]
        for answer in (page, client.get(f"/play/{study.slug}", headers=HTMX)):
            for secret in map(str, secrets):
                assert secret not in answer.text
                assert secret not in str(answer.headers)
            # The classes stand there as choices, in the order of the study, and nowhere else.
            without_choices = re.sub(
                r"(?s)<fieldset class=\"choices\">.*?</fieldset>", "", answer.text
            )
            assert not re.search(r"\bboats?\b(?!.and.kites)", without_choices, re.IGNORECASE)
        assert str(image.id) not in str(picture.headers)
        assert client.get(f"/rounds/{round_.id}/answer.jpg").status_code == 403
        assert client.get(f"/rounds/{round_.id}/answer.jpg?heat=1").status_code == 403
        assert client.get(f"/images/{image.id}/view.jpg").status_code == 303

    def test_the_picture_is_black_outside_the_lit_region(
        self, client: TestClient, round_: Round
    ) -> None:
        answer = client.get(f"/rounds/{round_.id}/picture", params={"step": 0})
        assert answer.headers["cache-control"] == "private, max-age=31536000, immutable"
        pixels = np.asarray(Picture.open(io.BytesIO(answer.content)).convert("L"))
        mask = reveal_mask(spot_map(x=0.4), percent=2, size=512)
        assert 0.01 < (mask > 0.5).mean() < 0.04, "2 %, in whole cells of the map"
        assert pixels[mask > 0.5].min() > 24
        # A JPEG mixes the pixels of a block of 16, so the darkness is full a block away.
        assert pixels[maximum_filter(mask, size=33) == 0].max() <= 3

    @pytest.mark.parametrize(("step", "status"), [(1, 403), (6, 404), (-1, 422), ("x", 422)])
    def test_steps_not_reached_yet_are_refused_and_not_kept(
        self, client: TestClient, round_: Round, step: int | str, status: int
    ) -> None:
        answer = client.get(f"/rounds/{round_.id}/picture", params={"step": step})
        assert answer.status_code == status
        assert answer.headers["cache-control"] == "no-store"

    def test_another_players_round_does_not_exist(
        self, client: TestClient, session: Session, study: Study, image: Image, player: Player
    ) -> None:
        other = rounds.deal(session, player=make_player(session), study=study)
        assert other is not None
        session.commit()
        for address in ("", "/picture?step=0", "/answer.jpg"):
            assert client.get(f"/rounds/{other.id}{address}").status_code == 404
        guess = {"class_id": class_id(study, "boat")}
        for act, data in (("reveal", {"from_step": 0}), ("guess", guess), ("resign", {})):
            assert client.post(f"/rounds/{other.id}/{act}", data=data).status_code == 404
        assert stored(session, other).is_open

    def test_an_anonymous_visitor_has_no_rounds(self, client: TestClient) -> None:
        assert client.get(f"/rounds/{uuid4()}").status_code == 404
        assert client.post(f"/rounds/{uuid4()}/resign").status_code == 404


class TestRevealing:
    def test_a_step_is_shown_and_stored(
        self, client: TestClient, session: Session, round_: Round
    ) -> None:
        answer = client.post(f"/rounds/{round_.id}/reveal", data={"from_step": 0}, headers=HTMX)
        assert answer.status_code == 200
        assert f"/rounds/{round_.id}/picture?step=1" in answer.text
        assert stored(session, round_).reveal_index == 1

    def test_the_part_is_the_one_in_the_page(
        self, client: TestClient, study: Study, round_: Round
    ) -> None:
        answer = client.post(f"/rounds/{round_.id}/reveal", data={"from_step": 0}, headers=HTMX)
        page = client.get(f"/play/{study.slug}")
        assert part(answer.text, "stage")
        assert part(answer.text, "stage") == part(page.text, "stage")

    def test_a_double_click_shows_one_step(
        self, client: TestClient, session: Session, round_: Round
    ) -> None:
        for _ in range(2):
            client.post(f"/rounds/{round_.id}/reveal", data={"from_step": 0})
        assert stored(session, round_).reveal_index == 1

    def test_after_the_last_step_there_is_no_button_and_a_kind_refusal(
        self, client: TestClient, session: Session, study: Study, round_: Round
    ) -> None:
        for step in range(rules.LAST_REVEAL_INDEX):
            client.post(f"/rounds/{round_.id}/reveal", data={"from_step": step})
        page = client.get(f"/play/{study.slug}").text
        assert "That is all the light there is." in text_of(page)
        assert 'id="more"' not in page
        refused = client.post(
            f"/rounds/{round_.id}/reveal", data={"from_step": rules.LAST_REVEAL_INDEX}
        )
        assert refused.status_code == 409
        assert stored(session, round_).reveal_index == rules.LAST_REVEAL_INDEX

    def test_without_scripts_what_was_chosen_and_typed_stays(
        self, client: TestClient, study: Study, round_: Round
    ) -> None:
        chosen = class_id(study, "kite")
        data = {"from_step": 0, "class_id": chosen, "label": ["a “sail” & mast", ""]}
        answer = client.post(f"/rounds/{round_.id}/reveal", data=data)
        page = client.get(answer.headers["location"]).text
        assert 'value="a “sail” &amp; mast"' in page
        assert re.search(rf'value="{chosen}"[^>]* checked', page)

    @pytest.mark.parametrize("data", [{}, {"from_step": "two"}])
    def test_a_malformed_request_is_refused_in_words(
        self, client: TestClient, session: Session, round_: Round, data: dict[str, str]
    ) -> None:
        answer = client.post(f"/rounds/{round_.id}/reveal", data=data)
        assert answer.status_code == 422
        assert "Missing or not understood: from_step." in text_of(answer.text)
        assert stored(session, round_).reveal_index == 0


class TestGuessing:
    def test_a_right_guess_is_stored_with_its_labels_and_points(
        self, client: TestClient, session: Session, study: Study, round_: Round
    ) -> None:
        data = {"class_id": class_id(study, "boat"), "label": ["white sail", "", "mast"]}
        answer = client.post(f"/rounds/{round_.id}/guess", data=data)
        assert (answer.status_code, answer.headers["location"]) == (303, f"/rounds/{round_.id}")
        assert stored(session, round_).status == "won"
        assert list(session.scalars(select(Label.text))) == ["white sail", "mast"]
        assert session.scalar(select(PointsEntry.points)) == rules.GUESS_POINTS[0]

    def test_the_answer_shows_the_truth_the_points_and_the_words(
        self, client: TestClient, study: Study, round_: Round
    ) -> None:
        data = {"class_id": class_id(study, "boat"), "label": ["white sail"]}
        answer = client.post(f"/rounds/{round_.id}/guess", data=data, headers=HTMX)
        said = text_of(answer.text)
        assert "Right! The answer is boat ." in said
        assert "+10 for a right guess from 2 % of the picture" in said
        assert "“ boat ”, and it was 93 % sure, rightly." in said
        assert "60 % of what this layer said" in said
        assert "white sail" in said
        assert "Nobody else has named this spot yet" in said

    def test_other_players_words_come_only_after_the_players_own(
        self, client: TestClient, session: Session, study: Study, round_: Round
    ) -> None:
        other = make_player(session)
        theirs = Round(study_id=study.id, cluster_map_id=round_.cluster_map_id, player_id=other.id)
        session.add(theirs)
        session.flush()
        boat = class_id(study, "boat")
        rounds.guess(session, round_id=theirs.id, player=other, class_id=boat, labels=["Canvas"])
        session.commit()
        assert "Canvas" not in client.get(f"/play/{study.slug}").text
        data = {"class_id": boat, "label": ["canvas"]}
        answer = client.post(f"/rounds/{round_.id}/guess", data=data, headers=HTMX)
        assert "Canvas" in answer.text
        assert "+2 because another player saw “canvas” here too" in text_of(answer.text)

    def test_the_part_is_the_one_in_the_page(
        self, client: TestClient, study: Study, round_: Round
    ) -> None:
        data = {"class_id": class_id(study, "kite")}
        answer = client.post(f"/rounds/{round_.id}/guess", data=data, headers=HTMX)
        page = client.get(f"/rounds/{round_.id}")
        assert answer.headers["HX-Push-Url"] == f"/rounds/{round_.id}"
        assert "Not this time" in text_of(answer.text)
        assert part(answer.text, "round")
        assert part(answer.text, "round") == part(page.text, "round")

    def test_the_first_of_two_guesses_counts(
        self, client: TestClient, session: Session, study: Study, round_: Round
    ) -> None:
        for name, label in (("kite", "tail"), ("boat", "mast")):
            data = {"class_id": class_id(study, name), "label": label}
            answer = client.post(f"/rounds/{round_.id}/guess", data=data, headers=HTMX)
            assert "Not this time" in text_of(answer.text)
        assert stored(session, round_).status == "lost"
        assert list(session.scalars(select(Label.text))) == ["tail"]
        assert n_rows(session, PointsEntry) == 0

    def test_without_a_class_nothing_is_lost(
        self, client: TestClient, session: Session, round_: Round
    ) -> None:
        answer = client.post(f"/rounds/{round_.id}/guess", data={"label": ["mast", "sail"]})
        assert answer.status_code == 422
        assert "Choose what you think it is" in text_of(answer.text)
        assert 'value="mast"' in answer.text
        assert 'value="sail"' in answer.text
        assert stored(session, round_).is_open

    def test_without_a_class_htmx_gets_the_message_alone(
        self, client: TestClient, round_: Round
    ) -> None:
        answer = client.post(f"/rounds/{round_.id}/guess", data={"label": "mast"}, headers=HTMX)
        assert answer.status_code == 422
        assert "<html" not in answer.text
        assert 'role="alert"' in answer.text

    @pytest.mark.parametrize(
        ("labels", "message"),
        [
            (["x" * 61], "at most 60 characters"),
            (["a", "b", "c", "d", "e", "f"], "At most 5 labels"),
            (["⛵", ""], "“⛵” has no letters: type a word or two, or leave the field empty."),
        ],
    )
    def test_labels_that_cannot_be_taken_are_refused_in_words(
        self,
        client: TestClient,
        session: Session,
        study: Study,
        round_: Round,
        labels: list[str],
        message: str,
    ) -> None:
        data = {"class_id": class_id(study, "boat"), "label": labels}
        answer = client.post(f"/rounds/{round_.id}/guess", data=data)
        assert answer.status_code == 422
        assert message in text_of(answer.text)
        assert f'value="{labels[0]}"' in answer.text
        assert stored(session, round_).is_open

    def test_a_class_of_another_study_is_no_answer(
        self, client: TestClient, session: Session, round_: Round
    ) -> None:
        foreign = make_study(session).classes[0].id
        session.commit()
        answer = client.post(f"/rounds/{round_.id}/guess", data={"class_id": foreign})
        assert answer.status_code == 422
        assert stored(session, round_).is_open

    def test_typed_markup_stays_text(self, client: TestClient, study: Study, round_: Round) -> None:
        data = {"class_id": class_id(study, "boat"), "label": "<script>alert(1)</script>"}
        client.post(f"/rounds/{round_.id}/guess", data=data)
        page = client.get(f"/rounds/{round_.id}").text
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
        assert "<script>alert" not in page


class TestAfterwards:
    def test_giving_up_ends_the_round_and_shows_the_answer(
        self, client: TestClient, session: Session, round_: Round
    ) -> None:
        answer = client.post(f"/rounds/{round_.id}/resign")
        assert answer.headers["location"] == f"/rounds/{round_.id}"
        assert "Giving up costs nothing." in text_of(client.get(f"/rounds/{round_.id}").text)
        assert stored(session, round_).status == "resigned"

    def test_the_whole_picture_and_the_heat_map_can_be_seen(
        self, client: TestClient, round_: Round
    ) -> None:
        client.post(f"/rounds/{round_.id}/resign")
        whole = client.get(f"/rounds/{round_.id}/answer.jpg")
        heat = client.get(f"/rounds/{round_.id}/answer.jpg?heat=1")
        assert whole.headers["content-type"] == heat.headers["content-type"] == "image/jpeg"
        assert whole.content != heat.content
        assert "private" in whole.headers["cache-control"]

    def test_a_reveal_after_the_end_leads_to_the_answer(
        self, client: TestClient, session: Session, round_: Round
    ) -> None:
        client.post(f"/rounds/{round_.id}/resign")
        answer = client.post(f"/rounds/{round_.id}/reveal", data={"from_step": 0}, headers=HTMX)
        assert answer.headers["HX-Redirect"] == f"/rounds/{round_.id}"
        assert stored(session, round_).reveal_index == 0

    def test_the_next_round_is_about_another_map_and_the_standing_has_grown(
        self, client: TestClient, session: Session, study: Study, round_: Round
    ) -> None:
        data = {"class_id": class_id(study, "boat")}
        client.post(f"/rounds/{round_.id}/guess", data=data)
        answer = client.get(f"/play/{study.slug}", headers=HTMX)
        assert "<html" not in answer.text
        assert "Points 10 Level 1 Rounds 1 Right 1" in text_of(answer.text)
        maps = session.scalars(select(Round.cluster_map_id)).all()
        assert len(set(maps)) == 2

    def test_who_has_seen_everything_is_thanked(
        self, client: TestClient, session: Session, study: Study, round_: Round
    ) -> None:
        client.post(f"/rounds/{round_.id}/resign")
        client.get(f"/play/{study.slug}")
        last = session.scalars(select(Round).where(Round.status == "open")).one()
        client.post(f"/rounds/{last.id}/resign")
        page = client.get(f"/play/{study.slug}")
        assert page.status_code == 200
        assert "You have seen it all. Thank you!" in text_of(page.text)
        assert "2 rounds, 0 right guesses" in text_of(page.text)
        assert "Your words" not in text_of(page.text), "none was typed"

    def test_who_has_not_seen_everything_is_told_that_no_map_wants_more(
        self, client: TestClient, session: Session, study: Study, round_: Round
    ) -> None:
        data = {"class_id": class_id(study, "boat"), "label": ["white sail"]}
        client.post(f"/rounds/{round_.id}/guess", data=data)
        session.execute(update(ClusterMap).values(n_finished=1000))
        session.commit()
        said = text_of(client.get(f"/play/{study.slug}").text)
        assert "You have seen it all" not in said
        assert "for now: every spot has had its rounds. You have 1 round, 1 right guess" in said
        assert "Your words now help to tell what the network sees." in said

    def test_many_classes_have_a_key_each(
        self, client: TestClient, session: Session, storage: Storage
    ) -> None:
        names = [f"class {i}" for i in range(14)]
        study = make_study(session, classes=names)
        make_image(session, storage, study, class_name="class 3")
        session.commit()
        keys = re.findall(r'data-key="(.)"', client.get(f"/play/{study.slug}").text)
        assert len(keys) == len(set(keys)) == 14
        assert keys[:10] == list("1234567890")
        assert not {"m", "n"} & set(keys)


class TestPractising:
    @pytest.fixture
    def practice_round(self, session: Session, player: Player, study: Study, image: Image) -> Round:
        """The client's open round, for practice: its map is known to show the sail."""
        for cluster_map in maps_of(session, image):
            practice.store_known_answer(
                session,
                cluster_map_id=cluster_map.id,
                region="sail",
                words=["sail", "canvas"],
                energy_share=0.8,
            )
        dealt = rounds.deal(session, player=player, study=study)
        assert dealt is not None
        assert dealt.practice
        session.commit()
        return dealt

    @pytest.fixture
    def lesson(self, session: Session, player: Player, practice_round: Round) -> Round:
        """The client's open round, as a new player's first."""
        player.is_introduced, practice_round.lesson = False, 1
        session.commit()
        return practice_round

    def test_a_lesson_says_what_to_do_and_afterwards_what_to_try(
        self, client: TestClient, study: Study, lesson: Round
    ) -> None:
        page = client.get(f"/play/{study.slug}").text
        assert "Practice 1 of 3. Look at what is lit" in text_of(part(page, "coach"))
        data = {"class_id": class_id(study, "kite")}
        said = text_of(client.post(f"/rounds/{lesson.id}/guess", data=data, headers=HTMX).text)
        assert "A word for it would have earned points." in said
        assert "Nobody is always right" in said
        assert "Next time, type a word or two" in said

    def test_skipped_without_scripts_it_is_gone_and_what_was_typed_is_there(
        self, client: TestClient, lesson: Round
    ) -> None:
        data = {"label": ["wet sand"]}
        answer = client.post(f"/rounds/{lesson.id}/skip-introduction", data=data)
        page = client.get(answer.headers["location"]).text
        assert part(page, "coach") == ""
        assert 'value="wet sand"' in page

    def test_until_its_answer_it_looks_like_any_other_round(
        self,
        client: TestClient,
        session: Session,
        study: Study,
        practice_round: Round,
    ) -> None:
        address = f"/play/{study.slug}"
        practising = part(client.get(address).text, "round")
        practice_round.practice = False
        session.commit()
        assert practising == part(client.get(address).text, "round")
        assert "sail" not in practising

    def test_a_label_that_names_it_is_praised_paid_and_stored(
        self, client: TestClient, session: Session, study: Study, practice_round: Round, sent: Sent
    ) -> None:
        data = {"class_id": class_id(study, "boat"), "label": ["white sails"]}
        answer = client.post(f"/rounds/{practice_round.id}/guess", data=data, headers=HTMX)
        said = text_of(answer.text)
        assert "This spot shows the sail . And you named it!" in said
        assert "This was a practice round" in said
        assert "+2 for naming what this spot shows" in said
        assert "No other player has named this spot yet." in said
        assert stored(session, practice_round).named_known is True
        reasons = session.scalars(select(PointsEntry.reason).order_by(PointsEntry.id)).all()
        assert reasons == ["guess", "practice"]
        assert sent.jobs == []

    def test_a_label_that_does_not_is_told_kindly(
        self, client: TestClient, session: Session, study: Study, practice_round: Round
    ) -> None:
        data = {"class_id": class_id(study, "kite"), "label": "sky"}
        answer = client.post(f"/rounds/{practice_round.id}/guess", data=data, headers=HTMX)
        said = text_of(answer.text)
        assert "This spot shows the sail . None of your words named it this time." in said
        assert "Your words count all the same." not in said
        assert stored(session, practice_round).named_known is False
        assert n_rows(session, PointsEntry) == 0

    def test_the_part_is_the_one_in_the_page_however_often_it_is_sent(
        self, client: TestClient, session: Session, study: Study, practice_round: Round
    ) -> None:
        data = {"class_id": class_id(study, "boat"), "label": "canvas"}
        for _ in range(2):
            answer = client.post(f"/rounds/{practice_round.id}/guess", data=data, headers=HTMX)
        page = client.get(f"/rounds/{practice_round.id}")
        assert part(answer.text, "round") == part(page.text, "round")
        assert n_rows(session, PointsEntry) == 2

    def test_a_round_given_up_shows_its_answer_too(
        self, client: TestClient, practice_round: Round
    ) -> None:
        client.post(f"/rounds/{practice_round.id}/resign")
        said = text_of(client.get(f"/rounds/{practice_round.id}").text)
        assert "This spot shows the sail . Next time you may spot it." in said

    def test_labels_that_cannot_be_taken_leave_it_open(
        self, client: TestClient, session: Session, study: Study, practice_round: Round
    ) -> None:
        data = {"class_id": class_id(study, "boat"), "label": "x" * 61}
        assert client.post(f"/rounds/{practice_round.id}/guess", data=data).status_code == 422
        assert stored(session, practice_round).named_known is None

    def test_an_anonymous_visitor_learns_nothing_of_it(
        self, client: TestClient, study: Study, practice_round: Round
    ) -> None:
        client.cookies.clear()
        data = {"class_id": class_id(study, "boat"), "label": "sail"}
        assert client.post(f"/rounds/{practice_round.id}/guess", data=data).status_code == 404
        assert client.get(f"/rounds/{practice_round.id}").status_code == 404
