"""A worker of the test's own: its database, its queue, its files, and a small network."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from app.infra.settings import Settings, get_settings
from app.installation import Installation, create_from_folder, open_installation
from workers import context, explanations

CACHES = (
    *(get_settings, context.engine, context.session_maker, context._sender, context.signs),
    context.storage,
    explanations._network,  # by the network's number, which each test's database begins anew
)


@pytest.fixture
def inst(
    tmp_path: Path, database: str, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Installation]:
    """An installation with a committed database, which tasks called in this process work on."""
    monkeypatch.setenv("DATABASE_URL", database)
    monkeypatch.setenv("REDIS_URL", redis_url)
    monkeypatch.setenv("LAYERPLAY_HOME", str(tmp_path / "home"))
    for cache in CACHES:
        cache.cache_clear()
    with open_installation(Settings(), database, redis_url) as opened:
        yield opened
    context.engine().dispose()
    for cache in CACHES:
        cache.cache_clear()


@pytest.fixture
def drawn_study(inst: Installation, drawn_photos: Path, toy_network: Path) -> str:
    """Address name of a study of the nine drawn pictures, nothing computed yet."""
    create_from_folder(
        inst,
        name="Drawn",
        photos=drawn_photos,
        network=str(toy_network),
        layers=["features.10", "features.12"],
        on_message=lambda _: None,
    )
    return "drawn"
