"""What workers do for a study in the making: the files, the network, one picture explained."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from app.infra.queue import queued_jobs
from app.infra.storage import Storage
from app.installation import Installation
from app.models import StudyDraft
from app.services import drafts, trials
from workers import drafts as tasks
from workers.context import only_one

UseNetwork = Callable[[Path], StudyDraft]


@pytest.fixture
def draft_id(inst: Installation) -> UUID:
    with inst.transaction() as session:
        return drafts.create(session, name="Drawn").id


def get(inst: Installation, draft_id: UUID) -> StudyDraft:
    with inst.transaction() as session:
        return drafts.get(session, draft_id)


def keep_files(inst: Installation, draft_id: UUID, description: Path, weights: Path) -> None:
    """Hand in a network's files as the browser does."""
    keys = [
        drafts.network_file_key(draft_id, "u", file_name=name, is_weights=is_weights)
        for name, is_weights in (("toy.json", False), ("toy.safetensors", True))
    ]
    for key, path in zip(keys, (description, weights), strict=True):
        inst.storage.put(key, path.read_bytes())
    with inst.transaction() as session:
        drafts.keep_network_files(
            session,
            inst.storage,
            drafts.get(session, draft_id),
            description_key=keys[0],
            weights_key=keys[1],
        )


def hand_in(inst: Installation, draft_id: UUID, photos: Path) -> None:
    received = []
    for path in sorted(photos.rglob("*.png")):
        key = drafts.upload_key(draft_id)
        inst.storage.put(key, path.read_bytes())
        received.append(drafts.Received(str(path.relative_to(photos)), key, path.stat().st_size))
    with inst.transaction() as session:
        draft = drafts.get(session, draft_id)
        drafts.add_uploads(session, draft, class_name=None, received=received)


def upload_keys(storage: Storage) -> list[str]:
    return [key for key in storage.keys("drafts") if "/uploads/" in key]


def test_an_uploaded_network_is_read_and_its_usual_layers_are_ticked(
    inst: Installation, draft_id: UUID, toy_network: Path
) -> None:
    keep_files(inst, draft_id, toy_network, toy_network.with_suffix(".safetensors"))
    tasks.read_network(draft_id=str(draft_id))
    draft = get(inst, draft_id)
    assert draft.network_problem is None
    assert draft.network is not None
    assert (draft.network.name, draft.network.classes) == ("toy", ["boat", "flower", "house"])
    names = [layer["name"] for layer in draft.layers]
    assert draft.chosen_layers == [layer["name"] for layer in draft.layers if layer["is_default"]]
    assert "features.12" in names
    assert draft.chosen_layers


def test_what_is_wrong_with_a_network_is_one_sentence_without_the_servers_folders(
    inst: Installation, draft_id: UUID, toy_network: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(b"\x80\x02 a pickle that calls itself otherwise")
    keep_files(inst, draft_id, toy_network, broken)
    tasks.read_network(draft_id=str(draft_id))
    draft = get(inst, draft_id)
    assert draft.network is None
    assert draft.network_problem is not None
    assert draft.network_problem.startswith("toy.safetensors is damaged or not a safetensors file")
    assert str(inst.storage.root) not in draft.network_problem


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"classes": ["a\x00b", "flower", "house"]}, "A class is named 'a\\x00b'"),
        ({"classes": ["\ud800", "flower", "house"]}, "A class is named '\\ud800'"),
        ({"input_size": 10**30, "resize": 10**30}, "Its input_size is larger than"),
    ],
    ids=["a zero", "half a pair", "a size"],
)
def test_whatever_is_wrong_with_a_network_is_said_and_it_is_not_read_again(
    inst: Installation,
    draft_id: UUID,
    toy_network: Path,
    tmp_path: Path,
    change: dict[str, object],
    reason: str,
) -> None:
    odd = tmp_path / "odd.json"
    odd.write_text(json.dumps(json.loads(toy_network.read_text()) | change))
    keep_files(inst, draft_id, odd, toy_network.with_suffix(".safetensors"))
    tasks.read_network(draft_id=str(draft_id))
    problem = get(inst, draft_id).network_problem
    assert problem is not None
    assert problem.startswith(reason)
    with inst.transaction() as session:
        drafts.ask_again(session)
        assert queued_jobs(session) == []


