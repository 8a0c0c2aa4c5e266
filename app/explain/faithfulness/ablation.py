"""What the logit loses without a cluster: its channels zeroed at their layer.

A cluster that the network uses has a large drop. If weights W tell what is used, W and the drop
rise together.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import rankdata
from torch import Tensor, nn
from torch.autograd.graph import get_gradient_edge, saved_tensors_hooks
from torch.overrides import TorchFunctionMode

from app.explain.clusters import ClusterMap
from app.explain.layers import LayerError, resolve_places
from app.explain.recording import EdgeKey, call_number, is_activation, logits_of, record
from app.explain.running import eval_mode, like_parameters, output_hooks, without_autocast

N_DEALS: Final = 4
"""Random groups are drawn so many times for each picture and layer."""

MIN_CLUSTERS: Final = 3
"""With two clusters a rank correlation is 1 or -1, whatever the drops are."""

_BATCH_SIZE: Final = 16


@dataclass(frozen=True, slots=True)
class AblationScores:
    """What ablating the clusters of one picture at one layer shows, with its controls.

    correlation: Spearman's, of the clusters' weight W with the drop of the logit, -1..1; NaN for
        fewer than MIN_CLUSTERS clusters, or where all weights or all drops are the same.
    effect_correlation: the same of the clusters' effects, which estimate the drop to first order.
    drop: of the logit, mean over clusters; more is better.
    dealt_*: the same for the clusters' channels dealt anew into groups of the same sizes, with the
        groups' own weights. random_*: for groups of the same sizes drawn from the whole layer.
        Means over N_DEALS draws (of those that have a correlation).
    """

    n_clusters: int
    correlation: float
    effect_correlation: float
    drop: float
    dealt_correlation: float
    dealt_drop: float
    random_correlation: float
    random_drop: float


def score_ablation(
    module: nn.Module,
    image: Tensor,
    layer: str,
    clusters: Sequence[ClusterMap],
    percent: NDArray[np.float64],
    effects: NDArray[np.float64],
    *,
    target: int,
    rng: np.random.Generator,
) -> AblationScores:
    """Ablate each cluster of a layer, and random groups of the same sizes.

    image: float [3, H, W]. percent: channel weights [C] in percent of the layer. effects: what
    the logit loses without each channel, to first order, [C]. target: the class whose logit is
    watched. At least one cluster is needed.
    """
    sizes = [len(cluster.channels) for cluster in clusters]
    pool = np.concatenate([cluster.channels for cluster in clusters])
    partitions = [[np.array(cluster.channels) for cluster in clusters]]
    partitions += [_deal(pool, sizes, rng) for _ in range(N_DEALS)]
    partitions += [_deal(np.arange(len(percent)), sizes, rng) for _ in range(N_DEALS)]
    groups = [group for partition in partitions for group in partition]
    logits = ablated_logits(module, image, layer, [(), *groups])[:, target]
    drops = (logits[0] - logits[1:]).reshape(len(partitions), len(clusters))
    correlations = np.array(
        [
            _correlate([percent[group].sum() for group in partition], row)
            for partition, row in zip(partitions, drops, strict=True)
        ]
    )
    dealt, drawn = slice(1, 1 + N_DEALS), slice(1 + N_DEALS, None)
    return AblationScores(
        n_clusters=len(clusters),
        correlation=float(correlations[0]),
        effect_correlation=_correlate([effects[group].sum() for group in partitions[0]], drops[0]),
        drop=float(drops[0].mean()),
        dealt_correlation=mean_of_known(correlations[dealt]),
        dealt_drop=float(drops[dealt].mean()),
        random_correlation=mean_of_known(correlations[drawn]),
        random_drop=float(drops[drawn].mean()),
    )


def ablated_logits(
    module: nn.Module, image: Tensor, layer: str, groups: Sequence[Sequence[int] | NDArray[np.intp]]
) -> NDArray[np.float64]:
    """The logits [n, K] of a picture when each of n groups of channels is zero at a layer.

    module: it runs in eval mode, without the caller's autocast, and is left as it was found. image:
    float [3, H, W]. layer: a name as in app.explain.layers; it is the same place that is explained,
    so what is zeroed is the value whose gradient was taken, for all that read it later. groups:
    channel indices; an empty one leaves the network as it is. Raises LayerError as
    `explain_image` does, ValueError for a channel that the layer has not.
    """
    spot = _locate(module, image, layer)
    n_channels = spot.n_channels
    keep = torch.ones(len(groups), n_channels, dtype=torch.bool)
    for row, group in enumerate(groups):
        indices = np.asarray(group, dtype=np.intp)
        if ((indices < 0) | (indices >= n_channels)).any():
            raise ValueError(
                f"Layer {layer!r} has the channels 0 to {n_channels - 1}, not {indices.tolist()}."
            )
        keep[row, torch.from_numpy(indices)] = False
    found = [
        _run(module, image, spot, keep[start : start + _BATCH_SIZE])
        for start in range(0, len(groups), _BATCH_SIZE)
    ]
    return np.concatenate(found)


def rank_correlation(one: NDArray[np.floating], other: NDArray[np.floating]) -> float:
    """Spearman's rank correlation of two arrays of one shape, -1..1, ties at their mean rank.

    NaN when either is the same everywhere.
    """
    a, b = (rankdata(values) for values in (np.ravel(one), np.ravel(other)))
    a, b = a - a.mean(), b - b.mean()
    spread = np.sqrt((a @ a) * (b @ b))
    return float(a @ b / spread) if spread > 0 else float("nan")


def mean_of_known(values: NDArray[np.float64]) -> float:
    """The mean of those values that are not NaN; NaN when there are none."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")


