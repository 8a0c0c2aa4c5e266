"""Computing an image's explanation and storing it. Only workers come here: it needs torch."""

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any
from uuid import UUID

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload, selectinload

from app.explain import Explanation, explain_image
from app.explain.networks import Network as LoadedNetwork
from app.explain.pictures import open_picture
from app.infra.storage import Storage
from app.models import ClusterMap, Image, LayerExplanation, Study
from app.services import studies
from app.services.drawing import VIEW_PX, to_jpeg


@dataclass(frozen=True, slots=True)
class Result:
    """An explanation with the picture as the network saw it, ready to store."""

    explanation: Explanation
    view: bytes
    compute_s: float


def pending_image(session: Session, image_id: UUID) -> Image | None:
    """The image with its study, or None when it is gone or has been dealt with already."""
    return session.scalar(
        select(Image)
        .where(Image.id == image_id, Image.status == "pending")
        .options(
            joinedload(Image.study).options(
                selectinload(Study.layers), joinedload(Study.network), selectinload(Study.classes)
            ),
            joinedload(Image.image_class),
        )
    )


def compute(storage: Storage, image: Image, network: LoadedNetwork) -> Result:
    """Explain a picture. Takes seconds and holds no transaction."""
    started = time.perf_counter()
    picture = open_picture(storage.get(image.original_key))
    explanation = explain_image(
        network,
        picture,
        layers=[layer.name for layer in image.study.layers],
        clusterer=image.study.clusterer,
        seed=image.study.seed,
    )
    view = to_jpeg(network.view(picture, VIEW_PX))
    return Result(explanation, view, time.perf_counter() - started)


def store(session: Session, storage: Storage, *, image_id: UUID, result: Result) -> None:
    """Store a result and open the game when it was the last. A result that another worker has
    stored meanwhile stays as it is."""
    image = session.scalar(
        select(Image)
        .where(Image.id == image_id, Image.status == "pending")
        .options(
            joinedload(Image.study).options(selectinload(Study.layers), joinedload(Study.network))
        )
        .with_for_update(of=Image)
        .execution_options(populate_existing=True)
    )
    if image is None:
        return
    arrays: dict[str, NDArray[Any]] = {}
    for layer, found in zip(image.study.layers, result.explanation.layers, strict=True):
        arrays[f"layer{layer.position}_weights"] = found.channel_weights
        session.add(
            LayerExplanation(
                image_id=image.id,
                layer_id=layer.id,
                n_kept=found.n_kept,
                kept_weight=found.kept_weight,
            )
        )
        for rank, cluster in enumerate(found.clusters):
            name = f"layer{layer.position}_map{rank}"
            arrays[name] = cluster.map
            session.add(
                ClusterMap(
                    study_id=image.study_id,
                    image_id=image.id,
                    layer_id=layer.id,
                    rank=rank,
                    weight=cluster.weight,
                    channels=list(cluster.channels),
                    array_name=name,
                    is_playable=bool(np.ptp(cluster.map) > 0),
                )
            )
    image.view_key = f"views/{image.id}.jpg"
    image.maps_key = f"maps/{image.id}.npz"
    storage.put(image.view_key, result.view)
    storage.put_with(
        image.maps_key, lambda file: np.savez_compressed(file, allow_pickle=False, **arrays)
    )
    image.status = "done"
    image.target_index = result.explanation.target
    target = result.explanation.target
    image.target_name = result.explanation.target_name or f"class {target}"
    image.probability = result.explanation.probability
    image.computed_at = datetime.now(UTC)
    image.compute_s = result.compute_s
    image.made_by = {
        **{package: version(package) for package in ("layerplay", "torch", "torchvision")},
        "network": image.study.network.fingerprint,
        "clusterer": image.study.clusterer,
        "seed": image.study.seed,
    }
    session.flush()
    studies.open_when_ready(session, image.study_id)


def store_failure(session: Session, *, image_id: UUID, reason: str) -> None:
    """Record that a picture cannot be explained, and why; the others go on."""
    image = session.scalar(
        select(Image).where(Image.id == image_id, Image.status == "pending").with_for_update()
    )
    if image is None:
        return
    image.status = "failed"
    image.failure = reason
    session.flush()
    studies.open_when_ready(session, image.study_id)
