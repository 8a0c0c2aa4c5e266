"""Pictures drawn here, and the real photos and network where the machine has them."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from app.explain import Network, load_network

SHARED_DATA = Path(__file__).resolve().parents[3] / "shared" / "data"


@pytest.fixture(autouse=True)
def one_torch_thread():
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(n_threads)


@pytest.fixture(scope="session")
def drawn_picture() -> Image.Image:
    """A wide scene: a noisy sky, a striped house, a round sun."""
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 60, (120, 180, 3), dtype=np.uint8) + np.uint8(90)
    picture = Image.fromarray(noise)
    draw = ImageDraw.Draw(picture)
    draw.ellipse((120, 10, 160, 50), fill=(250, 220, 40))
    draw.rectangle((30, 50, 100, 110), fill=(190, 60, 50))
    for x in range(34, 100, 8):
        draw.line((x, 50, x, 110), fill=(240, 230, 210), width=2)
    return picture


@pytest.fixture(scope="session")
def small_network() -> Network:
    """A ResNet-18 with random weights, small pictures and three classes."""
    return load_network(
        "resnet18", weights="random", classes=["house", "sun", "sky"], device="cpu", seed=3
    )


@pytest.fixture(scope="session")
def photonet() -> Network:
    path = SHARED_DATA / "photonet.json"
    if not path.is_file():
        pytest.skip("shared/data/photonet.json lies not beside the repository: drawn tests only")
    return load_network(path, device="cpu")
