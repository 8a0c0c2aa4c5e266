"""What moderators decide about labels and players: hide, restore, warn, silence, exclude, ban; and
back.

Nothing is deleted. Results follow at once: what no longer counts is in no concept any more, and the
concepts job is asked for. Each act is a line of the audit log with what it needs to be undone.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, Literal
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Row,
    String,
    bindparam,
    cast,
    delete,
    false,
    func,
    select,
    text,
    true,
    update,
)
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session, aliased

from app.infra.errors import ConflictError, ForbiddenError, InvalidInputError, NotFoundError
from app.models import (
    AuditEntry,
    ClusterMap,
    Flag,
    Image,
    Label,
    Note,
    Player,
    Restriction,
    Round,
    Study,
)
from app.services import audit, curation, dealing, honesty, labels
from app.services.audit import Subject
from app.services.moderation_queue import player_name, restrictions_of

Kind = Literal["silenced", "excluded", "banned"]

MAX_NOTE_CHARACTERS: Final = 500

USUAL_NOTE: Final = (
    "Some words of yours did not say what is to be seen in the light. Please look for a moment, "
    "and type what you recognise, or nothing. Thank you for playing!"
)
"""What a player is told where moderators give no words of their own."""

MAX_AT_ONCE: Final = 500
"""Labels, rounds or players that one act may be about."""


@dataclass(frozen=True, slots=True)
class _State:
    """How things were before an act, as plain values: labels by id, since when hidden; ids of flags
    that were open; players by id, their restriction as [kind, since] or none; ids of the notes that
    the act itself has written."""

    labels: dict[str, str | None] = field(default_factory=dict)
    flags: list[int] = field(default_factory=list)
    players: dict[str, list[str] | None] = field(default_factory=dict)
    notes: list[int] = field(default_factory=list)


def hide(session: Session, study: Study, *, label_ids: Collection[int], why: str = "") -> None:
    """Hide labels: nobody else sees them, and they are in no result. The flags of their rounds are
    settled. Hidden ones stay as they are."""
    labels = _lock_labels(session, study, label_ids)
    flags = _open_flags(session, {label.round_id for label in labels})
    before = _State(_hidden(labels), [flag.id for flag in flags])
    now = datetime.now(UTC)
    _set_hidden(session, {label: label.hidden_at or now for label in labels})
    for flag in flags:
        flag.settled_at = now
    _record(session, study, "label.hide", _of_labels(labels), before, why)


def restore(session: Session, study: Study, *, label_ids: Collection[int], why: str = "") -> None:
    """Show hidden labels again, and let them count."""
    labels = _lock_labels(session, study, label_ids)
    before = _State(_hidden(labels))
    _set_hidden(session, dict.fromkeys(labels))
    _record(session, study, "label.restore", _of_labels(labels), before, why)


def dismiss(session: Session, study: Study, *, round_ids: Collection[UUID], why: str = "") -> None:
    """Nothing is wrong with these rounds: take them off the queue."""
    _check_number(round_ids)
    theirs = select(Round.id).where(Round.study_id == study.id, Round.id.in_(round_ids))
    flags = _open_flags(session, session.scalars(theirs).all())
    if not flags:
        raise ConflictError("Somebody has looked at these already.")
    for flag in flags:
        flag.settled_at = datetime.now(UTC)
    n = len({flag.round_id for flag in flags})
    subject = Subject("round", str(flags[0].round_id), f"{n} round{'s' if n > 1 else ''}")
    _record(session, study, "flag.dismiss", subject, _State(flags=[f.id for f in flags]), why)


def restrict(
    session: Session,
    study: Study,
    *,
    player_ids: Collection[UUID],
    kind: Kind | None,
    why: str = "",
) -> None:
    """Restrict players, or lift what restricts them (None). What is open against them is settled by
    a restriction. See models.Restriction for what each kind means."""
    players = _lock_players(session, study, player_ids)
    flags = _flags_against(session, study, players) if kind is not None else []
    was = restrictions_of(session, study, [player.id for player in players])
    before = _State(
        flags=[flag.id for flag in flags],
        players={str(player.id): _plain(was.get(player.id)) for player in players},
    )
    now = datetime.now(UTC)
    for flag in flags:
        flag.settled_at = now
    restriction = None if kind is None else (kind, now)
    _set_restrictions(session, study, {player.id: restriction for player in players})
    act = f"player.{kind or 'lifted'}"
    _record(session, study, act, _of_players(players), before, why, restriction=kind)


def warn(
    session: Session,
    study: Study,
    *,
    player_ids: Collection[UUID],
    words: str = "",
    why: str = "",
) -> None:
    """Send players a note, which is shown with their next round until they have read it. words: its
    text; without any it is USUAL_NOTE. What is open against them is settled."""
    words = " ".join(words.replace("\x00", " ").split()) or USUAL_NOTE
    if len(words) > MAX_NOTE_CHARACTERS:
        raise InvalidInputError(f"A note has at most {MAX_NOTE_CHARACTERS} characters.")
    players = _lock_players(session, study, player_ids)
    flags = _flags_against(session, study, players)
    notes = [Note(study_id=study.id, player_id=player.id, words=words) for player in players]
    session.add_all(notes)
    for flag in flags:
        flag.settled_at = datetime.now(UTC)
    session.flush()
    before = _State(flags=[flag.id for flag in flags], notes=[note.id for note in notes])
    _record(session, study, "player.warned", _of_players(players), before, why, words=words)


def labels_of(session: Session, round_ids: Collection[UUID]) -> list[int]:
    """Ids of the labels typed in these rounds."""
    return list(session.scalars(select(Label.id).where(Label.round_id.in_(round_ids))))


def players_of(session: Session, round_ids: Collection[UUID]) -> list[UUID]:
    """Ids of the players of these rounds."""
    return list(session.scalars(select(Round.player_id).where(Round.id.in_(round_ids))))


def _check_number(ids: Collection[Any]) -> None:
    if not ids:
        raise InvalidInputError("Tick what it shall be done to.")
    if len(ids) > MAX_AT_ONCE:
        raise InvalidInputError(f"At most {MAX_AT_ONCE} at once.")


def _lock_labels(session: Session, study: Study, label_ids: Collection[int]) -> list[Label]:
    _check_number(label_ids)
    labels = _lock_those_left(session, study, label_ids)
    if len(labels) < len(set(label_ids)):
        raise NotFoundError("One of these labels is gone. Load the page anew.")
    return labels


def _lock_those_left(session: Session, study: Study, label_ids: Collection[int]) -> list[Label]:
    labels = session.scalars(
        select(Label)
        .join(Label.round)
        .join(Round.player)
        .where(Label.id.in_(label_ids), Round.study_id == study.id, ~Player.is_simulated)
        .order_by(Label.id)
        .with_for_update(of=Label)
        .execution_options(populate_existing=True)
    )
    return list(labels)


def _lock_players(session: Session, study: Study, player_ids: Collection[UUID]) -> list[Player]:
    """People who have played in the study. A guess of theirs at this moment is waited for, so that
    none slips through."""
    _check_number(player_ids)
    played = select(Round.id).where(Round.study_id == study.id, Round.player_id == Player.id)
    players = session.scalars(
        select(Player)
        .where(Player.id.in_(player_ids), ~Player.is_simulated, played.exists())
        .order_by(Player.id)
        .with_for_update()
    ).all()
    if len(players) < len(set(player_ids)):
        raise NotFoundError("One of these players has not played in this study.")
    return list(players)


def _open_flags(session: Session, round_ids: Collection[UUID]) -> list[Flag]:
    return list(
        session.scalars(
            select(Flag)
            .where(Flag.round_id.in_(round_ids), Flag.settled_at.is_(None))
            .order_by(Flag.id)
            .with_for_update()
        )
    )


def _flags_against(session: Session, study: Study, players: Collection[Player]) -> list[Flag]:
    theirs = select(Round.id).where(
        Round.study_id == study.id, Round.player_id.in_([player.id for player in players])
    )
    return _open_flags(session, session.scalars(theirs).all())


def _of_players(players: Sequence[Player]) -> Subject:
    names = ", ".join(player_name(player.id) for player in players)
    return Subject("player", str(players[0].id), names)


def _hidden(labels: Iterable[Label]) -> dict[str, str | None]:
    return {
        str(label.id): label.hidden_at.isoformat() if label.hidden_at else None for label in labels
    }


def _set_hidden(session: Session, hidden: Mapping[Label, datetime | None]) -> None:
    for label, since in hidden.items():
        label.hidden_at = since
        if since is not None:
            label.concept_id = None
    session.flush()
    _ask_for_concepts(session, {label.cluster_map_id for label in hidden})


def _set_restrictions(
    session: Session, study: Study, restrictions: Mapping[UUID, tuple[str, datetime] | None]
) -> None:
    for player_id, restriction in restrictions.items():
        of_both = (Restriction.study_id == study.id) & (Restriction.player_id == player_id)
        if restriction is None:
            session.execute(delete(Restriction).where(of_both))
            continue
        values = {"kind": restriction[0], "since": restriction[1]}
        session.execute(
            insert(Restriction)
            .values(study_id=study.id, player_id=player_id, **values)
            .on_conflict_do_update(index_elements=["study_id", "player_id"], set_=values)
        )
    _leave_out(session, study.id, restrictions)


def _leave_out(
    session: Session,
    study_id: UUID,
    restrictions: Mapping[UUID, tuple[str, datetime] | None],
) -> None:
    """Have the finished rounds of players count as their restrictions say.

    All players' maps are locked before any class, as a guess does: one player after the other, a
    moderator would hold a class and wait for the map of a guess that waits for that class.
    """
    changed = [
        row
        for player_id, restriction in restrictions.items()
        for row in _exclude(session, study_id, player_id, restriction)
    ]
    dealing.lock_maps(session, {row.cluster_map_id for row in changed})
    # A round that does not count is wanted again of its map; a spare one never was.
    more: Counter[UUID] = Counter()
    for row in changed:
        if not row.is_spare:
            more[row.cluster_map_id] += -1 if row.is_excluded else 1
    session.execute(_COUNT, {"map_ids": list(more), "more": list(more.values())})
    gone = [row.id for row in changed if row.is_excluded]
    session.execute(update(Label).where(Label.round_id.in_(gone)).values(concept_id=None))
    _ask_for_concepts(session, {row.cluster_map_id for row in changed})


_COUNT = text(
    """
    update cluster_maps set n_finished = n_finished + counted.more
    from unnest(cast(:map_ids as uuid[]), cast(:more as integer[])) counted (map_id, more)
    where cluster_maps.id = counted.map_id
    """
)


def _exclude(
    session: Session, study_id: UUID, player_id: UUID, restriction: tuple[str, datetime] | None
) -> Sequence[Row[UUID, UUID, bool, bool]]:
    """Mark the finished rounds of a player that are to count otherwise than they did: their ids,
    maps, whether they are excluded now, and whether they are spare."""
    finished = (
        (Round.study_id == study_id)
        & (Round.player_id == player_id)
        & (Round.status != "open")
        & ~Round.practice
    )
    left_out: ColumnElement[bool] = false() if restriction is None else true()
    if restriction is not None and restriction[0] == "silenced":
        left_out = Round.finished_at >= restriction[1]
    return session.execute(
        update(Round)
        .where(finished, Round.is_excluded != left_out)
        .values(is_excluded=~Round.is_excluded)
        .returning(Round.id, Round.cluster_map_id, Round.is_excluded, Round.is_spare)
        .execution_options(synchronize_session="fetch")
    ).all()


def _ask_for_concepts(session: Session, map_ids: Collection[UUID]) -> None:
    touched = select(Image.class_id).join(ClusterMap).where(ClusterMap.id.in_(map_ids))
    labels.ask_anew(session, touched)


def _plain(restriction: Restriction | None) -> list[str] | None:
    return [restriction.kind, restriction.since.isoformat()] if restriction else None


def _of_labels(labels: Collection[Label]) -> Subject:
    words = ", ".join(f"“{label.text}”" for label in labels)
    return Subject("label", str(next(iter(labels)).id), words)


def _record(
    session: Session,
    study: Study,
    act: str,
    subject: Subject,
    before: _State,
    why: str,
    **after: Any,
) -> None:
    session.flush()
    audit.record(
        session,
        act,
        subject,
        study=study,
        before={audit.UNDO: asdict(before)},
        after=after or None,
        why=why.strip()[:500].replace("\x00", "") or None,
    )
    session.flush()


# --- undo


def last_acts(session: Session, study: Study, *, limit: int = 5) -> list[AuditEntry]:
    """The last acts about labels, players and concepts that have not been taken back, the latest
    first. Only the first can be taken back now: what came later may rest on what came before."""
    back = aliased(AuditEntry)
    undone = select(back.id).where(
        back.subject_kind == "act",
        back.subject_id == cast(AuditEntry.id, String),
        back.act == "undo",
    )
    return list(
        session.scalars(
            select(AuditEntry)
            .where(AuditEntry.study_id == study.id, AuditEntry.before.has_key(audit.UNDO))
            .where(~undone.exists())
            .order_by(AuditEntry.id.desc())
            .limit(limit)
        )
    )


def undo(session: Session, study: Study, *, entry_id: int) -> None:
    """Take back the last act. ConflictError when something has been done since, or it has been
    taken back already."""
    # Two moderators at once take turns. A round that is dealt needs the study only to exist.
    turn = select(Study.id).where(Study.id == study.id).with_for_update(key_share=True)
    session.execute(turn)
    last = next(iter(last_acts(session, study, limit=1)), None)
    if last is None or last.id != entry_id:
        raise ConflictError("Something has been done since. Look at the list, and take that back.")
    assert last.before is not None
    state = last.before[audit.UNDO]
    if last.act.startswith("concept."):
        curation.undo(session, curation.Before(**state))
    else:
        _put_back(session, study, _State(**state))
    subject = Subject("act", str(last.id), last.subject_name)
    audit.record(session, "undo", subject, study=study, after={"taken back": last.act})
    session.flush()


def _put_back(session: Session, study: Study, state: _State) -> None:
    # Labels of a person who is erased since are not missed.
    labels = _lock_those_left(session, study, [int(key) for key in state.labels])
    was_hidden = {label: state.labels[str(label.id)] for label in labels}
    _set_hidden(
        session,
        {label: datetime.fromisoformat(at) if at else None for label, at in was_hidden.items()},
    )
    restrictions = {
        UUID(key): (was[0], datetime.fromisoformat(was[1])) if was else None
        for key, was in state.players.items()
    }
    _set_restrictions(session, study, restrictions)
    session.execute(update(Flag).where(Flag.id.in_(state.flags)).values(settled_at=None))
    session.execute(delete(Note).where(Note.id.in_(state.notes)))


# --- what the game asks


def is_banned(session: Session, study: Study, player: Player) -> bool:
    """Whether a player may not go on playing a study's game."""
    return _restriction_of(session, study.id, player.id) == "banned"


