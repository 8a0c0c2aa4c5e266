"""What stands around on the ground: trees, bushes, a fence, rocks, blossoms."""

from typing import Final

import numpy as np

from app.picturebook.brushwork import Numbers, at_height, dots, puff
from app.picturebook.canvas import Canvas, mix, rgb, vary
from app.picturebook.mood import Mood
from app.picturebook.shapes import Points, ellipse, polygon, smooth, stroke

_PETALS: Final = ("#f6efe2", "#e8707a", "#f2c14e", "#b58bd0", "#f3a3b5", "#e98d4b")
_STONES: Final = ("#a39a94", "#8d8f99", "#b3a590", "#978b86")
_SHADE: Final = rgb("#26355c")


def paint_trees(
    canvas: Canvas,
    rng: np.random.Generator,
    mood: Mood,
    kind: str,
    x: Numbers,
    foot: Numbers,
    height: Numbers,
    *,
    distance: float = 0.12,
    snowy: bool = False,
) -> None:
    """Trees of one kind: "round", "poplar", "fir", "bare" or "palm"."""
    leaf = mood.hazed(vary(rng, mood.leaf, 10), distance)
    turns = rng.uniform(0, 3, len(x))
    trunks: list[Points] = []
    crowns: list[Points] = []
    lights: list[Points] = []
    for tree in zip(x.tolist(), foot.tolist(), height.tolist(), turns.tolist(), strict=True):
        trunk, crown, light = _TREES[kind](*tree, canvas.light[0])
        trunks += trunk
        crowns += crown
        lights += light
    wood = mood.hazed(mood.wood, distance)
    canvas.fill(trunks, wood, part="tree", relief=0.25, texture="wood")
    if crowns:
        deep = mix(leaf, _SHADE, 0.32)
        canvas.fill(crowns, leaf, to=deep, part="tree", relief=0.4, strength=1.5)
    if lights:
        bright = rgb("#f4f5fb") if snowy else mix(leaf, mood.glow, 0.4)
        part, opacity = ("snow", 0.92) if snowy else (None, 0.5)
        canvas.fill(lights, bright, part=part, relief=0, opacity=opacity, soft=0.002)


_Tree = tuple[list[Points], list[Points], list[Points]]


def _round_tree(x: float, y: float, h: float, turn: float, light: float) -> _Tree:
    """Trunk, crown, and where light falls on the crown."""
    trunk = stroke(
        polygon((x, y), (x + 0.015 * h, y - 0.3 * h), (x, y - 0.6 * h)), [0.09 * h, 0.05 * h]
    )
    lean = 0.1 * np.sin(2 * turn)
    crown = [
        puff(x, y - 0.66 * h, 0.33 * h, 0.32 * h, lobes=9, turn=turn),
        puff(x + (lean - 0.2) * h, y - 0.5 * h, 0.22 * h, 0.18 * h, lobes=7, turn=turn),
        puff(x + (lean + 0.2) * h, y - 0.53 * h, 0.21 * h, 0.19 * h, lobes=7, turn=turn),
    ]
    lit = [
        puff(x + (0.13 * light + a) * h, y - b * h, r * h, 0.7 * r * h, lobes=6, turn=turn)
        for a, b, r in ((0.0, 0.81, 0.15), (0.19 * light, 0.62, 0.1), (-0.12 * light, 0.6, 0.08))
    ]
    return [trunk], crown, lit


def _poplar(x: float, y: float, h: float, turn: float, light: float) -> _Tree:
    trunk = stroke(polygon((x, y), (x, y - 0.4 * h)), [0.05 * h, 0.03 * h])
    crown = [
        puff(x, y - 0.54 * h, 0.13 * h, 0.47 * h, lobes=11, turn=turn),
        puff(x, y - 0.38 * h, 0.15 * h, 0.28 * h, lobes=9, turn=turn + 1),
    ]
    lit = [
        puff(x + 0.06 * light * h, y - b * h, 0.045 * h, 0.1 * h, lobes=5)
        for b in (0.32, 0.56, 0.76)
    ]
    return [trunk], crown, lit


