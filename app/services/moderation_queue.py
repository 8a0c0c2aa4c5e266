"""What waits for moderators: flagged rounds with who played them, and what is hidden or restricted
now."""

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session, aliased

from app.models import (
    ClusterMap,
    Flag,
    Image,
    Label,
    Note,
    Player,
    Restriction,
    Round,
    Study,
    StudyClass,
)

PAGE_SIZE: Final = 25
MAX_COUNTED: Final = 1000


@dataclass(frozen=True, slots=True)
class PlayerRecord:
    """How a player has done in a study. n_notes, n_unread: notes that they got, and those that
    they have not read yet. restriction: what they may no longer do, if anything."""

    id: UUID
    n_rounds: int
    n_right: int
    n_practice: int
    n_named: int
    n_flags: int
    n_notes: int
    n_unread: int
    restriction: str | None

    @property
    def name(self) -> str:
        """What moderators call a player: nobody is known to them by name."""
        return player_name(self.id)


def player_name(player_id: UUID) -> str:
    return f"player {player_id.hex[:6]}"


@dataclass(frozen=True, slots=True)
class Case:
    """A round that somebody should look at: why (each reason with its figure), what was typed, and
    who typed it."""

    round_id: UUID
    last_flag_id: int
    image_id: UUID
    class_name: str
    guessed_class: str | None
    finished_at: datetime | None
    reasons: list[tuple[str, str]]
    labels: list[Label]
    player: PlayerRecord


def n_waiting(session: Session, study: Study) -> int:
    """Rounds with a flag that nobody has looked at. Counted as far as MAX_COUNTED: of more, nobody
    needs to know how many."""
    waiting = (
        select(Flag.round_id)
        .join(Round, Round.id == Flag.round_id)
        .where(Round.study_id == study.id, Flag.settled_at.is_(None))
        .distinct()
        .limit(MAX_COUNTED)
    )
    return session.scalar(select(func.count()).select_from(waiting.subquery())) or 0


def cases(
    session: Session, study: Study, *, older_than: int | None = None, limit: int = PAGE_SIZE
) -> list[Case]:
    """At most `limit` rounds with open flags, the last flagged first. older_than: the last flag of
    the last case that was seen, for the page after it."""
    later, guessed = aliased(Flag), aliased(StudyClass)
    # Flags from the last on, of each round its last: a page reads no more of them than it shows.
    is_last = ~(
        select(later.id)
        .where(later.round_id == Flag.round_id, later.settled_at.is_(None), later.id > Flag.id)
        .exists()
    )
    query = (
        select(
            Round.id,
            Round.player_id,
            Round.finished_at,
            Image.id.label("image_id"),
            StudyClass.name.label("class_name"),
            guessed.name.label("guessed_class"),
            Flag.id.label("last"),
        )
        .select_from(Flag)
        .join(Round, Round.id == Flag.round_id)
        .join(Round.cluster_map)
        .join(ClusterMap.image)
        .join(Image.image_class)
        .outerjoin(guessed, guessed.id == Round.guessed_class_id)
        .where(Round.study_id == study.id, Flag.settled_at.is_(None), is_last)
        .order_by(Flag.id.desc())
        .limit(limit)
    )
    if older_than is not None:
        query = query.where(Flag.id < older_than)
    rows = session.execute(query).all()
    round_ids = [row.id for row in rows]
    reasons: dict[UUID, list[tuple[str, str]]] = defaultdict(list)
    for flag in session.scalars(
        select(Flag)
        .where(Flag.round_id.in_(round_ids), Flag.settled_at.is_(None))
        .order_by(Flag.id)
    ):
        reasons[flag.round_id].append((flag.reason, flag.detail))
    typed: dict[UUID, list[Label]] = defaultdict(list)
    for label in session.scalars(
        select(Label).where(Label.round_id.in_(round_ids)).order_by(Label.position)
    ):
        typed[label.round_id].append(label)
    players = _records(session, study, {row.player_id for row in rows})
    return [
        Case(
            round_id=row.id,
            last_flag_id=row.last,
            image_id=row.image_id,
            class_name=row.class_name,
            guessed_class=row.guessed_class,
            finished_at=row.finished_at,
            reasons=reasons[row.id],
            labels=typed[row.id],
            player=players[row.player_id],
        )
        for row in rows
    ]


def hidden_labels(session: Session, study: Study, *, limit: int = 50) -> list[Label]:
    """Labels that are hidden now, the last first."""
    return list(
        session.scalars(
            select(Label)
            .join(Label.round)
            .where(Round.study_id == study.id, Label.hidden_at.is_not(None))
            .order_by(Label.hidden_at.desc(), Label.id)
            .limit(limit)
        )
    )


def restricted_players(session: Session, study: Study, *, limit: int = 50) -> list[PlayerRecord]:
    """Players who are restricted, those restricted last, by name."""
    ids = (
        select(Restriction.player_id)
        .where(Restriction.study_id == study.id)
        .order_by(Restriction.since.desc(), Restriction.player_id)
        .limit(limit)
    )
    found = _records(session, study, session.scalars(ids).all())
    return sorted(found.values(), key=lambda record: record.name)


def _records(
    session: Session, study: Study, player_ids: Collection[UUID]
) -> dict[UUID, PlayerRecord]:
    n_flags = dict(
        session.execute(
            select(Flag.player_id, func.count())
            .join(Round, Round.id == Flag.round_id)
            .where(Flag.player_id.in_(player_ids), Round.study_id == study.id)
            .group_by(Flag.player_id)
        ).all()
    )
    restrictions = restrictions_of(session, study, player_ids)
    warned = {
        row.player_id: (row.n, row.n_unread)
        for row in session.execute(
            select(
                Note.player_id,
                func.count().label("n"),
                func.count().filter(Note.acknowledged_at.is_(None)).label("n_unread"),
            )
            .where(Note.study_id == study.id, Note.player_id.in_(player_ids))
            .group_by(Note.player_id)
        )
    }
    rows = session.execute(
        select(
            Player.id,
            func.count(Round.id).filter(~Round.practice).label("n_rounds"),
            func.count(Round.id).filter(~Round.practice, Round.status == "won").label("n_right"),
            func.count(Round.id).filter(Round.practice).label("n_practice"),
            func.count(Round.id).filter(Round.named_known.is_(True)).label("n_named"),
        )
        .outerjoin(
            Round,
            (Round.player_id == Player.id)
            & (Round.study_id == study.id)
            & (Round.status != "open"),
        )
        .where(Player.id.in_(player_ids))
        .group_by(Player.id)
    )
    return {
        row.id: PlayerRecord(
            row.id,
            row.n_rounds,
            row.n_right,
            row.n_practice,
            row.n_named,
            n_flags.get(row.id, 0),
            *warned.get(row.id, (0, 0)),
            restrictions[row.id].kind if row.id in restrictions else None,
        )
        for row in rows
    }


def restrictions_of(
    session: Session, study: Study, player_ids: Collection[UUID]
) -> dict[UUID, Restriction]:
    """What players may no longer do in a study, by player."""
    found = session.scalars(
        select(Restriction)
        .where(Restriction.study_id == study.id, Restriction.player_id.in_(player_ids))
        .execution_options(populate_existing=True)
    )
    return {restriction.player_id: restriction for restriction in found}
