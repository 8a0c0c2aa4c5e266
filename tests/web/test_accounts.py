"""Signing up, in and out as a browser does it, and one's own account."""

import re
from datetime import timedelta

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.models import Account, Image, Label, Player, PointsEntry, Round, SignIn, Study
from app.services import accounts, players, rounds
from app.web.deps import PLAYER_COOKIE, SIGN_IN_COOKIE
from tests.factories import PASSWORD, make_account
from tests.web.conftest import Sent, sign_in
from tests.web.reading import text_of

NEW = "a new long password"


@pytest.fixture
def ada(session: Session) -> Account:
    ada = make_account(session, "Ada", email="ada@example.org")
    session.commit()
    return ada


@pytest.fixture
def signed_in(session: Session, client: TestClient, ada: Account) -> TestClient:
    sign_in(session, client, ada)
    return client


def play_right(session: Session, player: Player, study: Study) -> int:
    """A round guessed right at the first spot; the points earned."""
    round_ = rounds.deal(session, player=player, study=study)
    assert round_ is not None
    boat = next(c.id for c in study.classes if c.name == "boat")
    rounds.guess(session, round_id=round_.id, player=player, class_id=boat, labels=["sail"])
    session.commit()
    return players.standing(session, player).points


def n_rows(session: Session, table: type[Account | SignIn | Label | PointsEntry]) -> int:
    return session.scalar(select(func.count()).select_from(table)) or 0


class TestSignUp:
    def test_a_guest_signs_up_and_keeps_everything(
        self, client: TestClient, session: Session, player: Player, study: Study, image: Image
    ) -> None:
        points = play_right(session, player, study)
        assert f"Your {points} points from 1 round" in text_of(client.get("/sign-up").text)
        answer = client.post("/sign-up", data={"name": "Ada", "password": PASSWORD})
        assert answer.headers["location"] == "/account?done=signed-up"
        cookies = {c.partition("=")[0]: c.lower() for c in answer.headers.get_list("set-cookie")}
        assert {"httponly", "samesite=lax", "max-age=2592000"} <= set(
            cookies[SIGN_IN_COOKIE].split("; ")
        )
        assert "max-age=0" in cookies[PLAYER_COOKIE]
        page = client.get("/account").text
        assert f"Points {points} Rounds 1 Right guesses 1" in text_of(page)
        assert accounts.find(session, "ada").player_id == player.id

    @pytest.mark.parametrize(
        ("sent", "said"),
        [
            ({"name": "ADA", "password": PASSWORD}, "is taken"),
            ({"name": "x", "password": PASSWORD}, "3 to 30 letters"),
            ({"name": "Ben", "password": "short"}, "10 to 200 characters"),
            ({"name": "Ben", "password": PASSWORD, "email": "ben"}, "not an e-mail address"),
            ({}, "3 to 30 letters"),
        ],
    )
    def test_what_cannot_be_is_said_and_nothing_is_half_done(
        self,
        client: TestClient,
        session: Session,
        ada: Account,
        player: Player,
        sent: dict[str, str],
        said: str,
    ) -> None:
        page = client.post("/sign-up", data=sent)
        assert page.status_code in {409, 422}
        assert said in text_of(page.text)
        assert sent.get("name", "") in page.text
        assert PASSWORD not in page.text
        assert "set-cookie" not in page.headers
        assert n_rows(session, Account) == 1
        session.expire_all()
        assert session.get_one(Player, player.id).kind == "guest"

    def test_an_email_is_asked_to_be_confirmed(
        self, client: TestClient, session: Session, sent: Sent
    ) -> None:
        client.post(
            "/sign-up", data={"name": "Ben", "password": PASSWORD, "email": " ben@example.org "}
        )
        (job,) = sent.jobs
        assert job.name == "accounts.send_confirmation"
        assert job.arguments["email"] == "ben@example.org"
        assert accounts.find(session, "Ben").email is None

    def test_that_of_somebody_else_is_answered_in_the_same_way(
        self, client: TestClient, ada: Account
    ) -> None:
        answers = [
            client.post("/sign-up", data={"name": name, "password": PASSWORD, "email": email})
            for name, email in (("Ben", "ada@example.org"), ("Cleo", "cleo@example.org"))
        ]
        assert {(a.status_code, a.headers["location"]) for a in answers} == {
            (303, "/account?done=signed-up-email")
        }


