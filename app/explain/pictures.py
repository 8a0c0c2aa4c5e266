"""Opening pictures that people hand in: used rightly, or refused in a sentence for people."""

import io
import logging
import struct
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

_log = logging.getLogger(__name__)

FORMATS: Final = ("AVIF", "BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
"""Formats that are taken, by Pillow's names. It reads many more, which nobody hands in but to do
harm: their decoders are old, little tested, and say in many ways that a file is damaged."""

MAX_PIXELS: Final = 51_000_000
"""Pictures with more pixels are refused, however few bytes they take in a file. Cameras of 50
megapixels make up to 50.4 million. Opening one takes 200 to 450 MB, as a WebP 800 MB."""

MAX_RATIO: Final = 50
"""Pictures longer than so many times their width are refused. A network scales the short side to
its size: of a line of pixels, a small file, it would make gigabytes."""

_STRIP_PX: Final = 2**20
_TURNS: Final[Mapping[Any, Image.Transpose]] = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""By the EXIF orientation, what sets a picture upright."""

_SIXTEEN_BIT_MODES: Final = frozenset({"I", "I;16", "I;16B", "I;16L", "I;16N"})

_DAMAGE: Final = (
    *(OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, TypeError),
    *(RuntimeError, struct.error),
)
"""What Pillow's decoders report damage by, depending on the format."""


class PictureError(ValueError):
    """A picture cannot be used; the message is one sentence for people, without the file's name."""


def open_picture(source: str | Path | bytes) -> Image.Image:
    """Open a picture file as upright 8-bit RGB.

    source: a path, or the bytes of the file, in one of FORMATS. EXIF rotation is applied,
    transparency is laid over white, and CMYK, palette, grey and 16-bit pictures are converted.
    Raises PictureError when the file is missing, empty, not an image, damaged, animated, larger
    than MAX_PIXELS, or narrower than MAX_RATIO allows.
    """
    content = source if isinstance(source, bytes) else _read(Path(source))
    if not content:
        raise PictureError("The file is empty.")
    # Pillow warns from half its own limit on; our limit is checked before anything is decoded.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        return _decode(content)


def to_rgb(image: Image.Image) -> Image.Image:
    """The picture upright (EXIF orientation applied) and in 8-bit RGB, transparency over white.
    It is the same object where nothing was to be done."""
    image.load()  # a TIFF is turned by that, and then says no more that it is to be
    return _turned(_convert(image), _turn_of(image))


def _turn_of(image: Image.Image) -> Image.Transpose | None:
    return _TURNS.get(image.getexif().get(ExifTags.Base.Orientation))


def _turned(image: Image.Image, turn: Image.Transpose | None) -> Image.Image:
    if turn is None:
        return image
    turned = image.transpose(turn)
    # Without what the file says of itself, or it would be turned once more. Pillow's own
    # exif_transpose writes that anew, and fails where any tag of it is odd.
    turned.info = {}
    return turned


def _convert(image: Image.Image) -> Image.Image:
    """The picture as it lies, in 8-bit RGB, transparency over white.

    Strip by strip: each step takes a copy, and copies of all of a large picture take gigabytes.
    """
    if image.mode == "RGB" and not image.has_transparency_data:
        return image
    if image.mode == "F":
        raise PictureError("Its pixels are floating point numbers, whose range nothing states.")
    converted = Image.new("RGB", image.size)
    n_rows = max(1, _STRIP_PX // image.width)
    for top in range(0, image.height, n_rows):
        bottom = min(top + n_rows, image.height)
        strip = image.crop((0, top, image.width, bottom))
        converted.paste(_convert_strip(strip), (0, top))
    return converted


def _convert_strip(strip: Image.Image) -> Image.Image:
    if strip.mode in _SIXTEEN_BIT_MODES:
        return _from_sixteen_bit(strip)
    if strip.has_transparency_data:
        layered = strip.convert("RGBA")
        paper = Image.new("RGBA", layered.size, "white")
        return Image.alpha_composite(paper, layered).convert("RGB")
    return strip.convert("RGB")


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise PictureError("There is no such file.") from None
    except IsADirectoryError:
        raise PictureError("It is a folder, not a picture.") from None
    except OSError as error:
        raise PictureError(f"It cannot be read ({error.strerror}).") from error


def _decode(content: bytes) -> Image.Image:
    try:
        pixels, turn = _load(content)
        return _turned(_convert(pixels), turn)
    except PictureError:
        raise
    except UnidentifiedImageError:
        raise PictureError("It is not a picture in a format that we can read.") from None
    except Image.DecompressionBombError:
        raise PictureError(f"It has more than {MAX_PIXELS // 1_000_000} million pixels.") from None
    except _DAMAGE as error:
        raise PictureError(f"It is damaged or cut short ({error}).") from error
    except Exception as error:
        # A decoder that fails as none has before, or a mistake of ours: the file is not to blame
        # for sure, and whoever looks after the installation can find out.
        _log.exception("a picture of %d bytes could not be opened", len(content))
        raise PictureError(f"It cannot be opened ({type(error).__name__}: {error}).") from error


def _load(content: bytes) -> tuple[Image.Image, Image.Transpose | None]:
    """A file's pixels as they lie in it, and how to turn them."""
    with Image.open(io.BytesIO(content), formats=FORMATS) as image:
        _refuse_unusable(image)
        image.load()
        # The pixels alone, for what decoded them may hold as many again, and more is to come.
        return image._new(image.im), _turn_of(image)


def _refuse_unusable(image: Image.Image) -> None:
    if image.width * image.height > MAX_PIXELS:
        raise PictureError(
            f"It has {image.width} x {image.height} pixels, more than the "
            f"{MAX_PIXELS // 1_000_000} million that we accept."
        )
    if max(image.size) > MAX_RATIO * min(image.size):
        raise PictureError(
            f"It has {image.width} x {image.height} pixels: too narrow, more than {MAX_RATIO} to 1."
        )
    n_frames = getattr(image, "n_frames", 1)
    # A multi-picture JPEG (MPO) holds previews of the one photo, it does not move.
    if n_frames > 1 and image.format != "MPO":
        raise PictureError(f"It is animated or has several pages ({n_frames} frames).")


def _from_sixteen_bit(image: Image.Image) -> Image.Image:
    """Grey pictures of 16 bits; Pillow's own conversion clips them to white instead of scaling."""
    values = np.asarray(image, dtype=np.float64)
    eight_bit = np.clip(values / 257.0, 0, 255).round().astype(np.uint8)
    return Image.fromarray(eight_bit).convert("RGB")
