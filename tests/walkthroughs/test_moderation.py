"""A moderator works off ten incidents, by ticking and by keyboard, takes two acts back and merges
two concepts; takes the data out in every format, erases a player, and reads it all in the log."""

from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page, expect
from sqlalchemy import select

from app.models import Account, Concept, Label, Note, Restriction
from app.services import honesty, rounds
from tests.factories import make_account, make_image, make_player, make_study
from tests.walkthroughs.conftest import Site

PHONE = {"width": 360, "height": 740}
DESK = {"width": 1280, "height": 900}


INCIDENTS = (
    ("burst", "over 20 rounds a minute", ("sail", "damn")),
    ("too fast", "0.12 s for 2 labels", ("hull", "blue sea")),
    ("reported", "“you fool”", ("you fool",)),
    ("dishonest labels", "mash", ("asdfgh", "qwertz")),
    ("profanity", "sh1t", ("sh1t",)),
    ("pasted", "a long story", ("a long story",)),
    ("practice failures", "named 0 of the last 8", ("thing",)),
    ("many accounts", "5 accounts in one browser", ("mast",)),
    ("burst", "over 20 rounds a minute", ("rope",)),
    ("too fast", "0.40 s for 1 label", ("wave",)),
)


def make_incidents(site: Site) -> None:
    """Ten rounds that wait, the last of them of somebody with an account, and two concepts that
    mean the same."""
    storage = site.storage
    with site.sessions.begin() as session:
        make_account(session, "Mona", role="admin")
        study = make_study(session, name="Boats and kites")
        make_image(session, storage, study)
        boat = study.classes[0].id
        for number, (reason, detail, words) in enumerate(INCIDENTS, start=1):
            is_last = number == len(INCIDENTS)
            player = make_account(session, "Pia").player if is_last else make_player(session)
            round_ = rounds.deal(session, player=player, study=study)
            assert round_ is not None
            rounds.guess(session, round_id=round_.id, player=player, class_id=boat, labels=words)
            honesty.flag(session, round_, reason, detail)
        for word, name in (("sail", "sail"), ("hull", "canvas")):
            concept = Concept(class_id=boat, name=name)
            session.add(concept)
            session.flush()
            label = session.scalars(select(Label).where(Label.text == word)).one()
            label.concept_id = concept.id


def hidden(site: Site) -> set[str]:
    with site.sessions() as session:
        return set(session.scalars(select(Label.text).where(Label.hidden_at.is_not(None))))


def test_moderating(site: Site, browser_page: Page, shoot: Callable[[Page, str], None]) -> None:
    make_incidents(site)
    page = browser_page
    page.set_viewport_size(DESK)
    page.emulate_media(reduced_motion="reduce")
    site.sign_in(page, "Mona")

    page.goto(f"{site.address}/studio/boats-and-kites/moderation")
    expect(page.get_by_text("10 rounds wait to be looked at")).to_be_visible()
    shoot(page, "1-queue")

    page.get_by_role("checkbox", name="you fool", exact=True).check()
    page.get_by_label("Why").fill("an insult")
    page.get_by_role("button", name="Hide labels").click()
    expect(page.get_by_text("an insult")).to_be_visible()
    page.locator("[name=round_id]").nth(3).check()
    page.get_by_role("button", name="Ban", exact=True).click()
    expect(page.get_by_role("heading", name="Restricted players")).to_be_visible()
    with site.sessions() as session:
        assert session.scalars(select(Restriction.kind)).all() == ["banned"]
    shoot(page, "2-decided")
    page.set_viewport_size(PHONE)
    shoot(page, "3-phone")
    page.set_viewport_size(DESK)

    for n_left, key in zip(range(7, -1, -1), "hdwhdhwd", strict=True):
        page.keyboard.press("j")
        page.keyboard.press(key)
        waits = f"{n_left} round waits" if n_left == 1 else f"{n_left} rounds wait"
        expect(page.get_by_text(waits if n_left else "Nothing waits")).to_be_visible()
    assert hidden(site) == {"you fool", "wave", "a long story", "asdfgh", "qwertz"}
    for n_left in (1, 2):  # what was done last, then what was done before
        page.keyboard.press("u")
        waits = "1 round waits" if n_left == 1 else "2 rounds wait"
        expect(page.get_by_text(waits)).to_be_visible()
    with site.sessions() as session:
        assert len(session.scalars(select(Note)).all()) == 1

    with site.sessions() as session:
        class_id = session.scalars(select(Concept.class_id)).first()
    page.goto(f"{site.address}/studio/boats-and-kites/concepts-of/{class_id}")
    shoot(page, "4-concepts")
    for box in page.locator("[name=concept_id]").all()[:2]:
        box.check()
    page.get_by_label("Name").fill("sails")
    page.get_by_role("button", name="Merge").click()
    expect(page.locator("b", has_text="sails")).to_be_visible()
    shoot(page, "5-merged")

    formats = ("JSON Lines", "CSV", "Parquet", "COCO", "Hugging Face")
    for name in formats:
        page.goto(f"{site.address}/studio/boats-and-kites/exports")
        page.get_by_role("radio", name=name).check()
        page.get_by_role("button", name="Write the export").click()
        expect(page.get_by_text("Asked for.")).to_be_visible()
    downloads = page.get_by_role("link", name="Download boats-and-kites")
    expect(downloads).to_have_count(len(formats), timeout=120_000)  # the worker may be starting
    for link in downloads.all():
        with page.expect_download() as started:
            link.click()
        assert Path(started.value.path()).stat().st_size > 0

    page.goto(f"{site.address}/admin/users")
    page.get_by_role("link", name="Pia").click()
    page.get_by_label("Remove their words, too").check()
    page.get_by_label("Type their name").fill("Pia")
    page.get_by_role("button", name="Erase Pia").click()
    page.wait_for_url("**/admin/users")
    with site.sessions() as session:
        assert session.scalars(select(Label.text).where(Label.text == "wave")).all() == []
        assert session.scalars(select(Account.name)).all() == ["Mona"]

    page.goto(f"{site.address}/studio/boats-and-kites/log")
    expect(page.get_by_text("Why: an insult")).to_be_visible()
    page.locator("summary").first.click()
    shoot(page, "6-log")
    page.emulate_media(color_scheme="dark")
    shoot(page, "7-log-dark")
