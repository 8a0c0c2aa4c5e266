"""From stored pictures and maps to what a page shows."""

from functools import lru_cache
from io import BytesIO
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Picture

from app.explain.render import heatmap_overlay, masked_picture
from app.infra.storage import Storage
from app.models import Image

VIEW_PX = 512
"""Side of the pictures shown in the game and on explanation pages: sharp on a phone, and quick."""

_KEPT: Final = 1024
"""Drawn pictures of each kind that a process keeps, of 10 to 60 kB: some tens of megabytes. Every
map is shown to several players, and drawing it takes as long as all else that a request does."""


def read_view(storage: Storage, image: Image) -> Picture.Image:
    """The part of the picture that the network saw, `VIEW_PX` square, RGB."""
    return _view(storage, _key(image.view_key))


def view_file(storage: Storage, image: Image) -> bytes:
    """The part of the picture that the network saw as it is stored, a JPEG of `VIEW_PX` square."""
    return storage.get(_key(image.view_key))


def read_map(storage: Storage, image: Image, array_name: str) -> NDArray[np.float32]:
    """One array of the image's maps file; a cluster map is [H, W] in 0..1, the layer's own size."""
    return _read_map(storage, _key(image.maps_key), array_name)


def _key(key: str | None) -> str:
    assert key is not None, "only explained images are drawn"
    return key


def _read_map(storage: Storage, key: str, array_name: str) -> NDArray[np.float32]:
    with np.load(storage.path(key), allow_pickle=False) as arrays:
        array: NDArray[np.float32] = arrays[array_name]
    return array


def lit_picture(storage: Storage, image: Image, array_name: str, *, percent: float) -> bytes:
    """The picture as a JPEG, black but for what so many percent of the light show."""
    return _lit(storage, _key(image.view_key), _key(image.maps_key), array_name, percent)


def heat_picture(storage: Storage, image: Image, array_name: str) -> bytes:
    """The picture under the heat map of a cluster map, as a JPEG."""
    return _heated(storage, _key(image.view_key), _key(image.maps_key), array_name)


# By keys, whose files never change (see infra.storage), and not by rows, which belong to a session.


@lru_cache(_KEPT)
def _lit(storage: Storage, view_key: str, maps_key: str, array_name: str, percent: float) -> bytes:
    view, array = _view(storage, view_key), _read_map(storage, maps_key, array_name)
    return to_jpeg(masked_picture(view, array, percent=percent))


@lru_cache(_KEPT)
def _heated(storage: Storage, view_key: str, maps_key: str, array_name: str) -> bytes:
    view, array = _view(storage, view_key), _read_map(storage, maps_key, array_name)
    return to_jpeg(heatmap_overlay(view, array))


def _view(storage: Storage, key: str) -> Picture.Image:
    return Picture.open(BytesIO(storage.get(key))).convert("RGB")


def to_jpeg(picture: Picture.Image) -> bytes:
    buffer = BytesIO()
    picture.save(buffer, "JPEG", quality=90)
    return buffer.getvalue()
