"""A player's own pages, and the boards."""

from collections.abc import Callable

import pytest
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.models import Image, Player, Round, Study
from app.services import labels, ledger, names, players, rounds
from tests.factories import make_account
from tests.services.test_labels import EMBED
from tests.web.conftest import sign_in
from tests.web.reading import text_of


@pytest.fixture
def play(session: Session, study: Study, image: Image) -> Callable[..., Round]:
    def play(player: Player, *texts: str) -> Round:
        """A right guess on the picture's first map."""
        round_ = rounds.deal(session, player=player, study=study)
        assert round_ is not None
        done = rounds.guess(
            session, round_id=round_.id, player=player, class_id=image.class_id, labels=texts
        )
        session.commit()
        return done

    return play


class TestProfile:
    def test_somebody_new_finds_what_there_will_be(self, client: TestClient) -> None:
        page = client.get("/me")
        assert page.status_code == 200
        words = text_of(page.text)
        assert "Level 1" in words
        assert "Finish 10 rounds." in words
        assert "Nothing yet" in words

    def test_it_tells_each_point_and_each_word(
        self, client: TestClient, player: Player, play: Callable[..., Round]
    ) -> None:
        play(player, "white sail", "asdfgh")
        words = text_of(client.get("/me").text)
        assert "a right guess: boat +10" in words
        assert "white sail boat waits to be put together" in words
        assert "no known word, kept" in words

    def test_news_is_told_until_it_is_read(
        self,
        client: TestClient,
        session: Session,
        study: Study,
        image: Image,
        player: Player,
        play: Callable[..., Round],
    ) -> None:
        rival = players.create_guest(session)[0]
        for one in (player, rival):
            for other in range(2):
                play(one, "sail" if other == 0 else "hull")
        labels.group_class(session, class_id=image.class_id, embed=EMBED, recipe="paper")
        session.commit()
        assert ledger.news(session, player.id)
        page = client.get("/me").text
        assert "While you were away" in page
        last = page.split('name="up_to" value="')[1].split('"')[0]
        answer = client.post("/me/news", data={"up_to": last})
        assert answer.headers["location"] == "/me"
        assert "While you were away" not in client.get("/me").text


class TestBoards:
    @pytest.mark.parametrize("period", ["today", "week", "all"])
    def test_a_player_finds_their_place(
        self,
        client: TestClient,
        session: Session,
        player: Player,
        play: Callable[..., Round],
        period: str,
    ) -> None:
        play(player)
        words = text_of(client.get(f"/boards/{period}").text)
        assert "You are number 1 of 1 player, with 10 points" in words
        assert names.public_name(session, player.id) in words

    def test_who_has_an_account_stands_there_by_its_name(
        self, client: TestClient, session: Session, play: Callable[..., Round]
    ) -> None:
        account = make_account(session, "Ada")
        sign_in(session, client, account)
        play(account.player)
        assert "Ada (you)" in text_of(client.get("/boards/all").text)
        assert "<h1>Ada</h1>" in client.get("/me").text
        assert client.get("/api/v1/me").json()["name"] == "Ada"
        assert client.get("/api/v1/boards/all").json()["top"][0]["name"] == "Ada"

    def test_one_of_a_study(
        self, client: TestClient, player: Player, play: Callable[..., Round], study: Study
    ) -> None:
        play(player)
        assert study.name in text_of(client.get(f"/boards/all?study={study.slug}").text)
        assert client.get("/boards/all?study=none").status_code == 404

    def test_an_empty_one_invites(self, client: TestClient) -> None:
        assert "You could be the first" in text_of(client.get("/boards/today").text)

    def test_another_period_is_not_found(self, client: TestClient) -> None:
        assert client.get("/boards/yesterday").status_code == 404


class TestDaily:
    def test_its_rounds_follow_one_another_and_then_it_is_done(
        self, client: TestClient, session: Session, player: Player, study: Study, image: Image
    ) -> None:
        address = f"/play/{study.slug}/daily"
        assert "today’s challenge" in text_of(client.get(address).text)
        round_ = rounds.deal(session, player=player, study=study, daily=True)
        assert round_ is not None
        answer = client.post(f"/rounds/{round_.id}/resign", headers={"HX-Request": "true"})
        assert f'hx-get="{address}"' in answer.text
        assert "Today’s challenge is done" in text_of(client.get(address).text)


def test_taboo_words_are_shown_before_typing(
    client: TestClient, session: Session, player: Player, study: Study, image: Image
) -> None:
    round_ = rounds.deal(session, player=player, study=study)
    assert round_ is not None
    round_.taboo = ["sail"]
    session.commit()
    page = client.get(f"/play/{study.slug}").text
    assert "worth nothing here" in page
    done = client.post(
        f"/rounds/{round_.id}/guess",
        data={"class_id": image.class_id, "label": ["white sail", "hull"], "pasted": "hull"},
        headers={"HX-Request": "true"},
    )
    words = text_of(done.text)
    assert "“white sail” has been said often enough here" in words
    assert "“hull” was pasted" in words
