"""Which clusterer finds the groups that are there, and does the network care about them?

1. Planted problems: maps of known prototypes (blobs, textures, parts) in 1 to 8 groups, 7 to
   64 cells a side, 5 to 200 maps, disturbed by white or smooth noise, hot pixels, shifts, or an
   overlap of groups; and maps of noise with nothing in common. The `fast` clusterer against the
   paper's and against Ward on min-max maps: the adjusted Rand index (1 is exact, 0 is chance) with
   the number of clusters chosen and given, within-cluster likeness, silhouette in the original
   space, stability, time.
2. Trained networks: the rank correlation of a cluster's weight with what its ablation takes from
   the logit, on the picture book and, where given, on photonet.

The constants of `fast` were chosen on problems 0 to 299 and on pictures of the training parts.
What is reported starts at problem 100,000, and at pictures of the test parts.

    python benchmarks/clusterers.py --problems 200 --photonet photonet.json --photos photos/test
"""

import argparse
import sys
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter
from sklearn.cluster import AgglomerativeClustering
from sklearn.metrics import adjusted_rand_score, silhouette_samples

from app.explain import Network, list_layers, load_network
from app.explain.clusters import (
    choose_clusters,
    cluster_like_paper,
    embed_in_plane,
    prune_channels,
    reduce_dimensions,
)
from app.explain.faithfulness.ablation import ablated_logits, rank_correlation
from app.explain.faithfulness.cams import compute_gradients
from app.explain.fast_clusterer import cluster_fast, correlate, refine, standardise, ward_cuts
from app.explain.features import compute_features
from app.explain.maps import scale_maps, use_one_thread
from app.explain.pictures import open_picture
from app.picturebook.datasets import recipes
from app.picturebook.networks import EXPLAINED_LAYERS, FAIR_NETWORK
from app.picturebook.scenes import draw_scene

FIRST_REPORTED: Final = 100_000
SIDES: Final = (7, 8, 14, 16, 28, 32, 56, 64)
KINDS: Final = ("blobs", "textures", "parts")
DISTURBANCES: Final = ("white", "smooth", "hot pixels", "shifts", "overlap")
MAX_GROUPS: Final = 8
MAX_MAPS: Final = 200
N_RESAMPLES: Final = 2000

Labels = NDArray[np.intp]
Maps = NDArray[np.float32]


# --- planted problems


@dataclass(frozen=True, eq=False)
class Problem:
    """maps: [n, H, W], not negative. truth: the group of each. n_groups: 0 for mere noise."""

    maps: Maps
    truth: Labels
    n_groups: int
    kind: str
    disturbance: str


def draw_problem(number: int) -> Problem:
    rng = np.random.default_rng(number)
    side = int(rng.choice(SIDES))
    kind, disturbance = str(rng.choice(KINDS)), str(rng.choice(DISTURBANCES))
    n_groups = int(rng.integers(1, MAX_GROUPS + 1))
    n_maps = round(np.exp(rng.uniform(np.log(max(5, 3 * n_groups)), np.log(MAX_MAPS))))
    truth = np.repeat(np.arange(n_groups), draw_sizes(n_maps, n_groups, rng))
    prototypes = np.stack([draw_prototype(kind, side, rng) for _ in range(n_groups)])
    strength = float(np.exp(rng.uniform(np.log(0.5), np.log(2.5))))
    maps = np.stack([disturb(prototypes, group, disturbance, strength, rng) for group in truth])
    # Channels let through more or less of a map, and differ in scale by an order of magnitude.
    cut = rng.uniform(-0.5, 0.5, (n_maps, 1, 1)) * maps.std(axis=(1, 2), keepdims=True)
    maps = np.maximum(maps - maps.mean(axis=(1, 2), keepdims=True) - cut, 0)
    maps *= rng.lognormal(0, 1, (n_maps, 1, 1))
    order = rng.permutation(n_maps)
    return Problem(maps[order].astype(np.float32), truth[order], n_groups, kind, disturbance)


