"""The public door: a picture and a network in, an explanation out."""

import difflib
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from operator import index as as_index

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from app.explain.clusters import ClusterMap, get_clusterer, make_cluster_maps, prune_channels
from app.explain.clusters_torch import make_cluster_maps_together, works_together
from app.explain.explanation import Explanation, LayerExplanation
from app.explain.features import LayerFeatures, compute_features_together
from app.explain.networks import Network


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
    all_kept = [prune_channels(layer.percent) for layer in layers]
    all_clusters = _cluster(layers, all_kept, clusterer, seed)
    for layer, kept, clusters in zip(layers, all_kept, all_clusters, strict=True):
        on_layer(layer.name)
        percent = layer.percent
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
    layers: Sequence[LayerFeatures], all_kept: Sequence[NDArray[np.intp]], clusterer: str, seed: int
) -> Iterator[tuple[ClusterMap, ...]]:
    """The cluster maps of each layer, one by one where they are not made together."""
    if clusterer == "fast" and works_together(layers[0].values):
        yield from make_cluster_maps_together(
            [
                (layer.values_of(kept), layer.percent, kept)
                for layer, kept in zip(layers, all_kept, strict=True)
            ]
        )
        return
    group_maps = get_clusterer(clusterer)
    for layer, kept in zip(layers, all_kept, strict=True):
        yield make_cluster_maps(
            layer.maps_of(kept), layer.percent, kept, clusterer=group_maps, seed=seed
        )


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
