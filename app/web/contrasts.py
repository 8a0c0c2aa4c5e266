"""Setting what the network said of a picture against another class."""

from dataclasses import dataclass
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Form, Request
from starlette.responses import Response

from app.infra.errors import NotFoundError
from app.models import Contrast
from app.services import contrasts, explanations
from app.web.deps import ModeratedStudyDep, Number, SessionDep
from app.web.sharing import ImageReaderDep
from app.web.templating import is_htmx, redirect, render

router = APIRouter(default_response_class=Response)


@dataclass(frozen=True, slots=True)
class ContrastContext:
    """A contrast that was asked for."""

    contrast: Contrast


@router.post("/studio/{slug}/pictures/{image_id}/contrasts")
def ask(
    request: Request,
    session: SessionDep,
    study: ModeratedStudyDep,
    image_id: UUID,
    against: Annotated[Number, Form()],
    players: Annotated[Literal["people", "simulated"] | None, Form()] = None,
) -> Response:
    image = explanations.get_image(session, image_id)
    if image.study_id != study.id:
        raise NotFoundError("There is no such picture in this study.")
    contrasts.ask(session, image, other_index=against)
    chosen = f"&players={players}" if players else ""
    return redirect(request, f"/explanations/{image_id}?against={against}{chosen}")


@router.get("/explanations/{image_id}/contrasts/{other_index}", dependencies=[ImageReaderDep])
def show(request: Request, session: SessionDep, image_id: UUID, other_index: Number) -> Response:
    """How far a contrast is, for the page that asks every two seconds while it is computed."""
    if not is_htmx(request):
        return redirect(request, f"/explanations/{image_id}?against={other_index}")
    contrast = contrasts.find(session, image_id, other_index=other_index)
    if contrast is None:
        raise NotFoundError("Nobody has asked for this contrast.")
    headers = None if contrast.status == "pending" else {"HX-Refresh": "true"}
    context = ContrastContext(contrast)
    return render(request, "explanations/_contrast.html", context, headers=headers)
