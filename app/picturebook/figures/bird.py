"""A bird, standing or in flight: rows of feathers on the wing, a barred tail, a two-part beak."""

from dataclasses import dataclass

import numpy as np

from app.picturebook.canvas import Canvas, Colour, mix, rgb, vary
from app.picturebook.figures.living import hairs, outside, paint_eye, scales, shifted
from app.picturebook.figures.placing import place
from app.picturebook.shapes import Frame, Points, ellipse, polygon, smooth, stroke

# Back, breast, cap, wing feathers, wing coverts, tail.
_PLUMAGES = (
    ("#8a6a4c", "#e2703a", "#7a5a40", "#4f3d33", "#b08a5e", "#5d4637"),
    ("#5f9bd0", "#f6d95c", "#3a6fb5", "#2c4c80", "#86bfe0", "#365f9c"),
    ("#d33f3f", "#ef8a6a", "#a82a35", "#5f2430", "#e06a52", "#7d2836"),
    ("#f0c13c", "#fff0b0", "#3a3338", "#37323c", "#f6e3a0", "#4a4348"),
    ("#3fa38f", "#f2a15c", "#23727d", "#1f5a78", "#6cc7b0", "#2b6a8c"),
    ("#7ab04c", "#e9ec9a", "#4d8a3e", "#2f5f4a", "#e2c94a", "#b0503e"),
    ("#a38fbb", "#f6dbe2", "#6f5a94", "#4d4470", "#cdb6da", "#5c5286"),
    ("#e9e4dc", "#ffffff", "#c9c6cc", "#6a6f7d", "#d8d9de", "#8a8f9c"),
)
_BEAKS = ("#f0a02c", "#e2603a", "#4a4248", "#e8c24a")
_LEGS = ("#d9772e", "#b8523e", "#6a5a58", "#e0a44a")
_IRISES = ("#5a3a24", "#c9822c", "#7a2c2c", "#3a5f7a")

_FEATHER = smooth(
    *((0.0, -0.22), (0.3, -0.46), (0.7, -0.5), (0.94, -0.33), (1.03, 0.0)),
    *((0.94, 0.33), (0.7, 0.5), (0.3, 0.46), (0.0, 0.22)),
)[::2]


@dataclass(frozen=True, slots=True)
class _Look:
    back: Colour
    breast: Colour
    cap: Colour
    wing: Colour
    coverts: Colour
    tail: Colour
    beak: Colour
    leg: Colour
    iris: Colour
    pose: int  # 0 standing, 1 in flight with wings up, 2 with wings down
    stout: float  # about 1
    bill: float  # length of the beak
    gape: float  # how far it is open
    lift: float  # angle of the wings, in degrees
    cock: float  # angle of the tail
    tail_long: float
    bars: int
    spotted: bool
    masked: bool
    stride: float
    crest: float

    @property
    def dark(self) -> Colour:
        return mix(self.back, rgb("#1d1638"), 0.4)


def _look(rng: np.random.Generator) -> _Look:
    back, breast, cap, wing, coverts, tail = (
        vary(rng, rgb(code), 10) for code in _PLUMAGES[int(rng.integers(len(_PLUMAGES)))]
    )
    return _Look(
        back=back,
        breast=breast,
        cap=cap,
        wing=wing,
        coverts=coverts,
        tail=tail,
        beak=vary(rng, rgb(str(rng.choice(_BEAKS)))),
        leg=vary(rng, rgb(str(rng.choice(_LEGS)))),
        iris=vary(rng, rgb(str(rng.choice(_IRISES)))),
        pose=int(rng.integers(3)),
        stout=rng.uniform(0.9, 1.12),
        bill=rng.uniform(0.12, 0.17),
        gape=rng.uniform(0.0, 0.05),
        lift=rng.uniform(-14, 16),
        cock=rng.uniform(-26, 14),
        tail_long=rng.uniform(0.33, 0.4),
        bars=int(rng.integers(2, 5)),
        spotted=bool(rng.random() < 0.45),
        masked=bool(rng.random() < 0.4),
        stride=rng.uniform(0.05, 0.11),
        crest=rng.uniform(-0.03, 0.1),
    )


def paint_bird(canvas: Canvas, rng: np.random.Generator, *, horizon: float, far: bool) -> None:
    look = _look(rng)
    flying = look.pose > 0
    where = place(
        rng,
        horizon,
        far=far,
        height=0.55 if flying else 0.6,
        tilt=11.0 if flying else 4.0,
        above=(0.52 if look.pose == 1 else 0.42) if flying else None,
    )
    with canvas.at(where.x, where.y, where.scale, angle=where.angle, flip=where.flip):
        if flying:
            _paint_flying(canvas, look)
        else:
            _paint_standing(canvas, look)


