"""What each run of the concepts job came to stays readable."""

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.models import Concept, ConceptRun
from app.services import concept_runs, explanations, overview
from tests.services.conftest import Game
from tests.services.test_labels import Play, group, play

__all__ = ["play"]


def runs(session: Session, game: Game) -> list[ConceptRun]:
    return concept_runs.list_of_class(session, game.cat.id, simulated=False)


def test_the_same_again_is_no_new_run(session: Session, game: Game, play: Play) -> None:
    play(0, "ear", "tail")
    group(session, game.cat)
    group(session, game.cat)
    (run,) = runs(session, game)
    assert (run.number, run.n_labels, run.made_by["method"]) == (1, 2, "paper")
    assert explanations.local(session, game.images[0].id).run is run
    group(session, game.cat, recipe="layerplay")
    assert [run.made_by["method"] for run in runs(session, game)] == ["layerplay", "paper"]


def test_an_older_run_says_what_it_said(session: Session, game: Game, play: Play) -> None:
    play(0, "ear", "tail")
    group(session, game.cat)
    concept = session.scalars(select(Concept).where(Concept.name == "ear")).one()
    concept.name = "pointed ear"
    play(0, "ear", right=False)
    play(1, "ear")
    group(session, game.cat)

    first = concept_runs.read(session, game.cat.id, simulated=False, number=1)
    assert [(one.name, one.n_labels, one.n_maps) for one in first.concepts] == [
        ("ear", 1, 1), ("tail", 1, 1)
    ]  # fmt: skip
    assert [one.best for one in first.maps] == [(("ear", 1.0), ("tail", 1.0))]
    second = concept_runs.read(session, game.cat.id, simulated=False, number=2)
    assert {one.name: one.n_labels for one in second.concepts} == {"ear": 3, "tail": 1}
    assert [one.map_id for one in second.maps] == [game.maps[0].id, game.maps[1].id]


def test_agreement_is_kept_with_the_run_and_the_explanation(
    session: Session, game: Game, play: Play
) -> None:
    """Of five maps at least; two are too few to tell."""
    for _ in range(3):
        play(0, "ear")
        play(1, "tail")
    group(session, game.cat)
    (run,) = runs(session, game)
    found = concept_runs.agreement_of(run)
    assert (found.alpha, found.n_maps, found.n_rounds) == (None, 2, 6)
    page = explanations.local(session, game.images[0].id)
    assert page.agreement is not None
    assert (page.agreement.alpha, page.agreement.n_maps) == (None, 2)
    now = session.scalars(select(func.now())).one()
    assert overview.overview(session, game.study, now=now).alpha.n_rounds == 6
