"""Dealing: who gets which map, and how often a map is played."""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from sqlalchemy import TextClause, func, select, text, update
from sqlalchemy.orm import Session, sessionmaker

from app import rules
from app.infra.db import make_engine, session_factory
from app.infra.storage import Storage
from app.models import ClusterMap, Image, Layer, Player, PointsEntry, Round, Study, StudyClass
from app.services import checks, dealing, players, rounds, shown
from tests import factories
from tests.services.conftest import Game, make_game


def add_images(session: Session, study: Study, n_maps: list[int]) -> list[UUID]:
    """Pictures with so many maps each, without files; their ids."""
    class_id = session.scalar(select(StudyClass.id).where(StudyClass.study_id == study.id).limit(1))
    layer_id = session.scalar(select(Layer.id).where(Layer.study_id == study.id).limit(1))
    ids = []
    for n in n_maps:
        image = Image(
            id=uuid4(),
            study_id=study.id,
            class_id=class_id,
            file_name="boat.jpg",
            sha256=uuid4().hex * 2,
            original_key="originals/boat",
        )
        session.add(image)
        session.flush()
        session.add_all(
            ClusterMap(
                study_id=study.id,
                image_id=image.id,
                layer_id=layer_id,
                rank=rank,
                weight=50.0 / (rank + 1),
                channels=[rank],
                array_name="a",
                is_playable=True,
            )
            for rank in range(n)
        )
        session.flush()
        ids.append(image.id)
    return ids


def play(session: Session, player: Player, study: Study) -> Round | None:
    round_ = rounds.deal(session, player=player, study=study)
    if round_ is not None:
        rounds.resign(session, round_id=round_.id, player=player)
    return round_


def image_of(session: Session, round_: Round) -> UUID:
    return session.get_one(ClusterMap, round_.cluster_map_id).image_id


@pytest.mark.parametrize("simulated", [False, True])
def test_a_player_sees_every_picture_before_one_again_and_every_map_once(
    session: Session, simulated: bool
) -> None:
    """More pictures than a hand holds, with one to five maps each."""
    study = factories.make_study(session)
    n_maps = [1 + number % 5 for number in range(40)]
    add_images(session, study, n_maps)
    player = players.create_simulated(session) if simulated else factories.make_player(session)
    played = []
    while (round_ := play(session, player, study)) is not None:
        played.append(round_)
    assert len(played) == len({r.cluster_map_id for r in played}) == sum(n_maps)
    seen = [image_of(session, round_) for round_ in played]
    assert len(set(seen[:40])) == 40
    # Lap by lap: no picture is n + 1 times had while another that has so many was had n - 1 times.
    for lap in range(1, 6):
        n_before = sum(min(n, lap) for n in n_maps)
        assert max(Counter(seen[:n_before]).values()) <= lap
    assert checks.find_drift(session) == []


def test_maps_are_played_evenly(session: Session) -> None:
    """By the theory of balanced allocations none is more than a round ahead of the mean."""
    study = factories.make_study(session)
    add_images(session, study, [4] * 50)
    for _ in range(15):
        player = factories.make_player(session)
        for _ in range(20):
            play(session, player, study)
    counts = session.scalars(select(ClusterMap.n_finished)).all()
    assert sum(counts) == 300
    assert max(counts) <= 300 / 200 + 1.5
    assert min(counts) >= 0


def test_pictures_that_come_later_are_dealt_too(session: Session, player: Player) -> None:
    study = factories.make_study(session)
    early = add_images(session, study, [2, 2])
    while play(session, player, study) is not None:
        pass
    (late,) = add_images(session, study, [1])
    found = play(session, player, study)
    assert found is not None
    assert late not in early
    assert image_of(session, found) == late


