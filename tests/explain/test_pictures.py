"""Every kind of file that people hand in is used rightly, or refused with the reason."""

import io
import struct
import subprocess
import sys
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image

from app.explain import PictureError, open_picture, pictures
from app.explain.pictures import MAX_PIXELS, MAX_RATIO, to_rgb


def encoded(image: Image.Image, file_format: str = "PNG", **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, file_format, **options)
    return buffer.getvalue()


def half_and_half(mode: str, left, right) -> Image.Image:
    """16 x 8 pixels, so that turning it is seen in the size."""
    image = Image.new(mode, (16, 8), left)
    image.paste(right, (8, 0, 16, 8))
    return image


def sixteen_bit_rgb_png() -> bytes:
    """One row of two pixels; Pillow cannot write this kind itself."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    header = struct.pack(">IIBBBBB", 2, 1, 16, 2, 0, 0, 0)
    row = b"\0" + struct.pack(">6H", 65535, 0, 0, 0, 32896, 65535)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(row))
        + chunk(b"IEND", b"")
    )


def test_plain_picture_keeps_its_pixels(tmp_path):
    image = half_and_half("RGB", (200, 10, 20), (0, 90, 250))
    (tmp_path / "a.png").write_bytes(encoded(image))

    for source in (tmp_path / "a.png", str(tmp_path / "a.png"), encoded(image)):
        opened = open_picture(source)
        assert opened.mode == "RGB"
        np.testing.assert_array_equal(np.asarray(opened), np.asarray(image))


def test_rotated_photo_is_set_upright():
    image = half_and_half("RGB", "white", "black")
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned a quarter clockwise

    opened = open_picture(encoded(image, "JPEG", exif=exif, quality=95))

    assert opened.size == (8, 16)
    assert opened.getpixel((4, 2))[0] > 240
    assert opened.getpixel((4, 13))[0] < 15


def turned_by_exif(image: Image.Image, file_format: str) -> bytes:
    """To be turned a quarter clockwise."""
    exif = Image.Exif()
    exif[0x0112] = 6
    return encoded(image, file_format, exif=exif)


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_picture_that_was_set_upright_is_not_turned_again(file_format):
    content = turned_by_exif(half_and_half("RGB", "white", "black"), file_format)

    for upright in (open_picture(content), to_rgb(Image.open(io.BytesIO(content)))):
        assert upright.size == (8, 16)
        assert to_rgb(upright).size == (8, 16)
        assert upright.getpixel((4, 2))[0] > 200


@pytest.mark.parametrize("tag", [0x0100, 0x0128])
def test_rotated_photo_with_words_where_a_number_belongs_is_set_upright(tag):
    entries = struct.pack(">HHI4s", tag, 2, 4, b"abc\0") + struct.pack(">HHIHH", 0x0112, 3, 1, 6, 0)
    exif = b"Exif\0\0MM\0*" + struct.pack(">IH", 8, 2) + entries + bytes(4)

    opened = open_picture(encoded(half_and_half("RGB", "white", "black"), "JPEG", exif=exif))

    assert opened.size == (8, 16)


def test_transparency_is_laid_over_white():
    image = half_and_half("RGBA", (255, 0, 0, 0), (255, 0, 0, 128))

    opened = open_picture(encoded(image))

    assert opened.getpixel((0, 0)) == (255, 255, 255)
    assert opened.getpixel((15, 0)) == pytest.approx((255, 127, 127), abs=1)


def test_palette_with_a_transparent_colour_is_laid_over_white():
    image = half_and_half("P", 0, 1)
    image.putpalette([255, 0, 0, 0, 0, 255])

    opened = open_picture(encoded(image, transparency=0))

    assert (opened.getpixel((0, 0)), opened.getpixel((15, 0))) == ((255, 255, 255), (0, 0, 255))


def test_cmyk_is_converted():
    opened = open_picture(encoded(half_and_half("CMYK", (0, 0, 0, 0), (0, 255, 255, 0)), "TIFF"))

    assert (opened.getpixel((0, 0)), opened.getpixel((15, 0))) == ((255, 255, 255), (255, 0, 0))


def test_grey_scale_is_converted():
    assert open_picture(encoded(half_and_half("L", 30, 200))).getpixel((15, 0)) == (200, 200, 200)


def test_sixteen_bit_grey_is_scaled_and_not_clipped():
    values = np.array([[0, 32896, 65535]], dtype=np.uint16)

    for file_format in ("PNG", "TIFF"):
        opened = open_picture(encoded(Image.fromarray(values), file_format))
        assert [opened.getpixel((x, 0))[0] for x in range(3)] == [0, 128, 255]


def test_sixteen_bit_colour_is_scaled():
    opened = open_picture(sixteen_bit_rgb_png())

    assert opened.getpixel((0, 0)) == (255, 0, 0)
    assert opened.getpixel((1, 0)) == pytest.approx((0, 128, 255), abs=1)


def noise() -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8))


@pytest.mark.parametrize("mode", ["RGBA", "P", "CMYK", "L", "I;16"])
def test_picture_is_converted_in_strips_as_it_would_be_whole(monkeypatch, mode):
    if mode == "I;16":
        image = Image.fromarray(np.arange(64 * 64, dtype=np.uint16).reshape(64, 64) * 15)
    else:
        image = noise().convert(mode)
    whole = np.asarray(to_rgb(image))

    monkeypatch.setattr(pictures, "_STRIP_PX", 7 * 64)

    np.testing.assert_array_equal(np.asarray(to_rgb(image)), whole)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("mode", ["I;16", "RGBA", "RGB"])
def test_opening_a_picture_takes_little_more_than_its_pixels(tmp_path, mode):
    path = tmp_path / "large.png"
    Image.new(mode, (4000, 4000)).save(path)
    script = f"""
