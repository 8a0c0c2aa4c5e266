"""The networks that come with the picture book, as description files for `load_network`."""

from pathlib import Path
from typing import Final

from app.explain.plain_layout import WIDTHS, layer_names

_DATA: Final = Path(__file__).parent / "data"

FAIR_NETWORK: Final = _DATA / "picturebook.json"
"""Trained where nothing but the figure tells the class."""

BIASED_NETWORK: Final = _DATA / "picturebook-biased.json"
"""Trained where water is only under sailboats and the mark only on birds."""

EXPLAINED_LAYERS: Final = [
    name for block in (len(WIDTHS) - 2, len(WIDTHS) - 1) for name in layer_names(block)
]
"""The layers of both networks' last two blocks, where parts can be told apart."""
