"""Studies: made, watched, played by simulated players, put into concepts."""

import os
import time
from collections import Counter
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from app.cli.options import (
    ClassesOption,
    ClustererOption,
    LayersOption,
    NetworkOption,
    SeedOption,
    WeightsOption,
    split_names,
)
from app.concepts import load_embedder
from app.infra.workers import worker_running
from app.installation import Installation, create_from_folder, installation
from app.services import concept_search, labels, settling, studies
from app.services.simulation import Simulation
from app.terminal import console, progress_bar, watch_computing

app = typer.Typer()
study_app = typer.Typer(help="Make studies and watch them compute.", no_args_is_help=True)
app.add_typer(study_app, name="study")


class ConceptsOf(StrEnum):
    """Whose words concepts are made of."""

    PEOPLE = "people"
    SIMULATED = "simulated"


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
            layers=split_names(layers),
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
