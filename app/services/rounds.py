"""The game: dealing a cluster map, revealing more of it, guessing, giving up."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy import ColumnElement, Select, Text, cast, exists, func, select, update
from sqlalchemy.orm import Session, aliased, contains_eager, joinedload

from app import rules
from app.concepts.cleaning import MAX_LABEL_CHARACTERS, tidy_label
from app.explain.render import heatmap_overlay, masked_picture
from app.infra.errors import ConflictError, ForbiddenError, InvalidInputError, NotFoundError
from app.infra.queue import enqueue
from app.infra.storage import Storage
from app.models import (
    ClusterMap,
    Image,
    KnownAnswer,
    Label,
    Layer,
    Player,
    PointsEntry,
    Round,
    Study,
    StudyClass,
)
from app.services import practice, studies
from app.services.drawing import read_map, read_view, to_jpeg


def deal(session: Session, *, player: Player, study: Study) -> Round | None:
    """The player's open round in this study, or a new one; None when they have seen every map.

    Of the maps never dealt to this player the one with the fewest finished rounds of the player's
    own kind comes first. Among equals a map of a picture whose answer the player does not know yet,
    then the heavier one. For practice it is a map with a known answer, while there is one.
    """
    # One deal at a time for a player: a second tab waits here, then finds the open round.
    session.execute(select(Player.id).where(Player.id == player.id).with_for_update())
    player.last_seen_at = datetime.now(UTC)
    open_round = session.scalar(
        select(Round).where(
            Round.player_id == player.id, Round.study_id == study.id, Round.status == "open"
        )
    )
    if open_round is not None:
        return open_round
    # After that: who has a round at hand when a game is paused may finish it.
    studies.check_open(study)
    map_id = None
    if _is_practice_due(session, player, study):
        map_id = session.scalar(_next_practice_map(player, study))
    is_practice = map_id is not None
    if map_id is None:
        map_id = session.scalar(_next_map(player, study))
    if map_id is None:
        return None
    round_ = Round(
        study_id=study.id, cluster_map_id=map_id, player_id=player.id, practice=is_practice
    )
    session.add(round_)
    session.flush()
    return round_


def _is_practice_due(session: Session, player: Player, study: Study) -> bool:
    n_dealt = session.scalar(
        select(func.count()).where(Round.player_id == player.id, Round.study_id == study.id)
    )
    return rules.is_practice_round(
        player_id=player.id, study_id=study.id, number=(n_dealt or 0) + 1
    )


def _next_map(player: Player, study: Study) -> Select[UUID]:
    n_finished = ClusterMap.simulated_n_finished if player.is_simulated else ClusterMap.n_finished
    return _undealt(player, study).order_by(
        n_finished, _picture_is_known(player), ClusterMap.weight.desc(), ClusterMap.id
    )


def _next_practice_map(player: Player, study: Study) -> Select[UUID]:
    """Another one for each player. Were it the same for all, everybody would know that map from
    practice, and nobody could be dealt it in a round that counts."""
    shuffled = func.md5(cast(ClusterMap.id, Text) + str(player.id))
    return (
        _undealt(player, study)
        .join(KnownAnswer, KnownAnswer.cluster_map_id == ClusterMap.id)
        .order_by(_picture_is_known(player), shuffled)
    )


def _undealt(player: Player, study: Study) -> Select[UUID]:
    dealt = exists().where(Round.player_id == player.id, Round.cluster_map_id == ClusterMap.id)
    return (
        select(ClusterMap.id)
        .where(ClusterMap.study_id == study.id, ClusterMap.is_playable, ~dealt)
        .limit(1)
    )


def _picture_is_known(player: Player) -> ColumnElement[bool]:
    """Whether the player has had a map of the same picture, and so knows the answer."""
    other = aliased(ClusterMap)
    return exists().where(
        Round.player_id == player.id,
        Round.cluster_map_id == other.id,
        other.image_id == ClusterMap.image_id,
    )


def get_round(session: Session, *, round_id: UUID, player: Player, lock: bool = False) -> Round:
    """The player's round with its map, picture and class. NotFoundError when it is not theirs."""
    query = (
        select(Round)
        .join(Round.cluster_map)
        .join(ClusterMap.image)
        .where(Round.id == round_id, Round.player_id == player.id)
        .options(
            contains_eager(Round.cluster_map)
            .contains_eager(ClusterMap.image)
            .options(joinedload(Image.image_class), joinedload(Image.study)),
            contains_eager(Round.cluster_map).options(
                joinedload(ClusterMap.layer), joinedload(ClusterMap.known_answer)
            ),
            joinedload(Round.player),
            joinedload(Round.guessed_class),
        )
    )
    if lock:
        query = query.with_for_update(of=Round).execution_options(populate_existing=True)
    round_ = session.scalar(query)
    if round_ is None:
        raise NotFoundError("There is no such round of yours.")
    return round_


