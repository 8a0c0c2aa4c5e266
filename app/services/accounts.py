"""Accounts: signing up, in and out, passwords, e-mail addresses, roles."""

import re
import unicodedata
from datetime import UTC, datetime, timedelta
from typing import Literal
from uuid import UUID

from sqlalchemy import ColumnElement, delete, func, or_, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, joinedload

from app.infra.errors import AppError, ConflictError, InvalidInputError, NotFoundError
from app.infra.mail import Mailer
from app.infra.queue import enqueue
from app.infra.security import hash_password, is_outdated, is_password, new_token, token_digest
from app.models import Account, ApiToken, OneTimeLink, Player, SignIn
from app.services import audit, tokens
from app.services.audit import Subject

# The first mark found counts: Edge calls itself Chrome, too, and Chrome calls itself Safari.
_BROWSERS = {
    "Edg": "Edge",
    "OPR/": "Opera",
    "Firefox/": "Firefox",
    "Chrome/": "Chrome",
    "Safari/": "Safari",
}
_SYSTEMS = {
    "Windows": "Windows",
    "Android": "Android",
    "iPhone": "iPhone",
    "iPad": "iPad",
    "Mac OS X": "macOS",
    "CrOS": "ChromeOS",
    "Linux": "Linux",
}

Role = Literal["player", "researcher", "admin"]

SIGN_IN_AGE = timedelta(days=30)
LINK_AGE = {"password": timedelta(hours=1), "email": timedelta(days=3)}
MIN_PASSWORD_CHARACTERS = 10
MAX_PASSWORD_CHARACTERS = 200
_MAX_EMAIL_CHARACTERS = 254
_SEEN_EVERY = timedelta(minutes=5)  # how exact "last seen" is: not every request writes a row
_NAME = re.compile(r"\w[\w.-]{1,28}\w")
_EMAIL = re.compile(r"[^@\s\x00-\x1f<>,;:\"]+@[^@\s\x00-\x1f<>,;:\"]+\.[^@\s\x00-\x1f<>,;:\".]+")


class WrongPasswordError(AppError):
    """The name and the password do not go together."""


def create(
    session: Session,
    *,
    name: str,
    password: str,
    role: Role = "player",
    guest: Player | None = None,
) -> Account:
    """A new account. A guest becomes its player, with everything earned; without one, it gets a new
    player. ConflictError when the name is taken, InvalidInputError for a name or password that
    cannot be used."""
    name = _checked_name(name)
    _check_password(password, name=name)
    player = _lock_guest(session, guest) or Player(last_seen_at=datetime.now(UTC))
    account = Account(name=name, password_hash=hash_password(password), role=role, player=player)
    try:
        with session.begin_nested():
            player.kind, player.token_digest = "account", None
            session.add(account)
            session.flush()
    except IntegrityError:
        raise ConflictError("The name “%(name)s” is taken. Choose another.", name=name) from None
    return account


def _lock_guest(session: Session, guest: Player | None) -> Player | None:
    """The guest, unless a request at the same moment has given them an account already."""
    if guest is None:
        return None
    return session.scalar(
        select(Player)
        .where(Player.id == guest.id, Player.kind == "guest", Player.merged_into_id.is_(None))
        .with_for_update()
        .execution_options(populate_existing=True)
    )


def _checked_name(name: str) -> str:
    name = unicodedata.normalize("NFKC", name).strip()
    if not _NAME.fullmatch(name):
        raise InvalidInputError(
            "A name has 3 to 30 letters or digits, with dots, hyphens or underscores between them."
        )
    return name


def _check_password(password: str, *, name: str) -> None:
    if not MIN_PASSWORD_CHARACTERS <= len(password) <= MAX_PASSWORD_CHARACTERS:
        raise InvalidInputError(
            "A password has %(least)s to %(most)s characters. "
            "Three or four words that do not belong together are good ones.",
            least=MIN_PASSWORD_CHARACTERS,
            most=MAX_PASSWORD_CHARACTERS,
        )
    if name.lower() in password.lower() or len(set(password)) < 5:
        raise InvalidInputError(
            "That password is too easy to guess: it holds your name, or hardly any different "
            "characters."
        )


