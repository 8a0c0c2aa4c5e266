"""The JSON API: the game of the pages, for programs."""

import re

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app import rules
from app.models import Image, Label, Player, PointsEntry, Round, Study
from app.services import practice
from app.web.api import openapi
from app.web.api.shapes import Page, Shape, all_shapes, examples
from tests.factories import maps_of

API = "/api/v1"


@pytest.fixture
def bearer(client: TestClient) -> TestClient:
    """The client with a new guest's token, and no cookie."""
    answer = client.post(f"{API}/players")
    assert answer.status_code == 201
    client.cookies.clear()
    client.headers["Authorization"] = f"Bearer {answer.json()['token']}"
    return client


def test_a_class_at_one_address_becomes_guests(client: TestClient) -> None:
    for _ in range(40):
        assert client.post(f"{API}/players").status_code == 201


def test_guests_without_end_are_refused(
    client: TestClient, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rules, "NEW_GUESTS", 2)
    answers = [client.post(f"{API}/players") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [201, 201, 429]
    assert is_problem(answers[2], 429)
    assert 0 < int(answers[2].headers["Retry-After"]) <= 3600
    assert session.scalar(select(func.count()).select_from(Player)) == 2


@pytest.fixture
def dealt(bearer: TestClient, study: Study, image: Image) -> dict:
    return bearer.post(f"{API}/rounds", json={"study": study.slug}).json()


def choice(dealt: dict, name: str) -> int:
    return next(one["id"] for one in dealt["choices"] if one["name"] == name)


def is_problem(answer, status: int) -> bool:
    body = answer.json()
    return (
        answer.status_code == body["status"] == status
        and answer.headers["content-type"] == "application/problem+json"
        and {"type", "title", "status", "detail"} <= set(body)
    )


class TestPlaying:
    def test_a_whole_round(self, bearer: TestClient, session: Session, dealt: dict) -> None:
        assert (dealt["status"], dealt["reveal_index"], dealt["outcome"]) == ("open", 0, None)
        address = f"{API}/rounds/{dealt['id']}"
        more = bearer.post(f"{address}/reveal", json={"from_index": 0}).json()
        assert (more["reveal_index"], more["lit_percent"]) == (1, 4.5)
        done = bearer.post(
            f"{address}/guess", json={"class_id": choice(dealt, "boat"), "labels": ["white sail"]}
        ).json()
        assert done["status"] == "won"
        assert done["outcome"]["true_class"] == "boat"
        assert done["outcome"]["labels"] == [{"text": "white sail", "remark": None}]
        assert done["outcome"]["points"][0] == {
            "reason": "guess", "points": rules.GUESS_POINTS[1], "detail": ""
        }  # fmt: skip
        me = bearer.get(f"{API}/me").json()
        assert (me["points"], me["n_rounds"], me["n_right"]) == (rules.GUESS_POINTS[1], 1, 1)

    def test_asked_twice_a_deal_is_the_same_round(
        self, bearer: TestClient, study: Study, dealt: dict
    ) -> None:
        again = bearer.post(f"{API}/rounds", json={"study": study.slug}).json()
        assert again["id"] == dealt["id"]

    def test_a_repeated_guess_returns_the_first_answer_and_scores_nothing_twice(
        self, bearer: TestClient, session: Session, dealt: dict
    ) -> None:
        address = f"{API}/rounds/{dealt['id']}/guess"
        first = bearer.post(address, json={"class_id": choice(dealt, "boat"), "labels": ["sail"]})
        second = bearer.post(address, json={"class_id": choice(dealt, "kite"), "labels": ["tail"]})
        assert second.json() == first.json()
        assert session.scalar(select(func.count()).select_from(Label)) == 1
        assert session.scalar(select(func.count()).select_from(PointsEntry)) == 1

    def test_nothing_nameable_is_an_answer(
        self, bearer: TestClient, session: Session, dealt: dict
    ) -> None:
        done = bearer.post(f"{API}/rounds/{dealt['id']}/resign", json={"nothing_nameable": True})
        assert done.json()["outcome"]["nothing_nameable"] is True
        assert session.scalars(select(Round.nothing_nameable)).all() == [True]

    def test_when_all_is_seen_there_is_no_round(
        self, bearer: TestClient, study: Study, image: Image
    ) -> None:
        for _ in range(2):
            dealt = bearer.post(f"{API}/rounds", json={"study": study.slug}).json()
            bearer.post(f"{API}/rounds/{dealt['id']}/resign")
        assert bearer.post(f"{API}/rounds", json={"study": study.slug}).status_code == 204

    def test_pictures_come_as_far_as_they_are_revealed(
        self, bearer: TestClient, dealt: dict
    ) -> None:
        shown = bearer.get(dealt["picture_url"])
        assert (shown.status_code, shown.headers["content-type"]) == (200, "image/jpeg")
        address = f"{API}/rounds/{dealt['id']}"
        assert is_problem(bearer.get(f"{address}/picture?step=1"), 403)
        assert is_problem(bearer.get(f"{address}/answer.jpg"), 403)

    def test_a_new_player_gets_lessons_and_may_skip_them(
        self, bearer: TestClient, session: Session, study: Study, image: Image
    ) -> None:
        practice.store_known_answer(
            session,
            cluster_map_id=maps_of(session, image)[0].id,
            region="sail",
            words=["sail"],
            energy_share=0.8,
        )
        session.commit()
        deal = {"study": study.slug}
        assert bearer.post(f"{API}/rounds", json=deal).json()["lesson"] == 1
        assert bearer.post(f"{API}/me/skip-introduction").status_code == 204
        assert bearer.post(f"{API}/rounds", json=deal).json()["lesson"] is None

    def test_a_browser_may_use_its_cookie(
        self, client: TestClient, player: Player, study: Study, image: Image
    ) -> None:
        assert client.post(f"{API}/rounds", json={"study": study.slug}).status_code == 200

    def test_a_board_marks_who_asks(self, bearer: TestClient, dealt: dict, study: Study) -> None:
        bearer.post(f"{API}/rounds/{dealt['id']}/guess", json={"class_id": choice(dealt, "boat")})
        for address in ("today", "week", f"all?study={study.slug}"):
            board = bearer.get(f"{API}/boards/{address}").json()
            assert board["n_players"] == 1
            assert board["own"] == board["top"][0]
            assert board["own"]["is_you"]


class TestErrors:
    @pytest.mark.parametrize("token", [None, "Bearer made-up", "Basic abc"])
    def test_nobody_known_is_told_how_to_become_somebody(
        self, client: TestClient, token: str | None
    ) -> None:
        answer = client.get(f"{API}/me", headers={"Authorization": token} if token else {})
        assert is_problem(answer, 401)
        assert answer.headers["www-authenticate"] == "Bearer"
        assert "POST /api/v1/players" in answer.json()["detail"]

    def test_anothers_round_is_not_there(
        self, bearer: TestClient, session: Session, dealt: dict
    ) -> None:
        token = bearer.post(f"{API}/players").json()["token"]
        other = {"Authorization": f"Bearer {token}"}
        assert is_problem(bearer.get(f"{API}/rounds/{dealt['id']}", headers=other), 404)
        assert is_problem(bearer.post(f"{API}/rounds/{dealt['id']}/resign", headers=other), 404)
        assert session.scalars(select(Round.status)).all() == ["open"]

    @pytest.mark.parametrize(
        ("what", "body", "status"),
        [
            ("guess", {}, 422),
            ("guess", {"class_id": 0}, 422),
            ("guess", {"class_id": 0, "label": "misspelt"}, 422),
            ("reveal", {"from_index": 9}, 422),
            ("reveal", {"from_index": 3}, 409),
        ],
    )
    def test_what_cannot_be_used_is_a_problem_and_changes_nothing(
        self, bearer: TestClient, session: Session, dealt: dict, what: str, body: dict, status: int
    ) -> None:
        assert is_problem(bearer.post(f"{API}/rounds/{dealt['id']}/{what}", json=body), status)
        assert session.scalars(select(Round.status)).all() == ["open"]

    @pytest.mark.parametrize(
        ("method", "address", "status"),
        [
            ("GET", "/nothing", 404),
            ("GET", "/rounds/00000000-0000-4000-8000-000000000000", 404),
            ("GET", "/rounds/no-id", 404),
            ("DELETE", "/rounds", 405),
            ("GET", "/boards/yesterday", 404),
        ],
    )
    def test_every_error_has_the_one_shape(
        self, bearer: TestClient, method: str, address: str, status: int
    ) -> None:
        assert is_problem(bearer.request(method, API + address), status)


class TestDescription:
    def test_every_call_is_described_with_its_answers(self) -> None:
        operations = [o for path in openapi()["paths"].values() for o in path.values()]
        assert len(operations) == 55
        assert all(
            o["summary"] and o["description"] and "401" in o["responses"] for o in operations
        )

    def test_examples_are_what_their_shapes_say(self) -> None:
        schemas = openapi()["components"]["schemas"]
        for shape in all_shapes(Shape):
            if "[" not in shape.__name__ and shape is not Page:
                assert schemas[shape.__name__]["examples"] == examples(shape)
                for example in examples(shape):
                    shape.model_validate(example)

    def test_it_is_served_and_shown_without_a_script(self, client: TestClient) -> None:
        assert client.get(f"{API}/openapi.json").json() == openapi()
        page = client.get("/docs/api")
        assert page.status_code == 200
        for path in openapi()["paths"]:
            assert path in page.text
        assert not re.search(r"<script(?![^>]*src=)", page.text)