def _paint_standing(canvas: Canvas, look: _Look) -> None:
    s = look.stout
    canvas.shadow(ellipse(0.0, 0.0, 0.3, 0.04), opacity=0.3)
    _paint_tail(canvas, look, 0.2, -0.36, 12 + look.cock)
    for x in (-0.03 - look.stride, -0.03 + look.stride):
        _paint_leg(canvas, look, ((0.02 + 0.4 * x, -0.26), (x + 0.03, -0.15), (x, -0.015)), 0.0)
    body = smooth(
        (-0.42, -0.76),
        (-0.38, -0.9),
        (-0.24, -0.97 - max(0.0, 0.2 * look.crest)),
        (-0.1, -0.91),
        (-0.03, -0.77),
        (0.1, -0.64),
        (0.24, -0.48),
        (0.28, -0.34),
        (0.14, -0.25 + 0.05 * (s - 1)),
        (-0.08, -0.2 - 0.1 * (s - 1)),
        (-0.26 * s, -0.3),
        (-0.36 * s, -0.48),
        (-0.37, -0.62),
    )
    breast = smooth(
        (-0.45, -0.72), (-0.24, -0.68), (-0.1, -0.48), (0.02, -0.15), (-0.5, -0.1), (-0.6, -0.5)
    )
    _paint_crest(canvas, look, -0.2, -0.93, -34.0)
    _paint_body(canvas, look, body, breast, (-0.22, -0.99))
    _paint_folded_wing(canvas, look)
    _paint_face(canvas, look, -0.25, -0.78, -0.4)


def _paint_flying(canvas: Canvas, look: _Look) -> None:
    s, up = look.stout, look.pose == 1
    away = 22 + look.lift if up else look.lift - 2
    _paint_tail(canvas, look, 0.22, 0.02, 0.5 * look.cock)
    _paint_open_wing(canvas, look, (-0.08, -0.06 if up else 0.06), away - 44, up, 0.85)
    for x in (0.1, 0.1 + 1.4 * look.stride):
        _paint_leg(canvas, look, ((x, 0.1), (x + 0.06, 0.2 * s), (x + 0.15, 0.26 * s)), -50.0)
    body = smooth(
        (-0.48, -0.05),
        (-0.44, -0.18),
        (-0.31, -0.24),
        (-0.17, -0.21),
        (-0.02, -0.18),
        (0.16, -0.13),
        (0.29, -0.03),
        (0.29, 0.05),
        (0.16, 0.16 * s),
        (-0.08, 0.24 * s),
        (-0.29, 0.2 * s),
        (-0.42, 0.1),
    )
    breast = smooth((-0.5, 0.02), (-0.3, 0.02), (-0.05, 0.07), (0.3, 0.06), (0.3, 0.3), (-0.4, 0.3))
    _paint_crest(canvas, look, -0.27, -0.19, -14.0)
    _paint_body(canvas, look, body, breast, (-0.29, -0.25))
    _paint_open_wing(canvas, look, (-0.02, -0.04 if up else 0.0), away, up, 1.0)
    _paint_face(canvas, look, -0.31, -0.07, -0.45)


def _paint_body(
    canvas: Canvas, look: _Look, body: Points, breast: Points, crown: tuple[float, float]
) -> None:
    around = outside(body)
    canvas.fill(body, look.back, to=look.dark, part="body", relief=0.55)
    tint = mix(look.breast, look.dark, 0.25)
    canvas.fill(breast, look.breast, to=tint, part=None, relief=0.15, hole=around, soft=0.004)
    canvas.fill(ellipse(*crown, 0.2, 0.13), look.cap, part=None, relief=0.1, hole=around)
    low, high = body.min(axis=0), body.max(axis=0)
    box = (float(low[0]), float(low[1]), float(high[0]), float(high[1]))
    if look.spotted:
        spots = hairs(box, 60, 0.036, 0.026, 0.4)
        brown = mix(look.dark, rgb("#4a2a1c"), 0.4)
        canvas.fill(spots, brown, part=None, relief=0, hole=around, opacity=0.8)
    for n, colour in ((90, look.dark), (67, rgb("#fffbe8"))):
        canvas.fill(
            hairs(box, n, 0.06, 0.014, 0.5),
            colour,
            part=None,
            relief=0,
            texture="none",
            hole=around,
            opacity=0.4,
        )


