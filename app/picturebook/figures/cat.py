"""A cat, sitting or walking: striped tail, furry body, paws with toes, and a face with whiskers."""

from dataclasses import dataclass

import numpy as np

from app.picturebook.canvas import Canvas, Colour, mix, rgb, vary
from app.picturebook.figures.living import furry, hairs, outside, spaced
from app.picturebook.figures.placing import place
from app.picturebook.shapes import Points, arc, ellipse, mirrored, polygon, smooth, stroke

# Coat, stripes, light fur of muzzle and paws.
_COATS = (
    ("#e8913f", "#b5551f", "#fff0d8"),
    ("#8f8a8c", "#4a4650", "#f4efe8"),
    ("#3f3a48", "#1f1b28", "#f3ece4"),
    ("#f2e3c8", "#c08a54", "#fffaf0"),
    ("#a9784d", "#5e3a24", "#f6e3c4"),
    ("#c9b6a2", "#5d4640", "#fbf3e6"),
    ("#f6f0e8", "#d98a4a", "#ffffff"),
    ("#6f7f95", "#3c475c", "#eef1f4"),
)
_IRISES = ("#6fae4f", "#e3b23c", "#57a5c9", "#c77f2f", "#8fc06a")
_PINK = rgb("#e88f8f")
_INK = rgb("#2a1c22")


@dataclass(frozen=True, slots=True)
class _Look:
    coat: Colour
    stripe: Colour
    light: Colour
    iris: Colour
    sitting: bool
    kind: int  # of coat: 0 striped, 1 patched, 2 plain with dark points
    head: float  # half its width
    nod: float  # of the head, in degrees
    ears: float  # their length
    wide: float  # how stout, about 1
    thick: float  # of the tail
    curl: float  # of the tail's end
    pupil: float  # its width, a share of the eye's
    step: float  # of the walk

    @property
    def dark(self) -> Colour:
        return mix(self.coat, rgb("#2a1a3a"), 0.35)

    @property
    def points(self) -> Colour:
        """Colour of ears and tail."""
        return self.stripe if self.kind == 2 else self.coat


def _look(rng: np.random.Generator) -> _Look:
    coat, stripe, light = (
        vary(rng, rgb(code), 9) for code in _COATS[int(rng.integers(len(_COATS)))]
    )
    return _Look(
        coat=coat,
        stripe=stripe,
        light=light,
        iris=vary(rng, rgb(str(rng.choice(_IRISES)))),
        sitting=bool(rng.random() < 0.55),
        kind=int(rng.integers(3)),
        head=rng.uniform(0.235, 0.265),
        nod=rng.uniform(-13, 13),
        ears=rng.uniform(0.5, 0.75),
        wide=rng.uniform(0.9, 1.12),
        thick=rng.uniform(0.095, 0.125),
        curl=rng.uniform(-0.07, 0.07),
        pupil=rng.uniform(0.3, 0.75),
        step=rng.uniform(0.03, 0.09),
    )


def paint_cat(canvas: Canvas, rng: np.random.Generator, *, horizon: float, far: bool) -> None:
    look = _look(rng)
    height = 0.68 if look.sitting else 0.6
    where = place(rng, horizon, far=far, height=height, tilt=3.0)
    with canvas.at(where.x, where.y, where.scale, angle=where.angle, flip=where.flip):
        if look.sitting:
            _paint_sitting(canvas, look)
        else:
            _paint_walking(canvas, look)


