"""Accounts: who gets in, what ends a sign-in, what a link can do."""

import time
from datetime import UTC, datetime, timedelta
from statistics import median
from uuid import uuid4

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.infra.errors import ConflictError, InvalidInputError, NotFoundError
from app.infra.mail import Mailer
from app.infra.queue import queued_jobs
from app.infra.security import hash_password, is_outdated, is_password, token_digest
from app.models import Account, OneTimeLink, Player, SignIn
from app.services import accounts, audit, players, tokens
from app.services.accounts import WrongPasswordError
from tests.factories import PASSWORD, make_account

SITE = "https://play.example"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


@pytest.fixture
def ada(session: Session) -> Account:
    return make_account(session, "Ada", email="ada@example.org")


def sign_in(session: Session, account: Account) -> SignIn:
    token = accounts.sign_in(session, account, address="192.0.2.7", user_agent=FIREFOX)
    found = accounts.find_sign_in(session, token)
    assert found is not None
    return found


class TestSigningUp:
    def test_a_password_is_stored_as_argon2id_only(self, session: Session) -> None:
        account = accounts.create(session, name="Ada", password=PASSWORD)
        assert account.password_hash.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
        assert is_password(PASSWORD, account.password_hash)

    @pytest.mark.parametrize("taken", ["Zoë.M", "zoë.m", "ZOË.M", "  Zoë.M "])
    def test_a_name_is_taken_in_upper_and_lower_case(self, session: Session, taken: str) -> None:
        accounts.create(session, name="Zoë.M", password=PASSWORD)
        with pytest.raises(ConflictError, match="is taken"):
            accounts.create(session, name=taken, password=PASSWORD)

    @pytest.mark.parametrize("name", ["", "ab", "-ada", "ada.", "a b c", "a@b.c", "x" * 31, "a\0b"])
    def test_a_name_of_another_form_is_refused(self, session: Session, name: str) -> None:
        with pytest.raises(InvalidInputError, match="3 to 30"):
            accounts.create(session, name=name, password=PASSWORD)

    @pytest.mark.parametrize("password", ["", "short", "x" * 201, "AdaLovelace1", "aaaaabbbbb"])
    def test_a_weak_password_is_refused(self, session: Session, password: str) -> None:
        with pytest.raises(InvalidInputError):
            accounts.create(session, name="ada", password=password)
        assert session.scalar(select(func.count()).select_from(Account)) == 0

    def test_a_guest_becomes_the_accounts_player(self, session: Session) -> None:
        guest, token = players.create_guest(session)
        account = accounts.create(session, name="Ada", password=PASSWORD, guest=guest)
        assert account.player_id == guest.id
        assert players.find_player(session, token) is None

    def test_a_guest_belongs_to_one_account_only(self, session: Session) -> None:
        guest, _ = players.create_guest(session)
        first = accounts.create(session, name="Ada", password=PASSWORD, guest=guest)
        second = accounts.create(session, name="Ben", password=PASSWORD, guest=guest)
        assert first.player_id == guest.id
        assert second.player_id != guest.id

    def test_a_taken_name_leaves_the_guest_as_it_was(self, session: Session, ada: Account) -> None:
        guest, token = players.create_guest(session)
        with pytest.raises(ConflictError):
            accounts.create(session, name="ADA", password=PASSWORD, guest=guest)
        found = players.find_player(session, token)
        assert found is not None
        assert found.kind == "guest"


