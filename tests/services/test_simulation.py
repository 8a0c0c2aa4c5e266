"""Simulated players at a study of the picture book, with true commits."""

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, func, select, update
from sqlalchemy.orm import Session, sessionmaker

from app.infra.db import make_engine, session_factory
from app.infra.errors import ConflictError, InvalidInputError
from app.infra.storage import Storage
from app.models import ClusterMap, Image, Label, NewLabels, Player, Round, Study
from app.picturebook.scenes import Recipe
from app.picturebook.words import names
from app.services import practice, rounds
from app.services.drawing import read_view, to_jpeg
from app.services.simulation import Simulation
from tests import factories
from tests.scene_study import add_scene, make_scene_study

SCENES = [Recipe("sailboat", 1, 0, "water"), Recipe("sailboat", 1, 1, "water", marked=True)]
REGIONS = ("sail", "hull")

Crowd = Callable[..., Simulation]


@pytest.fixture
def engine(database: str) -> Iterator[Engine]:
    engine = make_engine(database)
    yield engine
    engine.dispose()


@pytest.fixture
def factory(engine: Engine, storage: Storage) -> sessionmaker[Session]:
    """A database with a study of two boats, each with a map on the sail and one on the hull."""
    factory = session_factory(engine)
    with factory.begin() as session:
        add_scenes(session, storage, make_scene_study(session))
    return factory


def add_scenes(session: Session, storage: Storage, study: Study) -> None:
    """The two boats; no map is as heavy as another, so that they are dealt in one order."""
    for weight, recipe in zip((50.0, 40.0), SCENES, strict=True):
        add_scene(session, storage, study, recipe, regions=REGIONS, weight=weight)


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    return Storage(tmp_path / "storage")


@pytest.fixture
def crowd(factory: sessionmaker[Session], storage: Storage) -> Crowd:
    """A simulation of the study; two players unless another number is asked for."""

    def crowd(n_players: int = 2, *, seed: int = 0, study_name: str = "Picture book") -> Simulation:
        return Simulation(
            factory,
            storage,
            study_name=study_name,
            n_players=n_players,
            seed=seed,
            secret=b"a key for tests",
        )

    return crowd


def count(factory: sessionmaker[Session], model: type, *conditions: object) -> int:
    with factory() as session:
        return session.scalar(select(func.count()).select_from(model).where(*conditions)) or 0


class TestPlaying:
    def test_the_rounds_wanted_are_played_and_stored(
        self, factory: sessionmaker[Session], crowd: Crowd
    ) -> None:
        played = list(crowd(3).play(9))
        assert len(played) == 9
        with factory() as session:
            stored = session.execute(
                select(Round.status, Player.is_simulated).join(Round.player)
            ).all()
            n_labels = session.scalar(select(func.count()).select_from(Label))
        assert Counter(status for status, _ in stored) == Counter(p.status for p in played)
        assert all(is_simulated for _, is_simulated in stored)
        assert n_labels == sum(p.n_labels for p in played)

    def test_players_take_turns(self, factory: sessionmaker[Session], crowd: Crowd) -> None:
        list(crowd(3).play(7))
        with factory() as session:
            counts = session.scalars(select(func.count(Round.id)).group_by(Round.player_id)).all()
        assert sorted(counts) == [2, 2, 3]

    def test_words_name_what_the_maps_show(
        self, factory: sessionmaker[Session], crowd: Crowd
    ) -> None:
        """A crowd is no expert, but of its labels for a map more name its part than the other."""
        list(crowd(12).play(48, n_threads=2))
        with factory() as session:
            rows = session.execute(
                select(Label.text, ClusterMap.rank).join(Label.round).join(Round.cluster_map)
            ).all()
        said = Counter(
            (REGIONS[rank], region)
            for typed, rank in rows
            for region in REGIONS
            if names(typed.lower(), class_name="sailboat", region=region)
        )
        assert said["sail", "sail"] > 2 * said["sail", "hull"]
        assert said["hull", "hull"] > 2 * said["hull", "sail"]

    def test_it_ends_when_everybody_has_seen_every_map(self, crowd: Crowd) -> None:
        assert len(list(crowd(2).play(100))) == 8

    def test_people_are_not_touched(self, factory: sessionmaker[Session], crowd: Crowd) -> None:
        list(crowd(2).play(8))
        assert count(factory, ClusterMap, ClusterMap.n_finished > 0) == 0
        assert count(factory, ClusterMap, ClusterMap.simulated_n_finished == 2) == 4
        assert count(factory, NewLabels, ~NewLabels.simulated) == 0

    def test_what_is_due_is_noted(self, factory: sessionmaker[Session], crowd: Crowd) -> None:
        list(crowd(2).play(2))
        assert count(factory, NewLabels, NewLabels.simulated) == 2

    def test_a_practice_round_is_played_as_any(
        self, factory: sessionmaker[Session], crowd: Crowd
    ) -> None:
        with factory.begin() as session:
            for map_id in session.scalars(select(ClusterMap.id)):
                practice.store_known_answer(
                    session, cluster_map_id=map_id, region="sail", words=["sail"], energy_share=0.9
                )
        assert len(list(crowd(1).play(1))) == 1
        assert count(factory, Round, Round.practice, Round.status != "open") == 1


