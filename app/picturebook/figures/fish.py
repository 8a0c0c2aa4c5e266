"""A fish: a body with scales, tail and fins with rays, a large eye, and a mouth with lips."""

from dataclasses import dataclass

import numpy as np

from app.picturebook.canvas import Canvas, Colour, mix, rgb, vary
from app.picturebook.figures.living import outside, paint_eye, rays, scales, shifted, spaced
from app.picturebook.figures.placing import place
from app.picturebook.shapes import Points, arc, ellipse, smooth, stroke

# Back, belly, fins, tail, pattern.
_PALETTES = (
    ("#e8742c", "#fbd9a0", "#f2a93b", "#d8432f", "#fff1dc"),
    ("#2f7fa8", "#cfeae4", "#f2c14e", "#e58a3c", "#1d4668"),
    ("#4f9c6b", "#f3ecb0", "#e2725b", "#b8455f", "#2a5f52"),
    ("#8a5fa8", "#f3d3e0", "#4fb0b5", "#356f9e", "#f6c45a"),
    ("#d9536b", "#fbdccb", "#7a4b8f", "#4c3f86", "#fbe3a6"),
    ("#e9b93a", "#fdf2c4", "#3f78a8", "#274f7d", "#3a3350"),
    ("#5c86c4", "#eef0ea", "#e9798a", "#f0a04b", "#f7f2e2"),
    ("#7d8f58", "#efe2b4", "#b9783e", "#8c4a35", "#4b4a36"),
)
_LIPS = ("#e77a78", "#c94f5d", "#f0a07c")
_SNOUT = -0.45


@dataclass(frozen=True, slots=True)
class _Look:
    back: Colour
    belly: Colour
    fin: Colour
    tail: Colour
    pattern: Colour
    lips: Colour
    length: float  # of the body without the tail
    depth: float  # half its height
    hump: float  # where it is highest, a share of the length
    spread: float  # of the tail, half of it in degrees
    reach: float  # length of the tail
    fork: float  # length of the tail's middle as a share of its tips'
    sail: float  # height of the fin on the back
    sweep: float  # how far the fins lean back
    spikes: float  # how deep the fins' edges are cut
    kind: int  # of pattern
    count: int
    eye: float

    def along(self, share: float) -> float:
        return _SNOUT + share * self.length

    def outline(self) -> Points:
        d, h, x = self.depth, self.hump, self.along
        return smooth(
            (x(0), 0.02),
            (x(0.05), -0.38 * d),
            (x(0.2), -0.8 * d),
            (x(h), -d),
            (x(0.72), -0.68 * d),
            (x(0.98), -0.2 * d),
            (x(1.03), 0),
            (x(0.98), 0.2 * d),
            (x(0.72), 0.7 * d),
            (x(h), d),
            (x(0.2), 0.86 * d),
            (x(0.05), 0.5 * d),
        )


def _look(rng: np.random.Generator) -> _Look:
    back, belly, fin, tail, pattern = (
        vary(rng, rgb(code)) for code in _PALETTES[int(rng.integers(len(_PALETTES)))]
    )
    return _Look(
        back=back,
        belly=belly,
        fin=fin,
        tail=tail,
        pattern=pattern,
        lips=vary(rng, rgb(str(rng.choice(_LIPS)))),
        length=rng.uniform(0.58, 0.72),
        depth=rng.uniform(0.17, 0.29),
        hump=rng.uniform(0.36, 0.48),
        spread=rng.uniform(46, 66),
        reach=rng.uniform(0.33, 0.38),
        fork=rng.uniform(0.55, 1.0),
        sail=rng.uniform(0.15, 0.22),
        sweep=rng.uniform(0.03, 0.14),
        spikes=rng.uniform(0.04, 0.24),
        kind=int(rng.integers(4)),
        count=int(rng.integers(2, 5)),
        eye=rng.uniform(0.07, 0.085),
    )


def paint_fish(canvas: Canvas, rng: np.random.Generator, *, horizon: float, far: bool) -> None:
    where = place(rng, horizon, far=far, height=0.63, tilt=16.0, above=0.48)
    look = _look(rng)
    with canvas.at(where.x, where.y, where.scale, angle=where.angle, flip=where.flip):
        _paint_tail(canvas, look)
        _paint_outer_fins(canvas, look)
        _paint_body(canvas, look)
        _paint_side_fin(canvas, look)
        _paint_face(canvas, look)


