"""A guest plays, signs up and keeps the points; signs out and in; people get where their role lets
them."""

import re
import time
from collections.abc import Callable

from playwright.sync_api import Browser, Page, expect

from tests.factories import PASSWORD, make_account, make_image, make_study
from tests.walkthroughs.conftest import Site

PHONE = {"width": 360, "height": 740}
DESK = {"width": 1280, "height": 800}


def make_boats(site: Site) -> None:
    storage = site.storage
    with site.sessions.begin() as session:
        rosa = make_account(session, "Rosa", role="researcher")
        study = make_study(session, name="Boats and kites", owner=rosa)
        for _ in range(2):
            make_image(session, storage, study)
        make_study(session, name="Not hers")
        make_account(session, "Root", role="admin")


def guess(page: Page, word: str) -> None:
    page.get_by_role("radio", name="boat").check(force=True)
    page.locator("input[name=label]").first.fill(word)
    page.get_by_role("button", name="Guess", exact=True).last.click()
    expect(page.locator(".round--over")).to_be_visible()


def points(page: Page) -> int:
    """The points on the account's page."""
    shown = page.locator(".figures dd").first.inner_text()
    return int(shown.replace(",", ""))


def test_from_guest_to_account(
    site: Site, browser_page: Page, shoot: Callable[[Page, str], None]
) -> None:
    make_boats(site)
    page = browser_page
    page.emulate_media(reduced_motion="reduce")

    page.goto(f"{site.address}/play/boats-and-kites")
    guess(page, "sail")
    page.get_by_role("link", name="Sign in").click()
    expect(page.get_by_text("as a guest on this device")).to_be_visible()
    page.get_by_role("link", name="Sign up").click()
    promised = int(re.findall(r"Your (\d+) point", page.locator(".lead").inner_text())[0])
    assert promised > 0
    shoot(page, "1-sign-up")
    page.set_viewport_size(PHONE)
    shoot(page, "2-sign-up-phone")
    page.set_viewport_size(DESK)

    page.get_by_label("Name", exact=True).fill("Ada")
    page.get_by_label("Password", exact=True).fill("too short")
    page.get_by_role("button", name="Sign up").click()
    # The browser itself says what is wrong with that.
    assert page.get_by_label("Password", exact=True).evaluate("input => input.validity.tooShort")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Sign up").click()
    expect(page.get_by_text("Your account is ready")).to_be_visible()
    assert points(page) == promised
    shoot(page, "3-account")
    page.set_viewport_size(PHONE)
    shoot(page, "4-account-phone")
    page.set_viewport_size(DESK)
    page.emulate_media(color_scheme="dark", reduced_motion="reduce")
    shoot(page, "5-account-dark")
    page.emulate_media(color_scheme="light", reduced_motion="reduce")

    # Somebody else plays on the same device, then Ada signs in again: it was her, it turns out.
    page.get_by_role("button", name="Sign out", exact=True).first.click()
    expect(page.get_by_role("link", name="Sign in").first).to_be_visible()
    page.goto(f"{site.address}/play/boats-and-kites")
    guess(page, "mast")
    page.goto(f"{site.address}/sign-in")
    page.get_by_label("Name or e-mail").fill("ada")
    page.get_by_label("Password", exact=True).fill("not the password")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_text("do not go together")).to_be_visible()
    shoot(page, "6-sign-in-refused")
    site.sign_in(page, "ada")
    page.goto(f"{site.address}/account")
    assert points(page) >= promised
    expect(page.get_by_text("Studio", exact=True)).to_have_count(0)
    page.goto(f"{site.address}/studio")
    expect(page.get_by_text("would spoil the game for players")).to_be_visible()
    shoot(page, "7-no-studio-for-players")

    page.goto(f"{site.address}/account/erase")
    shoot(page, "8-delete")
    page.get_by_label("Remove the words, too").check()
    page.get_by_label("Your password").fill(PASSWORD)
    page.get_by_role("button", name="Delete my account").click()
    expect(page.get_by_role("link", name="Sign in")).to_be_visible()


