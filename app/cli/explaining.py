"""Pictures explained and explanations measured: no database is needed."""

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
from app.formats import write_whole
from app.infra.errors import InvalidInputError
from app.terminal import console, progress_bar

app = typer.Typer()


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
    jobs: Annotated[
        int,
        typer.Option(
            "--jobs",
            "-j",
            min=1,
            help="Processes that work side by side, each with its own copy of the network.",
        ),
    ] = 1,
) -> None:
    """Explain pictures: explanation.json, maps.npz and report.html for each. Needs no database.

    Ctrl-C loses nothing: the same command goes on, past the pictures that are explained already.
    """
    # Only here: torch takes seconds to import, and no other command needs it.
    from app.explain import explain_files, load_network

    loaded = load_network(network, weights=weights, classes=classes)
    results = explain_files(
        loaded,
        photos,
        out,
        layers=split_names(layers),
        target=_class(target),
        contrast=_class(contrast),
        clusterer=clusterer,
        seed=seed,
        n_processes=min(jobs, len(photos)),
    )
    explained = old = failed = 0
    is_stopped = False
    try:
        with progress_bar() as bar:
            task = bar.add_task("Explaining", total=len(photos))
            for result in results:
                if result.error is None:
                    explained += 1
                    old += result.is_old
                else:
                    failed += 1
                    console.print(f"[red]{result.path}[/]: {result.error}")
                bar.advance(task)
    except KeyboardInterrupt:
        is_stopped = True
    before = f", {old} of them before" if old else ""
    console.print(f"{explained} of {len(photos)} pictures explained{before}, in {out}")
    if is_stopped:
        console.print("Stopped. What is explained is kept; the same command goes on.")
        raise typer.Exit(130)
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
        Path | None,
        typer.Option(
            help="File for the scores of each picture, as JSON. One that is there is gone on with."
        ),
    ] = None,
) -> None:
    """Measure whether explanations are faithful to the network. Needs no database.

    Prints, with 95 % intervals over the pictures: what ablating clusters does to the logit, areas
    under insertion and deletion, ROAD, and whether maps change when weights are randomised, beside
    Grad-CAM, Grad-CAM++, LayerCAM, HiResCAM and chance.

    With a file for the scores, Ctrl-C loses nothing: the same command goes on.
    """
    from app.explain import load_network
    from app.explain.clusters import get_clusterer
    from app.explain.faithfulness.evaluation import evaluate_files
    from app.explain.faithfulness.summary import from_json, tables, to_json
    from app.explain.layers import choose_layers
    from app.explain.requests import describe_request

    # What is wrong with the options is said before hours of computing, not after.
    if out is not None and not out.parent.is_dir():
        raise InvalidInputError(f"There is no folder {out.parent}.")
    get_clusterer(clusterer)
    loaded = load_network(network, weights=weights, classes=classes)
    names = [place.name for place in choose_layers(loaded, split_names(layers))]
    request = describe_request(loaded, layers=names, clusterer=clusterer)
    try:
        old = [] if out is None or not out.exists() else from_json(out.read_bytes(), request)
    except (OSError, ValueError) as error:
        raise InvalidInputError(f"{out} cannot be gone on with. {error}") from error
    # Those of photos that are not asked for now stay in the file too.
    kept = {(one.path, one.photo_sha256): one for one in old}
    measured = []
    n_failed = 0
    is_stopped = False
    try:
        with progress_bar() as bar:
            task = bar.add_task("Measuring", total=len(photos) * len(names))
            for number, result in enumerate(
                evaluate_files(
                    loaded,
                    photos,
                    layers=names,
                    clusterers=[clusterer],
                    on_layer=lambda: bar.advance(task),
                    old=old,
                ),
                start=1,
            ):
                if result.scores is None:
                    n_failed += 1
                    console.print(f"[red]{result.path}[/]: {result.error}")
                else:
                    measured.append(result.scores)
                    kept[result.path, result.photo_sha256] = result
                    if out is not None:
                        write_whole(out, [to_json(request, kept.values())])
                bar.update(task, completed=number * len(names))
    except KeyboardInterrupt:
        is_stopped = True
    console.print(f"{len(measured)} of {len(photos)} pictures measured")
    if measured:
        print(tables(measured, [clusterer]))
    if is_stopped:
        console.print(
            "Stopped."
            if out is None
            else f"Stopped. What is measured is kept in {out}; the same command goes on."
        )
        raise typer.Exit(130)
    if n_failed:
        raise typer.Exit(1)


def _class(target: str | None) -> str | int | None:
    return int(target) if target is not None and target.isdecimal() else target
