"""The local explanation of an image, layer by layer."""

import json
from dataclasses import asdict, dataclass
from typing import Any, Literal
from uuid import UUID

from fastapi import APIRouter, Request
from sqlalchemy.orm import Session
from starlette.responses import Response

from app import rules
from app.infra.errors import NotFoundError
from app.models import Contrast
from app.services import contrasts, explanations
from app.services.explanations import LocalPage, Merge
from app.web.deps import Number, SessionDep, StorageDep
from app.web.downloads import download, to_csv
from app.web.river import River, draw_river
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
    choices: the classes that the answer can be set against. contrasts: those that can be looked at.
    """

    page: LocalPage
    players: Literal["people", "simulated"] | None
    top_score: float
    river: River
    choices: list[tuple[int, str]]
    contrasts: list[Contrast]


@router.get("/{image_id}")
def show(
    request: Request,
    session: SessionDep,
    image_id: UUID,
    merge: Merge = "none",
    players: Literal["people", "simulated"] | None = None,
    against: Number | None = None,
) -> Response:
    page = _page(session, image_id, merge, players, against)
    scores = [
        score for layer in page.layers for group in layer.groups for _, score in group.concepts
    ]
    context = ExplanationContext(
        page=page,
        players=players,
        top_score=max(scores, default=0.0),
        river=draw_river(page.layers),
        choices=contrasts.choices(session, page.image),
        contrasts=contrasts.done(session, image_id),
    )
    return render(request, "explanations/show.html", context)


def _page(
    session: Session,
    image_id: UUID,
    merge: Merge,
    players: Literal["people", "simulated"] | None,
    against: int | None,
) -> LocalPage:
    simulated = None if players is None else players == "simulated"
    return explanations.local(session, image_id, merge=merge, simulated=simulated, against=against)


@router.get("/{image_id}/data.json")
def data_json(
    session: SessionDep,
    image_id: UUID,
    merge: Merge = "none",
    players: Literal["people", "simulated"] | None = None,
    against: Number | None = None,
) -> Response:
    """All numbers of the page."""
    page = _page(session, image_id, merge, players, against)
    content = local_numbers(page)
    text = json.dumps(content, indent=1, ensure_ascii=False, default=str)
    return download(text, f"{page.study.slug}-picture-{image_id}.json")


def local_numbers(page: LocalPage) -> dict[str, Any]:
    """All numbers of a picture's explanation, by name."""
    return {
        "study": page.study.name,
        "network": page.study.network.name,
        "picture": page.image.file_name,
        "class": page.image.image_class.name,
        "said": page.image.target_name,
        "probability": page.image.probability,
        "players": "simulated" if page.simulated else "people",
        "agreement": page.agreement and asdict(page.agreement),
        "run": page.run and {"number": page.run.number, **page.run.made_by},
        "against": page.contrast
        and {
            "class": page.contrast.other_name,
            "status": page.contrast.status,
            "logit_difference": page.contrast.difference,
        },
        "layers": [asdict(layer) for layer in page.layers],
    }


@router.get("/{image_id}/data.csv")
def data_csv(
    session: SessionDep,
    image_id: UUID,
    merge: Merge = "none",
    players: Literal["people", "simulated"] | None = None,
    against: Number | None = None,
) -> Response:
    """A row for each concept of each map, and one for a map without any."""
    page = _page(session, image_id, merge, players, against)
    rows: list[list[Any]] = [
        [
            *("layer", "layer_name", "map", "weight_percent", "effect", "feature_maps"),
            *("wins", "losses", "resignations", "nothing_nameable", "named", "agreement_alpha"),
            *("concept", "score", "rounds_given"),
        ]
    ]
    for layer in page.layers:
        for number, group in enumerate(layer.groups, start=1):
            head: list[Any] = [layer.number, layer.name, number, group.weight]
            head += [group.effect, group.n_feature_maps]
            record: list[Any] = [group.wins, group.losses, group.resignations]
            alpha = group.agreement.alpha if group.agreement else None
            record += [group.answers.n_nothing, group.answers.n_named, alpha]
            rows += [
                [*head, *record, name, score, group.given.get(name, "")]
                for name, score in group.concepts
            ] or [[*head, *record, "", "", ""]]
    return download(to_csv(rows), f"{page.study.slug}-picture-{image_id}.csv")


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
    session: SessionDep, storage: StorageDep, image_id: UUID, map_ids: str, reveal_index: Number
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
