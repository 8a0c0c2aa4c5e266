"""Charts: what is drawn is what the table says."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.web.charts import HEIGHT, WIDTH, Chart, bar_chart, line_chart

COUNTS = st.lists(st.integers(0, 10**7), min_size=1, max_size=60)


def bars(values: list[int]) -> Chart:
    labels = [str(i) for i in range(len(values))]
    return bar_chart(
        "x", title="X", unit="things", step="day", labels=labels, values=values, summary=""
    )


def line(values: list[float | None], top: float | None = None) -> Chart:
    labels = [str(i) for i in range(len(values))]
    return line_chart(
        "x", title="X", unit="%", step="day", labels=labels, values=values, summary="", top=top
    )


@given(COUNTS)
def test_bars_are_as_high_as_their_values_and_stay_inside(values: list[int]) -> None:
    chart = bars(values)
    tallest = max(bar.height for bar in chart.bars)
    for bar, value in zip(chart.bars, values, strict=True):
        assert bar.height == pytest.approx(tallest * value / max(1, max(values)), abs=1e-6)
        assert bar.x >= 0
        assert bar.x + bar.width <= WIDTH
        assert 0 <= bar.y <= bar.y + bar.height <= HEIGHT


@given(COUNTS)
def test_an_axis_begins_at_0_and_has_a_few_round_ticks_that_differ(values: list[int]) -> None:
    labels = [tick.label for tick in bars(values).ticks_y]
    assert labels[0] == "0"
    assert 2 <= len(labels) <= 6
    assert len(set(labels)) == len(labels)
    assert int(labels[-1].replace(",", "")) >= max(values)


def test_a_line_breaks_where_there_is_no_value() -> None:
    chart = line([10, 20, None, 30, None, 40, 50], top=100)
    assert [len(points.split()) for points in chart.lines] == [2, 2]
    assert len(chart.dots) == 5
    assert [value for _, value in chart.rows] == ["10", "20", "", "30", "", "40", "50"]


def test_an_axis_of_percent_ends_at_100() -> None:
    assert [tick.label for tick in line([3.0], top=100).ticks_y] == ["0", "50", "100"]


def test_few_labels_are_all_written() -> None:
    assert [tick.label for tick in bars([0] * 6).ticks_x] == ["0", "1", "2", "3", "4", "5"]


def test_the_last_label_is_always_written() -> None:
    assert bars([0] * 48).ticks_x[-1].label == "47"
    assert len(bars([0] * 48).ticks_x) <= 4
