"""Links by which anybody may read a study's explanations, until they end or are taken back."""

from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.infra.errors import InvalidInputError, NotFoundError
from app.infra.security import new_token, token_digest
from app.models import ShareLink, Study
from app.services import audit
from app.services.audit import Subject

DAYS: Final = (1, 7, 30, 365)
"""How long a link may last."""


def create(
    session: Session, study: Study, *, address: str, days: int, now: datetime | None = None
) -> tuple[ShareLink, str]:
    """A new link that opens `address`, a page of this site, and its token, which is kept nowhere.

    Who has it may read all explanations of the study, whole pictures included.
    """
    if days not in DAYS:
        raise InvalidInputError(f"A link can last {', '.join(map(str, DAYS))} days.")
    if not address.startswith("/") or address.startswith("//") or "\\" in address:
        raise InvalidInputError("Only pages of this site can be shared.")
    token = new_token()
    link = ShareLink(
        study_id=study.id,
        address=address,
        token_digest=token_digest(token),
        expires_at=(now or datetime.now(UTC)) + timedelta(days=days),
    )
    session.add(link)
    session.flush()
    after = {"opens": address, "days": days}
    audit.record(session, "study.share", Subject.of_study(study), study=study, after=after)
    return link, token


def find(session: Session, token: str) -> ShareLink | None:
    """The link of a token, while it is good."""
    return session.scalar(
        select(ShareLink).where(
            ShareLink.token_digest == token_digest(token),
            ShareLink.revoked_at.is_(None),
            ShareLink.expires_at > datetime.now(UTC),
        )
    )


def list_good(session: Session, study_id: UUID) -> list[ShareLink]:
    """The study's links that still open something, newest first."""
    return list(
        session.scalars(
            select(ShareLink)
            .where(
                ShareLink.study_id == study_id,
                ShareLink.revoked_at.is_(None),
                ShareLink.expires_at > datetime.now(UTC),
            )
            .order_by(ShareLink.created_at.desc(), ShareLink.id.desc())
        )
    )


def revoke(session: Session, study: Study, link_id: int) -> None:
    """Take a link back, at once for everybody who has it. Done twice it changes nothing."""
    link = session.scalar(
        select(ShareLink).where(ShareLink.id == link_id, ShareLink.study_id == study.id)
    )
    if link is None:
        raise NotFoundError("There is no such link.")
    if link.revoked_at is None:
        link.revoked_at = datetime.now(UTC)
        before = {"opens": link.address}
        audit.record(session, "study.unshare", Subject.of_study(study), study=study, before=before)