import re
from pathlib import Path
from app.explain.pictures import open_picture
def peak_kb():
    return int(re.search(r"VmHWM:\\s*(\\d+)", Path("/proc/self/status").read_text())[1])
before = peak_kb()
open_picture({str(path)!r})
print(1024 * (peak_kb() - before))
"""

    run = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)

    # Pillow keeps a coloured pixel in 4 bytes, and two pictures are needed, before and after.
    assert int(run.stdout) < 11 * 4000 * 4000


@pytest.mark.parametrize("file_format", ["GIF", "PNG", "WEBP", "TIFF"])
def test_animated_picture_is_refused(file_format):
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue", "green")]
    content = encoded(frames[0], file_format, save_all=True, append_images=frames[1:])

    with pytest.raises(PictureError, match=r"animated or has several pages \(3 frames\)"):
        open_picture(content)


def test_gif_of_one_frame_is_used():
    content = encoded(Image.new("RGB", (8, 8), "red"), "GIF")

    assert open_picture(content).getpixel((0, 0)) == (255, 0, 0)


@pytest.mark.parametrize("file_format", pictures.FORMATS)
def test_each_format_that_is_taken_can_be_opened(file_format):
    content = encoded(Image.new("RGB", (8, 8), "red"), file_format)

    assert open_picture(content).getpixel((0, 0)) == pytest.approx((255, 0, 0), abs=4)


@pytest.mark.parametrize("file_format", ["DDS", "ICO", "TGA", "EPS"])
def test_formats_that_nobody_hands_in_are_not_decoded(file_format):
    with pytest.raises(PictureError, match="not a picture in a format"):
        open_picture(encoded(Image.new("RGB", (8, 8), "red"), file_format))


def test_decoder_that_fails_as_none_has_before_is_logged_and_the_file_refused(monkeypatch, caplog):
    monkeypatch.setattr(Image, "open", lambda *_, **__: 1 / 0)

    with pytest.raises(PictureError, match="cannot be opened"):
        open_picture(b"any")

    assert "ZeroDivisionError" in caplog.text


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "GIF", "BMP"])
def test_picture_that_was_cut_short_is_refused(file_format):
    content = encoded(noise(), file_format)

    with pytest.raises(PictureError, match=r"damaged or cut short|not a picture"):
        open_picture(content[: len(content) // 2])


def test_damaged_avif_is_refused():
    before, data, pixels = encoded(noise(), "AVIF").partition(b"mdat")

    with pytest.raises(PictureError, match="damaged or cut short"):
        open_picture(before + data + bytes(len(pixels)))


@pytest.mark.parametrize("content", [b"words, not pixels", b"\x89PNG\r\n\x1a\n", b"\0" * 500])
def test_something_else_is_refused(content):
    with pytest.raises(PictureError, match=r"not a picture|damaged"):
        open_picture(content)


def test_empty_file_is_refused(tmp_path):
    (tmp_path / "empty.jpg").touch()

    with pytest.raises(PictureError, match="empty"):
        open_picture(tmp_path / "empty.jpg")


def test_missing_file_and_folder_are_named_as_such(tmp_path):
    with pytest.raises(PictureError, match="no such file"):
        open_picture(tmp_path / "none.jpg")
    with pytest.raises(PictureError, match="It is a folder"):
        open_picture(tmp_path)


@pytest.mark.parametrize("side", [7_200, 20_000])
def test_huge_picture_is_refused_before_it_is_decoded(side):
    content = encoded(Image.new("1", (side, side)))
    assert side * side > MAX_PIXELS

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(PictureError, match="million"):
            open_picture(content)


def test_floating_point_pixels_are_refused():
    with pytest.raises(PictureError, match="floating point"):
        open_picture(encoded(Image.new("F", (4, 4), 0.5), "TIFF"))


@pytest.mark.parametrize("size", [(1, MAX_RATIO + 1), (2 * MAX_RATIO + 1, 2)])
def test_picture_that_is_hardly_more_than_a_line_is_refused(size):
    with pytest.raises(PictureError, match="too narrow"):
        open_picture(encoded(Image.new("L", size)))
