"""A concept stays the concept that it is: the rules of docs/algorithms/concepts.md, section 9."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from app.concepts.identity import KnownConcept, LabelNow, Regrouped, regroup

WHEEL, WINDOW = 1, 2
KNOWN = {WHEEL: KnownConcept("wheel"), WINDOW: KnownConcept("window")}


def labels(*rows: tuple[str, int | None, str | None]) -> list[LabelNow]:
    return [LabelNow(*row) for row in rows]


def test_a_group_is_the_concept_with_which_it_shares_most_labels() -> None:
    found = regroup(
        labels(("wheel", WHEEL, "tire"), ("tire", WHEEL, "tire"), ("glass", WINDOW, "window")),
        known=KNOWN,
        pins={},
    )
    assert found == Regrouped({WHEEL: "tire", WINDOW: "window"}, [WHEEL, WHEEL, WINDOW])


def test_two_concepts_that_change_names_stay_what_they_are() -> None:
    rows = labels(("wheel", WHEEL, "window"), ("window", WINDOW, "wheel"))
    assert regroup(rows, known=KNOWN, pins={}).of_label == [WHEEL, WINDOW]


def test_the_larger_part_of_a_concept_that_falls_apart_keeps_its_row() -> None:
    rows = labels(("wheel", WHEEL, "wheel"), ("tire", WHEEL, "tire"), ("tyre", WHEEL, "tire"))
    assert regroup(rows, known=KNOWN, pins={}).of_label == ["wheel", WHEEL, WHEEL]


def test_of_equal_shares_the_name_decides() -> None:
    rows = labels(("rim", WHEEL, "rim"), ("wheel", WHEEL, "wheel"))
    assert regroup(rows, known=KNOWN, pins={}).of_label == ["rim", WHEEL]


def test_a_name_that_is_found_again_keeps_its_concept_though_all_labels_are_new() -> None:
    assert regroup(labels(("x", None, "window")), known=KNOWN, pins={}).of_label == [WINDOW]


def test_what_nobody_says_any_more_is_gone() -> None:
    assert regroup([], known=KNOWN, pins={}) == Regrouped({}, [])


def test_a_pinned_label_stays_where_it_was_put_and_new_ones_like_it_follow() -> None:
    known = {WHEEL: KnownConcept("wheel", is_fixed=True), WINDOW: KnownConcept("window")}
    rows = labels(("glass", WHEEL, "window"), ("glas", None, "window"), ("pane", WINDOW, "pane"))
    found = regroup(rows, known=known, pins={"glass": WHEEL})
    assert found == Regrouped({WHEEL: "wheel", WINDOW: "pane"}, [WHEEL, WHEEL, WINDOW])


def test_what_was_called_junk_stays_junk_and_so_does_what_is_like_it() -> None:
    rows = labels(("thing", None, "thing"), ("thingy", None, "thing"), ("wheel", WHEEL, "wheel"))
    assert regroup(rows, known=KNOWN, pins={"thing": None}).of_label == [None, None, WHEEL]


def test_a_fixed_concept_keeps_its_name_and_stays_without_labels() -> None:
    known = {WHEEL: KnownConcept("rim", is_fixed=True)}
    assert regroup([], known=known, pins={}).names == {WHEEL: "rim"}
    rows = labels(("wheel", WHEEL, "wheel"))
    assert regroup(rows, known=known, pins={"wheel": WHEEL}).names == {WHEEL: "rim"}


def test_a_group_named_like_a_fixed_concept_is_that_concept() -> None:
    known = {WHEEL: KnownConcept("wheel", is_fixed=True)}
    found = regroup(labels(("wheels", None, "wheel")), known=known, pins={})
    assert found == Regrouped({WHEEL: "wheel"}, [WHEEL])


def test_what_is_found_under_the_name_of_a_merged_concept_is_what_it_became() -> None:
    known = {
        WHEEL: KnownConcept("wheel", is_fixed=True),
        3: KnownConcept("tire", is_fixed=True, merged_into=4),
        4: KnownConcept("rim", is_fixed=True, merged_into=WHEEL),
    }
    rows = labels(("tires", None, "tire"), ("rims", None, "rim"))
    assert regroup(rows, known=known, pins={"tires": 3}).of_label == [WHEEL, WHEEL]


def test_what_is_found_under_the_name_of_junk_is_junk() -> None:
    known = {WHEEL: KnownConcept("thing", is_fixed=True, is_junk=True)}
    found = regroup(labels(("things", None, "thing")), known=known, pins={})
    assert found == Regrouped({WHEEL: "thing"}, [None])


texts = st.sampled_from(["a", "b", "c", "d", "e", "f"])
groupings = st.dictionaries(texts, st.sampled_from(["p", "q", "r", None]), min_size=1)


@st.composite
def runs(draw: st.DrawFn) -> tuple[list[LabelNow], dict[int, KnownConcept], dict[str, int | None]]:
    known = {
        number: KnownConcept(name, draw(st.booleans()))
        for number, name in enumerate(draw(st.permutations(["p", "q", "s"])))
    }
    fixed = [key for key, concept in known.items() if concept.is_fixed]
    found = draw(groupings)
    before = {text: draw(st.sampled_from([None, *known])) for text in found}
    pins = draw(st.dictionaries(texts, st.sampled_from([None, *fixed]), max_size=3))
    rows = draw(st.lists(st.sampled_from(sorted(found)), max_size=12))
    return [LabelNow(text, before[text], found[text]) for text in rows], known, pins


@given(runs(), st.randoms(use_true_random=False))
def test_the_order_of_labels_does_not_matter(run, random) -> None:  # type: ignore[no-untyped-def]
    rows, known, pins = run
    shuffled = random.sample(range(len(rows)), len(rows))
    straight = regroup(rows, known=known, pins=pins)
    mixed = regroup([rows[i] for i in shuffled], known=known, pins=pins)
    assert mixed.names == straight.names
    assert mixed.of_label == [straight.of_label[i] for i in shuffled]


@given(runs())
def test_a_second_run_changes_nothing(run) -> None:  # type: ignore[no-untyped-def]
    rows, known, pins = run
    first = regroup(rows, known=known, pins=pins)
    ids = {key: key if isinstance(key, int) else 100 + i for i, key in enumerate(first.names)}
    stored = {
        ids[key]: KnownConcept(name, isinstance(key, int) and known[key].is_fixed)
        for key, name in first.names.items()
    }
    placed = [None if key is None else ids[key] for key in first.of_label]
    again = regroup(
        [LabelNow(one.text, key, one.found) for one, key in zip(rows, placed, strict=True)],
        known=stored,
        pins=pins,
    )
    assert again.of_label == placed
    assert again.names == {ids[key]: name for key, name in first.names.items()}


@given(runs())
def test_names_are_told_apart_and_every_label_has_a_name(run) -> None:  # type: ignore[no-untyped-def]
    rows, known, pins = run
    found = regroup(rows, known=known, pins=pins)
    assert len(set(found.names.values())) == len(found.names)
    assert {key for key in found.of_label if key is not None} <= found.names.keys()


@given(runs())
def test_pinning_two_concepts_to_one_adds_their_counts(run) -> None:  # type: ignore[no-untyped-def]
    rows, known, _ = run
    known = {key: KnownConcept(one.name, is_fixed=key == 0) for key, one in known.items()}
    placed = regroup(rows, known=known, pins={})
    counts = Counter(placed.of_label)
    of_one = {row.text for row, key in zip(rows, placed.of_label, strict=True) if key in (0, 1)}
    merged = regroup(rows, known=known, pins=dict.fromkeys(of_one, 0))
    n_merged = Counter(merged.of_label)[0]
    assert n_merged == counts[0] + counts[1]
