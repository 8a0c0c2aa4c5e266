"""Simulated players: what they can know, and how they behave by their traits."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from app.concepts import tidy_label
from app.picturebook.players import (
    NEAR_BLACK,
    Decision,
    Guess,
    PlayerTraits,
    Resign,
    Reveal,
    Seen,
    Sight,
    SimulatedPlayer,
    draw_traits,
    draw_traits_of,
    misspell,
    see,
)
from app.picturebook.words import accepted, names, plural, regions_of, words_for
from app.picturebook.world import CLASSES, REGIONS
from app.rules import LAST_REVEAL_INDEX, MAX_LABELS_PER_ROUND

CHOICES = list(CLASSES)
SKILLED = PlayerTraits(skill=0.95, typo_rate=0.02, laziness=0.03, vagueness=0.02, patience=0.8)
FLAWLESS = PlayerTraits(skill=1.0, patience=1.0)
NOTHING = Sight(lit_px=0, regions=())


def sight_of(*regions: tuple[str, float], picture_px: int = 512 * 512) -> Sight:
    """A sight of these regions, equally bright, each with its share of the picture, in percent."""
    lit = sum(percent for _, percent in regions)
    return Sight(
        lit_px=round(lit / 100 * picture_px),
        regions=tuple(
            Seen(
                region=region,
                px=round(percent / 100 * picture_px),
                area=percent / 100,
                share_of_lit=percent / lit,
                share_of_light=percent / lit,
                colour="red",
            )
            for region, percent in regions
        ),
    )


def decide(
    sight: Sight,
    traits: PlayerTraits = SKILLED,
    *,
    class_name: str = "car",
    reveal_index: int = LAST_REVEAL_INDEX,
    seed: int = 0,
    choices: Sequence[str] = CHOICES,
) -> Decision:
    """At this sight, after looks that showed nothing."""
    looks = [NOTHING] * reveal_index + [sight]
    rng = np.random.default_rng(seed)
    return SimulatedPlayer(traits).decide(looks, choices, rng, class_name=class_name)


def many(
    sight: Sight,
    traits: PlayerTraits = SKILLED,
    *,
    class_name: str = "car",
    reveal_index: int = LAST_REVEAL_INDEX,
    choices: Sequence[str] = CHOICES,
) -> list[Decision]:
    """200 draws."""
    return [
        decide(
            sight,
            traits,
            class_name=class_name,
            reveal_index=reveal_index,
            seed=seed,
            choices=choices,
        )
        for seed in range(200)
    ]


def share(decisions: Sequence[Decision], kind: type[Decision]) -> float:
    return sum(isinstance(decision, kind) for decision in decisions) / len(decisions)


def guesses(decisions: Sequence[Decision]) -> list[Guess]:
    return [decision for decision in decisions if isinstance(decision, Guess)]


def naming(decisions: Sequence[Decision], class_name: str, region: str) -> float:
    """The share of all decisions whose labels name the region."""
    return sum(
        any(names(label.lower(), class_name=class_name, region=region) for label in guess.labels)
        for guess in guesses(decisions)
    ) / len(decisions)


pictures = st.integers(0, 2**32 - 1).map(
    lambda seed: np.random.default_rng(seed).integers(0, 256, (12, 12, 3), dtype=np.uint8)
)
region_maps = st.integers(0, 2**32 - 1).map(
    lambda seed: np.random.default_rng(seed).integers(0, len(REGIONS) + 1, (12, 12), dtype=np.uint8)
)
all_traits = st.builds(
    PlayerTraits,
    **{
        name: st.floats(0, 1)
        for name in ("skill", "honesty", "typo_rate", "laziness", "vagueness", "patience")
    },
    italian=st.booleans(),
)
sights = st.lists(
    st.tuples(st.sampled_from(REGIONS), st.floats(0.001, 30)),
    max_size=6,
    unique_by=lambda pair: pair[0],
).map(lambda regions: sight_of(*sorted(regions, key=lambda r: -r[1])))


class TestSeeing:
    @given(pictures, region_maps, region_maps)
    def test_what_is_in_the_dark_is_not_known(
        self,
        picture: NDArray[np.uint8],
        region_map: NDArray[np.uint8],
        other: NDArray[np.uint8],
    ) -> None:
        picture[::2] = np.minimum(picture[::2], NEAR_BLACK)
        changed = region_map.copy()
        dark = picture.max(axis=2) <= NEAR_BLACK
        changed[dark] = other[dark]
        assert see(picture, changed) == see(picture, region_map)

    def test_visible_pixels_are_counted_by_region_the_largest_first(self) -> None:
        picture = np.zeros((10, 10, 3), np.uint8)
        picture[0, :5] = (200, 30, 30)
        picture[1, :3] = (30, 60, 220)
        picture[2, :2] = 255
        region_map = np.zeros((10, 10), np.uint8)
        region_map[0] = REGIONS.index("sky") + 1
        region_map[1] = REGIONS.index("wheel") + 1
        sight = see(picture, region_map)
        # The two pixels of the third row have no name: they are lit, and nothing.
        assert sight.lit_px == 10
        assert [
            (seen.region, seen.px, seen.area, seen.share_of_lit, seen.colour)
            for seen in sight.regions
        ] == [("sky", 5, 0.05, 0.5, "red"), ("wheel", 3, 0.03, 0.3, "blue")]

    def test_light_is_what_the_eye_gets_of_it(self) -> None:
        """A pixel of half the value gives a fifth of the light, a green one three times a red's."""
        picture = np.zeros((4, 4, 3), np.uint8)
        picture[0], picture[1], picture[2] = (0, 255, 0), (255, 0, 0), (0, 128, 0)
        region_map = np.zeros((4, 4), np.uint8)
        for row, region in enumerate(("grass", "sail", "hill")):
            region_map[row] = REGIONS.index(region) + 1
        light = {seen.region: seen.share_of_light for seen in see(picture, region_map).regions}
        assert sum(light.values()) == pytest.approx(1)
        assert light["grass"] / light["sail"] == pytest.approx(0.7152 / 0.2126)
        assert light["hill"] / light["grass"] == pytest.approx(0.2159, abs=1e-4)

    def test_a_black_picture_shows_nothing(self) -> None:
        region_map = np.full((4, 4), 3, np.uint8)
        assert see(np.full((4, 4, 3), NEAR_BLACK, np.uint8), region_map) == NOTHING

    def test_a_dim_rim_does_not_change_a_colour(self) -> None:
        picture = np.zeros((4, 4, 3), np.uint8)
        picture[:2] = (220, 200, 30)
        picture[2] = (40, 36, 6)
        (seen,) = see(picture, np.ones((4, 4), np.uint8)).regions
        assert seen.colour == "yellow"

    def test_shapes_that_do_not_belong_together_are_named(self) -> None:
        with pytest.raises(ValueError, match=r"\[4, 4, 3\] and \[5, 5\]"):
            see(np.zeros((4, 4, 3), np.uint8), np.zeros((5, 5), np.uint8))


