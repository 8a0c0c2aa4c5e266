"""Every format is read back by the library that its users would use, and compared row by row with
the database."""

import io
import json
import tracemalloc
import zipfile
from collections.abc import Callable, Sequence
from datetime import UTC, date
from math import ceil
from pathlib import Path
from typing import IO, Any, cast

import datasets
import mlcroissant
import numpy as np
import pandas
import pyarrow.parquet as pq
import pytest
from PIL import Image as Picture
from pycocotools.coco import COCO
from sqlalchemy import delete, select
from sqlalchemy.orm import Session, joinedload

from app import rules
from app.explain.render import reveal_mask
from app.formats.packing import digest, write_file, write_folder, write_zip
from app.formats.tables import CONCEPTS, IMAGES, LABELS
from app.infra.security import keyed_digest
from app.infra.storage import Storage
from app.models import (
    ClusterMap,
    Concept,
    ConceptScore,
    Image,
    Label,
    Player,
    Round,
    Study,
    StudyClass,
)
from app.services import export_files, exports, studies
from app.services.drawing import read_map
from app.services.exports import ExportSpec, FileFormat, Selection
from tests.many_labels import add_labels
from tests.services.conftest import Game
from tests.services.played import play_all_kinds

SECRET = b"a key for tests"


@pytest.fixture
def played(session: Session, game: Game) -> Sequence[Label]:
    return play_all_kinds(session, game)


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """datasets reads from the disk, and keeps its copies in the test's own folder."""
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.setattr(datasets.config, "HF_MODULES_CACHE", tmp_path / "modules")
    datasets.disable_progress_bars()


def study_of(session: Session, game: Game) -> Study:
    """The study with all that exports read of it."""
    return studies.get(session, game.study.slug)


def write(
    session: Session, storage: Storage, game: Game, folder: Path, spec: ExportSpec
) -> list[str]:
    """Write an export into a folder; the names of its files."""
    made = export_files.files(
        session, storage, study=study_of(session, game), secret=SECRET, spec=spec
    )
    return [entry.name for entry in write_folder(folder, made)]


def label_facts(session: Session, game: Game) -> list[dict[str, Any]]:
    """The labels that people gave outside practice, straight from the database."""
    found = session.scalars(
        select(Label)
        .join(Label.round)
        .where(~Round.practice)
        .options(
            joinedload(Label.concept),
            joinedload(Label.round).options(
                joinedload(Round.player),
                joinedload(Round.guessed_class),
                joinedload(Round.cluster_map).options(
                    joinedload(ClusterMap.layer),
                    joinedload(ClusterMap.image).joinedload(Image.image_class),
                ),
            ),
        )
        .order_by(Label.id)
        .execution_options(populate_existing=True)
    )
    scores = {
        (score.cluster_map_id, score.concept_id): score.n_given
        for score in session.scalars(select(ConceptScore))
    }
    network = study_of(session, game).network
    return [
        {
            "label_id": label.id,
            "study": "Cats and dogs",
            "network": network.name,
            "network_sha256": network.weights_sha256,
            "image": image.file_name,
            "image_sha256": image.sha256,
            "image_class": image.image_class.name,
            "network_said": image.target_name,
            "layer": cluster_map.layer.name,
            "cluster_map": str(cluster_map.id),
            "channels": cluster_map.channels,
            "weight": cluster_map.weight,
            "effect": cluster_map.effect,
            "label": label.text,
            "concept": label.concept.name if label.concept else None,
            "agreement": scores.get((cluster_map.id, label.concept_id)),
            "reveal_index": round_.reveal_index,
            "guess": round_.guessed_class.name,
            "right": round_.status == "won",
            "round": str(round_.id),
            "player": keyed_digest(SECRET, "player", str(round_.player_id))[:16],
            "simulated": False,
            "practice": False,
            "given_at": label.created_at.astimezone(UTC),
        }
        for label in found
        for round_ in [label.round]
        for cluster_map in [round_.cluster_map]
        for image in [cluster_map.image]
        if not round_.player.is_simulated and round_.guessed_class
    ]


def concept_facts(session: Session) -> list[tuple[Any, ...]]:
    """Picture's class, map, concept and its scores, of people, strongest first."""
    rows = session.execute(
        select(
            StudyClass.name,
            ClusterMap.id,
            Concept.name,
            ConceptScore.n_given,
            ConceptScore.mean_reveal_index,
            ConceptScore.any_right,
            ConceptScore.score,
        )
        .join(ConceptScore.concept)
        .join(Concept.image_class)
        .join(ClusterMap, ClusterMap.id == ConceptScore.cluster_map_id)
        .where(~Concept.simulated)
        .order_by(StudyClass.position, ClusterMap.rank, ConceptScore.score.desc(), Concept.name)
    )
    return [(name, str(id_), *rest) for name, id_, *rest in rows]


