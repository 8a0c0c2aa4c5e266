"""The `fast` clusterer for many stacks of maps at once, on the device where they are.

What app.explain.fast_clusterer does, step by step, with the same constants. That takes one stack
after the other, in NumPy and SciPy, which is quickest on a CPU. Here no step goes stack by stack,
and Ward's tree, which SciPy builds by one merger at a time, grows at all its ends together: a GPU
is asked for some hundreds of operations, however many stacks there are.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import one_hot, pad

from app.explain.fast_clusterer import (
    LEAST_STRUCTURE,
    MAX_CLUSTERS,
    MAX_ROUNDS,
    MAX_SIDE,
    MIN_MAPS_TO_CLUSTER,
    PRICE_OF_DOUBLING,
    TIGHT,
    TINY,
    area_weights,
)

_FINGERPRINT_SEED: Final = 0
_INF: Final = float("inf")
_NO_LABEL: Final = -1


def cluster_fast_together(stacks: Sequence[Tensor]) -> list[NDArray[np.intp]]:
    """The labels [n] that cluster_fast finds for each stack of maps [n, H, W], n >= 1.

    The stacks are on one device, and may differ in n, H and W. Rounding differs from
    cluster_fast's, so that a map which belongs to two clusters alike may go to the other one.
    Raises ValueError, as that does, for values whose differences are not finite.
    """
    if not stacks:
        return []
    # Not fewer, or there might be no tree at all.
    n_most = max(MIN_MAPS_TO_CLUSTER, *map(len, stacks))
    groups = alike(stacks)
    parts = [_correlate([stacks[number] for number in group], n_most) for group in groups]
    labels = _cluster(_Correlations.concatenate(parts)).cpu().numpy()
    if (labels == _NO_LABEL).any():
        raise ValueError("The maps hold values too large to be compared.")
    found: dict[int, NDArray[np.intp]] = {}
    for number, row in zip((one for group in groups for one in group), labels, strict=True):
        found[number] = row[: len(stacks[number])].astype(np.intp)
    return [found[number] for number in range(len(stacks))]


def alike(stacks: Sequence[Tensor]) -> list[list[int]]:
    """The numbers of those stacks [n, H, W] together that are of one H, W and precision."""
    groups: dict[object, list[int]] = defaultdict(list)
    for number, stack in enumerate(stacks):
        groups[stack.shape[1:], stack.dtype].append(number)
    return list(groups.values())


def fill_up(values: Tensor, lengths: Sequence[int], n_most: int) -> Tensor:
    """[sum of lengths, ...] as [B, n_most, ...], with zeros behind each."""
    starts = np.arange(len(lengths)) * n_most
    places = np.concatenate(
        [start + np.arange(n) for start, n in zip(starts, lengths, strict=True)]
    )
    filled = values.new_zeros(len(lengths) * n_most, *values.shape[1:])
    filled.index_copy_(0, torch.from_numpy(places).to(values.device), values)
    return filled.view(len(lengths), n_most, *values.shape[1:])


@dataclass(frozen=True, slots=True, eq=False)
class _Correlations:
    """What is known of B stacks, each filled up to N maps, in an order of their own.

    gram: [B, N, N], 0 where filled up. sizes: [B], maps of each. order: [B, N], where each map
    stood before. number: [B, N], of the distinct map that each one is, rising from 0. by_chance:
    [B], as correlation_by_chance.
    """

    gram: Tensor
    sizes: Tensor
    order: Tensor
    number: Tensor
    by_chance: Tensor

    @classmethod
    def concatenate(cls, parts: Sequence["_Correlations"]) -> "_Correlations":
        return cls(
            torch.cat([part.gram for part in parts]),
            torch.cat([part.sizes for part in parts]),
            torch.cat([part.order for part in parts]),
            torch.cat([part.number for part in parts]),
            torch.cat([part.by_chance for part in parts]),
        )


def _correlate(stacks: Sequence[Tensor], n_most: int) -> _Correlations:
    """Of stacks [n, H, W] of one size and precision."""
    lengths = [len(stack) for stack in stacks]
    maps = standardise(torch.cat(list(stacks)))
    sizes = torch.tensor(lengths, device=maps.device)
    is_there = torch.arange(n_most, device=maps.device) < sizes[:, None]
    filled = fill_up(maps, lengths, n_most)
    prints = _fingerprints(filled)
    # By what they hold, those filled up last.
    prints = prints.masked_fill(~is_there, torch.iinfo(prints.dtype).max)
    prints, order = prints.sort(dim=1, stable=True)
    ordered = filled.gather(1, order[:, :, None, None].expand_as(filled))
    is_new = pad(prints[:, 1:] != prints[:, :-1], (1, 0), value=0)
    rows = ordered.flatten(2)
    gram = rows @ rows.mT
    is_constant = is_there & (gram.diagonal(dim1=1, dim2=2) < 0.5)
    gram.masked_fill_(is_constant[:, :, None] & is_constant[:, None, :], 1.0)
    gram.diagonal(dim1=1, dim2=2).copy_(is_there)
    return _Correlations(
        gram=gram,
        sizes=sizes,
        order=order,
        number=(is_new & is_there).cumsum(dim=1),
        by_chance=_correlation_by_chance(ordered, sizes),
    )


def standardise(maps: Tensor) -> Tensor:
    """As fast_clusterer.standardise: maps [n, H, W] to [n, h, w], of mean 0 and length 1."""
    n_maps, height, width = maps.shape
    precision = torch.promote_types(maps.dtype, torch.float32)
    pooled = maps.to(precision)
    pooled = pooled - pooled.amin(dim=(1, 2), keepdim=True)
    if max(height, width) > MAX_SIDE:
        down, across = (
            torch.from_numpy(area_weights(side)).to(pooled).expand(n_maps, -1, -1)
            for side in (height, width)
        )
        # A product for each map, since its rounding would depend on its place in a larger one.
        pooled = torch.bmm(torch.bmm(down, pooled), across.mT)
    rows = pooled.flatten(1).sqrt()
    length_before = torch.linalg.vector_norm(rows, dim=1, keepdim=True)
    rows = rows - rows.mean(dim=1, keepdim=True)
    length = torch.linalg.vector_norm(rows, dim=1, keepdim=True)
    # What is left of a constant map is rounding, which must not be blown up.
    is_constant = length <= 1e-5 * length_before
    standardised: Tensor = (rows / length).masked_fill_(is_constant, 0.0)
    return standardised.view(pooled.shape)


def _fingerprints(maps: Tensor) -> Tensor:
    """A number [B, N] for each map: the same for the same bits, and else not, but for 1 in 2**64.

    Sums of integers overflow alike in any order, where sums of fractions would round.
    """
    rows = maps.flatten(2)
    bits = rows.view(torch.int32 if rows.dtype == torch.float32 else torch.int64)
    chance = torch.Generator().manual_seed(_FINGERPRINT_SEED)
    factors = torch.randint(-(2**63), 2**63 - 1, (rows.shape[2],), generator=chance)
    prints: Tensor = (bits.long() * factors.to(rows.device)).sum(dim=2)
    return prints


def _correlation_by_chance(maps: Tensor, sizes: Tensor) -> Tensor:
    """As fast_clusterer.correlation_by_chance, of maps [B, N, h, w]: [B]"""
    height, width = maps.shape[2:]
    spectrum = torch.view_as_real(torch.fft.rfft2(maps))
    power = spectrum.square().sum(dim=(1, 4)).double() / sizes[:, None, None]
    # Of the columns of a real transform all but the first, and the last of an even width, stand
    # for two frequencies.
    times = torch.full((power.shape[2],), 2.0, dtype=power.dtype, device=power.device)
    times[0] = 1.0
    if width % 2 == 0:
        times[-1] = 1.0
    return ((power / (height * width)).square() * times).sum(dim=(1, 2))


def _cluster(known: _Correlations) -> Tensor:
    """Labels [B, N], those filled up excepted."""
    n_most = known.gram.shape[1]
    sizes, everyone = known.sizes, torch.arange(n_most, device=known.gram.device)
    is_there = everyone < sizes[:, None]
    n_distinct = known.number.amax(dim=1) + 1
    # Not a cluster for each map, unless that leaves equal ones together.
    most = torch.minimum(n_distinct, sizes - 1).clamp(1, MAX_CLUSTERS)
    labels, likeness = refine(known.gram, ward_cuts(known.gram, is_there), is_there)
    n_clusters = torch.arange(1, MAX_CLUSTERS + 1, device=known.gram.device)
    is_possible = n_clusters <= most[:, None]
    score = likeness - PRICE_OF_DOUBLING * n_clusters.log2()
    best = score.masked_fill(~is_possible, -_INF).argmax(dim=1)
    is_tight = is_possible & (likeness >= TIGHT)
    any_tight = is_tight.any(dim=1)
    best = torch.where(any_tight, is_tight.int().argmax(dim=1), best)
    found = labels.gather(1, best[:, None, None].expand(-1, 1, n_most)).squeeze(1)
    pairs = (sizes * (sizes - 1)).clamp(min=1)
    in_common = (known.gram.square().sum(dim=(1, 2), dtype=torch.float64) - sizes) / pairs
    # The mean over so many pairs of unrelated maps strays by 2 / n of itself (standard deviation).
    by_chance = known.by_chance * (1 + 2 / sizes)
    is_chance = (in_common < LEAST_STRUCTURE * by_chance) & ~any_tight
    found = found.masked_fill(is_chance[:, None], 0)
    # Maps that are equal may differ in the rounding of their likeness; the first decides.
    is_first = pad(known.number[:, 1:] != known.number[:, :-1], (1, 0), value=1)
    first = torch.where(is_first, everyone, 0).cummax(dim=1).values
    found = found.gather(1, first)
    found = torch.where((n_distinct < MIN_MAPS_TO_CLUSTER)[:, None], known.number, found)
    # Told together with the labels, since the device is waited for each time that it is asked.
    found = torch.where(in_common.isfinite()[:, None], found, _NO_LABEL)
    return torch.empty_like(found).scatter_(1, known.order, found)


def ward_cuts(gram: Tensor, is_there: Tensor) -> Tensor:
    """Labels [B, 8, N] for 1, 2, ... 8 clusters of each stack, all from its Ward tree.

    gram: [B, N, N], 1 on the diagonal. is_there: [B, N], first those that are. Where a stack has
    fewer than n_clusters + 1 maps, the labels for so many mean nothing.

    Clusters that are each other's nearest merge, in all places at once. As a merger brings no two
    clusters nearer to each other (Bruynooghe 1978), the tree is that of one merger at a time.
    """
    rounds = _grow(gram, is_there)
    heights = torch.cat([height for _, height in rounds], dim=1)
    # Of equal heights the later merger is the higher one; so those above a high one are as well.
    falling = heights.flip(1).argsort(dim=1, descending=True, stable=True)
    places = torch.arange(heights.shape[1], device=gram.device).expand_as(heights)
    rank = torch.empty_like(falling).scatter_(1, falling, places).flip(1)
    ranks = torch.split(rank, [height.shape[1] for _, height in rounds], dim=1)
    # A cut into k clusters undoes the k - 1 highest mergers. From the root down, all below a merger
    # have one name, until one is undone: there, what joined the other gets a name of its own.
    n_undone = torch.arange(MAX_CLUSTERS, device=gram.device)[:, None]
    names = rank.new_zeros(len(gram), MAX_CLUSTERS, 1)
    n_names = 1
    for (parent, _), rank_of in zip(reversed(rounds), reversed(ranks), strict=True):
        above = names.gather(2, parent[:, None, :].expand(-1, MAX_CLUSTERS, -1))
        own = n_names + torch.arange(parent.shape[1], device=gram.device)
        names = torch.where(rank_of[:, None, :] < n_undone, own, above)
        n_names += parent.shape[1]
    return _number_by_first(names, n_names).masked_fill_(~is_there[:, None, :], 0)


def _grow(gram: Tensor, is_there: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Ward's trees from the maps to their roots, in rounds of mergers.

    Of each round, for every cluster before it, [B, n]: which one it is afterwards; and, if it has
    joined another, how much that added to the squares within clusters, else -inf.
    """
    # Clusters stand in front; behind them, where a stack has fewer than another, all is 0.
    sums, counts = gram.double(), is_there.double()
    everyone = torch.arange(gram.shape[1], device=gram.device)
    tops = torch.full_like(counts, -_INF)
    rounds = []
    while sums.shape[1] > 1:
        # Added up in another order, a distance would not be the same from both sides.
        sums = (sums + sums.mT) / 2
        is_one = counts > 0
        own = sums.diagonal(dim1=1, dim2=2)
        # The squares around a cluster's mean are less than those around 0 by this; what is no
        # cluster is infinitely far.
        spared = torch.where(is_one, own / counts, _INF)
        together = torch.add(own[:, :, None] + own[:, None, :], sums, alpha=2)
        together /= (counts[:, :, None] + counts[:, None, :]).clamp_(min=1)
        added = spared[:, :, None] + spared[:, None, :] - together
        added.diagonal(dim1=1, dim2=2).fill_(_INF)
        height, nearest = added.min(dim=2)
        is_mutual = nearest.gather(1, nearest) == everyone
        joins = is_mutual & (nearest < everyone)
        after = (is_one & ~joins).cumsum(dim=1) - 1
        parent = torch.where(joins, after.gather(1, nearest), after)
        n_after = int(after[:, -1].max()) + 1
        everyone = everyone[:n_after]
        # At most two add up in one place, so that their order does not matter.
        sums = _add_up(_add_up(sums, parent, n_after, dim=1), parent, n_after, dim=2)
        counts = _add_up(counts, parent, n_after, dim=1)
        # Where equal maps merge, rounding must not put a cluster below its parts.
        tops = torch.maximum(tops, torch.where(joins, height, -_INF))
        tops = tops.new_full((len(tops), n_after), -_INF).scatter_reduce_(1, parent, tops, "amax")
        rounds.append((parent, torch.where(joins, tops.gather(1, parent), -_INF)))
    return rounds


