"""Scores of many pictures as tables and as JSON."""

import json
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from app.explain.faithfulness.ablation import AblationScores
from app.explain.faithfulness.evaluation import (
    RANDOM,
    EvaluatedFile,
    LayerScores,
    MapScores,
    PictureScores,
    cluster_method,
)
from app.explain.faithfulness.summary import from_json, interval, tables, to_json

OURS = cluster_method("paper")
NAN = float("nan")


def picture(value: float, *layers: str) -> PictureScores:
    """A picture of which all areas are `value`, and half of it in a random order."""
    layer = LayerScores(
        ablation={"paper": AblationScores(3, value, 0.9, 2.0, 0.5, 1.0, NAN, 0.5)},
        maps={
            OURS: MapScores(value, value, value),
            RANDOM: MapScores(value / 2, value / 2, value / 2),
        },
        cascade={OURS: (0.75, 0.25)},
    )
    return PictureScores(0, 0.9, 0.1, 0.2, (0.5, 1.0), dict.fromkeys(layers, layer))


class TestInterval:
    def test_degenerate_cases(self) -> None:
        assert interval(np.full(5, 0.25)) == (0.25, 0.25, 0.25)
        mean, low, high = interval(np.array([0.5, NAN]))
        assert mean == 0.5
        assert np.isnan([low, high]).all()
        assert np.isnan(interval(np.array([NAN]))).all()

    def test_half_yes_half_no(self) -> None:
        # The mean of n coin flips: 0.5 with a standard error of 0.5 / sqrt(n).
        mean, low, high = interval(np.repeat([0.0, 1.0, NAN], 50))
        assert mean == 0.5
        assert low == pytest.approx(0.5 - 1.96 * 0.05, abs=0.015)
        assert high == pytest.approx(0.5 + 1.96 * 0.05, abs=0.015)

    @given(arrays.arrays(np.float64, st.integers(2, 20), elements=st.floats(-1, 1)))
    def test_the_mean_lies_between_lowest_and_highest(self, values: np.ndarray) -> None:
        mean, low, high = interval(values)
        assert values.min() - 1e-9 <= low <= high <= values.max() + 1e-9
        assert mean == pytest.approx(values.mean())


class TestTables:
    def test_means_differences_and_what_is_missing(self) -> None:
        # The second picture has no cluster at layer b, so it counts there for no method.
        text = tables([picture(0.4, "a", "b"), picture(0.8, "a")], ["paper"])
        assert f"| {OURS} | 0.600 (0.400 to 0.800) | 0.400 | 0.600 (0.400 to 0.800) |  |" in text
        assert (
            f"| {RANDOM} | 0.300 (0.200 to 0.400) | 0.200 | 0.300 (0.200 to 0.400) "
            "| 0.300 (0.200 to 0.400) |" in text
        )
        assert "| `b` | 3.00 | 0.40 | 0.50 | – | 0.90 | 2.00 | 1.00 | 0.50 | 1 |" in text
        assert "| method | 50 % | 100 % |" in text
        assert f"| {OURS} | 0.75 (0.75 to 0.75) | 0.25 (0.25 to 0.25) |" in text

    def test_one_layer_needs_no_column_for_all(self) -> None:
        assert "all layers |" not in tables([picture(0.4, "a")], ["paper"])

    def test_nothing_to_measure_is_said(self) -> None:
        assert "No layer of any picture" in tables([picture(0.4)], ["paper"])


class TestFile:
    REQUEST: ClassVar = {"network": "corner", "layers": ["a"]}
    SCORES = replace(picture(0.4, "a"), target=7, randomised=(0.5,))
    FILES: ClassVar = [
        EvaluatedFile(Path("photos/é.png"), "a1", SCORES, None),
        EvaluatedFile(Path("notes.txt"), "b2", None, "It is not a picture."),
    ]

    def test_what_has_no_value_is_null(self) -> None:
        read = json.loads(to_json(self.REQUEST, self.FILES))
        (found,) = read["pictures"]
        assert (read["format"], read["request"]) == (2, self.REQUEST)
        assert (found["picture"], found["photo_sha256"], found["target"]) == (
            "photos/é.png",
            "a1",
            7,
        )
        layer = found["layers"]["a"]
        assert layer["ablation"]["paper"]["random_correlation"] is None
        assert layer["maps"][RANDOM] == {"insertion": 0.2, "deletion": 0.2, "road": 0.2}

    def test_what_was_written_can_be_read(self) -> None:
        written = to_json(self.REQUEST, self.FILES)
        (found,) = from_json(written, self.REQUEST)
        assert (found.path, found.photo_sha256, found.error) == (Path("photos/é.png"), "a1", None)
        # NaN is not itself, so the texts are compared, and what becomes a table.
        assert to_json(self.REQUEST, [found]) == written
        assert found.scores is not None
        assert tables([found.scores], ["paper"]) == tables([self.SCORES], ["paper"])

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("{", "no file of scores"),
            ("[]", "no file of scores"),
            ('{"format": 2}', "no file of scores"),
            (b"\xff\xfe\x00", "no file of scores"),
            (to_json({"network": "other"}, FILES), "another network, other options"),
        ],
    )
    def test_another_file_is_refused(self, text: str | bytes, message: str) -> None:
        with pytest.raises(ValueError, match=message):
            from_json(text, self.REQUEST)
