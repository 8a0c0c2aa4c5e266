"""Enough is enough: maps whose concepts have settled are dealt to people no more.

A transaction of its own, after the concepts have been stored: it locks maps, which is what a guess
does first and the making of concepts, which holds labels, must not.
"""

from collections import defaultdict
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from app import rules
from app.concepts import ConceptScore as MapScore
from app.concepts import has_settled
from app.models import ClusterMap, Concept, ConceptScore, Image
from app.services import dealing


def settle_class(session: Session, *, class_id: int) -> None:
    """Note of a class's maps which have settled by people's words, as they are scored now.

    Whatever has changed since, words that were hidden or concepts that were split, may open a map
    again. Where as many rounds are wanted as people play, no map is ever done. Simulated players'
    rounds are of no number wanted, so nothing settles by them.
    """
    scores = _scores(session, class_id)
    settled, opened = [], []
    for map_id, n_rounds, was_settled in session.execute(
        select(ClusterMap.id, ClusterMap.n_finished, ClusterMap.settled_at.is_not(None))
        .join(ClusterMap.image)
        .where(Image.class_id == class_id, ClusterMap.n_wanted.is_not(None))
    ):
        is_settled = has_settled(
            scores[map_id],
            n_rounds=n_rounds,
            min_rounds=rules.SETTLED_MIN_ROUNDS,
            min_given=rules.SETTLED_MIN_GIVEN,
            max_rival=rules.SETTLED_MAX_RIVAL,
        )
        if is_settled and not was_settled:
            settled.append(map_id)
        elif was_settled and not is_settled:
            opened.append(map_id)
    if settled or opened:
        dealing.mark_settled(session, settled=settled, opened=opened)


def _scores(session: Session, class_id: int) -> dict[UUID, list[MapScore[int]]]:
    rows = session.scalars(
        select(ConceptScore)
        .join(ConceptScore.concept)
        .where(Concept.class_id == class_id, ~Concept.simulated)
    )
    scores: dict[UUID, list[MapScore[int]]] = defaultdict(list)
    for row in rows:
        scores[row.cluster_map_id].append(
            MapScore(row.concept_id, row.n_given, row.mean_reveal_index, row.any_right, row.score)
        )
    return scores
