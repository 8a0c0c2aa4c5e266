"""From stored pictures and maps to what a page shows."""

from datetime import datetime
from functools import lru_cache
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Picture

from app.explain.render import heatmap_overlay, masked_picture
from app.infra.storage import Storage
from app.models import ClusterMap, Image

VIEW_PX = 512
"""Side of the pictures shown in the game and on explanation pages: sharp on a phone, and quick."""


def read_view(storage: Storage, image: Image) -> Picture.Image:
    """The part of the picture that the network saw, `VIEW_PX` square, RGB."""
    return _decoded(view_file(storage, image))


def _decoded(jpeg: bytes) -> Picture.Image:
    return Picture.open(BytesIO(jpeg)).convert("RGB")


def view_file(storage: Storage, image: Image) -> bytes:
    """The part of the picture that the network saw as it is stored, a JPEG of `VIEW_PX` square."""
    assert image.view_key is not None, "only explained images are drawn"
    return storage.get(image.view_key)


def read_map(storage: Storage, image: Image, array_name: str) -> NDArray[np.float32]:
    """One array of the image's maps file; a cluster map is [H, W] in 0..1, the layer's own size."""
    assert image.maps_key is not None, "only explained images are drawn"
    return _array(storage, image.maps_key, array_name)


def _array(storage: Storage, maps_key: str, array_name: str) -> NDArray[np.float32]:
    with np.load(storage.path(maps_key), allow_pickle=False) as arrays:
        array: NDArray[np.float32] = arrays[array_name]
    return array


def lit_picture(storage: Storage, cluster_map: ClusterMap, *, percent: float) -> bytes:
    """A JPEG of the picture, black but for so much of it as the map says was looked at most."""
    return _drawn(storage, *_drawn_from(cluster_map), percent)


def heated_picture(storage: Storage, cluster_map: ClusterMap) -> bytes:
    """A JPEG of the picture under the map's heat."""
    return _drawn(storage, *_drawn_from(cluster_map), None)


def _drawn_from(cluster_map: ClusterMap) -> tuple[str, str, str, datetime | None]:
    image = cluster_map.image
    assert image.view_key is not None, "only explained images are drawn"
    assert image.maps_key is not None, "only explained images are drawn"
    # Explained anew, a picture's files have the same names.
    return image.view_key, image.maps_key, cluster_map.array_name, image.computed_at


@lru_cache(maxsize=1000)  # some 30 MB
def _drawn(
    storage: Storage,
    view_key: str,
    maps_key: str,
    array_name: str,
    computed_at: datetime | None,
    percent: float | None,
) -> bytes:
    """The lit picture, or without `percent` the one under heat. A map's are the same for all its
    players, some twenty, and drawing one takes as long as all the rest of a request."""
    view = _decoded(storage.get(view_key))
    array = _array(storage, maps_key, array_name)
    if percent is None:
        return to_jpeg(heatmap_overlay(view, array))
    return to_jpeg(masked_picture(view, array, percent=percent))


def to_jpeg(picture: Picture.Image) -> bytes:
    buffer = BytesIO()
    picture.save(buffer, "JPEG", quality=90)
    return buffer.getvalue()
