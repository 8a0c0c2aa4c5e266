"""A flower: a large bloom with a centre full of seeds, on a stem with veined leaves."""

from dataclasses import dataclass

import numpy as np

from app.picturebook.canvas import Canvas, Colour, mix, rgb, vary
from app.picturebook.figures.living import outside, shifted
from app.picturebook.figures.placing import place
from app.picturebook.shapes import Points, ellipse, polygon, smooth, stroke, turned

# Petals, their base, centre.
_BLOOMS = (
    ("#f4f0e6", "#f3cf6a", "#eeb22d"),
    ("#f2b632", "#d9701f", "#6b4024"),
    ("#e2607e", "#8e2350", "#f3c64a"),
    ("#8f6cc0", "#f0dff5", "#f2c33c"),
    ("#d94a35", "#5c1a26", "#3d2b33"),
    ("#6f9bd8", "#f2f0ff", "#f4d35a"),
    ("#f2956b", "#c33f52", "#7a3f2b"),
    ("#f3b3c8", "#c94f86", "#c9d35c"),
)
_GREENS = ("#4f8f3c", "#3f7d4d", "#6f9a3a", "#2f7562")

# Half the width of a petal at each tenth of its length, of its largest width: long, broad, pointed.
_PETALS = (
    (0.35, 0.5, 0.68, 0.84, 0.95, 1.0, 1.0, 0.95, 0.82, 0.6, 0.2),
    (0.3, 0.42, 0.56, 0.72, 0.86, 0.96, 1.0, 0.98, 0.9, 0.68, 0.14),
    (0.45, 0.66, 0.84, 0.96, 1.0, 0.96, 0.85, 0.68, 0.47, 0.24, 0.02),
)


@dataclass(frozen=True, slots=True)
class _Look:
    petal: Colour
    base: Colour
    centre: Colour
    green: Colour
    kind: int  # of petal
    many: float  # 0..1, few to many petals
    notch: float  # depth of a broad petal's notch
    bloom: float  # its radius
    core: float  # radius of the centre, of the bloom's
    start: float  # angle of the first petal, degrees
    squash: float  # height of the bloom, of its width
    bend: float  # of the stem
    leaf: float  # length of the leaves
    leaf_width: float
    low: float  # where the leaves begin, a share of the stem's height
    leaves: int
    second: bool  # a second, small bloom
    side: int

    @property
    def number(self) -> int:
        fewest, most = ((11, 16), (5, 8), (12, 17))[self.kind]
        return fewest + int(self.many * (most - fewest + 0.99))

    def stem(self, share: float) -> tuple[float, float]:
        """The point at a share of the stem's height."""
        return self.bend * float(np.sin(2.6 * share)), -0.68 * share


def _look(rng: np.random.Generator) -> _Look:
    petal, base, centre = (
        vary(rng, rgb(code)) for code in _BLOOMS[int(rng.integers(len(_BLOOMS)))]
    )
    return _Look(
        petal=petal,
        base=base,
        centre=centre,
        green=vary(rng, rgb(str(rng.choice(_GREENS)))),
        kind=int(rng.integers(3)),
        many=rng.uniform(),
        notch=rng.uniform(-0.04, 0.14),
        bloom=rng.uniform(0.25, 0.3),
        core=rng.uniform(0.4, 0.5),
        start=rng.uniform(0, 72),
        squash=rng.uniform(0.84, 1.0),
        bend=rng.uniform(-0.06, 0.06),
        leaf=rng.uniform(0.37, 0.43),
        leaf_width=rng.uniform(0.18, 0.23),
        low=rng.uniform(0.08, 0.16),
        leaves=int(rng.integers(2, 4)),
        second=bool(rng.random() < 0.4),
        side=int(rng.choice([-1, 1])),
    )