def draw_noise(number: int) -> Problem:
    """Maps that have nothing in common: white, smooth or sparse noise."""
    rng = np.random.default_rng([number, 1])
    side = int(rng.choice(SIDES))
    n_maps = round(np.exp(rng.uniform(np.log(5), np.log(MAX_MAPS))))
    maps = rng.normal(size=(n_maps, side, side))
    disturbance = str(rng.choice(["white", "smooth", "sparse"]))
    if disturbance == "smooth":
        width = side * rng.uniform(0.03, 0.1)
        maps = np.stack([standard(gaussian_filter(one, width)) for one in maps])
    if disturbance == "sparse":
        maps -= 1
    maps = np.maximum(maps, 0) * rng.lognormal(0, 1, (n_maps, 1, 1))
    return Problem(maps.astype(np.float32), np.zeros(n_maps, dtype=int), 0, "noise", disturbance)


def draw_sizes(n_maps: int, n_groups: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Two maps in each group at least; the rest spread evenly or very unevenly."""
    shares = rng.dirichlet(np.full(n_groups, float(rng.choice([2.0, 20.0]))))
    return 2 + rng.multinomial(n_maps - 2 * n_groups, shares)


def draw_prototype(kind: str, side: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """[side, side], of mean 0 and deviation 1."""
    y, x = np.mgrid[0:side, 0:side] / side
    image = np.zeros((side, side))
    if kind == "blobs":
        for _ in range(rng.integers(1, 4)):
            (down, right), width = rng.uniform(0, 1, 2), rng.uniform(0.08, 0.25)
            squared = (y - down) ** 2 + (x - right) ** 2
            image += rng.uniform(0.5, 1) * np.exp(-squared / (2 * width**2))
    elif kind == "textures":
        angle, waves = rng.uniform(0, np.pi), rng.uniform(2, min(side / 3, 10))
        along = x * np.cos(angle) + y * np.sin(angle)
        image = np.maximum(np.cos(2 * np.pi * waves * along + rng.uniform(0, 2 * np.pi)), 0)
        down, right = rng.uniform(0, 1, 2)
        squared = (y - down) ** 2 + (x - right) ** 2
        image *= np.exp(-squared / (2 * rng.uniform(0.2, 0.6) ** 2))
    else:
        for _ in range(rng.integers(1, 3)):
            down, right = rng.uniform(0.1, 0.9, 2)
            angle, (high, wide) = rng.uniform(0, np.pi), rng.uniform(0.06, 0.35, 2)
            u = (x - right) * np.cos(angle) + (y - down) * np.sin(angle)
            v = (y - down) * np.cos(angle) - (x - right) * np.sin(angle)
            image = np.maximum(image, (u / wide) ** 2 + (v / high) ** 2 < 1)
    return standard(image)


def disturb(
    prototypes: NDArray[np.float64],
    group: int,
    disturbance: str,
    strength: float,
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """One map of a group. strength: about the ratio of noise to signal."""
    own = prototypes[group]
    side = len(own)
    white = rng.normal(size=own.shape)
    if disturbance == "white":
        return own + strength * white
    if disturbance == "smooth":
        smooth = standard(gaussian_filter(white, side * rng.uniform(0.03, 0.1)))
        return own + 0.7 * strength * smooth
    if disturbance == "hot pixels":
        is_hot = rng.random(own.shape) < 3 / own.size
        return own + 0.5 * strength * white + is_hot * rng.uniform(5, 25)
    if disturbance == "shifts":
        down, right = np.round(rng.normal(0, 0.035 * strength * side, 2)).astype(int)
        padded = np.pad(own, side, mode="edge")
        moved = padded[side + down : 2 * side + down, side + right : 2 * side + right]
        return moved + 0.4 * strength * white
    other = prototypes[rng.integers(len(prototypes))]
    return own + rng.uniform(0, 0.9) * other + 0.6 * strength * white


def standard(image: NDArray[np.floating]) -> NDArray[np.float64]:
    return np.asarray((image - image.mean()) / max(image.std(), 1e-9), dtype=np.float64)


# --- the clusterers, with the number of clusters chosen and given


def fast_given(maps: Maps, n_clusters: int) -> Labels:
    with use_one_thread():
        gram = correlate(standardise(maps))
        ((labels, _),) = refine(gram, ward_cuts(gram, n_clusters)[-1:])
        return labels


def paper_given(maps: Maps, n_clusters: int) -> Labels:
    with use_one_thread():
        plane = embed_in_plane(reduce_dimensions(scale_maps(maps)), 0)
        return ward_given(plane, n_clusters)


def ward_chosen(maps: Maps, _seed: int) -> Labels:
    with use_one_thread():
        return choose_clusters(scale_maps(maps))


def ward_given(points: NDArray[np.floating], n_clusters: int) -> Labels:
    labels: Labels = AgglomerativeClustering(n_clusters, linkage="ward").fit_predict(points)
    return labels


CHOSEN: Final[dict[str, Callable[[Maps, int], Labels]]] = {
    "fast": cluster_fast,
    "paper": cluster_like_paper,
    "ward": ward_chosen,
}
GIVEN: Final[dict[str, Callable[[Maps, int], Labels]]] = {
    "fast": fast_given,
    "paper": paper_given,
    "ward": lambda maps, n_clusters: ward_given(scale_maps(maps), n_clusters),
}


# --- part 1


@dataclass
class Scores:
    """Of one problem, by clusterer."""

    problem: Problem
    of: dict[str, dict[str, float]] = field(default_factory=dict)


def score_problem(problem: Problem) -> Scores:
    scores = Scores(problem)
    maps, truth = problem.maps, problem.truth
    rng = np.random.default_rng(len(maps))
    nudged = maps + 0.05 * maps.std(axis=(1, 2), keepdims=True) * rng.normal(size=maps.shape)
    nudged = np.maximum(nudged, 0).astype(np.float32)
    likeness = np.corrcoef(maps.reshape(len(maps), -1))
    for name, clusterer in CHOSEN.items():
        started = time.process_time()
        labels = clusterer(maps, 0)
        milliseconds = 1000 * (time.process_time() - started)
        scores.of[name] = {
            "chosen": adjusted_rand_score(truth, labels),
            "n": len(set(labels)),
            "within": mean_within(likeness, labels),
            "silhouette": mean_silhouette(likeness, labels),
            "other seed": adjusted_rand_score(labels, clusterer(maps, 1)),
            "small noise": adjusted_rand_score(labels, clusterer(nudged, 0)),
            "ms": milliseconds,
        }
        if problem.n_groups:
            given = GIVEN[name](maps, problem.n_groups)
            scores.of[name]["given"] = adjusted_rand_score(truth, given)
    return scores


def mean_within(likeness: NDArray[np.float64], labels: Labels) -> float:
    """Mean correlation with the others of the own cluster; maps that are alone do not count."""
    together = np.equal.outer(labels, labels) & ~np.eye(len(labels), dtype=bool)
    n_others = together.sum(axis=1)
    sums = (likeness * together).sum(axis=1)
    return float((sums[n_others > 0] / n_others[n_others > 0]).mean()) if together.any() else np.nan


def mean_silhouette(likeness: NDArray[np.float64], labels: Labels) -> float:
    if not 1 < len(set(labels)) < len(labels):
        return np.nan
    distances = np.maximum(1 - likeness, 0)
    np.fill_diagonal(distances, 0)
    return float(silhouette_samples(distances, labels, metric="precomputed").mean())


def report_problems(scores: Sequence[Scores]) -> None:
    planted = [one for one in scores if one.problem.n_groups > 0]
    paper_range = [one for one in planted if one.problem.n_groups >= 3]
    noise = [one for one in scores if one.problem.n_groups == 0]
    print(f"\nadjusted Rand index, chosen / given, {len(planted)} planted problems")
    print("fast - paper: mean paired difference with chosen numbers, 95 % interval\n")
    print(f"| problems | n | {' | '.join(CHOSEN)} | fast - paper |")
    print(f"|---|---|{'---|' * len(CHOSEN)}---|")
    print_row("3 to 8 groups (the paper's range)", paper_range)
    print_row("all, 1 to 8 groups", planted)
    for wanted in (1, 2):
        print_row(f"{wanted} group(s)", [s for s in planted if s.problem.n_groups == wanted])
    for kind in KINDS:
        print_row(f"3 to 8: {kind}", [s for s in paper_range if s.problem.kind == kind])
    for one in DISTURBANCES:
        print_row(f"3 to 8: {one}", [s for s in paper_range if s.problem.disturbance == one])
    for low, high in ((7, 8), (14, 16), (28, 32), (56, 64)):
        chosen = [s for s in paper_range if low <= s.problem.maps.shape[1] <= high]
        print_row(f"3 to 8: {low} and {high} cells a side", chosen)
    for low, high in ((5, 30), (31, 100), (101, MAX_MAPS)):
        chosen = [s for s in paper_range if low <= len(s.problem.maps) <= high]
        print_row(f"3 to 8: {low} to {high} maps", chosen)

    print(f"\n| all planted problems | {' | '.join(CHOSEN)} |\n|---|{'---|' * len(CHOSEN)}")
    hits = {
        name: [float(s.of[name]["n"] == s.problem.n_groups) for s in planted] for name in CHOSEN
    }
    print_means("number of groups hit", hits)
    print_means(
        "number of groups hit, 3 to 8",
        {
            name: [float(s.of[name]["n"] == s.problem.n_groups) for s in paper_range]
            for name in CHOSEN
        },
    )
    for key, what in (
        ("within", "mean correlation within clusters"),
        ("silhouette", "silhouette by correlation distance"),
        ("other seed", "agreement with another seed (Rand)"),
        ("small noise", "agreement under noise of 5 % (Rand)"),
        ("ms", "CPU time, ms"),
    ):
        print_means(what, {name: [s.of[name][key] for s in planted] for name in CHOSEN})
    print_means(
        f"one group where there is only noise ({len(noise)} problems)",
        {name: [float(s.of[name]["n"] == 1) for s in noise] for name in CHOSEN},
    )


def print_row(what: str, scores: Sequence[Scores]) -> None:
    if not scores:
        return
    cells = []
    for name in CHOSEN:
        chosen = np.mean([one.of[name]["chosen"] for one in scores])
        given = np.mean([one.of[name]["given"] for one in scores])
        cells.append(f"{chosen:.3f} / {given:.3f}")
    gains = [one.of["fast"]["chosen"] - one.of["paper"]["chosen"] for one in scores]
    print(f"| {what} | {len(scores)} | {' | '.join(cells)} | {with_interval(gains, sign=True)} |")


def print_means(what: str, values: dict[str, list[float]]) -> None:
    cells = [with_interval([v for v in of_one if not np.isnan(v)]) for of_one in values.values()]
    print(f"| {what} | {' | '.join(cells)} |")


def with_interval(values: Sequence[float], *, sign: bool = False) -> str:
    """The mean with its 95 % bootstrap interval."""
    if not values:
        return "-"
    # The same draws whenever this runs, and others for other values.
    rng = np.random.default_rng(zlib.crc32(np.asarray(values).tobytes()))
    drawn = rng.choice(np.asarray(values, dtype=float), (N_RESAMPLES, len(values)))
    low, high = np.percentile(drawn.mean(axis=1), [2.5, 97.5])
    form = "+.3f" if sign else ".3f"
    return f"{np.mean(values):{form}} ({low:{form}} to {high:{form}})"


# --- part 2


def report_network(
    title: str, network: Network, layers: Sequence[str], pictures: Iterable[Image.Image]
) -> None:
    """Rank correlations over all clusters, light ones too, of each picture and layer.

    By weights W, and by the first-order effect of zeroing, the sum of gradient times map, which the
    method does not use: it tells how much is lost by the rule for W rather than by the clusters.
    """
    correlations: dict[str, list[float]] = {name: [] for name in CHOSEN}
    first_order: dict[str, list[float]] = {name: [] for name in CHOSEN}
    n_clusters: dict[str, list[float]] = {name: [] for name in CHOSEN}
    steady: dict[str, list[float]] = {name: [] for name in CHOSEN}
    rng = np.random.default_rng(0)
    for picture in pictures:
        image = network.preprocess(picture)
        noisy = image + 0.05 * torch.from_numpy(rng.normal(size=image.shape)).to(image)
        features = compute_features(
            network.module, image, choose_target=lambda logits: int(logits.argmax()), layers=layers
        )
        target = features.target
        nudged = compute_features(
            network.module, noisy, choose_target=lambda _, target=target: target, layers=layers
        )
        signals = compute_gradients(network.module, image, layers, target=target)
        for layer, again in zip(features.layers, nudged.layers, strict=True):
            signal = signals[layer.name]
            effects = (signal.maps * signal.gradients).sum(axis=(1, 2))
            kept, kept_again = prune_channels(layer.percent), prune_channels(again.percent)
            if len(kept) < 4:
                continue
            for name, clusterer in CHOSEN.items():
                labels = clusterer(layer.maps_of(kept), 0)
                groups = [kept[labels == label] for label in np.unique(labels)]
                n_clusters[name].append(len(groups))
                correlation = by_effect = np.nan
                if len(groups) >= 3:
                    weights = np.array([layer.percent[group].sum() for group in groups])
                    logits = ablated_logits(network.module, image, layer.name, [(), *groups])
                    drops = logits[0, target] - logits[1:, target]
                    correlation = rank_correlation(weights, drops)
                    sums = np.array([effects[group].sum() for group in groups])
                    by_effect = rank_correlation(sums, drops)
                correlations[name].append(correlation)
                first_order[name].append(by_effect)
                labels_again = dict(
                    zip(kept_again, clusterer(again.maps_of(kept_again), 0), strict=True)
                )
                both = [
                    (label, labels_again[k])
                    for k, label in zip(kept, labels, strict=True)
                    if k in labels_again
                ]
                steady[name].append(adjusted_rand_score(*zip(*both, strict=True)))
    print(f"\n| {title} | {' | '.join(CHOSEN)} |\n|---|{'---|' * len(CHOSEN)}")
    print_means("rank correlation of weight and drop", correlations)
    print_means("of first-order effect and drop", first_order)
    print_means("clusters of a layer", n_clusters)
    print_means("same clusters under small image noise", steady)
    shares = {
        name: [float(not np.isnan(value)) for value in values]
        for name, values in correlations.items()
    }
    print_means("share with a correlation (3 clusters or more)", shares)
    paired = np.subtract(correlations["fast"], correlations["paper"])
    gain = with_interval(list(paired[~np.isnan(paired)]), sign=True)
    print(f"\nfast - paper, where both have a correlation: {gain}")


def photos_of(folder: Path, n_per_class: int) -> Iterator[Image.Image]:
    for class_folder in sorted(folder.iterdir()):
        for path in sorted(class_folder.iterdir())[:n_per_class]:
            yield open_picture(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--problems", type=int, default=200)
    parser.add_argument("--first", type=int, default=FIRST_REPORTED, help="number of a problem")
    parser.add_argument("--pictures", type=int, default=3, help="of each class, for a network")
    parser.add_argument("--photonet", type=Path, help="description file of a network of photos")
    parser.add_argument("--photos", type=Path, help="folder with a folder of photos per class")
    options = parser.parse_args()
    torch.set_num_threads(1)

    numbers = range(options.first, options.first + options.problems)
    problems = [draw_problem(number) for number in numbers]
    problems += [draw_noise(number) for number in numbers[: options.problems // 4]]
    scores = []
    for i, problem in enumerate(problems, start=1):
        scores.append(score_problem(problem))
        print(f"\r{i} of {len(problems)} problems", end="", file=sys.stderr, flush=True)
    report_problems(scores)

    scenes = recipes("test", n=10 * options.pictures, seed=0, bias=False)
    report_network(
        "picture book, fair network",
        load_network(FAIR_NETWORK, device="cpu"),
        EXPLAINED_LAYERS,
        (draw_scene(recipe).picture for recipe in scenes),
    )
    if options.photonet and options.photos:
        network = load_network(options.photonet, device="cpu")
        layers = [place.name for place in list_layers(network) if place.is_default]
        report_network("photonet", network, layers, photos_of(options.photos, options.pictures))


if __name__ == "__main__":
    main()