def check_may_play(session: Session, study: Study, player: Player) -> None:
    """ForbiddenError for a player who is banned from the study."""
    if is_banned(session, study, player):
        raise ForbiddenError(
            "You cannot go on playing “%(study)s”: its researchers have ended it for you. "
            "Other games are open to you as before. If you think that this is a mistake, "
            "tell the people who run this site.",
            study=study.name,
        )


def unread_notes(session: Session, player: Player) -> list[Note]:
    """The notes that a player has not said to have read, the first first."""
    return list(session.scalars(_UNREAD_NOTES, {"player_id": player.id}))


_UNREAD_NOTES = (
    select(Note)
    .where(Note.player_id == bindparam("player_id"), Note.acknowledged_at.is_(None))
    .order_by(Note.id)
)


def acknowledge(session: Session, player: Player, *, note_id: int) -> None:
    """A player has read a note. Said again, nothing changes; one that was taken back meanwhile is
    not missed."""
    session.execute(
        update(Note)
        .where(
            Note.id == note_id,
            Note.player_id == player.id,
            Note.acknowledged_at.is_(None),
        )
        .values(acknowledged_at=datetime.now(UTC))
    )


def is_left_out(session: Session, round_: Round) -> bool:
    """Whether what is answered in this round now counts in no result, as its player is restricted.
    The player is locked: a restriction at this moment is waited for."""
    if round_.practice or round_.player.is_simulated:
        return False
    session.execute(_LOCKED_PLAYER, {"player_id": round_.player_id})
    return _restriction_of(session, round_.study_id, round_.player_id) is not None