class TestSignIn:
    def test_a_guests_rounds_move_to_the_account(
        self,
        client: TestClient,
        session: Session,
        ada: Account,
        player: Player,
        study: Study,
        image: Image,
    ) -> None:
        points = play_right(session, player, study)
        answer = client.post("/sign-in", data={"name": "ada", "password": PASSWORD})
        assert answer.headers["location"] == "/play"
        assert players.standing(session, ada.player).points == points
        assert players.standing(session, player).points == 0
        assert n_rows(session, Label) == 1

    def test_signed_out_the_device_plays_as_a_new_guest(
        self, signed_in: TestClient, session: Session, ada: Account, study: Study, image: Image
    ) -> None:
        signed_in.get(f"/play/{study.slug}")
        signed_in.post("/sign-out")
        signed_in.get(f"/play/{study.slug}")
        assert len(set(session.scalars(select(Round.player_id)))) == 2

    def test_a_wrong_name_looks_like_a_wrong_password(
        self, client: TestClient, ada: Account
    ) -> None:
        pages = [
            client.post("/sign-in", data={"name": name, "password": "not the password"})
            for name in ("Ada", "Abc", "ada@example.org", "abc@example.org", "a\0b")
        ]
        assert {page.status_code for page in pages} == {400}
        assert len({re.sub(r'value="[^"]*"', "", page.text) for page in pages}) == 1
        assert all("set-cookie" not in page.headers for page in pages)

    @pytest.mark.parametrize(
        ("next_", "leads_to"),
        [
            ("/studio/x?asked=true", "/studio/x?asked=true"),
            ("https://elsewhere.example", "/play"),
            ("//elsewhere.example", "/play"),
            ("/\\elsewhere.example", "/play"),
            ("/a\r\nX-Header: b", "/play"),
            ("javascript:alert(1)", "/play"),
        ],
    )
    def test_it_leads_back_to_where_one_was_on_this_site_only(
        self, client: TestClient, ada: Account, next_: str, leads_to: str
    ) -> None:
        answer = client.post("/sign-in", data={"name": "Ada", "password": PASSWORD, "next": next_})
        assert answer.headers["location"] == leads_to

    def test_a_cookie_that_somebody_else_has_set_is_not_taken(
        self, client: TestClient, ada: Account
    ) -> None:
        client.cookies.set(SIGN_IN_COOKIE, "chosen by somebody else")
        answer = client.post("/sign-in", data={"name": "Ada", "password": PASSWORD})
        assert f"{SIGN_IN_COOKIE}=" in answer.headers["set-cookie"]
        assert "chosen" not in answer.headers["set-cookie"]

    def test_signing_in_again_ends_the_sign_in_before(
        self, signed_in: TestClient, session: Session, ada: Account
    ) -> None:
        before = session.scalars(select(SignIn.id)).one()
        signed_in.post("/sign-in", data={"name": "Ada", "password": PASSWORD})
        assert session.scalars(select(SignIn.id)).one() != before

    def test_too_many_tries_are_refused_with_when_to_try_again(
        self, client: TestClient, ada: Account
    ) -> None:
        for _ in range(10):
            client.post("/sign-in", data={"name": "Ada", "password": "not the password"})
        page = client.post("/sign-in", data={"name": "ada", "password": PASSWORD})
        assert page.status_code == 429
        assert 0 < int(page.headers["retry-after"]) <= 900
        assert "Wait 15 minutes, then try again." in text_of(page.text)
        other = client.post("/sign-in", data={"name": "Ben", "password": "not the password"})
        assert other.status_code == 400

    @pytest.mark.parametrize("spelled", ["ＡDA", " ada ", "a\0da", "Ada\0\0"])
    def test_a_name_spelled_otherwise_counts_as_the_same(
        self, client: TestClient, ada: Account, spelled: str
    ) -> None:
        for _ in range(10):
            client.post("/sign-in", data={"name": spelled, "password": "not the password"})
        page = client.post("/sign-in", data={"name": "Ada", "password": PASSWORD})
        assert page.status_code == 429

    def test_a_right_password_starts_the_count_anew(self, client: TestClient, ada: Account) -> None:
        for _ in range(3):
            for _ in range(9):
                client.post("/sign-in", data={"name": "Ada", "password": "not the password"})
            answer = client.post("/sign-in", data={"name": "Ada", "password": PASSWORD})
            assert answer.status_code == 303

    @pytest.mark.parametrize("role", ["researcher", "admin"])
    def test_a_researcher_gets_to_the_studio(
        self, client: TestClient, session: Session, role: str
    ) -> None:
        make_account(session, "Rosa", role=role)
        session.commit()
        answer = client.post("/sign-in", data={"name": "Rosa", "password": PASSWORD})
        assert answer.headers["location"] == "/studio"
        assert 'href="/studio"' in client.get("/").text

    def test_the_masthead_says_who_is_there_even_on_an_error(self, signed_in: TestClient) -> None:
        assert ">Ada</a>" in signed_in.get("/").text
        assert ">Ada</a>" in signed_in.get("/play/nowhere").text
        assert ">Account</a>" in signed_in.get("/nowhere").text

    def test_a_cookie_that_is_over_counts_as_none(
        self, signed_in: TestClient, session: Session
    ) -> None:
        session.scalars(select(SignIn)).one().expires_at -= timedelta(days=31)
        session.commit()
        assert signed_in.get("/account").headers["location"].startswith("/sign-in")
        assert ">Sign in</a>" in signed_in.get("/").text


