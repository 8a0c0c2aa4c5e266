"""Access tokens: with one, a program acts for an account, as far as its scopes go.

A scope never gives more than the account itself may do: what is asked of people is asked of the
token's owner as well.
"""

from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final, Literal
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload

from app.infra.errors import ConflictError, InvalidInputError, NotFoundError
from app.infra.security import new_token, token_digest
from app.models import Account, ApiToken
from app.services import audit
from app.services.audit import Subject

Scope = Literal["play", "read", "moderate", "manage", "export"]

SCOPES: Final[Mapping[Scope, str]] = {
    "play": "play rounds and see points",
    "read": "look at studies, pictures, explanations and concepts",
    "moderate": "decide about labels, players and concepts",
    "manage": "make studies, and open, pause and close their games",
    "export": "take data out, and make snapshots",
}
"""What each scope lets a program do, in words that follow “may”."""

PREFIX: Final = "layerplay_"
"""Every token begins so: programs that look for secrets in what is published find it by that."""

MAX_TOKENS: Final = 50
"""Of one account. Who needs more has a program that forgets to take its own back."""

MAX_DAYS: Final = 366
_USED_EVERY: Final = timedelta(minutes=5)  # how exact "last used" is: not every call writes a row


def create(
    session: Session, account: Account, *, name: str, scopes: Collection[Scope], days: int
) -> tuple[ApiToken, str]:
    """A new token, and its text, which nobody can be shown again. days: until it ends by itself."""
    name = " ".join(name.split())
    if not name or len(name) > 60 or not name.isprintable():
        raise InvalidInputError("A token needs a name of 1 to 60 letters, to know it by.")
    if not scopes:
        raise InvalidInputError("Tick at least one thing that the token may be used for.")
    if unknown := set(scopes) - set(SCOPES):
        raise InvalidInputError(f"There is no scope “{min(unknown)}”.")
    if not 1 <= days <= MAX_DAYS:
        raise InvalidInputError(f"A token lasts for 1 to {MAX_DAYS} days.")
    if len(list_valid(session, account)) >= MAX_TOKENS:
        raise ConflictError(f"You have {MAX_TOKENS} tokens. Take back one that you do not need.")
    text = PREFIX + new_token()
    token = ApiToken(
        account=account,
        name=name,
        token_digest=token_digest(text),
        scopes=[scope for scope in SCOPES if scope in scopes],
        expires_at=datetime.now(UTC) + timedelta(days=days),
    )
    session.add(token)
    session.flush()
    after = {"scopes": token.scopes, "days": days}
    audit.record(session, "token.create", _subject(token), after=after)
    return token, text


def list_valid(session: Session, account: Account) -> list[ApiToken]:
    """An account's tokens that open something, the newest first."""
    return list(
        session.scalars(
            select(ApiToken)
            .where(ApiToken.account_id == account.id, ApiToken.expires_at > datetime.now(UTC))
            .order_by(ApiToken.created_at.desc(), ApiToken.id)
        )
    )


def revoke(session: Session, account: Account, token_id: UUID) -> None:
    """Take a token back: the next call with it is refused."""
    token = session.scalar(
        select(ApiToken).where(ApiToken.id == token_id, ApiToken.account_id == account.id)
    )
    if token is None:
        raise NotFoundError("There is no such token of yours, or you have taken it back already.")
    _revoke(session, token)
    session.flush()


def revoke_all(session: Session, account: Account) -> None:
    """Take back every token of an account."""
    for token in list_valid(session, account):
        _revoke(session, token)
    session.flush()


def _revoke(session: Session, token: ApiToken) -> None:
    audit.record(session, "token.revoke", _subject(token))
    session.delete(token)


def find(session: Session, text: str) -> ApiToken | None:
    """The token with its account; None for one that is over, was taken back, or never was."""
    if not text.startswith(PREFIX):
        return None
    now = datetime.now(UTC)
    token = session.scalar(
        select(ApiToken)
        .where(ApiToken.token_digest == token_digest(text), ApiToken.expires_at > now)
        .options(joinedload(ApiToken.account))
    )
    if token is not None and (token.last_used_at is None or now - token.last_used_at > _USED_EVERY):
        token.last_used_at = now
    return token


def _subject(token: ApiToken) -> Subject:
    return Subject("token", str(token.id), token.name)
