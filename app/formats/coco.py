"""Regions of pictures as a COCO file (https://cocodataset.org/#format-data), written as it goes."""

import json
from collections.abc import Iterable, Mapping
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as masks


def region(lit: NDArray[np.bool_]) -> dict[str, Any]:
    """A mask [H, W] as COCO has it: segmentation (RLE), area in pixels, bbox (x, y, width, height).

    iscrowd is 0, for the region is one thing; its run lengths are compressed, as pycocotools reads
    them.
    """
    rle = masks.encode(np.asfortranarray(lit, dtype=np.uint8))
    return {
        "segmentation": {"size": list(rle["size"]), "counts": rle["counts"].decode("ascii")},
        "area": int(masks.area(rle)),
        "bbox": masks.toBbox(rle).tolist(),
        "iscrowd": 0,
    }


def write_coco(
    file: IO[bytes],
    *,
    info: Mapping[str, Any],
    licence: str,
    categories: Iterable[Mapping[str, Any]],
    images: Iterable[Mapping[str, Any]],
    annotations: Iterable[Mapping[str, Any]],
) -> None:
    """Write a COCO file; each of the records goes out before the next is taken."""
    head = {"info": info, "licenses": [{"id": 1, "name": licence, "url": ""}]}
    file.write(json.dumps(head, ensure_ascii=False).removesuffix("}").encode())
    for name, records in (
        ("categories", categories),
        ("images", images),
        ("annotations", annotations),
    ):
        file.write(f',\n"{name}": ['.encode())
        for number, record in enumerate(records):
            line = json.dumps(record, ensure_ascii=False)
            file.write(f"{',' if number else ''}\n{line}".encode())
        file.write(b"]")
    file.write(b"}\n")