def _paint_crest(canvas: Canvas, look: _Look, x: float, y: float, angle: float) -> None:
    if look.crest < 0.03:
        return
    tips = [_feather((x, y), angle - 60 + 22 * i, look.crest + 0.1, 0.06) for i in range(3)]
    canvas.fill(tips, look.cap, to=look.dark, part="body", relief=0.4)


def _feather(foot: tuple[float, float], degrees: float, length: float, width: float) -> Points:
    """A feather from its foot; 0 degrees to the right, clockwise."""
    return Frame(*foot, angle=degrees).apply(_FEATHER * (length, width))


def _paint_row(
    canvas: Canvas,
    feathers: list[tuple[tuple[float, float], float, float]],
    width: float,
    colours: tuple[Colour, Colour, Colour],
    part: str,
) -> None:
    """Feathers (foot, degrees, length) in two shades, every second above its neighbours; the third
    colour is that of their shafts."""
    for first in (0, 1):
        row = [_feather(*feather, width) for feather in feathers[first::2]]
        edge = mix(colours[first], rgb("#120d24"), 0.45)
        canvas.fill(shifted(row, 0.004, 0.008), edge, part=part, relief=0)
        canvas.fill(row, colours[first], to=mix(colours[first], edge, 0.35), part=part)
    shafts = [_feather(foot, turn, 0.9 * length, 0.1 * width) for foot, turn, length in feathers]
    canvas.fill(shafts, colours[2], part=None, relief=0, texture="none", opacity=0.8)


def _fan(
    line: Points, degrees: tuple[float, float], lengths: tuple[float, float]
) -> list[tuple[tuple[float, float], float, float]]:
    """Feathers along a line, with angle and length from the first to the last."""
    n = len(line)
    return [
        ((float(x), float(y)), float(turn), float(length))
        for (x, y), turn, length in zip(
            line, np.linspace(*degrees, n), np.linspace(*lengths, n), strict=True
        )
    ]


def _shades(colour: Colour) -> tuple[Colour, Colour, Colour]:
    pale = mix(colour, rgb("#fff6dc"), 0.22)
    return colour, pale, mix(colour, rgb("#fff6dc"), 0.65)


def _paint_open_wing(
    canvas: Canvas, look: _Look, shoulder: tuple[float, float], angle: float, up: bool, size: float
) -> None:
    """A spread wing; upwards and then turned clockwise, or downwards and turned the other way."""
    turn = angle if up else 180 - angle
    with canvas.at(*shoulder, 0.54 * size, angle=turn, flip=not up):
        bone = smooth((0.1, 0.1), (-0.06, -0.2), (-0.05, -0.42), (0.06, -0.62), closed=False)
        line = bone[np.linspace(4, len(bone) - 1, 9).astype(int)]
        _paint_row(canvas, _fan(line, (22, -82), (0.46, 0.5)), 0.13, _shades(look.wing), "wing")
        _paint_row(
            canvas, _fan(line, (14, -76), (0.28, 0.26)), 0.125, _shades(look.coverts), "wing"
        )
        arm = stroke(bone, [0.26, 0.24, 0.2, 0.1])
        colour = mix(look.back, look.wing, 0.2)
        canvas.fill(arm, colour, to=look.dark, part="wing", relief=0.5)
        _paint_small_feathers(canvas, arm, colour, -10.0)


def _paint_folded_wing(canvas: Canvas, look: _Look) -> None:
    with canvas.at(-0.14, -0.56, 0.6, angle=34.0 + 0.25 * look.lift):
        line = polygon((0.2, 0.13), (0.22, 0.1), (0.2, 0.06), (0.16, 0.02), (0.12, -0.03))
        _paint_row(canvas, _fan(line, (16, -4), (0.62, 0.78)), 0.11, _shades(look.wing), "wing")
        line = polygon((0.06, 0.16), (0.1, 0.12), (0.12, 0.07), (0.12, 0.02), (0.1, -0.04))
        _paint_row(canvas, _fan(line, (38, -6), (0.3, 0.4)), 0.12, _shades(look.coverts), "wing")
        cap = smooth(
            (-0.06, 0.0), (0.04, -0.14), (0.22, -0.12), (0.34, 0.02), (0.2, 0.17), (0.02, 0.16)
        )
        colour = mix(look.back, look.wing, 0.2)
        canvas.fill(cap, colour, to=look.dark, part="wing", relief=0.5)
        _paint_small_feathers(canvas, cap, colour, 0.0)