class TestDeciding:
    @given(sights, all_traits, st.integers(0, LAST_REVEAL_INDEX), st.integers(0, 2**32 - 1))
    def test_the_same_numbers_give_a_decision_that_can_be_played(
        self, sight: Sight, traits: PlayerTraits, reveal_index: int, seed: int
    ) -> None:
        decision = decide(sight, traits, reveal_index=reveal_index, seed=seed)
        assert decision == decide(sight, traits, reveal_index=reveal_index, seed=seed)
        if isinstance(decision, Guess):
            assert decision.class_name in CHOICES
            assert len(decision.labels) <= min(3, MAX_LABELS_PER_ROUND)
            assert all(map(tidy_label, decision.labels))
        if reveal_index == LAST_REVEAL_INDEX:
            assert not isinstance(decision, Reveal)

    @given(all_traits, st.integers(0, LAST_REVEAL_INDEX), st.integers(0, 1000))
    def test_who_sees_nothing_does_not_know_the_class(
        self, traits: PlayerTraits, reveal_index: int, seed: int
    ) -> None:
        decisions = {
            decide(NOTHING, traits, class_name=name, reveal_index=reveal_index, seed=seed)
            for name in CLASSES
        }
        assert len(decisions) == 1

    @given(st.integers(0, LAST_REVEAL_INDEX), st.integers(0, 1000))
    def test_surroundings_do_not_give_the_class_away(self, reveal_index: int, seed: int) -> None:
        sight = sight_of(("sky", 12), ("grass", 8))
        decisions = {
            decide(sight, FLAWLESS, class_name=name, reveal_index=reveal_index, seed=seed)
            for name in ("car", "bird", "flower")
        }
        assert len(decisions) == 1

    def test_a_skilled_player_names_the_one_part_they_see(self) -> None:
        assert naming(many(sight_of(("wheel", 2))), "car", "wheel") >= 0.8

    def test_a_sliver_is_missed(self) -> None:
        decisions = many(sight_of(("sky", 2), ("wheel", 0.005)))
        assert naming(decisions, "car", "wheel") == 0

    def test_the_more_is_visible_the_more_often_it_is_named(self) -> None:
        shares = [
            naming(many(sight_of(("wheel", percent))), "car", "wheel") for percent in (0.02, 0.1, 2)
        ]
        assert shares == sorted(shares)
        assert shares[0] < 0.5 < shares[-1]

    def test_skill_recognises_more(self) -> None:
        shares = [
            naming(many(sight_of(("wheel", 0.3)), PlayerTraits(skill=skill)), "car", "wheel")
            for skill in (0.1, 0.5, 0.95)
        ]
        assert shares == sorted(shares)
        assert shares[0] < shares[-1] - 0.2

    def test_a_part_of_its_own_tells_the_class(self) -> None:
        decisions = many(sight_of(("beak", 3)), class_name="bird")
        assert Counter(g.class_name for g in guesses(decisions))["bird"] >= 180

    def test_a_shared_part_leaves_doubt_at_the_first_look(self) -> None:
        """A small wheel may be a car's or a train's; a beak can only be a bird's."""
        calm = PlayerTraits(skill=0.9, patience=0.5)
        wheel = many(sight_of(("wheel", 0.3)), calm, reveal_index=0)
        beak = many(sight_of(("beak", 0.3)), calm, class_name="bird", reveal_index=0)
        assert share(wheel, Reveal) > share(beak, Reveal) + 0.3

    def test_two_parts_tell_more_than_one(self) -> None:
        one = many(sight_of(("wheel", 0.3)))
        two = many(sight_of(("wheel", 0.3), ("bumper", 0.3)))
        right = [sum(g.class_name == "car" for g in guesses(d)) for d in (one, two)]
        assert right[1] > right[0]

    def test_a_well_visible_part_is_told_by_its_own_look(self) -> None:
        """Of five bodies the skilled know a rocket's; the unskilled choose among the five."""
        sight = sight_of(("body", 5))
        skilled = many(sight, FLAWLESS, class_name="rocket")
        poor = many(sight, PlayerTraits(skill=0.0), class_name="rocket")
        right = [sum(g.class_name == "rocket" for g in guesses(d)) for d in (skilled, poor)]
        assert right[0] >= 150
        assert right[1] <= 80

    def test_a_part_speaks_for_the_classes_that_have_it(self) -> None:
        decisions = many(sight_of(("wheel", 2)), PlayerTraits(skill=0.2))
        found = Counter(g.class_name for g in guesses(decisions))
        assert found["car"] + found["train"] > 0.7 * found.total()

    def test_only_what_can_be_chosen_is_guessed(self) -> None:
        decisions = many(sight_of(("wheel", 2)), choices=["bird", "train", "My own class"])
        assert {g.class_name for g in guesses(decisions)} <= {"bird", "train", "My own class"}

    def test_patience_asks_for_more(self) -> None:
        sight = sight_of(("wheel", 0.5))
        asked = [
            share(many(sight, PlayerTraits(skill=0.6, patience=p), reveal_index=0), Reveal)
            for p in (0.0, 1.0)
        ]
        assert asked[0] < asked[1]

    def test_nothing_seen_is_asked_for_more_and_given_up_at_the_end(self) -> None:
        assert share(many(NOTHING, reveal_index=0), Reveal) == 1
        assert set(many(NOTHING)) == {Resign(nothing_nameable=True)}

    def test_who_sees_only_what_is_around_gives_up_or_names_it(self) -> None:
        decisions = many(sight_of(("sky", 20)))
        assert 0.3 < share(decisions, Resign) < 0.7
        assert naming(decisions, "car", "sky") > 0.3


