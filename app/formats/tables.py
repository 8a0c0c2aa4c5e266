"""The tables of an export: each column with its kind and what it means.

The one place for it: CSV and Parquet take their columns from here, and the dataset card and the
Croissant metadata their descriptions.
"""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["text", "integer", "number", "flag", "moment", "integers", "numbers", "picture"]
"""moment: an aware datetime. integers, numbers: lists of them. picture: the bytes of a JPEG."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column; None stands in it only where `meaning` says so."""

    name: str
    kind: Kind
    meaning: str


@dataclass(frozen=True, slots=True)
class Table:
    """A table. key: the column that tells its rows apart, None where no single one does."""

    name: str
    title: str
    meaning: str
    key: str | None
    columns: tuple[Column, ...]


_STUDY = (
    Column("study", "text", "Name of the study."),
    Column("network", "text", "Name of the network."),
    Column("network_sha256", "text", "SHA-256 of the network's weights."),
)
_IMAGE = (
    Column("image", "text", "File name of the picture, as it came."),
    Column("image_sha256", "text", "SHA-256 of the picture's file, as it came."),
    Column("image_class", "text", "The picture's class."),
    Column("network_said", "text", "The class that the network gave the picture, and explained."),
)
_MAP = (
    Column("layer", "text", "Dotted path of the layer in the network."),
    Column("cluster_map", "text", "Id of the cluster map: a group of the layer's feature maps."),
    Column("channels", "integers", "Indices of its feature maps in the layer."),
    Column("weight", "number", "Its share of the layer's weight for the class, in percent."),
    Column(
        "effect",
        "number",
        "What the class's logit loses without it, to first order; none where not computed.",
    ),
)

LABELS = Table(
    "labels",
    "Labels",
    "One row per label that a player typed, in the order in which they came.",
    "label_id",
    (
        Column("label_id", "integer", "Number of the label in this installation."),
        *_STUDY,
        *_IMAGE,
        *_MAP,
        Column("label", "text", "What the player typed."),
        Column("concept", "text", "The concept it was grouped under; none when junk or not yet."),
        Column("agreement", "integer", "Players who gave this concept on this map; else none."),
        Column("reveal_index", "integer", "Step 0 to 5 of the reveal at which it was typed."),
        Column("guess", "text", "The class that the player guessed with it."),
        Column("right", "flag", "Whether that guess was the picture's class."),
        Column("round", "text", "Id of the round: one player, one cluster map."),
        Column("player", "text", "Pseudonym of the player, a keyed hash."),
        Column("simulated", "flag", "Whether the player is a program."),
        Column("practice", "flag", "Whether the round was practice, which counts in no result."),
        Column("given_at", "moment", "When it was typed, UTC."),
    ),
)

_ANSWERS = (
    Column("n_nothing_nameable", "integer", "Players who say that the map shows nothing nameable."),
    Column("n_named", "integer", "Players who named something in it."),
)

CONCEPTS = Table(
    "concepts",
    "Concepts",
    "One row per cluster map and concept that players found in it, strongest first.",
    None,
    (
        *_STUDY,
        *_IMAGE,
        *_MAP,
        Column("concept", "text", "Name of the concept, a group of labels that mean the same."),
        Column("agreement", "integer", "Players who gave it on this cluster map."),
        Column("mean_reveal_index", "number", "Mean step 0 to 5 at which they gave it."),
        Column("any_right", "flag", "Whether any guess that carried it was right."),
        Column("score", "number", "How strongly it belongs to the map; 0 or more."),
        *_ANSWERS,
        Column("simulated", "flag", "Whether programs found it, not people."),
    ),
)

CLUSTER_MAPS = Table(
    "cluster_maps",
    "Cluster maps",
    "One row per cluster map, with the map itself.",
    "cluster_map",
    (
        *_STUDY,
        *_IMAGE,
        *_MAP,
        Column("rank", "integer", "0 for the heaviest of its layer."),
        *_ANSWERS,
        Column("height", "integer", "Rows of the map, in cells."),
        Column("width", "integer", "Columns of the map, in cells."),
        Column("values", "numbers", "The map, row by row, 0 to 1; it covers the whole picture."),
    ),
)

IMAGES = Table(
    "images",
    "Pictures",
    "One row per picture, as the network saw it and players did.",
    "image_sha256",
    (
        *_IMAGE,
        Column("probability", "number", "Of the class that the network gave it, 0 to 1."),
        Column("picture", "picture", "The part of the picture that the network saw, a JPEG."),
    ),
)
