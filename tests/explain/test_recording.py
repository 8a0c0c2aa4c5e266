"""Threads that explain one network at the same time."""

from contextlib import ExitStack

import numpy as np
import pytest
import torch

from app.explain import explain_image
from app.explain.running import eval_mode, exact_products

from .toys import IMAGE, Interrupted, Residual, Toy


@pytest.mark.parametrize("use", ["explain", "run"])
def test_a_pass_of_another_thread_is_not_recorded(use):
    (alone,) = explain_image(Toy(), IMAGE).layers
    network, seen = Interrupted(), []
    picture = IMAGE.flip(0)

    def meanwhile():
        seen.append(explain_image(network, picture) if use == "explain" else network(picture[None]))

    network.meanwhile = meanwhile
    (found,) = explain_image(network, IMAGE).layers

    assert found.name == "relu"
    np.testing.assert_array_equal(found.channel_weights, alone.channel_weights)
    assert len(seen) == 2
    if use == "explain":
        (expected,) = explain_image(Toy(), picture).layers
        for other in seen:
            np.testing.assert_array_equal(other.layers[0].channel_weights, expected.channel_weights)


def test_eval_mode_lasts_until_the_last_one_is_done():
    network = Residual()
    network.head.eval()
    first, second = ExitStack(), ExitStack()

    first.enter_context(eval_mode(network))
    second.enter_context(eval_mode(network.block))
    first.close()
    still_training = {name for name, part in network.named_modules() if part.training}
    second.close()

    assert still_training == {"", "stem", "dropout"}
    assert all(part.training == (part is not network.head) for part in network.modules())


def test_exact_products_last_until_the_last_one_is_done():
    products = torch.backends.cudnn.conv, torch.backends.cuda.matmul
    before, first, second = [kind.fp32_precision for kind in products], ExitStack(), ExitStack()

    first.enter_context(exact_products())
    second.enter_context(exact_products())
    first.close()
    meanwhile = [kind.fp32_precision for kind in products]
    second.close()

    assert meanwhile == ["ieee", "ieee"]
    assert [kind.fp32_precision for kind in products] == before
