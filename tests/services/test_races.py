"""What two tabs, a double click or two players do at the same moment, with true commits."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import cycle
from pathlib import Path
from threading import Barrier, Event, Lock
from types import ModuleType
from typing import TypeVar
from uuid import UUID

import pytest
from sqlalchemy import event, func, select, text, update
from sqlalchemy.orm import Session, sessionmaker

from app import rules
from app.infra.db import make_engine, session_factory
from app.infra.errors import ConflictError, ForbiddenError, NotFoundError
from app.infra.queue import Job, queued_jobs
from app.infra.storage import Storage
from app.models import (
    Account,
    ClusterMap,
    DraftFile,
    Image,
    KnownAnswer,
    Label,
    Player,
    PointsEntry,
    Round,
    Study,
    StudyClass,
    StudyDraft,
    Upload,
)
from app.services import (
    accounts,
    checks,
    dealing,
    drafts,
    labels,
    live,
    moderation,
    players,
    practice,
    rounds,
    studies,
)
from tests.factories import PASSWORD, make_account
from tests.services.conftest import make_game
from tests.services.test_labels import ByFirstLetter

N_AT_ONCE = 6


@pytest.fixture
def sessions(database: str, tmp_path: Path) -> Iterator[sessionmaker[Session]]:
    """A database with the small game in it and one player."""
    engine = make_engine(database)
    factory = session_factory(engine)
    with factory.begin() as session:
        make_game(session, Storage(tmp_path / "storage"))
        players.create_guest(session)
    yield factory
    engine.dispose()


T = TypeVar("T")


def at_once(sessions: sessionmaker[Session], act: Callable[[Session], object]) -> list[object]:
    """What `act` returns in several transactions that start at the same moment."""
    barrier = Barrier(N_AT_ONCE)

    def run(_: int) -> object:
        with sessions.begin() as session:
            barrier.wait()
            return act(session)

    with ThreadPoolExecutor(N_AT_ONCE) as pool:
        return list(pool.map(run, range(N_AT_ONCE)))


def in_turns(*values: T) -> Callable[[], T]:
    """One after the other for whoever asks, from whichever thread."""
    turns, lock = cycle(values), Lock()

    def take() -> T:
        with lock:
            return next(turns)

    return take


class Meeting:
    """Two transactions of which one stands still in the middle, until the other is through or waits
    for it."""

    def __init__(self, sessions: sessionmaker[Session], monkeypatch: pytest.MonkeyPatch) -> None:
        self.sessions, self.patch = sessions, monkeypatch
        self.is_still, self.is_through = Event(), Event()

    def stand_still_after(self, module: ModuleType, name: str) -> None:
        """In this function of a service, at its first call."""
        real = getattr(module, name)

        def stopped(*arguments: object, **named: object) -> object:
            found = real(*arguments, **named)
            if not self.is_still.is_set():
                self.is_still.set()
                while not (self.is_through.is_set() or self._is_one_waiting()):
                    time.sleep(0.02)
            return found

        self.patch.setattr(module, name, stopped)

    def _is_one_waiting(self) -> bool:
        query = """
            select exists (
                select from pg_stat_activity
                where datname = current_database() and wait_event_type = 'Lock'
            )
        """
        with self.sessions() as session:
            return bool(session.scalar(text(query)))

    def run(self, act: Callable[[Session], object], other: Callable[[Session], object]) -> None:
        """Both, in transactions that commit; raises what either raises."""

        def run_other() -> None:
            assert self.is_still.wait(20)
            try:
                with self.sessions.begin() as session:
                    other(session)
            finally:
                self.is_through.set()

        with ThreadPoolExecutor(1) as pool:
            running = pool.submit(run_other)
            with self.sessions.begin() as session:
                act(session)
            running.result(timeout=20)


class TestModeratorsAndPlayers:
    """They take what both need in one order, so that neither waits for what the other holds."""

    @pytest.fixture
    def meeting(self, sessions: sessionmaker[Session], monkeypatch: pytest.MonkeyPatch) -> Meeting:
        monkeypatch.setattr(rules, "LABELS_FOR_JOB", 1)
        with sessions.begin() as session:
            dog = select(Image.id).join(Image.image_class).where(StudyClass.name == "dog")
            session.execute(
                update(ClusterMap).where(ClusterMap.image_id.in_(dog)).values(is_playable=False)
            )
        return Meeting(sessions, monkeypatch)

    def new_player(self, session: Session) -> Player:
        """Who has looked in before: the first deal waits for a moderator anyway, to make a hand."""
        player, _ = players.create_guest(session)
        dealing.lock_hand(session, player, studies.get(session, "cats-and-dogs"))
        return player

    def play(self, sessions: sessionmaker[Session], number: int, *, ends: bool) -> UUID:
        """A new player's round on the number-th of the cat's two maps; the player's id."""
        with sessions.begin() as session:
            player = self.new_player(session)
            study = studies.get(session, "cats-and-dogs")
            cat = study.classes[0].id
            maps = select(ClusterMap.id).join(ClusterMap.image).where(Image.class_id == cat)
            map_id = session.scalars(maps.order_by(ClusterMap.rank)).all()[number]
            round_ = Round(study_id=study.id, cluster_map_id=map_id, player_id=player.id)
            session.add(round_)
            session.flush()
            if ends:
                rounds.guess(
                    session, round_id=round_.id, player=player, class_id=cat, labels=["ear"]
                )
            return player.id

    def guess(self, session: Session, player_id: UUID) -> None:
        player = session.get_one(Player, player_id)
        round_id = session.scalars(select(Round.id).where(Round.player_id == player_id)).one()
        cat = studies.get(session, "cats-and-dogs").classes[0].id
        rounds.guess(session, round_id=round_id, player=player, class_id=cat, labels=["tail"])

    def deal(self, session: Session, player_id: UUID) -> None:
        study = studies.get(session, "cats-and-dogs")
        with suppress(ForbiddenError):
            rounds.deal(session, player=session.get_one(Player, player_id), study=study)

    def restrict(self, session: Session, *player_ids: UUID) -> None:
        study = studies.get(session, "cats-and-dogs")
        moderation.restrict(session, study, player_ids=player_ids, kind="banned")

    def test_a_guess_while_two_players_are_excluded(
        self, sessions: sessionmaker[Session], meeting: Meeting
    ) -> None:
        ids = [self.play(sessions, number, ends=True) for number in (0, 1)]
        # On the map of whose rounds are excluded last: the others' class is locked by then.
        eve = self.play(sessions, ids.index(max(ids)), ends=False)
        with sessions.begin() as session:
            session.execute(update(StudyClass).values(has_new_labels=False))
        meeting.stand_still_after(labels, "ask_anew")
        meeting.run(lambda s: self.restrict(s, *ids), lambda s: self.guess(s, eve))
        with sessions() as session:
            excluded = select(Round.player_id).where(Round.is_excluded)
            assert set(session.scalars(excluded)) == set(ids)
            assert session.scalar(select(func.sum(ClusterMap.n_finished))) == 1

    def test_a_deal_of_one_who_is_banned_with_others(
        self, sessions: sessionmaker[Session], meeting: Meeting
    ) -> None:
        ids = [self.play(sessions, number, ends=True) for number in (0, 1)]
        meeting.stand_still_after(moderation, "_lock_players")
        meeting.run(lambda s: self.restrict(s, *ids), lambda s: self.deal(s, ids[0]))
        with sessions() as session:
            assert session.scalars(select(Round.status).where(Round.status == "open")).all() == []

    def test_a_deal_while_a_ban_is_taken_back(
        self, sessions: sessionmaker[Session], meeting: Meeting
    ) -> None:
        ids = [self.play(sessions, number, ends=True) for number in (0, 1)]
        with sessions.begin() as session:
            self.restrict(session, *ids)
            eve = self.new_player(session).id

        def undo(session: Session) -> None:
            study = studies.get(session, "cats-and-dogs")
            last = moderation.last_acts(session, study, limit=1)[0]
            moderation.undo(session, study, entry_id=last.id)

        meeting.stand_still_after(moderation, "_lock_those_left")
        meeting.run(undo, lambda s: self.deal(s, eve))
        with sessions() as session:
            assert session.scalars(select(Round).where(Round.is_excluded)).all() == []
            assert session.scalars(select(Round.player_id).where(Round.status == "open")).one()


