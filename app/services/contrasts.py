"""Why the network said one class of a picture and not another.

Players have named the cluster maps of what spoke for the class that the network said. Here these
maps, with their words, are weighed anew: by how much of what speaks for that class rather than for
the other lies in their channels. What lies in other channels has no map and no words.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session, joinedload, selectinload

from app.infra.errors import InvalidInputError
from app.infra.queue import enqueue
from app.models import ClusterMap, Contrast, Image, Layer, Study, StudyClass


def choices(session: Session, image: Image) -> list[tuple[int, str]]:
    """The classes that a picture's answer can be set against, by index in the network: those of its
    study that the network knows, but for what it said."""
    index = {name: i for i, name in enumerate(image.study.network.classes)}
    names = session.scalars(
        select(StudyClass.name)
        .where(StudyClass.study_id == image.study_id)
        .order_by(StudyClass.position)
    )
    return [
        (index[name], name)
        for name in names
        if index.get(name, image.target_index) != image.target_index
    ]


def ask(session: Session, image: Image, *, other_index: int) -> Contrast:
    """Have the picture's maps weighed against another class. Asked again, what is there stands,
    but for a failure, which is tried anew. InvalidInputError for none of the choices."""
    names = dict(choices(session, image))
    if other_index not in names:
        raise InvalidInputError("Choose another class of this study that the network knows.")
    pending = {"status": "pending", "failure": None, "asked_at": datetime.now(UTC)}
    session.execute(
        insert(Contrast)
        .values(
            id=uuid4(),
            image_id=image.id,
            other_index=other_index,
            other_name=names[other_index],
            **pending,
        )
        .on_conflict_do_update(
            index_elements=["image_id", "other_index"],
            set_=pending,
            where=Contrast.status == "failed",
        )
    )
    found = find(session, image.id, other_index=other_index)
    assert found is not None, "it has just been stored"
    if found.status == "pending":
        enqueue(session, "explanations.contrast", contrast_id=str(found.id))
    return found


def find(session: Session, image_id: UUID, *, other_index: int) -> Contrast | None:
    return session.scalar(
        select(Contrast)
        .where(Contrast.image_id == image_id, Contrast.other_index == other_index)
        .execution_options(populate_existing=True)
    )


def done(session: Session, image_id: UUID) -> list[Contrast]:
    """Those of a picture that can be looked at, by the other class's name."""
    return list(
        session.scalars(
            select(Contrast)
            .where(Contrast.image_id == image_id, Contrast.status == "done")
            .order_by(Contrast.other_name)
        )
    )


def unfinished(session: Session) -> list[UUID]:
    """Those that wait for a worker, for the upkeep task to ask again."""
    waiting = select(Contrast.id).where(Contrast.status == "pending").order_by(Contrast.asked_at)
    return list(session.scalars(waiting))


@dataclass(frozen=True, slots=True)
class ContrastWork:
    """All that a worker needs. channels: of each cluster map, by layer name."""

    contrast: Contrast
    channels: Mapping[str, Mapping[UUID, tuple[int, ...]]]


def pending(session: Session, contrast_id: UUID) -> ContrastWork | None:
    """What to compute, or None when nobody waits for it (any more)."""
    contrast = session.scalar(
        select(Contrast)
        .where(Contrast.id == contrast_id, Contrast.status == "pending")
        .options(
            joinedload(Contrast.image)
            .joinedload(Image.study)
            .options(joinedload(Study.network), selectinload(Study.layers))
        )
    )
    if contrast is None:
        return None
    channels: dict[str, dict[UUID, tuple[int, ...]]] = {
        layer.name: {} for layer in contrast.image.study.layers
    }
    for row in session.execute(
        select(ClusterMap.id, ClusterMap.channels, Layer.name)
        .join(ClusterMap.layer)
        .where(ClusterMap.image_id == contrast.image_id)
    ):
        channels[row.name][row.id] = tuple(row.channels)
    return ContrastWork(contrast, channels)


def store(
    session: Session,
    contrast_id: UUID,
    *,
    weights: Mapping[UUID, float],
    difference: float,
    made_by: Mapping[str, Any],
) -> None:
    """Store what was found; what another worker has stored meanwhile stays."""
    contrast = _lock_pending(session, contrast_id)
    if contrast is not None:
        contrast.status, contrast.made_at = "done", datetime.now(UTC)
        contrast.weights = {str(map_id): weight for map_id, weight in weights.items()}
        contrast.difference, contrast.made_by = difference, dict(made_by)


def store_failure(session: Session, contrast_id: UUID, *, reason: str) -> None:
    """Record that it cannot be computed, and why."""
    contrast = _lock_pending(session, contrast_id)
    if contrast is not None:
        contrast.status, contrast.failure = "failed", reason


def _lock_pending(session: Session, contrast_id: UUID) -> Contrast | None:
    return session.scalar(
        select(Contrast)
        .where(Contrast.id == contrast_id, Contrast.status == "pending")
        .with_for_update()
    )
