"""What became of a player's words."""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from app import rules


@dataclass(frozen=True, slots=True)
class Word:
    """A label that somebody typed. concept: what it counts as by now. n_others: other players who
    gave that concept for the same map."""

    text: str
    class_name: str
    round_id: UUID
    practice: bool
    remark: str | None
    concept: str | None
    n_others: int
    is_first: bool


_WORDS = text(
    """
    with mine as (
        select id, cluster_map_id, practice, finished_at from rounds
        where player_id = :player_id and finished_at is not null
        order by finished_at desc limit :n
    )
    select labels.text, study_classes.name as class_name, labels.round_id, mine.practice,
        labels.remark, concepts.name as concept,
        (
            select count(distinct other_rounds.player_id)
            from labels other join rounds other_rounds on other_rounds.id = other.round_id
            where other.cluster_map_id = labels.cluster_map_id
                and other.concept_id = labels.concept_id and other.remark is null
                and other_rounds.player_id <> :player_id
        ) as n_others,
        exists (
            select from points_entries where points_entries.round_id = labels.round_id
                and points_entries.detail = labels.text and points_entries.reason = 'first'
        ) as is_first
    from mine
    join labels on labels.round_id = mine.id
    join cluster_maps on cluster_maps.id = mine.cluster_map_id
    join images on images.id = cluster_maps.image_id
    join study_classes on study_classes.id = images.class_id
    left join concepts on concepts.id = labels.concept_id
    order by mine.finished_at desc, labels.position
    """
)


def of_player(session: Session, player_id: UUID, *, n_rounds: int) -> list[Word]:
    """The words of a player's last rounds, newest first."""
    rows = session.execute(_WORDS, {"player_id": player_id, "n": n_rounds})
    return [Word(**row._mapping) for row in rows]


def any_count_in(session: Session, player_id: UUID, *, study_id: UUID) -> bool:
    """Whether any word that the player typed in a study counts: not all in practice, or remarked
    upon."""
    return bool(session.scalar(_ANY_COUNT_IN, {"player_id": player_id, "study_id": study_id}))


_ANY_COUNT_IN = text(
    """
    select exists (
        select from rounds join labels on labels.round_id = rounds.id
        where rounds.player_id = :player_id and rounds.study_id = :study_id
            and not rounds.practice and not rounds.is_spare
            and labels.remark is null and labels.hidden_at is null
    )
    """
)


@dataclass(frozen=True, slots=True)
class Lesson:
    """What a player's words have helped to tell: a layer sees a concept in pictures of a class.
    n_maps: spots for which the player named it, and others too: rules.LESSON_MIN_PLAYERS in all.
    n_leading: those of them where every other concept has a lower score now."""

    concept: str
    class_name: str
    study_name: str
    layer_number: int
    n_maps: int
    n_leading: int


_LESSONS = text(
    """
    select concepts.name as concept, study_classes.name as class_name,
        studies.name as study_name, layers.position + 1 as layer_number,
        count(distinct labels.cluster_map_id) as n_maps,
        count(distinct labels.cluster_map_id) filter (where not exists (
            select from concept_scores rival
            where rival.cluster_map_id = labels.cluster_map_id
                and rival.concept_id <> concepts.id and rival.score >= concept_scores.score
        )) as n_leading
    from rounds
    join labels on labels.round_id = rounds.id
    join concepts on concepts.id = labels.concept_id
    join study_classes on study_classes.id = concepts.class_id
    join cluster_maps on cluster_maps.id = labels.cluster_map_id
    join layers on layers.id = cluster_maps.layer_id
    join studies on studies.id = layers.study_id
    join concept_scores on concept_scores.cluster_map_id = labels.cluster_map_id
        and concept_scores.concept_id = concepts.id
        and concept_scores.n_given >= :min_players
    where rounds.player_id = :player_id and not rounds.practice and not rounds.is_spare
        and rounds.finished_at > now() - interval '1 year'
    group by 1, 2, 3, 4
    order by n_leading desc, n_maps desc, concept, layer_number
    limit :n
    """
)


def lessons(session: Session, player_id: UUID, *, n: int) -> list[Lesson]:
    """What the player's words of the last year taught, the surest first."""
    asked = {"player_id": player_id, "n": n, "min_players": rules.LESSON_MIN_PLAYERS}
    return [Lesson(**row._mapping) for row in session.execute(_LESSONS, asked)]