def _fir(x: float, y: float, h: float, turn: float, light: float) -> _Tree:
    trunk = stroke(polygon((x, y), (x, y - 0.3 * h)), 0.06 * h)
    crown, lit = [], []
    for low, high, half in ((0.1, 0.56, 0.27), (0.32, 0.78, 0.21), (0.56, 1.0, 0.145)):
        a, b, w = y - low * h, y - high * h, half * h
        sag = 0.035 * h
        crown.append(
            polygon(
                *(
                    (x, b),
                    (x + 0.42 * w, b + 0.5 * (a - b)),
                    (x + w, a),
                    (x + 0.55 * w, a - 0.3 * sag),
                ),
                *((x + 0.3 * w, a + sag), (x, a - 0.2 * sag), (x - 0.3 * w, a + sag)),
                *((x - 0.55 * w, a - 0.3 * sag), (x - w, a), (x - 0.42 * w, b + 0.5 * (a - b))),
            )
        )
        s = float(np.sign(light))
        lit.append(
            polygon(
                *((x, b), (x + s * 0.42 * w, b + 0.5 * (a - b)), (x + s * 0.95 * w, a - 0.005 * h)),
                *((x + s * 0.5 * w, a - 0.3 * (a - b)), (x + s * 0.3 * w, a - 0.18 * (a - b))),
                *((x + s * 0.12 * w, b + 0.5 * (a - b)),),
            )
        )
    return [trunk], crown, lit


def _bare_tree(x: float, y: float, h: float, turn: float, light: float) -> _Tree:
    bow = 0.05 * h * np.sin(2 * turn)
    trunk = smooth((x, y), (x + bow, y - 0.4 * h), (x - bow, y - 0.95 * h), closed=False)
    boughs = [stroke(trunk, [0.085 * h, 0.05 * h, 0.012 * h])]
    for at, reach, rise in (
        *((0.34, -0.3, 0.3), (0.42, 0.32, 0.32), (0.58, -0.2, 0.26), (0.66, 0.2, 0.22)),
        *((0.5, 0.14, 0.4), (0.75, -0.12, 0.17)),
    ):
        a, b = x + bow * 0.8, y - at * h
        bough = polygon(
            (a, b), (a + 0.6 * reach * h, b - 0.4 * rise * h), (a + reach * h, b - rise * h)
        )
        boughs.append(stroke(bough, [0.032 * h, 0.008 * h]))
    return boughs, [], []


def _palm(x: float, y: float, h: float, turn: float, light: float) -> _Tree:
    lean = 0.2 * h * np.sin(2 * turn)
    top = (x + lean, y - 0.8 * h)
    trunk = smooth((x, y), (x + 0.25 * lean, y - 0.4 * h), top, closed=False)
    fronds, lit = [], []
    for side in (-1.0, 1.0):
        for reach, rise, fall in ((0.42, 0.02, 0.24), (0.38, 0.15, 0.06), (0.22, 0.2, -0.14)):
            end = (top[0] + side * reach * h, top[1] + fall * h)
            middle = (top[0] + side * 0.55 * reach * h, top[1] - rise * h)
            frond = smooth(top, middle, end, closed=False)
            fronds.append(stroke(frond, [0.02 * h, 0.085 * h, 0.06 * h, 0.006 * h]))
            if side * light > 0:
                lit.append(stroke(frond[:18] - (0, 0.015 * h), [0.008 * h, 0.026 * h, 0.004 * h]))
    return [stroke(trunk, [0.07 * h, 0.04 * h])], fronds, lit


_TREES: Final = {
    "round": _round_tree,
    "poplar": _poplar,
    "fir": _fir,
    "bare": _bare_tree,
    "palm": _palm,
}


