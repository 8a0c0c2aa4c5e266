"""Small scenes drawn by Pillow: what the tests use as photos where there are none."""

from collections.abc import Callable

from PIL import Image, ImageDraw

SIDE_PX = 320
_SCALE = 3  # drawn larger, then reduced: smooth edges

Box = tuple[float, float, float, float]


class Scene:
    """A picture in the making; places are shares of its side, 0 to 1."""

    def __init__(self, top: str, bottom: str, ground: str) -> None:
        side = SIDE_PX * _SCALE
        sky = Image.new("RGB", (1, 2))
        sky.putdata([_rgb(top), _rgb(bottom)])
        self.image = sky.resize((side, side), Image.Resampling.BILINEAR)
        self._draw = ImageDraw.Draw(self.image)
        self._side = side
        self.shape("rectangle", (0, 0.72, 1, 1), ground)

    def shape(self, kind: str, place: Box, colour: str) -> None:
        """A rectangle or an ellipse in a box."""
        getattr(self._draw, kind)([value * self._side for value in place], fill=colour)

    def polygon(self, *corners: tuple[float, float], colour: str) -> None:
        self._draw.polygon([(x * self._side, y * self._side) for x, y in corners], fill=colour)

    def finished(self) -> Image.Image:
        return self.image.resize((SIDE_PX, SIDE_PX), Image.Resampling.LANCZOS)


def _rgb(colour: str) -> tuple[int, ...]:
    return Image.new("RGB", (1, 1), colour).getpixel((0, 0))  # type: ignore[return-value]


def boat(number: int) -> Image.Image:
    x, colour = 0.2 + 0.12 * number, ("#c8443c", "#f2b134", "#3f6fb5")[number]
    scene = Scene("#8fc7ea", "#e9f4f7", "#2f7f96")
    scene.shape("ellipse", (0.78, 0.08, 0.92, 0.22), "#fff3c4")
    scene.polygon((x + 0.2, 0.18), (x + 0.2, 0.66), (x - 0.1, 0.66), colour="#fffaf0")
    scene.polygon((x + 0.23, 0.24), (x + 0.23, 0.66), (x + 0.42, 0.66), colour=colour)
    scene.shape("rectangle", (x + 0.2, 0.14, x + 0.22, 0.74), "#5b3a24")
    hull = (x - 0.12, 0.7), (x + 0.46, 0.7), (x + 0.36, 0.84), (x - 0.02, 0.84)
    scene.polygon(*hull, colour="#7a4a2b")
    for wave in range(4):
        left = 0.08 + 0.24 * wave
        scene.shape("ellipse", (left, 0.9, left + 0.16, 0.93), "#5fb0c4")
    return scene.finished()


def house(number: int) -> Image.Image:
    x, colour = 0.18 + 0.1 * number, ("#e8cfa4", "#d98b6a", "#b8c9a9")[number]
    scene = Scene("#b9d9ee", "#fdf3e1", "#7fa65a")
    scene.shape("rectangle", (x + 0.36, 0.24, x + 0.43, 0.4), "#8a4b3a")
    scene.shape("rectangle", (x, 0.44, x + 0.52, 0.84), colour)
    scene.polygon((x - 0.05, 0.46), (x + 0.26, 0.2), (x + 0.57, 0.46), colour="#8c3b32")
    scene.shape("rectangle", (x + 0.2, 0.62, x + 0.32, 0.84), "#5b3a24")
    for left in (x + 0.05, x + 0.37):
        scene.shape("rectangle", (left, 0.52, left + 0.11, 0.63), "#fff7d6")
        scene.shape("rectangle", (left + 0.05, 0.52, left + 0.06, 0.63), "#6d5a4a")
    return scene.finished()


def flower(number: int) -> Image.Image:
    x, colour = 0.42 + 0.06 * number, ("#d9527a", "#f0a63a", "#8a63c9")[number]
    scene = Scene("#cfe8d5", "#f7f6e4", "#6b4a32")
    scene.shape("rectangle", (x - 0.015, 0.4, x + 0.015, 0.8), "#3f7d44")
    leaf = (x, 0.7), (x + 0.2, 0.56), (x + 0.24, 0.6), (x + 0.02, 0.74)
    scene.polygon(*leaf, colour="#4f9a52")
    for dx, dy in ((0, -0.14), (0.13, -0.05), (0.09, 0.11), (-0.09, 0.11), (-0.13, -0.05)):
        place = (x + dx - 0.1, 0.34 + dy - 0.1, x + dx + 0.1, 0.34 + dy + 0.1)
        scene.shape("ellipse", place, colour)
    scene.shape("ellipse", (x - 0.08, 0.26, x + 0.08, 0.42), "#f6d743")
    return scene.finished()


SCENES: dict[str, Callable[[int], Image.Image]] = {"boat": boat, "flower": flower, "house": house}
"""How to draw each class; the number, 0 to 2, varies place and colour."""
