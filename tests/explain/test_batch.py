"""Explaining many: each as if it were alone."""

import threading

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from app.explain import explain_image, explain_images

from .toys import IMAGE, Residual, Toy, random_image, seeded


def test_default_layers_are_the_same_for_all_and_as_if_alone(small_network):
    images = [random_image(224, seed=number) for number in range(2)]

    together = list(explain_images(small_network, images))

    for one, image in zip(together, images, strict=True):
        alone = explain_image(small_network, image)
        assert [layer.name for layer in one.layers] == [layer.name for layer in alone.layers]
        for layer, layer_alone in zip(one.layers, alone.layers, strict=True):
            np.testing.assert_array_equal(layer.channel_weights, layer_alone.channel_weights)


@settings(max_examples=10, deadline=None)
@given(st.lists(st.integers(0, 99), max_size=4))
def test_each_of_many_is_explained_as_if_it_were_alone(numbers):
    network = seeded(Residual)
    images = [random_image(seed=number) for number in numbers]

    together = list(explain_images(network, images, layers=["stem", "block"]))

    assert len(together) == len(images)
    for one, image in zip(together, images, strict=True):
        alone = explain_image(network, image, layers=["stem", "block"])
        np.testing.assert_array_equal(one.probabilities, alone.probabilities)
        for layer, layer_alone in zip(one.layers, alone.layers, strict=True):
            np.testing.assert_array_equal(layer.channel_weights, layer_alone.channel_weights)
            for a, b in zip(layer.clusters, layer_alone.clusters, strict=True):
                assert (a.channels, a.weight) == (b.channels, b.weight)
                np.testing.assert_array_equal(a.map, b.map)


class TestBatches:
    """Several pictures in one pass of the network."""

    @settings(max_examples=10, deadline=None)
    @given(st.lists(st.tuples(st.integers(0, 99), st.sampled_from([32, 48])), max_size=7))
    @example([(0, 48), (83, 48)])
    def test_a_batch_is_as_one_by_one_also_of_several_sizes(self, kinds):
        # In double: in single precision a cell that a ReLU cuts off by a hair may be lit in the one
        # and dark in the other, by the rounding of a batch.
        network = seeded(Residual).double()
        images = [random_image(side, seed=number).double() for number, side in kinds]

        one_by_one = list(explain_images(network, images, layers=["block"], batch_size=1))
        in_batches = list(explain_images(network, images, layers=["block"], batch_size=3))

        assert len(in_batches) == len(images)
        for one, other in zip(in_batches, one_by_one, strict=True):
            np.testing.assert_allclose(one.probabilities, other.probabilities, rtol=1e-6)
            for layer, expected in zip(one.layers, other.layers, strict=True):
                np.testing.assert_allclose(
                    layer.channel_weights, expected.channel_weights, rtol=1e-9, atol=1e-9
                )

    def test_each_picture_has_its_own_target(self):
        network = Toy()
        network.head.weight.data[1, 2] = 2.0
        only_third = IMAGE * torch.tensor([0.0, 0.0, 1.0])[:, None, None]

        found = list(explain_images(network, [IMAGE, only_third], batch_size=2))

        assert [one.predicted for one in found] == [0, 1]
        for one, weights in zip(found, [[200 / 3, 100 / 3, 0], [0, 0, 100]], strict=True):
            np.testing.assert_allclose(one.layers[0].channel_weights, weights, atol=1e-4)

    def test_those_before_one_that_cannot_be_explained_come_first(self):
        images = [IMAGE, IMAGE.flip(0), IMAGE * float("nan"), IMAGE]
        results = explain_images(Toy(), images, batch_size=4)

        assert [next(results).layers[0].name for _ in range(2)] == ["relu", "relu"]
        with pytest.raises(ValueError, match="image holds values that are NaN"):
            next(results)

    def test_those_before_one_that_cannot_be_opened_come_first(self):
        def pictures():
            yield from [IMAGE, IMAGE]
            raise OSError("the disk is gone")

        results = explain_images(Toy(), pictures(), batch_size=4)

        assert [next(results).predicted for _ in range(2)] == [0, 0]
        with pytest.raises(OSError, match="the disk is gone"):
            next(results)

    @pytest.mark.parametrize(
        "error", [torch.OutOfMemoryError("CUDA out of memory."), RuntimeError("one, please")]
    )
    def test_what_does_not_go_together_goes_one_by_one(self, error):
        class Alone(Toy):
            def forward(self, x):
                if len(x) > 1:
                    raise error
                return super().forward(x)

        found = list(explain_images(Alone(), [IMAGE] * 3, batch_size=2))

        (alone,) = explain_images(Toy(), [IMAGE])
        for one in found:
            np.testing.assert_array_equal(
                one.layers[0].channel_weights, alone.layers[0].channel_weights
            )
        assert len(found) == 3

    def test_a_batch_has_pictures(self):
        with pytest.raises(ValueError, match="at least one picture, not 0"):
            list(explain_images(Toy(), [IMAGE], batch_size=0))


def test_the_next_picture_is_opened_while_this_one_is_looked_at():
    opened = [threading.Event() for _ in range(3)]

    def pictures():
        for number, event in enumerate(opened):
            event.set()
            yield random_image(seed=number)

    results = explain_images(seeded(Residual), pictures(), layers=["block"])
    next(results)

    assert opened[1].wait(timeout=10)
    assert not opened[2].is_set()


def test_a_picture_that_fails_stops_the_rest_after_those_before_it():
    def pictures():
        yield random_image()
        raise OSError("the disk is gone")

    results = explain_images(seeded(Residual), pictures(), layers=["block"])
    next(results)

    with pytest.raises(OSError, match="the disk is gone"):
        next(results)
