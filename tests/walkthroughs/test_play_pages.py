"""The pages that players meet: on a phone, in light and dark, and when the connection breaks."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Browser, Page, Request, expect
from sqlalchemy import func, select

from app.models import Round
from tests.factories import make_account, make_image, make_study
from tests.walkthroughs.conftest import Site, assert_accessible

Shoot = Callable[[Page, str], None]

SLUG = "boats-and-kites"


def make_boats(site: Site, n: int = 3) -> None:
    storage = site.storage
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
        page.get_by_label("Nothing nameable here").check()
        expect(page.get_by_label("What you see, 1 of")).to_be_disabled()
        look("round")
        guess(page)
        expect(page.get_by_text("You said that there is nothing nameable here")).to_be_visible()
        look("result")
        for address in ("boards/today", "me"):
            page.goto(f"{site.address}/{address}")
            expect(page.get_by_text(name).last).to_be_visible()
            look(address.replace("/", "-"))
        context.close()


def n_rounds(site: Site) -> int:
    with site.sessions() as session:
        return session.scalar(select(func.count()).select_from(Round)) or 0


def test_the_next_picture_is_there_before_the_next_round(site: Site, browser_page: Page) -> None:
    make_boats(site)
    page = browser_page
    asked: list[str] = []

    def note(request: Request) -> None:
        if "/picture?step=0" in request.url:
            asked.append(request.url)

    page.on("request", note)
    page.goto(f"{site.address}/play/{SLUG}")
    with page.expect_response(
        lambda response: "/picture?step=0" in response.url and response.url not in asked[:1]
    ):
        guess(page)
    with site.sessions() as session:
        places = select(Round.place_until).where(Round.status == "open")
        assert session.scalars(places).all() == [None]
    page.locator("#next").click()
    expect(page.get_by_role("heading", name="What is this?")).to_be_visible()
    shown = page.locator(".stage__picture").get_attribute("src")
    assert shown is not None
    assert asked[-1].endswith(shown)
    with site.sessions() as session:
        assert session.scalar(select(Round.place_until).where(Round.status == "open")) is not None


def test_a_broken_connection_loses_nothing_and_the_button_sends_again(
    site: Site, browser_page: Page, shoot: Shoot
) -> None:
    make_boats(site)
    page = browser_page
    page.emulate_media(reduced_motion="reduce")
    page.goto(f"{site.address}/play/{SLUG}")
    page.get_by_role("radio", name="boat").check(force=True)
    page.locator("input[name=label]").first.fill("white sail")
    page.context.set_offline(True)
    for press in ("#more", "#guess"):
        page.locator(press).click()
        expect(page.get_by_text("The server cannot be reached")).to_be_visible()
    shoot(page, "offline")
    expect(page.locator("input[name=label]").first).to_have_value("white sail")
    page.context.set_offline(False)
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("heading", name="Right!")).to_be_visible()
    expect(page.locator(".chip", has_text="white sail")).to_be_visible()

    # What only fetches ahead says nothing when it cannot; the way on says so, and goes on later.
    page.context.set_offline(True)
    page.locator("#next").click()
    expect(page.get_by_text("The server cannot be reached")).to_be_visible()
    page.context.set_offline(False)
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("heading", name="What is this?")).to_be_visible()


def test_double_clicks_and_the_back_button_play_one_round(site: Site, browser_page: Page) -> None:
    make_boats(site)
    page = browser_page
    page.goto(f"{site.address}/play/{SLUG}")
    page.locator("#more").dblclick()
    expect(page.get_by_role("img", name="Step 2 of 6")).to_be_visible()
    page.get_by_role("radio", name="boat").check(force=True)
    page.locator("#guess").dblclick()
    expect(page.get_by_role("heading", name="Right!")).to_be_visible()
    answered = page.url
    page.locator("#next").dblclick()
    expect(page.get_by_role("heading", name="What is this?")).to_be_visible()
    assert n_rounds(site) == 2
    page.go_back()
    expect(page.get_by_role("heading", name="Right!")).to_be_visible()
    assert page.url == answered
    page.go_forward()
    expect(page.get_by_role("heading", name="What is this?")).to_be_visible()
    expect(page.get_by_role("img", name="Step 1 of 6")).to_be_visible()


@pytest.mark.parametrize("width", [360, 1280])
def test_nothing_on_a_round_page_moves_by_itself(
    site: Site, browser_page: Page, width: int
) -> None:
    make_boats(site)
    page = browser_page
    page.set_viewport_size({"width": width, "height": 740})
    page.add_init_script(
        """window.shifts = [];
        new PerformanceObserver(list => window.shifts.push(
            ...list.getEntries().filter(e => !e.hadRecentInput).map(e => e.value)
        )).observe({ type: "layout-shift", buffered: true });"""
    )
    page.goto(f"{site.address}/play/{SLUG}")
    expect(page.get_by_role("img", name="Step 1 of 6")).to_be_visible()
    page.wait_for_load_state("networkidle")
    assert sum(page.evaluate("() => window.shifts")) < 0.01
    assert_accessible(page)


def words_of(page: Page) -> list[str]:
    """What stands in the fields for words that can be seen."""
    fields = page.locator("input[name=label]:visible")
    return [field.input_value() for field in fields.all()]


def test_a_filled_field_brings_the_next_one_without_a_key(site: Site, browser_page: Page) -> None:
    """A telephone's keyboard tells a page of no Enter."""
    make_boats(site)
    page = browser_page
    page.goto(f"{site.address}/play/{SLUG}")
    assert words_of(page) == [""]
    page.locator("input[name=label]").first.fill("sail")
    expect(page.locator("input[name=label]:visible")).to_have_count(2)