def _paint_small_feathers(canvas: Canvas, outline: Points, colour: Colour, turn: float) -> None:
    low, high = outline.min(axis=0), outline.max(axis=0)
    box = (float(low[0]) - 0.1, float(low[1]), float(high[0]), float(high[1]))
    canvas.fill(
        scales(box, 0.1, 0.024, turn),
        mix(colour, rgb("#fff6dc"), 0.55),
        part=None,
        relief=0,
        texture="none",
        hole=outside(outline),
    )


def _paint_tail(canvas: Canvas, look: _Look, x: float, y: float, angle: float) -> None:
    """Feathers in a narrow fan to the right of (x, y), with pale bars across."""
    long = look.tail_long
    with canvas.at(x, y, angle=angle):
        line = polygon(*((0.0, 0.012 * k) for k in (-2, 2, -1, 1, 0)))
        turns = (-19.0, 19.0, -9.0, 9.0, 0.0)
        fan = [
            ((float(a), float(b)), turn, long * (1 - 0.004 * abs(turn)))
            for (a, b), turn in zip(line, turns, strict=True)
        ]
        _paint_row(canvas, fan, 0.095, _shades(look.tail), "tail")
        bars = []
        for foot, turn, length in fan:
            way = np.array([np.cos(np.radians(turn)), np.sin(np.radians(turn))])
            side = 0.036 * np.array([-way[1], way[0]])
            for share in np.linspace(0.94, 0.5, look.bars):
                at = foot + way * share * length
                bars.append(stroke(np.stack([at - side, at + 0.014 * way, at + side]), 0.026))
        canvas.fill(bars, mix(look.tail, rgb("#fff3d0"), 0.8), part=None, relief=0)


def _paint_leg(
    canvas: Canvas, look: _Look, joints: tuple[tuple[float, float], ...], droop: float
) -> None:
    """A leg with rings, and a foot with three toes forward and one back."""
    line = smooth(*joints, closed=False)
    x, y = joints[-1]
    with canvas.at(x, y, angle=droop):
        toes = [
            stroke(
                smooth((0, 0), (0.5 * a, b - 0.012), (a, b), closed=False), [0.034, 0.032, 0.018]
            )
            for a, b in ((-0.12, 0.0), (-0.1, 0.03), (-0.04, 0.035), (0.075, 0.012))
        ]
        dark = mix(look.leg, rgb("#2a1620"), 0.4)
        canvas.fill(toes, look.leg, to=dark, part="leg", relief=0.4)
    canvas.fill(stroke(line, [0.06, 0.04, 0.04]), look.leg, to=dark, part="leg", relief=0.4)
    rings = [stroke(polygon((a - 0.017, b), (a + 0.017, b + 0.006)), 0.008) for a, b in line[6::4]]
    canvas.fill(rings, dark, part=None, relief=0, opacity=0.8)


def _paint_face(canvas: Canvas, look: _Look, x: float, y: float, front: float) -> None:
    """Beak at `front`, and the eye around (x, y)."""
    if look.masked:
        patch = smooth((front + 0.02, y + 0.02), (x - 0.02, y - 0.1), (x + 0.12, y), (x, y + 0.09))
        canvas.fill(patch, look.cap, part=None, relief=0.1)
    blush = ellipse(x + 0.03, y + 0.12, 0.05, 0.036)
    canvas.fill(blush, rgb("#ff7f6a"), part=None, relief=0, soft=0.04, opacity=0.5)
    tip, level, gape = front - look.bill, y + 0.03, look.gape
    dark = mix(look.beak, rgb("#3a1420"), 0.4)
    lower = smooth(
        (front + 0.05, level),
        (front - 0.02, level + 0.005),
        (tip + 0.05, level + 0.02 + gape),
        (front, level + 0.06 + 0.5 * gape),
        (front + 0.05, level + 0.05),
    )
    upper = smooth(
        (front + 0.06, level - 0.065),
        (front - 0.02, level - 0.055),
        (tip + 0.01, level + 0.0),
        (tip, level + 0.02),
        (front - 0.02, level + 0.012),
        (front + 0.06, level + 0.015),
    )
    canvas.fill(lower, dark, part="beak", relief=0.4, texture="none")
    canvas.fill(upper, look.beak, to=dark, part="beak", relief=0.6, texture="none")
    canvas.fill(ellipse(front - 0.01, level - 0.03, 0.012, 0.007), dark, part=None, relief=0)
    paint_eye(canvas, x, y - 0.01, 0.076, iris=look.iris, ring=rgb("#fff8ea"))
