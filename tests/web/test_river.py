"""Where blocks and ribbons of the river stand."""

from uuid import uuid4

from hypothesis import given
from hypothesis import strategies as st

from app.services.answers import Answers
from app.services.explanations import LayerView, MapGroup
from app.web.river import draw_river


def layer(number: int, *groups: tuple[float, str | None]) -> LayerView:
    """A layer whose groups have these weights and best concepts."""
    return LayerView(
        name=f"layer{number}",
        number=number,
        n_channels=64,
        n_kept=len(groups),
        kept_weight=sum(weight for weight, _ in groups),
        groups=tuple(
            MapGroup(
                map_ids=(uuid4(),),
                weight=weight,
                effect=None,
                n_feature_maps=1,
                channels=(0,),
                concepts=((name, 1.0),) if name else (),
                given={},
                answers=Answers(),
                agreement=None,
                wins=0,
                losses=0,
                resignations=0,
                shown_reveal_index=None,
            )
            for weight, name in groups
        ),
    )


def test_blocks_lie_side_by_side_as_wide_as_their_weights() -> None:
    river = draw_river([layer(1, (50.0, "sail"), (30.0, "water"))])
    assert [(block.left, block.width) for block in river.rows[0].blocks] == [(0, 50), (50, 30)]


def test_a_ribbon_joins_what_shares_its_best_word_and_divides_where_the_word_does() -> None:
    """Water is one map of 60 % above, two of 40 and 20 % below: it divides two to one."""
    river = draw_river(
        [
            layer(1, (60.0, "water"), (20.0, "sail")),
            layer(2, (40.0, "water"), (30.0, "mast"), (20.0, "water")),
        ]
    )
    first, second = river.rows[0].ribbons
    assert (first.from_left, first.from_right, first.to_left, first.to_right) == (0, 40, 0, 40)
    assert (second.from_left, second.from_right, second.to_left, second.to_right) == (
        *(40, 60),
        *(70, 90),
    )
    assert river.rows[1].ribbons == ()


def test_maps_without_words_have_neither_ribbon_nor_colour() -> None:
    river = draw_river([layer(1, (60.0, None)), layer(2, (60.0, None))])
    assert river.rows[0].ribbons == ()
    assert river.rows[0].blocks[0].colour is None


def test_no_layers_are_no_river() -> None:
    assert draw_river([]).height_px == 0


GROUPS = st.lists(
    st.tuples(st.floats(1, 20), st.sampled_from(["sail", "water", "sky", None])), max_size=5
)


@given(GROUPS, GROUPS)
def test_ribbons_never_leave_their_blocks(
    above: list[tuple[float, str | None]], below: list[tuple[float, str | None]]
) -> None:
    river = draw_river([layer(1, *above), layer(2, *below)])
    for ribbon in river.rows[0].ribbons:
        ends = (
            (river.rows[0].blocks, ribbon.from_left, ribbon.from_right),
            (river.rows[1].blocks, ribbon.to_left, ribbon.to_right),
        )
        for blocks, left, right in ends:
            assert left <= right
            assert any(
                block.left - 1e-9 <= left and right <= block.left + block.width + 1e-9
                for block in blocks
                if block.group.concepts and block.group.concepts[0][0] == ribbon.concept
            )