class TestSigningIn:
    @pytest.mark.parametrize("given", ["Ada", "aDA", " ada ", "ada@example.org", "ADA@Example.org"])
    def test_by_name_or_email(self, session: Session, ada: Account, given: str) -> None:
        found = accounts.check_password(session, name_or_email=given, password=PASSWORD)
        assert found.id == ada.id

    def test_a_wrong_name_and_a_wrong_password_get_the_same_answer(
        self, session: Session, ada: Account
    ) -> None:
        said = set()
        for name, password in (("Ada", "not the password"), ("Nobody", PASSWORD), ("\0", "x")):
            with pytest.raises(WrongPasswordError) as caught:
                accounts.check_password(session, name_or_email=name, password=password)
            said.add(caught.value.message)
        assert len(said) == 1

    def test_a_wrong_name_takes_as_long_as_a_wrong_password(self) -> None:
        """Hashing is what takes the time, so it is done for nobody's password as well."""
        hashed = hash_password(PASSWORD)

        def seconds(known: str | None) -> float:
            started = time.process_time()
            assert not is_password("not the password", known)
            return time.process_time() - started

        is_password("", None)  # makes nobody's hash
        taken = [(seconds(hashed), seconds(None)) for _ in range(5)]
        wrong, nobody = median(t[0] for t in taken), median(t[1] for t in taken)
        assert wrong / 2 < nobody < wrong * 2

    def test_a_hash_of_old_parameters_is_made_anew(self, session: Session, ada: Account) -> None:
        assert is_outdated(ada.password_hash)
        accounts.check_password(session, name_or_email="Ada", password=PASSWORD)
        assert not is_outdated(ada.password_hash)
        assert is_password(PASSWORD, ada.password_hash)

    def test_only_the_digest_of_the_token_is_stored(self, session: Session, ada: Account) -> None:
        token = accounts.sign_in(session, ada, address="192.0.2.7", user_agent=FIREFOX)
        stored = session.scalars(select(SignIn)).one()
        assert stored.token_digest == token_digest(token)
        assert (stored.address, stored.browser) == ("192.0.2.7", "Firefox on Linux")
        assert accounts.find_sign_in(session, token) is stored
        assert accounts.find_sign_in(session, token + "x") is None

    def test_a_sign_in_ends_after_thirty_days(self, session: Session, ada: Account) -> None:
        token = accounts.sign_in(session, ada, address="::1", user_agent="")
        stored = session.scalars(select(SignIn)).one()
        assert stored.expires_at - stored.last_seen_at == timedelta(days=30)
        stored.expires_at = datetime.now(UTC) - timedelta(seconds=1)
        session.flush()
        assert accounts.find_sign_in(session, token) is None
        accounts.forget_expired(session)
        assert session.scalars(select(SignIn)).all() == []

    def test_last_seen_is_renewed_every_few_minutes(self, session: Session, ada: Account) -> None:
        token = accounts.sign_in(session, ada, address="::1", user_agent="")
        stored = session.scalars(select(SignIn)).one()
        before = stored.last_seen_at
        accounts.find_sign_in(session, token)
        assert stored.last_seen_at == before
        stored.last_seen_at = before - timedelta(minutes=6)
        accounts.find_sign_in(session, token)
        assert stored.last_seen_at >= before

    @pytest.mark.parametrize(
        ("user_agent", "name"),
        [
            (FIREFOX, "Firefox on Linux"),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Safari/604",
                "Safari on iPhone",
            ),
            ("Mozilla/5.0 (Windows NT 10.0) Chrome/140 Safari/537.36 Edg/140", "Edge on Windows"),
            ("Mozilla/5.0 (Linux; Android 15) Chrome/140 Mobile Safari/537", "Chrome on Android"),
            ("curl/8", "A browser"),
        ],
    )
    def test_a_browser_is_named_in_words(self, user_agent: str, name: str) -> None:
        assert accounts.browser_name(user_agent) == name


class TestSigningOut:
    def test_one_browser(self, session: Session, ada: Account) -> None:
        here, there = sign_in(session, ada), sign_in(session, ada)
        accounts.sign_out(session, ada, here.id)
        assert accounts.list_sign_ins(session, ada) == [there]

    def test_nobody_elses(self, session: Session, ada: Account) -> None:
        other = sign_in(session, make_account(session))
        accounts.sign_out(session, ada, other.id)
        assert accounts.list_sign_ins(session, other.account) == [other]

    def test_everywhere_else(self, session: Session, ada: Account) -> None:
        here, _, _ = (sign_in(session, ada) for _ in range(3))
        assert accounts.sign_out_everywhere(session, ada, but=here.id) == 2
        assert accounts.list_sign_ins(session, ada) == [here]
        assert accounts.sign_out_everywhere(session, ada) == 1


