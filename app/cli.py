"""The command line: `layerplay --help`."""

import os
import sys
import time
from collections import Counter
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from app.concepts import TypedLabel, get_recipe, load_embedder
from app.demo import run_demo
from app.formats import from_jsonl, to_jsonl, write_whole
from app.infra.errors import AppError, InvalidInputError
from app.infra.settings import get_settings
from app.infra.workers import worker_running
from app.installation import Installation, create_from_folder, installation
from app.services import concept_search, exports, labels, studies
from app.services.simulation import Simulation
from app.terminal import console, progress_bar, watch_computing

app = typer.Typer(
    help="Layerplay: people put into words what each layer of a CNN looks at.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
study_app = typer.Typer(help="Make studies and watch them compute.", no_args_is_help=True)
app.add_typer(study_app, name="study")
labels_app = typer.Typer(help="Labels in files of your own.", no_args_is_help=True)
app.add_typer(labels_app, name="labels")

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
                labels.group_class(
                    session,
                    class_id=image_class.id,
                    embed=embed,
                    recipe=inst.settings.concept_recipe,
                    simulated=simulated,
                )
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
    file_format: Annotated[str, typer.Option("--format", help="jsonl.")] = "jsonl",
    out: Annotated[Path | None, typer.Option(help="File to write; else standard output.")] = None,
    players: Annotated[LabelsOf, typer.Option(help="Whose labels.")] = LabelsOf.PEOPLE,
    practice: Annotated[bool, typer.Option(help="Those of practice rounds, too.")] = False,
) -> None:
    """Export a study's labels, one row per label, players under pseudonyms."""
    if file_format != "jsonl":
        raise InvalidInputError(f"There is no format “{file_format}”. Choose jsonl.")
    with installation() as inst, inst.transaction() as session:
        study = studies.find(session, name)
        rows = exports.label_rows(
            session,
            study=study,
            secret=inst.settings.secret(),
            players=players.value,
            practice=practice,
        )
        if out is None:
            sys.stdout.writelines(to_jsonl(rows))
            return
        write_whole(out, to_jsonl(rows))
        console.print(f"written: {out}")


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