class TestForgotten:
    def test_any_address_gets_the_same_answer(
        self, client: TestClient, ada: Account, sent: Sent
    ) -> None:
        pages = [
            client.post("/forgotten", data={"email": email}).text
            for email in ("ada@example.org", "nobody@example.org", "")
        ]
        assert len(set(pages)) == 1
        assert [job.name for job in sent.jobs] == ["accounts.send_password_link"] * 3

    def test_an_address_is_written_to_three_times_an_hour(
        self, client: TestClient, sent: Sent
    ) -> None:
        for _ in range(3):
            client.post("/forgotten", data={"email": "ada@example.org"})
        page = client.post("/forgotten", data={"email": "ADA@example.org"})
        assert page.status_code == 429
        assert len(sent.jobs) == 3

    @pytest.mark.parametrize(
        "spelled", ["ａda@EXAMPLE.org", " ada@example.org", "ada@example\0.org"]
    )
    def test_an_address_spelled_otherwise_counts_as_the_same(
        self, client: TestClient, sent: Sent, spelled: str
    ) -> None:
        for _ in range(3):
            client.post("/forgotten", data={"email": spelled})
        assert client.post("/forgotten", data={"email": "ada@example.org"}).status_code == 429
        assert len(sent.jobs) == 3

    def test_a_long_one_is_not_cut_to_a_short_one(self, client: TestClient, sent: Sent) -> None:
        email = f"ada@example.org{' ' * 300}x"
        assert client.post("/forgotten", data={"email": email}).status_code == 200
        assert sent.jobs == []

    def test_the_link_sets_a_new_password_once(
        self, signed_in: TestClient, session: Session, ada: Account
    ) -> None:
        token = accounts.make_link(session, ada, purpose="password")
        session.commit()
        assert "A new password for Ada" in text_of(signed_in.get(f"/reset/{token}").text)
        weak = signed_in.post(f"/reset/{token}", data={"password": "short"})
        assert weak.status_code == 422
        answer = signed_in.post(f"/reset/{token}", data={"password": NEW})
        assert answer.headers["location"] == "/sign-in?reset=true"
        assert signed_in.get("/account").status_code == 303  # signed out everywhere
        assert signed_in.get(f"/reset/{token}").status_code == 404
        assert signed_in.post("/sign-in", data={"name": "Ada", "password": NEW}).status_code == 303

    def test_opening_a_link_confirms_nothing_yet(
        self, client: TestClient, session: Session, ada: Account
    ) -> None:
        token = accounts.make_link(session, ada, purpose="email", email="new@example.org")
        session.commit()
        assert "new@example.org" in client.get(f"/confirm/{token}").text
        assert ada.email == "ada@example.org"
        client.post(f"/confirm/{token}")
        session.expire_all()
        assert accounts.find(session, "Ada").email == "new@example.org"


