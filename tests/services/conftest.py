"""A small study that can be played: two classes, two pictures, three cluster maps."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Picture
from sqlalchemy.orm import Session

from app.infra.storage import Storage
from app.models import (
    ClusterMap,
    Image,
    Layer,
    LayerExplanation,
    Network,
    Player,
    Study,
    StudyClass,
)
from app.services import players, studies
from app.services.drawing import VIEW_PX, to_jpeg


def make_network(session: Session) -> Network:
    row = Network(
        name="toy",
        architecture="toy",
        weights="random",
        weights_sha256="0" * 64,
        fingerprint="1" * 64,
        classes=["cat", "dog"],
    )
    session.add(row)
    session.flush()
    return row


@pytest.fixture
def network(session: Session) -> Network:
    return make_network(session)


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    return Storage(tmp_path / "storage")


@dataclass
class Game:
    """A playable study. `maps`: the heavy and the light map of the cat, then the dog's."""

    study: Study
    cat: StudyClass
    dog: StudyClass
    layer: Layer
    images: list[Image]
    maps: list[ClusterMap]


@pytest.fixture
def game(session: Session, storage: Storage) -> Game:
    return make_game(session, storage)


def make_game(session: Session, storage: Storage) -> Game:
    study = studies.create(
        session,
        name="Cats and dogs",
        network=make_network(session),
        classes=["cat", "dog"],
        layers=[("block1", 8)],
    )
    study.status = "open"
    cat, dog = study.classes
    images = [_image(session, storage, study, of_class) for of_class in (cat, dog)]
    maps = [
        _map(session, study, images[0], rank=0, weight=60.0, channels=[0, 1, 5]),
        _map(session, study, images[0], rank=1, weight=20.0, channels=[2]),
        _map(session, study, images[1], rank=0, weight=40.0, channels=[3, 4]),
    ]
    return Game(study, cat, dog, study.layers[0], images, maps)


def _image(session: Session, storage: Storage, study: Study, of_class: StudyClass) -> Image:
    image = Image(
        study=study,
        image_class=of_class,
        file_name=f"{of_class.name}.png",
        sha256=of_class.name.ljust(64, "0"),
        original_key="originals/none",
        status="done",
        view_key=f"views/{of_class.name}.jpg",
        maps_key=f"maps/{of_class.name}.npz",
        target_index=0,
        target_name=of_class.name,
        probability=0.9,
        computed_at=datetime.now(UTC),
    )
    session.add(image)
    session.flush()
    session.add(
        LayerExplanation(image_id=image.id, layer_id=study.layers[0].id, n_kept=6, kept_weight=80.0)
    )
    picture = Picture.new("RGB", (VIEW_PX, VIEW_PX), "orange")
    storage.put(f"views/{of_class.name}.jpg", to_jpeg(picture))
    ramp = np.linspace(0, 1, 64, dtype=np.float32).reshape(8, 8)
    storage.put_with(
        f"maps/{of_class.name}.npz",
        lambda file: np.savez(file, layer0_map0=ramp, layer0_map1=ramp[::-1]),
    )
    return image


def _map(
    session: Session, study: Study, image: Image, *, rank: int, weight: float, channels: list[int]
) -> ClusterMap:
    cluster_map = ClusterMap(
        study_id=study.id,
        image_id=image.id,
        layer_id=study.layers[0].id,
        rank=rank,
        weight=weight,
        channels=channels,
        array_name=f"layer0_map{rank}",
        is_playable=True,
    )
    session.add(cluster_map)
    session.flush()
    return cluster_map


@pytest.fixture
def player(session: Session) -> Player:
    return players.create_guest(session)[0]


@pytest.fixture
def rival(session: Session) -> Player:
    return players.create_guest(session)[0]
