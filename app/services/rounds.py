"""The game: dealing a cluster map, revealing more of it, guessing, giving up."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

from sqlalchemy import Select, bindparam, select, text, update
from sqlalchemy.orm import Session, contains_eager, joinedload, load_only

from app import rules
from app.concepts.cleaning import MAX_LABEL_CHARACTERS, tidy_label
from app.infra.errors import ConflictError, InvalidInputError, NotFoundError
from app.models import (
    ClusterMap,
    Hand,
    Image,
    Label,
    Player,
    Round,
    Study,
    StudyClass,
    Tally,
)
from app.services import (
    dealing,
    honesty,
    labels,
    ledger,
    live,
    moderation,
    practice,
    shown,
    studies,
)
from app.services.answers import Answers

_SEEN_EVERY = timedelta(minutes=1)
"""How exactly it is known when a player was here: a row is not written for every round."""


def deal(session: Session, *, player: Player, study: Study, daily: bool = False) -> Round | None:
    """The player's open round in this study, or a new one; None when they have seen every map.
    ForbiddenError for a player who is banned from it.

    For practice it is a map with a known answer, while there is one; else as services.dealing says.
    A new player's first rounds are practice, and marked as lessons of the introduction. daily: of
    today's challenge; None when the player has been dealt all of it.
    """
    # One deal at a time for a player: a second tab waits here, then finds the open round.
    hand = dealing.lock_hand(session, player, study)
    moderation.check_may_play(session, study, player)
    now = datetime.now(UTC)
    if now - player.last_seen_at > _SEEN_EVERY:
        player.last_seen_at = now
    open_round = dealing.open_round(session, player, study)
    if open_round is not None and not open_round.is_ahead:
        return open_round
    # After that: who has a round at hand when a game is paused may finish it.
    studies.check_open(study)
    if open_round is not None:
        if open_round.daily_on == (now.date() if daily else None) and _begin(
            session, open_round, now
        ):
            return open_round
        dealing.take_back(session, hand, open_round)
    return _deal_new(session, player, study, hand, now, daily=daily, ahead=False)


def has_seen_all(session: Session, *, player: Player, study: Study) -> bool:
    """Whether the player has been dealt every map of a study that can be played, rather than found
    none that wants more rounds."""
    is_left = session.scalar(_IS_LEFT, {"player_id": player.id, "study_id": study.id})
    return not is_left


_IS_LEFT = text(
    """
    select exists (
        select from images join cluster_maps on cluster_maps.image_id = images.id
        where images.study_id = :study_id and cluster_maps.is_playable and not exists (
            select from rounds
            where rounds.player_id = :player_id and rounds.cluster_map_id = cluster_maps.id
        )
    )
    """
)


def deal_ahead(session: Session, *, player: Player, study: Study, daily: bool) -> Round | None:
    """The round that `deal` will most likely give next, so that its picture can be fetched while
    the player reads an answer. It takes no place. None when there will be none, or while the player
    has a round under way."""
    hand = dealing.lock_hand(session, player, study)
    if moderation.is_banned(session, study, player):
        return None
    open_round = dealing.open_round(session, player, study)
    if open_round is not None:
        return open_round if open_round.is_ahead else None
    if study.status != "open":
        return None
    return _deal_new(session, player, study, hand, datetime.now(UTC), daily=daily, ahead=True)


def _begin(session: Session, round_: Round, now: datetime) -> bool:
    """Show a round that was dealt ahead; False when its map has no place left by now."""
    if not round_.practice:
        if not dealing.take_place(session, round_.cluster_map_id):
            return False
        round_.place_until = now + rules.PLACE_LASTS
    round_.is_ahead = False
    round_.dealt_at = round_.last_step_at = now
    session.flush()
    return True


def _deal_new(
    session: Session,
    player: Player,
    study: Study,
    hand: Hand,
    now: datetime,
    *,
    daily: bool,
    ahead: bool,
) -> Round | None:
    round_ = Round(
        study_id=study.id, player_id=player.id, dealt_at=now, last_step_at=now, is_ahead=ahead
    )
    if daily:
        round_.daily_on = now.date()
        map_id = _next_daily_map(session, player, study, now.date())
        has_place = map_id is not None and not ahead and dealing.take_place(session, map_id)
    else:
        lesson = _next_lesson(session, player)
        map_id = _practice_map(session, player, study, hand, is_lesson=lesson is not None)
        round_.practice = map_id is not None
        round_.lesson = lesson if round_.practice else None
        # Simulated players' rounds are of no number wanted: a simulation asks for as many as it
        # likes.
        has_place = not (round_.practice or player.is_simulated or ahead)
        if map_id is None:
            map_id = dealing.take_next_map(session, player, study, hand, with_place=has_place)
    if map_id is None:
        return None
    hand.n_dealt += 1
    round_.cluster_map_id = map_id
    if has_place:
        round_.place_until = now + rules.PLACE_LASTS
    if not (round_.practice or player.is_simulated):
        round_.taboo = honesty.taboo_words(session, player_id=player.id, map_id=map_id)
    session.add(round_)
    session.flush()
    return round_


def _next_lesson(session: Session, player: Player) -> int | None:
    """Which round of the introduction a player's next round is; None when they know the game."""
    if player.is_introduced:
        return None
    tally = session.scalar(select(Tally.n_rounds).where(Tally.player_id == player.id))
    number = (tally or 0) + 1
    if number <= rules.INTRODUCTION_ROUNDS:
        return number
    player.is_introduced = True
    return None