def paint_flower(canvas: Canvas, rng: np.random.Generator, *, horizon: float, far: bool) -> None:
    where = place(rng, horizon, far=far, height=0.72, tilt=6.0)
    look = _look(rng)
    with canvas.at(where.x, where.y, where.scale, angle=where.angle, flip=where.flip):
        canvas.shadow(ellipse(0, 0.0, 0.28, 0.035), opacity=0.3)
        if look.second:
            _paint_second(canvas, look)
        _paint_stem(
            canvas, look, smooth(*(look.stem(t) for t in np.linspace(0, 1, 6)), closed=False)
        )
        for i in range(look.leaves):
            side = look.side * (-1) ** i
            _paint_leaf(canvas, look, look.stem(look.low + 0.14 * i), side, 1 - 0.16 * i)
        x, y = look.stem(1.0)
        _paint_bloom(canvas, look, x, y, look.bloom)


def _paint_stem(canvas: Canvas, look: _Look, line: Points, width: float = 0.07) -> None:
    green = mix(look.green, rgb("#a8b04a"), 0.35)
    dark = mix(look.green, rgb("#12302a"), 0.5)
    canvas.fill(
        stroke(line, [width, 0.8 * width, 0.8 * width]), green, to=dark, part="stem", relief=0.5
    )
    lines = [stroke(line + np.array([dx * width, 0.0]), 0.09 * width) for dx in (-0.2, 0.08)]
    canvas.fill(lines, dark, part=None, relief=0, opacity=0.6)
    thorns = [
        polygon(
            (x + s * 0.36 * width, y - 0.014),
            (x + s * 0.85 * width, y - 0.012),
            (x + s * 0.36 * width, y + 0.014),
        )
        for i, (x, y) in enumerate(line[6:-6:7])
        for s in ((-1, 1)[i % 2],)
    ]
    canvas.fill(thorns, mix(green, rgb("#8c3f3a"), 0.5), part="stem", relief=0)


def _paint_leaf(
    canvas: Canvas, look: _Look, foot: tuple[float, float], side: int, size: float
) -> None:
    """A leaf from its foot on the stem upwards to one side."""
    long, half = look.leaf, look.leaf_width / 2
    upper = smooth(
        (0, 0),
        (0.2 * long, -0.8 * half),
        (0.5 * long, -half),
        (0.8 * long, -0.55 * half),
        (long, 0.1 * half),
        closed=False,
    )
    lower = smooth(
        (0, 0),
        (0.2 * long, 0.9 * half),
        (0.5 * long, 1.1 * half),
        (0.8 * long, 0.7 * half),
        (long, 0.1 * half),
        closed=False,
    )
    n = len(upper)
    upper = upper + np.stack(
        [np.zeros(n), -0.07 * half * np.abs(np.sin(np.arange(n) * 0.8))], axis=1
    )
    whole = np.concatenate([upper, lower[::-1]])
    middle = (upper + lower) / 2
    dark = mix(look.green, rgb("#0f2b33"), 0.45)
    pale = mix(look.green, rgb("#f2f2b0"), 0.6)
    with canvas.at(*foot, size, angle=-34.0 * side, flip=side < 0):
        canvas.fill(whole, mix(look.green, pale, 0.2), to=dark, part="leaf", relief=0.5)
        shaded = np.concatenate([middle, lower[::-1]])
        canvas.fill(shaded, dark, part=None, relief=0, opacity=0.35)
        veins = [stroke(middle[:-2], [0.022, 0.008])]
        for i in range(6, n - 12, 7):
            for edge in (upper, lower):
                end = 0.12 * middle[i] + 0.88 * edge[i + 7]
                veins.append(
                    stroke(
                        np.stack([middle[i], (middle[i] + end) / 2 + (0.006, 0), end]),
                        [0.01, 0.005],
                    )
                )
        canvas.fill(veins, pale, part=None, relief=0, texture="none", hole=outside(whole))


def _petal(look: _Look, radius: float, length: float, width: float) -> Points:
    """A petal that points to the right, from inside the centre to the bloom's edge."""
    inner = 0.6 * look.core * radius
    along = np.linspace(inner, length * radius, 11)
    half = np.array(_PETALS[look.kind]) * width * radius
    if look.kind == 1:
        along[-1] -= look.notch * radius
        along[-2] += 0.03 * radius
    whole = smooth(*zip(along, -half, strict=True), *zip(along[::-1], half[::-1], strict=True))
    return whole[::6]


