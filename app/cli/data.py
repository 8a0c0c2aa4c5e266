"""Labels and concepts in files: exports, snapshots, and files of one's own."""

import shutil
import sys
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, cast

import typer

from app.concepts import TypedLabel, get_recipe, load_embedder
from app.formats import from_jsonl, to_jsonl, write_whole
from app.formats.packing import FileToWrite, write_file, write_folder, write_zip
from app.infra.db import reading
from app.infra.errors import InvalidInputError
from app.infra.settings import get_settings
from app.installation import installation
from app.services import (
    export_files,
    exports,
    snapshots,
    studies,
)
from app.services.exports import Content, ExportSpec, FileFormat, Selection
from app.terminal import console, progress_bar

app = typer.Typer()
snapshot_app = typer.Typer(
    help="A study's data as it is now: numbered, with checksums, never to change.",
    no_args_is_help=True,
)
app.add_typer(snapshot_app, name="snapshot")
labels_app = typer.Typer(help="Labels in files of your own.", no_args_is_help=True)
app.add_typer(labels_app, name="labels")


class LabelsOf(StrEnum):
    """Whose labels are exported."""

    PEOPLE = "people"
    SIMULATED = "simulated"
    ALL = "all"


@labels_app.command("group")
def labels_group(
    source: Annotated[
        Path, typer.Argument(help='JSONL with "image_class", "label" and, if known, "map".')
    ],
    out: Annotated[Path, typer.Option(help='The same rows with "concept" and "junk".')],
    recipe: Annotated[
        str, typer.Option(help="layerplay, or paper for Bianchi et al. 2024.")
    ] = "layerplay",
) -> None:
    """Name the concept of each label of a file, or call it junk. Needs no database."""
    group = get_recipe(recipe)
    if out.exists() and out.samefile(source):
        raise InvalidInputError("The result would overwrite the labels. Choose another --out.")
    with source.open(encoding="utf-8") as file:
        rows = list(from_jsonl(file, needed={"image_class": str, "label": str}))
    embed = load_embedder(get_settings().sentence_model)
    by_class: dict[str, list[int]] = {}
    for i, row in enumerate(rows):
        by_class.setdefault(row["image_class"], []).append(i)
    with progress_bar() as bar:
        for name, places in bar.track(by_class.items(), description="Concepts"):
            typed = [TypedLabel(rows[i]["label"], name, _map_id(rows[i])) for i in places]
            for i, concept in zip(places, group(typed, embed=embed), strict=True):
                rows[i] |= {"concept": concept, "junk": concept is None}
    write_whole(out, to_jsonl(rows))
    n_junk = sum(row["junk"] for row in rows)
    console.print(f"{len(rows)} labels, {n_junk} of them junk; written: {out}")


def _map_id(row: dict[str, Any]) -> str | None:
    return None if row.get("map") is None else str(row["map"])


@app.command()
def export(
    name: Annotated[str, typer.Argument(help="The study's name.")],
    file_format: Annotated[
        str, typer.Option("--format", help="jsonl, csv, parquet, coco or huggingface.")
    ] = "jsonl",
    content: Annotated[
        str, typer.Option(help="labels, concepts or both; coco holds concepts.")
    ] = "labels",
    out: Annotated[
        Path | None,
        typer.Option(help="File, else standard output. For several files a folder, or NAME.zip."),
    ] = None,
    classes: Annotated[
        list[str] | None, typer.Option("--class", help="This image class only; may be repeated.")
    ] = None,
    layers: Annotated[
        list[str] | None, typer.Option("--layer", help="This layer only; may be repeated.")
    ] = None,
    given_from: Annotated[
        datetime | None, typer.Option("--from", help="First day (UTC).", formats=["%Y-%m-%d"])
    ] = None,
    given_until: Annotated[
        datetime | None, typer.Option("--until", help="Last day (UTC).", formats=["%Y-%m-%d"])
    ] = None,
    agreement: Annotated[
        int, typer.Option(min=0, help="Only concepts that so many players gave on a map.")
    ] = 0,
    players: Annotated[LabelsOf, typer.Option(help="Whose labels.")] = LabelsOf.PEOPLE,
    practice: Annotated[bool, typer.Option(help="Those of practice rounds, too.")] = False,
    reveal: Annotated[
        int | None,
        typer.Option(help="Step 0 to 5 whose lit pixels are COCO regions. Default: where named."),
    ] = None,
    licence: Annotated[
        str | None, typer.Option(help="Of the data, such as cc-by-4.0. Default: the setting's.")
    ] = None,
) -> None:
    """Export a study's labels and concepts, players under pseudonyms."""
    settings = get_settings()
    spec = ExportSpec(
        file_format=cast(FileFormat, file_format),
        content=cast(Content, content),
        selection=Selection(
            classes=tuple(classes or ()),
            layers=tuple(layers or ()),
            given_from=given_from.date() if given_from else None,
            given_until=given_until.date() if given_until else None,
            min_agreement=agreement,
            players=players.value,
            practice=practice,
        ),
        reveal_index=reveal,
        licence=licence or settings.data_licence,
    )
    with installation() as inst, reading(inst.factory) as session:
        study = studies.find(session, name)
        exports.check(study, spec.selection)
        n_rows = sum(exports.count_rows(session, study=study, spec=spec).values())
        with progress_bar() as bar:
            task = bar.add_task("Exporting", total=n_rows)
            _write_files(
                export_files.files(
                    session,
                    inst.storage,
                    study=study,
                    secret=settings.secret(),
                    spec=spec,
                    on_row=lambda: bar.advance(task),
                ),
                out,
            )
    if out is not None:
        console.print(f"written: {out}")


