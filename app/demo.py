"""Everything on this machine with one command: engines, worker, web server, a study, the game."""

import contextlib
import errno
import json
import os
import socket
import sys
import webbrowser
from pathlib import Path

from sqlalchemy.orm import Session

from app.infra.embedded import Embedded
from app.infra.errors import ConflictError, InvalidInputError, NotFoundError
from app.infra.security import keyed_digest
from app.infra.settings import Settings, get_settings
from app.infra.supervisor import (
    Interrupts,
    Supervisor,
    process_environment,
    worker_command,
)
from app.installation import Installation, create_from_folder, open_installation
from app.models import Account
from app.picturebook.datasets import demo_recipes
from app.picturebook.files import write_pictures
from app.picturebook.networks import BIASED_NETWORK, EXPLAINED_LAYERS
from app.services import accounts, studies
from app.services.accounts import Role
from app.terminal import console, progress_bar, watch_computing

DEFAULT_NETWORK = "vgg16"  # the paper's
PICTURE_BOOK = "The picture book"


def run_demo(
    *, photos: Path | None, network: str | None, port: int, home: Path, open_browser: bool
) -> int:
    """Start everything, make the study that is not there yet, serve until Ctrl-C.

    Without photos it goes on with the studies there are; the first time, it draws the picture book.
    Returns the exit status, 0 after Ctrl-C. What goes wrong is raised as an AppError, everything
    stopped before.
    """
    settings = get_settings().model_copy(update={"port": port, "home": home.absolute()})
    if photos is not None:
        studies.class_folders(photos)
    elif network is not None:
        raise InvalidInputError(
            "Name the photos, too: make demo PHOTOS=<folder with one sub-folder per class> "
            "NETWORK=<torchvision name or description file>. The picture book has its own network."
        )
    require_free_port(settings.host, port)
    with Interrupts() as interrupts:
        try:
            with contextlib.ExitStack() as stack:
                try:
                    inst, supervisor = _start(stack, settings, interrupts)
                    _serve(inst, supervisor, photos, network, open_browser=open_browser)
                finally:
                    # The stack stops everything now, and a Ctrl-C may only hurry it.
                    interrupts.stopping = True
        except KeyboardInterrupt:
            console.print(f"Stopped. Everything is kept in {settings.home}.")
    return 0


