"""What a round shows its player: the lit picture, what others say of it, and the answer once it is
finished."""

from dataclasses import dataclass

from sqlalchemy import bindparam, func, select
from sqlalchemy.orm import Session

from app import rules
from app.infra.errors import ForbiddenError, NotFoundError
from app.infra.storage import Storage
from app.models import ClusterMap, KnownAnswer, Label, Layer, Player, PointsEntry, Round
from app.services import live
from app.services.answers import Answers, counting_answers
from app.services.drawing import heat_picture, lit_picture, view_file
from app.services.live import Company


def picture(storage: Storage, round_: Round, *, reveal_index: int) -> bytes:
    """The picture as a JPEG, black but for what `reveal_index` shows.

    The server draws it: pixels that are not revealed yet never leave it. ForbiddenError for a step
    that the round has not reached.
    """
    if not 0 <= reveal_index <= rules.LAST_REVEAL_INDEX:
        raise NotFoundError("There is no such step.")
    if round_.is_open and reveal_index > round_.reveal_index:
        raise ForbiddenError("That much has not been revealed yet.")
    cluster_map = round_.cluster_map
    percent = rules.REVEAL_PERCENTS[reveal_index]
    return lit_picture(storage, cluster_map.image, cluster_map.array_name, percent=percent)


def answer_picture(storage: Storage, round_: Round, *, heat: bool) -> bytes:
    """The whole picture as a JPEG, with or without the heat map. ForbiddenError while the round is
    open."""
    if round_.is_open:
        raise ForbiddenError("The picture comes after your guess.")
    cluster_map = round_.cluster_map
    if not heat:
        return view_file(storage, cluster_map.image)
    return heat_picture(storage, cluster_map.image, cluster_map.array_name)


def labels_of_others(session: Session, round_: Round) -> list[tuple[str, int]]:
    """What other players of the same kind typed for this round's map in rounds that count: each
    text with how many typed it, most frequent first. To be shown only once the round is over."""
    rows = session.execute(
        _LABELS_OF_OTHERS,
        {
            "map_id": round_.cluster_map_id,
            "player_id": round_.player_id,
            "simulated": round_.player.is_simulated,
        },
    )
    return [(text, count) for text, count in rows]


_LABELS_OF_OTHERS = (
    select(func.min(Label.text), func.count(Round.player_id.distinct()))
    .join(Label.round)
    .join(Round.player)
    .where(
        Label.cluster_map_id == bindparam("map_id"),
        Round.player_id != bindparam("player_id"),
        Player.is_simulated == bindparam("simulated"),
        Label.hidden_at.is_(None),
        Round.counts,
    )
    .group_by(func.lower(Label.text))
    .order_by(func.count(Round.player_id.distinct()).desc(), func.lower(Label.text))
)


def answers_of_others(session: Session, round_: Round) -> Answers:
    """Whether other players of the same kind found something to name on the round's map."""
    row = session.execute(
        _ANSWERS_OF_OTHERS,
        {
            "map_id": round_.cluster_map_id,
            "round_id": round_.id,
            "simulated": round_.player.is_simulated,
        },
    ).one_or_none()
    return Answers(n_nothing=row[1], n_named=row[2]) if row else Answers()


_ANSWERS_OF_OTHERS = counting_answers(
    (ClusterMap.id == bindparam("map_id")) & (Round.id != bindparam("round_id"))
)


def known_answer(round_: Round) -> KnownAnswer:
    """What a practice round is about."""
    known = round_.cluster_map.known_answer
    assert known is not None, f"practice round {round_.id} is about a map without a known answer"
    return known


@dataclass(frozen=True, slots=True)
class Practice:
    """What a practice round was about. named: whether the player's words named it; None when the
    round was given up."""

    region: str
    named: bool | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a finished round tells its player. remarks: by label, why it can earn nothing.
    nothing_nameable: that there is nothing to name, the player said; n_nothing_of_others did too.
    practice: None for a round that counts. company: who played with them, None for nobody.
    is_spare: the map had all the rounds wanted."""

    status: str
    true_class: str
    guessed_class: str | None
    network_said: str
    probability: float
    layer_name: str
    layer_number: int
    n_layers: int
    weight: float
    n_feature_maps: int
    shown_percent: float
    points: list[PointsEntry]
    labels: list[str]
    remarks: dict[str, str]
    labels_of_others: list[tuple[str, int]]
    nothing_nameable: bool
    n_nothing_of_others: int
    practice: Practice | None
    company: Company | None
    is_spare: bool


def outcome(session: Session, round_: Round) -> Outcome:
    """The answer to a finished round. ForbiddenError while it is open."""
    if round_.is_open:
        raise ForbiddenError("The answer comes after your guess.")
    cluster_map = round_.cluster_map
    image = cluster_map.image
    assert image.target_name is not None
    assert image.probability is not None
    labels = session.scalars(_LABELS, {"round_id": round_.id}).all()
    n_layers = session.scalar(_N_LAYERS, {"study_id": round_.study_id})
    return Outcome(
        status=round_.status,
        true_class=image.image_class.name,
        guessed_class=round_.guessed_class.name if round_.guessed_class else None,
        network_said=image.target_name,
        probability=image.probability,
        layer_name=cluster_map.layer.name,
        layer_number=cluster_map.layer.position + 1,
        n_layers=n_layers or 0,
        weight=cluster_map.weight,
        n_feature_maps=len(cluster_map.channels),
        shown_percent=rules.REVEAL_PERCENTS[round_.reveal_index],
        points=list(session.scalars(_POINTS, {"round_id": round_.id})),
        labels=[label.text for label in labels],
        remarks={label.text: label.remark for label in labels if label.remark is not None},
        labels_of_others=labels_of_others(session, round_),
        nothing_nameable=round_.nothing_nameable,
        n_nothing_of_others=answers_of_others(session, round_).n_nothing,
        practice=(
            Practice(region=known_answer(round_).region, named=round_.named_known)
            if round_.practice
            else None
        ),
        company=live.company(session, round_),
        is_spare=round_.is_spare,
    )


# What every answer asks is built once: building it takes longer than the database does.
_LABELS = select(Label).where(Label.round_id == bindparam("round_id")).order_by(Label.position)
_N_LAYERS = select(func.count()).select_from(Layer).where(Layer.study_id == bindparam("study_id"))
_POINTS = (
    select(PointsEntry)
    .where(PointsEntry.round_id == bindparam("round_id"))
    .order_by(PointsEntry.id)
)