class TestAccount:
    def test_a_new_name(self, signed_in: TestClient, session: Session, ada: Account) -> None:
        make_account(session, "Ben")
        session.commit()
        page = signed_in.post("/account/name", data={"name": "BEN"})
        assert page.status_code == 409
        assert "is taken" in text_of(page.text)
        assert ">Ada</a>" in page.text
        signed_in.post("/account/name", data={"name": "Adalina"})
        session.expire_all()
        assert session.get_one(Account, ada.id).name == "Adalina"

    @pytest.mark.parametrize(
        ("path", "form"),
        [
            ("/account/password", {"current": "wrong", "password": NEW}),
            ("/account/email", {"email": "new@example.org", "password": "wrong"}),
            ("/account/erase", {"words": "remove", "password": "wrong"}),
        ],
    )
    def test_what_matters_needs_the_password(
        self,
        signed_in: TestClient,
        session: Session,
        ada: Account,
        sent: Sent,
        path: str,
        form: dict[str, str],
    ) -> None:
        page = signed_in.post(path, data=form)
        assert page.status_code == 400
        assert "not your present password" in text_of(page.text)
        session.expire_all()
        accounts.check_password(session, name_or_email="Ada", password=PASSWORD)
        assert sent.jobs == []
        for _ in range(9):
            signed_in.post(path, data=form)
        assert signed_in.post(path, data=form).status_code == 429

    def test_a_new_password_keeps_this_browser_signed_in_only(
        self, signed_in: TestClient, session: Session, ada: Account
    ) -> None:
        accounts.sign_in(session, ada, address="192.0.2.9", user_agent="")
        session.commit()
        answer = signed_in.post("/account/password", data={"current": PASSWORD, "password": NEW})
        assert answer.headers["location"] == "/account?done=password"
        assert n_rows(session, SignIn) == 1
        assert signed_in.get("/account").status_code == 200

    def test_sign_ins_are_listed_and_ended(
        self, signed_in: TestClient, session: Session, ada: Account
    ) -> None:
        for number in range(3):
            accounts.sign_in(
                session, ada, address=f"198.51.100.{number}", user_agent="Chrome/140 Android"
            )
        session.commit()
        page = signed_in.get("/account").text
        assert "Firefox (this one)" in text_of(page)
        assert "from 198.51.100.2" in text_of(page)
        (end, *_) = re.findall(r'action="(/account/sign-ins/[^"]+)"', page)
        signed_in.post(end)
        assert n_rows(session, SignIn) == 3
        signed_in.post("/account/sign-out-everywhere")
        assert n_rows(session, SignIn) == 1
        assert signed_in.get("/account").status_code == 200

    def test_nobody_ends_the_sign_in_of_another(
        self, signed_in: TestClient, session: Session
    ) -> None:
        ben = make_account(session)
        accounts.sign_in(session, ben, address="192.0.2.9", user_agent="")
        session.commit()
        other = session.scalars(select(SignIn).where(SignIn.account_id == ben.id)).one()
        signed_in.post(f"/account/sign-ins/{other.id}/end")
        assert n_rows(session, SignIn) == 2

    def test_signing_out_ends_the_sign_in_for_good(
        self, signed_in: TestClient, session: Session
    ) -> None:
        token = signed_in.cookies[SIGN_IN_COOKIE]
        answer = signed_in.post("/sign-out")
        assert answer.headers["location"] == "/"
        assert "max-age=0" in answer.headers["set-cookie"].lower()
        signed_in.cookies.clear()
        signed_in.cookies.set(SIGN_IN_COOKIE, token)
        assert signed_in.get("/account").status_code == 303

    @pytest.mark.parametrize(("words", "n_left"), [("keep", 1), ("remove", 0)])
    def test_deleting_an_account(
        self,
        signed_in: TestClient,
        session: Session,
        ada: Account,
        study: Study,
        image: Image,
        words: str,
        n_left: int,
    ) -> None:
        play_right(session, ada.player, study)
        answer = signed_in.post("/account/erase", data={"words": words, "password": PASSWORD})
        assert answer.headers["location"] == "/"
        assert n_rows(session, Account) == 0
        assert n_rows(session, SignIn) == 0
        assert n_rows(session, Label) == n_left
        assert n_rows(session, PointsEntry) > 0
        assert signed_in.get("/account").status_code == 303


