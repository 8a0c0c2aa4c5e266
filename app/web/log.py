"""The audit log: of a study for those who moderate it, of the whole site for admins."""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from sqlalchemy.orm import Session
from starlette.responses import Response

from app.models import AuditEntry, Study
from app.services import audit
from app.web.deps import AdminDep, ModeratedStudyDep, RowNumber, SessionDep
from app.web.templating import render

router = APIRouter(default_response_class=Response)


@dataclass(frozen=True, slots=True)
class LogContext:
    """Lines of the log, the latest first. study: None for the whole site. acts: all there are, with
    their words; act: the one asked for, if any. older: the address of the page after this one, None
    on the last."""

    study: Study | None
    entries: list[AuditEntry]
    acts: Mapping[str, str]
    words: str
    act: str
    older: str | None


@router.get("/studio/{slug}/log")
def show_study(
    request: Request,
    session: SessionDep,
    study: ModeratedStudyDep,
    q: str = "",
    act: str = "",
    older_than: RowNumber | None = None,
) -> Response:
    context = _context(session, study, q, act, older_than, address=f"/studio/{study.slug}/log")
    return render(request, "log/show.html", context)


@router.get("/admin/log")
def show_site(
    request: Request,
    session: SessionDep,
    admin: AdminDep,
    q: str = "",
    act: str = "",
    older_than: RowNumber | None = None,
) -> Response:
    context = _context(session, None, q, act, older_than, address="/admin/log")
    return render(request, "log/show.html", context)


def _context(
    session: Session,
    study: Study | None,
    words: str,
    act: str,
    older_than: int | None,
    *,
    address: str,
) -> LogContext:
    entries = audit.find(
        session,
        words=words,
        act=act or None,
        study_id=study.id if study else None,
        older_than=older_than,
    )
    older = None
    if len(entries) == audit.PAGE_SIZE:
        query = {"q": words, "act": act, "older_than": str(entries[-1].id)}
        older = f"{address}?{urlencode({key: value for key, value in query.items() if value})}"
    return LogContext(study, entries, audit.ACTS, words, act, older)