class TestGoingOn:
    def test_the_same_command_again_has_nothing_left_to_do(
        self, factory: sessionmaker[Session], crowd: Crowd
    ) -> None:
        list(crowd(2).play(5))
        again = crowd(2)
        assert again.n_finished == 5
        assert list(again.play(5)) == []
        assert count(factory, Player) == 2

    def test_it_goes_on_to_the_rounds_wanted(
        self, factory: sessionmaker[Session], crowd: Crowd
    ) -> None:
        playing = crowd(2).play(6)
        next(playing)
        playing.close()
        assert len(list(crowd(2).play(6))) == 5
        assert count(factory, Round, Round.status != "open") == 6

    def test_an_open_round_is_finished(self, factory: sessionmaker[Session], crowd: Crowd) -> None:
        with factory.begin() as session:
            player = session.get_one(Player, crowd(1).members[0].player.id)
            round_ = rounds.deal(session, player=player, study=session.scalars(select(Study)).one())
            assert round_ is not None
            rounds.reveal(session, round_id=round_.id, player=player, from_index=0)
        assert len(list(crowd(1).play(1))) == 1
        with factory() as session:
            (finished,) = session.scalars(select(Round)).all()
        assert (finished.id, finished.is_open) == (round_.id, False)
        assert finished.reveal_index >= 1

    def test_more_players_join_those_there_are(self, crowd: Crowd) -> None:
        few = [member.player.id for member in crowd(2).members]
        many = [member.player.id for member in crowd(4).members]
        assert many[:2] == few
        assert len(set(many)) == 4

    def test_another_seed_is_another_crowd(self, crowd: Crowd) -> None:
        one, other = ({m.player.id for m in crowd(2, seed=s).members} for s in (0, 1))
        assert not one & other

    def test_with_one_thread_a_run_can_be_repeated(
        self, factory: sessionmaker[Session], storage: Storage, crowd: Crowd
    ) -> None:
        with factory.begin() as session:
            add_scenes(session, storage, make_scene_study(session, name="The same again"))

        def answers(study_name: str) -> list[tuple[object, ...]]:
            simulation = crowd(3, study_name=study_name)
            list(simulation.play(12))
            with factory() as session:
                rows = session.execute(
                    select(Round.status, Round.reveal_index, Label.text)
                    .outerjoin(Label, Label.round_id == Round.id)
                    .where(Round.study_id == simulation.study.id)
                    .order_by(Round.finished_at, Label.position)
                )
                return [tuple(row) for row in rows]

        assert answers("Picture book") == answers("The same again")


class TestRefusing:
    def test_a_study_of_other_pictures(
        self, factory: sessionmaker[Session], storage: Storage, crowd: Crowd
    ) -> None:
        with factory.begin() as session:
            study = factories.make_study(session, name="Photos")
            image = factories.make_image(session, storage, study)
            storage.put(image.original_key, to_jpeg(factories.draw_view()))
        with pytest.raises(InvalidInputError, match=f"1 of 1 pictures.*{image.file_name}"):
            crowd(study_name="Photos")
        assert count(factory, Player) == 0

    def test_a_study_without_pictures(self, factory: sessionmaker[Session], crowd: Crowd) -> None:
        with factory.begin() as session:
            make_scene_study(session, name="Empty")
        with pytest.raises(InvalidInputError, match="no pictures"):
            crowd(study_name="Empty")

    def test_a_game_that_is_not_open(self, factory: sessionmaker[Session], crowd: Crowd) -> None:
        with factory.begin() as session:
            session.execute(update(Study).values(status="computing"))
        with pytest.raises(ConflictError, match="not open"):
            crowd()

    def test_pictures_of_which_players_see_a_part(
        self, factory: sessionmaker[Session], storage: Storage, crowd: Crowd
    ) -> None:
        with factory() as session:
            for image in session.scalars(select(Image)):
                view = read_view(storage, image)
                assert image.view_key is not None
                storage.put(
                    image.view_key, to_jpeg(view.crop((64, 64, 448, 448)).resize(view.size))
                )
        with pytest.raises(InvalidInputError, match="not shown as it was drawn"):
            list(crowd(1).play(1))
