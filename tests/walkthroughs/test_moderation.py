"""A moderator looks through what is flagged, by keyboard and by ticking, takes acts back, merges
two concepts, and reads it all in the log."""

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import select

from app.infra.storage import Storage
from app.models import Concept, Label, Restriction
from app.services import honesty, rounds
from tests.factories import make_account, make_image, make_player, make_study
from tests.walkthroughs.conftest import Site

PHONE = {"width": 360, "height": 740}
DESK = {"width": 1280, "height": 900}


@pytest.fixture
def site(site_without_worker: Site) -> Site:
    return site_without_worker


def make_incidents(site: Site) -> None:
    """Four rounds that wait, and two concepts that mean the same."""
    storage = Storage(Path(site.environment["LAYERPLAY_HOME"]) / "storage")
    with site.sessions.begin() as session:
        make_account(session, "Mona", role="admin")
        study = make_study(session, name="Boats and kites")
        make_image(session, storage, study)
        boat = study.classes[0].id
        seeded = (
            ("burst", "over 20 rounds a minute", ("sail", "damn")),
            ("too fast", "0.12 s for 2 labels", ("hull", "blue sea")),
            ("reported", "“you fool”", ("you fool",)),
            ("dishonest labels", "mash", ("asdfgh", "qwertz")),
        )
        for reason, detail, words in seeded:
            player = make_player(session)
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
    expect(page.get_by_text("4 rounds wait to be looked at")).to_be_visible()
    shoot(page, "1-queue")

    page.keyboard.press("j")
    page.keyboard.press("h")
    expect(page.get_by_text("3 rounds wait to be looked at")).to_be_visible()
    assert hidden(site) == {"asdfgh", "qwertz"}
    page.keyboard.press("u")
    expect(page.get_by_text("4 rounds wait to be looked at")).to_be_visible()
    assert hidden(site) == set()

    page.get_by_role("checkbox", name="you fool", exact=True).check()
    page.get_by_label("Why").fill("an insult")
    page.get_by_role("button", name="Hide labels").click()
    expect(page.get_by_text("an insult")).to_be_visible()
    page.locator("[name=round_id]").first.check()
    page.get_by_role("button", name="Ban", exact=True).click()
    expect(page.get_by_role("heading", name="Restricted players")).to_be_visible()
    with site.sessions() as session:
        assert session.scalars(select(Restriction.kind)).all() == ["banned"]
    shoot(page, "2-decided")
    page.set_viewport_size(PHONE)
    shoot(page, "3-phone")
    page.set_viewport_size(DESK)

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

    page.goto(f"{site.address}/studio/boats-and-kites/log")
    expect(page.get_by_text("Why: an insult")).to_be_visible()
    page.locator("summary").first.click()
    shoot(page, "6-log")
    page.emulate_media(color_scheme="dark")
    shoot(page, "7-log-dark")