def only_player(session: Session) -> Player:
    return session.scalars(select(Player)).one()


def deal(session: Session) -> UUID:
    study = session.scalars(select(Study)).one()
    round_ = rounds.deal(session, player=only_player(session), study=study)
    assert round_ is not None
    return round_.id


def count(sessions: sessionmaker[Session], model: type) -> int:
    with sessions() as session:
        return session.scalar(select(func.count()).select_from(model)) or 0


def test_many_tabs_get_the_same_round(sessions: sessionmaker[Session]) -> None:
    assert len(set(at_once(sessions, deal))) == 1
    assert count(sessions, Round) == 1


def test_a_game_opens_though_its_last_two_pictures_end_at_once(
    sessions: sessionmaker[Session],
) -> None:
    with sessions.begin() as session:
        session.execute(update(Study).values(status="computing"))
        session.execute(update(Image).values(status="pending", maps_key=None))
        image_ids = session.scalars(select(Image.id)).all()
    both_ended = Barrier(len(image_ids))

    def end(image_id: UUID) -> None:
        with sessions.begin() as session:
            image = session.get_one(Image, image_id)
            image.status, image.maps_key = "done", "maps/any.npz"
            session.flush()
            both_ended.wait(timeout=20)
            studies.open_when_ready(session, image.study_id)

    with ThreadPoolExecutor(len(image_ids)) as pool:
        list(pool.map(end, image_ids))
    with sessions() as session:
        assert session.scalar(select(Study.status)) == "open"


