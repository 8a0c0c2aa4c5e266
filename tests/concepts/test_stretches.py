"""Which concept leads which layers."""

from app.concepts.stretches import find_stretches


def test_a_tie_is_one_though_its_sums_differ_in_the_last_digit() -> None:
    (stretch,) = find_stretches([{"sail": 49.99999999999999, "hull": 50.0}])
    assert stretch.concept is None
