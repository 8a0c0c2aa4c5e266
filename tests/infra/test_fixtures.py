"""The fixtures of conftest.py keep the promises that other tests rely on."""

from pathlib import Path

import pytest
import redis
from PIL import Image
from playwright.sync_api import Page
from sqlalchemy import Engine, create_engine, inspect, text
from sqlalchemy.orm import Session

from app.infra.settings import Settings
from app.models import Base


def test_worker_database_has_every_table_of_the_models(worker_engine: Engine) -> None:
    assert set(Base.metadata.tables) <= set(inspect(worker_engine).get_table_names())


@pytest.mark.parametrize("turn", ["first", "second"])
def test_what_a_session_commits_is_gone_in_the_next_test(session: Session, turn: str) -> None:
    assert session.scalar(text("SELECT to_regclass('left_over')")) is None
    session.execute(text("CREATE TABLE left_over ()"))
    session.commit()


def test_database_is_the_tests_own_and_takes_true_commits(database: str, session: Session) -> None:
    engine = create_engine(database)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE mine ()"))
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT to_regclass('mine')")) == "mine"
    engine.dispose()
    assert session.scalar(text("SELECT to_regclass('mine')")) is None


@pytest.mark.parametrize("turn", ["first", "second"])
def test_redis_is_empty_at_the_start_of_a_test(redis_url: str, turn: str) -> None:
    with redis.Redis.from_url(redis_url) as client:
        assert client.dbsize() == 0
        client.set("left", "over")


def test_settings_ignore_the_shell_and_write_in_the_tests_folder(
    settings: Settings, tmp_path: Path
) -> None:
    assert settings.storage_path.is_relative_to(tmp_path)
    assert settings.database_url is not None
    assert settings.redis_url is not None


def test_drawn_photos_are_three_readable_pictures_in_each_class(drawn_photos: Path) -> None:
    classes = sorted(folder.name for folder in drawn_photos.iterdir())
    assert classes == ["boat", "flower", "house"]
    for name in classes:
        pictures = sorted((drawn_photos / name).iterdir())
        assert len(pictures) == 3
        assert len({Image.open(path).tobytes() for path in pictures}) == 3


def test_browser_page_runs_scripts(browser_page: Page) -> None:
    browser_page.set_content("<p id=p>before</p><script>p.textContent = 'after'</script>")
    assert browser_page.locator("#p").text_content() == "after"
