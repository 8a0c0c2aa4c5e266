"""Opening pictures that people hand in: used rightly, or refused in a sentence for people."""

import io
import warnings
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

MAX_PIXELS: Final = 100_000_000
"""Pictures with more pixels are refused; 100 megapixels is above what any camera phone makes, and
decoding one already takes 300 MB."""

_SIXTEEN_BIT_MODES: Final = frozenset({"I", "I;16", "I;16B", "I;16L", "I;16N"})


class PictureError(ValueError):
    """A picture cannot be used; the message is one sentence for people, without the file's name."""


def open_picture(source: str | Path | bytes) -> Image.Image:
    """Open a picture file as upright 8-bit RGB.

    source: a path, or the bytes of the file. EXIF rotation is applied, transparency is laid over
    white, and CMYK, palette, grey and 16-bit pictures are converted. Raises PictureError when the
    file is missing, empty, not an image, cut short, animated, or larger than MAX_PIXELS.
    """
    content = source if isinstance(source, bytes) else _read(Path(source))
    if not content:
        raise PictureError("The file is empty.")
    # Pillow warns from half its own limit on; our limit is checked before anything is decoded.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        return _decode(content)


def to_rgb(image: Image.Image) -> Image.Image:
    """The picture upright (EXIF orientation applied) and in 8-bit RGB, transparency over white."""
    upright = ImageOps.exif_transpose(image)
    if upright.mode in _SIXTEEN_BIT_MODES:
        return _from_sixteen_bit(upright)
    if upright.mode == "F":
        raise PictureError("Its pixels are floating point numbers, whose range nothing states.")
    if upright.has_transparency_data:
        layered = upright.convert("RGBA")
        paper = Image.new("RGBA", layered.size, "white")
        return Image.alpha_composite(paper, layered).convert("RGB")
    return upright.convert("RGB")


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
        with Image.open(io.BytesIO(content)) as image:
            _refuse_unusable(image)
            image.load()
            return to_rgb(image)
    except PictureError:
        raise
    except UnidentifiedImageError:
        raise PictureError("It is not a picture in a format that we can read.") from None
    except Image.DecompressionBombError:
        raise PictureError(f"It has more than {MAX_PIXELS // 1_000_000} million pixels.") from None
    # Pillow's decoders report damage by any of these, depending on the format.
    except (OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, TypeError) as error:
        raise PictureError(f"It is damaged or cut short ({error}).") from error


def _refuse_unusable(image: Image.Image) -> None:
    n_frames = getattr(image, "n_frames", 1)
    # A multi-picture JPEG (MPO) holds previews of the one photo, it does not move.
    if n_frames > 1 and image.format != "MPO":
        raise PictureError(f"It is animated or has several pages ({n_frames} frames).")
    if image.width * image.height > MAX_PIXELS:
        raise PictureError(
            f"It has {image.width} x {image.height} pixels, more than the "
            f"{MAX_PIXELS // 1_000_000} million that we accept."
        )


def _from_sixteen_bit(image: Image.Image) -> Image.Image:
    """Grey pictures of 16 bits; Pillow's own conversion clips them to white instead of scaling."""
    values = np.asarray(image, dtype=np.float64)
    eight_bit = np.clip(values / 257.0, 0, 255).round().astype(np.uint8)
    return Image.fromarray(eight_bit).convert("RGB")