def test_a_network_that_the_database_cannot_hold_is_said_to_be_none(
    inst: Installation,
    draft_id: UUID,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def load(session: Session, storage: Storage, source: str) -> None:
        session.execute(text("select cast('no number' as int)"))

    with inst.transaction() as session:
        drafts.choose_network(session, drafts.get(session, draft_id), source="resnet18")
    monkeypatch.setattr(trials, "_load", load)
    tasks.read_network(draft_id=str(draft_id))
    problem = get(inst, draft_id).network_problem
    assert problem == "Something unexpected went wrong with it (DataError)."
    assert "the network resnet18 could not be read" in caplog.text


def test_a_network_is_read_again_when_the_database_was_away(
    inst: Installation, draft_id: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(*_: object) -> None:
        raise OperationalError("select 1", {}, Exception("the connection is gone"))

    with inst.transaction() as session:
        drafts.choose_network(session, drafts.get(session, draft_id), source="resnet18")
    monkeypatch.setattr(trials, "_load", load)
    with pytest.raises(OperationalError), inst.transaction() as session:
        trials.read_network(session, inst.storage, draft_id=draft_id)
    assert get(inst, draft_id).network_problem is None


def test_a_network_chosen_meanwhile_is_not_overwritten(inst: Installation, draft_id: UUID) -> None:
    with inst.transaction() as session:
        drafts.choose_network(
            session, drafts.get(session, draft_id), source="layerplay:picturebook"
        )
    tasks.read_network(draft_id=str(draft_id))
    before = get(inst, draft_id)
    tasks.read_network(draft_id=str(draft_id))
    after = get(inst, draft_id)
    assert before.network_id is not None
    assert (after.network_id, after.layers) == (before.network_id, before.layers)


def test_files_are_looked_at_and_then_gone(
    inst: Installation, draft_id: UUID, drawn_photos: Path
) -> None:
    hand_in(inst, draft_id, drawn_photos)
    tasks.take_in(draft_id=str(draft_id))
    with inst.transaction() as session:
        found = drafts.contents(session, drafts.get(session, draft_id))
    assert {one.name: one.n_pictures for one in found.classes} == {
        "boat": 3,
        "flower": 3,
        "house": 3,
    }
    assert (found.n_waiting, found.refusals) == (0, [])
    assert upload_keys(inst.storage) == []


def test_what_another_worker_looks_at_is_left_to_it(
    inst: Installation, draft_id: UUID, drawn_photos: Path
) -> None:
    hand_in(inst, draft_id, drawn_photos)
    with only_one(draft_id):
        tasks.take_in(draft_id=str(draft_id))
    with inst.transaction() as session:
        assert drafts.contents(session, drafts.get(session, draft_id)).n_waiting == 9


def test_a_file_that_got_lost_is_named(
    inst: Installation, draft_id: UUID, drawn_photos: Path
) -> None:
    hand_in(inst, draft_id, drawn_photos)
    shutil.rmtree(inst.storage.root / "drafts")
    tasks.take_in(draft_id=str(draft_id))
    with inst.transaction() as session:
        found = drafts.contents(session, drafts.get(session, draft_id))
    assert {refusal.reason for refusal in found.refusals} == {
        "It got lost on the way. Add it again."
    }


@pytest.fixture
def ready(inst: Installation, draft_id: UUID, drawn_photos: Path, toy_network: Path) -> StudyDraft:
    """A draft with a network and pictures."""
    keep_files(inst, draft_id, toy_network, toy_network.with_suffix(".safetensors"))
    hand_in(inst, draft_id, drawn_photos)
    tasks.read_network(draft_id=str(draft_id))
    tasks.take_in(draft_id=str(draft_id))
    return get(inst, draft_id)


def test_a_preview_explains_one_picture_and_stores_nothing_for_good(
    inst: Installation, ready: StudyDraft
) -> None:
    with inst.transaction() as session:
        draft = drafts.get(session, ready.id)
        drafts.ask_preview(session, draft, file_id=None)
        file_id = draft.preview_file_id
    assert file_id is not None
    tasks.preview(draft_id=str(ready.id), file_id=str(file_id))
    found = get(inst, ready.id).preview
    assert found is not None
    assert found["said"] in ("boat", "flower", "house")
    assert [layer["name"] for layer in found["layers"]] == ready.chosen_layers
    preview_id = UUID(found["id"])
    for number, layer in enumerate(found["layers"]):
        for rank, cluster in enumerate(layer["clusters"]):
            assert 0 < cluster["weight"] <= 100
            assert inst.storage.exists(drafts.preview_key(ready.id, preview_id, f"{number}-{rank}"))
    assert inst.storage.keys("maps") == []


def test_why_there_is_no_preview_is_said(inst: Installation, ready: StudyDraft) -> None:
    with inst.transaction() as session:
        draft = drafts.get(session, ready.id)
        draft.layers = [*draft.layers, {**draft.layers[0], "name": "features.99"}]
        drafts.choose_layers(draft, names=["features.99"])
        drafts.ask_preview(session, draft, file_id=None)
        file_id = draft.preview_file_id
    tasks.preview(draft_id=str(ready.id), file_id=str(file_id))
    found = get(inst, ready.id).preview
    assert found is not None
    assert "features.99" in found["problem"]


def test_a_draft_that_is_gone_is_no_error(inst: Installation, draft_id: UUID) -> None:
    with inst.transaction() as session:
        drafts.discard(session, drafts.get(session, draft_id))
    tasks.read_network(draft_id=str(draft_id))
    tasks.take_in(draft_id=str(draft_id))
    tasks.preview(draft_id=str(draft_id), file_id=str(draft_id))
    tasks.clear_files(draft_id=str(draft_id))
