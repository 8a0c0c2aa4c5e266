"""What the command line and the demo share: the engines and files they work on, and the import of
a folder of photos, which takes several transactions."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine
from sqlalchemy.orm import Session, sessionmaker

from app.infra.db import make_engine, session_factory, transaction
from app.infra.embedded import embedded_services
from app.infra.queue import CelerySender
from app.infra.schema import migrate
from app.infra.settings import Settings, get_settings
from app.infra.storage import Storage
from app.services import audit
from app.services.audit import Actor


@dataclass(frozen=True, slots=True)
class Installation:
    """The database, the queue and the files that a command works on."""

    settings: Settings
    database_url: str
    redis_url: str
    storage: Storage
    engine: Engine
    factory: sessionmaker[Session]

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        with transaction(self.factory, CelerySender(self.redis_url)) as session:
            audit.act_as(session, Actor("command line"))
            yield session


@contextmanager
def installation() -> Iterator[Installation]:
    """The installation that the settings name. Engines that they do not name are the embedded ones:
    joined when they run, else started for as long as the command takes."""
    settings = get_settings()
    if settings.database_url and settings.redis_url:
        with open_installation(settings, settings.database_url, settings.redis_url) as inst:
            yield inst
        return
    with embedded_services(settings.home) as services:
        database_url = settings.database_url or services.database_url
        redis_url = settings.redis_url or services.redis_url
        with open_installation(settings, database_url, redis_url) as inst:
            yield inst


@contextmanager
def open_installation(
    settings: Settings, database_url: str, redis_url: str
) -> Iterator[Installation]:
    """An installation on engines that run already, its schema brought up to date."""
    migrate(database_url)
    engine = make_engine(database_url)
    try:
        yield Installation(
            settings=settings,
            database_url=database_url,
            redis_url=redis_url,
            storage=settings.open_storage(),
            engine=engine,
            factory=session_factory(engine),
        )
    finally:
        engine.dispose()


def create_from_folder(
    inst: Installation,
    *,
    name: str,
    photos: Path,
    network: str,
    weights: str = "default",
    classes: Path | None = None,
    layers: list[str] | None = None,
    clusterer: str = "fast",
    seed: int = 0,
    owner: str | None = None,
    on_message: Callable[[str], None],
) -> None:
    """A study from a folder with one sub-folder per class; its explanations are asked for.

    Pictures go in class by class, each class in its own transaction, so that a large folder is
    being computed while the rest is still read. When that was interrupted, the same call goes on
    where it stopped; ConflictError when the name belongs to another study. owner: the name of an
    account; without one the study is the admins'.
    """
    from app.explain.layers import choose_layers
    from app.services import accounts, networks, studies

    folders = studies.class_folders(photos)
    with inst.transaction() as session:
        row, loaded = networks.register(
            session, inst.storage, name=network, weights=weights, classes=classes
        )
        chosen = choose_layers(loaded, layers)
        study = studies.create(
            session,
            name=name,
            network=row,
            classes=[folder.name for folder in folders],
            layers=[(place.name, place.n_channels) for place in chosen],
            clusterer=clusterer,
            seed=seed,
            owner=accounts.find(session, owner) if owner else None,
            or_continue=True,
        )
    max_bytes = inst.settings.max_picture_mb * 1_000_000
    n_added = 0
    for folder in folders:
        with inst.transaction() as session:
            files = sorted(f for f in folder.iterdir() if not f.name.startswith("."))
            added, refused = studies.add_files(
                session,
                inst.storage,
                study=studies.get(session, study.slug),
                class_name=folder.name,
                files=files,
                max_bytes=max_bytes,
            )
        n_added += len(added)
        for refusal in refused:
            on_message(f"left out {refusal.file_name}: {refusal.reason}")
    on_message(f"{n_added} pictures of {len(folders)} classes, {len(chosen)} layers")
