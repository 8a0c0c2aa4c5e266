"""Maps found by meaning."""

import numpy as np
import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.infra.errors import InvalidInputError
from app.infra.storage import Storage
from app.models import Concept, ConceptScore, Embedding, Study
from app.services import concept_search
from app.services.embeddings import KeptEmbedder
from tests import factories
from tests.services.test_labels import EMBED


@pytest.fixture
def study(session: Session, storage: Storage) -> Study:
    """One picture of a boat with three maps: "sail" on two of them, "water" on the third."""
    study = factories.make_study(session)
    give(session, storage, study, ("sail", 1.0), ("sail", 3.0), ("water", 2.0))
    return study


def give(
    session: Session,
    storage: Storage,
    study: Study,
    *given: tuple[str, float],
    simulated: bool = False,
) -> None:
    maps = [(60.0, factories.spot_map()), (30.0, factories.spot_map()), (9.0, factories.spot_map())]
    image = factories.make_image(session, storage, study, maps={"layer4": maps})
    concepts: dict[str, Concept] = {}
    for cluster_map, (name, score) in zip(factories.maps_of(session, image), given, strict=False):
        if name not in concepts:
            concepts[name] = Concept(class_id=image.class_id, name=name, simulated=simulated)
            session.add(concepts[name])
            session.flush()
        session.add(
            ConceptScore(
                cluster_map_id=cluster_map.id,
                concept_id=concepts[name].id,
                n_given=1,
                mean_reveal_index=0,
                any_right=True,
                score=score,
            )
        )
    session.flush()
    concept_search.embed_new_words(session, EMBED)


def find(
    session: Session, query: str, *studies: Study, simulated: bool = False
) -> list[concept_search.FoundWord]:
    ids = [study.id for study in studies]
    return concept_search.find_maps(session, query, embed=EMBED, study_ids=ids, simulated=simulated)


def test_a_word_finds_maps_whose_concept_means_the_same_strongest_first(
    session: Session, study: Study
) -> None:
    """The tests' model takes words that begin alike for the same."""
    (found,) = find(session, "Sheet", study)
    assert found.word == "sail"
    assert found.similarity == pytest.approx(1, abs=1e-3)
    assert found.n_maps == 2
    assert [one.score for one in found.maps] == [3.0, 1.0]


def test_what_means_something_else_is_not_found(session: Session, study: Study) -> None:
    assert find(session, "engine", study) == []


def test_only_studies_that_one_may_see_are_searched(
    session: Session, storage: Storage, study: Study
) -> None:
    other = factories.make_study(session)
    give(session, storage, other, ("sand", 1.0))
    assert [one.word for one in find(session, "sea", study)] == ["sail"]
    assert [one.word for one in find(session, "sea", other)] == ["sand"]
    assert {one.word for one in find(session, "sea", study, other)} == {"sail", "sand"}
    assert find(session, "sea") == []


def test_simulated_players_words_are_found_apart(
    session: Session, storage: Storage, study: Study
) -> None:
    give(session, storage, study, ("spire", 1.0), simulated=True)
    assert [one.word for one in find(session, "sea", study)] == ["sail"]
    assert [one.word for one in find(session, "sea", study, simulated=True)] == ["spire"]


def test_a_name_is_embedded_once_however_many_concepts_have_it(
    session: Session, storage: Storage, study: Study
) -> None:
    give(session, storage, factories.make_study(session), ("sail", 1.0))
    searched = select(func.count()).where(Embedding.direction.is_not(None))
    assert session.scalar(searched) == 2
    assert not concept_search.has_new_words(session)
    assert concept_search.embed_new_words(session, EMBED) == 0


def test_labels_are_kept_for_jobs_and_not_found(session: Session, study: Study) -> None:
    kept = KeptEmbedder(session, EMBED)
    kept(["spray"])
    kept.keep()
    assert [one.word for one in find(session, "sea", study)] == ["sail"]


def test_another_models_directions_are_never_compared(session: Session, study: Study) -> None:
    vector = EMBED(["sail"])[0]
    assert (
        concept_search.nearest_words(
            session, vector, model="another", study_ids=[study.id], simulated=False
        )
        == {}
    )


@pytest.mark.parametrize("query", ["", "  ", "x" * 61])
def test_an_empty_and_an_endless_query_are_refused(
    session: Session, study: Study, query: str
) -> None:
    with pytest.raises(InvalidInputError, match="up to 60 letters"):
        find(session, query, study)


def test_vectors_as_long_as_the_packaged_models_are_found_through_the_index(
    session: Session, study: Study
) -> None:
    """Of 2,000 random directions the nearest to one of them is itself."""
    class_id = study.classes[0].id
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(2000, 384))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    session.add_all(Concept(class_id=class_id, name=f"word {i}") for i in range(2000))
    session.add_all(
        Embedding(text=f"word {i}", model="m", vector=b"", direction=row)
        for i, row in enumerate(rows)
    )
    session.flush()
    found = concept_search.nearest_words(
        session, rows[77], model="m", study_ids=[study.id], simulated=False
    )
    assert next(iter(found.items())) == ("word 77", pytest.approx(1, abs=1e-5))
