"""The whole loop once through: photos and a network go in, people's words come out."""

import json
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect
from sqlalchemy import func, select

from app.models import (
    ClusterMap,
    ConceptRun,
    Image,
    Label,
    Player,
    Round,
    StudyClass,
)
from tests.walkthroughs.conftest import Site

Shoot = Callable[[Page, str], None]

N_ROUNDS = 3
# What somebody would see in a picture of each class, in one and in many.
WORDS = {
    "boat": [("sail", "sails"), ("wooden hull", "wooden hulls")],
    "flower": [("petal", "petals"), ("green leaf", "green leaves")],
    "house": [("window", "windows"), ("red roof", "red roofs")],
    "airplanes": [("wing", "wings"), ("propeller", "propellers")],
    "butterfly": [("spot", "spots"), ("antenna", "antennas")],
    "watch": [("dial", "dials"), ("metal strap", "metal straps")],
}


@pytest.fixture(params=["drawn", "real"])
def material(
    request: pytest.FixtureRequest, tmp_path: Path, drawn_photos: Path
) -> tuple[Path, Path]:
    """A folder of photos with some files that are none, and a network's description file."""
    if request.param == "drawn":
        network: Path = request.getfixturevalue("toy_network")
        photos = drawn_photos
    else:
        real: Path = request.getfixturevalue("photos_root")
        network = real.parent / "photonet.json"
        photos = tmp_path / "real"
        for name in ("airplanes", "butterfly", "watch"):
            (photos / name).mkdir(parents=True)
            for file in sorted((real / "test" / name).iterdir())[:3]:
                shutil.copy(file, photos / name)
    first_class = min(photos.iterdir())
    (first_class / "notes.txt").write_text("No picture.")
    (first_class / "empty.jpg").touch()
    return photos, network


@pytest.fixture
def new_visitor(chromium: Browser) -> Iterator[Callable[..., Page]]:
    """Open a page with a browser profile of its own. A script error on it fails the test."""
    contexts: list[BrowserContext] = []
    errors: list[str] = []

    def new_visitor(**options: Any) -> Page:
        context = chromium.new_context(service_workers="block", reduced_motion="reduce", **options)
        context.set_default_timeout(20_000)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        return page

    yield new_visitor
    for context in contexts:
        context.close()
    assert errors == []


@dataclass(frozen=True)
class Truth:
    """The class of the one round that is open, and some other class."""

    right: str
    wrong: str


def truth(site: Site) -> Truth:
    with site.sessions() as session:
        right = session.scalar(
            select(StudyClass)
            .join(Image, Image.class_id == StudyClass.id)
            .join(ClusterMap, ClusterMap.image_id == Image.id)
            .join(Round, Round.cluster_map_id == ClusterMap.id)
            # Whoever plays has been shown theirs last; rounds dealt ahead nobody has seen.
            .where(Round.status == "open", ~Round.is_ahead)
            .order_by(Round.last_step_at.desc())
        )
        assert right is not None
        wrong = session.scalar(
            select(StudyClass.name).where(
                StudyClass.study_id == right.study_id, StudyClass.id != right.id
            )
        )
        assert wrong is not None
        return Truth(right.name, wrong)


def is_step(page: Page, number: int) -> None:
    expect(page.get_by_role("img", name=f"Step {number} of 6")).to_be_visible()


def type_words(page: Page, words: list[str]) -> None:
    for i, word in enumerate(words):
        field = page.locator("input[name=label]").nth(i)
        field.fill(word)
        field.press("Enter")


def play_by_mouse(page: Page, site: Site, shoot: Shoot) -> None:
    page.goto(site.address)
    shoot(page, "1-landing-desktop")
    page.get_by_role("main").get_by_role("link", name="Play").first.click()
    page.wait_for_url("**/play/*")
    for number in range(N_ROUNDS):
        page.get_by_role("button", name="Show more").click()
        is_step(page, 2)
        page.reload()
        is_step(page, 2)
        open_round = truth(site)
        is_right = number != 1
        answer = open_round.right if is_right else open_round.wrong
        page.get_by_role("radio", name=answer).check()
        type_words(page, [singular for singular, _ in WORDS[open_round.right]])
        if number == 0:
            shoot(page, "2-round-desktop")
        page.locator("#guess").click()
        verdict = "Right!" if is_right else "Not this time"
        expect(page.get_by_role("heading", name=verdict)).to_be_visible()
        if number == 0:
            shoot(page, "3-answer-desktop")
            page.reload()
            expect(page.get_by_role("heading", name="Right!")).to_be_visible()
        page.locator("#next").click()
        is_step(page, 1)


def play_by_thumb(page: Page, site: Site, shoot: Shoot) -> None:
    page.goto(f"{site.address}/play")
    for number in range(N_ROUNDS):
        is_step(page, 1)
        if number == 0:
            page.get_by_role("button", name="Show more").tap()
            is_step(page, 2)
            shoot(page, "4-round-phone")
        answer = truth(site).right
        page.get_by_role("radio", name=answer).tap()
        type_words(page, [plural for _, plural in WORDS[answer]])
        page.locator("#guess").dblclick()
        expect(page.get_by_role("heading", name="Right!")).to_be_visible()
        if number == 0:
            shoot(page, "5-answer-phone")
        page.locator("#next").tap()
    is_step(page, 1)


