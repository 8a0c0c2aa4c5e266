"""A sailboat: hull, mast, sails, flag, and portholes, its windows."""

import numpy as np

from app.picturebook.canvas import Canvas, mix, rgb, vary
from app.picturebook.figures.placing import place
from app.picturebook.shapes import ellipse, polygon, smooth, stroke

_HULLS = ("#a5343f", "#27557e", "#6b4427", "#2f6b57", "#e8e2d4", "#3b3550")
_SAILS = ("#fbf3e0", "#f4d9a8", "#e9887a", "#cfe3ea", "#f6efe9")
_FLAGS = ("#d33f49", "#2f8f6b", "#f2b134", "#3c6fb4")


def paint_sailboat(canvas: Canvas, rng: np.random.Generator, *, horizon: float, far: bool) -> None:
    where = place(rng, horizon, far=far, height=0.72, tilt=7.0)
    hull = vary(rng, rgb(str(rng.choice(_HULLS))))
    cloth = vary(rng, rgb(str(rng.choice(_SAILS))), 6)
    wood = vary(rng, rgb("#8a6034"))
    tall = rng.uniform(0.92, 1.08)
    belly = rng.uniform(0.02, 0.09)
    with canvas.at(where.x, where.y, where.scale, angle=where.angle, flip=where.flip):
        canvas.shadow(ellipse(0, 0.01, 0.5, 0.05), opacity=0.3)
        top = -0.95 * tall
        canvas.fill(
            stroke(polygon((0.02, -0.1), (0.02, top)), [0.034, 0.022]),
            wood,
            part="mast",
            texture="wood",
        )
        main = smooth(
            (0.05, top + 0.07),
            (0.24 + belly, -0.58),
            (0.42 + belly, -0.28),
            (0.24, -0.235),
            (0.05, -0.24),
            (0.05, -0.55),
        )
        canvas.fill(main, cloth, to=mix(cloth, rgb("#6b5b73"), 0.35), part="sail", texture="cloth")
        for i in range(1, 4):
            y = top + 0.07 + i * (0.63 * tall) / 4
            reach = 0.05 + (0.34 + belly) * i / 4.3
            canvas.fill(
                stroke(
                    smooth((0.05, y), (reach / 2, y + 0.02), (reach, y + 0.015), closed=False),
                    0.006,
                ),
                mix(cloth, rgb("#4a3b4a"), 0.45),
                part=None,
                relief=0,
                opacity=0.6,
            )
        jib = smooth(
            (-0.0, top + 0.14),
            (-0.03, -0.5),
            (-0.04, -0.24),
            (-0.22, -0.225),
            (-0.40 - belly / 2, -0.21),
            (-0.2, -0.52),
        )
        tint = mix(cloth, rgb("#ffffff"), 0.3)
        canvas.fill(jib, tint, to=mix(tint, rgb("#6b5b73"), 0.3), part="sail", texture="cloth")
        canvas.fill(stroke(polygon((0.0, -0.215), (0.46 + belly, -0.215)), 0.02), wood, part="mast")
        flag = vary(rng, rgb(str(rng.choice(_FLAGS))))
        wave = rng.uniform(-0.02, 0.02)
        canvas.fill(
            smooth(
                (0.02, top - 0.01),
                (-0.08, top - 0.015 + wave),
                (-0.17, top + 0.02),
                (-0.165, top + 0.075),
                (-0.08, top + 0.055 + wave),
                (0.02, top + 0.08),
            ),
            flag,
            part="flag",
            texture="cloth",
        )
        body = smooth(
            (-0.5, -0.19),
            (-0.2, -0.145),
            (0.2, -0.145),
            (0.47, -0.19),
            (0.4, -0.04),
            (0.3, 0.03),
            (-0.3, 0.03),
            (-0.42, -0.06),
        )
        canvas.fill(body, hull, to=mix(hull, rgb("#1a1530"), 0.4), part="hull", texture="wood")
        rim = smooth((-0.5, -0.195), (-0.2, -0.15), (0.2, -0.15), (0.475, -0.195), closed=False)
        canvas.fill(stroke(rim, 0.022), mix(hull, rgb("#fff3d6"), 0.75), part="hull", relief=0.2)
        for x in (-0.24, -0.06, 0.12, 0.29)[: int(rng.integers(2, 5))]:
            canvas.fill(ellipse(x, -0.075, 0.045), rgb("#e7d9b0"), part="window", relief=0.5)
            canvas.fill(ellipse(x, -0.075, 0.032), rgb("#3c6a8c"), part="window", relief=0.2)
            canvas.fill(ellipse(x - 0.01, -0.087, 0.01), rgb("#eef6fb"), part=None, relief=0)
