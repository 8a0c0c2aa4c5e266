"""The command line: `layerplay --help`."""

import sys

import typer

from app.cli import data, explaining, studying, upkeep
from app.infra.errors import AppError
from app.terminal import console

app = typer.Typer(
    help="Layerplay: people put into words what each layer of a CNN looks at.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
for part in (explaining, studying, data, upkeep):
    app.add_typer(part.app)


def main() -> None:
    """Runs the command line; errors meant for people become one sentence, not a traceback."""
    try:
        app()
    except (AppError, ValueError, OSError) as error:
        console.print(f"[red]{error}[/]")
        sys.exit(1)
