"""People and simulated players: one game, two sets of results that never mix."""

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app import rules
from app.infra.queue import queued_jobs
from app.models import (
    ClusterMap,
    Concept,
    ConceptScore,
    Image,
    Label,
    LocalExplanation,
    Player,
    PointsEntry,
    Round,
)
from app.services import explanations, exports, labels, players, rounds, shown, studies
from tests.services.conftest import Game
from tests.services.test_labels import EMBED


@pytest.fixture
def simulated(session: Session) -> Player:
    return players.create_simulated(session)


def play(
    session: Session, player: Player, game: Game, *texts: str, right: bool = True, reveals: int = 0
) -> Round:
    """The player's next round, guessed with these labels."""
    round_ = rounds.deal(session, player=player, study=game.study)
    assert round_ is not None
    for index in range(reveals):
        rounds.reveal(session, round_id=round_.id, player=player, from_index=index)
    image = rounds.get_round(session, round_id=round_.id, player=player).cluster_map.image
    others = [c.id for c in (game.cat, game.dog) if c.id != image.class_id]
    return rounds.guess(
        session,
        round_id=round_.id,
        player=player,
        class_id=image.class_id if right else others[0],
        labels=texts,
    )


def group(session: Session, game: Game, *, simulated: bool) -> None:
    for image_class in (game.cat, game.dog):
        labels.group_class(
            session, class_id=image_class.id, embed=EMBED, recipe="paper", simulated=simulated
        )
    session.flush()
    session.expire_all()


def concept_names(session: Session, *, simulated: bool) -> list[str]:
    query = select(Concept.name).where(Concept.simulated.is_(simulated)).order_by(Concept.name)
    return list(session.scalars(query))


def rows_of(session: Session, *, simulated: bool) -> list[tuple[Any, ...]]:
    """Every stored result of one kind, row ids included."""
    concepts = select(Concept.id, Concept.name).where(Concept.simulated.is_(simulated))
    scores = (
        select(ConceptScore.id, ConceptScore.cluster_map_id, ConceptScore.score)
        .join(ConceptScore.concept)
        .where(Concept.simulated.is_(simulated))
    )
    members = (
        select(Label.id, Label.concept_id)
        .join(Label.round)
        .join(Round.player)
        .where(Player.is_simulated.is_(simulated))
    )
    stories = select(
        LocalExplanation.image_id, LocalExplanation.made_at, LocalExplanation.content
    ).where(LocalExplanation.simulated.is_(simulated))
    return [
        tuple(row)
        for query in (
            concepts.order_by(Concept.id),
            scores.order_by(ConceptScore.id),
            members.order_by(Label.id),
            stories.order_by(LocalExplanation.image_id),
        )
        for row in session.execute(query)
    ]


class TestSimulatedPlayers:
    def test_one_is_marked(self, simulated: Player, player: Player) -> None:
        assert (simulated.is_simulated, player.is_simulated) == (True, False)

    def test_each_has_a_token_of_its_own_that_nobody_gets(
        self, session: Session, simulated: Player
    ) -> None:
        other = players.create_simulated(session)
        assert len(simulated.token_digest) == 32
        assert simulated.token_digest != other.token_digest


class TestDealing:
    def test_a_round_counts_for_the_own_kind_only(
        self, session: Session, game: Game, player: Player, simulated: Player
    ) -> None:
        play(session, simulated, game)
        rounds.resign(session, round_id=play(session, player, game).id, player=player)
        counted = select(ClusterMap.n_finished, ClusterMap.simulated_n_finished)
        heavy = counted.where(ClusterMap.id == game.maps[0].id)
        assert session.execute(heavy).one() == (1, 1)

    def test_people_are_dealt_what_people_have_played_least(
        self, session: Session, game: Game, player: Player, simulated: Player
    ) -> None:
        assert play(session, simulated, game).cluster_map_id == game.maps[0].id
        assert play(session, player, game).cluster_map_id == game.maps[0].id

    def test_simulated_players_are_dealt_what_they_have_played_least(
        self, session: Session, game: Game, player: Player, simulated: Player
    ) -> None:
        play(session, player, game)
        other = players.create_simulated(session)
        assert play(session, simulated, game).cluster_map_id == game.maps[0].id
        assert play(session, other, game).cluster_map_id == game.maps[2].id