def _paint_sitting(canvas: Canvas, look: _Look) -> None:
    w = look.wide
    canvas.shadow(ellipse(0.05, 0.0, 0.45, 0.05), opacity=0.3)
    tail = smooth(
        (0.12, -0.08),
        (0.34, -0.07),
        (0.43, -0.2),
        (0.38 + look.curl / 2, -0.36),
        (0.42 + look.curl, -0.5),
        closed=False,
    )
    _paint_tail(canvas, look, tail)
    half = ((0.0, -0.6), (0.14, -0.52), (0.18, -0.36), (0.27 * w, -0.2), (0.27 * w, -0.06))
    right = [*half, (0.2 * w, 0.0), (0.0, 0.0)]
    left = [(-x, y) for x, y in right[-2:0:-1]]
    body = furry(smooth(*right, *left), 34, 0.016)
    stripes = [
        stroke(arc(side * 0.3 * w, y, 0.14 * w, 0.05, 200, 340, n=12), [0.01, 0.036, 0.01])
        for side in (-1, 1)
        for y in (-0.36, -0.27, -0.18, -0.09)
    ]
    _paint_body(canvas, look, body, stripes, (0.16 * w, -0.3))
    legs = [
        stroke(polygon((side * 0.06, -0.32), (side * 0.085, -0.03)), [0.05, 0.11, 0.105])
        for side in (-1, 1)
    ]
    canvas.fill(legs, look.coat, to=look.dark, part="body", texture="fur", relief=0.4)
    bib = furry(
        smooth((-0.11, -0.55), (0.11, -0.55), (0.1, -0.36), (0.0, -0.24), (-0.1, -0.36)), 9, 0.03
    )
    canvas.fill(bib, look.light, to=mix(look.light, look.coat, 0.3), part="body", texture="fur")
    canvas.fill(
        stroke(polygon((0, -0.24), (0, -0.03)), [0.006, 0.016]), look.dark, part=None, relief=0
    )
    for x in (-0.24 * w, 0.24 * w, -0.088, 0.088):
        _paint_paw(canvas, look, x)
    _paint_head(canvas, look, 0.0, -0.71)


def _paint_walking(canvas: Canvas, look: _Look) -> None:
    w, step = look.wide, look.step
    canvas.shadow(ellipse(0.0, 0.0, 0.46, 0.045), opacity=0.3)
    tail = smooth(
        (0.3, -0.48),
        (0.42, -0.56),
        (0.47, -0.7),
        (0.42 + look.curl / 2, -0.84),
        (0.45 + look.curl, -0.97),
        closed=False,
    )
    _paint_tail(canvas, look, tail)
    _paint_legs(canvas, look, (-0.22 + 1.4 * step, 0.2 + 1.4 * step), look.dark)
    low = -0.22 - 0.05 * (w - 1)
    body = furry(
        smooth(
            (-0.36, -0.5),
            (-0.22, -0.56),
            (0.0, -0.53),
            (0.22, -0.56),
            (0.35, -0.5),
            (0.38, -0.36),
            (0.28, low),
            (0.02, low + 0.01),
            (-0.26, low),
            (-0.37, -0.34),
        ),
        34,
        0.014,
    )
    stripes = [
        stroke(
            smooth((x, -0.58), (x + 0.025, -0.45), (x - 0.01, -0.3), closed=False),
            [0.05, 0.034, 0.006],
        )
        for x in np.linspace(-0.12, 0.32, 6)
    ]
    _paint_body(canvas, look, body, stripes, (0.12, -0.47))
    _paint_legs(canvas, look, (-0.26 - step, 0.28 - step), look.coat)
    _paint_head(canvas, look, -0.24, -0.64)


def _paint_legs(canvas: Canvas, look: _Look, at: tuple[float, float], colour: Colour) -> None:
    legs = [
        stroke(
            smooth((x + 0.02, -0.34), (x + 0.01, -0.17), (x - 0.01, -0.04), closed=False),
            [0.16, 0.11, 0.09],
        )
        for x in at
    ]
    canvas.fill(legs, colour, to=mix(colour, look.dark, 0.6), part="body", texture="fur")
    for x in at:
        _paint_paw(canvas, look, x - 0.035)


def _paint_tail(canvas: Canvas, look: _Look, line: Points) -> None:
    t = look.thick
    whole = furry(stroke(line, [t, t, 1.05 * t, 1.1 * t, 0.8 * t]), 30, 0.011)
    colour = look.points
    canvas.fill(whole, colour, to=mix(colour, look.dark, 0.5), part="tail", texture="fur")
    around = outside(whole)
    points = spaced(line, 100)
    rings = [_across(points, i, t, 0.42 * t) for i in range(20, 84, 13)]
    ring = look.light if look.kind == 2 else look.stripe
    canvas.fill(rings, ring, part=None, relief=0.2, texture="fur", hole=around, opacity=0.9)
    end = [_across(points, i, t, 0.3 * t) for i in range(87, 100, 3)]
    canvas.fill(end, ring, part=None, relief=0.2, texture="fur", hole=around)


