"""Finding cluster maps by meaning: a word finds those whose concepts mean nearly the same."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import numpy as np
from numpy.typing import NDArray
from pgvector.sqlalchemy import Vector
from sqlalchemy import cast, func, select, text, update
from sqlalchemy.orm import Session

from app.concepts import Embedder
from app.infra.errors import InvalidInputError
from app.models import (
    ClusterMap,
    Concept,
    ConceptScore,
    Embedding,
    Image,
    Layer,
    Study,
    StudyClass,
)
from app.services.embeddings import KeptEmbedder

MIN_SIMILARITY: Final = 0.4
"""Cosine from which on a word is worth showing: "sea" and "sailboat" have 0.58, "mast" and
"sailboat" 0.41, and what has less has mostly nothing to do with it."""

N_WORDS: Final = 12
N_MAPS: Final = 6
MAX_QUERY_CHARACTERS: Final = 60


@dataclass(frozen=True, slots=True)
class FoundMap:
    """A cluster map whose concept was found."""

    map_id: UUID
    image_id: UUID
    file_name: str
    class_name: str
    study_name: str
    layer: int
    score: float


@dataclass(frozen=True, slots=True)
class FoundWord:
    """A concept's name near to what was asked for. similarity: cosine, 1 for the word itself.
    maps: its strongest, N_MAPS at most of n_maps."""

    word: str
    similarity: float
    n_maps: int
    maps: tuple[FoundMap, ...]


def embed_new_words(session: Session, embed: Embedder) -> int:
    """Embed the names of concepts that this model has not embedded yet; how many there were."""
    known = select(Embedding.text).where(
        Embedding.model == embed.name, Embedding.direction.is_not(None)
    )
    words = session.scalars(
        select(Concept.name).distinct().where(Concept.name.not_in(known)).order_by(Concept.name)
    ).all()
    if words:
        kept = KeptEmbedder(session, embed)
        rows = kept(words)
        kept.keep()
        session.execute(
            update(Embedding),
            [
                {"model": embed.name, "text": word, "direction": row}
                for word, row in zip(words, rows, strict=True)
            ],
        )
    return len(words)


def has_new_words(session: Session) -> bool:
    """Whether some concept's name has not been embedded by any model."""
    embedded = select(Embedding.text).where(
        Embedding.text == Concept.name, Embedding.direction.is_not(None)
    )
    return bool(session.scalar(select(select(Concept.id).where(~embedded.exists()).exists())))


def find_maps(
    session: Session,
    query: str,
    *,
    embed: Embedder,
    study_ids: Sequence[UUID],
    simulated: bool,
) -> list[FoundWord]:
    """The words nearest in meaning among the concepts of these studies, with their strongest maps.

    simulated: among those of simulated players rather than of people. InvalidInputError for an
    empty or overlong query.
    """
    word = " ".join(query.split()).lower()
    if not word or len(word) > MAX_QUERY_CHARACTERS:
        raise InvalidInputError(f"Type a word or a few, up to {MAX_QUERY_CHARACTERS} letters.")
    words = nearest_words(
        session,
        KeptEmbedder(session, embed)([word])[0],
        model=embed.name,
        study_ids=study_ids,
        simulated=simulated,
    )
    maps = _strongest_maps(session, list(words), study_ids=study_ids, simulated=simulated)
    return [
        FoundWord(
            word=found,
            similarity=similarity,
            n_maps=maps[found][0][0] if maps[found] else 0,
            maps=tuple(one for _, one in maps[found]),
        )
        for found, similarity in words.items()
    ]


def nearest_words(
    session: Session,
    vector: NDArray[np.floating[Any]],
    *,
    model: str,
    study_ids: Sequence[UUID],
    simulated: bool,
) -> dict[str, float]:
    """Concepts' names with their cosine similarity to a vector, the nearest first, N_WORDS at most
    and none below MIN_SIMILARITY."""
    # Words of other studies are passed over in the walk through the index, which then goes on.
    session.execute(text("set local hnsw.iterative_scan = strict_order"))
    n = len(vector)
    distance = cast(Embedding.direction, Vector(n)).cosine_distance(vector).label("distance")
    of_studies = (
        select(Concept.id)
        .join(Concept.image_class)
        .where(
            Concept.name == Embedding.text,
            Concept.simulated.is_(simulated),
            StudyClass.study_id.in_(study_ids),
        )
    )
    rows = session.execute(
        select(Embedding.text, distance)
        .where(
            # As a plain number, or the planner could not tell that the partial index serves.
            text(f"vector_dims(embeddings.direction) = {n}"),
            Embedding.model == model,
            of_studies.exists(),
        )
        .order_by(distance)
        .limit(N_WORDS)
    ).all()
    return {word: 1 - d for word, d in rows if 1 - d >= MIN_SIMILARITY}


def _strongest_maps(
    session: Session, words: Sequence[str], *, study_ids: Sequence[UUID], simulated: bool
) -> dict[str, list[tuple[int, FoundMap]]]:
    """By word, its N_MAPS strongest maps, each with the number of all."""
    place = func.row_number().over(
        partition_by=Concept.name, order_by=(ConceptScore.score.desc(), ConceptScore.id)
    )
    ranked = (
        select(
            Concept.name.label("word"),
            ConceptScore.cluster_map_id,
            ConceptScore.score,
            place.label("place"),
            func.count().over(partition_by=Concept.name).label("n_maps"),
        )
        .select_from(ConceptScore)
        .join(ConceptScore.concept)
        .join(Concept.image_class)
        .where(
            Concept.name.in_(words),
            Concept.simulated.is_(simulated),
            StudyClass.study_id.in_(study_ids),
        )
        .subquery()
    )
    rows = session.execute(
        select(
            ranked.c.word,
            ranked.c.n_maps,
            ranked.c.cluster_map_id,
            ranked.c.score,
            ClusterMap.image_id,
            Image.file_name,
            StudyClass.name.label("class_name"),
            Study.name.label("study_name"),
            Layer.position,
        )
        .select_from(ranked)
        .join(ClusterMap, ClusterMap.id == ranked.c.cluster_map_id)
        .join(ClusterMap.image)
        .join(Image.image_class)
        .join(Image.study)
        .join(ClusterMap.layer)
        .where(ranked.c.place <= N_MAPS)
        .order_by(ranked.c.word, ranked.c.place)
    )
    found: dict[str, list[tuple[int, FoundMap]]] = defaultdict(list)
    for row in rows:
        one = FoundMap(
            map_id=row.cluster_map_id,
            image_id=row.image_id,
            file_name=row.file_name,
            class_name=row.class_name,
            study_name=row.study_name,
            layer=row.position + 1,
            score=row.score,
        )
        found[row.word].append((row.n_maps, one))
    return found