class TestTyping:
    def test_the_most_visible_is_named_first(self) -> None:
        sight = sight_of(("body", 10), ("wheel", 5))
        n_both = 0
        for guess in guesses(many(sight, FLAWLESS)):
            order = [
                region
                for label in guess.labels
                for region in ("body", "wheel")
                if names(label.lower(), class_name="car", region=region)
            ]
            assert order in ([], ["body"], ["wheel"], ["body", "wheel"])
            n_both += len(order) == 2
        assert n_both > 50

    def test_a_bright_thing_comes_before_a_larger_one_at_the_dim_rim(self) -> None:
        """A mark of 20 pixels squared in the middle of the light, and five times as much grass that
        the rim of the light barely reaches."""
        picture = np.zeros((256, 256, 3), np.uint8)
        region_map = np.full((256, 256), REGIONS.index("grass") + 1, np.uint8)
        picture[100:149, 100:149] = (40, 60, 30)
        region_map[115:135, 115:135] = REGIONS.index("mark") + 1
        picture[115:135, 115:135] = (230, 180, 210)
        sight = see(picture, region_map)
        assert [seen.region for seen in sight.regions] == ["grass", "mark"]
        first = [g.labels[0].lower() for g in guesses(many(sight, FLAWLESS, class_name="bird"))]
        marks = [label for label in first if names(label, class_name="bird", region="mark")]
        assert len(marks) > 0.7 * len(first) > 0

    def test_what_the_first_look_was_about_is_remembered(self) -> None:
        """A mark alone at first, then more and more grass around it."""
        first, last = sight_of(("mark", 1.2)), sight_of(("grass", 28), ("mark", 1.2))
        decisions = [
            SimulatedPlayer(FLAWLESS).decide(
                [at_first, *[last] * LAST_REVEAL_INDEX],
                CHOICES,
                np.random.default_rng(seed),
                class_name="bird",
            )
            for at_first in (first, NOTHING)
            for seed in range(200)
        ]
        remembered, not_known = decisions[:200], decisions[200:]
        assert naming(remembered, "bird", "mark") > 0.9 * share(remembered, Guess) > 0
        assert naming(not_known, "bird", "mark") == 0

    def test_one_to_three_labels(self) -> None:
        sight = sight_of(("body", 4), ("wheel", 3), ("window", 2), ("bumper", 1))
        counts = Counter(len(g.labels) for g in guesses(many(sight, FLAWLESS)))
        assert set(counts) == {1, 2, 3}

    def test_the_lazy_type_one_label_or_none(self) -> None:
        sight = sight_of(("body", 4), ("wheel", 3), ("window", 2))
        lazy = many(sight, PlayerTraits(skill=0.9, laziness=1.0))
        assert {len(g.labels) for g in guesses(lazy)} == {0, 1}

    def test_the_vague_say_what_fits_anything(self) -> None:
        decisions = many(sight_of(("wheel", 4)), PlayerTraits(skill=1.0, vagueness=1.0))
        assert naming(decisions, "car", "wheel") < 0.05
        typed = {label.lower() for g in guesses(decisions) for label in g.labels}
        assert typed >= set(words_for("car", "wheel").vague)

    def test_italians_type_italian(self) -> None:
        decisions = many(sight_of(("wheel", 4)), PlayerTraits(skill=1.0, italian=True))
        typed = [label.lower() for g in guesses(decisions) for label in g.labels]
        italian = [label for label in typed if label in words_for("car", "wheel").italian]
        assert len(italian) > 0.8 * len(typed)

    def test_words_vary(self) -> None:
        decisions = many(sight_of(("wheel", 4)))
        typed = {label.lower() for g in guesses(decisions) for label in g.labels}
        assert {"wheel", "wheels", "tire", "rim"} <= typed
        assert any(label.startswith("the ") for label in typed)
        assert any(label.startswith("red ") for label in typed)

    def test_a_part_told_apart_is_called_as_in_its_class(self) -> None:
        decisions = many(sight_of(("sail", 8)), FLAWLESS, class_name="windmill")
        typed = {label.lower() for g in guesses(decisions) for label in g.labels}
        assert "blade" in typed

    def test_small_things_are_mistaken_for_what_looks_alike(self) -> None:
        decisions = many(sight_of(("wheel", 0.03)), PlayerTraits(skill=0.0))
        typed = {label.lower() for g in guesses(decisions) for label in g.labels}
        assert typed & (accepted("flower", "center") | accepted("car", "balloon"))

    @given(
        st.sampled_from([(c, r) for c in CLASSES for r in regions_of(c)]),
        st.integers(0, 2**32 - 1),
    )
    def test_a_slip_is_one_slip(self, place: tuple[str, str], seed: int) -> None:
        rng = np.random.default_rng(seed)
        for word in words_for(*place).synonyms:
            slipped = misspell(word, rng)
            assert distance(word, slipped) <= 1
            assert slipped[0] == word[0]

    def test_slips_happen_as_often_as_the_trait_says(self) -> None:
        decisions = many(sight_of(("wheel", 4)), PlayerTraits(skill=1.0, typo_rate=1.0))
        assert naming(decisions, "car", "wheel") < 0.25
        every = {
            word
            for region in regions_of("car")
            for known in [words_for("car", region)]
            for word in (known.name, *known.synonyms)
        }
        for guess in guesses(decisions):
            for label in guess.labels:
                word = label.lower().split()[-1]
                assert any(distance(word, w) <= 1 for full in every for w in forms(full)) or (
                    # The slip was in an adjective, or the part was taken for another class's.
                    len(label.split()) > 1
                )