class TestAdmin:
    @pytest.fixture
    def admin(self, session: Session, client: TestClient) -> Account:
        admin = make_account(session, "Root", role="admin")
        sign_in(session, client, admin)
        return admin

    def test_users_are_found_page_by_page(
        self, client: TestClient, session: Session, admin: Account
    ) -> None:
        for number in range(60):
            make_account(session, f"user-{number:02}")
        session.commit()
        page = client.get("/admin/users").text
        (more,) = re.findall(r'href="(/admin/users\?[^"]+)"', page)
        rest = client.get(more.replace("&amp;", "&")).text
        names = re.findall(r">(user-\d\d)<", page + rest)
        assert sorted(names) == [f"user-{number:02}" for number in range(60)]
        assert "user-07" in client.get("/admin/users", params={"q": "R-07"}).text
        assert "holds “%”" in client.get("/admin/users", params={"q": "%"}).text

    def test_a_role_holds_at_once(
        self, client: TestClient, app: object, session: Session, admin: Account, ada: Account
    ) -> None:
        client.post(f"/admin/users/{ada.id}/role", data={"role": "researcher"})
        sign_in(session, client, ada)
        assert client.get("/studio").status_code == 200

    def test_the_only_admin_cannot_step_down_or_be_erased(
        self, client: TestClient, session: Session, admin: Account
    ) -> None:
        for path, form in (
            ("role", {"role": "player"}),
            ("erase", {"words": "keep", "name": "Root"}),
        ):
            page = client.post(f"/admin/users/{admin.id}/{path}", data=form)
            assert page.status_code == 409
            assert "only admin" in text_of(page.text)
        assert client.get("/admin/users").status_code == 200

    def test_a_link_is_shown_once_and_leads_to_our_own_site(
        self, client: TestClient, admin: Account, ada: Account
    ) -> None:
        page = client.post(
            f"/admin/users/{ada.id}/link", headers={"Host": "elsewhere.example"}
        ).text
        (link,) = re.findall(r"<code>(http[^<]+)</code>", page)
        assert link.startswith("http://127.0.0.1:8000/reset/")
        assert client.get(link.removeprefix("http://127.0.0.1:8000")).status_code == 200
        assert "<code>" not in client.get(f"/admin/users/{ada.id}").text

    def test_somebody_is_signed_out_everywhere(
        self, client: TestClient, session: Session, admin: Account, ada: Account
    ) -> None:
        accounts.sign_in(session, ada, address="192.0.2.9", user_agent="")
        session.commit()
        client.post(f"/admin/users/{ada.id}/sign-out")
        assert accounts.list_sign_ins(session, ada) == []
        client.post(f"/admin/users/{admin.id}/sign-out")
        assert client.get("/admin/users").status_code == 200

    def test_erasing_needs_the_name_typed(
        self, client: TestClient, session: Session, admin: Account, ada: Account
    ) -> None:
        address = f"/admin/users/{ada.id}/erase"
        page = client.post(address, data={"words": "keep", "name": "Adam"})
        assert page.status_code == 422
        assert "Nothing was erased" in text_of(page.text)
        assert n_rows(session, Account) == 2
        assert client.post(address, data={"words": "keep", "name": "ada"}).status_code == 303
        assert n_rows(session, Account) == 1
        assert client.get(f"/admin/users/{ada.id}").status_code == 404


class TestHealth:
    def test_every_part_is_there_and_the_part_is_the_one_in_the_page(
        self, researcher: TestClient
    ) -> None:
        page = researcher.get("/admin/health").text
        for name in ("Database", "Queue", "Workers", "Storage"):
            assert name in text_of(page)
        alone = researcher.get("/admin/health", headers={"HX-Request": "true"}).text
        assert "<h1>" not in alone
        assert 'id="parts"' in alone


def test_every_form_of_ours_posts_and_none_holds_a_password_in_its_address(
    signed_in: TestClient, session: Session
) -> None:
    """The only form that may use GET is a search."""
    for address in ("/account", "/account/erase"):
        page = signed_in.get(address).text
        assert re.findall(r'<form[^>]+method="(\w+)"', page).count("get") == 0
    signed_in.cookies.clear()
    for address in ("/sign-in", "/sign-up", "/forgotten"):
        assert 'method="get"' not in signed_in.get(address).text