CONCEPT_COLUMNS = [
    *("image_class", "cluster_map", "concept", "agreement", "mean_reveal_index", "any_right"),
    "score",
]


def test_there_is_something_of_everything(session: Session, game: Game, played: Any) -> None:
    facts = label_facts(session, game)
    assert [fact["label_id"] for fact in facts] == [label.id for label in played]
    assert {fact["agreement"] for fact in facts} == {1, 2}
    assert {fact["reveal_index"] for fact in facts} == {0, 1}


@pytest.mark.usefixtures("played")
def test_jsonl_is_read_back_by_pandas(
    session: Session, storage: Storage, game: Game, tmp_path: Path
) -> None:
    assert write(session, storage, game, tmp_path / "out", ExportSpec()) == ["labels.jsonl"]
    frame = pandas.read_json(tmp_path / "out" / "labels.jsonl", lines=True, dtype=False)
    frame["given_at"] = pandas.to_datetime(frame["given_at"])
    assert frame.to_dict("records") == label_facts(session, game)


@pytest.mark.usefixtures("played")
def test_csv_is_read_back_by_pandas(
    session: Session, storage: Storage, game: Game, tmp_path: Path
) -> None:
    write(session, storage, game, tmp_path / "out", ExportSpec("csv"))
    frame = pandas.read_csv(
        tmp_path / "out" / "labels.csv",
        keep_default_na=False,
        dtype={column.name: str for column in LABELS.columns if column.kind == "text"},
        converters={"channels": json.loads},
        parse_dates=["given_at"],
    )
    assert list(frame.columns) == [column.name for column in LABELS.columns]
    assert frame.to_dict("records") == label_facts(session, game)


@pytest.mark.usefixtures("played")
def test_parquet_is_read_back_by_arrow(
    session: Session, storage: Storage, game: Game, tmp_path: Path
) -> None:
    spec = ExportSpec("parquet", "both")
    names = write(session, storage, game, tmp_path / "out", spec)
    assert names == ["labels.parquet", "concepts.parquet"]
    labels = pq.read_table(tmp_path / "out" / "labels.parquet")
    assert labels.to_pylist() == label_facts(session, game)
    concepts = pq.read_table(tmp_path / "out" / "concepts.parquet")
    assert concepts.column_names == [column.name for column in CONCEPTS.columns]
    found = [tuple(row[name] for name in CONCEPT_COLUMNS) for row in concepts.to_pylist()]
    assert found == concept_facts(session)


@pytest.mark.usefixtures("played")
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # pycocotools
@pytest.mark.parametrize("reveal_index", [None, 4])
def test_coco_is_read_back_by_pycocotools(
    session: Session,
    storage: Storage,
    game: Game,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    reveal_index: int | None,
) -> None:
    write(session, storage, game, tmp_path, ExportSpec("coco", reveal_index=reveal_index))
    coco = COCO(str(tmp_path / "annotations.json"))
    capsys.readouterr()  # it prints how long it took

    names = {category["id"]: category["name"] for category in coco.loadCats(coco.getCatIds())}
    facts = concept_facts(session)
    assert sorted(names.values()) == sorted({fact[2] for fact in facts})
    annotations = coco.loadAnns(coco.getAnnIds())
    for annotation, (class_name, map_id, concept, n_given, mean, right, score) in zip(
        annotations, facts, strict=True
    ):
        cluster_map = session.get_one(ClusterMap, map_id)
        stored = session.get_one(Image, cluster_map.image_id)
        (image,) = coco.loadImgs(annotation["image_id"])
        assert (image["image_class"], image["sha256"]) == (class_name, stored.sha256)
        assert annotation["cluster_map"] == map_id
        assert names[annotation["category_id"]] == concept
        measured = (annotation["agreement"], annotation["any_right"], annotation["score"])
        assert measured == (n_given, right, score)
        step = ceil(mean) if reveal_index is None else reveal_index
        assert annotation["reveal_index"] == step
        percent = rules.REVEAL_PERCENTS[step]
        lit = reveal_mask(
            read_map(storage, stored, cluster_map.array_name), percent=percent, size=512
        )
        np.testing.assert_array_equal(coco.annToMask(annotation), lit >= 0.5)
        assert annotation["area"] == (lit >= 0.5).sum()
        x, y, width, height = annotation["bbox"]
        rows, columns = np.nonzero(lit >= 0.5)
        assert (x, y) == (columns.min(), rows.min())
        assert (x + width, y + height) == (columns.max() + 1, rows.max() + 1)
    assert reveal_index is None or annotations[0]["area"] / 512**2 == pytest.approx(0.2, abs=0.03)