def test_a_guess_sent_many_times_counts_once(sessions: sessionmaker[Session]) -> None:
    with sessions.begin() as session:
        round_id = deal(session)
        study = studies.get(session, "cats-and-dogs")
        cat = study.classes[0].id

    def guess(session: Session) -> str:
        player = only_player(session)
        done = rounds.guess(
            session, round_id=round_id, player=player, class_id=cat, labels=["ears"]
        )
        return done.status

    assert set(at_once(sessions, guess)) == {"won"}
    assert count(sessions, Label) == 1
    assert count(sessions, PointsEntry) == 1
    with sessions() as session:
        assert session.scalar(select(func.sum(ClusterMap.n_finished))) == 1


def test_a_practice_guess_sent_many_times_pays_once(sessions: sessionmaker[Session]) -> None:
    with sessions.begin() as session:
        for map_id in session.scalars(select(ClusterMap.id)).all():
            practice.store_known_answer(
                session, cluster_map_id=map_id, region="ear", words=["ear"], energy_share=0.9
            )
        round_id = deal(session)
        cat = studies.get(session, "cats-and-dogs").classes[0].id

    def guess(session: Session) -> bool | None:
        return rounds.guess(
            session,
            round_id=round_id,
            player=only_player(session),
            class_id=cat,
            labels=["an ear"],
        ).named_known

    assert set(at_once(sessions, guess)) == {True}
    with sessions() as session:
        paid = select(PointsEntry.points).where(PointsEntry.reason == "practice")
        assert session.scalars(paid).all() == [rules.PRACTICE_POINTS]
        assert session.scalar(select(func.sum(ClusterMap.n_finished))) == 0


def test_an_answer_stated_many_times_is_stored_once(sessions: sessionmaker[Session]) -> None:
    with sessions() as session:
        map_id = session.scalars(select(ClusterMap.id)).first()
    assert map_id is not None

    def state(session: Session) -> UUID:
        return practice.store_known_answer(
            session, cluster_map_id=map_id, region="ear", words=["ear"], energy_share=0.9
        ).cluster_map_id

    assert set(at_once(sessions, state)) == {map_id}
    assert count(sessions, KnownAnswer) == 1


def test_a_reveal_sent_many_times_moves_one_step(sessions: sessionmaker[Session]) -> None:
    with sessions.begin() as session:
        round_id = deal(session)

    def reveal(session: Session) -> int:
        player = only_player(session)
        return rounds.reveal(session, round_id=round_id, player=player, from_index=0).reveal_index

    assert set(at_once(sessions, reveal)) == {1}


def test_players_who_finish_one_map_together_are_all_counted(
    sessions: sessionmaker[Session],
) -> None:
    with sessions.begin() as session:
        study = studies.get(session, "cats-and-dogs")
        _one, *others = session.scalars(select(ClusterMap)).all()
        for other in others:
            other.is_playable = False
        waiting = []
        for _ in range(N_AT_ONCE):
            player, _token = players.create_guest(session)
            round_ = rounds.deal(session, player=player, study=study)
            assert round_ is not None
            waiting.append((round_.id, player.id))

    def resign(session: Session) -> UUID:
        round_id, player_id = waiting.pop()
        player = session.get_one(Player, player_id)
        return rounds.resign(session, round_id=round_id, player=player).cluster_map_id

    (map_id,) = set(at_once(sessions, resign))
    with sessions() as session:
        found = session.scalars(select(ClusterMap).where(ClusterMap.id == map_id)).one()
        assert found.n_finished == N_AT_ONCE


