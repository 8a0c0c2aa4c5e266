"""Which maps of a picture-book picture are known beyond doubt to show a region."""

from functools import cache
from io import BytesIO

import numpy as np
import pytest
from numpy.typing import NDArray

from app.explain import ClusterMap, Explanation, LayerExplanation, load_network
from app.picturebook.files import png_of
from app.picturebook.networks import FAIR_NETWORK
from app.picturebook.scenes import Recipe, Scene, draw_scene
from app.picturebook.truth import region_shares
from app.picturebook.words import accepted
from app.services.computing import KnownRegion, find_known_regions
from tests.scene_study import part_map


@cache
def scene() -> Scene:
    return draw_scene(Recipe("sailboat", 5, 1, "water"))


def known(array: NDArray[np.float32], content: bytes | None = None) -> KnownRegion | None:
    """What is known of a picture's one cluster map."""
    layer = LayerExplanation(
        name="features.21",
        n_channels=96,
        height=32,
        width=32,
        n_kept=1,
        kept_weight=50.0,
        channel_weights=np.ones(96),
        clusters=(ClusterMap(channels=(0,), weight=50.0, map=array),),
    )
    explanation = Explanation(
        target=0,
        predicted=0,
        probabilities=np.ones(1, np.float32),
        layers=(layer,),
        clusterer="paper",
        seed=0,
    )
    network = load_network(FAIR_NETWORK, device="cpu")
    found = find_known_regions(content or png_of(scene()), network, explanation)
    assert set(found) <= {(0, 0)}
    return found.get((0, 0))


def test_a_map_that_lies_on_a_part_is_known_with_the_words_for_it() -> None:
    found = known(part_map(scene(), "sail"))
    assert found is not None
    assert (found.region, found.words) == ("sail", accepted("sailboat", "sail"))
    assert 0.6 < found.energy_share <= 1


def test_a_map_over_everything_is_not_known() -> None:
    assert known(np.ones((32, 32), np.float32)) is None


def test_a_map_whose_brightest_spot_is_elsewhere_is_not_known() -> None:
    spread = 0.6 * part_map(scene(), "water")
    spot = np.where(part_map(scene(), "hull") > 0.9, 1.0, 0.0)
    both = np.maximum(spread, spot).astype(np.float32)
    assert region_shares(both, scene().region_map)["water"] > 0.6
    assert known(spread) is not None
    assert known(both) is None


def test_a_picture_that_is_not_of_the_picture_book_is_not_known() -> None:
    bare = BytesIO()
    scene().picture.save(bare, "PNG")
    assert known(part_map(scene(), "sail"), bare.getvalue()) is None


@pytest.mark.parametrize("other", [2, 3])
def test_a_forged_recipe_makes_nothing_known(other: int) -> None:
    recipe = draw_scene(Recipe("sailboat", 5, other, "water")).recipe
    forged = png_of(Scene(recipe, scene().picture, scene().region_map))
    assert known(part_map(scene(), "sail"), forged) is None
