"""Which labels say nothing about what was seen, which words are taboo, and what looks odd.

Whatever is typed is kept. A label with a remark earns nothing; a flag asks a moderator to look. The
concepts job reads all labels, by its own rules.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import bindparam, delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app import rules
from app.concepts.cleaning import clean_label, contains_word, tidy_label
from app.concepts.junk import holds_mash, is_junk, is_mash, is_rude
from app.models import ClusterMap, Flag, Image, Label, Player, PlayerDevice, Round

_DISHONEST: Final = frozenset({"mash", "pasted", "repeated"})
"""Remarks that speak of the player rather than of the word."""

DEVICE_KEPT: Final = timedelta(days=365)
"""How long a browser's cookie lasts, by which it is told that accounts share it."""


def prepare() -> None:
    """Load the words by which mash is told: a second, better before the first guess than in it."""
    is_mash("ljshlaj")  # asks all that can be asked


def remarks(
    session: Session,
    round_: Round,
    texts: Sequence[str],
    *,
    class_names: Sequence[str],
    pasted: Sequence[str],
) -> dict[str, str]:
    """Why labels can earn nothing, by label; those that can are not in it.

    class_names: of the guess and of the picture, in this order.
    """
    repeated = _repeated(session, round_, texts)
    pasted_tidy = {tidy_label(text) for text in pasted}
    found: dict[str, str] = {}
    for text in texts:
        tidy = tidy_label(text)
        assert tidy is not None, "labels without a word are not kept"
        if any(clean_label(text, class_name=name) is None for name in class_names):
            found[text] = "class name"
        elif holds_mash(tidy):
            found[text] = "mash"
        elif is_junk(tidy):
            found[text] = "empty"
        elif any(contains_word(tidy, word) for word in round_.taboo):
            found[text] = "taboo"
        elif tidy in pasted_tidy:
            found[text] = "pasted"
        elif tidy in repeated:
            found[text] = "repeated"
    return found


def _repeated(session: Session, round_: Round, texts: Sequence[str]) -> set[str]:
    """Which of these the player types whatever the picture shows: see rules.REPEATED_IN_CLASSES."""
    rows = session.execute(
        _LAST_LABELS, {"player_id": round_.player_id, "n": rules.REPEATED_OF_ROUNDS}
    )
    classes: dict[str, set[int]] = {}
    for text, class_id in rows:
        classes.setdefault(tidy_label(text) or "", set()).add(class_id)
    here = round_.cluster_map.image.class_id
    return {
        tidy
        for tidy in map(tidy_label, texts)
        if tidy and len(classes.get(tidy, set()) - {here}) >= rules.REPEATED_IN_CLASSES
    }


_LAST_ROUNDS = (
    select(Round.id, Image.class_id)
    .join(ClusterMap, ClusterMap.id == Round.cluster_map_id)
    .join(Image, Image.id == ClusterMap.image_id)
    .where(Round.player_id == bindparam("player_id"), Round.finished_at.is_not(None))
    .order_by(Round.finished_at.desc())
    .limit(bindparam("n"))
    .subquery()
)
_LAST_LABELS = select(Label.text, _LAST_ROUNDS.c.class_id).join(
    _LAST_ROUNDS, _LAST_ROUNDS.c.id == Label.round_id
)


def taboo_words(session: Session, *, player_id: UUID, map_id: UUID) -> list[str]:
    """The words that a map has in plenty, most typed first, in a round that is to go without them;
    none in any other."""
    if not rules.is_taboo_round(player_id=player_id, map_id=map_id):
        return []
    return list(session.scalars(_PLENTY, {"map_id": map_id}))


_N_PLAYERS = func.count(Round.player_id.distinct())
_TYPED_WORD = func.lower(Label.text)
_PLENTY = (
    select(_TYPED_WORD)
    .join(Label.round)
    .where(
        Label.cluster_map_id == bindparam("map_id"),
        Label.remark.is_(None) | (Label.remark == "taboo"),
        Label.hidden_at.is_(None),
        Round.counts,
    )
    .group_by(_TYPED_WORD)
    .having(_N_PLAYERS >= rules.TABOO_MIN_PLAYERS)
    .order_by(_N_PLAYERS.desc(), _TYPED_WORD)
    .limit(rules.MAX_TABOO_WORDS)
)


