"""A researcher makes a study in the browser, sees its worker die, goes on, and opens the game."""

import io
import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path
from zipfile import ZipFile

import psutil
import pytest
from PIL import Image as Picture
from PIL import ImageEnhance
from playwright.sync_api import Browser, Page, expect
from sqlalchemy import func, select

from app.infra.supervisor import Supervisor, worker_command
from app.models import Image
from tests.drawings import SCENES
from tests.walkthroughs.conftest import Site, assert_accessible

Shoot = Callable[[Page, str], None]

N_PICTURES = 60
BAD = {
    "boat/notes.txt": "not a picture",
    "boat/empty.png": "empty",
    "flower/cut.png": "damaged or cut short",
    "../../outside.png": "leads out of the zip",
    "house/again.png": "same picture",
    "alone.png": "class is unknown",
}


def draw(class_name: str, number: int) -> bytes:
    """One of 20 different pictures of a class."""
    chosen = random.Random(f"{class_name}{number}")
    picture = SCENES[class_name](number % 3)
    picture = ImageEnhance.Color(picture).enhance(0.5 + chosen.random())
    picture = ImageEnhance.Brightness(picture).enhance(0.7 + 0.5 * chosen.random())
    if number % 2:
        picture = picture.transpose(Picture.Transpose.FLIP_LEFT_RIGHT)
    return png(picture)


