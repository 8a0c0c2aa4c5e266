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


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"classes": ["a\x00b", "flower", "house"]}, "'a\\\\x00b'"),
        ({"classes": ["\ud800", "flower", "house"]}, "'\\\\ud800'"),
        ({"classes": ["x" * 201, "flower", "house"]}, "at most 200 characters"),
        ({"input_size": 10**30, "resize": 10**30}, "input_size is larger than"),
        ({"resize": 10**30}, "resize is larger than"),
    ],
    ids=["a zero", "half a pair", "a long name", "input_size", "resize"],
)
def test_a_description_of_what_cannot_be_kept_or_computed_is_refused(
    session: Session,
    storage: Storage,
    toy_network: Path,
    tmp_path: Path,
    change: dict[str, object],
    reason: str,
) -> None:
    weights = str(toy_network.with_suffix(".safetensors"))
    description = json.loads(toy_network.read_text()) | {"weights": weights} | change
    (tmp_path / "odd.json").write_text(json.dumps(description))
    with pytest.raises(NetworkError, match=reason):
        register(session, storage, tmp_path / "odd.json")
    assert session.scalar(select(func.count()).select_from(Network)) == 0


def test_class_names_may_be_of_any_script(
    session: Session, storage: Storage, toy_network: Path, tmp_path: Path
) -> None:
    names = ["قایق‌ها", "花　草", "maison\u00a0: toit"]
    weights = str(toy_network.with_suffix(".safetensors"))
    description = json.loads(toy_network.read_text()) | {"weights": weights, "classes": names}
    (tmp_path / "named.json").write_text(json.dumps(description))
    assert register(session, storage, tmp_path / "named.json").classes == names


@pytest.mark.parametrize("name", ["TOY.JSON", "json"])
def test_a_description_is_one_however_its_file_is_called(
    session: Session, storage: Storage, toy_network: Path, tmp_path: Path, name: str
) -> None:
    (tmp_path / "toy.safetensors").write_bytes(toy_network.with_suffix(".safetensors").read_bytes())
    (tmp_path / name).write_text(toy_network.read_text())
    row = register(session, storage, tmp_path / name)
    assert row.weights == "file"
    assert networks.load_registered(row, storage).weights_sha256 == row.weights_sha256
