"""From stored pictures and maps to what a page shows."""

from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Picture

from app.infra.storage import Storage
from app.models import Image

VIEW_PX = 512
"""Side of the pictures shown in the game and on explanation pages: sharp on a phone, and quick."""


def read_view(storage: Storage, image: Image) -> Picture.Image:
    """The part of the picture that the network saw, `VIEW_PX` square, RGB."""
    return Picture.open(BytesIO(view_file(storage, image))).convert("RGB")


def view_file(storage: Storage, image: Image) -> bytes:
    """The part of the picture that the network saw as it is stored, a JPEG of `VIEW_PX` square."""
    assert image.view_key is not None, "only explained images are drawn"
    return storage.get(image.view_key)


def read_map(storage: Storage, image: Image, array_name: str) -> NDArray[np.float32]:
    """One array of the image's maps file; a cluster map is [H, W] in 0..1, the layer's own size."""
    assert image.maps_key is not None, "only explained images are drawn"
    with np.load(storage.path(image.maps_key), allow_pickle=False) as arrays:
        array: NDArray[np.float32] = arrays[array_name]
    return array


def to_jpeg(picture: Picture.Image) -> bytes:
    buffer = BytesIO()
    picture.save(buffer, "JPEG", quality=90)
    return buffer.getvalue()