def get(session: Session, account_id: UUID) -> Account:
    account = session.get(Account, account_id)
    if account is None:
        raise NotFoundError("There is no such account.")
    return account


def find(session: Session, name: str) -> Account:
    """The account of this name, upper or lower case alike."""
    account = session.scalar(select(Account).where(_is_named(name)))
    if account is None:
        raise NotFoundError("There is no account named “%(name)s”.", name=name)
    return account


def _is_named(name: str) -> ColumnElement[bool]:
    return func.lower(Account.name) == func.lower(_plain(name))


def _has_email(email: str) -> ColumnElement[bool]:
    return func.lower(Account.email) == func.lower(_plain(email))


def _plain(name_or_email: str) -> str:
    """A name or an e-mail address as accounts hold it. PostgreSQL takes no zero character, which
    neither holds."""
    return unicodedata.normalize("NFKC", name_or_email.replace("\x00", "")).strip()


def as_compared(session: Session, name_or_email: str) -> str:
    """The same text for all ways to write a name or an e-mail address that find the same account:
    what tries are counted by. The database says it, whose small letters are not quite Python's."""
    return session.scalar(select(func.lower(_plain(name_or_email)))) or ""


def check_password(session: Session, *, name_or_email: str, password: str) -> Account:
    """The account that this password opens. WrongPasswordError when there is none: the same
    sentence, after the same time, whether the name or the password is wrong."""
    given = _plain(name_or_email)
    account = session.scalar(
        select(Account).where(_has_email(given) if "@" in given else _is_named(given))
    )
    known = account.password_hash if account else None
    if not is_password(password[: MAX_PASSWORD_CHARACTERS + 1], known) or account is None:
        raise WrongPasswordError(
            "This name and this password do not go together. Look at both again, "
            "or have a new password set."
        )
    if is_outdated(account.password_hash):
        account.password_hash = hash_password(password)
    return account


def sign_in(session: Session, account: Account, *, address: str, user_agent: str) -> str:
    """Sign a browser in; the token for its cookie, of which only the digest is stored."""
    token = new_token()
    now = datetime.now(UTC)
    session.add(
        SignIn(
            account=account,
            token_digest=token_digest(token),
            address=address[:45],
            browser=browser_name(user_agent),
            last_seen_at=now,
            expires_at=now + SIGN_IN_AGE,
        )
    )
    session.flush()
    return token


def browser_name(user_agent: str) -> str:
    """What a browser calls itself, in words: "Firefox on Linux"."""
    browser = next((name for mark, name in _BROWSERS.items() if mark in user_agent), "A browser")
    system = next((name for mark, name in _SYSTEMS.items() if mark in user_agent), None)
    return f"{browser} on {system}" if system else browser


def find_sign_in(session: Session, token: str) -> SignIn | None:
    """The sign-in whose cookie this is, with its account; None when it is over or was revoked."""
    now = datetime.now(UTC)
    found = session.scalar(
        select(SignIn)
        .where(SignIn.token_digest == token_digest(token), SignIn.expires_at > now)
        .options(joinedload(SignIn.account))
    )
    if found is not None and now - found.last_seen_at > _SEEN_EVERY:
        found.last_seen_at = now
    return found


def list_sign_ins(session: Session, account: Account) -> list[SignIn]:
    """Where an account is signed in, the last used first."""
    return list(
        session.scalars(
            select(SignIn)
            .where(SignIn.account_id == account.id, SignIn.expires_at > datetime.now(UTC))
            .order_by(SignIn.last_seen_at.desc(), SignIn.id)
        )
    )


def sign_out(session: Session, account: Account, sign_in_id: UUID) -> None:
    """End one sign-in of an account. One that has ended already is none of an error."""
    session.execute(delete(SignIn).where(SignIn.id == sign_in_id, SignIn.account_id == account.id))


