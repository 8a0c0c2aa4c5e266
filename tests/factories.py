"""Rows and stored files for tests, with as little as a test has to say."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from itertools import count
from uuid import uuid4

import numpy as np
from argon2 import PasswordHasher
from numpy.typing import NDArray
from PIL import Image as Picture
from PIL import ImageDraw
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.infra.storage import Storage
from app.models import (
    Account,
    ClusterMap,
    Image,
    Layer,
    LayerExplanation,
    Network,
    Player,
    Study,
    StudyClass,
)
from app.services.drawing import VIEW_PX, to_jpeg
from app.services.players import create_guest

_numbers = count(1)

PASSWORD = "correct horse battery"
# Verifying takes what the hash says, so tests that sign in do not wait for 64 MiB each time.
_PASSWORD_HASH = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)


def make_network(session: Session, *, classes: Sequence[str] = ("boat", "kite")) -> Network:
    number = next(_numbers)
    network = Network(
        name=f"net{number}",
        architecture="resnet18",
        weights="random",
        weights_sha256=f"{number:064x}",
        fingerprint=uuid4().hex * 2,
        classes=list(classes),
    )
    session.add(network)
    session.flush()
    return network


def make_study(
    session: Session,
    *,
    name: str | None = None,
    classes: Sequence[str] = ("boat", "kite"),
    layers: Sequence[tuple[str, int]] = (("layer3", 256), ("layer4", 512)),
    status: str = "open",
    owner: Account | None = None,
) -> Study:
    """An open study without pictures."""
    name = name or f"Study {next(_numbers)}"
    study = Study(
        name=name,
        slug=name.lower().replace(" ", "-"),
        network=make_network(session, classes=classes),
        clusterer="paper",
        seed=0,
        status=status,
        owner=owner,
        classes=[StudyClass(name=c, position=i) for i, c in enumerate(classes)],
        layers=[Layer(name=n, n_channels=c, position=i) for i, (n, c) in enumerate(layers)],
    )
    session.add(study)
    session.flush()
    return study


def draw_view(number: int = 0) -> Picture.Image:
    """A bright picture without any black in it, the size of a view."""
    picture = Picture.new("RGB", (VIEW_PX, VIEW_PX), "#9ec7dc")
    draw = ImageDraw.Draw(picture)
    left = 60 + 23 * number % 120
    draw.rectangle((0, 360, VIEW_PX, VIEW_PX), fill="#3f6a86")
    draw.polygon([(left + 150, 80), (left + 150, 330), (left, 330)], fill="#fff6e2")
    draw.polygon(
        [(left - 20, 345), (left + 260, 345), (left + 200, 420), (left, 420)], fill="#a33b5a"
    )
    return picture


def spot_map(
    size: int = 16, *, x: float = 0.5, y: float = 0.5, width: float = 0.2
) -> NDArray[np.float32]:
    """A map [size, size] in 0..1 that is highest around one place (shares of the side)."""
    at = (np.arange(size) + 0.5) / size
    bump = np.exp(-((at[None, :] - x) ** 2 + (at[:, None] - y) ** 2) / (2 * width**2))
    scaled: NDArray[np.float32] = ((bump - bump.min()) / np.ptp(bump)).astype(np.float32)
    return scaled


def make_image(
    session: Session,
    storage: Storage,
    study: Study,
    *,
    class_name: str = "boat",
    said: str | None = None,
    view: Picture.Image | None = None,
    maps: Mapping[str, Sequence[tuple[float, NDArray[np.float32]]]] | None = None,
) -> Image:
    """A computed image. maps: by layer name, heaviest first, each with its weight in percent."""
    number = next(_numbers)
    if maps is None:
        maps = {"layer4": [(60.0, spot_map(x=0.4)), (30.0, spot_map(x=0.7, y=0.7))]}
    image_class = next(c for c in study.classes if c.name == class_name)
    image = Image(
        id=uuid4(),
        study_id=study.id,
        class_id=image_class.id,
        file_name=f"picture-{number}.jpg",
        sha256=uuid4().hex * 2,
        original_key=f"originals/{number}",
        status="done",
        target_index=0,
        target_name=said or class_name,
        probability=0.93,
        compute_s=1.0,
        made_by={},
    )
    image.view_key = f"views/{image.id}.jpg"
    image.maps_key = f"maps/{image.id}.npz"
    session.add(image)
    session.flush()
    arrays: dict[str, NDArray[np.float32]] = {}
    for layer in study.layers:
        of_layer = maps.get(layer.name, ())
        session.add(
            LayerExplanation(
                image_id=image.id,
                layer_id=layer.id,
                n_kept=3 * len(of_layer),
                kept_weight=sum(weight for weight, _ in of_layer),
            )
        )
        for rank, (weight, array) in enumerate(of_layer):
            array_name = f"layer{layer.position}_map{rank}"
            arrays[array_name] = array
            session.add(
                ClusterMap(
                    study_id=study.id,
                    image_id=image.id,
                    layer_id=layer.id,
                    rank=rank,
                    weight=weight,
                    effect=weight / 10,
                    channels=[rank, rank + 7, rank + 20],
                    array_name=array_name,
                    is_playable=True,
                )
            )
    session.flush()
    storage.put(image.view_key, to_jpeg(view or draw_view(number)))
    storage.put_with(image.maps_key, lambda file: np.savez_compressed(file, **arrays))
    return image


def maps_of(session: Session, image: Image) -> list[ClusterMap]:
    """The image's cluster maps, layer by layer, heaviest first."""
    return list(
        session.scalars(
            select(ClusterMap)
            .join(ClusterMap.layer)
            .where(ClusterMap.image_id == image.id)
            .order_by(Layer.position, ClusterMap.rank)
        )
    )


def make_player(session: Session, *, is_introduced: bool = True) -> Player:
    """A guest, who knows the game unless told otherwise."""
    player = create_guest(session)[0]
    player.is_introduced = is_introduced
    session.flush()
    return player


def make_account(
    session: Session, name: str | None = None, *, role: str = "player", email: str | None = None
) -> Account:
    """An account with `PASSWORD`, and its player."""
    account = Account(
        name=name or f"someone{next(_numbers)}",
        email=email,
        password_hash=_PASSWORD_HASH,
        role=role,
        player=Player(kind="account", is_introduced=True, last_seen_at=datetime.now(UTC)),
    )
    session.add(account)
    session.flush()
    return account
