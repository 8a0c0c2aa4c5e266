"""Two people in two browsers play one map together."""

from collections.abc import Callable

from playwright.sync_api import Browser, Page, expect

from tests.factories import make_image, make_study
from tests.walkthroughs.conftest import Site

ADDRESS = "/play/boats-and-kites"


def visit(site: Site, chromium: Browser) -> Page:
    context = chromium.new_context(
        viewport={"width": 360, "height": 740}, reduced_motion="reduce", service_workers="block"
    )
    context.set_default_timeout(10_000)
    page = context.new_page()
    page.goto(f"{site.address}{ADDRESS}/live")
    return page


def guess(page: Page, word: str) -> None:
    page.get_by_role("radio", name="boat").check(force=True)
    page.locator("input[name=label]").first.fill(word)
    page.locator("#guess").click()
    expect(page.locator(".round--over")).to_be_visible()


def test_two_browsers_meet_on_a_word(
    site: Site, chromium: Browser, shoot: Callable[[Page, str], None]
) -> None:
    storage = site.storage
    with site.sessions.begin() as session:
        study = make_study(session, name="Boats and kites")
        for _ in range(3):
            make_image(session, storage, study)
    anna, ben = visit(site, chromium), visit(site, chromium)
    shoot(anna, "1-before")
    anna.get_by_role("button", name="Look for a partner").click()
    expect(anna.get_by_role("heading", name="Looking for a partner…")).to_be_visible()
    ben.get_by_role("button", name="Look for a partner").click()
    for page in (anna, ben):
        expect(page.get_by_text("You have a partner.")).to_be_visible()
    assert anna.url.endswith(ADDRESS)
    shoot(anna, "2-round")

    guess(anna, "white sail")
    expect(anna.get_by_text("They are still looking.")).to_be_visible()
    anna.reload()  # a lost connection
    expect(anna.get_by_text("They are still looking.")).to_be_visible()
    guess(ben, "sails")
    for page in (anna, ben):
        expect(page.get_by_text("+3 for each of you")).to_be_visible()
    shoot(anna, "3-met")

    # Nobody else comes now, and nobody has played the other maps: alone, after a few seconds.
    ben.get_by_role("button", name="Or the next with a partner").click()
    expect(ben.get_by_role("heading", name="Looking for a partner…")).to_be_visible()
    shoot(ben, "4-waiting")
    expect(ben.get_by_role("heading", name="What is this?")).to_be_visible()
    for page in (anna, ben):
        page.context.close()