class TestAccounts:
    """What a double click on "Sign up" or "Sign in" does."""

    def test_of_several_who_want_a_name_one_gets_it(self, sessions: sessionmaker[Session]) -> None:
        def sign_up(session: Session) -> object:
            try:
                return accounts.create(
                    session, name="Ada", password=PASSWORD, guest=only_player(session)
                ).id
            except ConflictError:
                return None

        made = at_once(sessions, sign_up)
        assert len([one for one in made if one is not None]) == 1
        assert count(sessions, Account) == 1

    def test_a_guest_is_merged_once(self, sessions: sessionmaker[Session]) -> None:
        with sessions.begin() as session:
            guest_id = only_player(session).id
            deal(session)
            account_id = make_account(session, "Ada").id

        def sign_in(session: Session) -> object:
            return players.merge_guest(
                session,
                guest=session.get_one(Player, guest_id),
                account=session.get_one(Account, account_id),
            )

        assert sorted(at_once(sessions, sign_in)) == [0] * (N_AT_ONCE - 1) + [1]
        assert count(sessions, Round) == 1

    def test_a_guess_that_comes_while_a_guest_signs_in_is_counted_once(
        self, sessions: sessionmaker[Session]
    ) -> None:
        """In which of the two orders they come, the points are the account's in the end."""
        with sessions.begin() as session:
            guest_id = only_player(session).id
            round_id = deal(session)
            account_id = make_account(session, "Ada").id
        next_way = in_turns("sign in", "guess")

        def act(session: Session) -> object:
            way = next_way()
            guest = session.get_one(Player, guest_id)
            account = session.get_one(Account, account_id)
            if way == "sign in":
                return players.merge_guest(session, guest=guest, account=account)
            try:
                round_ = rounds.get_round(session, round_id=round_id, player=guest)
                class_id = round_.cluster_map.image.class_id
                rounds.guess(
                    session, round_id=round_id, player=guest, class_id=class_id, labels=["fur"]
                )
            except NotFoundError:  # it is the account's by now
                return None
            return None

        at_once(sessions, act)
        with sessions.begin() as session:
            account = session.get_one(Account, account_id)
            player = session.get_one(Player, account.player_id)
            round_ = rounds.get_round(session, round_id=round_id, player=player)
            if round_.is_open:
                class_id = round_.cluster_map.image.class_id
                rounds.guess(
                    session, round_id=round_id, player=player, class_id=class_id, labels=["fur"]
                )
            earned = session.scalars(select(PointsEntry.points)).all()
            assert players.standing(session, player).points == sum(earned) > 0
            assert session.scalar(select(func.count()).select_from(Label)) == 1

    def test_a_deal_that_comes_while_a_guest_signs_in_is_waited_for(
        self, sessions: sessionmaker[Session]
    ) -> None:
        """Whoever comes first, neither waits for what the other holds."""
        with sessions.begin() as session:
            guest_id = only_player(session).id
            guest, round_id = only_player(session), deal(session)
            round_ = rounds.get_round(session, round_id=round_id, player=guest)
            class_id = round_.cluster_map.image.class_id
            rounds.guess(
                session, round_id=round_id, player=guest, class_id=class_id, labels=["fur"]
            )
            account_id = make_account(session, "Ada").id
        next_way = in_turns("sign in", "deal")

        def act(session: Session) -> object:
            way = next_way()
            guest = session.get_one(Player, guest_id)
            if way == "deal":
                study = session.scalars(select(Study)).one()
                return rounds.deal(session, player=guest, study=study) is not None
            account = session.get_one(Account, account_id)
            return players.merge_guest(session, guest=guest, account=account)

        at_once(sessions, act)
        with sessions.begin() as session:
            player = session.get_one(Player, session.get_one(Account, account_id).player_id)
            assert players.standing(session, player).points > 0

    def test_two_admins_who_step_down_at_once_leave_one(
        self, sessions: sessionmaker[Session]
    ) -> None:
        with sessions.begin() as session:
            next_id = in_turns(*[make_account(session, role="admin").id for _ in range(N_AT_ONCE)])

        def step_down(session: Session) -> object:
            try:
                accounts.change_role(session, session.get_one(Account, next_id()), "player")
            except ConflictError:
                return "refused"
            return "stepped down"

        assert sorted(at_once(sessions, step_down)) == ["refused"] + ["stepped down"] * 5


