"""A small study that can be played: two classes, two pictures, three cluster maps."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy.orm import Session

from app.infra.storage import Storage
from app.models import ClusterMap, Image, Network, Player, Study, StudyClass
from tests import factories


@pytest.fixture
def network(session: Session) -> Network:
    return factories.make_network(session)


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    return Storage(tmp_path / "storage")


@dataclass
class Game:
    """A playable study. `maps`: the heavy and the light map of the cat, then the dog's. The heavy
    ones rise towards the lower right corner."""

    study: Study
    cat: StudyClass
    dog: StudyClass
    images: list[Image]
    maps: list[ClusterMap]


@pytest.fixture
def game(session: Session, storage: Storage) -> Game:
    return make_game(session, storage)


def make_game(session: Session, storage: Storage) -> Game:
    study = factories.make_study(
        session, name="Cats and dogs", classes=("cat", "dog"), layers=[("block1", 32)]
    )
    ramp = np.linspace(0, 1, 64, dtype=np.float32).reshape(8, 8)
    images = [
        factories.make_image(session, storage, study, class_name=name, maps={"block1": list(maps)})
        for name, maps in (("cat", [(60.0, ramp), (20.0, ramp[::-1])]), ("dog", [(40.0, ramp)]))
    ]
    cat, dog = study.classes
    maps = [found for image in images for found in factories.maps_of(session, image)]
    return Game(study, cat, dog, images, maps)


@pytest.fixture
def player(session: Session) -> Player:
    return factories.make_player(session)


@pytest.fixture
def rival(session: Session) -> Player:
    return factories.make_player(session)