@pytest.mark.usefixtures("played")
def test_every_picture_of_a_coco_export_lies_beside_it(
    session: Session, storage: Storage, game: Game, tmp_path: Path
) -> None:
    write(session, storage, game, tmp_path, ExportSpec("coco"))
    listed = json.loads((tmp_path / "annotations.json").read_text())["images"]
    assert len(listed) == 2
    for image in listed:
        with Picture.open(tmp_path / "images" / image["file_name"]) as picture:
            assert picture.size == (image["width"], image["height"])


@pytest.mark.usefixtures("played")
def test_the_hugging_face_folder_is_read_back_by_datasets(
    session: Session, storage: Storage, game: Game, tmp_path: Path
) -> None:
    folder = tmp_path / "out"
    write(session, storage, game, folder, ExportSpec("huggingface", "both", licence="cc-by-4.0"))

    def load(name: str | None = None) -> Any:
        return datasets.load_dataset(str(folder), name, split="train")

    assert load().to_list() == label_facts(session, game)
    concepts = [tuple(row[name] for name in CONCEPT_COLUMNS) for row in load("concepts")]
    assert concepts == concept_facts(session)
    images = load("images")
    for row, stored in zip(images, game.images, strict=True):
        assert row["image_sha256"] == stored.sha256
        view = Picture.open(io.BytesIO(storage.get(stored.view_key or "")))
        np.testing.assert_array_equal(np.asarray(row["picture"]), np.asarray(view))
    for row, cluster_map in zip(load("cluster_maps"), game.maps, strict=True):
        assert row["cluster_map"] == str(cluster_map.id)
        (image,) = [image for image in game.images if image.id == cluster_map.image_id]
        array = np.array(row["values"], np.float32).reshape(row["height"], row["width"])
        np.testing.assert_array_equal(array, read_map(storage, image, cluster_map.array_name))


@pytest.mark.usefixtures("played")
# mlcroissant is behind its own libraries.
@pytest.mark.filterwarnings("ignore:ConjunctiveGraph:DeprecationWarning")
@pytest.mark.filterwarnings("ignore::pandas.errors.Pandas4Warning")
def test_the_croissant_metadata_is_read_back_by_mlcroissant(
    session: Session, storage: Storage, game: Game, tmp_path: Path
) -> None:
    write(session, storage, game, tmp_path, ExportSpec("huggingface", "both", licence="cc-by-4.0"))
    dataset = mlcroissant.Dataset(jsonld=tmp_path / "croissant.json")
    assert not dataset.metadata.ctx.issues.errors
    assert not dataset.metadata.ctx.issues.warnings
    for entry in dataset.metadata.distribution:
        with (tmp_path / entry.content_url).open("rb") as file:
            assert entry.sha256 == digest(file)[1]
    facts = label_facts(session, game)
    records = list(dataset.records("labels"))
    for record, fact in zip(records, facts, strict=True):
        for name in ("label_id", "right", "reveal_index", "weight"):
            assert record[f"labels/{name}"] == fact[name]
        for name in ("label", "concept", "player", "cluster_map"):
            assert record[f"labels/{name}"].decode() == fact[name]
        assert list(record["labels/channels"]) == fact["channels"]
        assert record["labels/given_at"] == fact["given_at"]
    pictures = [record["images/picture"] for record in dataset.records("images")]
    assert [picture.size for picture in pictures] == [(512, 512)] * len(game.images)


@pytest.mark.usefixtures("played")
def test_the_card_names_the_tables_and_what_made_them(
    session: Session, storage: Storage, game: Game, tmp_path: Path
) -> None:
    write(session, storage, game, tmp_path, ExportSpec("huggingface", "both", licence="cc-by-4.0"))
    card = (tmp_path / "README.md").read_text()
    assert card.startswith('---\nlicense: "cc-by-4.0"\n')
    assert study_of(session, game).network.weights_sha256 in card
    for column in (*LABELS.columns, *CONCEPTS.columns, *IMAGES.columns):
        assert f"| `{column.name}` |" in card


@pytest.mark.usefixtures("played")
@pytest.mark.parametrize("file_format", ["jsonl", "csv", "parquet", "coco", "huggingface"])
def test_the_same_rows_make_the_same_bytes(
    session: Session, storage: Storage, game: Game, file_format: FileFormat
) -> None:
    def packed() -> bytes:
        buffer = io.BytesIO()
        spec = ExportSpec(file_format, "both")
        made = export_files.files(
            session, storage, study=study_of(session, game), secret=SECRET, spec=spec
        )
        entries = write_zip(buffer, made)
        with zipfile.ZipFile(buffer) as archive:
            assert archive.namelist() == [entry.name for entry in entries]
            for entry in entries:
                with archive.open(entry.name) as file:
                    assert digest(file) == (entry.size_bytes, entry.sha256)
        return buffer.getvalue()

    assert packed() == packed()


