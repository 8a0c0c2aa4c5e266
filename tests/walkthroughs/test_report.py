"""The stand-alone report in a real browser: offline, by keyboard, on a phone, on paper."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from app.explain import explain_image, load_network, report_html
from app.picturebook.networks import FAIR_NETWORK
from app.picturebook.scenes import Recipe, draw_scene

Shoot = Callable[[Page, str], None]


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The address of a report of a sailboat, as a file."""
    network = load_network(FAIR_NETWORK, device="cpu")
    picture = draw_scene(Recipe("sailboat", seed=2024, number=5, ground="water")).picture
    explanation = explain_image(network, picture, target="sailboat", contrast="house")
    path = tmp_path_factory.mktemp("report") / "report.html"
    page = report_html(explanation, network.view(picture, 448), title="sailboat-5.png")
    path.write_text(page, encoding="utf-8")
    return path.as_uri()


@pytest.fixture
def offline(chromium: Browser) -> Iterator[Page]:
    """A page without a network that fails the test when something is asked for or breaks."""
    context = chromium.new_context(
        viewport={"width": 1280, "height": 800}, offline=True, reduced_motion="reduce"
    )
    page = context.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: asked.append(message.text))
    yield page
    context.close()
    assert [one for one in asked if not one.startswith(("file:", "data:image/"))] == []


def test_it_opens_offline_with_all_its_pictures(offline: Page, report: str, shoot: Shoot) -> None:
    offline.goto(report)

    expect(offline.get_by_role("heading", level=1)).to_have_text("sailboat")
    assert offline.evaluate("[...document.images].every(image => image.naturalWidth > 0)")
    shoot(offline, "screen")
    offline.emulate_media(color_scheme="dark")
    shoot(offline, "dark")


def test_it_is_read_by_keyboard(offline: Page, report: str) -> None:
    offline.goto(report)

    offline.keyboard.press("Tab")
    expect(offline.get_by_role("link", name="Skip to the layers")).to_be_focused()
    offline.keyboard.press("Enter")
    expect(offline.get_by_role("main")).to_be_focused()
    # The next stops are the groups themselves; each opens to the numbers of its feature maps.
    offline.keyboard.press("Tab")
    first = offline.locator("details").first
    expect(first.locator("summary")).to_be_focused()
    expect(first.locator("p")).to_be_hidden()
    offline.keyboard.press("Enter")
    expect(first.locator("p")).to_be_visible()

    third = offline.get_by_role("navigation").get_by_role("link").nth(2)
    third.focus()
    offline.keyboard.press("Enter")
    expect(offline.locator("#layer-3")).to_be_in_viewport()
    # The bar that stays on top does not cover the heading that was asked for.
    bar = offline.get_by_role("navigation").bounding_box()
    heading = offline.locator("#layer-3 header").bounding_box()
    assert bar
    assert heading
    assert heading["y"] >= bar["y"] + bar["height"] - 1


def test_it_fits_a_phone(offline: Page, report: str, shoot: Shoot) -> None:
    offline.set_viewport_size({"width": 360, "height": 740})
    offline.goto(report)

    assert offline.evaluate("document.documentElement.scrollWidth") == 360
    small = offline.evaluate(
        """() => [...document.querySelectorAll('a:not(.skip), summary')]
            .map(target => target.getBoundingClientRect())
            .filter(box => box.height < 24).length"""
    )
    assert small == 0
    shoot(offline, "phone")


def test_it_prints_without_what_only_a_screen_needs(
    offline: Page, report: str, shoot: Shoot, tmp_path: Path
) -> None:
    offline.emulate_media(media="print", color_scheme="dark")
    offline.set_viewport_size({"width": 700, "height": 990})  # A4 less its margins
    offline.goto(report)

    expect(offline.get_by_role("navigation")).to_be_hidden()
    assert offline.evaluate("getComputedStyle(document.body).color") == "rgb(0, 0, 0)"
    # A sheet cannot be opened by a click: the numbers of the feature maps stand on it.
    expect(offline.locator("details p").first).to_be_visible()
    shoot(offline, "print")
    pdf = offline.pdf(format="A4", margin=dict.fromkeys(("top", "right", "bottom", "left"), "12mm"))
    assert pdf.count(b"/Type /Page\n") <= 5