class TestPasswords:
    def test_a_change_needs_the_present_one_and_ends_other_sign_ins(
        self, session: Session, ada: Account
    ) -> None:
        here, _ = sign_in(session, ada), sign_in(session, ada)
        accounts.make_link(session, ada, purpose="password")
        with pytest.raises(WrongPasswordError):
            accounts.change_password(
                session, ada, current="wrong one", new="a new long one", sign_in_id=here.id
            )
        accounts.change_password(
            session, ada, current=PASSWORD, new="a new long one", sign_in_id=here.id
        )
        assert accounts.list_sign_ins(session, ada) == [here]
        assert session.scalars(select(OneTimeLink)).all() == []
        accounts.check_password(session, name_or_email="Ada", password="a new long one")

    def test_a_link_sets_one_once_and_signs_out_everywhere(
        self, session: Session, ada: Account
    ) -> None:
        sign_in(session, ada)
        token = accounts.make_link(session, ada, purpose="password")
        accounts.reset_password(session, token, password="a new long one")
        assert accounts.list_sign_ins(session, ada) == []
        with pytest.raises(NotFoundError, match="has been used"):
            accounts.reset_password(session, token, password="another long one")
        accounts.check_password(session, name_or_email="Ada", password="a new long one")

    def test_a_link_takes_back_the_access_tokens(self, session: Session, ada: Account) -> None:
        _, token = tokens.create(session, ada, name="theirs", scopes={"read"}, days=1)
        _, others = tokens.create(
            session, make_account(session), name="another's", scopes={"read"}, days=1
        )
        link = accounts.make_link(session, ada, purpose="password")
        accounts.reset_password(session, link, password="a new long one")
        assert tokens.find(session, token) is None
        assert tokens.find(session, others) is not None
        (line,) = audit.find(session, act="token.revoke")
        assert line.subject_name == "theirs"

    def test_a_password_of_ones_own_choice_leaves_them(
        self, session: Session, ada: Account
    ) -> None:
        _, token = tokens.create(session, ada, name="mine", scopes={"read"}, days=1)
        here = sign_in(session, ada)
        accounts.change_password(
            session, ada, current=PASSWORD, new="a new long one", sign_in_id=here.id
        )
        assert tokens.find(session, token) is not None

    def test_a_weak_one_leaves_the_link_usable(self, session: Session, ada: Account) -> None:
        token = accounts.make_link(session, ada, purpose="password")
        with pytest.raises(InvalidInputError):
            accounts.reset_password(session, token, password="short")
        accounts.reset_password(session, token, password="a new long one")

    def test_a_link_ends_after_an_hour(self, session: Session, ada: Account) -> None:
        token = accounts.make_link(session, ada, purpose="password")
        link = accounts.find_link(session, token, purpose="password")
        assert timedelta(minutes=59) < link.expires_at - datetime.now(UTC) < timedelta(minutes=61)
        link.expires_at = datetime.now(UTC)
        session.flush()
        with pytest.raises(NotFoundError):
            accounts.find_link(session, token, purpose="password")

    def test_a_new_link_takes_the_place_of_the_last(self, session: Session, ada: Account) -> None:
        first = accounts.make_link(session, ada, purpose="password")
        accounts.make_link(session, ada, purpose="password")
        with pytest.raises(NotFoundError):
            accounts.find_link(session, first, purpose="password")

    def test_a_link_for_an_email_sets_no_password(self, session: Session, ada: Account) -> None:
        token = accounts.make_link(session, ada, purpose="email", email="new@example.org")
        with pytest.raises(NotFoundError):
            accounts.reset_password(session, token, password="a new long one")


class Outbox(Mailer):
    """A mailer that keeps what would be sent."""

    def __init__(self) -> None:
        super().__init__(None, sender="x@example.org")
        self.sent: list[tuple[str, str]] = []

    def send(self, *, to: str, subject: str, text: str) -> None:
        self.sent.append((to, text))


def token_in(text: str, path: str) -> str:
    return text.partition(f"{SITE}/{path}/")[2].split()[0]


