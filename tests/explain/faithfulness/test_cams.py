"""Our small Grad-CAM and its relatives against pytorch-grad-cam."""

import numpy as np
import pytest
from pytorch_grad_cam import GradCAM, GradCAMPlusPlus, HiResCAM, LayerCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

from app.explain import Network
from app.explain.faithfulness.cams import CAMS, compute_gradients
from tests.explain.toys import IMAGE, Dense, Residual, Toy, random_image, seeded

PEERS = {
    "Grad-CAM": GradCAM,
    "Grad-CAM++": GradCAMPlusPlus,
    "LayerCAM": LayerCAM,
    "HiResCAM": HiResCAM,
}
A = np.array([[[1.0, 3.0]], [[2.0, 0.0]]])
g = np.array([[[2.0, -4.0]], [[1.0, 1.0]]])


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Grad-CAM", [1, 0]),  # weights -1 and 1: -1 + 2 and -3 + 0
        ("LayerCAM", [4, 0]),  # 2 + 2 and 0 + 0
        ("HiResCAM", [4, 0]),  # 2 + 2 and -12 + 0
        # Sums of the maps 4 and 2: alpha = 4 / (8 + 32) and 1 / (2 + 2) where it counts, so the
        # weights are 0.2 and 0.5; 0.2 + 1 and 0.6 + 0.
        ("Grad-CAM++", [1.2, 0.6]),
    ],
)
def test_by_hand(name: str, expected: list[float]) -> None:
    assert CAMS[name](A, g)[0] == pytest.approx(expected, abs=1e-5)


def test_gradients_by_hand() -> None:
    found = compute_gradients(Toy(inplace=True).eval(), IMAGE, ["relu"], target=0)["relu"]
    assert found.maps[1].tolist() == [[0, 0], [2, 0]]
    assert found.gradients[:, 0, 0].tolist() == [1, 2, -0.5]


def test_a_function_is_found_as_by_the_explanation() -> None:
    network = seeded(Dense).eval()
    found = compute_gradients(network, random_image(), ["norm2", "norm1"], target=1)
    assert list(found) == ["norm1", "norm2"]
    assert (found["norm2"].maps >= 0).all()
    assert found["norm2"].maps.shape == found["norm2"].gradients.shape == (8, 12, 12)


@pytest.mark.parametrize("name", CAMS)
@pytest.mark.parametrize("seed", range(3))
def test_as_pytorch_grad_cam(name: str, seed: int) -> None:
    network, image = seeded(Residual, seed).eval(), random_image(seed=seed)
    with PEERS[name](network, [network.block]) as peer:
        expected = peer(image[None], [ClassifierOutputTarget(2)])[0]
    signals = compute_gradients(network, image, ["block"], target=2)["block"]
    assert scaled(CAMS[name](signals.maps, signals.gradients)) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("name", CAMS)
def test_as_pytorch_grad_cam_on_a_trained_network(name: str, photonet: Network) -> None:
    image = random_image(112)
    with PEERS[name](photonet.module, [photonet.module.layer3[0]]) as peer:
        peer(image[None], [ClassifierOutputTarget(2)])
        (maps,), (gradients,) = (
            [part[0].numpy().astype(np.float64) for part in parts]
            for parts in (
                peer.activations_and_grads.activations,
                peer.activations_and_grads.gradients,
            )
        )
        expected = peer.get_cam_image(None, None, None, maps[None], gradients[None], False)[0]
    signals = compute_gradients(photonet.module, image, ["layer3.0"], target=2)["layer3.0"]
    found = CAMS[name](signals.maps, signals.gradients)
    assert found == pytest.approx(np.maximum(expected, 0), rel=1e-4, abs=1e-6)


def scaled(cam: np.ndarray) -> np.ndarray:
    return (cam - cam.min()) / np.ptp(cam)
