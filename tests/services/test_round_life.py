"""Whatever two players do, in whatever order: no round is lost, doubled or one too many."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import Engine, func, select, update
from sqlalchemy.orm import Session

from app.infra.errors import ConflictError
from app.infra.storage import Storage
from app.models import ClusterMap, Player, PointsEntry, Round, StudyClass
from app.services import checks, dealing, players, practice, rounds
from tests.factories import make_account, make_image, make_player, make_study, maps_of, spot_map

N_WANTED = 2
N_PLAYERS = 2
Who = st.integers(0, N_PLAYERS - 1)


class RoundLife(RuleBasedStateMachine):
    """Two players, in a study of three pictures with two maps each, of which one is for practice.
    Each starts as a guest and may sign in to an account that has played already. Every step is a
    transaction of its own, as a request is."""

    open_session: Callable[[], Session]
    storage: Storage

    def __init__(self) -> None:
        super().__init__()
        self.session = self.open_session()
        self.dealt: dict[UUID, set[UUID]] = {}  # the maps that each player has been shown
        self.points = 0

    def teardown(self) -> None:
        connection = self.session.connection()
        self.session.close()
        connection.close()  # undoes all

    @initialize()
    def begin(self) -> None:
        session = self.session
        self.study = make_study(session)
        spots = [(60.0 - i, spot_map(x=0.3 * (i + 1))) for i in range(2)]
        maps: list[ClusterMap] = []
        for _ in range(3):
            image = make_image(session, self.storage, self.study, maps={"layer4": spots})
            maps += maps_of(session, image)
        for one in maps:
            one.n_wanted = N_WANTED
        practice.store_known_answer(
            session, cluster_map_id=maps[0].id, region="sail", words=["sail"], energy_share=0.9
        )
        self.players = [make_player(session, is_introduced=False) for _ in range(N_PLAYERS)]
        self.accounts = [make_account(session) for _ in range(N_PLAYERS)]
        session.commit()

    def open_round(self, who: int) -> Round | None:
        return self.session.scalar(
            select(Round).where(
                Round.player_id == self.players[who].id, Round.status == "open", ~Round.is_ahead
            )
        )

    @rule(who=Who, daily=st.booleans())
    def deal(self, who: int, daily: bool) -> None:
        before = self.open_round(who)
        found = rounds.deal(self.session, player=self.players[who], study=self.study, daily=daily)
        self.session.commit()
        if before is not None:
            assert found is not None
            assert found.id == before.id, "an open round was lost"
            return
        if found is not None:
            shown = self.dealt.setdefault(self.players[who].id, set())
            assert found.cluster_map_id not in shown, "a map was dealt twice"
            shown.add(found.cluster_map_id)

    @rule(who=Who, daily=st.booleans())
    def deal_ahead(self, who: int, daily: bool) -> None:
        rounds.deal_ahead(self.session, player=self.players[who], study=self.study, daily=daily)
        self.session.commit()

    @rule(who=Who)
    def skip_introduction(self, who: int) -> None:
        rounds.skip_introduction(self.session, self.players[who])
        self.session.commit()

    @rule(who=Who, from_index=st.integers(0, 2))
    def reveal(self, who: int, from_index: int) -> None:
        round_ = self.open_round(who)
        if round_ is None:
            return
        at = round_.reveal_index
        try:
            rounds.reveal(
                self.session,
                round_id=round_.id,
                player=self.players[who],
                from_index=from_index,
            )
        except ConflictError:
            assert from_index > at
        assert round_.reveal_index in (at, at + 1)
        self.session.commit()

    @rule(who=Who, right=st.booleans(), word=st.sampled_from(["sail", "hull", ""]))
    def guess(self, who: int, right: bool, word: str) -> None:
        round_ = self.open_round(who)
        if round_ is None:
            return
        boat_id, kite_id = self.session.scalars(
            select(StudyClass.id)
            .where(StudyClass.study_id == self.study.id)
            .order_by(StudyClass.position)
        )
        for _ in range(2):  # a double click
            done = rounds.guess(
                self.session,
                round_id=round_.id,
                player=self.players[who],
                class_id=boat_id if right else kite_id,
                labels=[word],
            )
            self.session.commit()
            assert done.is_won is right
            assert done.reveal_index == round_.reveal_index

    @rule(who=Who)
    def resign(self, who: int) -> None:
        round_ = self.open_round(who)
        if round_ is not None:
            rounds.resign(self.session, round_id=round_.id, player=self.players[who])
            self.session.commit()

    @rule()
    def give_abandoned_places_back(self) -> None:
        past = datetime.now(UTC) - timedelta(seconds=1)
        held = Round.place_until.is_not(None)
        self.session.execute(update(Round).where(held).values(place_until=past))
        dealing.return_abandoned(self.session)
        self.session.commit()

    @rule(who=Who)
    def sign_in(self, who: int) -> None:
        """The guest turns out to have an account, and a new guest comes to this browser later."""
        guest, account = self.players[who], self.accounts[who]
        players.merge_guest(self.session, guest=guest, account=account)
        self.session.commit()
        own = select(Round.cluster_map_id).where(
            Round.player_id == account.player_id, ~Round.is_ahead
        )
        self.dealt.setdefault(account.player_id, set()).update(self.session.scalars(own))
        self.players[who] = self.session.get_one(Player, account.player_id)

    @rule(who=Who)
    def sign_out(self, who: int) -> None:
        self.players[who] = make_player(self.session)
        self.session.commit()

    @invariant()
    def what_is_counted_is_what_there_is(self) -> None:
        if not hasattr(self, "study"):
            return
        self.session.expire_all()
        assert checks.find_drift(self.session) == []

    @invariant()
    def no_map_has_more_rounds_than_wanted(self) -> None:
        over = select(ClusterMap.id).where(
            ClusterMap.n_finished + ClusterMap.n_leased > ClusterMap.n_wanted
        )
        assert self.session.scalars(over).all() == []

    @invariant()
    def points_only_grow(self) -> None:
        total = self.session.scalar(select(func.sum(PointsEntry.points))) or 0
        assert total >= self.points
        self.points = total


def test_the_life_of_rounds(worker_engine: Engine, tmp_path: Path) -> None:
    """On real PostgreSQL; each run of steps is undone in the end."""

    def open_session() -> Session:
        connection = worker_engine.connect()
        connection.begin()
        return Session(connection, join_transaction_mode="create_savepoint", expire_on_commit=False)

    class OnThisDatabase(RoundLife):
        pass

    OnThisDatabase.open_session = staticmethod(open_session)
    OnThisDatabase.storage = Storage(tmp_path / "storage")
    run_state_machine_as_test(
        OnThisDatabase,
        settings=settings(
            max_examples=10,
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
