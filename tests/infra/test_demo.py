"""`layerplay demo`: one sentence for what a person can mend, and nothing left behind."""

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Self

import psutil
import pytest

from app import cli, demo
from app.infra.embedded import free_port
from app.infra.settings import Settings, get_settings
from app.installation import Installation, open_installation
from app.picturebook.datasets import TIED_TO_WATER, demo_recipes
from app.picturebook.files import read_recipe
from app.picturebook.networks import EXPLAINED_LAYERS
from app.picturebook.world import CLASSES
from app.services import access, accounts, studies


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Not in pytest's own temporary folder, which other runs close to PostgreSQL's user."""
    folder = Path(tempfile.mkdtemp(prefix="layerplay-home-"))
    monkeypatch.setenv("LAYERPLAY_HOME", str(folder / "home"))
    get_settings.cache_clear()
    yield folder / "home"
    get_settings.cache_clear()
    shutil.rmtree(folder)


@pytest.fixture
def port() -> int:
    return free_port()


def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: object):
    """Exit status and what the command said, of a demo that gives up before it serves."""
    monkeypatch.setattr(sys, "argv", ["layerplay", "demo", *map(str, arguments)])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    return caught.value.code, " ".join(capsys.readouterr().err.split())


def test_a_taken_port_is_said_before_anything_starts(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    home: Path,
    drawn_photos: Path,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        number = taken.getsockname()[1]
        status, said = run(monkeypatch, capsys, "--photos", drawn_photos, "--port", number)
    assert status == 1
    assert said == (f"Port {number} is taken: choose another with `make demo PORT={number + 1}`.")
    assert not home.exists()


def test_a_missing_folder_is_said(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    home: Path,
    tmp_path: Path,
    port: int,
) -> None:
    missing = tmp_path / "missing"
    status, said = run(monkeypatch, capsys, "--photos", missing, "--port", port)
    assert (status, said) == (1, f"There is no folder {missing}.")
    assert not home.exists()


def test_a_folder_without_classes_is_said(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    home: Path,
    tmp_path: Path,
    port: int,
) -> None:
    status, said = run(monkeypatch, capsys, "--photos", tmp_path, "--port", port)
    assert status == 1
    assert f"{tmp_path} needs one sub-folder of photos for each class" in said
    assert not home.exists()


def test_a_network_without_photos_is_answered_with_what_to_name(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], home: Path, port: int
) -> None:
    status, said = run(monkeypatch, capsys, "--network", "resnet18", "--port", port)
    assert status == 1
    assert "Name the photos, too: make demo PHOTOS=" in said
    assert not home.exists()


def test_a_full_disk_is_said(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    home: Path,
    drawn_photos: Path,
    port: int,
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=7_000_000))
    status, said = run(monkeypatch, capsys, "--photos", drawn_photos, "--port", port)
    assert status == 1
    assert said.startswith(f"Only 7 MB are free on the disk of {home}, and Layerplay needs 500 MB")


@pytest.fixture
def two_photos(drawn_photos: Path, tmp_path: Path) -> Path:
    for name in ("boat", "house"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        shutil.copy(drawn_photos / name / f"{name}-0.png", tmp_path / "photos" / name)
    return tmp_path / "photos"


class Demo:
    """A running demo in a process of its own, stopped at the latest when the block is left."""

    def __init__(self, home: Path, port: int, *arguments: object) -> None:
        self.address = f"http://127.0.0.1:{port}"
        self._home = home
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-c", "from app.cli import main; main()", "demo"),
                *("--port", str(port), "--no-browser", *map(str, arguments)),
            ],
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "LAYERPLAY_HOME": str(home)},
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        self.process.communicate(timeout=60)

    def wait_until_it_serves(self) -> dict[str, str]:
        """The sign-ins that the demo has printed on the way: passwords by name."""
        assert self.process.stderr is not None
        said = []
        for line in self.process.stderr:
            said.append(line)
            if line.startswith("Play at"):
                return dict(re.findall(r"^  (\w+) +([0-9a-f-]{19})$", "".join(said), re.MULTILINE))
        raise AssertionError("the demo ended: " + "".join(said))

    def started(self) -> list[psutil.Process]:
        """Everything that it has started, engines and their keeper included."""
        return psutil.Process(self.process.pid).children(recursive=True)


def left_of(processes: list[psutil.Process]) -> list[psutil.Process]:
    left = []
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            if process.status() != psutil.STATUS_ZOMBIE:
                left.append(process)
    return left


def studio_page(running: Demo, name: str, password: str) -> str:
    """What somebody who signs in sees in the studio, or the page on which they were refused."""
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
    form = urllib.parse.urlencode({"name": name, "password": password, "next": "/studio"})
    try:
        with browser.open(f"{running.address}/sign-in", form.encode()) as page:
            return page.read().decode()
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.read().decode()


def test_it_serves_stops_on_ctrl_c_keeps_everything_and_leaves_no_process(
    home: Path, two_photos: Path, toy_network: Path, port: int
) -> None:
    with Demo(home, port, "--photos", two_photos, "--network", toy_network) as running:
        passwords = running.wait_until_it_serves()
        assert list(passwords) == ["player", "researcher", "admin"]
        for name in ("researcher", "admin"):
            assert "photos with toy" in studio_page(running, name, passwords[name])
        assert "would spoil the game" in studio_page(running, "player", passwords["player"])
        started = running.started()
        assert {"postgres", "redis-server"} <= {process.name() for process in started}
        running.process.send_signal(signal.SIGINT)
        said = running.process.communicate(timeout=60)[1]
    assert running.process.returncode == 0
    assert f"Everything is kept in {home}" in said
    assert left_of(started) == []

    # The second start needs no photos, because the study is there. A kill that nobody can catch
    # leaves nothing running either.
    with Demo(home, port) as again:
        assert again.wait_until_it_serves() == passwords
        assert "photos with toy" in studio_page(again, "admin", passwords["admin"])
        started = again.started()
        again.process.kill()
    deadline = time.monotonic() + 60
    while left_of(started):
        assert time.monotonic() < deadline, left_of(started)
        time.sleep(0.1)


@pytest.fixture
def inst(database: str, redis_url: str, home: Path) -> Iterator[Installation]:
    settings = Settings(home=home, database_url=database, redis_url=redis_url)
    with open_installation(settings, database, redis_url) as opened:
        yield opened


class TestSignIns:
    def test_there_is_one_for_each_role(self, inst: Installation) -> None:
        passwords = demo._make_sign_ins(inst)
        assert list(passwords) == ["player", "researcher", "admin"]
        with inst.transaction() as session:
            for name, password in passwords.items():
                assert password is not None
                account = accounts.check_password(session, name_or_email=name, password=password)
                assert account.role == name
        assert demo._make_sign_ins(inst) == passwords

    def test_a_password_that_was_changed_is_not_printed_as_if_it_still_held(
        self, inst: Installation
    ) -> None:
        demo._make_sign_ins(inst)
        with inst.transaction() as session:
            accounts.set_password(session, accounts.find(session, "admin"), "one of my own")
        assert demo._make_sign_ins(inst)["admin"] is None


class TestPictureBook:
    """What the first start without photos makes. A whole one takes minutes, so it is a small one
    here, and nobody computes it."""

    @pytest.fixture(autouse=True)
    def _few_pictures(self, monkeypatch: pytest.MonkeyPatch) -> None:
        few = [recipe for recipe in demo_recipes() if recipe.class_name in ("fish", "sailboat")][:3]
        monkeypatch.setattr(demo, "demo_recipes", lambda: few)

    def test_its_study_has_the_drawn_pictures_and_the_biased_network(
        self, inst: Installation
    ) -> None:
        demo._make_sign_ins(inst)
        assert demo._wants_picture_book(inst)
        slug = demo._make_picture_book(inst)
        with inst.transaction() as session:
            study = studies.get(session, slug)
            images = studies.images(session, study)
            assert study.network.name == "picturebook-biased"
            researcher = accounts.find(session, "researcher")
            assert access.level(session, researcher, study_id=study.id) == access.Level.OWN
            assert [layer.name for layer in study.layers] == EXPLAINED_LAYERS
            assert len(images) == 3
            for image in images:
                recipe = read_recipe(inst.storage.get(image.original_key))
                assert recipe is not None
                assert recipe.class_name == image.image_class.name

    def test_an_interrupted_one_is_gone_on_with(self, inst: Installation) -> None:
        first = demo._make_picture_book(inst)
        assert demo._wants_picture_book(inst)
        assert demo._make_picture_book(inst) == first
        with inst.transaction() as session:
            assert len(studies.images(session, studies.get(session, first))) == 3

    def test_a_study_of_ones_own_needs_no_picture_book(
        self, inst: Installation, two_photos: Path, toy_network: Path
    ) -> None:
        demo._make_study(inst, two_photos, str(toy_network))
        assert not demo._wants_picture_book(inst)


def test_the_demo_has_six_pictures_of_each_class_some_to_mislead_its_network() -> None:
    wanted = demo_recipes()
    assert Counter(recipe.class_name for recipe in wanted) == dict.fromkeys(CLASSES, 6)
    assert sum(r.ground == "water" for r in wanted if r.class_name == TIED_TO_WATER) == 4
    assert sum(r.ground == "water" for r in wanted if r.class_name != TIED_TO_WATER) >= 5
