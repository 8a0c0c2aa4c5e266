"""The files of an export: JSONL, CSV, Parquet, COCO, a Hugging Face datasets folder."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC
from functools import partial
from math import ceil
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from app import rules
from app.explain.render import reveal_mask
from app.formats import to_csv, to_jsonl
from app.formats.card import CARD_FILE, dataset_card
from app.formats.coco import region, write_coco
from app.formats.croissant import CROISSANT_FILE, croissant
from app.formats.packing import FileEntry, FileToWrite
from app.formats.parquet import write_parquet
from app.formats.tables import CLUSTER_MAPS, CONCEPTS, IMAGES, LABELS, Table
from app.infra.storage import Storage
from app.models import Image, Network, Study
from app.services.drawing import VIEW_PX, read_map, view_file
from app.services.exports import (
    ExportSpec,
    check,
    cluster_map_rows,
    concept_names,
    concept_rows,
    count_rows,
    image_rows,
    images,
    label_rows,
    scored_concepts,
)

_ROWS_PER_BATCH = 1000
_ROWS_PER_GROUP = 10_000
_PICTURES_PER_GROUP = 100

CITATION = (
    "M. Bianchi, A. De Santis, A. Tocchetti, M. Brambilla, “Interpretable Network "
    "Visualizations: A Human-in-the-Loop Approach for Post-hoc Explainability of CNN-based Image "
    "Classification”, IJCAI 2024, arXiv 2405.03301."
)


def files(
    session: Session,
    storage: Storage,
    *,
    study: Study,
    secret: bytes,
    spec: ExportSpec,
    on_row: Callable[[], None] = lambda: None,
) -> list[FileToWrite]:
    """The files of an export, to be written in this order while the session is open. One file for
    JSONL, CSV and Parquet of one table; several else. on_row: called for each row written.

    All of an export must come from one moment: give it a session of `infra.db.reading`.
    """
    check(study, spec.selection)
    source = _Source(session, storage, study, secret, spec, on_row)
    if spec.file_format == "coco":
        return source.coco()
    if spec.file_format == "huggingface":
        return source.huggingface()
    write = {"jsonl": source.write_jsonl, "csv": source.write_csv, "parquet": source.write_parquet}
    return [
        FileToWrite(f"{table.name}.{spec.file_format}", partial(write[spec.file_format], table))
        for table in spec.tables
    ]


@dataclass(frozen=True, slots=True)
class _Source:
    """Where the rows of one export come from, and how its files are written."""

    session: Session
    storage: Storage
    study: Study
    secret: bytes
    spec: ExportSpec
    on_row: Callable[[], None]

    def rows(self, table: Table) -> Iterator[dict[str, Any]]:
        chosen = self.spec.selection
        makers: dict[str, Callable[[], Iterable[dict[str, Any]]]] = {
            LABELS.name: lambda: label_rows(
                self.session, study=self.study, secret=self.secret, selection=chosen
            ),
            CONCEPTS.name: lambda: concept_rows(self.session, study=self.study, selection=chosen),
            CLUSTER_MAPS.name: lambda: cluster_map_rows(
                self.session, self.storage, study=self.study, selection=chosen
            ),
            IMAGES.name: lambda: image_rows(
                self.session, self.storage, study=self.study, selection=chosen
            ),
        }
        for row in makers[table.name]():
            self.on_row()
            yield row

    def write_jsonl(self, table: Table, file: IO[bytes], _: Sequence[FileEntry]) -> None:
        file.writelines(line.encode() for line in to_jsonl(self.rows(table)))

    def write_csv(self, table: Table, file: IO[bytes], _: Sequence[FileEntry]) -> None:
        # Without a byte order mark, which some readers would take for data.
        file.writelines(line.encode() for line in to_csv(self.rows(table), table.columns))

    def write_parquet(self, table: Table, file: IO[bytes], _: Sequence[FileEntry]) -> None:
        n = _PICTURES_PER_GROUP if table in (IMAGES, CLUSTER_MAPS) else _ROWS_PER_GROUP
        write_parquet(file, self.rows(table), table, rows_per_group=n)

    # COCO

    def coco(self) -> list[FileToWrite]:
        pictures = images(self.session, study=self.study, selection=self.spec.selection)
        return [FileToWrite("annotations.json", self.write_annotations)] + [
            FileToWrite(f"images/{image.id}.jpg", partial(self.write_view, image))
            for image, _ in pictures
        ]

    def write_view(self, image: Image, file: IO[bytes], _: Sequence[FileEntry]) -> None:
        self.on_row()
        file.write(view_file(self.storage, image))

    def write_annotations(self, file: IO[bytes], _: Sequence[FileEntry]) -> None:
        chosen = self.spec.selection
        names = concept_names(self.session, study=self.study, selection=chosen)
        category_ids = {name: number for number, name in enumerate(names, start=1)}
        pictures = images(self.session, study=self.study, selection=chosen)
        image_ids = {image.id: number for number, (image, _) in enumerate(pictures, start=1)}
        write_coco(
            file,
            info={"description": describe(self.study), **provenance(self.session, self.study)},
            licence=self.spec.licence,
            categories=(
                {"id": number, "name": name, "supercategory": "concept"}
                for name, number in category_ids.items()
            ),
            images=(
                {
                    "id": image_ids[image.id],
                    "file_name": f"{image.id}.jpg",
                    "width": VIEW_PX,
                    "height": VIEW_PX,
                    "license": 1,
                    "original_file_name": image.file_name,
                    "sha256": image.sha256,
                    "image_class": class_name,
                    "network_said": image.target_name,
                }
                for image, class_name in pictures
            ),
            annotations=self.annotations(
                category_ids, image_ids, {image.id: image for image, _ in pictures}
            ),
        )

    def annotations(
        self,
        category_ids: dict[str, int],
        image_ids: dict[Any, int],
        pictures: dict[Any, Image],
    ) -> Iterator[dict[str, Any]]:
        """One per cluster map and concept: what is lit of the map at the stated step."""
        query = scored_concepts(self.study, self.spec.selection)
        # The concepts of a map come one after the other, and mostly share a region.
        known: tuple[Any, dict[str, Any]] = (None, {})
        with self.session.execute(query.execution_options(yield_per=_ROWS_PER_BATCH)) as rows:
            for number, row in enumerate(rows, start=1):
                step = self.spec.reveal_index
                step = ceil(row.mean_reveal_index) if step is None else step
                if known[0] != (row.cluster_map, step):
                    array = read_map(self.storage, pictures[row.image_id], row.array_name)
                    known = (row.cluster_map, step), region(lit_pixels(array, reveal_index=step))
                self.on_row()
                yield {
                    "id": number,
                    "image_id": image_ids[row.image_id],
                    "category_id": category_ids[row.concept],
                    **known[1],
                    "layer": row.layer,
                    "cluster_map": str(row.cluster_map),
                    "channels": row.channels,
                    "weight": row.weight,
                    "effect": row.effect,
                    "reveal_index": step,
                    "revealed_percent": rules.REVEAL_PERCENTS[step],
                    "score": row.score,
                    "agreement": row.n_given,
                    "any_right": row.any_right,
                    "simulated": row.simulated,
                }

    # Hugging Face

    def huggingface(self) -> list[FileToWrite]:
        tables = (*self.spec.tables, CLUSTER_MAPS, IMAGES)
        counts = count_rows(self.session, study=self.study, spec=self.spec)
        about = provenance(self.session, self.study)

        def write_metadata(file: IO[bytes], before: Sequence[FileEntry]) -> None:
            metadata = croissant(
                name=self.study.name,
                description=describe(self.study),
                licence=self.spec.licence,
                citation=CITATION,
                published=self.study.created_at.astimezone(UTC).date().isoformat(),
                version="1.0.0",
                tables=list(zip(tables, before, strict=True)),
            )
            file.write((json.dumps(metadata, indent=1, ensure_ascii=False) + "\n").encode())

        def write_card(file: IO[bytes], _: Sequence[FileEntry]) -> None:
            card = dataset_card(
                name=self.study.name,
                description=describe(self.study),
                licence=self.spec.licence,
                citation=CITATION,
                provenance=about,
                tables=[
                    (table, f"data/{table.name}.parquet", counts[table.name]) for table in tables
                ],
            )
            file.write(card.encode())

        return [
            *(
                FileToWrite(f"data/{table.name}.parquet", partial(self.write_parquet, table))
                for table in tables
            ),
            FileToWrite(CROISSANT_FILE, write_metadata),
            FileToWrite(CARD_FILE, write_card),
        ]


def lit_pixels(cluster_map: NDArray[np.float32], *, reveal_index: int) -> NDArray[np.bool_]:
    """Which pixels [VIEW_PX, VIEW_PX] of the view a player sees at least by half at a step."""
    percent = rules.REVEAL_PERCENTS[reveal_index]
    return reveal_mask(cluster_map, percent=percent, size=VIEW_PX) >= 0.5


def describe(study: Study) -> str:
    return (
        f"What people saw in “{study.name}”: labels that players of Deep Reveal typed for the "
        "regions of pictures that drove a neural network's decision at each of its layers, and "
        "the concepts found in them."
    )


def provenance(session: Session, study: Study) -> dict[str, Any]:
    """What made the data, for its reader."""
    network = session.get_one(Network, study.network_id)
    return {
        "study": study.name,
        "network": f"{network.name} ({network.architecture})",
        "network_weights_sha256": network.weights_sha256,
        "clusterer": study.clusterer,
        "seed": study.seed,
        "layers": ", ".join(layer.name for layer in study.layers),
        "classes": ", ".join(c.name for c in study.classes),
    }