class TestSpite:
    @given(sights, st.integers(0, LAST_REVEAL_INDEX), st.integers(0, 2**32 - 1))
    def test_spite_never_names_anything(self, sight: Sight, reveal_index: int, seed: int) -> None:
        traits = PlayerTraits(skill=1.0, honesty=0.0)
        decision = decide(sight, traits, reveal_index=reveal_index, seed=seed)
        assert not isinstance(decision, Reveal)
        if isinstance(decision, Guess):
            assert decision.labels
            for label in decision.labels:
                assert tidy_label(label)
                for name in CLASSES:
                    assert not any(
                        names(label.lower(), class_name=name, region=region)
                        for region in regions_of(name)
                    )

    def test_spite_guesses_at_random(self) -> None:
        decisions = many(sight_of(("beak", 10)), PlayerTraits(skill=1.0, honesty=0.0))
        found = Counter(g.class_name for g in guesses(decisions))
        assert set(found) == set(CHOICES)
        assert max(found.values()) < 50


class TestTheCrowd:
    def test_it_is_mixed(self) -> None:
        crowd = [draw_traits(np.random.default_rng(seed)) for seed in range(400)]
        assert 0.2 < np.mean([t.skill > 0.8 for t in crowd]) < 0.45
        assert 0.02 < np.mean([t.honesty < 0.3 for t in crowd]) < 0.1
        assert 0.04 < np.mean([t.laziness > 0.6 for t in crowd]) < 0.15
        assert 0.04 < np.mean([t.vagueness > 0.5 for t in crowd]) < 0.13
        assert 0.05 < np.mean([t.typo_rate > 0.1 for t in crowd]) < 0.2
        assert 0.1 < np.mean([t.italian for t in crowd]) < 0.2

    @given(st.integers(0, 2**32 - 1))
    def test_traits_are_shares_and_repeatable(self, seed: int) -> None:
        traits = draw_traits(np.random.default_rng(seed))
        assert traits == draw_traits(np.random.default_rng(seed))
        for name in ("skill", "honesty", "typo_rate", "laziness", "vagueness", "patience"):
            assert 0 <= getattr(traits, name) <= 1

    def test_a_crowd_can_be_of_some_kinds_only(self) -> None:
        rng = np.random.default_rng(0)
        crowd = [draw_traits_of(["lazy", "spiteful"], rng) for _ in range(100)]
        assert all(traits.laziness >= 0.7 or traits.honesty <= 0.2 for traits in crowd)
        assert {traits.laziness >= 0.7 for traits in crowd} == {True, False}


def forms(word: str) -> set[str]:
    return {last for form in (word, plural(word)) for last in [form.split()[-1], form]}


def distance(one: str, other: str) -> int:
    """Slips between two words: letters put in, left out, exchanged, or neighbours swapped."""
    rows = [list(range(len(other) + 1))]
    for i, a in enumerate(one, start=1):
        row = [i]
        for j, b in enumerate(other, start=1):
            best = min(rows[-1][j] + 1, row[-1] + 1, rows[-1][j - 1] + (a != b))
            if i > 1 and j > 1 and (a, one[i - 2]) == (other[j - 2], b):
                best = min(best, rows[-2][j - 2] + 1)
            row.append(best)
        rows.append(row)
    return rows[-1][-1]
