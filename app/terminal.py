"""What the command line and the demo show in a terminal."""

import time
from collections.abc import Callable

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeRemainingColumn,
)

from app.installation import Installation
from app.services import studies

# Lines are not broken: whoever reads them may be a program.
console = Console(stderr=True, highlight=False, soft_wrap=True)

_LOOK_EVERY_S = 0.5


def progress_bar() -> Progress:
    """A bar with counts and the time left."""
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
    )


def watch_computing(
    inst: Installation, name: str, *, check: Callable[[], None] = lambda: None
) -> None:
    """Show a study's progress until every picture is computed, then name those that failed.

    check: called at each look, to raise when there is nobody left who computes.
    """
    with progress_bar() as bar:
        task = bar.add_task("Computing the cluster maps", total=None)
        while True:
            check()
            with inst.transaction() as session:
                progress = studies.progress(session, studies.find(session, name))
            done = progress.n_done + progress.n_failed
            bar.update(task, total=progress.n_images, completed=done)
            if progress.is_finished:
                break
            time.sleep(_LOOK_EVERY_S)
    for failure in progress.failures:
        console.print(f"[red]failed[/] {failure.file_name}: {failure.reason}")
