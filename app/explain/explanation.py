"""The public door: a picture and a network in, an explanation out."""

import difflib
import json
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from itertools import islice
from operator import index as as_index
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from app.explain.clusters import (
    ClusterMap,
    get_clusterer,
    make_cluster_maps,
    prune_channels,
)
from app.explain.clusters_torch import make_cluster_maps_together, works_together
from app.explain.features import LayerFeatures, compute_features_together
from app.explain.networks import Network
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


def explain_image(
    network: Network | nn.Module,
    image: Image.Image | Tensor,
    *,
    target: int | str | None = None,
    contrast: int | str | None = None,
    layers: Sequence[str] | None = None,
    clusterer: str = "fast",
    seed: int = 0,
    on_layer: Callable[[str], None] = lambda _: None,
) -> Explanation:
    """Explain why the network gives the image a class (Bianchi et al. 2024).

    network: a Network, or any module that takes [1, 3, H, W] and returns logits [1, K].
    image: a PIL image, which a Network preprocesses, or a float tensor [3, H, W] ready for the
        module.
    target: index or name of the class to explain; None explains the predicted one.
    contrast: index or name of a class to set it against: what spoke for the target rather than for
        this one, by the difference of their logits.
    layers: dotted module paths; None takes the default layers (see app.explain.layers).
    clusterer: how feature maps are grouped; "fast" is by correlation, without chance; "paper" is
        PCA, t-SNE and Ward.
    seed: of the paper's clusterer, the only source of randomness; "fast" has none.
    on_layer: called with the name of each layer once its maps are clustered, input first.
    Raises LayerError for layers that cannot be explained, ValueError for a target or clusterer that
    does not exist, or an image that does not fit; ContrastError for a class set against itself.
    """
    (explanation,) = explain_together(
        network,
        [image],
        target=target,
        contrast=contrast,
        layers=layers,
        clusterer=clusterer,
        seed=seed,
        on_layer=on_layer,
    )
    return explanation


def explain_together(
    network: Network | nn.Module,
    images: Sequence[Image.Image | Tensor],
    *,
    target: int | str | None = None,
    contrast: int | str | None = None,
    layers: Sequence[str] | None = None,
    clusterer: str = "fast",
    seed: int = 0,
    on_layer: Callable[[str], None] = lambda _: None,
) -> list[Explanation]:
    """As explain_image, of one or several images in one pass of the network.

    images: as the network takes them, of one size. on_layer: called for each layer of each image.
    Raises what explain_image would for any of them.
    """
    get_clusterer(clusterer)
    known = network if isinstance(network, Network) else None
    module = network.module if isinstance(network, Network) else network
    classes = known.classes if known else None
    all_features = compute_features_together(
        module,
        torch.stack([as_tensor(known, image) for image in images]),
        choose_target=target_chooser(target, classes),
        choose_contrast=None if contrast is None else target_chooser(contrast, classes),
        layers=layers,
    )
    explained = _explain_layers(
        [layer for features in all_features for layer in features.layers], clusterer, seed, on_layer
    )
    return [
        Explanation(
            target=features.target,
            contrast=features.contrast,
            predicted=int(features.logits.argmax()),
            probabilities=_softmax(features.logits).astype(np.float32),
            layers=tuple(islice(explained, len(features.layers))),
            clusterer=clusterer,
            seed=as_index(seed),
            network=known.name if known else None,
            weights_sha256=known.weights_sha256 if known else None,
            classes=classes,
        )
        for features in all_features
    ]


def _explain_layers(
    layers: Sequence[LayerFeatures], clusterer: str, seed: int, on_layer: Callable[[str], None]
) -> Iterator[LayerExplanation]:
    percents = [layer.percent for layer in layers]
    all_kept = [prune_channels(percent) for percent in percents]
    all_clusters = _cluster(layers, percents, all_kept, clusterer, seed)
    for layer, percent, kept, clusters in zip(
        layers, percents, all_kept, all_clusters, strict=True
    ):
        on_layer(layer.name)
        n_channels, height, width = layer.values.shape
        yield LayerExplanation(
            name=layer.name,
            n_channels=n_channels,
            height=height,
            width=width,
            n_kept=len(kept),
            kept_weight=float(percent[kept].sum()),
            channel_weights=percent,
            clusters=clusters,
            channel_effects=layer.effects,
        )


def _cluster(
    layers: Sequence[LayerFeatures],
    percents: Sequence[NDArray[np.float64]],
    all_kept: Sequence[NDArray[np.intp]],
    clusterer: str,
    seed: int,
) -> Iterable[tuple[ClusterMap, ...]]:
    if clusterer == "fast" and works_together(layers[0].values):
        yield from make_cluster_maps_together(
            [
                (layer.values_of(kept), percent, kept)
                for layer, percent, kept in zip(layers, percents, all_kept, strict=True)
            ]
        )
        return
    group_maps = get_clusterer(clusterer)
    for layer, percent, kept in zip(layers, percents, all_kept, strict=True):
        yield make_cluster_maps(layer.maps_of(kept), percent, kept, clusterer=group_maps, seed=seed)


def as_tensor(network: Network | None, image: Image.Image | Tensor) -> Tensor:
    """The image [3, H, W] as the module takes it. Raises ValueError where nothing says how."""
    if isinstance(image, Tensor):
        return image
    if network is None:
        raise ValueError(
            "A bare module does not say how a picture is preprocessed; give a float tensor "
            "[3, H, W], or a Network from load_network."
        )
    return network.preprocess(image)


def target_chooser(
    target: int | str | None, classes: tuple[str, ...] | None
) -> Callable[[NDArray[np.float64]], int]:
    """A function from logits [K] to the index of the class meant; None means the highest logit."""

    def choose(logits: NDArray[np.float64]) -> int:
        if target is None:
            return int(logits.argmax())
        index = _index_of(target, classes) if isinstance(target, str) else as_index(target)
        if not 0 <= index < len(logits):
            raise ValueError(f"There is no class {index}; the network has {len(logits)} classes.")
        return index

    return choose


def _index_of(name: str, classes: tuple[str, ...] | None) -> int:
    if classes is None:
        raise ValueError(f"The classes of a bare module have no names, so none is {name!r}.")
    indices = [i for i, one in enumerate(classes) if one == name]
    if not indices:
        near = difflib.get_close_matches(name, classes, n=3, cutoff=0.5)
        hint = f"; near names: {', '.join(near)}" if near else ""
        raise ValueError(f"The network has no class {name!r}{hint}.")
    if len(indices) > 1:
        listed = ", ".join(map(str, indices))
        raise ValueError(f"Several classes are named {name!r}; give the number ({listed}).")
    return indices[0]


def _softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    powers = np.exp(logits - logits.max())
    probabilities: NDArray[np.float64] = powers / powers.sum()
    return probabilities