@pytest.mark.usefixtures("played")
@pytest.mark.parametrize(
    ("selection", "belongs"),
    [
        (Selection(classes=("dog",)), lambda fact: fact["image_class"] == "dog"),
        (Selection(min_agreement=2), lambda fact: (fact["agreement"] or 0) >= 2),
        (Selection(given_until=date(2026, 3, 1)), lambda fact: fact["image_class"] == "cat"),
        (Selection(given_from=date(2026, 3, 2)), lambda fact: fact["image_class"] == "dog"),
    ],
)
def test_every_table_of_an_export_keeps_to_the_selection(
    session: Session,
    storage: Storage,
    game: Game,
    tmp_path: Path,
    selection: Selection,
    belongs: Callable[[dict[str, Any]], bool],
) -> None:
    spec = ExportSpec("parquet", "both", selection=selection)
    write(session, storage, game, tmp_path, spec)
    labels = pq.read_table(tmp_path / "labels.parquet").to_pylist()
    concepts = pq.read_table(tmp_path / "concepts.parquet").to_pylist()
    facts = label_facts(session, game)
    expected = [fact for fact in facts if belongs(fact)]
    assert 0 < len(expected) < len(facts)
    assert labels == expected

    def meant(rows: list[dict[str, Any]]) -> set[tuple[str, str]]:
        return {(row["cluster_map"], row["concept"]) for row in rows if row["concept"]}

    assert meant(concepts) == meant(expected)


@pytest.mark.usefixtures("played")
def test_simulated_players_fill_an_export_of_their_own(
    session: Session, storage: Storage, game: Game, tmp_path: Path
) -> None:
    spec = ExportSpec("parquet", "both", selection=Selection(players="simulated"))
    write(session, storage, game, tmp_path, spec)
    for name in ("labels", "concepts"):
        (row,) = pq.read_table(tmp_path / f"{name}.parquet").to_pylist()
        assert (row["concept"], row["simulated"]) == ("edges", True)


def test_a_study_without_labels_makes_files_without_rows(
    session: Session, storage: Storage, game: Game, tmp_path: Path
) -> None:
    write(session, storage, game, tmp_path / "hf", ExportSpec("huggingface", "both"))
    assert datasets.load_dataset(str(tmp_path / "hf"), "images", split="train").num_rows == 2
    assert pq.read_table(tmp_path / "hf" / "data" / "labels.parquet").num_rows == 0
    write(session, storage, game, tmp_path / "coco", ExportSpec("coco"))
    assert json.loads((tmp_path / "coco" / "annotations.json").read_text())["annotations"] == []


@pytest.mark.usefixtures("played")
def test_each_row_written_is_told(session: Session, storage: Storage, game: Game) -> None:
    told: list[None] = []
    spec = ExportSpec("huggingface", "both")
    made = export_files.files(
        session,
        storage,
        study=study_of(session, game),
        secret=SECRET,
        spec=spec,
        on_row=lambda: told.append(None),
    )
    write_zip(io.BytesIO(), made)
    counts = export_files.count_rows(session, study=study_of(session, game), spec=spec)
    assert counts == {
        "labels": 8,
        "concepts": len(concept_facts(session)),
        "cluster_maps": 3,
        "images": 2,
    }
    assert len(told) == sum(counts.values())


class _Nowhere(io.RawIOBase):
    """Takes what is written, and keeps none of it."""

    def writable(self) -> bool:
        return True

    def write(self, piece: Any) -> int:
        return len(piece)


@pytest.mark.parametrize("file_format", ["jsonl", "csv"])
def test_ten_times_the_labels_take_no_more_memory(
    session: Session,
    storage: Storage,
    game: Game,
    file_format: FileFormat,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # The few labels as well come in several batches.
    monkeypatch.setattr(exports, "_BATCH", 100)

    def peak_bytes() -> int:
        made = export_files.files(
            session,
            storage,
            study=study_of(session, game),
            secret=SECRET,
            spec=ExportSpec(file_format),
        )
        tracemalloc.start()
        try:
            entry = write_file(cast(IO[bytes], _Nowhere()), made[0])
            sizes.append(entry.size_bytes)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    sizes: list[int] = []
    add_labels(session, game.study, game.maps[0], game.cat, n_players=300)
    few = peak_bytes()
    session.execute(delete(Label))
    session.execute(delete(Round))
    session.execute(delete(Player))
    add_labels(session, game.study, game.maps[0], game.cat, n_players=3000)
    many = peak_bytes()
    assert sizes[1] == pytest.approx(10 * sizes[0], rel=0.01)
    assert many < few + 500_000