@pytest.mark.parametrize(
    "query", [dealing._DRAW_FOR_PEOPLE, dealing._DRAW_FOR_SIMULATED, dealing._DAILY]
)
def test_pictures_are_drawn_by_no_index_but_the_decks(session: Session, query: TextClause) -> None:
    """Among very many pictures a planner may walk through all ids instead, which is slow. Here it
    would if that order served: the deck's indexes are gone, and sorting is dear."""
    study = factories.make_study(session)
    add_images(session, study, [1] * 10)
    session.execute(text("drop index ix_images_deck, ix_images_deck_wanted"))
    session.execute(text("set local enable_sort = off"))
    session.execute(text("set local enable_seqscan = off"))
    asked = {"lap": 1, "study_id": study.id, "low": UUID(int=0), "high": UUID(int=1), "n": 1}
    plan = session.scalars(text(f"explain {query.text}"), asked).all()
    assert not [line for line in plan if "pk_images" in line]


class TestPlaces:
    @pytest.fixture
    def one_map(self, session: Session, game: Game) -> ClusterMap:
        """The only map left, of which one more round is wanted."""
        for other in game.maps[1:]:
            other.is_playable = False
        game.maps[0].n_wanted = 1
        session.flush()
        return game.maps[0]

    def abandon(self, session: Session, round_: Round) -> None:
        round_.place_until = datetime.now(UTC) - timedelta(seconds=1)
        session.flush()
        assert dealing.return_abandoned(session) == 1
        session.expire_all()

    def test_a_map_under_way_is_not_dealt_beyond_the_number_wanted(
        self, session: Session, player: Player, rival: Player, game: Game, one_map: ClusterMap
    ) -> None:
        assert rounds.deal(session, player=player, study=game.study) is not None
        assert rounds.deal(session, player=rival, study=game.study) is None

    def test_a_place_left_comes_back_after_a_while(
        self, session: Session, player: Player, rival: Player, game: Game, one_map: ClusterMap
    ) -> None:
        left = rounds.deal(session, player=player, study=game.study)
        assert left is not None
        assert rounds.deal(session, player=rival, study=game.study) is None
        self.abandon(session, left)
        again = rounds.deal(session, player=rival, study=game.study)
        assert again is not None
        assert again.cluster_map_id == one_map.id

    def test_a_step_keeps_the_place(
        self, session: Session, player: Player, game: Game, one_map: ClusterMap
    ) -> None:
        round_ = rounds.deal(session, player=player, study=game.study)
        assert round_ is not None
        round_.place_until = datetime.now(UTC) + timedelta(seconds=5)
        rounds.reveal(session, round_id=round_.id, player=player, from_index=0)
        assert round_.place_until > datetime.now(UTC) + rules.PLACE_LASTS / 2

    def test_who_comes_back_late_finds_their_round_and_it_counts_if_there_is_a_place(
        self, session: Session, player: Player, game: Game, one_map: ClusterMap
    ) -> None:
        round_ = rounds.deal(session, player=player, study=game.study)
        assert round_ is not None
        self.abandon(session, round_)
        again = rounds.deal(session, player=player, study=game.study)
        assert again is not None
        assert again.id == round_.id
        done = rounds.guess(
            session, round_id=round_.id, player=player, class_id=game.cat.id, labels=["fur"]
        )
        assert not done.is_spare
        session.refresh(one_map)
        assert (one_map.n_finished, one_map.n_leased, one_map.is_wanted) == (1, 0, False)

    def test_a_late_guess_over_the_number_is_scored_and_counts_in_no_result(
        self, session: Session, player: Player, rival: Player, game: Game, one_map: ClusterMap
    ) -> None:
        late = rounds.deal(session, player=player, study=game.study)
        assert late is not None
        self.abandon(session, late)
        quick = rounds.deal(session, player=rival, study=game.study)
        assert quick is not None
        for round_, one in ((quick, rival), (late, player)):
            rounds.guess(
                session, round_id=round_.id, player=one, class_id=game.cat.id, labels=["fur"]
            )
        done = rounds.get_round(session, round_id=late.id, player=player)
        assert (done.status, done.is_spare) == ("won", True)
        assert players.standing(session, player).points > 0
        assert shown.outcome(session, done).is_spare
        session.refresh(one_map)
        assert one_map.n_finished == 1
        assert checks.find_drift(session) == []