def paint_bushes(
    canvas: Canvas,
    rng: np.random.Generator,
    mood: Mood,
    x: Numbers,
    foot: Numbers,
    size: Numbers,
    *,
    distance: float = 0.1,
) -> None:
    """Low round bushes, each of two lumps, lit from above."""
    leaf = mood.hazed(vary(rng, mix(mood.leaf, mood.near, 0.3), 10), distance)
    lumps: list[Points] = []
    lights: list[Points] = []
    turns = rng.uniform(0, 3, len(x))
    for a, y, r, turn in zip(x.tolist(), foot.tolist(), size.tolist(), turns.tolist(), strict=True):
        lumps.append(puff(a, y - 0.4 * r, r, 0.6 * r, lobes=9, turn=turn))
        lumps.append(
            puff(a + (turn - 1.5) * 0.5 * r, y - 0.25 * r, 0.9 * r, 0.42 * r, lobes=7, turn=turn)
        )
        lit = a + 0.3 * r * canvas.light[0]
        lights.append(puff(lit, y - 0.62 * r, 0.5 * r, 0.24 * r, lobes=6, turn=turn))
    canvas.fill(lumps, leaf, to=mix(leaf, _SHADE, 0.25), part="bush", relief=0.35, strength=1.4)
    canvas.fill(lights, mix(leaf, mood.glow, 0.35), part=None, relief=0, opacity=0.5, soft=0.003)


def paint_fence(
    canvas: Canvas, rng: np.random.Generator, mood: Mood, line: Points, span: tuple[float, float]
) -> None:
    """Posts with pointed heads and two rails, along a line on the ground."""
    paint = mood.lit(rgb(str(rng.choice(("#efe6d6", "#9a7450", "#b08d66", "#dcd3c4")))))
    height = rng.uniform(0.045, 0.065)
    x = np.arange(span[0], span[1], rng.uniform(0.026, 0.04))
    y = at_height(line, x) + 0.012
    w = 0.0045
    outlines = [
        polygon(
            (a - w, b), (a - w, b - height), (a, b - height - 0.01), (a + w, b - height), (a + w, b)
        )
        for a, b in zip(x.tolist(), y.tolist(), strict=True)
    ]
    outlines += [stroke(np.stack([x, y - share * height], axis=1), 0.008) for share in (0.3, 0.72)]
    deep = mix(paint, _SHADE, 0.25)
    canvas.fill(outlines, paint, to=deep, part="fence", relief=0.15, texture="wood", strength=0.6)


def paint_rocks(
    canvas: Canvas, rng: np.random.Generator, mood: Mood, x: Numbers, foot: Numbers, size: Numbers
) -> None:
    stone = mood.lit(vary(rng, rgb(str(rng.choice(_STONES)))))
    rocks, lights = [], []
    for a, y, r in zip(x.tolist(), foot.tolist(), size.tolist(), strict=True):
        p, q = rng.uniform(0.5, 0.9, 2)
        rocks.append(
            smooth(
                *((a - r, y), (a - 0.8 * r, y - 0.4 * r), (a - 0.3 * r, y - p * r)),
                *((a + 0.35 * r, y - q * r), (a + 0.85 * r, y - 0.35 * r), (a + r, y)),
                *((a, y + 0.12 * r),),
            )[::3]
        )
        lit = a + 0.3 * r * canvas.light[0]
        lights.append(ellipse(lit, y - 0.5 * r, 0.35 * r, 0.15 * r, n=12))
    canvas.fill(rocks, stone, to=mix(stone, _SHADE, 0.4), part="rock", relief=0.4, texture="grain")
    canvas.fill(lights, mix(stone, mood.glow, 0.6), part=None, relief=0, opacity=0.45, soft=0.004)


def paint_blossoms(
    canvas: Canvas, rng: np.random.Generator, mood: Mood, x: Numbers, y: Numbers, size: Numbers
) -> None:
    """Dots, one colour to the left and one to the right."""
    half = len(x) // 2
    order = np.argsort(x, kind="stable")
    x, y, size = x[order], y[order], size[order]
    for code, some in zip(
        rng.choice(_PETALS, 2, replace=False), (slice(half), slice(half, None)), strict=True
    ):
        canvas.fill(
            dots(x[some], y[some], size[some]),
            mix(mood.lit(rgb(str(code))), rgb("#ffffff"), 0.1),
            part="blossom",
            relief=0.15,
            texture="none",
        )
