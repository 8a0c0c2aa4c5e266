"""How a study's game is doing: what people have given over time, and whether answers still come.

Rounds of practice and those of simulated players count in none of it.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Literal

from sqlalchemy import Select, Subquery, func, literal, select
from sqlalchemy.orm import Session

from app.concepts.agreement import Agreement, pool
from app.models import ClusterMap, Concept, Label, Player, Round, Study, StudyClass
from app.services import concept_runs

N_BUCKETS: Final = 48
"""Hours shown while a game is younger than that, days after: two days, then seven weeks."""

_ONLINE: Final = timedelta(minutes=5)
_WATCHED: Final = timedelta(minutes=30)
_THINKING: Final = timedelta(minutes=5)
_MIN_UNANSWERED: Final = 3
"""So many rounds must have been dealt in the time watched, and left for longer than anybody thinks,
none of them answered, before that is called an alarm: one player may have gone to lunch."""


MOST_COUNTED: Final = 10_000
"""So far labels and practice rounds are counted on a study's page: each is a row, and a million of
them take most of a second."""


@dataclass(frozen=True, slots=True)
class Counts:
    """What players of one kind have given to a study so far. Practice rounds give nothing, so they
    and their labels are counted apart from the rest; they and labels up to one more than
    MOST_COUNTED."""

    n_rounds: int
    n_practice: int
    n_labels: int
    n_concepts: int


def count(session: Session, study: Study, *, simulated: bool) -> Counts:
    """What people, or simulated players, have given."""
    of_kind = (Round.study_id == study.id) & Player.is_simulated.is_(simulated)
    is_done = Round.status != "open"
    practice = select(literal(1)).select_from(Round).join(Round.player)
    typed = select(literal(1)).select_from(Label).join(Label.round).join(Round.player)
    # Each map knows how many of its rounds count.
    of_map = ClusterMap.simulated_n_finished if simulated else ClusterMap.n_finished
    n_rounds = session.scalar(select(func.sum(of_map)).where(ClusterMap.study_id == study.id))
    n_concepts = session.scalar(
        select(func.count())
        .select_from(Concept)
        .join(Concept.image_class)
        .where(
            StudyClass.study_id == study.id,
            Concept.simulated.is_(simulated),
            Concept.merged_into_id.is_(None),
            ~Concept.is_junk,
        )
    )
    return Counts(
        n_rounds=n_rounds or 0,
        n_practice=_up_to(session, practice.where(of_kind, Round.practice, is_done)),
        n_labels=_up_to(session, typed.where(of_kind, Round.counts, Label.hidden_at.is_(None))),
        n_concepts=n_concepts or 0,
    )


def _up_to(session: Session, rows: Select[int]) -> int:
    some = rows.limit(MOST_COUNTED + 1).subquery()
    return session.scalar(select(func.count()).select_from(some)) or 0


@dataclass(frozen=True, slots=True)
class Coverage:
    """How many maps have had how many rounds.

    n_by_rounds: number of maps by number of finished rounds, from 0 on; the last entry holds those
    with as many or more. n_enough: maps that are done, with as many as wanted or settled before;
    None where no number is wanted. n_settled: those that settled before.
    """

    n_maps: int
    n_by_rounds: list[int]
    n_enough: int | None
    n_settled: int


@dataclass(frozen=True, slots=True)
class Overview:
    """A study's game over time, each list with an entry for each of `starts`.

    unit: how long a step is. n_rounds, n_players: in the step. n_concepts: of those there are now,
    how many had been found by its end. agreement: share (0 to 1) of the labels typed in it that
    another player has confirmed, of those on maps that two or more have labelled; None where there
    are none. agreement_now: the same of all labels. alpha: how far players say the same, beyond
    what chance would give, by the last run of the concepts job for each class.
    """

    unit: Literal["hour", "day"]
    starts: list[datetime]
    n_rounds: list[int]
    n_players: list[int]
    n_concepts: list[int]
    agreement: list[float | None]
    agreement_now: float | None
    alpha: Agreement
    coverage: Coverage
    n_online: int
    last_answer_at: datetime | None
    n_unanswered: int


def overview(session: Session, study: Study, *, now: datetime) -> Overview:
    unit, starts = _steps(study.created_at, now)
    rounds = _rounds(study)
    of_step = func.date_trunc(unit, rounds.c.finished_at, "UTC").label("start")
    n_rounds, n_players = {}, {}
    for row in session.execute(
        select(of_step, func.count(), func.count(rounds.c.player_id.distinct()))
        .where(rounds.c.finished_at >= starts[0])
        .group_by(of_step)
    ):
        n_rounds[row[0]], n_players[row[0]] = row[1], row[2]
    agreement, agreement_now = _agreement(session, rounds, unit)
    n_online = session.scalar(
        select(func.count(rounds.c.player_id.distinct())).where(
            func.coalesce(rounds.c.finished_at, rounds.c.dealt_at) > now - _ONLINE
        )
    )
    return Overview(
        unit=unit,
        starts=starts,
        n_rounds=[n_rounds.get(start, 0) for start in starts],
        n_players=[n_players.get(start, 0) for start in starts],
        n_concepts=_concepts(session, study, starts, now),
        agreement=[agreement.get(start) for start in starts],
        agreement_now=agreement_now,
        alpha=_alpha(session, study),
        coverage=_coverage(session, study),
        n_online=n_online or 0,
        last_answer_at=session.scalar(select(func.max(rounds.c.finished_at))),
        n_unanswered=_unanswered(session, study, rounds, now),
    )


def _steps(since: datetime, now: datetime) -> tuple[Literal["hour", "day"], list[datetime]]:
    hour = now.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    if since > hour - timedelta(hours=N_BUCKETS - 1):
        first = max(since, hour - timedelta(hours=N_BUCKETS - 1))
        n_hours = (hour - first) // timedelta(hours=1) + 2
        n_hours = min(N_BUCKETS, max(n_hours, 12))
        return "hour", [hour - timedelta(hours=n) for n in reversed(range(n_hours))]
    day = hour.replace(hour=0)
    n_days = min(N_BUCKETS, (day - since) // timedelta(days=1) + 2)
    return "day", [day - timedelta(days=n) for n in reversed(range(n_days))]


def _rounds(study: Study) -> Subquery:
    """People's rounds of the study that count, the open ones included."""
    return (
        select(Round.id, Round.player_id, Round.dealt_at, Round.finished_at)
        .join(Round.player)
        .where(Round.study_id == study.id, ~Player.is_simulated, Round.counts)
        .subquery()
    )


