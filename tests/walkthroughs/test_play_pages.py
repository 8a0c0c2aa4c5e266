"""The pages that players meet: on a phone, in light and dark, and when the connection breaks."""

from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Browser, Page, expect

from app.infra.storage import Storage
from tests.factories import make_account, make_image, make_study
from tests.walkthroughs.conftest import Site

Shoot = Callable[[Page, str], None]

SLUG = "boats-and-kites"


def make_boats(site: Site, n: int = 3) -> None:
    storage = Storage(Path(site.environment["LAYERPLAY_HOME"]) / "storage")
    with site.sessions.begin() as session:
        study = make_study(session, name="Boats and kites")
        for _ in range(n):
            make_image(session, storage, study)


def guess(page: Page) -> None:
    page.get_by_role("radio", name="boat").check(force=True)
    page.locator("#guess").click()
    expect(page.locator(".round--over")).to_be_visible()


def overflow_px(page: Page) -> int:
    """How far the page can be pushed sideways."""
    found: int = page.evaluate(
        "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"
    )
    return found


def test_every_page_of_a_player_fits_a_phone_in_light_and_dark(
    site: Site, chromium: Browser, shoot: Shoot
) -> None:
    make_boats(site)
    with site.sessions.begin() as session:
        name = make_account(session, "Wilhelmina-van-den-Berg", role="admin").name
    for scheme in ("light", "dark"):
        context = chromium.new_context(
            viewport={"width": 360, "height": 740},
            color_scheme="dark" if scheme == "dark" else "light",
            reduced_motion="reduce",
            service_workers="block",
        )
        page = context.new_page()

        def look(title: str, page: Page = page, scheme: str = scheme) -> None:
            shoot(page, f"{title}-{scheme}")
            assert overflow_px(page) == 0

        page.goto(f"{site.address}/sign-in")
        look("sign-in")
        page.goto(site.address)
        expect(page.get_by_text("You can play as a guest")).to_be_visible()
        look("landing-guest")
        # An admin's masthead has every link there is.
        site.sign_in(page, name)
        page.goto(site.address)
        for link in ("Play", "Boards", "You", "Studio", "Admin", name):
            nav = page.get_by_role("navigation", name="Main")
            expect(nav.get_by_role("link", name=link, exact=True)).to_be_visible()
        look("landing-admin")
        page.get_by_role("link", name="Today’s challenge").click()
        expect(page.locator(".notice", has_text="today’s challenge")).to_be_visible()
        look("round")
        guess(page)
        look("result")
        for address in ("boards/today", "me"):
            page.goto(f"{site.address}/{address}")
            expect(page.get_by_text(name).last).to_be_visible()
            look(address.replace("/", "-"))
        context.close()