def _write_files(files: list[FileToWrite], out: Path | None) -> None:
    """Write files to where the command's user wants them, whole or not at all."""
    if out is None:
        if len(files) > 1:
            raise InvalidInputError("This makes several files: name a folder or NAME.zip by --out.")
        write_file(sys.stdout.buffer, files[0])
        return
    partial = out.with_name(out.name + ".part")
    if len(files) > 1 and out.suffix != ".zip":
        if out.exists():
            raise InvalidInputError(f"{out} is there already. Name a new folder, or NAME.zip.")
        if partial.exists():
            shutil.rmtree(partial)
        write_folder(partial, files)
    else:
        with partial.open("wb") as file:
            if len(files) > 1:
                write_zip(file, files)
            else:
                write_file(file, files[0])
    partial.replace(out)


@snapshot_app.command("create")
def snapshot_create(
    name: Annotated[str, typer.Argument(help="The study's name.")],
    licence: Annotated[
        str | None, typer.Option(help="Of the data, such as cc-by-4.0. Default: the setting's.")
    ] = None,
) -> None:
    """Make a snapshot, unless the last one holds the same data; prints its number and SHA-256."""
    settings = get_settings()
    with installation() as inst:
        with inst.transaction() as session:
            slug = studies.find(session, name).slug
        prepared = snapshots.prepare(
            inst.factory,
            inst.storage,
            study_slug=slug,
            secret=settings.secret(),
            licence=licence or settings.data_licence,
        )
        with inst.transaction() as session:
            snapshot, is_new = snapshots.number(session, prepared)
    if not is_new:
        console.print(f"nothing has changed since snapshot {snapshot.number}")
    print(f"{snapshot.number}\t{snapshot.sha256}")


@snapshot_app.command("list")
def snapshot_list(name: Annotated[str, typer.Argument(help="The study's name.")]) -> None:
    """A study's snapshots: number, moment, bytes, SHA-256, file."""
    with installation() as inst, inst.transaction() as session:
        for one in snapshots.of_study(session, studies.find(session, name)):
            made_at = one.created_at.astimezone(UTC).isoformat(timespec="seconds")
            path = f"{inst.storage.place}/{one.file_key}"
            print(f"{one.number}\t{made_at}\t{one.size_bytes}\t{one.sha256}\t{path}")


@snapshot_app.command("verify")
def snapshot_verify(
    name: Annotated[str, typer.Argument(help="The study's name.")],
    number: Annotated[int | None, typer.Argument(help="Of one snapshot. Default: all.")] = None,
) -> None:
    """Compare snapshots in storage with the checksums that the database has of them."""
    n_wrong = 0
    with installation() as inst, inst.transaction() as session:
        study = studies.find(session, name)
        chosen = (
            snapshots.of_study(session, study)
            if number is None
            else [snapshots.get(session, study, number)]
        )
        for snapshot in chosen:
            wrong = snapshots.verify(inst.storage, snapshot)
            n_wrong += bool(wrong)
            console.print(f"snapshot {snapshot.number}: {' '.join(wrong) or 'as it was made'}")
    if n_wrong:
        raise typer.Exit(1)
