"""The overview of a game: counted by hand on a game of three maps."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from app.models import Concept, Label, Player, Round, Study, StudyClass
from app.services import overview, players, rounds
from app.services.overview import Overview
from tests.services.conftest import Game

NOW = datetime(2026, 11, 26, 15, 20, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def study(session: Session, game: Game) -> Study:
    """Two days old and a bit, so that days are shown: the 23rd to the 26th."""
    game.study.created_at = NOW - timedelta(days=3)
    session.flush()
    return game.study


def play(
    session: Session, study: Study, player: Player, *, at: datetime, labels: list[str] | None = None
) -> Round:
    """Deal and answer a round at a moment; with no labels it stays open."""
    round_ = rounds.deal(session, player=player, study=study)
    assert round_ is not None
    round_.dealt_at = at
    if labels is not None:
        class_id = session.scalars(
            select(StudyClass.id).where(StudyClass.study_id == study.id).limit(1)
        ).one()
        rounds.guess(session, round_id=round_.id, player=player, class_id=class_id, labels=labels)
        session.execute(update(Round).where(Round.id == round_.id).values(finished_at=at))
    session.flush()
    return round_


def look(session: Session, study: Study) -> Overview:
    return overview.overview(session, study, now=NOW)


def test_rounds_and_players_are_counted_day_by_day(
    session: Session, study: Study, player: Player, rival: Player
) -> None:
    play(session, study, player, at=NOW - timedelta(days=2), labels=[])
    play(session, study, player, at=NOW - timedelta(days=2, hours=1), labels=[])
    play(session, study, rival, at=NOW, labels=[])
    found = look(session, study)
    assert found.unit == "day"
    assert [start.day for start in found.starts] == [22, 23, 24, 25, 26][-len(found.starts) :]
    assert found.n_rounds[-3:] == [2, 0, 1]
    assert found.n_players[-3:] == [1, 0, 1]
    assert found.last_answer_at == NOW
    assert found.n_online == 1


def test_a_young_game_is_shown_hour_by_hour(session: Session, study: Study, player: Player) -> None:
    study.created_at = NOW - 3 * HOUR
    session.flush()
    play(session, study, player, at=NOW - HOUR, labels=[])
    found = look(session, study)
    assert found.unit == "hour"
    assert found.n_rounds[-3:] == [0, 1, 0]


def test_practice_and_simulated_players_count_in_nothing(session: Session, study: Study) -> None:
    play(session, study, players.create_simulated(session), at=NOW, labels=["ear"])
    round_ = play(session, study, players.create_guest(session)[0], at=NOW, labels=[])
    session.execute(
        update(Round).where(Round.id == round_.id).values(practice=True, named_known=False)
    )
    found = look(session, study)
    assert sum(found.n_rounds) == sum(found.n_players) == found.n_online == 0
    assert found.last_answer_at is None


def test_coverage_counts_maps_with_the_rounds_that_are_wanted(
    session: Session, study: Study, game: Game
) -> None:
    study.n_wanted = 3
    for cluster_map, n in zip(game.maps, (0, 3, 7), strict=True):
        cluster_map.n_finished = n
    session.flush()
    coverage = look(session, study).coverage
    assert (coverage.n_maps, coverage.n_enough) == (3, 2)
    assert coverage.n_by_rounds == [1, 0, 0, 2]


def test_a_settled_map_has_enough_rounds(session: Session, study: Study, game: Game) -> None:
    study.n_wanted = 3
    for cluster_map, n in zip(game.maps, (2, 3, 2), strict=True):
        cluster_map.n_finished = n
    game.maps[0].settled_at = game.maps[1].settled_at = NOW
    session.flush()
    coverage = look(session, study).coverage
    assert (coverage.n_maps, coverage.n_enough, coverage.n_settled) == (3, 2, 1)


def test_without_a_number_that_is_wanted_nothing_is_enough(
    session: Session, study: Study, game: Game
) -> None:
    study.n_wanted = None
    game.maps[0].n_finished = 2
    session.flush()
    coverage = look(session, study).coverage
    assert coverage.n_enough is None
    assert coverage.n_by_rounds == [2, 0, 1]


def test_agreement_is_the_share_of_labels_that_another_player_confirmed(
    session: Session, study: Study, game: Game
) -> None:
    """On the first map two players type "ear", one of them "fur" too, which is no concept of the
    other's; on the second map one player alone types, whom nobody could confirm."""
    ear, fur = (Concept(class_id=game.cat.id, name=name) for name in ("ear", "fur"))
    session.add_all([ear, fur])
    first, second = players.create_guest(session)[0], players.create_guest(session)[0]
    of_map = {0: [(first, ["ear", "fur"]), (second, ["ears"])], 1: [(first, ["paw"])]}
    for number, typed in of_map.items():
        for player, labels in typed:
            round_ = Round(
                study_id=study.id,
                cluster_map_id=game.maps[number].id,
                player_id=player.id,
                status="won",
                guessed_class_id=game.cat.id,
                finished_at=NOW,
            )
            session.add(round_)
            session.flush()
            session.add_all(
                Label(
                    round_id=round_.id,
                    cluster_map_id=game.maps[number].id,
                    position=position,
                    text=text,
                )
                for position, text in enumerate(labels)
            )
    session.flush()
    for label in session.scalars(select(Label)):
        label.concept_id = {"ear": ear.id, "ears": ear.id, "fur": fur.id}.get(label.text)
    session.flush()
    found = look(session, study)
    assert found.agreement_now == pytest.approx(2 / 3)
    assert found.agreement[-1] == pytest.approx(2 / 3)
    assert found.agreement[:-1] == [None] * (len(found.starts) - 1)


