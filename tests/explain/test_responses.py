"""A layer's activations and gradients for many pictures, on the toy whose numbers are known."""

import numpy as np
import pytest
import torch

from app.explain import LayerError
from app.explain.responses import layer_responses, picture_responses

from .toys import IMAGE, Toy


def test_activations_and_gradients_by_hand():
    # y0 = 4 mean(A0) + 8 mean(A1) - 2 mean(A2), over 4 pixels.
    found = layer_responses(Toy(), [IMAGE, -IMAGE], layer="relu", target=0)

    np.testing.assert_array_equal(found.activations[0], IMAGE.relu().numpy())
    np.testing.assert_array_equal(found.activations[1], (-IMAGE).relu().numpy())
    assert found.gradients.shape == (2, 3, 2, 2)
    np.testing.assert_allclose(found.gradients[:, :, 0, 0], [[1, 2, -0.5]] * 2)


def test_network_in_bfloat16_answers_in_single_precision():
    found = layer_responses(Toy().bfloat16(), [IMAGE], layer="relu", target=0)

    np.testing.assert_array_equal(found.activations[0], IMAGE.relu().numpy())
    np.testing.assert_array_equal(found.gradients[0, :, 0, 0], [1, 2, -0.5])


def test_without_a_target_each_picture_has_its_predicted_class():
    # With a bias of 1 for class 1: logits 4 and -3, then 0 and 1.
    for_zero, for_one = torch.zeros(3, 2, 2), torch.zeros(3, 2, 2)
    for_zero[0] = 1.0
    toy = Toy()
    toy.head.bias = torch.nn.Parameter(torch.tensor([0.0, 1.0]))

    found = layer_responses(toy, [for_zero, for_one], layer="relu")

    np.testing.assert_allclose(found.gradients[:, 0, 0, 0], [1, -1])


def test_class_by_name_and_picture_need_a_network(small_network, drawn_picture):
    found = layer_responses(small_network, [drawn_picture], layer="layer4.1", target="sun")

    assert found.activations.shape == found.gradients.shape == (1, 512, 7, 7)
    assert torch.is_grad_enabled()


def test_no_picture_and_no_such_layer_are_refused():
    with pytest.raises(ValueError, match="At least one picture"):
        layer_responses(Toy(), [], layer="relu")
    with pytest.raises(LayerError, match="no module named 'relo'; near names: relu"):
        layer_responses(Toy(), [IMAGE], layer="relo")


def test_several_layers_in_one_pass_answer_as_each_alone(small_network, drawn_picture):
    layers = ["layer4.1", "layer2.0"]
    together = picture_responses(small_network, drawn_picture, layers=layers, target="sun")

    for layer in layers:
        alone = layer_responses(small_network, [drawn_picture], layer=layer, target="sun")
        np.testing.assert_array_equal(together[layer][0], alone.activations[0])
        np.testing.assert_allclose(together[layer][1], alone.gradients[0], rtol=1e-5, atol=1e-9)