def guess_cat(session: Session, *labels_: str) -> list[Job]:
    """A new player's guess about a map of the cat; the jobs it asks for."""
    player, _ = players.create_guest(session)
    study = session.scalars(select(Study)).one()
    cluster_map = session.scalars(select(ClusterMap).order_by(ClusterMap.weight.desc())).first()
    assert cluster_map is not None
    round_ = Round(study_id=study.id, cluster_map_id=cluster_map.id, player_id=player.id)
    session.add(round_)
    session.flush()
    class_id = session.scalars(select(Image.class_id).where(Image.id == cluster_map.image_id)).one()
    rounds.guess(session, round_id=round_.id, player=player, class_id=class_id, labels=labels_)
    return [job for job in queued_jobs(session) if job.name == "labels.group_class"]


def test_a_label_typed_while_the_concepts_job_works_asks_for_a_job_of_its_own(
    sessions: sessionmaker[Session], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And its player does not wait for the one that works."""
    monkeypatch.setattr(rules, "LABELS_FOR_JOB", 1)
    with sessions.begin() as session:
        (job,) = guess_cat(session, "ear")
    class_id = job.arguments["class_id"]
    with sessions.begin() as session:
        labels.note_new_labels(session, class_id=class_id, simulated=False, are_there=False)
    with sessions.begin() as working:
        labels.group_class(working, class_id=class_id, embed=ByFirstLetter(), recipe="paper")
        with sessions.begin() as session:
            session.execute(text("set local lock_timeout = '5s'"))
            assert guess_cat(session, "tail") == [job]
    with sessions() as session:
        assert labels.classes_with_new_labels(session) == [class_id]


def test_of_many_guesses_before_a_job_one_asks_for_it(
    sessions: sessionmaker[Session], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rules, "LABELS_FOR_JOB", 1)
    asked = at_once(sessions, lambda session: len(guess_cat(session, "ear")))
    assert sorted(asked) == [*[0] * (N_AT_ONCE - 1), 1]


def test_two_who_look_at_once_meet_and_two_who_answer_at_once_are_both_paid_once(
    sessions: sessionmaker[Session],
) -> None:
    with sessions.begin() as session:
        players.create_guest(session)
        ids = session.scalars(select(Player.id).order_by(Player.id)).all()
        cat = studies.get(session, "cats-and-dogs").classes[0].id
    next_id = in_turns(*ids)

    def next_player(session: Session) -> Player:
        return session.get_one(Player, next_id())

    def seek(session: Session) -> None:
        study = session.scalars(select(Study)).one()
        with suppress(ConflictError):  # they have met by then
            live.seek(session, player=next_player(session), study=study)

    def guess(session: Session) -> None:
        player = next_player(session)
        round_id = session.scalars(select(Round.id).where(Round.player_id == player.id)).one()
        rounds.guess(session, round_id=round_id, player=player, class_id=cat, labels=["ears"])

    at_once(sessions, seek)
    with sessions() as session:
        places = select(ClusterMap.n_leased).where(ClusterMap.n_leased > 0)
        assert session.scalars(places).all() == [2]
    at_once(sessions, guess)
    with sessions() as session:
        paid = select(PointsEntry.player_id).where(PointsEntry.reason == "met")
        assert sorted(session.scalars(paid)) == list(ids)
        assert checks.find_drift(session) == []


def test_of_a_file_taken_in_while_a_draft_is_read_it_is_known_that_it_waits_or_is_there(
    sessions: sessionmaker[Session],
) -> None:
    """A page that is told of neither asks no more, and stays as it is."""
    with sessions.begin() as session:
        draft = drafts.create(session, name="Boats")
        upload = Upload(draft_id=draft.id, path="boat/1.png", storage_key="u", n_bytes=1)
        session.add(upload)
        session.flush()
        draft_id, upload_id = draft.id, upload.id

    def take_in(*_: object) -> None:
        with sessions.begin() as session:
            session.delete(session.get_one(Upload, upload_id))
            session.add(
                DraftFile(
                    draft_id=draft_id,
                    path="boat/1.png",
                    class_name="boat",
                    file_name="1.png",
                    sha256="0" * 64,
                    storage_key="p",
                )
            )

    with sessions() as session:
        draft = session.get_one(StudyDraft, draft_id)
        event.listen(session.connection(), "after_execute", take_in, once=True)
        found = drafts.contents(session, draft)
    assert found.n_waiting + found.n_pictures >= 1