def skip_introduction(session: Session, player: Player) -> None:
    """Never give the player a lesson again. A lesson that they are in goes on as a practice round
    like any other, so that nothing they have typed is lost."""
    session.execute(
        update(Round)
        .where(Round.player_id == player.id, Round.status == "open")
        .values(lesson=None)
    )
    player.is_introduced = True
    session.flush()


def _practice_map(
    session: Session, player: Player, study: Study, hand: Hand, *, is_lesson: bool
) -> UUID | None:
    due = is_lesson or rules.is_practice_round(
        player_id=player.id, study_id=study.id, number=hand.n_dealt + 1
    )
    return dealing.next_practice_map(session, player, study, hand) if due else None


def _next_daily_map(session: Session, player: Player, study: Study, day: date) -> UUID | None:
    map_ids = dealing.daily_maps(session, study, day)
    dealt = set(
        session.scalars(
            select(Round.cluster_map_id).where(
                Round.player_id == player.id, Round.cluster_map_id.in_(map_ids)
            )
        )
    )
    return next((map_id for map_id in map_ids if map_id not in dealt), None)


def get_round(session: Session, *, round_id: UUID, player: Player) -> Round:
    """The player's round with its map, picture and class. NotFoundError when it is not theirs."""
    return _get(session, _ROUND, round_id, player)


def _take_up(session: Session, round_id: UUID, player: Player) -> Round:
    """The player's round, locked. ConflictError for one dealt ahead: whether the game goes on, for
    this player and on this map, is asked when it begins."""
    round_ = _get(session, _LOCKED_ROUND, round_id, player)
    if round_.is_ahead:
        raise ConflictError("This round has not begun yet. Go on to the next round first.")
    return round_


def get_pictured(session: Session, *, round_id: UUID, player: Player) -> Round:
    """The player's round with no more than its pictures need: they are most of what is asked for.
    NotFoundError when it is not theirs."""
    return _get(session, _PICTURED, round_id, player)


def _get(session: Session, query: Select[Round], round_id: UUID, player: Player) -> Round:
    round_: Round | None = session.scalar(query, {"round_id": round_id, "player_id": player.id})
    if round_ is None:
        raise NotFoundError("There is no such round of yours.")
    return round_


# What every request of a round asks is built once: building it takes longer than the database does.
_OWN_ROUND = (
    select(Round)
    .join(Round.cluster_map)
    .join(ClusterMap.image)
    .where(Round.id == bindparam("round_id"), Round.player_id == bindparam("player_id"))
)
_PICTURED = _OWN_ROUND.options(
    load_only(Round.status, Round.reveal_index, raiseload=True),
    contains_eager(Round.cluster_map).options(
        load_only(ClusterMap.array_name, raiseload=True),
        contains_eager(ClusterMap.image).load_only(Image.view_key, Image.maps_key, raiseload=True),
    ),
)
_ROUND = _OWN_ROUND.options(
    contains_eager(Round.cluster_map)
    .contains_eager(ClusterMap.image)
    .options(joinedload(Image.image_class), joinedload(Image.study)),
    contains_eager(Round.cluster_map).options(
        joinedload(ClusterMap.layer), joinedload(ClusterMap.known_answer)
    ),
    joinedload(Round.player),
    joinedload(Round.guessed_class),
)
_CLASS_OF_STUDY = select(StudyClass).where(
    StudyClass.id == bindparam("class_id"), StudyClass.study_id == bindparam("study_id")
)
_LOCKED_ROUND = _ROUND.with_for_update(of=Round).execution_options(populate_existing=True)


