"""Taking the labels out."""

from collections.abc import Iterator
from typing import Any, Literal

from sqlalchemy import select
from sqlalchemy.orm import Session, aliased

from app.infra.security import keyed_digest
from app.models import (
    ClusterMap,
    Concept,
    Image,
    Label,
    Layer,
    Network,
    Player,
    Round,
    Study,
    StudyClass,
)

_BATCH = 1000

Players = Literal["people", "simulated", "all"]
"""Whose labels: of people, of simulated players, or of both, each row marked."""


def label_rows(
    session: Session,
    *,
    study: Study,
    secret: bytes,
    players: Players = "people",
    practice: bool = False,
) -> Iterator[dict[str, Any]]:
    """One row per label of a study, in the order in which they were given.

    practice: with the labels of practice rounds, which belong to no result, so their concept is
    None. Every row says whether its player is simulated and whether its round was practice.

    Players appear under a pseudonym: a keyed hash of their id, the same in every export of this
    installation, which nobody can undo without its key. Rows are fetched in batches, so that a
    large study does not have to fit into memory.
    """
    guessed = aliased(StudyClass)
    query = (
        select(
            Label.id,
            Label.text,
            Label.created_at,
            Concept.name.label("concept"),
            Round.reveal_index,
            Round.status,
            Round.practice,
            Round.player_id,
            Player.kind,
            guessed.name.label("guess"),
            ClusterMap.id.label("cluster_map"),
            ClusterMap.weight,
            ClusterMap.channels,
            Layer.name.label("layer"),
            Image.file_name,
            Image.sha256,
            Image.target_name,
            StudyClass.name.label("image_class"),
        )
        .join(Label.round)
        .join(Round.player)
        .join(guessed, Round.guessed_class_id == guessed.id)
        .join(Round.cluster_map)
        .join(ClusterMap.layer)
        .join(ClusterMap.image)
        .join(Image.image_class)
        .outerjoin(Label.concept)
        .where(Round.study_id == study.id)
        .order_by(Label.id)
        .execution_options(yield_per=_BATCH)
    )
    if players != "all":
        query = query.where(Player.is_simulated.is_(players == "simulated"))
    if not practice:
        query = query.where(~Round.practice)
    network = session.get_one(Network, study.network_id)
    # Left half-way, the cursor on the server is closed all the same.
    with session.execute(query) as rows:
        for row in rows:
            yield {
                "study": study.name,
                "network": network.name,
                "network_sha256": network.weights_sha256,
                "image": row.file_name,
                "image_sha256": row.sha256,
                "image_class": row.image_class,
                "network_said": row.target_name,
                "layer": row.layer,
                "cluster_map": str(row.cluster_map),
                "channels": row.channels,
                "weight": row.weight,
                "label": row.text,
                "concept": row.concept,
                "reveal_index": row.reveal_index,
                "guess": row.guess,
                "right": row.status == "won",
                "player": keyed_digest(secret, "player", str(row.player_id))[:16],
                "simulated": row.kind == "simulated",
                "practice": row.practice,
                "given_at": row.created_at.isoformat(),
            }