def png(picture: Picture.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A zip of 60 drawn pictures in three folders, and six files that are no good."""
    path = tmp_path_factory.mktemp("zip") / "photos.zip"
    with ZipFile(path, "w") as file:
        for name in SCENES:
            for number in range(N_PICTURES // len(SCENES)):
                file.writestr(f"photos/{name}/{name}-{number}.png", draw(name, number))
        good = draw("house", 0)
        bad = (b"Dear researcher", b"", good[:2000], good, good, draw("boat", 99))
        for name, content in zip(BAD, bad, strict=True):
            file.writestr(name, content)
    return path


def name_and_network(page: Page, site: Site, toy_network: Path, shoot: Shoot) -> None:
    site.enter_studio(page)
    page.goto(f"{site.address}/studio")
    page.get_by_role("link", name="New study").click()
    page.get_by_label("Name of the study").fill("Drawn things")
    shoot(page, "1-name")
    page.get_by_role("button", name="Begin").click()
    page.get_by_label("Description (JSON)").set_input_files(toy_network)
    page.get_by_label("Weights (safetensors)").set_input_files(
        toy_network.with_suffix(".safetensors")
    )
    page.get_by_role("button", name="Upload").click()
    on = page.get_by_role("link", name="Go on to its layers")
    expect(on).to_be_visible(timeout=90_000)
    shoot(page, "2-network")
    on.click()


def tick_layers(page: Page, shoot: Shoot) -> None:
    ticked = page.get_by_role("checkbox", checked=True)
    assert ticked.count() > 0
    shoot(page, "3-layers")
    page.get_by_role("button", name="Go on to the pictures").click()


def hand_in(page: Page, archive: Path, shoot: Shoot) -> None:
    page.get_by_label("Pictures, or zips of them").set_input_files(archive)
    page.get_by_role("button", name="Add them").click()
    on = page.get_by_role("link", name="Go on to the game")
    expect(on).to_be_visible(timeout=120_000)
    expect(
        page.get_by_text(f"{N_PICTURES} pictures of 3 classes; 6 files left out")
    ).to_be_visible()
    said = page.locator("#refusals").inner_text()
    for name, reason in BAD.items():
        assert name in said
        assert reason in said
    # Nothing is lost by a reload.
    page.reload()
    shoot(page, "4-pictures")
    page.get_by_role("link", name="Go on to the game").click()


def rules_and_preview(page: Page, shoot: Shoot) -> None:
    page.get_by_label("Further answers").fill("kite")
    page.get_by_label("Rounds wanted for each map").fill("5")
    page.get_by_role("radio", name="Those with the link").check()
    shoot(page, "5-game")
    page.get_by_role("button", name="Go on to the preview").click()
    page.get_by_role("button", name="Explain this picture").click()
    expect(page.get_by_text("The network says")).to_be_visible(timeout=120_000)
    shoot(page, "6-preview")


def n_done(site: Site) -> int:
    with site.sessions() as session:
        return session.scalar(select(func.count()).where(Image.status == "done")) or 0


def workers(site: Site) -> list[psutil.Process]:
    home = site.environment["LAYERPLAY_HOME"]
    return [
        process
        for process in psutil.Process().children(recursive=True)
        if "workers.celery_app" in process.cmdline()
        and process.environ().get("LAYERPLAY_HOME") == home
    ]


def wait_for(is_so: Callable[[], bool], seconds: float = 150) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.1)


def test_a_study_is_made_watched_and_opened_though_its_worker_dies(
    site_to_break: Site,
    chromium: Browser,
    browser_page: Page,
    archive: Path,
    toy_network: Path,
    tmp_path: Path,
    shoot: Shoot,
) -> None:
    page, site = browser_page, site_to_break
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    name_and_network(page, site, toy_network, shoot)
    tick_layers(page, shoot)
    hand_in(page, archive, shoot)
    rules_and_preview(page, shoot)
    page.get_by_role("button", name="Make the study").click()

    expect(page.get_by_role("heading", name="Computing")).to_be_visible()
    expect(page.get_by_role("table", name="At hand now")).to_be_visible()
    wait_for(lambda: n_done(site) >= 3)
    shoot(page, "7-watching")
    for process in workers(site):
        os.kill(process.pid, signal.SIGKILL)
    before = n_done(site)
    assert before < N_PICTURES
    page.get_by_role("button", name="Stop computing").click()
    expect(page.get_by_role("heading", name="Computing is stopped")).to_be_visible()
    shoot(page, "8-stopped")

    with Supervisor(tmp_path / "logs") as supervisor:
        supervisor.start("worker", worker_command(tmp_path / "home"), environment=site.environment)
        page.get_by_role("button", name="Resume").click()
        expect(page.get_by_role("heading", name="All pictures are computed")).to_be_visible(
            timeout=240_000
        )
        assert n_done(site) == N_PICTURES
        expect(page.get_by_text("ready to open")).to_be_visible()
        page.get_by_role("button", name="Open the game").click()
        expect(page.get_by_text("open for players")).to_be_visible()
        shoot(page, "9-open")
        invitation = page.locator("a.invitation").get_attribute("href")

        player = chromium.new_context(service_workers="block").new_page()
        player.goto(f"{site.address}/play/drawn-things")
        expect(player.get_by_text("There is no such study.")).to_be_visible()
        player.goto(f"{site.address}{invitation}")
        expect(player.get_by_role("heading", name="What is this?")).to_be_visible()
        player.get_by_role("radio", name="boat").check()
        player.locator("input[name=label]").first.fill("sail")
        player.locator("#guess").click()
        expect(player.locator("#next")).to_be_visible()
        player.context.close()

        page.get_by_role("link", name="Overview").click()
        expect(page.get_by_role("img", name="Maps by their number of rounds")).to_be_visible()
        shoot(page, "10-overview")
        page.set_viewport_size({"width": 360, "height": 740})
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        shoot(page, "11-overview-phone")
    assert errors == []


def test_every_step_of_the_wizard_works_without_javascript_and_on_a_phone(
    site: Site, chromium: Browser, archive: Path
) -> None:
    context = chromium.new_context(
        java_script_enabled=False, viewport={"width": 360, "height": 740}
    )
    context.set_default_timeout(30_000)
    page = context.new_page()
    site.enter_studio(page)
    page.goto(f"{site.address}/studio")
    page.get_by_role("link", name="New study").click()
    page.get_by_label("Name of the study").fill("Plain")
    page.get_by_role("button", name="Begin").click()
    page.get_by_role("radio", name="picturebook", exact=False).first.check()
    page.get_by_role("button", name="Use this network").click()
    look_again(page, "Go on to its layers")
    page.get_by_role("link", name="Go on to its layers").click()
    page.get_by_role("button", name="Go on to the pictures").click()
    page.get_by_label("Pictures, or zips of them").set_input_files(archive)
    page.get_by_role("button", name="Add them").click()
    look_again(page, "Go on to the game")
    assert "6 files left out" in page.locator("#taken").inner_text()
    page.get_by_role("link", name="Go on to the game").click()
    page.get_by_role("button", name="Go on to the preview").click()
    page.get_by_role("button", name="Make the study").click()
    expect(page.get_by_role("heading", name="Plain")).to_be_visible()
    context.close()


def look_again(page: Page, link: str) -> None:
    """Press "Look again", as a person without scripts does, until there is something to see."""
    deadline = time.monotonic() + 120
    while not page.get_by_role("link", name=link).count():
        assert time.monotonic() < deadline
        page.get_by_role("link", name="Look again").click()
        time.sleep(0.5)


def test_every_page_of_the_wizard_is_accessible_in_the_dark(site: Site, chromium: Browser) -> None:
    context = chromium.new_context(color_scheme="dark", viewport={"width": 360, "height": 740})
    page = context.new_page()
    site.enter_studio(page)
    page.goto(f"{site.address}/studio")
    page.goto(f"{site.address}/drafts/new")
    assert_accessible(page)
    page.get_by_label("Name of the study").fill("Dark")
    page.get_by_role("button", name="Begin").click()
    for step in ("Network", "Pictures", "Game", "Preview and start"):
        page.get_by_role("navigation", name="Steps").get_by_role("link", name=step).click()
        expect(page.locator("[aria-current=step]")).to_contain_text(step)
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        assert_accessible(page)
    context.close()