def reveal(session: Session, *, round_id: UUID, player: Player, from_index: int) -> Round:
    """Show the next step of the reveal ladder.

    `from_index` is the step the player saw when asking. Asking twice from the same step, by a
    double click or a second tab, moves one step only.
    """
    round_ = _take_up(session, round_id, player)
    if not round_.is_open or round_.reveal_index > from_index:
        return round_
    if round_.reveal_index < from_index:
        raise ConflictError("That step has not been revealed yet. Reload the page to go on.")
    if round_.reveal_index == rules.LAST_REVEAL_INDEX:
        raise ConflictError("This is all there is to see. Guess, or give up.")
    round_.reveal_index += 1
    round_.last_step_at = datetime.now(UTC)
    if round_.place_until is not None:
        round_.place_until = round_.last_step_at + rules.PLACE_LASTS
    return round_


def guess(
    session: Session,
    *,
    round_id: UUID,
    player: Player,
    class_id: int,
    labels: Sequence[str],
    nothing_nameable: bool = False,
    pasted: Sequence[str] = (),
    is_burst: bool = False,
    device: str | None = None,
) -> Round:
    """Answer a round with a class and what was seen, before the truth is shown.

    A round is answered once: sent again, the first answer stands and is returned. nothing_nameable:
    said in place of labels. pasted: those of the labels that the browser says were not typed.
    is_burst: unusually many rounds come from where this one came from, which is marked. device: a
    keyed digest of the browser's cookie, where there is one.
    """
    round_ = _take_up(session, round_id, player)
    if not round_.is_open:
        return round_
    image = round_.cluster_map.image
    right = class_id == image.class_id
    guessed_class: StudyClass | None = image.image_class
    if not right:
        asked = {"class_id": class_id, "study_id": round_.study_id}
        guessed_class = session.scalar(_CLASS_OF_STUDY, asked)
    if guessed_class is None:
        raise InvalidInputError("That is not one of the answers. Choose one of those shown.")
    texts = _check_labels(labels)
    if texts and nothing_nameable:
        raise InvalidInputError(
            "You said that there is nothing to name, and typed words too. Keep one of them."
        )
    remarks = honesty.remarks(
        session,
        round_,
        texts,
        class_names=(guessed_class.name, image.image_class.name),
        pasted=pasted,
    )
    if round_.practice:
        known = shown.known_answer(round_)
        round_.named_known = practice.judge(texts, known, class_name=guessed_class.name)
    status = "won" if right else "lost"
    _finish(session, round_, status, guessed_class, nothing_nameable=nothing_nameable)
    session.add_all(
        Label(
            round_id=round_.id,
            cluster_map_id=round_.cluster_map_id,
            position=position,
            text=text,
            remark=remarks.get(text),
        )
        for position, text in enumerate(texts)
    )
    session.flush()
    honesty.flag_odd(session, round_, texts, remarks)
    if is_burst:
        honesty.flag(session, round_, "burst", f"over {rules.BURST_ROUNDS} rounds a minute")
    honesty.flag_practice(session, round_)
    if device is not None:
        honesty.flag_device(session, round_, device)
    _ask_for_concepts(session, round_, n_labels=len(texts))
    agreed = {tidy_label(text) for text, _ in shown.labels_of_others(session, round_)}
    _pay(session, round_, [t for t in texts if t not in remarks and tidy_label(t) in agreed])
    return round_


def resign(
    session: Session, *, round_id: UUID, player: Player, nothing_nameable: bool = False
) -> Round:
    """Give a round up, with or without a word on whether there was anything to name. Sent again, or
    after a guess, nothing changes."""
    round_ = _take_up(session, round_id, player)
    if round_.is_open:
        _finish(session, round_, "resigned", nothing_nameable=nothing_nameable)
        honesty.flag_odd(session, round_, [], {})
        _ask_for_concepts(session, round_, n_labels=0)
        _pay(session, round_, [])
    return round_


def _check_labels(labels: Sequence[str]) -> list[str]:
    """The labels worth keeping, as typed but for the white space, each once."""
    kept: dict[str, str] = {}
    for label in labels:
        if "\x00" in label:
            raise InvalidInputError("A label is plain text: a word or two.")
        tidy = tidy_label(label)
        # Some characters become several when they are tidied, and a concept's name is tidy.
        if max(len(label), len(tidy or "")) > MAX_LABEL_CHARACTERS:
            raise InvalidInputError(
                "A label has at most %(n)s characters: a word or two is best.",
                n=MAX_LABEL_CHARACTERS,
            )
        if tidy:
            kept.setdefault(tidy, " ".join(label.split()))
        elif label.strip():
            raise InvalidInputError(
                "“%(label)s” has no letters: type a word or two, or leave the field empty.",
                label=label.strip(),
            )
    if len(kept) > rules.MAX_LABELS_PER_ROUND:
        raise InvalidInputError(
            "At most %(n)s labels: keep those that you are surest of.",
            n=rules.MAX_LABELS_PER_ROUND,
        )
    return list(kept.values())