def _restriction_of(session: Session, study_id: UUID, player_id: UUID) -> str | None:
    kind: str | None = session.scalar(_KIND, {"study_id": study_id, "player_id": player_id})
    return kind


_KIND = select(Restriction.kind).where(
    Restriction.study_id == bindparam("study_id"), Restriction.player_id == bindparam("player_id")
)


_LOCKED_PLAYER = (
    select(Player.id)
    .where(Player.id == bindparam("player_id"))
    .with_for_update(read=True, key_share=True)
)


def carry_over(session: Session, *, source: UUID, target: UUID) -> None:
    """Restrict an account as the guest was that its player turned out to be."""
    for was in session.scalars(select(Restriction).where(Restriction.player_id == source)).all():
        values = {"study_id": was.study_id, "kind": was.kind, "since": was.since}
        session.execute(
            insert(Restriction).values(player_id=target, **values).on_conflict_do_nothing()
        )
    of_target = select(Restriction).where(Restriction.player_id == target)
    for has in session.scalars(of_target.order_by(Restriction.study_id)).all():
        _leave_out(session, has.study_id, {target: (has.kind, has.since)})
    session.execute(update(Note).where(Note.player_id == source).values(player_id=target))


def report(session: Session, round_: Round, *, text: str) -> int:
    """Flag what others typed for a finished round's map, for moderators to look at; how many rounds
    that were. NotFoundError when nobody typed it, or the round is still open. Sent again, nothing
    changes."""
    if round_.is_open:
        raise NotFoundError("You can report words once your round is over.")
    word = func.lower(Label.text)
    typed = session.scalars(
        select(Round)
        .join(Label, Label.round_id == Round.id)
        .join(Round.player)
        .where(
            Label.cluster_map_id == round_.cluster_map_id,
            word == func.lower(text.replace("\x00", "")),
            Label.hidden_at.is_(None),
            Round.player_id != round_.player_id,
            ~Player.is_simulated,
        )
        .order_by(Round.id)
    ).all()
    if not typed:
        raise NotFoundError("Nobody has typed that here, or it is gone already.")
    for other in typed:
        honesty.flag(session, other, "reported", f"“{text}”")
    return len(typed)
