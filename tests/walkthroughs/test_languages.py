"""A visitor changes the language, and it stays."""

from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.factories import make_image, make_study
from tests.walkthroughs.conftest import Site


def test_the_language_switch(
    site: Site, browser_page: Page, shoot: Callable[[Page, str], None]
) -> None:
    storage = site.storage
    with site.sessions.begin() as session:
        make_image(session, storage, make_study(session, name="Boats and kites"))
    page = browser_page
    page.set_viewport_size({"width": 360, "height": 740})
    page.goto(site.address)
    page.get_by_role("button", name="Italiano").click()
    expect(page.get_by_role("heading", name="Che cosa sta guardando la rete?")).to_be_visible()
    shoot(page, "1-landing")
    page.get_by_role("link", name="La sfida di oggi").click()
    page.get_by_role("radio", name="boat").check(force=True)
    shoot(page, "2-round")
    page.get_by_role("button", name="Mostra di più").click()
    expect(page.get_by_role("img", name="Passo 2 di 6")).to_be_visible()
    page.locator("#guess").click()
    expect(page.get_by_role("heading", name="Giusto!")).to_be_visible()
    shoot(page, "3-result")
    for address in ("/boards/today", "/me", "/sign-up"):
        page.goto(f"{site.address}{address}")
        expect(page.locator("html")).to_have_attribute("lang", "it")
        shoot(page, address.strip("/").replace("/", "-"))
        width = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert page.evaluate(f"() => {width}") == 0
    page.get_by_role("button", name="English").press("Enter")
    expect(page.get_by_role("heading", name="Sign up")).to_be_visible()