def test_roles_open_the_studio(
    site: Site, browser_page: Page, chromium: Browser, shoot: Callable[[Page, str], None]
) -> None:
    make_boats(site)
    page = browser_page
    page.goto(f"{site.address}/studio/boats-and-kites")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    page.get_by_label("Name or e-mail").fill("Rosa")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Boats and kites")).to_be_visible()
    page.get_by_role("link", name="Who works on it").click()
    page.get_by_label("Name of their account").fill("Nobody")
    page.get_by_role("button", name="Share").click()
    expect(page.get_by_text("There is no account named “Nobody”.")).to_be_visible()
    with site.sessions.begin() as session:
        make_account(session, "Vera")
    page.get_by_label("Name of their account").fill("vera")
    page.get_by_role("button", name="Share").click()
    expect(page.get_by_text("Vera viewer")).to_be_visible()
    page.get_by_label("E-mail address").fill("vera@example.org")
    page.get_by_label("Look and decide: moderator").last.check()
    page.get_by_role("button", name="Invite").click()
    expect(page.get_by_text("The invitation is on its way")).to_be_visible()
    shoot(page, "1-members")
    page.goto(f"{site.address}/studio")
    expect(page.get_by_text("Not hers")).to_have_count(0)

    # Without scripts, on a browser of her own.
    context = chromium.new_context(java_script_enabled=False, viewport=PHONE)
    vera = context.new_page()
    site.sign_in(vera, "Vera")
    vera.get_by_role("link", name="Studio").click()
    vera.get_by_role("link", name="Boats and kites").click()
    expect(vera.get_by_role("button", name="Make concepts now")).to_have_count(0)
    vera.goto(sent_link(site, "/invited/"))
    vera.get_by_role("button", name="Accept as Vera").click()
    expect(vera.get_by_role("button", name="Make concepts now")).to_be_visible()
    context.close()

    page.goto(f"{site.address}/account")
    page.get_by_role("button", name="Sign out", exact=True).first.click()
    site.sign_in(page, "Root")
    page.get_by_role("link", name="Admin").click()
    shoot(page, "2-users")
    page.get_by_label("Name or e-mail").fill("ver")
    page.get_by_role("button", name="Search").click()
    page.get_by_role("link", name="Vera").click()
    page.get_by_role("button", name="Make a link").click()
    expect(page.get_by_text(f"{site.address}/reset/")).to_be_visible()
    shoot(page, "3-user")
    page.set_viewport_size(PHONE)
    shoot(page, "4-user-phone")
    page.get_by_role("link", name="Health").click()
    expect(page.get_by_text("celery@")).to_be_visible()
    expect(page.get_by_text("not well")).to_have_count(0)
    shoot(page, "5-health-phone")
    page.get_by_role("link", name="Jobs").click()
    expect(page.get_by_role("heading", name="Waiting")).to_be_visible()
    shoot(page, "6-jobs-phone")
    page.get_by_role("link", name="Settings").click()
    expect(page.get_by_text("LAYERPLAY_SECRET_KEY")).to_be_visible()
    shoot(page, "7-settings-phone")
    page.goto(f"{site.address}/account/tokens")
    page.get_by_label("Name").fill("A nightly export")
    page.get_by_label("export", exact=False).check()
    page.get_by_role("button", name="Make the token").click()
    expect(page.get_by_text("layerplay_")).to_be_visible()
    shoot(page, "8-token-phone")
    page.set_viewport_size(DESK)
    page.emulate_media(color_scheme="dark", reduced_motion="reduce")
    shoot(page, "9-token-dark")
    page.goto(f"{site.address}/docs/api")
    shoot(page, "10-api-dark")


def sent_link(site: Site, start: str) -> str:
    """The link of an e-mail, which a worker without a mail server writes to its log."""
    pattern = re.compile(re.escape(start) + r"[\w-]+")
    deadline = time.monotonic() + 120  # the worker may be starting
    while not (found := pattern.search(site.worker_log())):
        assert time.monotonic() < deadline, "no such e-mail"
        time.sleep(0.2)
    return site.address + found[0]
