"""Making a study: choose a network, hand in pictures, choose layers and rules, make it for good."""

from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Request
from pydantic import Field
from sqlalchemy.orm import Session
from starlette.responses import Response

from app.models import Network, StudyDraft
from app.services import drafts
from app.web import uploads
from app.web.api.callers import DraftDep, MakerDep
from app.web.api.paging import Cursor, Limit, page, read_cursor, row_number
from app.web.api.shapes import Page, Shape, Text, example
from app.web.api.studies import StudyOut, Visibility, study_out
from app.web.deps import SessionDep, SettingsDep, StorageDep

router = APIRouter(tags=["studies in the making"])

_DRAFT = "0f6b5a5e-2c1d-4b8e-8a77-3d5f1f0c9b20"

Names = Annotated[list[Text], Field(max_length=1000)]


class NetworkOut(Shape):
    """A network that was used here before. source: how a draft names it."""

    model_config = example(
        source="registered:1", name="picturebook", architecture="resnet18", n_classes=5
    )

    source: str
    name: str
    architecture: str
    n_classes: int


class NewDraft(Shape):
    """network: the source of one that is known here, or the name of one of torchvision’s with its
    published weights, such as resnet18."""

    model_config = example(name="Boats", network="registered:1")

    name: Text
    network: Text


class LayerOut(Shape):
    """A layer of the network, the first at the input. is_chosen: whether the study looks at it."""

    model_config = example(name="layer3", n_channels=256, is_chosen=True)

    name: str
    n_channels: int
    is_chosen: bool


class RefusalOut(Shape):
    """A file that did not go in, and why."""

    model_config = example(
        file_name="boats/notes.txt", reason="It is no picture that can be opened."
    )

    file_name: str
    reason: str


class DraftOut(Shape):
    """A study in the making. n_waiting: files that nobody has looked at yet. lacks: what is missing
    before it can be finished, in sentences. network_problem: why the network cannot be read;
    layers are there once it has been."""

    model_config = example(
        id=_DRAFT,
        name="Boats",
        network="picturebook",
        network_problem=None,
        layers=[{"name": "layer3", "n_channels": 256, "is_chosen": True}],
        classes={"sailboat": 12},
        further_choices=["windmill"],
        n_waiting=0,
        refusals=[],
        n_wanted=20,
        visibility="public",
        opens_itself=False,
        lacks=[],
    )

    id: UUID
    name: str
    network: str | None
    network_problem: str | None
    layers: list[LayerOut]
    classes: dict[str, int]
    further_choices: list[str]
    n_waiting: int
    refusals: list[RefusalOut]
    n_wanted: int | None
    visibility: Visibility
    opens_itself: bool
    lacks: list[str]


class Layers(Shape):
    """The layers to look at, by name."""

    model_config = example(layers=["layer3", "layer4"])

    layers: Names


class Game(Shape):
    """What players choose from besides the classes of the pictures, and who may play. n_wanted:
    rounds for each map, null for as many as people play."""

    model_config = example(
        further_choices=["windmill"], n_wanted=20, visibility="public", opens_itself=False
    )

    further_choices: Names = Field(default_factory=list)
    n_wanted: Annotated[int, Field(ge=1, le=drafts.MAX_WANTED)] | None = 20
    visibility: Visibility = "public"
    opens_itself: bool = False


class Received(Shape):
    """Files came in; a worker looks at them."""

    model_config = example(status="received", n_files=3)

    status: Literal["received"] = "received"
    n_files: int


def _network_out(network: Network) -> NetworkOut:
    return NetworkOut(
        source=f"registered:{network.id}",
        name=network.name,
        architecture=network.architecture,
        n_classes=len(network.classes),
    )


