"""A researcher takes a study's data out: chooses, looks, downloads, makes a snapshot."""

import io
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from playwright.sync_api import Error, Locator, Page, Route, expect

from tests.services.conftest import make_game
from tests.services.played import play_all_kinds
from tests.walkthroughs.conftest import Site


def open_exports(site: Site, page: Page) -> Locator:
    """A game's page “Take the data out”; its preview."""
    with site.sessions() as session:
        game = make_game(session, site.storage)
        play_all_kinds(session, game)
        session.commit()
    site.enter_studio(page)
    page.goto(f"{site.address}/studio")
    page.get_by_role("link", name="Cats and dogs").click()
    page.get_by_role("link", name="Take the data out").click()
    preview = page.locator("#preview")
    expect(preview).to_contain_text("the first 5 of 8 rows")
    return preview


def test_a_researcher_takes_the_data_out(
    site: Site, browser_page: Page, shoot: Callable[[Page, str], None]
) -> None:
    page = browser_page
    preview = open_exports(site, page)
    page.get_by_label("dog").check()
    expect(preview).to_contain_text("the first 1 of 1 row")
    page.get_by_label("Typed from").fill("2026-03-03")
    expect(preview).to_contain_text("no row fits this choice")
    page.get_by_label("until").fill("2026-03-01")
    expect(page.get_by_role("alert")).to_contain_text("The first day is after the last one.")
    shoot(page, "1-refused")
    page.get_by_label("until").fill("")
    page.get_by_label("Typed from").fill("")
    page.get_by_label("dog").uncheck()
    expect(preview).to_contain_text("the first 5 of 8 rows")
    page.get_by_role("radio", name="Hugging Face").check()
    page.get_by_role("radio", name="Both").check()
    expect(preview).to_contain_text("Cluster maps")
    expect(preview).to_contain_text("Concepts: the first")
    expect(page.get_by_role("alert")).to_have_count(0)
    page.locator(".export-form").get_by_label("Licence of the data").fill("cc-by-4.0")
    shoot(page, "2-chosen")

    page.get_by_role("button", name="Write the export").click()
    download = page.get_by_role("link", name="Download cats-and-dogs-data.zip")
    expect(download).to_be_visible(timeout=120_000)  # the worker may be starting still
    with page.expect_download() as started:
        download.click()
    with zipfile.ZipFile(io.BytesIO(Path(started.value.path()).read_bytes())) as archive:
        assert {"README.md", "croissant.json", "data/labels.parquet"} <= set(archive.namelist())

    page.get_by_role("button", name="Make a snapshot now").click()
    expect(page.get_by_text("Reload this page in a moment")).to_be_visible()
    snapshot = page.get_by_role("link", name="Download snapshot 1")
    for _ in range(100):
        if snapshot.is_visible():
            break
        page.wait_for_timeout(500)
        page.reload()
    expect(snapshot).to_be_visible()
    page.get_by_text("What made it", exact=True).click()
    shoot(page, "3-written")
    page.set_viewport_size({"width": 360, "height": 740})
    shoot(page, "4-phone")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    page.emulate_media(color_scheme="dark")
    shoot(page, "5-phone-dark")


def test_the_preview_shows_the_last_choice_though_an_earlier_one_is_still_on_its_way(
    site: Site, browser_page: Page
) -> None:
    page = browser_page
    preview = open_exports(site, page)
    held: list[Route] = []

    def hold_the_first(route: Route) -> None:
        if held:
            route.continue_()
        else:
            held.append(route)

    page.route("**/exports?*", hold_the_first)
    with page.expect_request("**/exports?*"):
        page.get_by_role("radio", name="CSV").check()
    page.get_by_role("checkbox", name="cat").check()
    page.wait_for_timeout(400)  # two choices, not one: the page gathers what comes at once
    page.get_by_role("checkbox", name="cat").uncheck()
    page.get_by_label("dog").check()
    page.wait_for_timeout(400)
    with suppress(Error):  # it may not be wanted any more
        held[0].continue_()
    expect(preview).to_contain_text("the first 1 of 1 row")
