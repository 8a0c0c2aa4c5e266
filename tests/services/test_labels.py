"""From typed labels to concepts, scores and local explanations in the database."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.models import Concept, ConceptScore, Label, LocalExplanation, Player, Round, StudyClass
from app.services import explanations, labels, players, rounds
from tests.services.conftest import Game


class ByFirstLetter:
    """An embedding in which words that begin alike mean the same, so that groups are known."""

    name = "by first letter"

    def __call__(self, texts: Sequence[str]) -> NDArray[np.float32]:
        rows = np.zeros((len(texts), 27), dtype=np.float32)
        for row, text in zip(rows, texts, strict=True):
            row[(ord(text[0]) - ord("a")) % 26] = 1
            row[26] = 0.01 * (len(text) % 7)
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)


EMBED = ByFirstLetter()
Play = Callable[..., Player]


@pytest.fixture
def play(session: Session, game: Game) -> Play:
    """A new player guesses on a given map with these labels."""

    def play(
        map_number: int, *texts: str, right: bool = True, reveal_index: int = 0, name: str = ""
    ) -> Player:
        player, _ = players.create_guest(session)
        for m in game.maps:
            m.n_finished = 1
        game.maps[map_number].n_finished = 0
        session.flush()
        round_ = rounds.deal(session, player=player, study=game.study)
        assert round_ is not None
        assert round_.cluster_map_id == game.maps[map_number].id
        for index in range(reveal_index):
            rounds.reveal(session, round_id=round_.id, player=player, from_index=index)
        truth = game.dog if map_number == 2 else game.cat
        wrong = game.cat if map_number == 2 else game.dog
        rounds.guess(
            session,
            round_id=round_.id,
            player=player,
            class_id=(truth if right else wrong).id,
            labels=texts,
        )
        return player

    return play


def group(session: Session, image_class: StudyClass, *, recipe: str = "paper") -> None:
    labels.group_class(session, class_id=image_class.id, embed=EMBED, recipe=recipe)
    session.flush()
    session.expire_all()


def concept_of(session: Session) -> dict[str, str | None]:
    rows = session.execute(select(Label.text, Concept.name).outerjoin(Label.concept))
    return dict(rows.all())


def snapshot(session: Session) -> list[tuple[Any, ...]]:
    return [
        tuple(row)
        for query in (
            select(Concept.id, Concept.name).order_by(Concept.id),
            select(
                ConceptScore.id,
                ConceptScore.cluster_map_id,
                ConceptScore.concept_id,
                ConceptScore.score,
            ).order_by(ConceptScore.id),
            select(Label.id, Label.concept_id).order_by(Label.id),
            select(
                LocalExplanation.image_id, LocalExplanation.made_at, LocalExplanation.content
            ).order_by(LocalExplanation.image_id),
        )
        for row in session.execute(query)
    ]


def test_labels_that_mean_the_same_become_one_concept(
    session: Session, game: Game, play: Play
) -> None:
    play(0, "wheel", "ear")
    play(0, "wheels", "ears")
    group(session, game.cat)
    found = concept_of(session)
    assert found["wheel"] == found["wheels"] != found["ear"] == found["ears"]


def test_the_guessed_class_is_no_concept(session: Session, game: Game, play: Play) -> None:
    play(0, "cat", "a cat's ear", "tail")
    group(session, game.cat)
    found = concept_of(session)
    assert found["cat"] is None
    assert found["a cat's ear"] is not None


def test_a_concepts_score_counts_how_early_it_was_seen(
    session: Session, game: Game, play: Play
) -> None:
    """Two rounds at reveal index 0 and 2: f = 2, r = 1, score = 2 * (1 - 0.1) = 1.8."""
    play(0, "ear", "tail")
    play(0, "ears", reveal_index=2)
    group(session, game.cat)
    scores = dict(
        session.execute(select(Concept.name, ConceptScore.score).join(ConceptScore.concept)).all()
    )
    assert scores["ear"] == pytest.approx(1.8)


def test_a_concept_that_only_wrong_guesses_carried_counts_a_quarter(
    session: Session, game: Game, play: Play
) -> None:
    play(0, "ear", right=False)
    group(session, game.cat)
    assert session.scalars(select(ConceptScore.score)).all() == [pytest.approx(0.25)]


def test_by_our_recipe_a_players_record_decides_how_much_a_label_counts(
    session: Session, game: Game, play: Play
) -> None:
    """Two of four to begin with, one right guess, and a practice round, which counts as two. Of
    the practice rounds themselves nothing becomes."""
    careful, careless = play(0, "tail"), play(0, "ear")
    for player, named in ((careful, True), (careless, False)):
        session.add(
            Round(
                study_id=game.study.id,
                cluster_map_id=game.maps[1].id,
                player_id=player.id,
                practice=True,
                status="won",
                guessed_class_id=game.cat.id,
                named_known=named,
                finished_at=func.now(),
            )
        )
    group(session, game.cat, recipe="layerplay")
    scored = select(Concept.name, ConceptScore).join(ConceptScore.concept)
    scores = dict(session.execute(scored).all())
    assert scores["tail"].score == pytest.approx((5 / 7) ** 3 / 2, abs=1e-6)
    assert scores["ear"].score == pytest.approx((3 / 7) ** 3 / 2, abs=1e-6)
    assert {score.paper_score for score in scores.values()} == {1.0}


def test_by_our_recipe_who_hits_keys_at_random_counts_less(
    session: Session, game: Game, play: Play
) -> None:
    """Two of four to begin with, one right guess, and a label of mash, which counts as two."""
    play(0, "tail", "ljshlaj")
    group(session, game.cat, recipe="layerplay")
    score = session.scalars(select(ConceptScore)).one()
    assert score.score == pytest.approx((3 / 7) ** 3 / 2, abs=1e-6)


def test_running_again_gives_the_same_rows(session: Session, game: Game, play: Play) -> None:
    play(0, "wheel", "ear")
    play(1, "wheels", "ears")
    group(session, game.cat)
    before = snapshot(session)
    group(session, game.cat)
    assert snapshot(session) == before


def test_a_concept_found_again_keeps_its_row(session: Session, game: Game, play: Play) -> None:
    play(0, "ear", "ears", "tail", "tails")
    group(session, game.cat)
    before = dict(session.execute(select(Concept.name, Concept.id)).all())
    play(0, "ear", "paw", "paws")
    group(session, game.cat)
    after = dict(session.execute(select(Concept.name, Concept.id)).all())
    assert set(after) == {"ear", "tail", "paw"}
    assert before.items() <= after.items()


def test_each_class_has_its_own_concepts(session: Session, game: Game, play: Play) -> None:
    play(0, "ear")
    play(2, "ear")
    group(session, game.cat)
    group(session, game.dog)
    classes = session.scalars(select(Concept.class_id).where(Concept.name == "ear")).all()
    assert sorted(classes) == sorted([game.cat.id, game.dog.id])


def test_no_labels_make_no_concepts_and_no_error(session: Session, game: Game) -> None:
    group(session, game.cat)
    assert session.scalars(select(Concept)).all() == []


def test_a_class_that_is_gone_is_no_error(session: Session) -> None:
    assert labels.group_class(session, class_id=12345, embed=EMBED, recipe="paper") is False


class TestLocalExplanation:
    def test_maps_stand_by_falling_weight_with_their_concepts_and_record(
        self, session: Session, game: Game, play: Play
    ) -> None:
        play(0, "ear", "tail")
        play(0, "ear", right=False, reveal_index=2)
        group(session, game.cat)
        page = explanations.local(session, game.images[0].id)
        (layer,) = page.layers
        heavy, light = layer.groups
        assert (heavy.weight, light.weight) == (60, 20)
        assert heavy.concepts[0][0] == "ear"
        assert (heavy.wins, heavy.losses, heavy.resignations) == (1, 1, 0)
        assert heavy.shown_reveal_index == 1
        assert light.concepts == ()
        assert light.shown_reveal_index is None

    def test_maps_that_share_a_best_concept_are_joined_by_label(
        self, session: Session, game: Game, play: Play
    ) -> None:
        """Scores of `ear`: 1 on the map of weight 60 and, seen at index 5, 0.5 on that of 20:
        joined (60 * 1 + 20 * 0.5) / 80 = 0.875."""
        play(0, "ear")
        play(1, "ear", reveal_index=5)
        group(session, game.cat)
        page = explanations.local(session, game.images[0].id, merge="labels")
        (joined,) = page.layers[0].groups
        assert joined.weight == 80
        assert joined.n_feature_maps == 6
        assert joined.concepts == (("ear", pytest.approx(0.875)),)

    def test_maps_with_different_concepts_stay_apart(
        self, session: Session, game: Game, play: Play
    ) -> None:
        play(0, "ear")
        play(1, "tail")
        group(session, game.cat)
        page = explanations.local(session, game.images[0].id, merge="labels")
        assert [g.weight for g in page.layers[0].groups] == [60, 20]

    def test_a_full_merge_shows_the_layer_as_one(
        self, session: Session, game: Game, play: Play
    ) -> None:
        play(0, "ear")
        play(1, "tail")
        group(session, game.cat)
        page = explanations.local(session, game.images[0].id, merge="all")
        (whole,) = page.layers[0].groups
        assert [name for name, _ in whole.concepts] == ["ear", "tail"]

    def test_before_any_label_the_maps_are_shown_without_words(
        self, session: Session, game: Game
    ) -> None:
        page = explanations.local(session, game.images[0].id)
        assert [g.concepts for g in page.layers[0].groups] == [(), ()]


def test_our_recipe_joins_misspelt_labels_and_leaves_junk_without_a_concept(
    session: Session, game: Game, play: Play
) -> None:
    for text in ("wheel", "wheel", "wheeel", "asdfgh"):
        play(0, text)

    labels.group_class(session, class_id=game.cat.id, embed=EMBED, recipe="layerplay")
    session.flush()
    session.expire_all()

    assert concept_of(session) == {"wheel": "wheel", "wheeel": "wheel", "asdfgh": None}