def _add_up(values: Tensor, places: Tensor, n_places: int, dim: int) -> Tensor:
    """Values [B, n] or [B, n, m] with n_places in place of n or m, places [B, n] telling which."""
    shape = list(values.shape)
    shape[dim] = n_places
    if values.ndim == 3:
        places = places.unsqueeze(3 - dim).expand_as(values)
    return values.new_zeros(shape).scatter_add_(dim, places, values)


def _number_by_first(names: Tensor, n_names: int) -> Tensor:
    """Names [B, K, N] below n_names as numbers from 0, in the order in which they first appear."""
    everyone = torch.arange(names.shape[2], device=names.device).expand_as(names)
    first = torch.full((*names.shape[:2], n_names), names.shape[2], device=names.device)
    first = first.scatter_reduce(2, names, everyone, "amin").gather(2, names)
    return ((first == everyone).cumsum(dim=2) - 1).gather(2, first)


def refine(gram: Tensor, cuts: Tensor, is_there: Tensor) -> tuple[Tensor, Tensor]:
    """As fast_clusterer.refine: labels [B, 8, N], and the likeness [B, 8] of maps to their rest.

    gram: [B, N, N]. cuts: [B, 8, N], labels for 1, 2, ... 8 clusters. is_there: [B, N].
    """
    labels = cuts
    n_clusters = torch.arange(1, MAX_CLUSTERS + 1, device=gram.device)[:, None]
    is_cluster = torch.arange(MAX_CLUSTERS, device=gram.device) < n_clusters
    for n_rounds_left in reversed(range(MAX_ROUNDS)):
        to_rest, to_all = _likeness(gram, labels, is_there)
        if n_rounds_left == 0:
            break
        moved = to_all.masked_fill(~is_cluster[:, None, :], -_INF).argmax(dim=3)
        # They stay as many: a cut that would lose a cluster stops.
        arrived = one_hot(moved, MAX_CLUSTERS).logical_and(is_there[:, None, :, None]).any(dim=2)
        keeps_all = (arrived | ~is_cluster).all(dim=2, keepdim=True)
        labels = torch.where(keeps_all & is_there[:, None, :], moved, labels)
    return labels, to_rest.sum(dim=2) / is_there.sum(dim=1, keepdim=True)