def sign_out_everywhere(session: Session, account: Account, *, but: UUID | None = None) -> int:
    """End every sign-in of an account, except one; how many that were."""
    ending = delete(SignIn).where(SignIn.account_id == account.id)
    if but is not None:
        ending = ending.where(SignIn.id != but)
    return len(session.execute(ending.returning(SignIn.id)).all())


def change_password(
    session: Session, account: Account, *, current: str, new: str, sign_in_id: UUID
) -> None:
    """Set another password for somebody who knows the present one; sign out everywhere else."""
    check_own_password(account, current)
    set_password(session, account, new, but=sign_in_id)


def check_own_password(account: Account, password: str) -> None:
    """WrongPasswordError when somebody who is signed in does not know the account's password."""
    if not is_password(password[: MAX_PASSWORD_CHARACTERS + 1], account.password_hash):
        raise WrongPasswordError("That is not your present password.")


def set_password(
    session: Session, account: Account, password: str, *, but: UUID | None = None
) -> None:
    """Set a password, and end every sign-in that was made with the old one (but for one), as well
    as links to set it."""
    _check_password(password, name=account.name)
    account.password_hash = hash_password(password)
    audit.record(session, "account.password", Subject.of_account(account))
    sign_out_everywhere(session, account, but=but)
    session.execute(
        delete(OneTimeLink).where(
            OneTimeLink.account_id == account.id, OneTimeLink.purpose == "password"
        )
    )


def rename(session: Session, account: Account, name: str) -> None:
    """Give an account another name. ConflictError when it is taken."""
    checked = _checked_name(name)
    try:
        with session.begin_nested():
            account.name = checked
            session.flush()
    except IntegrityError:
        raise ConflictError("The name “%(name)s” is taken. Choose another.", name=checked) from None


def change_role(session: Session, account: Account, role: Role) -> None:
    """Set what somebody may do on the site. ConflictError rather than leave it without an admin."""
    if account.role == "admin" and role != "admin":
        refuse_last_admin(session, account)
    audit.record(
        session,
        "account.role",
        Subject.of_account(account),
        before={"role": account.role},
        after={"role": role},
    )
    account.role = role


def refuse_last_admin(session: Session, account: Account) -> None:
    """ConflictError when this is the only admin. Two admins that step down at the same moment wait
    for one another here."""
    admins = session.scalars(
        select(Account.id).where(Account.role == "admin").order_by(Account.id).with_for_update()
    ).all()
    if list(admins) == [account.id]:
        raise ConflictError(
            "%(name)s is the only admin. Make somebody else an admin first.", name=account.name
        )


def search(session: Session, words: str, *, after: str = "", limit: int = 50) -> list[Account]:
    """Accounts whose name or e-mail holds the words, by name; those that come after a name."""
    pattern = "%" + re.sub(r"([%_\\])", r"\\\1", words.replace("\x00", "").strip()) + "%"
    return list(
        session.scalars(
            select(Account)
            .where(or_(Account.name.ilike(pattern), Account.email.ilike(pattern)))
            .where(func.lower(Account.name) > func.lower(after.replace("\x00", "")))
            .order_by(func.lower(Account.name))
            .limit(limit)
        )
    )


# E-mail addresses and one-time links


def ask_to_confirm(session: Session, account: Account, email: str) -> None:
    """Have a link sent to an e-mail address; it is the account's once that has been opened."""
    email = check_email(email)
    enqueue(session, "accounts.send_confirmation", account_id=str(account.id), email=email)


def check_email(email: str) -> str:
    """An e-mail address as accounts hold it. InvalidInputError for what is none."""
    email = _plain(email)
    if len(email) > _MAX_EMAIL_CHARACTERS or not _EMAIL.fullmatch(email):
        raise InvalidInputError("That is not an e-mail address: it looks like ada@example.org.")
    return email


def ask_for_new_password(session: Session, email: str) -> None:
    """Have a link sent to whoever has this e-mail address, if anybody has. A worker looks that up,
    so that the time this takes does not tell."""
    email = _plain(email)
    if len(email) <= _MAX_EMAIL_CHARACTERS:
        enqueue(session, "accounts.send_password_link", email=email)