def _across(line: Points, i: int, reach: float, width: float) -> Points:
    """A stroke across a line at its i-th point."""
    along = line[min(i + 1, len(line) - 1)] - line[i - 1]
    across = np.array([-along[1], along[0]]) / np.linalg.norm(along) * reach
    return stroke(np.stack([line[i] - across, line[i], line[i] + across]), width)


def _paint_body(
    canvas: Canvas, look: _Look, body: Points, stripes: list[Points], patch: tuple[float, float]
) -> None:
    around = outside(body)
    canvas.fill(body, look.coat, to=look.dark, part="body", relief=0.5, texture="fur", strength=1.6)
    if look.kind == 0:
        canvas.fill(stripes, look.stripe, part=None, relief=0, hole=around, opacity=0.9)
    elif look.kind == 1:
        spot = furry(ellipse(*patch, 0.15, 0.12), 14, 0.02)
        canvas.fill(spot, look.stripe, part=None, relief=0.1, texture="fur", hole=around)
    low, high = body.min(axis=0), body.max(axis=0)
    box = (float(low[0]), float(low[1]), float(high[0]), float(high[1]))
    for n, colour in ((110, look.stripe), (73, look.light)):
        canvas.fill(
            hairs(box, n, 0.06, 0.011),
            colour,
            part=None,
            relief=0,
            texture="none",
            hole=around,
            opacity=0.5,
        )


def _paint_paw(canvas: Canvas, look: _Look, x: float) -> None:
    canvas.fill(
        smooth(
            (x - 0.085, -0.03),
            (x - 0.05, -0.078),
            (x + 0.05, -0.078),
            (x + 0.085, -0.03),
            (x + 0.06, 0.012),
            (x - 0.06, 0.012),
        ),
        look.light,
        to=mix(look.light, look.dark, 0.35),
        part="paw",
        relief=0.6,
    )
    toes = [
        stroke(polygon((x + dx, -0.038), (x + 1.15 * dx, 0.004)), [0.011, 0.015])
        for dx in (-0.03, 0.0, 0.03)
    ]
    canvas.fill(toes, _INK, part=None, relief=0, opacity=0.8)


def _paint_head(canvas: Canvas, look: _Look, x: float, y: float) -> None:
    """The head around (x, y), in units of half its width."""
    skull = smooth(
        *((-1.0, 0.12), (-0.86, -0.48), (-0.4, -0.78), (0.4, -0.78), (0.86, -0.48), (1.0, 0.12)),
        *((0.74, 0.6), (0.32, 0.82), (-0.32, 0.82), (-0.74, 0.6)),
    )
    head = furry(skull, 26, 0.07)
    canvas.shadow(ellipse(x, y + 0.1, 0.9 * look.head, 0.8 * look.head), opacity=0.25, soft=0.04)
    with canvas.at(x, y, look.head, angle=look.nod):
        _paint_ears(canvas, look)
        canvas.fill(
            head,
            mix(look.coat, look.light, 0.12),
            to=look.dark,
            part="head",
            relief=0.5,
            texture="fur",
        )
        _paint_marks(canvas, look, outside(head))
        _paint_muzzle(canvas, look)
        _paint_eyes(canvas, look)
        _paint_whiskers(canvas, look)


def _paint_ears(canvas: Canvas, look: _Look) -> None:
    tip = -0.75 - look.ears
    ear = smooth(
        (-0.98, -0.2), (-1.0, -0.8), (-0.84, tip), (-0.46, -0.98), (-0.06, -0.66), (-0.5, -0.3)
    )
    inner = smooth((-0.84, -0.4), (-0.87, -0.8), (-0.79, tip + 0.2), (-0.53, -0.92), (-0.27, -0.66))
    tufts = [
        stroke(
            polygon((-0.66 + 0.1 * i, -0.5), (-0.74 + 0.06 * i, -0.92 - 0.06 * (i % 2))),
            [0.07, 0.01],
        )
        for i in range(4)
    ]
    both = [[points, mirrored(points)] for points in (ear, inner)]
    canvas.fill(
        both[0], look.points, to=mix(look.points, look.dark, 0.5), part="ear", texture="fur"
    )
    canvas.fill(both[1], _PINK, to=mix(_PINK, rgb("#7a3348"), 0.4), part="ear", relief=0.2)
    hair = [*tufts, *(mirrored(points) for points in tufts)]
    canvas.fill(hair, look.light, part=None, relief=0, opacity=0.9)