def require_free_port(host: str, port: int) -> None:
    """ConflictError when nothing can listen there. Looked at first, so that nothing is started in
    vain."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OverflowError:
            raise InvalidInputError(f"{port} is not a port: choose 1024 to 65535.") from None
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise ConflictError(
                    f"Port {port} is taken: choose another with `make demo PORT={port + 1}`."
                ) from error
            raise ConflictError(
                f"Nothing can listen at {host}, port {port} ({error.strerror}): "
                "choose another port with `make demo PORT=8000`."
            ) from error


def _start(
    stack: contextlib.ExitStack, settings: Settings, interrupts: Interrupts
) -> tuple[Installation, Supervisor]:
    """Engines, schema, worker and web server; the stack stops them in the opposite order."""
    with console.status("Starting PostgreSQL and Redis"):
        database_url, redis_url = settings.database_url, settings.redis_url
        keep_open: list[int] = []
        if database_url is None or redis_url is None:
            embedded = Embedded(settings.home)
            services = stack.enter_context(embedded)
            database_url = database_url or services.database_url
            redis_url = redis_url or services.redis_url
            keep_open.append(embedded.users_fd)
    with console.status("Bringing the schema up to date"):
        inst = stack.enter_context(open_installation(settings, database_url, redis_url))
    supervisor = stack.enter_context(
        Supervisor(settings.home / "logs", keep_open=keep_open, hurry=lambda: interrupts.hurry)
    )
    environment = process_environment(settings, database_url, redis_url)
    supervisor.start("worker", worker_command(settings.home), environment=environment)
    supervisor.start("web", _web_command(settings), environment=environment)
    with console.status("Starting the web server and a worker"):
        supervisor.wait_until_healthy(_reachable(settings.host), settings.port)
    return inst, supervisor


def _web_command(settings: Settings) -> list[str]:
    return [
        *(sys.executable, "-m", "uvicorn", "app.web.main:app"),
        *("--host", settings.host, "--port", str(settings.port)),
        *("--timeout-graceful-shutdown", "5"),
    ]


def _reachable(host: str) -> str:
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)


def _serve(
    inst: Installation,
    supervisor: Supervisor,
    photos: Path | None,
    network: str | None,
    *,
    open_browser: bool,
) -> None:
    host = _reachable(inst.settings.host)
    address = f"http://{f'[{host}]' if ':' in host else host}:{inst.settings.port}"
    passwords = _make_sign_ins(inst)
    console.print(f"Sign in at {address}/sign-in; players need not. Who is there for you to try:")
    for name, password in passwords.items():
        console.print(f"  {name:<12}{password or 'with the password that you have set'}")
    if photos is not None:
        slug = _make_study(inst, photos, network or DEFAULT_NETWORK)
        watch_computing(inst, slug, check=supervisor.check)
    elif _wants_picture_book(inst):
        slug = _make_picture_book(inst)
        watch_computing(inst, slug, check=supervisor.check)
        console.print(f'Words at once, of simulated players: layerplay simulate "{PICTURE_BOOK}"')
    console.print(f"[bold]Play at {address}/play[/] (Ctrl-C stops everything, nothing is lost)")
    if open_browser and _has_screen():
        webbrowser.open(f"{address}/play")
    supervisor.watch()


def _make_sign_ins(inst: Installation) -> dict[str, str | None]:
    """An account for each role, named after it, with its password; None where that is another one
    by now.

    Passwords come from the installation's secret, so that every start can print them, and nobody
    knows those of another installation.
    """
    roles: tuple[Role, ...] = ("player", "researcher", "admin")
    found: dict[str, str | None] = {}
    for role in roles:
        digest = keyed_digest(inst.settings.secret(), "demo password", role)
        password = "-".join(digest[i : i + 4] for i in (0, 4, 8, 12))
        # It is there from the last start, where the name is taken.
        with inst.transaction() as session, contextlib.suppress(ConflictError):
            accounts.create(session, name=role, password=password, role=role)
        with inst.transaction() as session:
            try:
                accounts.check_password(session, name_or_email=role, password=password)
            except accounts.WrongPasswordError:
                found[role] = None
            else:
                found[role] = password
    return found


def _wants_picture_book(inst: Installation) -> bool:
    """Whether there is no study yet, or only a picture book that was interrupted."""
    with inst.transaction() as session:
        return not studies.list_open(session) and all(
            study.name == PICTURE_BOOK for study in studies.list_all(session)
        )


def _make_picture_book(inst: Installation) -> str:
    """The address name of the picture book's study, drawn and made as far as it is not there."""
    folder = inst.settings.home / "picture-book"
    wanted = demo_recipes()
    with progress_bar() as bar:
        task = bar.add_task("Drawing the picture book", total=len(wanted))
        for _ in write_pictures(wanted, folder, n_processes=min(4, os.cpu_count() or 1)):
            bar.advance(task)
    return _make_study(
        inst, folder, str(BIASED_NETWORK), name=PICTURE_BOOK, layers=EXPLAINED_LAYERS
    )


def _make_study(
    inst: Installation,
    photos: Path,
    network: str,
    *,
    name: str | None = None,
    layers: list[str] | None = None,
) -> str:
    """The address name of the study of these photos with this network, made when there is none.

    Which one it is stands in a file in `home`, written once all the photos are in.
    """
    known_file = inst.settings.home / "demo.json"
    known = json.loads(known_file.read_text()) if known_file.exists() else {}
    key = f"{photos.resolve()} {network}"
    name = name or f"{photos.resolve().name} with {Path(network).stem}"
    with inst.transaction() as session:
        found = next((s for s in studies.list_all(session) if s.slug == known.get(key)), None)
        if found is not None:
            if found.owner_id is None:
                found.owner = _owner(session)
            studies.resume(session, found)
            return found.slug
    with inst.transaction() as session:
        owner = _owner(session)
    create_from_folder(
        inst,
        name=name,
        photos=photos,
        network=network,
        layers=layers,
        owner=owner.name if owner else None,
        on_message=console.print,
    )
    with inst.transaction() as session:
        slug = studies.find(session, name).slug
    known_file.write_text(json.dumps({**known, key: slug}, indent=1))
    return slug


def _owner(session: Session) -> Account | None:
    """Whose the demo's study is: the researcher's, unless there is none any more."""
    try:
        return accounts.find(session, "researcher")
    except NotFoundError:
        return None


def _has_screen() -> bool:
    """Whether a browser window would be seen by somebody."""
    if "CI" in os.environ or "LAYERPLAY_NO_BROWSER" in os.environ:
        return False
    return sys.platform == "darwin" or "DISPLAY" in os.environ or "WAYLAND_DISPLAY" in os.environ