def _paint_tail(canvas: Canvas, look: _Look) -> None:
    root = look.along(0.94)
    angles = np.linspace(-1, 1, 41)
    radii = look.reach * (look.fork + (1 - look.fork) * np.abs(angles) ** 1.4)
    radii *= 1 + 0.05 * np.cos(angles * 7 * np.pi)
    turns = np.radians(angles * look.spread)
    unit = np.stack([np.cos(turns), np.sin(turns)], axis=1)
    edge = unit * radii[:, None] + (root, 0)
    base = np.stack([np.full(41, root), angles * 0.2 * look.depth], axis=1)
    dark = mix(look.tail, rgb("#2a1636"), 0.45)
    whole = np.concatenate([base, edge[::-1]])
    canvas.fill(whole, look.tail, to=mix(look.tail, rgb("#2a1636"), 0.25), part="tail")
    canvas.fill(
        [stroke(base + (edge - base) * share, 0.05) for share in (0.5, 0.86)],
        mix(look.tail, rgb("#fff3d0"), 0.65),
        part=None,
        relief=0,
        hole=outside(whole),
    )
    canvas.fill(
        rays(base[1:-1:4], base[1:-1:4] + 0.93 * (edge - base)[1:-1:4], (0.008, 0.012)),
        dark,
        part=None,
        relief=0,
        opacity=0.75,
    )


def _paint_fin(canvas: Canvas, look: _Look, base: Points, tips: Points) -> None:
    """A fin between its base and its tips, two lines from front to back."""
    n = 19
    root, edge = spaced(base, n), spaced(tips, n)
    cut = np.tile([0.0, 1.0], n)[:n, None] * look.spikes
    edge = edge + (root - edge) * cut
    dark = mix(look.fin, rgb("#3a1f3c"), 0.45)
    canvas.fill(
        np.concatenate([root, edge[::-1]]),
        look.fin,
        to=mix(look.fin, rgb("#fff3d0"), 0.35),
        part="fin",
    )
    canvas.fill(rays(root[::2], edge[::2], (0.014, 0.008)), dark, part=None, relief=0, opacity=0.7)


def _paint_outer_fins(canvas: Canvas, look: _Look) -> None:
    x, d, lean = look.along, look.depth, look.sweep
    above = smooth((x(0.24), -0.7 * d), (x(0.5), -0.85 * d), (x(0.86), -0.3 * d), closed=False)
    high = smooth(
        (x(0.22) + lean, -0.9 * d - 0.5 * look.sail),
        (x(0.42) + lean, -0.95 * d - look.sail),
        (x(0.7) + lean, -0.75 * d - 0.8 * look.sail),
        (x(0.92) + lean, -0.45 * d - 0.25 * look.sail),
        closed=False,
    )
    _paint_fin(canvas, look, above, high)
    behind = smooth((x(0.58), 0.8 * d), (x(0.74), 0.6 * d), (x(0.88), 0.3 * d), closed=False)
    low = smooth(
        (x(0.6) + lean, 0.85 * d + 0.5 * look.sail),
        (x(0.8) + lean, 0.7 * d + 0.75 * look.sail),
        (x(0.98) + lean, 0.3 * d + 0.35 * look.sail),
        closed=False,
    )
    _paint_fin(canvas, look, behind, low)
    below = smooth((x(0.28), 0.85 * d), (x(0.36), 0.9 * d), (x(0.46), 0.85 * d), closed=False)
    hanging = smooth(
        (x(0.3) + lean, d + 0.55 * look.sail),
        (x(0.4) + lean, d + 0.72 * look.sail),
        (x(0.52) + lean, d + 0.5 * look.sail),
        closed=False,
    )
    _paint_fin(canvas, look, below, hanging)