def _agreement(
    session: Session, rounds: Subquery, unit: str
) -> tuple[dict[datetime, float], float | None]:
    typed = (
        select(
            Label.cluster_map_id,
            Label.concept_id,
            rounds.c.player_id,
            func.date_trunc(unit, rounds.c.finished_at, "UTC").label("start"),
        )
        .join(rounds, rounds.c.id == Label.round_id)
        .where(Label.hidden_at.is_(None))
        .cte()
    )
    per_map = (
        select(typed.c.cluster_map_id)
        .group_by(typed.c.cluster_map_id)
        .having(func.count(typed.c.player_id.distinct()) > 1)
        .subquery()
    )
    confirmed = (
        select(typed.c.cluster_map_id, typed.c.concept_id)
        .where(typed.c.concept_id.is_not(None))
        .group_by(typed.c.cluster_map_id, typed.c.concept_id)
        .having(func.count(typed.c.player_id.distinct()) > 1)
        .subquery()
    )
    rows = session.execute(
        select(typed.c.start, func.count(), func.count(confirmed.c.concept_id))
        .join(per_map, per_map.c.cluster_map_id == typed.c.cluster_map_id)
        .outerjoin(
            confirmed,
            (confirmed.c.cluster_map_id == typed.c.cluster_map_id)
            & (confirmed.c.concept_id == typed.c.concept_id),
        )
        .group_by(typed.c.start)
    ).all()
    n_typed, n_confirmed = sum(row[1] for row in rows), sum(row[2] for row in rows)
    return {row[0]: row[2] / row[1] for row in rows}, n_confirmed / n_typed if n_typed else None


def _alpha(session: Session, study: Study) -> Agreement:
    class_ids = select(StudyClass.id).where(StudyClass.study_id == study.id)
    runs = concept_runs.latest(session, session.scalars(class_ids).all(), simulated=False)
    return pool(concept_runs.agreement_of(run) for run in runs.values())


def _concepts(
    session: Session, study: Study, starts: Sequence[datetime], now: datetime
) -> list[int]:
    found = sorted(
        session.scalars(
            select(Concept.created_at)
            .join(Concept.image_class)
            .where(StudyClass.study_id == study.id, ~Concept.simulated)
        )
    )
    ends = [*starts[1:], now]
    return [sum(moment <= end for moment in found) for end in ends]


_MOST_ROUNDS_SHOWN: Final = 20


def _coverage(session: Session, study: Study) -> Coverage:
    wanted = study.n_wanted
    is_full = ClusterMap.n_finished >= wanted if wanted is not None else literal(False)
    by_rounds: Counter[int] = Counter()
    n_full = n_settled = 0
    for n_finished, full, settled, n in session.execute(
        select(
            ClusterMap.n_finished,
            is_full,
            ClusterMap.settled_at.is_not(None),
            func.count(),
        )
        .where(ClusterMap.study_id == study.id, ClusterMap.is_playable)
        .group_by(ClusterMap.n_finished, is_full, ClusterMap.settled_at.is_not(None))
    ):
        by_rounds[n_finished] += n
        n_full += n * full
        n_settled += n * (settled and not full)
    top = min(study.n_wanted or max(by_rounds, default=0), _MOST_ROUNDS_SHOWN)
    shown = [by_rounds.get(n, 0) for n in range(top)]
    n_maps = sum(by_rounds.values())
    return Coverage(
        n_maps=n_maps,
        n_by_rounds=[*shown, n_maps - sum(shown)],
        n_enough=None if wanted is None else n_full + n_settled,
        n_settled=n_settled,
    )


def _unanswered(session: Session, study: Study, rounds: Subquery, now: datetime) -> int:
    """Rounds dealt in the time watched that wait for an answer for longer than anybody thinks, when
    none at all has come in that time: then it is not the players. Else 0."""
    if study.status != "open":
        return 0
    since = now - _WATCHED
    answered = select(rounds.c.id).where(rounds.c.finished_at > since)
    if session.scalar(select(answered.exists())):
        return 0
    n_waiting = session.scalar(
        select(func.count()).where(
            rounds.c.finished_at.is_(None),
            rounds.c.dealt_at > since,
            rounds.c.dealt_at < now - _THINKING,
        )
    )
    return n_waiting if n_waiting and n_waiting >= _MIN_UNANSWERED else 0
