"""From weighted feature maps to cluster maps: prune, cluster, merge.

Bianchi et al. 2024, section 3.2, and the numbers of the authors' published notebooks.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from app.explain.fast_clusterer import cluster_fast
from app.explain.maps import FloatArray, blend_maps, scale_maps, use_one_thread

MAX_COMPONENTS: Final = 50
PERPLEXITY: Final = 30.0
CLUSTER_COUNTS: Final = range(3, 9)
MIN_MAPS_TO_CLUSTER: Final = 4


@dataclass(frozen=True, slots=True, eq=False)
class ClusterMap:
    """Feature maps of one layer that belong together, merged into one map.

    channels: indices in the layer, rising. weight: sum of their channel weights, in percent of the
    layer. map: float32 [H, W] in 0..1, of the layer's own size.
    """

    channels: tuple[int, ...]
    weight: float
    map: NDArray[np.float32]


class Clusterer(Protocol):
    """Groups maps: [n, H, W] as the layer gave them and a seed -> labels [n], any numbering."""

    def __call__(self, maps: FloatArray, seed: int) -> NDArray[np.intp]: ...


def pruning_threshold(n_channels: int) -> float:
    """Channels with a weight (percent of the layer) up to this are dropped.

    The authors' table up to 512 channels. It is 89.6 / C at its own C; we go on so beyond 512,
    where their flat 0.175 would keep only 29-56 % of the weight at 1024 channels.
    """
    if n_channels >= 512:
        return 89.6 / n_channels
    for at_least, threshold in ((256, 0.35), (128, 0.7), (64, 1.4)):
        if n_channels >= at_least:
            return threshold
    return 76.8 / n_channels


def prune_channels(percent: FloatArray) -> NDArray[np.intp]:
    """Indices of the channels to keep, rising, given all weights [C] in percent of the layer."""
    return np.flatnonzero(percent > pruning_threshold(len(percent)))


def make_cluster_maps(
    maps: FloatArray,
    percent: FloatArray,
    kept: NDArray[np.intp],
    *,
    clusterer: Clusterer,
    seed: int,
) -> tuple[ClusterMap, ...]:
    """The cluster maps of one layer by falling weight, without the light clusters.

    kept: indices [n] of the channels that pruning left. maps: theirs, [n, H, W]. percent: [C], of
    all channels. A cluster is dropped when its weight W is below max(max(W) / 3, mean(W) / 2).
    """
    if len(kept) == 0:
        return ()
    shares = share_out(clusterer(maps, seed), percent[kept])
    with use_one_thread():
        merged = blend_maps(maps, shares / shares.sum(axis=1, keepdims=True))
    return as_cluster_maps(kept, shares, merged)


def share_out(labels: NDArray[np.intp], percent: FloatArray) -> NDArray[np.float64]:
    """The weights [n] of maps by heavy cluster, [m, n], 0 for the maps of other clusters."""
    shares = np.equal.outer(np.unique(labels), labels) * percent
    weights = shares.sum(axis=1)
    heavy: NDArray[np.float64] = shares[weights >= max(weights.max() / 3, weights.mean() / 2)]
    return heavy


def as_cluster_maps(
    kept: NDArray[np.intp], shares: NDArray[np.float64], merged: NDArray[np.float32]
) -> tuple[ClusterMap, ...]:
    """kept: channels [n]. shares: [m, n], as share_out gives them. merged: [m, H, W]."""
    clusters = [
        # No channel that was kept weighs nothing.
        ClusterMap(tuple(kept[share > 0].tolist()), float(share.sum()), one)
        for share, one in zip(shares, merged, strict=True)
    ]
    return tuple(sorted(clusters, key=lambda cluster: (-cluster.weight, cluster.channels)))


def get_clusterer(name: str) -> Clusterer:
    """The clusterer of that name. Raises ValueError naming those there are."""
    if name not in CLUSTERERS:
        raise ValueError(f"There is no clusterer {name!r}; there is {', '.join(CLUSTERERS)}.")
    return CLUSTERERS[name]


def cluster_like_paper(maps: FloatArray, seed: int) -> NDArray[np.intp]:
    """PCA to at most 50 components, t-SNE to two dimensions, Ward, the best silhouette of k = 3..8.

    maps: [n, H, W], min-max scaled here. Identical maps are one point, so they always share a
    cluster. Fewer than four different maps are a cluster each. Deterministic for a seed.
    """
    points, members = np.unique(scale_maps(maps), axis=0, return_inverse=True)
    members = members.reshape(-1)
    if len(points) < MIN_MAPS_TO_CLUSTER:
        return members
    with use_one_thread():
        plane = embed_in_plane(reduce_dimensions(points), seed)
        labels: NDArray[np.intp] = choose_clusters(plane)[members]
    return labels


def reduce_dimensions(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Principal components [n, <=50] of points [n, d]."""
    # Here, as below: it takes a second to import, and only the paper's clusterer needs it.
    from sklearn.decomposition import PCA

    n_components = min(MAX_COMPONENTS, *points.shape)
    reduced: NDArray[np.float64] = PCA(n_components, svd_solver="full").fit_transform(points)
    return reduced


def embed_in_plane(points: NDArray[np.float64], seed: int) -> NDArray[np.floating]:
    """t-SNE of points [n, d] to [n, 2]; the perplexity is lowered where there are few points."""
    from sklearn.manifold import TSNE

    # A perplexity must be below n. Among fractions of n - 1, a quarter kept planted groups of 2 to
    # 10 maps apart most often; a third mixed 3 pairs in 2 of 10 draws.
    n_points = len(points)
    perplexity = PERPLEXITY if n_points > PERPLEXITY else max(1.0, (n_points - 1) / 4)
    plane: NDArray[np.floating] = TSNE(
        n_components=2, perplexity=perplexity, random_state=seed
    ).fit_transform(points)
    return plane


def choose_clusters(plane: NDArray[np.floating]) -> NDArray[np.intp]:
    """Ward labels [n] of points [n, 2] for the k in 3..8 with the best silhouette."""
    from sklearn.cluster import AgglomerativeClustering
    from sklearn.metrics import pairwise_distances, silhouette_score

    distances = pairwise_distances(plane)
    best_score, best_labels = -np.inf, np.zeros(len(plane), dtype=np.intp)
    for n_clusters in CLUSTER_COUNTS:
        if n_clusters >= len(plane):
            break
        labels = AgglomerativeClustering(n_clusters, linkage="ward").fit_predict(plane)
        score = silhouette_score(distances, labels, metric="precomputed")
        if score > best_score:
            best_score, best_labels = score, labels
    return best_labels


CLUSTERERS: Final[Mapping[str, Clusterer]] = MappingProxyType(
    {"fast": cluster_fast, "paper": cluster_like_paper}
)
