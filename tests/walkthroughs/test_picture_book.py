"""The demo's picture book: drawn, computed with its biased network, played by a person, who meets a
known answer in the first round, and by simulated players."""

from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page, expect
from sqlalchemy import select

from app.models import ClusterMap, Image, KnownAnswer, Round
from app.picturebook.datasets import recipes
from app.picturebook.files import write_pictures
from app.picturebook.networks import BIASED_NETWORK, EXPLAINED_LAYERS
from tests.walkthroughs.conftest import Site

SHOWN = ("sailboat", "cat", "windmill")


def make_study(site: Site, photos: Path) -> None:
    drawn = [
        recipe
        for recipe in recipes("demo", n=30, seed=2024, bias=True)
        if recipe.class_name in SHOWN
    ]
    assert len(list(write_pictures(drawn, photos))) == 9
    created = site.layerplay(
        *("study", "create", "The picture book", "--photos", str(photos)),
        *("--network", str(BIASED_NETWORK), "--layers", ",".join(EXPLAINED_LAYERS[-3:])),
    )
    assert created.returncode == 0, created.stderr
    assert "9 pictures of 3 classes, 3 layers" in created.stderr


def known_answer(site: Site) -> tuple[str, str]:
    """The class and a word for what the open practice round shows."""
    with site.sessions() as session:
        row = session.execute(
            select(KnownAnswer.region, Image.file_name)
            .join(Round, Round.cluster_map_id == KnownAnswer.cluster_map_id)
            .join(Round.cluster_map)
            .join(ClusterMap.image)
            .where(Round.status == "open", Round.practice)
        ).one()
        return row.file_name.partition("-")[0], row.region


def test_picture_book(
    site: Site, browser_page: Page, shoot: Callable[[Page, str], None], tmp_path: Path
) -> None:
    make_study(site, tmp_path / "pictures")
    page = browser_page
    page.emulate_media(reduced_motion="reduce")

    # A person's first round is one whose answer is known.
    page.goto(f"{site.address}/play/the-picture-book")
    answer, word = known_answer(site)
    page.get_by_role("button", name="Show more").click()
    expect(page.get_by_role("img", name="Step 2 of 6")).to_be_visible()
    page.get_by_role("radio", name=answer).check(force=True)
    page.locator("input[name=label]").first.fill(word)
    shoot(page, "1-round")
    page.locator("#guess").click()
    expect(page.get_by_role("heading", name="Right!")).to_be_visible()
    expect(page.get_by_text("And you named it!")).to_be_visible()
    shoot(page, "2-answer")
    page.set_viewport_size({"width": 360, "height": 740})
    page.locator("#next").click()
    expect(page.get_by_role("img", name="Step 1 of 6")).to_be_visible()
    shoot(page, "3-phone")
    page.set_viewport_size({"width": 1280, "height": 800})

    # Simulated players put the study into words, which the page says are theirs.
    played = site.layerplay(
        "simulate", "The picture book", "--players", "30", "--rounds", "300", "--threads", "1"
    )
    assert played.returncode == 0, played.stderr
    site.enter_studio(page)
    page.goto(f"{site.address}/studio/the-picture-book")
    expect(page.get_by_role("heading", name="Simulated players, kept apart")).to_be_visible()
    shoot(page, "4-studio")
    with site.sessions() as session:
        boat = session.scalars(
            select(Image.id).where(Image.file_name.like("sailboat%")).order_by(Image.file_name)
        ).first()
    page.goto(f"{site.address}/explanations/{boat}")
    expect(page.get_by_text("These words come from simulated players")).to_be_visible()
    shoot(page, "5-explanation")

    # Nothing of theirs leaves with people's labels.
    people = site.layerplay("export", "The picture book", "--practice")
    assert people.returncode == 0, people.stderr
    assert people.stdout.count("\n") == 1
    assert '"simulated": false' in people.stdout
    theirs = site.layerplay("export", "The picture book", "--players", "simulated")
    assert theirs.stdout.count('"simulated": true') == theirs.stdout.count("\n") > 100
