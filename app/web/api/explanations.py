"""Explanations: of a picture, and of a class."""

from typing import Any, Literal
from uuid import UUID

from fastapi import APIRouter
from pydantic import Field

from app.concepts.agreement import Agreement
from app.services import explanations, global_explanations, studies
from app.services.explanations import LayerView, Merge
from app.web.api.callers import ImageReaderDep, ReadStudyDep
from app.web.api.shapes import Players, Shape, example
from app.web.deps import Number, RowNumber, SessionDep
from app.web.explanations import local_numbers
from app.web.global_explanations import class_numbers

router = APIRouter(tags=["explanations"])


class Against(Shape):
    """Another class, against which the maps are weighed once that is computed. logit_difference:
    how far the network was from saying it."""

    model_config = example({"class": "house", "status": "done", "logit_difference": 4.2})

    class_: str = Field(alias="class")
    status: str
    logit_difference: float | None


class LocalOut(Shape):
    """How the network came to its answer on a picture: each layer, from the input on, with its
    groups of feature maps, the words for them and their scores. weight: percent of the layer.
    effect: what the class's logit would lose without the group, to first order; null where it was
    computed before that was kept, and against another class. agreement: how far the players agree,
    as Krippendorff's alpha. run: which run of the concepts job the words come from, and what it was
    made by. against: the class that was asked for."""

    model_config = example(
        {
            "study": "Picture book",
            "network": "picturebook",
            "picture": "sailboat-07.png",
            "class": "sailboat",
            "said": "sailboat",
            "probability": 0.97,
            "players": "people",
            "agreement": {
                "alpha": 0.62,
                "low": 0.41,
                "high": 0.8,
                "chance": 0.83,
                "n_maps": 9,
                "n_rounds": 41,
            },
            "run": {"number": 4, "method": "layerplay", "sentence_model": "all-MiniLM-L6-v2"},
            "against": None,
            "layers": [],
        }
    )

    study: str
    network: str
    picture: str
    class_: str = Field(alias="class")
    said: str | None
    probability: float | None
    players: Players
    agreement: Agreement | None
    run: dict[str, str | int] | None
    against: Against | None
    layers: list[LayerView]


class Slope(Shape):
    """Change of the score per layer, with its 95 % interval."""

    model_config = example(mean=0.12, low=0.03, high=0.21)

    mean: float
    low: float | None
    high: float | None


class LayerShare(Shape):
    """A concept in one layer. evidence_percent: of the layer's evidence for the class."""

    model_config = example(
        layer=4, mean_score=0.61, evidence_percent=22.4, pictures=12, pictures_given=9
    )

    layer: int
    mean_score: float
    evidence_percent: float
    pictures: int
    pictures_given: int


class Tcav(Shape):
    """TCAV of a concept in one layer. p_corrected: as if no other had been tested."""

    model_config = example(layer=4, score=0.92, p_corrected=0.01, accuracy=0.88, examples=12)

    layer: int
    score: float | None
    p_corrected: float | None
    accuracy: float | None
    examples: int


class Hidden(Shape):
    """What the network says when the concept's region is hidden, beside as much elsewhere."""

    model_config = example(
        pictures=12,
        area=0.11,
        probability=0.96,
        probability_hidden=0.41,
        probability_hidden_elsewhere=0.93,
        difference=0.52,
        difference_low=0.37,
        difference_high=0.66,
        answers_changed=5,
    )

    pictures: int
    area: float
    probability: float
    probability_hidden: float
    probability_hidden_elsewhere: float
    difference: float
    difference_low: float | None
    difference_high: float | None
    answers_changed: int


class Evidence(Shape):
    """A concept of a class, and what is known of it."""

    model_config = example(
        concept="water",
        evidence_percent=31.0,
        trend="rising",
        slope_per_layer={"mean": 0.12, "low": 0.03, "high": 0.21},
        layers=[],
        tcav=[],
        hidden=None,
        is_part_of_the_class=False,
        marked_by_a_researcher=True,
    )

    concept: str
    evidence_percent: float
    trend: Literal["rising", "fading", "unclear"]
    slope_per_layer: Slope | None
    layers: list[LayerShare]
    tcav: list[Tcav]
    hidden: Hidden | None
    is_part_of_the_class: bool
    marked_by_a_researcher: bool


class ClassExplanationOut(Shape):
    """What speaks for a class. layers: the names by number. nameless_percent: by layer, evidence
    that nobody has put into words. concepts: by falling share of the evidence."""

    model_config = example(
        {
            "study": "Picture book",
            "network": "picturebook",
            "class": "sailboat",
            "players": "people",
            "pictures": 12,
            "layers": {"4": "layer4"},
            "nameless_percent": {"4": 12.5},
            "agreement": None,
            "run": {"number": 4, "method": "layerplay", "sentence_model": "all-MiniLM-L6-v2"},
            "concepts": [],
        }
    )

    study: str
    network: str
    class_: str = Field(alias="class")
    players: Players
    pictures: int
    layers: dict[int, str]
    nameless_percent: dict[int, float]
    agreement: Agreement | None
    run: dict[str, str | int] | None
    concepts: list[Evidence]


@router.get(
    "/images/{image_id}/explanation",
    summary="The explanation of a picture",
    response_model=LocalOut,
    dependencies=[ImageReaderDep],
)
def local(
    session: SessionDep,
    image_id: UUID,
    merge: Merge = "none",
    players: Players | None = None,
    against: Number | None = None,
) -> Any:
    """As on its page. `merge` joins maps that share a concept (labels) or all of a layer. Without
    `players`, it holds people's words where there are any, else those of simulated players.
    `against` is another answer of the network by its index, once the picture's page has had the
    weights computed."""
    simulated = None if players is None else players == "simulated"
    page = explanations.local(session, image_id, merge=merge, simulated=simulated, against=against)
    return local_numbers(page)


@router.get(
    "/studies/{slug}/classes/{class_id}/explanation",
    summary="The explanation of a class",
    response_model=ClassExplanationOut,
)
def of_class(
    session: SessionDep, study: ReadStudyDep, class_id: RowNumber, players: Players | None = None
) -> Any:
    """Each concept's share of the evidence in every layer, and whether the network uses it."""
    studies.get_class(session, study, class_id)
    simulated = None if players is None else players == "simulated"
    return class_numbers(global_explanations.of_class(session, class_id, simulated=simulated))