def _likeness(gram: Tensor, labels: Tensor, is_there: Tensor) -> tuple[Tensor, Tensor]:
    """How alike each map is to the rest of its cluster, [B, 8, N], and to every one, [B, 8, N, 8].

    0 to the rest where it is alone, and infinite to that cluster.
    """
    n_stacks, n_cuts, n_maps = labels.shape
    belongs = one_hot(labels, MAX_CLUSTERS) * is_there[:, None, :, None]
    columns = belongs.to(gram.dtype).movedim(1, 2).flatten(2)
    # One product for all cuts.
    sums = (gram @ columns).view(n_stacks, n_maps, n_cuts, -1).movedim(2, 1)
    own = labels[..., None]
    to_own = sums.gather(3, own).squeeze(3).double()
    sizes = belongs.sum(dim=2)
    squared_lengths = (belongs * to_own[..., None]).sum(dim=2)
    to_own = to_own - 1
    is_alone = sizes.gather(2, labels) == 1
    without_self = squared_lengths.gather(2, labels) - 2 * to_own - 1
    to_rest = (to_own / without_self.clamp(min=TINY).sqrt()).masked_fill_(is_alone, 0.0)
    to_rest = to_rest * is_there[:, None, :]
    lengths = squared_lengths.clamp(min=TINY).sqrt().to(sums.dtype)
    to_all = sums / lengths[:, :, None, :]
    chosen = to_rest.masked_fill(is_alone, _INF).to(sums.dtype)
    return to_rest, to_all.scatter(3, own, chosen[..., None])