def flag_odd(
    session: Session,
    round_: Round,
    texts: Sequence[str],
    remarks: Mapping[str, str],
) -> None:
    """Mark a finished round that was answered faster than a person can, by labels or by saying that
    there is nothing to name; whose labels are all dishonest; or that has a rude or a pasted one.
    Simulated players are not marked: they answer at once, and are asked to."""
    if round_.player.is_simulated:
        return
    assert round_.finished_at is not None, "only finished rounds are looked at"
    seconds = (round_.finished_at - round_.last_step_at).total_seconds()
    if seconds < rules.FASTEST_ANSWER_S and (texts or round_.nothing_nameable):
        n = len(texts)
        answer = f"{n} label{'s' if n > 1 else ''}" if n else "nothing nameable"
        flag(session, round_, "too fast", f"{seconds:.2f} s for {answer}")
    if texts and all(remarks.get(text) in _DISHONEST for text in texts):
        flag(session, round_, "dishonest labels", ", ".join(sorted(set(remarks.values()))))
    if rude := [text for text in texts if is_rude(tidy_label(text) or "")]:
        flag(session, round_, "profanity", ", ".join(rude))
    if pasted := [text for text in texts if remarks.get(text) == "pasted"]:
        flag(session, round_, "pasted", ", ".join(pasted))


def flag_practice(session: Session, round_: Round) -> None:
    """Mark a practice round with which a player has named next to nothing of late: see
    rules.PRACTICE_JUDGED_OF."""
    if round_.named_known is None or round_.player.is_simulated:
        return
    rows = session.execute(
        select(Round.named_known, func.count().over())
        .where(Round.player_id == round_.player_id, Round.study_id == round_.study_id)
        .where(Round.named_known.is_not(None))
        .order_by(Round.finished_at.desc())
        .limit(rules.PRACTICE_JUDGED_OF)
    ).all()
    last, n_practice = [row[0] for row in rows], rows[0][1]
    is_due = n_practice % rules.PRACTICE_JUDGED_OF == 0
    if is_due and sum(map(bool, last)) <= rules.PRACTICE_MAX_FAILED_NAMED:
        detail = f"named {sum(map(bool, last))} of the last {len(last)}"
        flag(session, round_, "practice failures", detail)


def flag_device(session: Session, round_: Round, device: str) -> None:
    """Note in which browser a player with an account plays, and mark the round where that is one of
    too many accounts. device: a keyed digest of the browser's cookie."""
    if round_.player.kind != "account":
        return
    today = datetime.now(UTC).date()
    session.execute(
        insert(PlayerDevice)
        .values(digest=device, player_id=round_.player_id, seen_on=today)
        .on_conflict_do_update(
            index_elements=["digest", "player_id"],
            set_={"seen_on": today},
            where=PlayerDevice.seen_on < today,
        )
    )
    n_accounts = session.scalar(
        select(func.count())
        .select_from(PlayerDevice)
        .join(Player, Player.id == PlayerDevice.player_id)
        .where(PlayerDevice.digest == device, Player.kind == "account")
    )
    if n_accounts and n_accounts > rules.DEVICE_MAX_ACCOUNTS:
        flag(session, round_, "many accounts", f"{n_accounts} accounts in one browser")


def forget_devices(session: Session) -> None:
    """Forget browsers in which nobody has played for as long as their cookie lasts."""
    oldest = datetime.now(UTC).date() - DEVICE_KEPT
    session.execute(delete(PlayerDevice).where(PlayerDevice.seen_on < oldest))


def flag(session: Session, round_: Round, reason: str, detail: str) -> None:
    """Mark a round for moderators, once for a reason."""
    values = {"player_id": round_.player_id, "round_id": round_.id, "reason": reason}
    session.execute(_FLAG, {**values, "detail": detail[:200]})


_FLAG = insert(Flag).on_conflict_do_nothing()