def _paint_ring(
    canvas: Canvas, look: _Look, radius: float, petal: Points, angles: list[float], colour: Colour
) -> None:
    """Petals around (0, 0) that do not overlap, with their veins."""

    def around(one: Points) -> list[Points]:
        return [turned(one, angle, (0.0, 0.0)) * (1.0, look.squash) for angle in angles]

    dark = mix(look.base, rgb("#2a1230"), 0.35)
    canvas.fill(around(petal * (1.02, 1.12)), mix(colour, dark, 0.55), part="petal", relief=0)
    canvas.fill(around(petal), colour, to=mix(colour, dark, 0.22), part="petal", relief=0.5)
    inner, tip = 0.6 * look.core * radius, float(petal[:, 0].max())
    half = float(petal[:, 1].max())
    blush = polygon((inner, -0.5 * half), (inner + 0.5 * (tip - inner), 0), (inner, 0.5 * half))
    canvas.fill(
        around(blush),
        look.base,
        part=None,
        relief=0,
        soft=0.06 * radius,
        opacity=0.8,
    )
    veins = [
        outline
        for k in (-1, 0, 1)
        for outline in around(
            stroke(
                smooth(
                    (inner, 0.15 * k * half),
                    (0.6 * tip, 0.5 * k * half),
                    (0.88 * tip, 0.42 * k * half),
                    closed=False,
                )[::4],
                [0.022 * radius, 0.03 * radius, 0.012 * radius],
            )
        )
    ]
    canvas.fill(veins, dark, part=None, relief=0, texture="none", opacity=0.55)


def _paint_bloom(canvas: Canvas, look: _Look, x: float, y: float, radius: float) -> None:
    n = look.number
    width = float(np.pi / n) * (0.52, 0.66, 0.55)[look.kind]
    angles = [look.start + 360 * i / n for i in range(n)]
    front, back = mix(look.petal, rgb("#ffffff"), 0.1), mix(look.petal, look.base, 0.25)
    canvas.shadow(ellipse(x, y + 0.04, 0.8 * radius), opacity=0.2, soft=0.06)
    with canvas.at(x, y):
        if look.kind != 1:
            behind = _petal(look, radius, 0.94, width)
            _paint_ring(canvas, look, radius, behind, [a + 180 / n for a in angles], back)
        _paint_ring(canvas, look, radius, _petal(look, radius, 1.0, width), angles, front)
        _paint_centre(canvas, look, look.core * radius)


def _paint_centre(canvas: Canvas, look: _Look, radius: float) -> None:
    """A dome of seeds in spirals, as in a sunflower."""
    dark = mix(look.centre, rgb("#2a1420"), 0.55)
    pale = mix(look.centre, rgb("#fff2b8"), 0.55)
    canvas.fill(ellipse(0, 0.05 * radius, 1.04 * radius), dark, part="center", relief=0)
    canvas.fill(
        ellipse(0, 0, radius), look.centre, to=dark, part="center", relief=0.7, texture="grain"
    )
    k = np.arange(1, 57)
    turns = k * np.radians(137.508)
    reach = radius * 0.94 * np.sqrt(k / 57)
    seeds = [
        ellipse(r * np.cos(a), r * np.sin(a), 0.068 * radius, n=8)
        for r, a in zip(reach, turns, strict=True)
    ]
    canvas.fill(shifted(seeds, 0.02 * radius, 0.03 * radius), dark, part=None, relief=0)
    canvas.fill(seeds[20:], pale, part=None, relief=0, texture="none")
    canvas.fill(seeds[:20], mix(look.centre, look.green, 0.4), part=None, relief=0, texture="none")


def _paint_second(canvas: Canvas, look: _Look) -> None:
    x, y = look.stem(0.3)
    side = -look.side
    ending = (x + side * 0.32, -0.45)
    line = smooth((x, y), (x + side * 0.12, -0.28), (x + side * 0.26, -0.33), ending, closed=False)
    _paint_stem(canvas, look, line, 0.04)
    _paint_bloom(canvas, look, *ending, 0.13)
