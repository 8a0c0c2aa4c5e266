"""Heat maps, reveal masks and the report page."""

import itertools
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from app.explain import (
    explain_image,
    heatmap,
    heatmap_overlay,
    masked_picture,
    report_html,
    reveal_mask,
)
from app.explain.render import _colour_table
from app.explain.report import signed

from .toys import IMAGE, Toy

LADDER = (2.0, 4.5, 8.0, 13.0, 20.0, 30.0)
MAPS = arrays.arrays(
    np.float32, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.floats(0, 1, width=32)
)


def gradient_map(side: int) -> np.ndarray:
    return np.linspace(0, 1, side * side, dtype=np.float32).reshape(side, side)


@settings(max_examples=25, deadline=None)
@given(MAPS, st.integers(16, 80))
def test_more_percent_never_hides_a_pixel(cluster_map, size):
    masks = [reveal_mask(cluster_map, percent=percent, size=size) for percent in LADDER]

    for fewer, more in itertools.pairwise(masks):
        assert (more >= fewer).all()
    assert all(mask.min() >= 0 and mask.max() <= 1 for mask in masks)


@settings(max_examples=25, deadline=None)
@given(MAPS)
def test_pixels_where_the_map_is_zero_are_never_shown(cluster_map):
    height, width = cluster_map.shape
    mask = reveal_mask(cluster_map, percent=30, size=height * width * 4)

    value = np.repeat(np.repeat(cluster_map, width * 4, axis=0), height * 4, axis=1)
    assert not mask[value == 0].any()


@pytest.mark.parametrize("percent", LADDER)
def test_constant_map_shows_nothing(percent):
    assert not reveal_mask(np.zeros((7, 7)), percent=percent).any()


@pytest.mark.parametrize("percent", LADDER)
def test_share_of_the_picture_that_is_shown(percent):
    # 64 x 64 cells on a canvas of 256: one cell is 0.024 % of it, so the share is nearly exact.
    # Half of the soft edge lies on either side, so pixels at least half lit are those chosen.
    mask = reveal_mask(gradient_map(64), percent=percent)

    assert 100 * (mask >= 0.5).mean() == pytest.approx(percent, abs=0.6)


def test_the_highest_cells_are_shown_and_the_rest_is_hidden():
    cluster_map = gradient_map(8) / 2
    cluster_map[2, 5] = 1.0

    mask = reveal_mask(cluster_map, percent=1.5)  # one of 64 cells is 1.56 %

    # A cell is 32 px, the edge 24 px wide and cut at 1.5 x 24 = 36 px: rows 64-95, columns 160-191.
    # The blur spreads the light of a lone cell over its surroundings.
    assert mask.max() == pytest.approx(mask[79:81, 175:177].max()) == pytest.approx(0.322, abs=0.01)
    rows, columns = np.nonzero(mask)
    assert (rows.min(), rows.max()) == (64 - 36, 95 + 36)
    assert (columns.min(), columns.max()) == (160 - 36, 191 + 36)


def test_edge_is_as_wide_on_a_larger_picture_in_proportion():
    small = reveal_mask(gradient_map(8), percent=20, size=256)
    large = reveal_mask(gradient_map(8), percent=20, size=512)

    np.testing.assert_allclose(large[::2, ::2], small, atol=0.05)


@pytest.mark.parametrize("percent", [-1, 101, float("nan")])
def test_share_outside_of_a_percentage_is_refused(percent):
    with pytest.raises(ValueError, match="share in percent"):
        reveal_mask(gradient_map(4), percent=percent)


@pytest.mark.parametrize("cluster_map", [np.zeros((2, 2, 2)), np.array([[np.nan]])])
def test_something_that_is_no_map_is_refused(cluster_map):
    with pytest.raises(ValueError, match="map"):
        reveal_mask(cluster_map, percent=8)