def reveal(session: Session, *, round_id: UUID, player: Player, from_index: int) -> Round:
    """Show the next step of the reveal ladder.

    `from_index` is the step the player saw when asking. Asking twice from the same step, by a
    double click or a second tab, moves one step only.
    """
    round_ = get_round(session, round_id=round_id, player=player, lock=True)
    if not round_.is_open or round_.reveal_index > from_index:
        return round_
    if round_.reveal_index < from_index:
        raise ConflictError("That step has not been revealed yet. Reload the page to go on.")
    if round_.reveal_index == rules.LAST_REVEAL_INDEX:
        raise ConflictError("This is all there is to see. Guess, or give up.")
    round_.reveal_index += 1
    return round_


def guess(
    session: Session, *, round_id: UUID, player: Player, class_id: int, labels: Sequence[str]
) -> Round:
    """Answer a round with a class and what was seen, before the truth is shown.

    A round is answered once: sent again, the first answer stands and is returned.
    """
    round_ = get_round(session, round_id=round_id, player=player, lock=True)
    if not round_.is_open:
        return round_
    guessed_class = session.scalar(
        select(StudyClass).where(StudyClass.id == class_id, StudyClass.study_id == round_.study_id)
    )
    if guessed_class is None:
        raise InvalidInputError("That is not one of the answers. Choose one of those shown.")
    texts = _check_labels(labels)
    image = round_.cluster_map.image
    right = class_id == image.class_id
    round_.guessed_class_id = class_id
    if round_.practice:
        known = _known_answer(round_)
        round_.named_known = practice.judge(texts, known, class_name=guessed_class.name)
    _finish(session, round_, "won" if right else "lost")
    _add_points(session, round_, texts, right=right)
    session.add_all(
        Label(
            round_id=round_.id,
            cluster_map_id=round_.cluster_map_id,
            position=position,
            text=text,
        )
        for position, text in enumerate(texts)
    )
    session.flush()
    session.expire(round_, ["guessed_class"])
    _ask_for_concepts(session, round_)
    return get_round(session, round_id=round_id, player=player)


def resign(session: Session, *, round_id: UUID, player: Player) -> Round:
    """Give a round up. Sent again, or after a guess, nothing changes."""
    round_ = get_round(session, round_id=round_id, player=player, lock=True)
    if round_.is_open:
        _finish(session, round_, "resigned")
        _ask_for_concepts(session, round_)
    return round_


def _check_labels(labels: Sequence[str]) -> list[str]:
    """The labels worth keeping, as typed but for the white space, each once."""
    kept: dict[str, str] = {}
    for label in labels:
        if len(label) > MAX_LABEL_CHARACTERS:
            raise InvalidInputError(
                f"A label has at most {MAX_LABEL_CHARACTERS} characters: a word or two is best."
            )
        if "\x00" in label:
            raise InvalidInputError("A label is plain text: a word or two.")
        tidy = tidy_label(label)
        if tidy:
            kept.setdefault(tidy, " ".join(label.split()))
    if len(kept) > rules.MAX_LABELS_PER_ROUND:
        raise InvalidInputError(
            f"At most {rules.MAX_LABELS_PER_ROUND} labels: keep those that you are surest of."
        )
    return list(kept.values())


def _known_answer(round_: Round) -> KnownAnswer:
    known = round_.cluster_map.known_answer
    assert known is not None, f"practice round {round_.id} is about a map without a known answer"
    return known


def _finish(session: Session, round_: Round, status: str) -> None:
    round_.status = status
    round_.finished_at = datetime.now(UTC)
    if not round_.practice:
        counter = (
            ClusterMap.simulated_n_finished if round_.player.is_simulated else ClusterMap.n_finished
        )
        session.execute(
            update(ClusterMap)
            .where(ClusterMap.id == round_.cluster_map_id)
            .values({counter: counter + 1})
        )
    session.flush()


