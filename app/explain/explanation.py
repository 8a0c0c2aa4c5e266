"""An explanation: what it holds, how it is kept in files, and how it shows itself."""

import json
import zipfile
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from app.explain.clusters import ClusterMap
from app.explain.report import notebook_html

FORMAT: Final = 1
EXPLANATION_FILE: Final = "explanation.json"
MAPS_FILE: Final = "maps.npz"


@dataclass(frozen=True, slots=True, eq=False)
class LayerExplanation:
    """What one layer looked at.

    name: dotted path of the module. height, width: of its maps. n_kept: channels that pruning left.
    kept_weight: their share of the layer's weight, in percent. channel_weights: [C], percent, sum
    100, or all 0 when the class has no positive evidence at this layer (has_evidence is then
    false). clusters: by falling weight; empty when no channel is left. channel_effects: [C], what
    the logit loses to first order when a channel is zero; None in files of versions without it.
    """

    name: str
    n_channels: int
    height: int
    width: int
    n_kept: int
    kept_weight: float
    channel_weights: NDArray[np.float64]
    clusters: tuple[ClusterMap, ...]
    channel_effects: NDArray[np.float64] | None = None

    @property
    def has_evidence(self) -> bool:
        return bool(self.channel_weights.any())

    def effect_of(self, cluster: ClusterMap) -> float | None:
        """What the logit loses, to first order, when all channels of a cluster are zero.

        Negative where they speak against the class. None where channel_effects are not known.
        """
        if self.channel_effects is None:
            return None
        return float(self.channel_effects[list(cluster.channels)].sum())


@dataclass(frozen=True, slots=True, eq=False)
class Explanation:
    """Why a network gave an image a class.

    target: the explained class; contrast: the class it is set against ("why this and not that"),
    None for none; predicted: the class with the highest logit. probabilities: [K], softmax of the
    logits. layers: from input to output. network, weights_sha256 and classes are
    None for a bare module, of which nothing but its answer is known. clusterer, seed: how the
    clusters were made.
    """

    target: int
    predicted: int
    probabilities: NDArray[np.float32]
    layers: tuple[LayerExplanation, ...]
    clusterer: str
    seed: int
    network: str | None = None
    weights_sha256: str | None = None
    classes: tuple[str, ...] | None = None
    contrast: int | None = None

    @property
    def probability(self) -> float:
        """Of the target, 0..1."""
        return float(self.probabilities[self.target])

    @property
    def target_name(self) -> str | None:
        return self.name_of(self.target)

    def name_of(self, index: int) -> str | None:
        return None if self.classes is None else self.classes[index]

    def _repr_html_(self) -> str:
        """How notebooks show it."""
        return notebook_html(self)

    def to_frame(self) -> Any:
        """A pandas DataFrame with a row per cluster map, layer by layer, by falling weight.

        layer; rank: 1 for the layer's heaviest; weight: percent of the layer; effect: what the
        logit loses, to first order, without it; n_channels, channels: its feature maps, as indices
        in the layer; height, width: of the map, in cells. Raises ModuleNotFoundError without
        pandas.
        """
        try:
            pandas = import_module("pandas")
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError(
                "A table needs pandas, which is not installed: pip install pandas."
            ) from error
        rows = [
            (
                layer.name,
                rank,
                cluster.weight,
                layer.effect_of(cluster),
                len(cluster.channels),
                cluster.channels,
                layer.height,
                layer.width,
            )
            for layer in self.layers
            for rank, cluster in enumerate(layer.clusters, start=1)
        ]
        columns = ["layer", "rank", "weight", "effect", "n_channels", "channels", "height", "width"]
        return pandas.DataFrame(rows, columns=columns)

    def save(self, folder: str | Path) -> None:
        """Write explanation.json and maps.npz into a folder, which is made where there is none."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        arrays: dict[str, NDArray[Any]] = {"probabilities": self.probabilities}
        for i, layer in enumerate(self.layers):
            arrays[f"layer{i}_channel_weights"] = layer.channel_weights
            if layer.channel_effects is not None:
                arrays[f"layer{i}_channel_effects"] = layer.channel_effects
            for j, cluster in enumerate(layer.clusters):
                arrays[f"layer{i}_cluster{j}"] = cluster.map
        np.savez_compressed(folder / MAPS_FILE, allow_pickle=False, **arrays)
        text = json.dumps(self._entries(), indent=1, ensure_ascii=False)
        (folder / EXPLANATION_FILE).write_text(text + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: str | Path) -> "Explanation":
        """Read what `save` wrote. Raises ValueError when the files are not of this format."""
        folder = Path(folder)
        try:
            entries = json.loads((folder / EXPLANATION_FILE).read_text(encoding="utf-8"))
            # Opened here, since NumPy leaves a damaged file open.
            with (
                (folder / MAPS_FILE).open("rb") as file,
                np.load(file, allow_pickle=False) as named,
            ):
                arrays = dict(named)
            if entries["format"] != FORMAT:
                raise ValueError(f"its format is {entries['format']}, not {FORMAT}")
            return cls._from(entries, arrays)
        except (KeyError, TypeError, ValueError, zipfile.BadZipFile) as error:
            raise ValueError(
                f"{folder} holds no explanation that can be read ({error})."
            ) from error

    def _entries(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "network": self.network,
            "weights_sha256": self.weights_sha256,
            "classes": self.classes,
            "target": self.target,
            "target_name": self.target_name,
            "contrast": self.contrast,
            "predicted": self.predicted,
            "probability": self.probability,
            "clusterer": self.clusterer,
            "seed": self.seed,
            "layers": [
                {
                    "name": layer.name,
                    "n_channels": layer.n_channels,
                    "height": layer.height,
                    "width": layer.width,
                    "n_kept": layer.n_kept,
                    "kept_weight": layer.kept_weight,
                    "has_evidence": layer.has_evidence,
                    "clusters": [
                        {
                            "weight": cluster.weight,
                            "effect": layer.effect_of(cluster),
                            "channels": cluster.channels,
                        }
                        for cluster in layer.clusters
                    ],
                }
                for layer in self.layers
            ],
        }

    @classmethod
    def _from(cls, entries: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> "Explanation":
        classes = entries["classes"]
        return cls(
            target=entries["target"],
            predicted=entries["predicted"],
            probabilities=arrays["probabilities"],
            layers=tuple(
                LayerExplanation(
                    name=layer["name"],
                    n_channels=layer["n_channels"],
                    height=layer["height"],
                    width=layer["width"],
                    n_kept=layer["n_kept"],
                    kept_weight=layer["kept_weight"],
                    channel_weights=arrays[f"layer{i}_channel_weights"],
                    clusters=tuple(
                        ClusterMap(
                            channels=tuple(cluster["channels"]),
                            weight=cluster["weight"],
                            map=arrays[f"layer{i}_cluster{j}"],
                        )
                        for j, cluster in enumerate(layer["clusters"])
                    ),
                    channel_effects=arrays.get(f"layer{i}_channel_effects"),
                )
                for i, layer in enumerate(entries["layers"])
            ),
            clusterer=entries["clusterer"],
            seed=entries["seed"],
            network=entries["network"],
            weights_sha256=entries["weights_sha256"],
            classes=None if classes is None else tuple(classes),
            contrast=entries.get("contrast"),  # older files know no contrast
        )