def test_hidden_pixels_of_a_masked_picture_are_black():
    white = Image.new("RGB", (200, 200), "white")
    cluster_map = np.zeros((4, 4))
    cluster_map[0, 0] = 1

    pixels = np.asarray(masked_picture(white, cluster_map, percent=8))

    assert pixels[:50, :50].min() > 0
    assert not pixels[50:].any()
    assert not pixels[:, 50:].any()


def test_heat_lies_over_the_picture_in_grey():
    picture = Image.new("RGB", (40, 40), (10, 120, 30))
    cluster_map = np.zeros((4, 4))
    cluster_map[3, 3] = 1

    pixels = np.asarray(heatmap_overlay(picture, cluster_map))

    assert pixels.shape == (40, 40, 3)
    # 0.299 * 10 + 0.587 * 120 + 0.114 * 30 = 76.9
    assert (pixels[0, 0] == 77).all()
    assert pixels[39, 39, 0] > pixels[39, 39, 2] + 50


def test_heat_map_alone_is_transparent_where_the_map_is_zero():
    image = heatmap(np.array([[0.0, 1.0]]), (30, 10), opacity=0.5)

    assert image.mode == "RGBA"
    assert image.size == (30, 10)
    alpha = np.asarray(image)[..., 3]
    assert (alpha[0, 0], alpha[0, -1]) == (0, 128)


def test_heat_colours_grow_lighter_all_the_way():
    # Relative luminance (WCAG), so that the order survives without colours.
    linear = (_colour_table() / 255.0) ** 2.2
    luminance = linear @ [0.2126, 0.7152, 0.0722]

    assert (np.diff(luminance) > 0).all()


class Links(HTMLParser):
    def __init__(self):
        super().__init__()
        self.targets, self.ids, self.images, self.tags = [], set(), [], []

    def handle_starttag(self, tag, attrs):
        named = dict(attrs)
        self.tags.append(tag)
        self.ids |= {named["id"]} if "id" in named else set()
        self.targets += [named[key] for key in ("href", "src") if key in named]
        self.images += [named] if tag == "img" else []


def test_report_opens_offline_and_its_links_lead_somewhere(small_network, drawn_picture):
    explanation = explain_image(small_network, drawn_picture, layers=["layer4.0", "layer4.1"])

    page = report_html(explanation, small_network.view(drawn_picture, 300), title="a < b.jpg")

    links = Links()
    links.feed(page)
    assert all(t.startswith("data:image/jpeg") or t[1:] in links.ids for t in links.targets)
    assert not re.search(r"https?:|@import|url\(", page)
    assert "script" not in links.tags
    assert all(image["alt"] for image in links.images)
    n_clusters = sum(len(layer.clusters) for layer in explanation.layers)
    assert len(links.images) == 1 + 2 * n_clusters  # as the layer saw, and sharpened
    assert "a &lt; b.jpg" in page
    assert page.index(">layer4.0<") < page.index(">layer4.1<")


@pytest.mark.parametrize(
    ("value", "shown"),
    [(1.84, "+1.8"), (-0.0314, "−0.031"), (123.4, "+123"), (0.0, "+0")],
)
def test_report_shows_two_digits_of_an_effect_and_its_sign(value, shown):
    assert signed(value) == shown


def test_report_says_when_there_is_no_positive_evidence():
    explanation = explain_image(Toy(), IMAGE, target=1)

    page = report_html(explanation, Image.new("RGB", (50, 50)), title="toy")

    assert "No positive evidence: nothing that this layer saw spoke for class 1." in page
    assert "The network said class 0." in page


def test_report_says_what_the_class_is_set_against():
    explanation = explain_image(Toy(), IMAGE, target=1, contrast=0)

    page = " ".join(report_html(explanation, Image.new("RGB", (50, 50)), title="toy").split())

    assert "spoke for <b>class 1</b> rather than for <b>class 0</b>?" in page
    assert "class 0 <small>set against it</small>" in page
    assert "nothing that this layer saw spoke for class 1 rather than for class 0." in page