def _finish(
    session: Session,
    round_: Round,
    status: str,
    guessed_class: StudyClass | None = None,
    *,
    nothing_nameable: bool,
) -> None:
    """Close the round and count it for its map, in the place that was kept for it. A round whose
    place was given back takes another one; where none is left it is spare. That of a restricted
    player does not count, and gives its place back."""
    round_.is_excluded = moderation.is_left_out(session, round_)
    had_place = round_.place_until is not None
    if not (round_.practice or round_.player.is_simulated or round_.is_excluded):
        round_.is_spare = not had_place and not dealing.take_place(session, round_.cluster_map_id)
    round_.place_until = None
    round_.status, round_.guessed_class = status, guessed_class
    round_.nothing_nameable = nothing_nameable
    round_.finished_at = datetime.now(UTC)
    session.flush()
    if round_.player.is_simulated and not round_.practice:
        _count(session, round_, simulated=1)
    elif round_.is_excluded and had_place:
        _count(session, round_, leased=-1)
    elif round_.counts:
        _count(session, round_, finished=1, leased=-1)


def _count(
    session: Session, round_: Round, *, finished: int = 0, leased: int = 0, simulated: int = 0
) -> None:
    """Add to what a round's map counts."""
    more = {"finished": finished, "leased": leased, "simulated": simulated}
    session.execute(_COUNT, {"map_id": round_.cluster_map_id, **more})
    session.expire(round_.cluster_map, ["n_finished", "n_leased", "simulated_n_finished"])


_COUNT = text(
    """
    update cluster_maps set n_finished = n_finished + :finished, n_leased = n_leased + :leased,
        simulated_n_finished = simulated_n_finished + :simulated
    where id = :map_id
    """
)


def _pay(session: Session, round_: Round, agreed: Sequence[str]) -> None:
    """Count a finished round for its player, and add what it has earned to the ledger, and a
    partner's round by it. agreed: its labels that somebody else gave before."""
    player_id, today = round_.player_id, datetime.now(UTC).date()
    met = live.lines_for_meeting(session, round_)
    tallies = ledger.lock_tallies(session, [player_id, *(line.player_id for line in met)])
    tally = tallies[player_id]
    is_first_today = tally.last_day != today
    _count_for(tally, round_, today)
    earned = [("guess", rules.guess_points(reveal_index=round_.reveal_index, right=round_.is_won))]
    earned = [(reason, points) for reason, points in earned if points]
    if round_.named_known:
        earned.append(("practice", rules.PRACTICE_POINTS))
    lines = [ledger.Line(player_id, round_.id, reason, points) for reason, points in earned]
    if round_.nothing_nameable and _answers_with(session, round_).is_nothing:
        agreed = [ledger.NOTHING_NAMEABLE]
    lines += [
        ledger.Line(player_id, round_.id, "agreement", rules.AGREEMENT_POINTS, text)
        for text in agreed
    ]
    lines += met
    streak = rules.streak_points(tally.streak_days)
    if is_first_today and streak:
        lines.append(ledger.Line(player_id, round_.id, "streak", streak, today.isoformat()))
    day = round_.daily_on or today
    if dealing.finishes_daily(session, round_, day):
        tally.n_daily += 1
        detail = f"{day} {round_.study_id.hex[:8]}"
        lines.append(ledger.Line(player_id, round_.id, "daily", rules.DAILY_POINTS, detail))
    ledger.post(session, lines, tallies, rounds_of={player_id: round_.id})


def _answers_with(session: Session, round_: Round) -> Answers:
    """What players say of the round's map, with its own player's word that nothing is nameable."""
    others = shown.answers_of_others(session, round_)
    return replace(others, n_nothing=others.n_nothing + 1)


def _count_for(tally: Tally, round_: Round, today: date) -> None:
    tally.n_rounds += 1
    tally.n_right += round_.is_won
    tally.n_from_first += round_.is_won and round_.reveal_index == 0
    tally.n_practice += round_.practice
    tally.n_named += bool(round_.named_known)
    tally.streak_days = rules.next_streak(tally.streak_days, tally.last_day, today)
    tally.best_streak = max(tally.best_streak, tally.streak_days)
    tally.last_day = today


def _ask_for_concepts(session: Session, round_: Round, *, n_labels: int) -> None:
    """Have the concepts of the picture's class made anew from the words of the player's kind, once
    enough are new. Practice changes nothing about them."""
    if not round_.counts:
        return
    labels.ask_after_guess(
        session,
        class_id=round_.cluster_map.image.class_id,
        simulated=round_.player.is_simulated,
        n_labels=n_labels,
    )