def play_by_keyboard(page: Page, site: Site) -> None:
    page.goto(f"{site.address}/play")
    is_step(page, 1)
    page.locator("#resign").press("Enter")
    expect(page.get_by_role("heading", name="Here it is")).to_be_visible()
    page.keyboard.press("n")
    for _ in range(N_ROUNDS):
        is_step(page, 1)
        page.keyboard.press("m")
        is_step(page, 2)
        answer = truth(site).right
        key = page.get_by_role("radio", name=answer).get_attribute("data-key")
        assert key
        page.keyboard.press(key)
        expect(page.get_by_role("radio", name=answer)).to_be_checked()
        type_words(page, [f"a {singular}" for singular, _ in WORDS[answer]])
        # The empty field that comes next sends.
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="Right!")).to_be_visible()
        page.keyboard.press("n")
    is_step(page, 1)


def leave_open_round(page: Page) -> None:
    page.locator("#resign").click()
    expect(page.get_by_role("heading", name="Here it is")).to_be_visible()


def wait_for_concepts(site: Site) -> None:
    """Until runs of the concepts job have taken up every label."""
    deadline = time.monotonic() + 120
    taken_up = select(func.max(ConceptRun.n_labels)).group_by(ConceptRun.class_id)
    while time.monotonic() < deadline:
        with site.sessions() as session:
            n_labels = session.scalar(select(func.count()).select_from(Label))
            if sum(session.scalars(taken_up)) == n_labels:
                return
        time.sleep(0.5)
    raise AssertionError("the concepts job did not come")


def busiest_image(site: Site) -> Image:
    """The picture with the most labels."""
    with site.sessions() as session:
        image = session.scalar(
            select(Image)
            .join(ClusterMap, ClusterMap.image_id == Image.id)
            .join(Label, Label.cluster_map_id == ClusterMap.id)
            .group_by(Image.id)
            .order_by(func.count().desc(), Image.id)
        )
        assert image is not None
        return image


def test_whole_loop(
    material: tuple[Path, Path],
    site: Site,
    new_visitor: Callable[..., Page],
    shoot: Shoot,
    tmp_path: Path,
) -> None:
    photos, network = material

    # A study from photos: the bad files are named, the others computed by the worker.
    created = site.layerplay(
        "study", "create", "Test study", "--photos", str(photos), "--network", str(network)
    )
    assert created.returncode == 0, created.stderr
    said = " ".join(created.stderr.split())
    assert "notes.txt: It is not a picture" in said
    assert "empty.jpg: The file is empty." in said
    assert "9 pictures of 3 classes" in said

    researcher = new_visitor(viewport={"width": 1280, "height": 800})
    site.enter_studio(researcher)
    researcher.get_by_role("link", name="Test study").click()
    expect(researcher.get_by_role("heading", name="All pictures are computed")).to_be_visible()
    shoot(researcher, "0-study-desktop")

    # Three players play in the browser, each in their own way.
    desktop = new_visitor(viewport={"width": 1280, "height": 800})
    play_by_mouse(desktop, site, shoot)
    leave_open_round(desktop)
    phone = new_visitor(viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True)
    play_by_thumb(phone, site, shoot)
    leave_open_round(phone)
    keyboard = new_visitor(viewport={"width": 1280, "height": 800})
    play_by_keyboard(keyboard, site)
    leave_open_round(keyboard)

    with site.sessions() as session:
        guests = select(func.count()).select_from(Player).where(Player.kind == "guest")
        assert session.scalar(guests) == 3
        assert session.scalar(select(func.count()).select_from(Label)) == 3 * N_ROUNDS * 2
        assert session.scalar(select(func.sum(ClusterMap.n_finished))) == 3 * N_ROUNDS + 4

    # Their words become concepts, and the explanation page shows them.
    researcher.goto(f"{site.address}/studio/test-study")
    researcher.get_by_role("button", name="Make concepts now").click()
    expect(researcher.get_by_text("Asked for.")).to_be_visible()
    wait_for_concepts(site)
    image = busiest_image(site)
    researcher.goto(f"{site.address}/explanations/{image.id}")
    expect(researcher.get_by_role("list", name="Top concepts").first).to_be_visible()
    researcher.locator("details.more summary").first.click()
    shoot(researcher, "6-explanation-desktop")
    n_maps = researcher.locator("article.mapcard").count()
    researcher.get_by_role("link", name="Whole layer").click()
    # Counting does not wait, so the page must be there to its end.
    researcher.wait_for_url("**?merge=all")
    n_layers = researcher.locator("section.layer").count()
    expect(researcher.locator("article.mapcard")).to_have_count(n_layers)
    assert n_maps > n_layers
    researcher.get_by_role("link", name="Joined by word").click()
    researcher.wait_for_url("**?merge=labels")
    assert n_layers <= researcher.locator("article.mapcard").count() <= n_maps
    researcher.set_viewport_size({"width": 360, "height": 740})
    shoot(researcher, "7-explanation-phone")

    # The labels leave by the command line, players under pseudonyms.
    out = tmp_path / "labels.jsonl"
    exported = site.layerplay("export", "Test study", "--format", "jsonl", "--out", str(out))
    assert exported.returncode == 0, exported.stderr
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert len(rows) == 3 * N_ROUNDS * 2
    assert len({row["player"] for row in rows}) == 3
    for image_class in {row["image_class"] for row in rows}:
        for singular, plural in WORDS[image_class]:
            forms = {singular, plural, f"a {singular}"}
            found = {
                row["concept"]
                for row in rows
                if row["image_class"] == image_class and row["label"] in forms
            }
            assert None not in found
            assert len(found) == 1, f"{forms} of {image_class} are one concept"
    assert sum(not row["right"] for row in rows) == 2