def send_confirmation(
    session: Session, mailer: Mailer, *, site: str, account_id: UUID, email: str
) -> None:
    """Send the link that confirms an address. Somebody who has the address already is told so, and
    whoever asked learns nothing from that."""
    account = session.get(Account, account_id)
    if account is None:
        return
    other = session.scalar(select(Account).where(_has_email(email), Account.id != account.id))
    if other is not None:
        mailer.send(
            to=email,
            subject="Your e-mail address at Layerplay",
            text=f"Somebody wanted to use this address for another account at {site}.\n"
            f"It belongs to your account “{other.name}”, and nothing has changed.\n",
        )
        return
    token = make_link(session, account, purpose="email", email=email)
    mailer.send(
        to=email,
        subject="Confirm your e-mail address at Layerplay",
        text=f"Hello {account.name},\n\nopen this link within three days to confirm that this is "
        f"your address:\n\n{site}/confirm/{token}\n\n"
        "If you did not ask for it, do nothing.\n",
    )


def send_password_link(session: Session, mailer: Mailer, *, site: str, email: str) -> None:
    """Send the link that sets a new password, when somebody has confirmed this address."""
    account = session.scalar(select(Account).where(_has_email(email)))
    if account is None or account.email is None:
        return
    token = make_link(session, account, purpose="password")
    mailer.send(
        to=account.email,
        subject="A new password for Layerplay",
        text=f"Hello {account.name},\n\nopen this link within an hour to set a new password:\n\n"
        f"{site}/reset/{token}\n\n"
        "If you did not ask for it, do nothing: your password stays as it is.\n",
    )


def make_link(
    session: Session,
    account: Account,
    *,
    purpose: Literal["password", "email"],
    email: str | None = None,
) -> str:
    """The token of a new one-time link; the last one for this purpose no longer works."""
    token = new_token()
    values = {
        "token_digest": token_digest(token),
        "email": email,
        "expires_at": datetime.now(UTC) + LINK_AGE[purpose],
    }
    session.execute(
        insert(OneTimeLink)
        .values(account_id=account.id, purpose=purpose, **values)
        .on_conflict_do_update(index_elements=["account_id", "purpose"], set_=values)
    )
    if purpose == "password":
        audit.record(session, "account.password_link", Subject.of_account(account))
    return token


def find_link(
    session: Session, token: str, *, purpose: Literal["password", "email"], lock: bool = False
) -> OneTimeLink:
    """A one-time link with its account. NotFoundError once it was used, replaced or is over."""
    query = (
        select(OneTimeLink)
        .where(
            OneTimeLink.token_digest == token_digest(token),
            OneTimeLink.purpose == purpose,
            OneTimeLink.expires_at > datetime.now(UTC),
        )
        .options(joinedload(OneTimeLink.account))
    )
    if lock:
        query = query.with_for_update(of=OneTimeLink)
    link = session.scalar(query)
    if link is None:
        raise NotFoundError("This link has been used or is too old. Ask for a new one.")
    return link


def reset_password(session: Session, token: str, *, password: str) -> Account:
    """Set the password that a one-time link is for, sign out everywhere, and take back the access
    tokens: whoever has lost an account gets it back from whoever had it, programs included."""
    account = find_link(session, token, purpose="password", lock=True).account
    set_password(session, account, password)
    tokens.revoke_all(session, account)
    return account


def confirm_email(session: Session, token: str) -> Account:
    """Give an account the e-mail address that its link was sent to."""
    link = find_link(session, token, purpose="email", lock=True)
    account = link.account
    try:
        with session.begin_nested():
            account.email = link.email
            session.flush()
    except IntegrityError:
        raise ConflictError("Another account has confirmed this address meanwhile.") from None
    session.delete(link)
    return account


def forget_expired(session: Session) -> None:
    """Remove sign-ins, links and access tokens that are over."""
    now = datetime.now(UTC)
    for table in (SignIn, OneTimeLink, ApiToken):
        session.execute(delete(table).where(table.expires_at < now))
