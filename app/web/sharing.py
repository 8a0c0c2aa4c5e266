"""Who may read explanations: researchers, and whoever holds a link that shares a study's."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, NoReturn
from uuid import UUID

from fastapi import APIRouter, Depends, Form, Request
from sqlalchemy import select
from sqlalchemy.orm import Session
from starlette.responses import Response

from app.infra.errors import ForbiddenError, NotFoundError, SignInNeededError
from app.models import Image, ShareLink, Study
from app.services import access, sharing, studies
from app.services.access import Level
from app.web.deps import (
    MaybeVisitorDep,
    Number,
    OwnedStudyDep,
    RowNumber,
    SessionDep,
    SettingsDep,
    Visitor,
)
from app.web.templating import redirect, render

router = APIRouter(default_response_class=Response)


def may_read(request: Request, session: Session, visitor: Visitor | None, study_id: UUID) -> bool:
    """Whether the visitor may see the explanations of a study, whole pictures included."""
    level = Level.NONE
    if visitor is not None:
        level = access.level(session, visitor.account, study_id=study_id)
    request.state.level = level  # for what the page offers besides reading
    return level >= Level.VIEW or _has_link(request, session, study_id)


def readable(request: Request, session: Session, visitor: Visitor | None) -> list[Study]:
    """The studies whose explanations the visitor may see, newest first. SignInNeededError or
    NotFoundError when there is none."""
    shown = (
        set(session.scalars(access.visible_studies(visitor.account)))
        if visitor is not None
        else set()
    )
    found = [
        study
        for study in studies.list_all(session)
        if study.id in shown or _has_link(request, session, study.id)
    ]
    if not found:
        _refuse(visitor)
    return found


def _refuse(visitor: Visitor | None) -> NoReturn:
    if visitor is None:
        raise SignInNeededError("Sign in to go on.")
    raise NotFoundError("There is no such study, or it is not shared with you.")


def _has_link(request: Request, session: Session, study_id: UUID) -> bool:
    token = request.cookies.get(_cookie(study_id))
    link = sharing.find(session, token) if token else None
    return link is not None and link.study_id == study_id


def _cookie(study_id: UUID) -> str:
    """One for each study, so that a second link does not close what the first opened."""
    return f"layerplay_share_{study_id.hex}"


def _require_reader(
    request: Request, session: Session, visitor: Visitor | None, study_id: UUID | None
) -> None:
    # Strangers are told the same whether there is such a study or not.
    if study_id is None or not may_read(request, session, visitor, study_id):
        _refuse(visitor)


def _require_reader_of_study(
    request: Request, session: SessionDep, visitor: MaybeVisitorDep, slug: str
) -> None:
    study_id = session.scalar(select(Study.id).where(Study.slug == slug))
    _require_reader(request, session, visitor, study_id)


def _require_reader_of_image(
    request: Request, session: SessionDep, visitor: MaybeVisitorDep, image_id: UUID
) -> None:
    study_id = session.scalar(select(Image.study_id).where(Image.id == image_id))
    _require_reader(request, session, visitor, study_id)


# The transaction is the route's own; see SessionDep.
StudyReaderDep = Depends(_require_reader_of_study, scope="function")
ImageReaderDep = Depends(_require_reader_of_image, scope="function")


@dataclass(frozen=True, slots=True)
class SharesContext:
    """links: those that still open something. new_address: the whole address of the link that has
    just been made, shown this once."""

    study: Study
    links: list[ShareLink]
    new_address: str | None
    days: tuple[int, ...]
    address: str


@router.get("/studio/{slug}/shares")
def list_shares(
    request: Request, session: SessionDep, study: OwnedStudyDep, address: str = ""
) -> Response:
    return _shares(request, session, study, address=address or f"/studio/{study.slug}/network")


@router.post("/studio/{slug}/shares")
def share(
    request: Request,
    session: SessionDep,
    study: OwnedStudyDep,
    address: Annotated[str, Form()],
    days: Annotated[Number, Form()],
) -> Response:
    """Make a link. Its token is in this one answer only."""
    _, token = sharing.create(session, study, address=address, days=days)
    new_address = str(request.url_for("open_share", token=token))
    return _shares(request, session, study, address=address, new_address=new_address)


def _shares(
    request: Request,
    session: Session,
    study: Study,
    *,
    address: str,
    new_address: str | None = None,
) -> Response:
    context = SharesContext(
        study=study,
        links=sharing.list_good(session, study.id),
        new_address=new_address,
        days=sharing.DAYS,
        address=address,
    )
    return render(request, "global/shares.html", context)


@router.post("/studio/{slug}/shares/{link_id}/revoke")
def revoke(
    request: Request, session: SessionDep, study: OwnedStudyDep, link_id: RowNumber
) -> Response:
    sharing.revoke(session, study, link_id)
    return redirect(request, f"/studio/{study.slug}/shares")


@router.get("/shared/{token}")
def open_share(
    request: Request, session: SessionDep, settings: SettingsDep, token: str
) -> Response:
    """Take a link's token for a cookie that reads the study's explanations, and go to the page."""
    link = sharing.find(session, token)
    if link is None:
        raise ForbiddenError(
            "This link has ended or was taken back. Ask whoever sent it for a new one."
        )
    response = redirect(request, link.address)
    left = link.expires_at - datetime.now(UTC)
    response.set_cookie(
        _cookie(link.study_id),
        token,
        max_age=max(int(left.total_seconds()), 0),
        httponly=True,
        samesite="lax",
        secure=settings.secure_cookies,
    )
    return response
