"""A canvas that paints like a picture book: soft edges, light from one side, brush and paper.

Everything is in units of the picture's side, and all randomness is drawn at a resolution of its
own, so that a scene painted small is the same scene as one painted large. Every pixel also knows
the name of what was painted on it last.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from app.picturebook.shapes import Frame, Points
from app.picturebook.world import REGIONS

Colour = tuple[float, float, float]
"""Red, green, blue, 0..255."""

Texture = Literal["brush", "grain", "wood", "cloth", "fur", "none"]

OVERSAMPLING: Final = 2
"""Pictures are painted this many times larger and reduced."""

# Corners are put on this grid (parts of a painted pixel), so that the last bit of a sine, which
# may differ from machine to machine, cannot move an edge.
_SNAP: Final = 16
_NUMBERS: Final = {name: i + 1 for i, name in enumerate(REGIONS)}


def rgb(code: str) -> Colour:
    """The colour of a code such as "#d8486f"."""
    return int(code[1:3], 16), int(code[3:5], 16), int(code[5:7], 16)


def mix(one: Colour, other: Colour, share: float) -> Colour:
    """`share` (0..1) of the other colour in the one."""
    a, b = np.asarray(one), np.asarray(other)
    red, green, blue = a + (b - a) * share
    return float(red), float(green), float(blue)


def vary(rng: np.random.Generator, colour: Colour, amount: float = 12.0) -> Colour:
    """A colour near the given one: all channels together by `amount`, each alone by half of it."""
    together, alone = rng.uniform(-amount, amount), rng.uniform(-amount / 2, amount / 2, 3)
    red, green, blue = np.clip(np.asarray(colour) + together + alone, 0, 255)
    return float(red), float(green), float(blue)


class Canvas:
    """size: side of the finished picture in px. rng: for textures only. light: where the light
    comes from, a direction (x, y) of length 1; (-0.6, -0.8) is from the upper left."""

    def __init__(
        self, size: int, rng: np.random.Generator, *, light: tuple[float, float] = (-0.6, -0.8)
    ) -> None:
        self.size = size
        self.side = size * OVERSAMPLING
        self.light = light
        self._frames: list[Frame] = []
        self._pixels: NDArray[np.float32] = np.full((self.side, self.side, 3), 255, np.float32)
        self._names: NDArray[np.uint8] = np.zeros((self.side, self.side), np.uint8)
        self._textures = {
            "brush": self._noise(rng, (40, 12), 0.5) + self._noise(rng, (120, 34), 0.5),
            "grain": self._noise(rng, (96, 96), 0.7) + self._noise(rng, (30, 30), 0.4),
            "wood": self._noise(rng, (90, 7), 0.9) + self._noise(rng, (160, 160), 0.3),
            "cloth": self._noise(rng, (150, 12), 0.4) + self._noise(rng, (12, 150), 0.4),
            "fur": self._noise(rng, (120, 30), 0.8) + self._noise(rng, (50, 16), 0.5),
        }

    # --- where to paint

    @contextmanager
    def at(
        self,
        x: float,
        y: float,
        scale: float = 1.0,
        *,
        angle: float = 0.0,
        flip: bool = False,
    ) -> Iterator[None]:
        """Paint what follows in a figure's own coordinates: its (0, 0) at (x, y), enlarged by
        `scale`, turned clockwise by `angle` degrees, mirrored when `flip`. Can be nested."""
        self._frames.append(Frame(x, y, scale, angle, flip))
        try:
            yield
        finally:
            self._frames.pop()

    # --- painting

    def fill(
        self,
        outline: Points | Sequence[Points],
        colour: Colour,
        *,
        part: str | None,
        to: Colour | None = None,
        relief: float = 0.35,
        texture: Texture = "brush",
        strength: float = 1.0,
        opacity: float = 1.0,
        soft: float = 0.0,
        hole: Points | Sequence[Points] = (),
    ) -> None:
        """Paint an outline, or several as one.

        part: the name its pixels get; None leaves the names below, for light, shade and patterns.
        to: a second colour, towards which the shape changes away from the light.
        relief: how round it looks, 0 flat to 1 a ball. texture, strength: of the brush.
        opacity: 0..1. soft: width of a blurred edge, in the figure's units. hole: left out of it.
        """
        drawn = self._coverage(_listed(outline), _listed(hole), self._length(soft))
        if drawn is None:
            return
        (rows, columns), mask = drawn
        tint = np.asarray(colour, np.float32)[None, None]
        if to is not None:
            towards = self._slope(mask.shape)[..., None]
            tint = tint + (np.asarray(to, np.float32) - tint) * towards
        shade = np.zeros(mask.shape, np.float32)
        if relief > 0:
            shade += 60 * relief * self._relief(mask)
        if texture != "none" and strength > 0:
            shade += 9 * strength * self._textures[texture][rows, columns]
        alpha = (mask * opacity)[..., None]
        below = self._pixels[rows, columns]
        below += alpha * (tint + shade[..., None] - below)
        if part is not None:
            self._names[rows, columns][mask * opacity > 0.5] = _NUMBERS[part]

    def shadow(self, outline: Points, *, opacity: float = 0.25, soft: float = 0.03) -> None:
        """A soft cast shadow; it does not change what a pixel is."""
        self.fill(
            outline,
            (38, 36, 66),
            part=None,
            relief=0,
            texture="none",
            opacity=opacity,
            soft=soft,
        )

    def glow(self, x: float, y: float, radius: float, colour: Colour, opacity: float = 0.5) -> None:
        """Light around a point that fades to nothing at the radius."""
        centre = self._place(np.array([[x, y]]))[0] * self.side
        reach = self._length(radius) * self.side
        x0, y0 = (max(0, int(c - reach)) for c in centre)
        x1, y1 = (min(self.side, int(c + reach) + 1) for c in centre)
        if x0 >= x1 or y0 >= y1:
            return
        dx = (np.arange(x0, x1) - centre[0]) / reach
        dy = (np.arange(y0, y1) - centre[1]) / reach
        fade = np.clip(1 - np.sqrt(dx[None] ** 2 + dy[:, None] ** 2), 0, 1) ** 2
        alpha = (opacity * fade).astype(np.float32)[..., None]
        below = self._pixels[y0:y1, x0:x1]
        below += alpha * (np.asarray(colour, np.float32) - below)

    def backdrop(
        self, top: Colour, bottom: Colour, *, part: str, texture: Texture = "brush"
    ) -> None:
        """Fill everything, changing from one colour above to another below."""
        t = np.linspace(0, 1, self.side, dtype=np.float32)[:, None, None]
        a, b = np.asarray(top, np.float32), np.asarray(bottom, np.float32)
        self._pixels[:] = a + (b - a) * t
        if texture != "none":
            self._pixels += 7 * self._textures[texture][..., None]
        self._names[:] = _NUMBERS[part]

    def finish(
        self, *, warmth: float = 0.0, brightness: float = 1.0
    ) -> tuple[Image.Image, NDArray[np.uint8]]:
        """The picture [size, size] in RGB, and the number of the name of each pixel, uint8.

        warmth: -1 cold to 1 warm light. brightness: 1 leaves it as painted.
        """
        pixels = self._pixels * np.float32(brightness)
        pixels *= np.array([1 + 0.10 * warmth, 1.0, 1 - 0.12 * warmth], np.float32)
        pixels += 3 * self._textures["grain"][..., None]
        n, k = self.size, OVERSAMPLING
        reduced = pixels.reshape(n, k, n, k, 3).mean(axis=(1, 3))
        picture = Image.fromarray(np.clip(np.round(reduced), 0, 255).astype(np.uint8))
        return picture, _most_frequent(self._names.reshape(n, k, n, k))

    # --- the parts of painting

    def _place(self, points: Points) -> Points:
        for frame in reversed(self._frames):
            points = frame.apply(points)
        return points

    def _length(self, own: float) -> float:
        """A length of the figure in units of the picture."""
        return own * float(np.prod([frame.scale for frame in self._frames]))

    def _coverage(
        self, outlines: Sequence[Points], holes: Sequence[Points], soft: float
    ) -> tuple[tuple[slice, slice], NDArray[np.float32]] | None:
        """The box of painted pixels and how far each is covered, 0..1; None when out of sight."""
        ends = np.cumsum([len(points) for points in (*outlines, *holes)])
        placed = self._place(np.concatenate((*outlines, *holes))) * self.side
        blur = max(0.35, soft * self.side / 2)
        every = placed[: ends[len(outlines) - 1]]
        margin = 3 * blur + 2
        x0, y0 = (max(0, int(v)) for v in np.floor(every.min(axis=0) - margin))
        x1, y1 = (min(self.side, int(v)) for v in np.ceil(every.max(axis=0) + margin))
        if x0 >= x1 or y0 >= y1:
            return None
        image = Image.new("L", (x1 - x0, y1 - y0))
        draw = ImageDraw.Draw(image)
        snapped = np.round((placed - (x0, y0)) * _SNAP) / _SNAP
        for i, points in enumerate(np.split(snapped, ends[:-1])):
            draw.polygon(points.ravel().tolist(), fill=255 if i < len(outlines) else 0)
        image = image.filter(ImageFilter.GaussianBlur(blur))
        mask = np.asarray(image, dtype=np.float32) / np.float32(255)
        return (slice(y0, y1), slice(x0, x1)), mask

    def _relief(self, mask: NDArray[np.float32]) -> NDArray[np.float32]:
        """Light on a rounded shape: the slope of its blurred coverage towards the light, -1..1."""
        bytes_ = np.round(mask * 255).astype(np.uint8)
        # Summed as whole numbers: a sum of floats depends on how a processor groups them.
        reach = max(1.0, 0.16 * float(np.sqrt(int(bytes_.sum(dtype=np.int64)) / 255)))
        pad = int(reach) + 1
        padded = Image.fromarray(np.pad(bytes_, pad))
        height = np.asarray(padded.filter(ImageFilter.GaussianBlur(reach)), dtype=np.float32)
        dx, dy = (round(reach * axis) for axis in self.light)
        h, w = mask.shape
        lit = height[pad - dy : pad - dy + h, pad - dx : pad - dx + w]
        unlit = height[pad + dy : pad + dy + h, pad + dx : pad + dx + w]
        relief: NDArray[np.float32] = (lit - unlit) / np.float32(255)
        return relief

    def _slope(self, shape: tuple[int, ...]) -> NDArray[np.float32]:
        """From 0 on the side of the light to 1 on the other, over a box."""
        y = np.linspace(-1, 1, shape[0], dtype=np.float32)[:, None]
        x = np.linspace(-1, 1, shape[1], dtype=np.float32)[None]
        along = -(self.light[0] * x + self.light[1] * y)
        return np.clip(0.5 + 0.5 * along, 0, 1)

    def _noise(
        self, rng: np.random.Generator, lattice: tuple[int, int], strength: float
    ) -> NDArray[np.float32]:
        """Smooth noise, about -1..1 times `strength`; lattice: cells down and across."""
        cells = rng.integers(0, 256, lattice, dtype=np.uint8)
        enlarged = Image.fromarray(cells).resize((self.side, self.side), Image.Resampling.BICUBIC)
        return (np.asarray(enlarged, dtype=np.float32) / 127.5 - 1) * np.float32(strength)


def _listed(outline: Points | Sequence[Points]) -> Sequence[Points]:
    return [outline] if isinstance(outline, np.ndarray) else outline


def _most_frequent(names: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Of each block [n, k, n, k] the number that most of its pixels have; of equals the lowest."""
    best = np.zeros((names.shape[0], names.shape[2]), np.uint8)
    most = np.zeros_like(best)
    for number in np.flatnonzero(np.bincount(names.reshape(-1), minlength=1)):
        count = (names == number).sum(axis=(1, 3), dtype=np.uint8)
        better = count > most
        best[better], most[better] = number, count[better]
    return best
