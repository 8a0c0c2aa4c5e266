"""Networks that studies use: registered once, found again by workers."""

import json
import shutil
import unicodedata
from pathlib import Path
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.explain import NetworkError
from app.explain.networks import Network as LoadedNetwork
from app.explain.networks import load_network
from app.infra.security import keyed_digest
from app.infra.storage import Storage
from app.models import Network

MAX_CLASS_NAME: Final = 200
MAX_SIZE_PX: Final = 2048
"""Of what a network is shown; published ones take 1024 at most. The maps of a layer at the input
take gigabytes from there on."""

_NO_TEXT: Final = frozenset({"Cc", "Cs"})
"""Control characters, and halves of pairs, as Unicode's categories are called."""


def register(
    session: Session, storage: Storage, *, name: str, weights: str, classes: Path | None
) -> tuple[Network, LoadedNetwork]:
    """Load a network to see that it works, and keep what workers need to load it again.

    name: a torchvision classifier's, or the path of a description file. weights: `default`,
    `random`, or the path of a safetensors file. Weights from files are copied into storage. The
    same network registered twice is one row. NetworkError says what is wrong with it.
    """
    loaded = load_network(name, weights=weights, classes=classes)
    _check(loaded)
    # As `load_network` takes it, for which a description may be called otherwise, such as A.JSON.
    described = Path(name).suffix.lower() == ".json" or Path(name).is_file()
    from_file = described or weights not in ("default", "random")
    description = {
        "architecture": loaded.architecture,
        "num_classes": len(loaded.classes),
        "classes": list(loaded.classes),
        "input_size": loaded.input_size,
        "resize": loaded.resize,
        "interpolation": loaded.interpolation.value,
        "mean": list(loaded.mean),
        "std": list(loaded.std),
        "weights": "weights.safetensors",
    }
    fingerprint = keyed_digest(
        loaded.weights_sha256.encode(), "network", json.dumps(description, sort_keys=True)
    )
    row = session.scalar(select(Network).where(Network.fingerprint == fingerprint))
    if row is not None:
        return row, loaded
    description_key = None
    if from_file:
        description_key = f"networks/{fingerprint}/network.json"
        source = _weights_of(Path(name)) if described else Path(weights)
        # Copied bit by bit: weights of half a gigabyte need not be in memory once more.
        with (
            source.open("rb") as read,
            storage.writing(f"networks/{fingerprint}/weights.safetensors") as written,
        ):
            shutil.copyfileobj(read, written)
        storage.put(description_key, json.dumps(description, indent=1).encode())
    row = Network(
        name=Path(name).stem if described else loaded.architecture,
        architecture=loaded.architecture,
        weights="file" if from_file else weights,
        description_key=description_key,
        weights_sha256=loaded.weights_sha256,
        fingerprint=fingerprint,
        classes=list(loaded.classes),
    )
    session.add(row)
    session.flush()
    return row, loaded


def _check(network: LoadedNetwork) -> None:
    """NetworkError for what a description may say but nobody could store, read or compute."""
    for name in network.classes:
        if len(name) > MAX_CLASS_NAME or any(unicodedata.category(c) in _NO_TEXT for c in name):
            raise NetworkError(
                f"A class is named {name[:MAX_CLASS_NAME]!r}; the name of a class is text of at "
                f"most {MAX_CLASS_NAME} characters, without control characters."
            )
    for key, size in (("input_size", network.input_size), ("resize", network.resize)):
        if size > MAX_SIZE_PX:
            raise NetworkError(f"Its {key} is larger than {MAX_SIZE_PX} pixels.")


def _weights_of(description: Path) -> Path:
    weights: str = json.loads(description.read_text())["weights"]
    return description.parent / weights


def stored(storage: Storage, description_key: str) -> Path:
    """A description in storage as a file, the weights that it names beside it."""
    path = storage.path(description_key)
    storage.path(f"{description_key.rpartition('/')[0]}/{_weights_of(path).name}")
    return path


def load_registered(row: Network, storage: Storage) -> LoadedNetwork:
    """The registered network, ready to explain with."""
    if row.description_key is not None:
        return load_network(str(stored(storage, row.description_key)))
    return load_network(row.architecture, weights=row.weights, classes=row.classes)


def get(session: Session, network_id: int) -> Network:
    return session.get_one(Network, network_id)