def _paint_body(canvas: Canvas, look: _Look) -> None:
    x, d = look.along, look.depth
    body = look.outline()
    centre = body.mean(axis=0)
    around = outside(body)
    shade = mix(look.back, rgb("#20153a"), 0.3)
    canvas.fill(body, look.back, to=shade, part="body", relief=0.55)
    belly = smooth(
        (x(-0.1), 0.15 * d),
        (x(0.4), 0.4 * d),
        (x(0.9), 0.1 * d),
        (x(0.8), 1.2 * d),
        (x(0), 1.2 * d),
    )
    inner = outside(0.955 * (body - centre) + centre)
    for soft in (0.05, 0.015):
        canvas.fill(
            belly,
            look.belly,
            part=None,
            soft=soft,
            opacity=0.65,
            hole=inner,
            relief=0,
            strength=0.5,
        )
    _paint_pattern(canvas, look, around)
    scaled = scales((x(0.36), -1.05 * d, x(1.02), 1.05 * d), 0.068, 0.011)
    canvas.fill(
        scaled, shade, part=None, relief=0, texture="none", opacity=0.75, hole=around, soft=0.002
    )
    glints = shifted(scaled, -0.011, -0.004)
    canvas.fill(
        glints, rgb("#fffbe8"), part=None, relief=0, texture="none", opacity=0.4, hole=around
    )
    gill = arc(x(0.2), 0.0, 0.1, 0.75 * d, -72, 72)
    canvas.fill(stroke(gill, [0.006, 0.02, 0.006]), shade, part=None, relief=0, opacity=0.8)


def _paint_pattern(canvas: Canvas, look: _Look, around: Points) -> None:
    x, d, n = look.along, look.depth, look.count
    at = np.linspace(0.42, 0.84, n)
    wide = 0.2 / n
    if look.kind == 0:
        bands = [arc(x(s) - 0.05, 0, 0.1, 1.2 * d, -85, 85) for s in at]
        dark = mix(look.back, rgb("#20153a"), 0.55)
        rims = [stroke(band, wide + 0.022) for band in bands]
        canvas.fill(rims, dark, part=None, relief=0, hole=around)
        marks = [stroke(band, wide) for band in bands]
    elif look.kind == 1:
        marks = [
            ellipse(x(0.42 + 0.15 * i), d * y, 0.046 - 0.006 * i, n=24)
            for i in range(4)
            for y in (-0.66 + 0.22 * (i % 2), 0.08 + 0.1 * (i % 2))
        ]
    elif look.kind == 2:
        marks = [
            stroke(
                smooth((x(0.28), y * d), (x(0.6), y * d), (x(1.0), 0.22 * y * d), closed=False),
                [wide, wide, 0.5 * wide],
            )
            for y in np.linspace(-0.62, 0.3, n)
        ]
    else:
        marks = [ellipse(x(0.42 + 0.22 * i), -0.95 * d, 0.085, 0.8 * d) for i in range(3)]
    canvas.fill(marks, look.pattern, part=None, relief=0, hole=around)


def _paint_side_fin(canvas: Canvas, look: _Look) -> None:
    x, d, lean = look.along, look.depth, look.sweep
    base = smooth((x(0.37), 0.1 * d), (x(0.36), 0.25 * d), (x(0.38), 0.42 * d), closed=False)
    tips = smooth(
        (x(0.56) + lean, -0.02 * d),
        (x(0.64) + lean, 0.35 * d),
        (x(0.56) + lean, 0.78 * d),
        closed=False,
    )
    below = shifted([base, tips[::-1]], 0.0, 0.02)
    canvas.shadow(np.concatenate(below), opacity=0.25, soft=0.02)
    _paint_fin(canvas, look, base, tips)


def _paint_face(canvas: Canvas, look: _Look) -> None:
    x, d = look.along, look.depth
    canvas.fill(
        ellipse(x(0.2), 0.32 * d, 0.04), rgb("#ff8f7d"), part=None, relief=0, soft=0.04, opacity=0.5
    )
    paint_eye(canvas, x(0.17), -0.2 * d, look.eye, iris=look.fin, ring=rgb("#fffaf0"))
    dark = mix(look.lips, rgb("#3c0f22"), 0.7)
    canvas.fill(ellipse(x(0.03), 0.035, 0.045, 0.03), dark, part="mouth", relief=0)
    lips = [
        stroke(smooth(*line, closed=False), [0.026, 0.046, 0.05])
        for line in (
            ((x(0.11), 0.03), (x(0.05), 0.0), (x(-0.02), 0.0)),
            ((x(0.11), 0.04), (x(0.05), 0.07), (x(-0.005), 0.068)),
        )
    ]
    canvas.fill(lips, look.lips, to=mix(look.lips, dark, 0.3), part="mouth", relief=0.6)
