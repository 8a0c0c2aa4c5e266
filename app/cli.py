"""The command line: `layerplay --help`."""

import os
import shutil
import sys
import time
from collections import Counter
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, cast

import typer

from app.concepts import TypedLabel, get_recipe, load_embedder
from app.demo import run_demo
from app.formats import from_jsonl, to_jsonl, write_whole
from app.formats.packing import FileToWrite, write_file, write_folder, write_zip
from app.infra.db import reading
from app.infra.errors import AppError, InvalidInputError
from app.infra.schema import schema_revision
from app.infra.settings import get_settings
from app.infra.workers import worker_running
from app.installation import Installation, create_from_folder, installation
from app.services import (
    accounts,
    backups,
    checks,
    concept_search,
    export_files,
    exports,
    labels,
    settling,
    snapshots,
    studies,
)
from app.services.accounts import Role
from app.services.exports import Content, ExportSpec, FileFormat, Selection
from app.services.simulation import Simulation
from app.terminal import console, progress_bar, watch_computing

app = typer.Typer(
    help="Layerplay: people put into words what each layer of a CNN looks at.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
study_app = typer.Typer(help="Make studies and watch them compute.", no_args_is_help=True)
app.add_typer(study_app, name="study")
snapshot_app = typer.Typer(
    help="A study's data as it is now: numbered, with checksums, never to change.",
    no_args_is_help=True,
)
app.add_typer(snapshot_app, name="snapshot")
labels_app = typer.Typer(help="Labels in files of your own.", no_args_is_help=True)
app.add_typer(labels_app, name="labels")
user_app = typer.Typer(help="People who can sign in.", no_args_is_help=True)
app.add_typer(user_app, name="user")

NetworkOption = Annotated[
    str, typer.Option(help="A classifier of torchvision, timm:NAME, or a description file (JSON).")
]
WeightsOption = Annotated[
    str, typer.Option(help="default (published), random, or a safetensors file.")
]
ClassesOption = Annotated[
    Path | None, typer.Option(help="File with the network's class names, one a line, or JSON.")
]
LayersOption = Annotated[
    str | None, typer.Option(help="Layers by name, separated by commas. Default: the deeper half.")
]
ClustererOption = Annotated[
    str, typer.Option(help="How feature maps are grouped: fast, or paper for t-SNE and Ward.")
]
SeedOption = Annotated[
    int, typer.Option(help="Makes the paper's clusterer repeatable; fast needs none.")
]


class ConceptsOf(StrEnum):
    """Whose words concepts are made of."""

    PEOPLE = "people"
    SIMULATED = "simulated"


class LabelsOf(StrEnum):
    """Whose labels are exported."""

    PEOPLE = "people"
    SIMULATED = "simulated"
    ALL = "all"


@app.command()
def explain(
    photos: Annotated[list[Path], typer.Argument(help="Pictures to explain.")],
    network: NetworkOption,
    out: Annotated[Path, typer.Option(help="Folder for the results, one sub-folder per photo.")],
    weights: WeightsOption = "default",
    classes: ClassesOption = None,
    layers: LayersOption = None,
    target: Annotated[
        str | None,
        typer.Option(help="Class to explain, by name or number. Default: the predicted."),
    ] = None,
    contrast: Annotated[
        str | None, typer.Option(help="Class to set it against: why the one and not the other.")
    ] = None,
    clusterer: ClustererOption = "fast",
    seed: SeedOption = 0,
) -> None:
    """Explain pictures: explanation.json, maps.npz and report.html for each. Needs no database."""
    # Only here: torch takes seconds to import, and no other command needs it.
    from app.explain import explain_files, load_network

    loaded = load_network(network, weights=weights, classes=classes)
    failed = 0
    with progress_bar() as bar:
        task = bar.add_task("Explaining", total=len(photos))
        for result in explain_files(
            loaded,
            photos,
            out,
            layers=_split(layers),
            target=_class(target),
            contrast=_class(contrast),
            clusterer=clusterer,
            seed=seed,
        ):
            if result.error is not None:
                failed += 1
                console.print(f"[red]{result.path}[/]: {result.error}")
            bar.advance(task)
    console.print(f"{len(photos) - failed} of {len(photos)} pictures explained, in {out}")
    if failed:
        raise typer.Exit(1)


@app.command()
def evaluate(
    photos: Annotated[list[Path], typer.Argument(help="Pictures to measure on; 20 or more.")],
    network: NetworkOption,
    weights: WeightsOption = "default",
    classes: ClassesOption = None,
    layers: LayersOption = None,
    clusterer: ClustererOption = "fast",
    out: Annotated[
        Path | None, typer.Option(help="File for the scores of each picture, as JSON.")
    ] = None,
) -> None:
    """Measure whether explanations are faithful to the network. Needs no database.

    Prints, with 95 % intervals over the pictures: what ablating clusters does to the logit, areas
    under insertion and deletion, ROAD, and whether maps change when weights are randomised, beside
    Grad-CAM, Grad-CAM++, LayerCAM, HiResCAM and chance.
    """
    from app.explain import load_network
    from app.explain.clusters import get_clusterer
    from app.explain.faithfulness.evaluation import evaluate_files
    from app.explain.faithfulness.summary import tables, to_json
    from app.explain.layers import choose_layers

    # What is wrong with the options is said before hours of computing, not after.
    if out is not None and not out.parent.is_dir():
        raise InvalidInputError(f"There is no folder {out.parent}.")
    get_clusterer(clusterer)
    loaded = load_network(network, weights=weights, classes=classes)
    names = [place.name for place in choose_layers(loaded, _split(layers))]
    scores = []
    with progress_bar() as bar:
        task = bar.add_task("Measuring", total=len(photos) * len(names))
        for number, result in enumerate(
            evaluate_files(
                loaded,
                photos,
                layers=names,
                clusterers=[clusterer],
                on_layer=lambda: bar.advance(task),
            ),
            start=1,
        ):
            if result.scores is None:
                console.print(f"[red]{result.path}[/]: {result.error}")
            else:
                scores.append((result.path, result.scores))
            bar.update(task, completed=number * len(names))
    console.print(f"{len(scores)} of {len(photos)} pictures measured")
    if scores:
        print(tables([one for _, one in scores], [clusterer]))
    if out is not None:
        write_whole(out, [to_json(scores)])
    if len(scores) < len(photos):
        raise typer.Exit(1)


def _split(layers: str | None) -> list[str] | None:
    return [name.strip() for name in layers.split(",") if name.strip()] if layers else None


def _class(target: str | None) -> str | int | None:
    return int(target) if target is not None and target.isdecimal() else target


@study_app.command("create")
def study_create(
    name: Annotated[str, typer.Argument(help="The study's name.")],
    photos: Annotated[Path, typer.Option(help="Folder with one sub-folder of photos per class.")],
    network: NetworkOption,
    weights: WeightsOption = "default",
    classes: ClassesOption = None,
    layers: LayersOption = None,
    clusterer: ClustererOption = "fast",
    seed: SeedOption = 0,
    owner: Annotated[
        str | None, typer.Option(help="Whose it is, by account name. Default: the admins'.")
    ] = None,
    wait: Annotated[bool, typer.Option(help="Stay until all pictures are computed.")] = True,
) -> None:
    """Make a study of a folder of photos and compute its cluster maps."""
    with installation() as inst:
        create_from_folder(
            inst,
            name=name,
            photos=photos,
            network=network,
            weights=weights,
            classes=classes,
            layers=_split(layers),
            clusterer=clusterer,
            seed=seed,
            owner=owner,
            on_message=console.print,
        )
        if wait:
            _wait_for(inst, name)


def _wait_for(inst: Installation, name: str) -> None:
    """Show progress until every picture is computed. Starts a worker when none answers."""
    with worker_running(inst.settings, inst.database_url, inst.redis_url):
        watch_computing(inst, name)


@study_app.command("list")
def study_list() -> None:
    """The studies of this installation."""
    with installation() as inst, inst.transaction() as session:
        for study in studies.list_all(session):
            progress = studies.progress(session, study)
            print(f"{study.name}\t{study.status}\t{progress.n_done}/{progress.n_images} pictures")


@study_app.command("progress")
def study_progress(name: Annotated[str, typer.Argument(help="The study's name.")]) -> None:
    """Watch a study compute; Ctrl-C only stops watching."""
    with installation() as inst:
        _wait_for(inst, name)


@study_app.command("resume")
def study_resume(
    name: Annotated[str, typer.Argument(help="The study's name.")],
    retry_failed: Annotated[bool, typer.Option(help="Try failed pictures again, too.")] = False,
) -> None:
    """Go on with what was interrupted. What is computed already stays."""
    with installation() as inst:
        with inst.transaction() as session:
            study = studies.find(session, name)
            n_asked = studies.resume(session, study, retry_failed=retry_failed)
        console.print(f"{n_asked} pictures to compute")
        _wait_for(inst, name)


@app.command()
def simulate(
    name: Annotated[str, typer.Argument(help="The study's name.")],
    players: Annotated[int, typer.Option(min=1, help="How many play.")] = 50,
    rounds: Annotated[
        int, typer.Option(min=1, help="Rounds together, those of earlier runs included.")
    ] = 2000,
    seed: Annotated[
        int, typer.Option(min=0, help="Who they are: the same seed brings the same players back.")
    ] = 0,
    threads: Annotated[
        int, typer.Option(min=1, help="Rounds at once. With 1, a run can be repeated exactly.")
    ] = min(4, os.cpu_count() or 1),
) -> None:
    """Have simulated players play a study of picture-book pictures, then make concepts of their
    words. Ctrl-C loses nothing: the same command goes on to the rounds wanted."""
    with installation() as inst:
        simulation = Simulation(
            inst.factory,
            inst.storage,
            study_name=name,
            n_players=players,
            seed=seed,
            secret=inst.settings.secret(),
        )
        _play(simulation, rounds, threads)
        _make_concepts(inst, name, simulated=True)


def _play(simulation: Simulation, n_rounds: int, n_threads: int) -> None:
    """Play with a progress bar, and report, also after Ctrl-C."""
    ended: Counter[str] = Counter()
    n_labels = 0
    started = time.monotonic()
    try:
        with progress_bar() as bar:
            task = bar.add_task("Playing", total=n_rounds, completed=simulation.n_finished)
            for played in simulation.play(n_rounds, n_threads=n_threads):
                ended[played.status] += 1
                n_labels += played.n_labels
                bar.advance(task)
    except KeyboardInterrupt:
        console.print("Stopped. What is played is kept; the same command goes on.")
        raise typer.Exit(130) from None
    finally:
        rate = ended.total() / (time.monotonic() - started)
        console.print(
            f"{ended.total()} rounds: {ended['won']} won, {ended['lost']} lost, "
            f"{ended['resigned']} resigned; {n_labels} labels; {rate:.1f} rounds a second"
        )
    if simulation.n_finished + ended.total() < n_rounds:
        console.print("Every player has seen every map: for more rounds, take more players.")


@app.command()
def concepts(
    name: Annotated[str, typer.Argument(help="The study's name.")],
    players: Annotated[ConceptsOf, typer.Option(help="Whose words.")] = ConceptsOf.PEOPLE,
) -> None:
    """Turn a study's labels into concepts and local explanations now."""
    with installation() as inst:
        _make_concepts(inst, name, simulated=players == ConceptsOf.SIMULATED)


def _make_concepts(inst: Installation, name: str, *, simulated: bool) -> None:
    embed = load_embedder(inst.settings.sentence_model)
    with inst.transaction() as session:
        study = studies.find(session, name)
    with progress_bar() as bar:
        for image_class in bar.track(study.classes, description="Concepts"):
            with inst.transaction() as session:
                labels.note_new_labels(
                    session, class_id=image_class.id, simulated=simulated, are_there=False
                )
            with inst.transaction() as session:
                labels.group_class(
                    session,
                    class_id=image_class.id,
                    embed=embed,
                    recipe=inst.settings.concept_recipe,
                    simulated=simulated,
                )
            if not simulated:
                with inst.transaction() as session:
                    settling.settle_class(session, class_id=image_class.id)
    with inst.transaction() as session:
        concept_search.embed_new_words(session, embed)


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


@app.command()
def backup(
    file: Annotated[Path, typer.Argument(help="The backup, such as layerplay.backup.")],
) -> None:
    """Write database and files to one file, while the game runs. Keep it safe: it holds all of it,
    and the key of the pseudonyms when that lies in LAYERPLAY_HOME."""
    settings = get_settings()
    partial = file.with_name(file.name + ".part")
    partial.unlink(missing_ok=True)
    partial.touch(mode=0o600)
    with installation() as inst, partial.open("wb") as out:
        with inst.transaction() as session:
            schema = schema_revision(session)
        entries = backups.write(
            out,
            schema=schema,
            database_url=inst.database_url,
            storage=inst.storage,
            secret=settings.secret(),
            secret_file=settings.secret_file,
        )
        out.flush()
        os.fsync(out.fileno())
    # What was written is read once more, since nobody looks at a backup before it is needed.
    backups.verify(partial)
    partial.replace(file)
    n_bytes = sum(entry.size_bytes for entry in entries)
    console.print(f"written and verified: {file}, {len(entries)} files, {n_bytes / 1e6:.1f} MB")


@app.command()
def restore(file: Annotated[Path, typer.Argument(help="What layerplay backup wrote.")]) -> None:
    """Bring a backup back into an empty installation, all of its checksums compared first."""
    settings = get_settings()
    found = backups.verify(file)
    with installation() as inst:
        with inst.transaction() as session:
            backups.require_empty(session)
        inst.engine.dispose()
        backups.restore(
            found,
            database_url=inst.database_url,
            storage=inst.storage,
            secret_file=settings.secret_file,
        )
        with inst.transaction() as session:
            missing = backups.missing_files(session, inst.storage)
    console.print(f"restored: {len(found.names)} files, every checksum as it was")
    if not found.has_key(settings.secret()):
        console.print(
            "[yellow]The key of this installation (LAYERPLAY_SECRET_KEY) is not the one that the "
            "backup was made with: players get other pseudonyms, links other signatures.[/]"
        )
    if missing:
        named = ", ".join(missing[:5])
        console.print(f"[red]{len(missing)} files were missing from the backup: {named}[/]")
        raise typer.Exit(1)


@app.command()
def check() -> None:
    """Whether points, boards and counters are what the rows add up to. Changes nothing."""
    with installation() as inst, inst.transaction() as session:
        found = checks.find_drift(session)
    for sentence in found:
        print(sentence)
    if found:
        raise typer.Exit(1)
    console.print("everything adds up")


@user_app.command("create")
def user_create(
    name: Annotated[str, typer.Argument(help="Name to sign in with.")],
    admin: Annotated[bool, typer.Option("--admin", help="Sees all, decides about people.")] = False,
    researcher: Annotated[bool, typer.Option("--researcher", help="Makes studies.")] = False,
) -> None:
    """Make an account. Asks for the password, or reads it from standard input."""
    role: Role = "admin" if admin else "researcher" if researcher else "player"
    password = _read_password()
    with installation() as inst, inst.transaction() as session:
        accounts.create(session, name=name, password=password, role=role)
    console.print(f"{name} can sign in, as {role}")


@user_app.command("password")
def user_password(
    name: Annotated[str, typer.Argument(help="Name of the account.")],
) -> None:
    """Set a password and sign the account out everywhere. Asks for it, or reads standard input."""
    password = _read_password()
    with installation() as inst, inst.transaction() as session:
        accounts.set_password(session, accounts.find(session, name), password)
    console.print("The new password is set")


def _read_password() -> str:
    """Not an option: the command line is there for every user of the machine to see."""
    if sys.stdin.isatty():
        password: str = typer.prompt(
            "Password", hide_input=True, confirmation_prompt=True, err=True
        )
        return password
    return sys.stdin.readline().rstrip("\r\n")


@app.command("migrate")
def migrate_command() -> None:
    """Bring the database's schema up to date."""
    with installation():
        console.print("the schema is up to date")


@app.command()
def demo(
    photos: Annotated[Path | None, typer.Option(help="Folder with a sub-folder per class.")] = None,
    network: Annotated[str | None, typer.Option(help="Name or description file.")] = None,
    port: Annotated[int | None, typer.Option(help="Port of the web server.")] = None,
    browser: Annotated[bool, typer.Option(help="Open the game in the browser.")] = True,
) -> None:
    """Start everything on this machine: database, queue, worker, web; make a study; play."""
    settings = get_settings()
    raise typer.Exit(
        run_demo(
            photos=photos,
            network=network,
            port=port or settings.port,
            home=settings.home,
            open_browser=browser,
        )
    )


def main() -> None:
    """Runs the command line; errors meant for people become one sentence, not a traceback."""
    try:
        app()
    except (AppError, ValueError, OSError) as error:
        console.print(f"[red]{error}[/]")
        sys.exit(1)
