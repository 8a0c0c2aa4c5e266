"""A researcher finds out that a network tells sailboats by the water, and shows it to others."""

import re
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Browser, Page, expect

from app.picturebook.datasets import recipes
from app.picturebook.files import write_pictures
from app.picturebook.networks import BIASED_NETWORK, EXPLAINED_LAYERS
from tests.walkthroughs.conftest import Site, assert_accessible


def make_played_study(site: Site, photos: Path) -> None:
    drawn = [
        recipe
        for recipe in recipes("demo", n=50, seed=2024, bias=True)
        if recipe.class_name in ("sailboat", "windmill")
    ]
    assert len(list(write_pictures(drawn, photos))) == 10
    created = site.layerplay(
        *("study", "create", "The picture book", "--photos", str(photos)),
        *("--network", str(BIASED_NETWORK), "--layers", ",".join(EXPLAINED_LAYERS[-2:])),
    )
    assert created.returncode == 0, created.stderr
    played = site.layerplay(
        "simulate", "The picture book", "--players", "20", "--rounds", "300", "--threads", "1"
    )
    assert played.returncode == 0, played.stderr


def test_the_planted_cue_is_named_and_shared(
    site: Site,
    browser_page: Page,
    chromium: Browser,
    shoot: Callable[[Page, str], None],
    tmp_path: Path,
) -> None:
    make_played_study(site, tmp_path / "pictures")
    page = browser_page
    page.emulate_media(reduced_motion="reduce")
    site.enter_studio(page)
    page.goto(f"{site.address}/studio/the-picture-book")
    page.get_by_role("link", name="sailboat", exact=True).click()
    expect(page.get_by_role("heading", name="What speaks for “sailboat”")).to_be_visible()
    expect(page.get_by_text("Not computed yet: which concepts")).to_be_visible()

    # Measured by a worker; the page renews itself.
    page.get_by_role("button", name="Measure now").click()
    expect(page.get_by_role("button", name="Measure again")).to_be_visible(timeout=240_000)
    water = page.get_by_role("article", name="water", exact=True)
    expect(water.get_by_text("The network uses it.")).to_be_visible()
    expect(water.get_by_text("Answer changed")).to_be_visible()
    shoot(page, "1-class")
    page.emulate_media(reduced_motion="reduce", color_scheme="dark")
    page.set_viewport_size({"width": 360, "height": 740})
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    shoot(page, "2-class-phone-dark")
    page.emulate_media(reduced_motion="reduce", color_scheme="light", media="print")
    expect(page.get_by_role("navigation", name="Main")).to_be_hidden()
    page.emulate_media(reduced_motion="reduce", color_scheme="light", media="screen")
    page.set_viewport_size({"width": 1280, "height": 800})

    # Each number opens the pictures behind it, and those the picture's own way through the network.
    page.get_by_role("link", name="water, score").first.click()
    expect(page.get_by_role("heading", name="“water” in layer")).to_be_visible()
    shoot(page, "3-concept")
    page.locator(".sightings a").first.click()
    expect(page.get_by_role("heading", name="From the picture to the answer")).to_be_visible()
    expect(page.locator(".insum")).to_contain_text(re.compile("water|wave|sea|ocean"))
    page.locator(".river__block").first.click()
    page.locator(".mapcard:target summary").click()
    drivers = page.locator(".mapcard:target .drivers li")
    expect(drivers.first).to_be_visible()
    # Pictures that do not drive these channels at all are not among the six.
    assert 2 <= drivers.count() <= 6
    shoot(page, "4-picture")
    page.set_viewport_size({"width": 360, "height": 740})
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    shoot(page, "5-picture-phone")
    page.set_viewport_size({"width": 1280, "height": 800})

    page.goto(f"{site.address}/studio/the-picture-book/network")
    expect(page.get_by_text("Leans on what is no part of it: water")).to_be_visible()
    shoot(page, "6-network")
    page.goto(f"{site.address}/compare")
    page.get_by_label("This one").select_option("sailboat")
    page.get_by_label("Beside that one").select_option("windmill")
    page.get_by_role("button", name="Compare").click()
    expect(page.get_by_role("heading", name="Word by word")).to_be_visible()
    shoot(page, "7-compare")

    # "Ocean" is nobody's word; what means nearly the same is found.
    page.goto(f"{site.address}/search")
    page.get_by_label("Word", exact=True).fill("ocean")
    page.get_by_label("Words of").select_option("simulated")
    page.get_by_role("button", name="Search").click(timeout=120_000)
    # The first search loads the model.
    expect(page.get_by_role("heading", name="water").first).to_be_visible(timeout=90_000)
    shoot(page, "8-search")

    # Somebody else reads it by a link, until it is taken back.
    page.goto(f"{site.address}/studio/the-picture-book/network")
    page.get_by_role("link", name="Share by a link").click()
    expect(page.get_by_text("Whole pictures spoil the game.")).to_be_visible()
    page.get_by_role("button", name="Make a link").click()
    link = page.locator("[role=status] code").inner_text()
    shoot(page, "9-share")
    other = chromium.new_context()
    guest = other.new_page()
    guest.goto(link)
    expect(guest.get_by_text("Leans on what is no part of it: water")).to_be_visible()
    assert_accessible(guest)
    page.get_by_role("button", name="Take it back").click()
    expect(page.get_by_text("None.")).to_be_visible()
    guest.reload()
    expect(guest.get_by_role("heading", name="Sign in")).to_be_visible()
    other.close()