class TestDaily:
    def test_everybody_gets_the_same_maps_in_the_same_order(
        self, session: Session, player: Player, rival: Player, game: Game
    ) -> None:
        drawn = []
        for one in (player, rival):
            maps = []
            while True:
                round_ = rounds.deal(session, player=one, study=game.study, daily=True)
                if round_ is None:
                    break
                rounds.resign(session, round_id=round_.id, player=one)
                maps.append(round_.cluster_map_id)
            drawn.append(maps)
        assert drawn[0] == drawn[1]
        assert len(drawn[0]) == 2  # one of each picture

    def test_finishing_it_pays_once(self, session: Session, player: Player, game: Game) -> None:
        for _ in range(3):
            round_ = rounds.deal(session, player=player, study=game.study, daily=True)
            if round_ is not None:
                rounds.resign(session, round_id=round_.id, player=player)
        reasons = select(PointsEntry.reason, PointsEntry.points).order_by(PointsEntry.id)
        assert session.execute(reasons).all() == [
            ("daily", rules.DAILY_POINTS),
            ("badge", rules.BADGE_POINTS),
        ]

    def test_its_last_map_pays_though_it_came_in_another_round(
        self, session: Session, player: Player, game: Game
    ) -> None:
        daily = rounds.deal(session, player=player, study=game.study, daily=True)
        assert daily is not None
        rounds.resign(session, round_id=daily.id, player=player)
        while play(session, player, game.study) is not None:
            pass
        assert n_paid_for_daily(session) == 1

    def test_who_never_took_it_up_is_not_paid_for_it(
        self, session: Session, player: Player, game: Game
    ) -> None:
        today = datetime.now(UTC).date()
        assert dealing.daily_maps(session, game.study, today)
        while play(session, player, game.study) is not None:
            pass
        assert n_paid_for_daily(session) == 0


def n_paid_for_daily(session: Session) -> int:
    paid = select(func.count()).select_from(PointsEntry).where(PointsEntry.reason == "daily")
    return session.scalar(paid) or 0


@pytest.fixture
def sessions(database: str, tmp_path: Path) -> Iterator[sessionmaker[Session]]:
    engine = make_engine(database, pool_size=16)
    factory = session_factory(engine)
    with factory.begin() as session:
        game = make_game(session, Storage(tmp_path / "storage"))
        for cluster_map in game.maps:
            cluster_map.n_wanted = 4
    yield factory
    engine.dispose()


def test_sixteen_players_at_once_never_exceed_the_number_wanted(
    sessions: sessionmaker[Session],
) -> None:
    """Three maps, four rounds wanted of each, sixteen players who play all they can get."""

    def play_all(_: int) -> int:
        with sessions.begin() as session:
            player, _token = players.create_guest(session)
        n = 0
        while True:
            with sessions.begin() as session:
                study = session.scalars(select(Study)).one()
                round_ = rounds.deal(session, player=player, study=study)
            if round_ is None:
                return n
            with sessions.begin() as session:
                cat = session.scalars(select(StudyClass).order_by(StudyClass.position)).first()
                assert cat is not None
                rounds.guess(
                    session, round_id=round_.id, player=player, class_id=cat.id, labels=["fur"]
                )
            n += 1

    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(play_all, range(16))) == 12
    with sessions() as session:
        assert session.scalars(select(ClusterMap.n_finished)).all() == [4, 4, 4]
        assert session.scalar(select(func.count()).select_from(Round)) == 12
        assert checks.find_drift(session) == []


def test_a_study_stays_loaded_when_no_map_can_be_taken(
    session: Session, player: Player, game: Game
) -> None:
    """The page that says so still names the study's answers."""
    taken = []
    real = dealing._candidates

    def full_by_now(*arguments: object) -> list[tuple[UUID, UUID]]:
        """What another player takes between the look and the taking."""
        found = real(*arguments)  # type: ignore[arg-type]
        session.execute(update(ClusterMap).values(n_wanted=0))
        taken.extend(found)
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dealing, "_candidates", full_by_now)
        assert rounds.deal(session, player=player, study=game.study) is None
    assert taken
    assert [c.name for c in game.study.classes] == ["cat", "dog"]
