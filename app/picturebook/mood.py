"""The colours of a scene: of a time of day, and of the ground under it."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np

from app.picturebook.canvas import Colour, mix, rgb, vary


@dataclass(frozen=True, slots=True)
class Mood:
    """top, low: the sky above and at the horizon. haze: what is far away fades to it.
    glow: light around the sun or moon. cloud, shade: a cloud's two sides.
    tint, share: everything on the ground takes that share of the tint.
    near, far: the ground before and behind. leaf, wood: of trees. sunny: the sun is to be seen."""

    top: Colour
    low: Colour
    haze: Colour
    glow: Colour
    cloud: Colour
    shade: Colour
    tint: Colour
    share: float
    near: Colour
    far: Colour
    leaf: Colour
    wood: Colour
    sunny: bool

    def lit(self, colour: Colour) -> Colour:
        """A colour in the light of this time of day."""
        return mix(colour, self.tint, self.share)

    def hazed(self, colour: Colour, distance: float) -> Colour:
        """A colour as seen from afar: 0 near to 1 lost in the haze."""
        return mix(self.lit(colour), self.haze, distance)


# top, low, haze, glow, cloud, shade, tint; the share of the tint
_HOURS: Final = {
    "morning": (
        ("#9ecbe2", "#fde2cd", "#cdd0de", "#fff0c4", "#fff7ef", "#dcc8d6", "#ffd3b4"),
        0.12,
    ),
    "noon": (("#69b2dd", "#e2f3ee", "#a8cbdb", "#fff8d6", "#ffffff", "#b9d2e4", "#fff3c8"), 0.05),
    "evening": (
        ("#8895c6", "#fdc88a", "#c99bae", "#ffe7a0", "#ffe0c4", "#d3929f", "#ef8f45"),
        0.21,
    ),
    "overcast": (
        ("#a3b8ca", "#f1efe9", "#bcc9d2", "#fbf7ea", "#f7f8f8", "#b9c4d2", "#a2a7ab"),
        0.15,
    ),
    "night": (("#141f47", "#56679c", "#3a4b80", "#cfd8f5", "#5f6da0", "#39477c", "#1b2c50"), 0.32),
}

_NEAR_AND_FAR: Final = {
    "meadow": (("#84b04c", "#c8d67c"), ("#98ab4a", "#dad180"), ("#66a65c", "#b2d48f")),
    "sand": (("#dcb578", "#f3dfae"), ("#d6a377", "#f1cfa6"), ("#d2bd8f", "#f2e6c6")),
    "snow": (("#f4f6fd", "#d5dff0"), ("#f8f4f6", "#d9d6ea"), ("#eef6fa", "#cbdfe8")),
    "street": (("#8f8a8c", "#c9c0b4"), ("#7f7d8c", "#bdb8bd"), ("#a39182", "#d8c7ae")),
    "hills": (("#78aa50", "#c0d684"), ("#9aae50", "#dcd488"), ("#60a066", "#a8d29e")),
    "night": (("#3f7050", "#5a866c"), ("#46603c", "#67805c"), ("#3c6a58", "#588a70")),
    "water": (("#1f69ad", "#4e9bd0"), ("#1d5f9c", "#4390bd"), ("#2868b8", "#5a9bdc")),
}

_GREENS: Final = ("#5b8f45", "#76994a", "#3f7d57", "#8aa04f")
_LEAVES: Final = {
    "meadow": (*_GREENS, *_GREENS, "#d88a3f", "#c9a23d", "#e3a3ac"),
    "sand": ("#6f8f4a", "#8a9658", "#5b8a63"),
    "snow": ("#3f6b5c", "#4a7268", "#50705a"),
    "street": (*_GREENS, "#d2843f", "#c46b4a", "#e3a3ac"),
    "hills": (*_GREENS, *_GREENS, "#cf8840", "#c9a23d"),
    "night": ("#2f5d55", "#34566a", "#3c5f48"),
    "water": _GREENS,
}
_WOODS: Final = ("#7a5638", "#8a6a4a", "#6a4a3c", "#94806a")


@lru_cache(maxsize=8)
def mood_of(ground: str, horizon: float) -> Mood:
    """The colours of a scene. They are decided by its horizon, because that is all that who paints
    the front is told of what was painted behind."""
    rng = np.random.default_rng(int(horizon * 2**40))
    day = str(rng.choice([hour for hour in _HOURS if hour != "night"]))
    codes, share = _HOURS["night" if ground == "night" else day]
    top, low, haze, glow, cloud, shade, tint = (vary(rng, rgb(code), 7) for code in codes)
    pairs = _NEAR_AND_FAR[ground]
    near, far = (vary(rng, rgb(code), 7) for code in pairs[int(rng.integers(len(pairs)))])
    leaf = vary(rng, rgb(str(rng.choice(_LEAVES[ground]))), 10)
    wood = vary(rng, rgb(str(rng.choice(_WOODS))), 8)
    if ground == "water":
        share *= 0.4  # it has to stay blue in the evening, too
    return Mood(
        *(top, low, haze, glow, cloud, shade, tint, share, near, far, leaf, wood),
        sunny=day != "overcast",
    )