def _draft_out(session: Session, draft: StudyDraft) -> DraftOut:
    found = drafts.contents(session, draft)
    return DraftOut.model_validate(
        {
            "id": draft.id,
            "name": draft.name,
            "network": draft.network.name if draft.network else None,
            "network_problem": draft.network_problem,
            "layers": [
                {
                    "name": layer["name"],
                    "n_channels": layer["n_channels"],
                    "is_chosen": layer["name"] in draft.chosen_layers,
                }
                for layer in draft.layers
            ],
            "classes": {one.name: one.n_pictures for one in found.classes},
            "further_choices": draft.further_choices,
            "n_waiting": found.n_waiting,
            "refusals": [
                {"file_name": one.file_name, "reason": one.reason} for one in found.refusals
            ],
            "n_wanted": draft.n_wanted,
            "visibility": draft.visibility,
            "opens_itself": draft.opens_itself,
            "lacks": [sentence for _, sentence in drafts.missing(draft, found)],
        }
    )


@router.get("/networks", summary="Networks that are known here")
def list_networks(
    session: SessionDep, maker: MakerDep, limit: Limit = 50, cursor: Cursor = None
) -> Page[NetworkOut]:
    """Newest first."""
    below = read_cursor(cursor, row_number)
    found = drafts.page_networks(session, limit=limit + 1, below=below)
    return page(found, limit, key=lambda network: (network.id,), shape=_network_out)


@router.post("/drafts", status_code=201, summary="Begin a study")
def create(session: SessionDep, maker: MakerDep, asked: NewDraft) -> DraftOut:
    """A worker reads the network and lists its layers, sensible ones chosen."""
    draft = drafts.create(session, name=asked.name, owner=maker)
    drafts.choose_network(session, draft, source=asked.network)
    return _draft_out(session, draft)


@router.get("/drafts/{draft_id}", summary="A study in the making")
def show(session: SessionDep, draft: DraftDep) -> DraftOut:
    """What is there, and what is missing."""
    return _draft_out(session, draft)


@router.put("/drafts/{draft_id}/layers", summary="Choose layers")
def choose_layers(session: SessionDep, draft: DraftDep, asked: Layers) -> DraftOut:
    """Players see what the maps of these layers show."""
    drafts.choose_layers(draft, names=asked.layers)
    session.flush()
    return _draft_out(session, draft)


@router.put("/drafts/{draft_id}/game", summary="Set the game’s rules")
def set_game(session: SessionDep, draft: DraftDep, asked: Game) -> DraftOut:
    """What players choose from, how many rounds are wanted, and who may play."""
    drafts.set_game(
        session,
        draft,
        further_choices=asked.further_choices,
        n_wanted=asked.n_wanted,
        visibility=asked.visibility,
        opens_itself=asked.opens_itself,
    )
    session.flush()
    return _draft_out(session, draft)


_FORM = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["files"],
                    "properties": {
                        "files": {
                            "type": "array",
                            "items": {"type": "string", "contentMediaType": "image/*"},
                        },
                        "class_name": {"type": "string"},
                    },
                }
            }
        },
    }
}


@router.post(
    "/drafts/{draft_id}/pictures",
    status_code=202,
    summary="Hand in pictures",
    openapi_extra=_FORM,
    responses={
        408: {"description": "The upload stopped on the way."},
        507: {"description": "The server has no room left."},
    },
)
async def add_pictures(
    request: Request,
    session: SessionDep,
    settings: SettingsDep,
    storage: StorageDep,
    draft: DraftDep,
) -> Received:
    """Pictures and zips of pictures, as a form with the field `files`: of the class in the field
    `class_name`, or of the class that each picture's folder names. A worker looks at them; what is
    refused stands in the draft, with the reason."""
    _, n_files = await uploads.receive_pictures(request, session, storage, settings, draft.id)
    return Received(n_files=n_files)


@router.post("/drafts/{draft_id}/finish", status_code=201, summary="Make the study")
def finish(session: SessionDep, draft: DraftDep) -> StudyOut:
    """The draft becomes a study, whose pictures are explained from now on."""
    return study_out(drafts.finish(session, draft.id))


@router.delete(
    "/drafts/{draft_id}", status_code=204, summary="Discard a draft", response_class=Response
)
def discard(session: SessionDep, draft: DraftDep) -> Response:
    """Its files go too."""
    drafts.discard(session, draft)
    return Response(status_code=204)
