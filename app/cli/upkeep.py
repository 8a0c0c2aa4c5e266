"""The installation itself: backups, checks, people, the schema, the demo."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from app.demo import run_demo
from app.infra.schema import schema_revision
from app.infra.settings import get_settings
from app.installation import installation
from app.services import accounts, backups, checks
from app.services.accounts import Role
from app.terminal import console

app = typer.Typer()
user_app = typer.Typer(help="People who can sign in.", no_args_is_help=True)
app.add_typer(user_app, name="user")


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