def _add_points(session: Session, round_: Round, texts: Sequence[str], *, right: bool) -> None:
    points = rules.guess_points(reveal_index=round_.reveal_index, right=right)
    if points:
        session.add(
            PointsEntry(
                player_id=round_.player_id, round_id=round_.id, reason="guess", points=points
            )
        )
    if round_.named_known:
        session.add(
            PointsEntry(
                player_id=round_.player_id,
                round_id=round_.id,
                reason="practice",
                points=rules.PRACTICE_POINTS,
            )
        )
    known = {tidy_label(text) for text, _ in labels_of_others(session, round_)}
    session.add_all(
        PointsEntry(
            player_id=round_.player_id,
            round_id=round_.id,
            reason="agreement",
            detail=text,
            points=rules.AGREEMENT_POINTS,
        )
        for text in texts
        if tidy_label(text) in known
    )


def _ask_for_concepts(session: Session, round_: Round) -> None:
    """Have the concepts of the picture's class made anew from the words of the player's kind,
    unless that has been asked for already. Practice changes nothing about them."""
    if round_.practice:
        return
    class_id = round_.cluster_map.image.class_id
    simulated = round_.player.is_simulated
    flag = StudyClass.has_new_simulated_labels if simulated else StudyClass.has_new_labels
    first = session.scalar(
        update(StudyClass)
        .where(StudyClass.id == class_id, ~flag)
        .values({flag: True})
        .returning(StudyClass.id)
    )
    if first is not None:
        enqueue(
            session,
            "labels.group_class",
            delay_s=rules.LABELS_GATHER_S,
            class_id=class_id,
            simulated=simulated,
        )


def labels_of_others(session: Session, round_: Round) -> list[tuple[str, int]]:
    """What other players of the same kind typed for this round's map in rounds that count: each
    text with how many typed it, most frequent first. To be shown only once the round is over."""
    rows = session.execute(
        select(func.min(Label.text), func.count(Round.player_id.distinct()))
        .join(Label.round)
        .join(Round.player)
        .where(
            Label.cluster_map_id == round_.cluster_map_id,
            Round.player_id != round_.player_id,
            Player.is_simulated.is_(round_.player.is_simulated),
            ~Round.practice,
        )
        .group_by(func.lower(Label.text))
        .order_by(func.count(Round.player_id.distinct()).desc(), func.lower(Label.text))
    )
    return [(text, count) for text, count in rows]


@dataclass(frozen=True, slots=True)
class Practice:
    """What a practice round was about. named: whether the player's words named it; None when the
    round was given up."""

    region: str
    named: bool | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a finished round tells its player. practice: None for a round that counts."""

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
    labels_of_others: list[tuple[str, int]]
    practice: Practice | None


def outcome(session: Session, round_: Round) -> Outcome:
    """The answer to a finished round. ForbiddenError while it is open."""
    if round_.is_open:
        raise ForbiddenError("The answer comes after your guess.")
    cluster_map = round_.cluster_map
    image = cluster_map.image
    assert image.target_name is not None
    assert image.probability is not None
    n_layers = session.scalar(
        select(func.count()).select_from(Layer).where(Layer.study_id == round_.study_id)
    )
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
        points=list(
            session.scalars(
                select(PointsEntry)
                .where(PointsEntry.round_id == round_.id)
                .order_by(PointsEntry.id)
            )
        ),
        labels=list(
            session.scalars(
                select(Label.text).where(Label.round_id == round_.id).order_by(Label.position)
            )
        ),
        labels_of_others=labels_of_others(session, round_),
        practice=(
            Practice(region=_known_answer(round_).region, named=round_.named_known)
            if round_.practice
            else None
        ),
    )


def picture(storage: Storage, round_: Round, *, reveal_index: int) -> bytes:
    """The picture as a JPEG, black but for what `reveal_index` shows.

    The server draws it: pixels that are not revealed yet never leave it. ForbiddenError for a step
    that the round has not reached.
    """
    if not 0 <= reveal_index <= rules.LAST_REVEAL_INDEX:
        raise NotFoundError("There is no such step.")
    if round_.is_open and reveal_index > round_.reveal_index:
        raise ForbiddenError("That much has not been revealed yet.")
    return to_jpeg(
        masked_picture(
            read_view(storage, round_.cluster_map.image),
            read_map(storage, round_.cluster_map.image, round_.cluster_map.array_name),
            percent=rules.REVEAL_PERCENTS[reveal_index],
        )
    )


def answer_picture(storage: Storage, round_: Round, *, heat: bool) -> bytes:
    """The whole picture as a JPEG, with or without the heat map. ForbiddenError while the round is
    open."""
    if round_.is_open:
        raise ForbiddenError("The picture comes after your guess.")
    cluster_map = round_.cluster_map
    view = read_view(storage, cluster_map.image)
    if not heat:
        return to_jpeg(view)
    array = read_map(storage, cluster_map.image, cluster_map.array_name)
    return to_jpeg(heatmap_overlay(view, array))