class TestAgreeing:
    def test_a_person_earns_nothing_for_a_simulated_players_word(
        self, session: Session, game: Game, player: Player, simulated: Player
    ) -> None:
        play(session, simulated, game, "ears")
        done = play(session, player, game, "ears")
        assert [e.reason for e in shown.outcome(session, done).points] == ["guess"]

    def test_simulated_players_agree_among_themselves(
        self, session: Session, game: Game, simulated: Player
    ) -> None:
        play(session, simulated, game, "ears")
        for m in game.maps:
            m.simulated_n_finished = 0
        session.flush()
        done = play(session, players.create_simulated(session), game, "ears")
        assert [e.reason for e in shown.outcome(session, done).points] == ["guess", "agreement"]

    def test_what_others_typed_is_what_the_own_kind_typed(
        self, session: Session, game: Game, player: Player, simulated: Player
    ) -> None:
        play(session, simulated, game, "whiskers")
        done = play(session, player, game, "ears")
        assert shown.outcome(session, done).labels_of_others == []


class TestConcepts:
    def test_each_kind_has_concepts_of_its_own_words(
        self, session: Session, game: Game, player: Player, simulated: Player
    ) -> None:
        play(session, player, game, "ear", "tail")
        play(session, simulated, game, "ear", "fur")
        group(session, game, simulated=False)
        group(session, game, simulated=True)
        assert concept_names(session, simulated=False) == ["ear", "tail"]
        assert concept_names(session, simulated=True) == ["ear", "fur"]

    @pytest.mark.parametrize("made_anew", [False, True])
    def test_making_one_set_anew_leaves_every_row_of_the_other(
        self,
        session: Session,
        game: Game,
        player: Player,
        rival: Player,
        simulated: Player,
        made_anew: bool,
    ) -> None:
        play(session, player, game, "ear", "tail")
        play(session, simulated, game, "ear", "fur")
        for kind in (False, True):
            group(session, game, simulated=kind)
        before = rows_of(session, simulated=not made_anew)
        newcomer = players.create_simulated(session) if made_anew else rival
        play(session, newcomer, game, "paw", right=False)
        group(session, game, simulated=made_anew)
        assert rows_of(session, simulated=not made_anew) == before
        assert "paw" in concept_names(session, simulated=made_anew)

    def test_running_again_on_simulated_labels_gives_the_same_rows(
        self, session: Session, game: Game, simulated: Player
    ) -> None:
        play(session, simulated, game, "ear", "tail")
        group(session, game, simulated=True)
        before = rows_of(session, simulated=True)
        group(session, game, simulated=True)
        assert rows_of(session, simulated=True) == before

    def test_each_kind_asks_for_its_own_job_once(
        self,
        session: Session,
        game: Game,
        player: Player,
        simulated: Player,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(rules, "LABELS_FOR_JOB", 1)
        for someone in (player, simulated, players.create_simulated(session)):
            for m in game.maps[1:]:
                m.n_finished = m.simulated_n_finished = 9
            session.flush()
            play(session, someone, game, "ear")
        asked = [job.arguments for job in queued_jobs(session)]
        assert asked == [
            {"class_id": game.cat.id, "simulated": False},
            {"class_id": game.cat.id, "simulated": True},
        ]

    def test_upkeep_learns_what_still_waits_kind_by_kind(
        self,
        session: Session,
        game: Game,
        simulated: Player,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(rules, "LABELS_FOR_JOB", 1)
        play(session, simulated, game, "ear")
        session.expire_all()
        assert labels.classes_with_new_labels(session) == []
        assert labels.classes_with_new_labels(session, simulated=True) == [game.cat.id]
        take_up = partial(labels.note_new_labels, session, class_id=game.cat.id, are_there=False)
        take_up(simulated=False)
        assert labels.classes_with_new_labels(session, simulated=True) == [game.cat.id]
        take_up(simulated=True)
        assert labels.classes_with_new_labels(session, simulated=True) == []

    def test_asking_for_all_asks_for_both_sets_once_simulated_players_have_played(
        self, session: Session, game: Game, simulated: Player
    ) -> None:
        assert labels.ask_all(session, game.study) == 2
        play(session, simulated, game)
        assert labels.ask_all(session, studies.get(session, game.study.slug)) == 4


class TestLocalExplanation:
    def test_peoples_words_and_record_stand_alone(
        self, session: Session, game: Game, player: Player, simulated: Player
    ) -> None:
        play(session, player, game, "ear")
        play(session, simulated, game, "fur", right=False)
        for kind in (False, True):
            group(session, game, simulated=kind)
        shown = {
            kind: explanations.local(session, game.images[0].id, simulated=kind)
            for kind in (False, True)
        }
        for kind, word, record in ((False, "ear", (1, 0)), (True, "fur", (0, 1))):
            heavy = shown[kind].layers[0].groups[0]
            assert [name for name, _ in heavy.concepts] == [word]
            assert (heavy.wins, heavy.losses) == record
            assert shown[kind].simulated is kind
            assert shown[kind].has_other

    def test_people_come_first_where_both_have_typed(
        self, session: Session, game: Game, player: Player, simulated: Player
    ) -> None:
        play(session, player, game, "ear")
        play(session, simulated, game, "fur")
        page = explanations.local(session, game.images[0].id)
        assert (page.simulated, page.has_other) == (False, True)

    def test_simulated_words_are_shown_where_there_are_no_others(
        self, session: Session, game: Game, simulated: Player
    ) -> None:
        play(session, simulated, game, "fur")
        group(session, game, simulated=True)
        page = explanations.local(session, game.images[0].id)
        assert (page.simulated, page.has_other) == (True, False)
        assert page.layers[0].groups[0].concepts == (("fur", 1.0),)
        assert not explanations.local(session, game.images[1].id).simulated

    def test_before_the_first_job_the_maps_show_the_asked_kinds_record(
        self, session: Session, game: Game, simulated: Player
    ) -> None:
        play(session, simulated, game, "fur")
        page = explanations.local(session, game.images[0].id, simulated=False)
        assert page.layers[0].groups[0].wins == 0
        assert page.has_other


class TestExport:
    @pytest.fixture
    def typed(self, session: Session, game: Game, player: Player, simulated: Player) -> None:
        play(session, player, game, "ear")
        play(session, simulated, game, "fur")

    @pytest.mark.parametrize(
        ("whose", "expected"),
        [
            ("people", [("ear", False)]),
            ("simulated", [("fur", True)]),
            ("all", [("ear", False), ("fur", True)]),
        ],
    )
    @pytest.mark.usefixtures("typed")
    def test_rows_are_those_of_the_asked_kind_and_marked(
        self, session: Session, game: Game, whose: exports.Players, expected: list[Any]
    ) -> None:
        rows = exports.label_rows(session, study=game.study, secret=b"k", players=whose)
        assert [(row["label"], row["simulated"]) for row in rows] == expected

    @pytest.mark.usefixtures("typed")
    def test_an_export_that_asks_for_nothing_holds_people_only(
        self, session: Session, game: Game
    ) -> None:
        rows = list(exports.label_rows(session, study=game.study, secret=b"k"))
        assert [(row["label"], row["practice"]) for row in rows] == [("ear", False)]


class Play(NamedTuple):
    simulated: bool
    right: bool
    reveals: int
    texts: list[str]


WORDS = st.sampled_from(["ear", "ears", "tail", "fur", "furry", "paw", "cat", "asdf"])
PLAYS = st.builds(
    Play, st.booleans(), st.booleans(), st.integers(0, 5), st.lists(WORDS, max_size=3)
)


def peoples_results(session: Session, game: Game, plays: Sequence[Play]) -> list[Any]:
    """What people were dealt and earned and what became of their words, as values."""
    savepoint = session.begin_nested()
    dealt = []
    for one in plays:
        player = (
            players.create_simulated(session) if one.simulated else players.create_guest(session)[0]
        )
        done = play(session, player, game, *one.texts, right=one.right, reveals=one.reveals)
        if not one.simulated:
            earned = select(func.sum(PointsEntry.points)).where(PointsEntry.round_id == done.id)
            dealt.append((done.cluster_map_id, session.scalar(earned)))
    group(session, game, simulated=False)
    by_people = ~Player.is_simulated
    kept = [
        dealt,
        session.execute(
            select(Label.text, Concept.name)
            .join(Label.round)
            .join(Round.player)
            .outerjoin(Label.concept)
            .where(by_people)
            .order_by(Label.id)
        ).all(),
        session.execute(
            select(Image.class_id, ConceptScore.cluster_map_id, Concept.name, ConceptScore.score)
            .join(ConceptScore.concept)
            .join(ClusterMap, ClusterMap.id == ConceptScore.cluster_map_id)
            .join(ClusterMap.image)
            .where(~Concept.simulated)
            .order_by(ConceptScore.cluster_map_id, Concept.name)
        ).all(),
        session.execute(
            select(LocalExplanation.image_id, LocalExplanation.content)
            .where(~LocalExplanation.simulated)
            .order_by(LocalExplanation.image_id)
        ).all(),
    ]
    savepoint.rollback()
    return kept


@given(plays=st.lists(PLAYS, max_size=8))
@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_peoples_results_are_those_of_a_game_without_simulated_players(
    session: Session, game: Game, plays: list[Play]
) -> None:
    alone = peoples_results(session, game, [one for one in plays if not one.simulated])
    assert peoples_results(session, game, plays) == alone
