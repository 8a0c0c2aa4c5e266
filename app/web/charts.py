"""Charts as the templates draw them: places in a drawing of fixed size, and the same as a table."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import floor, log10
from typing import Final

WIDTH, HEIGHT = 360, 190
_LEFT, _RIGHT, _TOP, _BOTTOM = 44, 8, 12, 30
_PLOT_WIDTH: Final = WIDTH - _LEFT - _RIGHT
_PLOT_HEIGHT: Final = HEIGHT - _TOP - _BOTTOM
_N_LABELS_X: Final = 4
_N_ALL_LABELS_X: Final = 6


@dataclass(frozen=True, slots=True)
class Bar:
    x: float
    y: float
    width: float
    height: float
    words: str  # what stands there, for whoever points at it


@dataclass(frozen=True, slots=True)
class Tick:
    at: float
    label: str


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart with its table.

    key: names its download. unit: of the values, as the axis says it. bars: of a bar chart; lines:
    of a line chart, each a list of points as SVG writes it, with a gap where there is no value.
    rows: label and value, for the table and the download. summary: what it shows, in a sentence.
    """

    key: str
    title: str
    unit: str
    step: str
    summary: str
    bars: list[Bar]
    lines: list[str]
    dots: list[Bar]
    ticks_x: list[Tick]
    ticks_y: list[Tick]
    rows: list[tuple[str, str]]


def bar_chart(
    key: str,
    *,
    title: str,
    unit: str,
    step: str,
    labels: Sequence[str],
    values: Sequence[int],
    summary: str,
) -> Chart:
    """Bars side by side, from 0. step: what each bar stands for."""
    top, ticks = _axis(max(values, default=0))
    slot = _PLOT_WIDTH / max(1, len(values))
    bars = [
        Bar(
            x=_LEFT + i * slot + 0.1 * slot,
            y=_y(value, top),
            width=0.8 * slot,
            height=_TOP + _PLOT_HEIGHT - _y(value, top),
            words=f"{label}: {value:,} {unit}",
        )
        for i, (label, value) in enumerate(zip(labels, values, strict=True))
    ]
    return Chart(
        key=key,
        title=title,
        unit=unit,
        step=step,
        summary=summary,
        bars=bars,
        lines=[],
        dots=[],
        ticks_x=_labels_x(labels),
        ticks_y=ticks,
        rows=[(label, str(value)) for label, value in zip(labels, values, strict=True)],
    )


def line_chart(
    key: str,
    *,
    title: str,
    unit: str,
    step: str,
    labels: Sequence[str],
    values: Sequence[float | None],
    summary: str,
    top: float | None = None,
) -> Chart:
    """A line from point to point, broken where there is no value. top: of the axis, where it is
    known beforehand."""
    top, ticks = _axis(max((v for v in values if v is not None), default=0), top)
    slot = _PLOT_WIDTH / max(1, len(values))
    runs: list[list[str]] = [[]]
    dots = []
    for i, (label, value) in enumerate(zip(labels, values, strict=True)):
        if value is None:
            runs.append([])
            continue
        x, y = _LEFT + (i + 0.5) * slot, _y(value, top)
        runs[-1].append(f"{x:.1f},{y:.1f}")
        dots.append(Bar(x=x, y=y, width=0, height=0, words=f"{label}: {value:,.0f} {unit}"))
    return Chart(
        key=key,
        title=title,
        unit=unit,
        step=step,
        summary=summary,
        bars=[],
        lines=[" ".join(run) for run in runs if len(run) > 1],
        dots=dots,
        ticks_x=_labels_x(labels),
        ticks_y=ticks,
        rows=[
            (label, "" if value is None else f"{value:.4g}")
            for label, value in zip(labels, values, strict=True)
        ],
    )


def _y(value: float, top: float) -> float:
    return _TOP + _PLOT_HEIGHT * (1 - value / top)


def _axis(largest: float, top: float | None = None) -> tuple[float, list[Tick]]:
    """The end of an axis that holds the largest value, and ticks at round numbers: 0, 20, 40, …"""
    wanted = top if top is not None else max(largest, 1)
    power = 10.0 ** floor(log10(wanted / 3))
    step = max(1.0, next(power * f for f in (1, 2, 5, 10) if wanted / (power * f) <= 4))
    n_steps = int(-(-wanted // step))
    end = n_steps * step
    return end, [Tick(_y(i * step, end), f"{i * step:,.0f}") for i in range(n_steps + 1)]


def _labels_x(labels: Sequence[str]) -> list[Tick]:
    """The labels where there are few, else some, evenly spaced, the last one among them."""
    slot = _PLOT_WIDTH / max(1, len(labels))
    every = 1 if len(labels) <= _N_ALL_LABELS_X else -(-len(labels) // _N_LABELS_X)
    shown = range(len(labels) - 1, -1, -every)
    return [Tick(_LEFT + (i + 0.5) * slot, labels[i]) for i in sorted(shown)]
