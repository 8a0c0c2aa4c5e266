"""Networks that are registered once and loaded again by workers."""

import json
from pathlib import Path

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.explain import NetworkError
from app.infra.storage import Storage
from app.models import Network
from app.services import networks


def register(session: Session, storage: Storage, name: object, **options: object) -> Network:
    row, _ = networks.register(
        session,
        storage,
        name=str(name),
        weights=str(options.get("weights", "default")),
        classes=options.get("classes"),  # type: ignore[arg-type]
    )
    return row


def test_a_described_network_is_loaded_again_as_it_was(
    session: Session, storage: Storage, toy_network: Path
) -> None:
    description = json.loads(toy_network.read_text()) | {"interpolation": "bicubic"}
    described = toy_network.with_name("bicubic.json")
    described.write_text(json.dumps(description))
    row, loaded = networks.register(
        session, storage, name=str(described), weights="default", classes=None
    )
    again = networks.load_registered(row, storage)
    for attribute in ("weights_sha256", "classes", "resize", "input_size", "interpolation", "std"):
        assert getattr(again, attribute) == getattr(loaded, attribute)
    assert again.interpolation.value == "bicubic"


def test_its_files_may_go_once_it_is_registered(
    session: Session, storage: Storage, toy_network: Path, tmp_path: Path
) -> None:
    for suffix in ("json", "safetensors"):
        (tmp_path / f"toy.{suffix}").write_bytes(toy_network.with_suffix(f".{suffix}").read_bytes())
    row = register(session, storage, tmp_path / "toy.json")
    for suffix in ("json", "safetensors"):
        (tmp_path / f"toy.{suffix}").unlink()
    assert networks.load_registered(row, storage).classes == ("boat", "flower", "house")


def test_the_same_network_is_one_row(session: Session, storage: Storage, toy_network: Path) -> None:
    rows = [register(session, storage, toy_network) for _ in range(2)]
    assert rows[0].id == rows[1].id
    assert session.scalar(select(func.count()).select_from(Network)) == 1


def test_a_named_network_keeps_its_own_class_names(
    session: Session, storage: Storage, tmp_path: Path
) -> None:
    classes = tmp_path / "classes.txt"
    classes.write_text("sun\nmoon\n")
    row = register(session, storage, "squeezenet1_1", weights="random", classes=classes)
    assert networks.load_registered(row, storage).classes == ("sun", "moon")


def test_what_cannot_be_loaded_is_not_registered(session: Session, storage: Storage) -> None:
    with pytest.raises(NetworkError):
        register(session, storage, "no-such-network")
    assert session.scalar(select(func.count()).select_from(Network)) == 0