def test_concepts_add_up(session: Session, study: Study, game: Game) -> None:
    session.add_all(
        Concept(class_id=game.cat.id, name=name, created_at=NOW - timedelta(days=days))
        for name, days in (("ear", 2), ("paw", 1), ("tail", 0))
    )
    session.add(Concept(class_id=game.cat.id, name="ear", simulated=True))
    session.flush()
    assert look(session, study).n_concepts[-3:] == [1, 2, 3]


class TestAlarm:
    def begin(self, session: Session, study: Study, n: int, *, minutes_ago: float) -> None:
        for _ in range(n):
            player = players.create_guest(session)[0]
            play(session, study, player, at=NOW - timedelta(minutes=minutes_ago))

    def test_rounds_that_nobody_answers_are_an_alarm(self, session: Session, study: Study) -> None:
        self.begin(session, study, 3, minutes_ago=10)
        assert look(session, study).n_unanswered == 3

    def test_one_answer_ends_it(self, session: Session, study: Study, player: Player) -> None:
        self.begin(session, study, 3, minutes_ago=10)
        play(session, study, player, at=NOW - timedelta(minutes=20), labels=[])
        assert look(session, study).n_unanswered == 0

    @pytest.mark.parametrize(("n", "minutes_ago"), [(2, 10), (3, 2), (3, 45)])
    def test_few_fresh_or_forgotten_rounds_are_none(
        self, session: Session, study: Study, n: int, minutes_ago: float
    ) -> None:
        self.begin(session, study, n, minutes_ago=minutes_ago)
        assert look(session, study).n_unanswered == 0

    def test_a_paused_game_has_none(self, session: Session, study: Study) -> None:
        self.begin(session, study, 3, minutes_ago=10)
        study.status = "paused"
        assert look(session, study).n_unanswered == 0


class TestCounts:
    def test_each_kind_of_player_is_counted_apart(
        self, session: Session, study: Study, player: Player
    ) -> None:
        play(session, study, player, at=NOW, labels=["sail", "mast"])
        simulated = players.create_simulated(session)
        play(session, study, simulated, at=NOW, labels=["hull"])
        people = overview.count(session, study, simulated=False)
        theirs = overview.count(session, study, simulated=True)
        assert (people.n_rounds, people.n_labels) == (1, 2)
        assert (theirs.n_rounds, theirs.n_labels) == (1, 1)

    def test_a_hidden_label_is_none(self, session: Session, study: Study, player: Player) -> None:
        play(session, study, player, at=NOW, labels=["sail", "mast"])
        session.execute(update(Label).where(Label.text == "mast").values(hidden_at=NOW))
        assert overview.count(session, study, simulated=False).n_labels == 1

    def test_labels_are_counted_to_one_more_than_is_said(
        self, session: Session, study: Study, player: Player, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(overview, "MOST_COUNTED", 1)
        play(session, study, player, at=NOW, labels=["sail", "mast", "hull"])
        assert overview.count(session, study, simulated=False).n_labels == 2