def _paint_marks(canvas: Canvas, look: _Look, around: Points) -> None:
    if look.kind == 0:
        forehead = [
            stroke(polygon((1.7 * dx, -0.95), (dx, -0.36 - 0.06 * (dx == 0))), [0.15, 0.05])
            for dx in (-0.22, 0.0, 0.22)
        ]
        cheeks = [
            stroke(polygon((side * 1.1, y), (side * 0.7, y + 0.06)), [0.13, 0.03])
            for side in (-1, 1)
            for y in (-0.05, 0.18)
        ]
        canvas.fill(
            [*forehead, *cheeks], look.stripe, part=None, relief=0, hole=around, opacity=0.9
        )
    elif look.kind == 1:
        spot = furry(ellipse(0.62, -0.4, 0.55, 0.5), 16, 0.07)
        canvas.fill(spot, look.stripe, part=None, relief=0.1, texture="fur", hole=around)
    else:
        mask = ellipse(0.0, 0.2, 0.6, 0.62)
        canvas.fill(mask, look.stripe, part=None, relief=0, soft=0.3, opacity=0.75)


def _paint_muzzle(canvas: Canvas, look: _Look) -> None:
    cheeks = [furry(ellipse(side * 0.22, 0.42, 0.29, 0.24), 14, 0.04) for side in (-1, 1)]
    blaze = smooth((0, -0.3), (0.14, 0.2), (0, 0.5), (-0.14, 0.2))
    chin = ellipse(0, 0.62, 0.2, 0.15)
    canvas.fill(
        [blaze, chin, *cheeks],
        look.light,
        to=mix(look.light, look.dark, 0.2),
        part="head",
        relief=0.3,
    )
    blush = [ellipse(side * 0.68, 0.34, 0.16, 0.11) for side in (-1, 1)]
    canvas.fill(blush, rgb("#ff8078"), part=None, relief=0, soft=0.14, opacity=0.45)
    smile = [stroke(arc(side * 0.15, 0.4, 0.15, 0.15, 8, 172), 0.05) for side in (-1, 1)]
    canvas.fill(smile, _INK, part="head", relief=0)
    nose = smooth((-0.15, 0.22), (0, 0.2), (0.15, 0.22), (0.04, 0.37), (-0.04, 0.37))
    canvas.fill(nose, rgb("#d9606c"), part="head", relief=0.5, texture="none")


def _paint_eyes(canvas: Canvas, look: _Look) -> None:
    almond = smooth(
        (-0.68, -0.02), (-0.5, -0.25), (-0.3, -0.24), (-0.17, 0.06), (-0.36, 0.2), (-0.56, 0.16)
    )
    rim = 1.14 * (almond - (-0.42, 0.0)) + (-0.42, 0.0)
    pupil = ellipse(-0.42, -0.01, 0.2 * look.pupil, 0.2)
    lights = [ellipse(x - 0.06, -0.1, 0.07, n=16) for x in (-0.42, 0.42)]
    for outline, colour in ((rim, _INK), (almond, look.iris), (pupil, rgb("#120c14"))):
        canvas.fill(
            [outline, mirrored(outline)],
            colour,
            to=mix(colour, rgb("#fff4c0"), 0.35) if outline is almond else None,
            part="eye",
            relief=0,
            texture="none",
        )
    canvas.fill(lights, rgb("#ffffff"), part="eye", relief=0, texture="none")


def _paint_whiskers(canvas: Canvas, look: _Look) -> None:
    pale = sum(look.coat) > 360
    hairs = [
        stroke(
            smooth(
                (0.4, 0.4 + 0.09 * k),
                (0.85, 0.36 + 0.15 * k),
                (1.36, 0.34 + 0.27 * k),
                closed=False,
            ),
            [0.05, 0.055, 0.03],
        )
        for k in (-1, 0, 1)
    ]
    canvas.fill(
        [*hairs, *(mirrored(points) for points in hairs)],
        rgb("#4a2c2a") if pale else rgb("#fffaf0"),
        part="whiskers",
        relief=0,
        texture="none",
    )
