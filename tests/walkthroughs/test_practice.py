"""A person practises, simulated players play on, and a researcher sees whose words are whose."""

from collections.abc import Callable

from playwright.sync_api import Page, expect
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.models import Image, Player, StudyClass
from app.services import labels, players, practice, rounds, studies
from tests.factories import make_image, make_player, make_study, maps_of, spot_map
from tests.services.test_labels import EMBED
from tests.walkthroughs.conftest import Site

SLUG = "boats-and-kites"


def make_boats(site: Site) -> None:
    """A study of four boats, whose heavy maps are known to show the sail."""
    storage = site.storage
    with site.sessions.begin() as session:
        study = make_study(session, name="Boats and kites")
        for _ in range(4):
            image = make_image(
                session,
                storage,
                study,
                maps={
                    "layer3": [(55.0, spot_map(x=0.6, y=0.85))],
                    "layer4": [(60.0, spot_map(x=0.38, y=0.5)), (30.0, spot_map(x=0.7, y=0.75))],
                },
            )
            practice.store_known_answer(
                session,
                cluster_map_id=maps_of(session, image)[1].id,
                region="sail",
                words=["sail", "canvas"],
                energy_share=0.8,
            )


def play(session: Session, player: Player, words: dict[int, str]) -> None:
    """Three rounds, each guessed right, with a word that goes by its layer."""
    study = studies.get(session, SLUG)
    for _ in range(3):
        dealt = rounds.deal(session, player=player, study=study)
        assert dealt is not None
        round_ = rounds.get_round(session, round_id=dealt.id, player=player)
        rounds.guess(
            session,
            round_id=round_.id,
            player=player,
            class_id=round_.cluster_map.image.class_id,
            labels=[words[round_.cluster_map.layer.position]],
        )


def play_until_labelled(site: Site, *, simulated: bool, words: dict[int, str]) -> None:
    with site.sessions.begin() as session:
        for _ in range(4):
            player = players.create_simulated(session) if simulated else make_player(session)
            play(session, player, words)
    with site.sessions.begin() as session:
        boat = session.scalars(select(StudyClass.id).where(StudyClass.name == "boat")).one()
        labels.group_class(session, class_id=boat, embed=EMBED, recipe="paper", simulated=simulated)


def test_practice_and_whose_words(
    site: Site, browser_page: Page, shoot: Callable[[Page, str], None]
) -> None:
    make_boats(site)
    page = browser_page
    page.emulate_media(reduced_motion="reduce")

    page.goto(f"{site.address}/play/{SLUG}")
    expect(page.get_by_text("Practice 1 of 3.")).to_be_visible()
    shoot(page, "1-lesson")
    page.set_viewport_size({"width": 360, "height": 740})
    shoot(page, "1-lesson-phone")
    page.keyboard.press("1")
    page.locator("input[name=label]").first.fill("white sails")
    page.get_by_role("button", name="Guess", exact=True).last.click()
    expect(page.get_by_text("And you named it!")).to_be_visible()
    expect(page.get_by_text("for naming what this spot shows")).to_be_visible()
    shoot(page, "2-practice-named-phone")
    page.set_viewport_size({"width": 1280, "height": 800})
    shoot(page, "2-practice-named")

    page.keyboard.press("n")
    expect(page.get_by_text("Practice 2 of 3.")).to_be_visible()
    page.get_by_role("radio", name="kite").check(force=True)
    page.get_by_role("button", name="I know how to play").press("Enter")
    expect(page.locator("#coach")).not_to_be_attached()
    expect(page.get_by_role("radio", name="kite")).to_be_checked()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Not this time")).to_be_visible()
    page.keyboard.press("n")
    expect(page.get_by_role("heading", name="What is this?")).to_be_visible()
    assert "practice" not in page.content().lower()

    play_until_labelled(site, simulated=True, words={0: "water", 1: "cloth"})
    with site.sessions() as session:
        image_id = session.scalars(select(Image.id).order_by(Image.file_name)).first()
    site.enter_studio(page)
    page.goto(f"{site.address}/explanations/{image_id}")
    expect(page.get_by_text("These words come from simulated players")).to_be_visible()
    shoot(page, "3-simulated-only")

    play_until_labelled(site, simulated=False, words={0: "sea", 1: "triangle"})
    page.goto(f"{site.address}/explanations/{image_id}?merge=labels")
    shoot(page, "4-people")
    page.get_by_role("link", name="Show simulated players’ words").click()
    page.wait_for_url("**/explanations/*?merge=labels&players=simulated")
    shoot(page, "5-simulated-on-wish")
    page.set_viewport_size({"width": 360, "height": 740})
    shoot(page, "6-simulated-phone")
    page.set_viewport_size({"width": 1280, "height": 800})
    page.get_by_role("link", name="Show people’s words").click()
    page.wait_for_url("**/explanations/*?merge=labels&players=people")
    expect(page.get_by_text("These words come from people")).to_be_visible()

    page.goto(f"{site.address}/studio/{SLUG}")
    expect(page.get_by_role("heading", name="Simulated players, kept apart")).to_be_visible()
    shoot(page, "7-studio")
    page.set_viewport_size({"width": 360, "height": 740})
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    shoot(page, "8-studio-phone")