def test_what_is_chosen_and_typed_outlives_a_reload_and_a_look_elsewhere(
    site: Site, browser_page: Page
) -> None:
    make_boats(site)
    page = browser_page
    page.goto(f"{site.address}/play/{SLUG}")
    page.get_by_role("radio", name="boat").check(force=True)
    page.locator("input[name=label]").first.fill("white sail")
    page.locator("input[name=label]").nth(1).fill("mast")

    def is_there() -> None:
        expect(page.get_by_role("radio", name="boat")).to_be_checked()
        expect(page.locator("input[name=label]").first).to_have_value("white sail")
        assert words_of(page) == ["white sail", "mast", ""]

    page.reload()
    is_there()
    page.goto(f"{site.address}/boards/today")
    page.go_back()
    is_there()
    page.locator("#guess").click()
    expect(page.get_by_role("heading", name="Right!")).to_be_visible()
    page.locator("#next").click()
    expect(page.get_by_role("heading", name="What is this?")).to_be_visible()
    assert words_of(page) == [""]


def test_a_word_without_end_breaks_no_page_on_a_phone(site: Site, browser_page: Page) -> None:
    make_boats(site)
    page = browser_page
    page.set_viewport_size({"width": 360, "height": 740})
    page.goto(f"{site.address}/play/{SLUG}")
    page.locator("input[name=label]").first.fill("k" * 60)
    guess(page)
    assert overflow_px(page) == 0


def test_the_bar_at_the_bottom_covers_nothing_that_has_the_focus(
    site: Site, browser_page: Page
) -> None:
    make_boats(site)
    page = browser_page
    page.set_viewport_size({"width": 800, "height": 700})
    page.goto(f"{site.address}/play/{SLUG}")
    field = page.locator("input[name=label]").first
    page.locator("#more").focus()
    while not field.evaluate("field => field === document.activeElement"):
        page.keyboard.press("Tab")
    found, bar = field.bounding_box(), page.locator(".answer > .actions").bounding_box()
    assert found is not None
    assert bar is not None
    assert found["y"] + found["height"] <= bar["y"]


def test_todays_challenge_waits_for_a_round_at_hand_and_comes_next(
    site: Site, browser_page: Page
) -> None:
    make_boats(site)
    page = browser_page
    page.goto(f"{site.address}/play/{SLUG}")
    page.goto(f"{site.address}/play/{SLUG}/daily")
    expect(page.locator(".notice", has_text="You have this round at hand")).to_be_visible()
    guess(page)
    page.reload()
    page.locator("#next").click()
    expect(page.locator(".notice", has_text="belongs to today’s challenge")).to_be_visible()
