"""The local explanation of an image, layer by layer."""

from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from fastapi import APIRouter, Request
from starlette.responses import Response

from app import rules
from app.infra.errors import NotFoundError
from app.services import explanations
from app.services.explanations import LocalPage, Merge
from app.web.deps import SessionDep, StorageDep
from app.web.sharing import ImageReaderDep
from app.web.templating import render

router = APIRouter(
    prefix="/explanations", dependencies=[ImageReaderDep], default_response_class=Response
)

_PICTURE_HEADERS = {"Cache-Control": "private, max-age=31536000, immutable"}


@dataclass(frozen=True, slots=True)
class ExplanationContext:
    """page: the explanation. players: whose words were asked for, None when nobody's in
    particular; links keep it. top_score: the highest concept score on it, the end of the bars.
    strongest: by layer number, the concept with the highest score in the layer."""

    page: LocalPage
    players: Literal["people", "simulated"] | None
    top_score: float
    strongest: dict[int, str]


@router.get("/{image_id}")
def show(
    request: Request,
    session: SessionDep,
    image_id: UUID,
    merge: Merge = "none",
    players: Literal["people", "simulated"] | None = None,
) -> Response:
    simulated = None if players is None else players == "simulated"
    page = explanations.local(session, image_id, merge=merge, simulated=simulated)
    best = {
        layer.number: max(found, key=lambda concept: concept[1])
        for layer in page.layers
        if (found := [concept for group in layer.groups for concept in group.concepts])
    }
    context = ExplanationContext(
        page=page,
        players=players,
        top_score=max((score for _, score in best.values()), default=0.0),
        strongest={number: name for number, (name, _) in best.items()},
    )
    return render(request, "explanations/show.html", context)


@router.get("/{image_id}/maps/{map_ids}.jpg")
def overlay(session: SessionDep, storage: StorageDep, image_id: UUID, map_ids: str) -> Response:
    """The picture under the heat map of one cluster map, or of several joined (ids with commas)."""
    content = explanations.overlay(
        session,
        storage,
        image=explanations.get_image(session, image_id),
        map_ids=_read_ids(map_ids),
    )
    return Response(content, media_type="image/jpeg", headers=_PICTURE_HEADERS)


@router.get("/{image_id}/maps/{map_ids}/region-{reveal_index}.jpg")
def region(
    session: SessionDep, storage: StorageDep, image_id: UUID, map_ids: str, reveal_index: int
) -> Response:
    """What players saw of the picture at a reveal index (0 to 5)."""
    if not 0 <= reveal_index <= rules.LAST_REVEAL_INDEX:
        raise NotFoundError("There is no such step.")
    content = explanations.region(
        session,
        storage,
        image=explanations.get_image(session, image_id),
        map_ids=_read_ids(map_ids),
        reveal_index=reveal_index,
    )
    return Response(content, media_type="image/jpeg", headers=_PICTURE_HEADERS)


def _read_ids(text: str) -> list[UUID]:
    try:
        return [UUID(part) for part in text.split(",")]
    except ValueError:
        raise NotFoundError("There is no such cluster map of this picture.") from None