class TestEmail:
    def test_asking_for_a_new_password_does_the_same_for_known_and_unknown(
        self, session: Session, ada: Account
    ) -> None:
        for email in ("ada@example.org", "nobody@example.org"):
            accounts.ask_for_new_password(session, email)
        assert [job.name for job in queued_jobs(session)] == ["accounts.send_password_link"] * 2

    def test_the_link_goes_to_the_address_of_the_account(
        self, session: Session, ada: Account
    ) -> None:
        outbox = Outbox()
        accounts.send_password_link(session, outbox, site=SITE, email="ADA@example.org")
        ((to, text),) = outbox.sent
        assert to == "ada@example.org"
        accounts.reset_password(session, token_in(text, "reset"), password="a new long one")

    def test_an_unknown_address_gets_nothing(self, session: Session, ada: Account) -> None:
        outbox = Outbox()
        accounts.send_password_link(session, outbox, site=SITE, email="nobody@example.org")
        assert outbox.sent == []

    def test_an_address_counts_once_its_link_was_opened(
        self, session: Session, ada: Account
    ) -> None:
        outbox = Outbox()
        accounts.send_confirmation(
            session, outbox, site=SITE, account_id=ada.id, email="new@example.org"
        )
        assert ada.email == "ada@example.org"
        ((to, text),) = outbox.sent
        assert to == "new@example.org"
        accounts.confirm_email(session, token_in(text, "confirm"))
        assert ada.email == "new@example.org"

    def test_that_of_another_account_tells_its_owner_and_nobody_else(
        self, session: Session, ada: Account
    ) -> None:
        thief, outbox = make_account(session), Outbox()
        accounts.send_confirmation(
            session, outbox, site=SITE, account_id=thief.id, email="Ada@Example.org"
        )
        ((_, text),) = outbox.sent
        assert "nothing has changed" in text
        assert thief.name not in text
        assert session.scalars(select(OneTimeLink)).all() == []

    def test_of_two_who_ask_for_one_address_the_first_to_confirm_has_it(
        self, session: Session
    ) -> None:
        first, second = make_account(session), make_account(session)
        tokens = [
            accounts.make_link(session, one, purpose="email", email=email)
            for one, email in ((first, "x@example.org"), (second, "X@example.org"))
        ]
        accounts.confirm_email(session, tokens[0])
        with pytest.raises(ConflictError):
            accounts.confirm_email(session, tokens[1])
        assert second.email is None

    def test_an_account_that_is_gone_gets_nothing(self, session: Session) -> None:
        outbox = Outbox()
        accounts.send_confirmation(session, outbox, site=SITE, account_id=uuid4(), email="a@b.cd")
        assert outbox.sent == []

    @pytest.mark.parametrize(
        "email", ["", "ada", "a@b", "a b@c.de", "a@b@c.de", "x" * 250 + "@c.de"]
    )
    def test_what_is_no_address_is_refused(
        self, session: Session, ada: Account, email: str
    ) -> None:
        with pytest.raises(InvalidInputError, match="not an e-mail address"):
            accounts.ask_to_confirm(session, ada, email)


class TestRoles:
    def test_the_only_admin_stays(self, session: Session) -> None:
        boss = make_account(session, "boss", role="admin")
        with pytest.raises(ConflictError, match="only admin"):
            accounts.change_role(session, boss, "player")
        make_account(session, role="admin")
        accounts.change_role(session, boss, "player")
        assert boss.role == "player"

    def test_accounts_are_found_by_part_of_their_name_or_email(
        self, session: Session, ada: Account
    ) -> None:
        ben = make_account(session, "Ben_10")
        make_account(session, "Cleo")
        assert accounts.search(session, "EXAMPLE") == [ada]
        assert accounts.search(session, "n_1") == [ben]
        assert accounts.search(session, "%") == []
        assert [a.name for a in accounts.search(session, "", limit=2)] == ["Ada", "Ben_10"]
        assert [a.name for a in accounts.search(session, "", after="ben_10")] == ["Cleo"]


def test_every_account_has_a_player_of_its_own(session: Session) -> None:
    for name in ("Ada", "Ben"):
        accounts.create(session, name=name, password=PASSWORD)
    assert session.scalar(select(func.count()).where(Player.kind == "account")) == 2
