"""Options that several commands have."""

from pathlib import Path
from typing import Annotated

import typer

NetworkOption = Annotated[
    str, typer.Option(help="A classifier of torchvision, timm:NAME, or a description file (JSON).")
]
WeightsOption = Annotated[
    str, typer.Option(help="default (published), random, or a safetensors file.")
]
ClassesOption = Annotated[
    Path | None, typer.Option(help="File with the network's class names, one a line, or JSON.")
]
LayersOption = Annotated[
    str | None, typer.Option(help="Layers by name, separated by commas. Default: the deeper half.")
]
ClustererOption = Annotated[
    str, typer.Option(help="How feature maps are grouped: fast, or paper for t-SNE and Ward.")
]
SeedOption = Annotated[
    int, typer.Option(help="Makes the paper's clusterer repeatable; fast needs none.")
]


def split_names(layers: str | None) -> list[str] | None:
    """Names that are separated by commas; None for none."""
    return [name.strip() for name in layers.split(",") if name.strip()] if layers else None
