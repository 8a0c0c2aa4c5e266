"""Picture files that carry their recipe, so that whoever has the file can know what is in it."""

import io
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image, PngImagePlugin, UnidentifiedImageError

from app.explain.processes import side_by_side
from app.picturebook.scenes import Recipe, Scene, draw_scene

_CHUNK: Final = "layerplay-scene"
# A recipe is some hundred bytes; a longer text is none, whatever it says.
_MAX_TEXT: Final = 2000
_ROUNDING: Final = 2  # levels of 0..255
_LARGEST: Final = 1024  # side in px up to which a scene is drawn again


def png_of(scene: Scene) -> bytes:
    """The scene's picture as a PNG with its recipe in a text chunk."""
    info = PngImagePlugin.PngInfo()
    info.add_text(_CHUNK, json.dumps(scene.recipe.entries(), sort_keys=True))
    buffer = io.BytesIO()
    scene.picture.save(buffer, "PNG", pnginfo=info)
    return buffer.getvalue()


def read_recipe(content: bytes) -> Recipe | None:
    """The recipe that a picture file carries; None when it carries none that can be drawn."""
    try:
        with Image.open(io.BytesIO(content), formats=["PNG"]) as image:
            image.load()
            text = image.info.get(_CHUNK)
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError):
        return None
    if not isinstance(text, str) or len(text) > _MAX_TEXT:
        return None
    try:
        entries = json.loads(text)
        return Recipe.from_entries(entries) if isinstance(entries, dict) else None
    except ValueError:
        return None


def true_scene(content: bytes) -> Scene | None:
    """The scene that a picture file shows, drawn again; None when it shows none of ours.

    What a file says of itself is believed only when the picture drawn from the recipe is the
    picture in the file, pixel by pixel but for rounding.
    """
    recipe = read_recipe(content)
    if recipe is None:
        return None
    with Image.open(io.BytesIO(content), formats=["PNG"]) as image:
        shown = np.asarray(image.convert("RGB"), dtype=np.int16)
    if shown.shape[0] != shown.shape[1] or shown.shape[0] > _LARGEST:
        return None
    scene = draw_scene(recipe, shown.shape[0])
    difference = np.abs(np.asarray(scene.picture) - shown).max()
    return scene if difference <= _ROUNDING else None


def write_pictures(
    recipes: Sequence[Recipe], folder: Path, *, n_processes: int = 1
) -> Iterator[Path]:
    """Draw pictures into one sub-folder per class; each file's path when it is there.

    A file appears whole or not at all. One that is there already is kept, so that an interrupted
    drawing goes on.
    """
    for class_name in {recipe.class_name for recipe in recipes}:
        (folder / class_name).mkdir(parents=True, exist_ok=True)
    with side_by_side(n_processes) as submit:
        written = [submit(_write_picture, folder, recipe) for recipe in recipes]
        for one in written:
            yield one.result()


def _write_picture(folder: Path, recipe: Recipe) -> Path:
    name = f"{recipe.class_name}-{recipe.seed}-{recipe.number:04}.png"
    path = folder / recipe.class_name / name
    if not path.exists():
        unfinished = folder / f"{name}.part"
        unfinished.write_bytes(png_of(draw_scene(recipe)))
        unfinished.replace(path)
    return path