def _correlate(weights: Sequence[float], drops: NDArray[np.float64]) -> float:
    if len(weights) < MIN_CLUSTERS:
        return float("nan")
    return rank_correlation(np.array(weights), drops)


def _deal(
    pool: NDArray[np.intp], sizes: Sequence[int], rng: np.random.Generator
) -> list[NDArray[np.intp]]:
    """Disjoint random groups of these sizes from a pool of channels."""
    drawn = rng.permutation(pool)[: sum(sizes)]
    return np.split(drawn, np.cumsum(sizes)[:-1])


# --- zeroing in the running network


@dataclass(frozen=True, slots=True)
class _Spot:
    """Where a layer's value comes to be: what call `number` of the module `path` gives or, when
    `follows`, the activation that is applied to it as a plain function."""

    layer: str
    path: str
    number: int
    follows: bool
    n_channels: int


def _locate(module: nn.Module, image: Tensor, layer: str) -> _Spot:
    recording = record(module, image[None], keep=(), save_all=False)
    (place,) = resolve_places(recording, [layer])
    path, number = call_number(layer)
    call = [
        call for call in recording.calls if call.path == path and number in (None, call.number)
    ][-1]
    follows = (place.edge.node, place.edge.output_nr) != call.key
    return _Spot(layer, path, call.number, follows, place.shape[0])


def _run(module: nn.Module, image: Tensor, spot: _Spot, keep: Tensor) -> NDArray[np.float64]:
    """keep: bool [B, C], a row for each ablation."""
    batch = like_parameters(image, module).detach().expand(len(keep), *image.shape)
    ablation = _Ablation(spot, keep[:, :, None, None].to(batch.device))
    # The graph is needed to tell which activation follows the module, but nothing it would save.
    with (
        torch.inference_mode(False),
        torch.enable_grad(),
        eval_mode(module),
        without_autocast(module),
        saved_tensors_hooks(_forget, _forget),
        ablation.watching(module),
    ):
        logits = logits_of(module(batch.clone().requires_grad_().clone()))
    if not ablation.done:
        raise LayerError(f"Layer {spot.layer!r} was not reached in a second pass of the network.")
    result: NDArray[np.float64] = logits.detach().double().cpu().numpy()
    return result


def _forget(_tensor: Any) -> Any:
    return None


class _Ablation(TorchFunctionMode):
    """Zeroes channels of one value, in place.

    In place, so that whoever reads the value sees the zeros, whether by the module's return value,
    or by the tensor that an in-place activation has overwritten and the caller still holds.
    """

    def __init__(self, spot: _Spot, keep: Tensor) -> None:
        super().__init__()
        self.done = False
        self._spot, self._keep = spot, keep
        self._n_calls = 0
        self._awaited: EdgeKey | None = None

    @contextmanager
    def watching(self, module: nn.Module) -> Iterator[None]:
        with output_hooks([(module.get_submodule(self._spot.path), self._on_output)]), self:
            yield

    def _on_output(self, _module: nn.Module, _inputs: Any, output: Tensor) -> None:
        self._n_calls += 1
        if self._n_calls != self._spot.number:
            return
        if self._spot.follows:
            edge = get_gradient_edge(output)
            self._awaited = edge.node, edge.output_nr
        else:
            self._zero(output)

    def __torch_function__(
        self,
        func: Any,
        types: Any,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        output = func(*args, **(kwargs or {}))
        if (
            self._awaited is not None
            and is_activation(output)
            and output.grad_fn.next_functions[0] == self._awaited
        ):
            self._awaited = None
            self._zero(output)
        return output

    def _zero(self, output: Tensor) -> None:
        output.detach().masked_fill_(~self._keep, 0)
        self.done = True
