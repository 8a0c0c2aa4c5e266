"""How much time does one shared pass save, and where does the rest of the time go?

VGG-16 with random weights at 256 px, its nine default layers. Our explain_image runs against the
paper done literally, written here: one forward and one backward pass per layer, with the gradients
of all parameters, then the same pruning, clustering and merging. Both run in turns in one process,
so that the ratio of their medians does not hang on how busy the machine is.

    python benchmarks/explain.py --runs 3
"""

import argparse
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from statistics import median

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from threadpoolctl import threadpool_limits
from torch import Tensor, nn

from app.explain import ClusterMap, Network, explain_image, list_layers, load_network
from app.explain.clusters import (
    choose_clusters,
    cluster_like_paper,
    embed_in_plane,
    make_cluster_maps,
    prune_channels,
    reduce_dimensions,
)
from app.explain.features import compute_features
from app.explain.maps import merge_maps, scale_maps

SIDE = 256


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3, help="of each side, after one warm-up")
    n_runs = parser.parse_args().runs
    network = replace(
        load_network("vgg16", weights="random", device="cpu"), resize=SIDE, input_size=SIDE
    )
    picture = draw_picture()
    image = network.preprocess(picture)
    layers = [place.name for place in list_layers(network) if place.is_default]
    module = network.module
    check_same_answer(network, picture, layers)

    print(f"VGG-16, random weights, {SIDE} px, {len(layers)} layers, {n_runs} runs of each side")
    print_ratio(
        "whole explanation",
        lambda: explain_image(network, picture, layers=layers),
        lambda: explain_literally(network, picture, layers),
        n_runs,
    )
    print_ratio(
        "forward and backward only",
        lambda: compute_features(module, image, choose_target=highest, layers=layers),
        lambda: [literal_pass(module, image, name) for name in layers],
        n_runs,
    )
    print_shares(network, picture, layers, n_runs)


# --- the paper, done literally


def explain_literally(
    network: Network, picture: Image.Image, layers: list[str]
) -> list[tuple[ClusterMap, ...]]:
    image = network.preprocess(picture)
    found = []
    for name in layers:
        maps, gradient = literal_pass(network.module, image, name)
        weights = (gradient * (maps > 0) * (gradient > 0)).astype(np.float64).mean(axis=(1, 2))
        percent = 100 * weights / weights.sum()
        kept = prune_channels(percent)
        found.append(make_cluster_maps(maps, percent, kept, clusterer=cluster_like_paper, seed=0))
    return found


def literal_pass(
    module: nn.Module, image: Tensor, name: str
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Maps and gradient [C, H, W] of one layer, from a forward and a full backward pass."""
    outputs: list[Tensor] = []

    def keep(_module: nn.Module, _inputs: object, output: Tensor) -> None:
        output.retain_grad()
        outputs.append(output)

    handle = module.get_submodule(name).register_forward_hook(keep)
    module.zero_grad()
    logits = module(image[None])[0]
    handle.remove()
    logits.max().backward()
    gradient = outputs[0].grad
    assert gradient is not None
    return outputs[0].detach()[0].numpy(), gradient[0].numpy()


def check_same_answer(network: Network, picture: Image.Image, layers: list[str]) -> None:
    ours = explain_image(network, picture, layers=layers).layers
    literal = explain_literally(network, picture, layers)
    network.module.zero_grad()
    for layer, clusters in zip(ours, literal, strict=True):
        pairs = list(zip(layer.clusters, clusters, strict=True))
        if any(one.channels != other.channels for one, other in pairs):
            raise SystemExit(f"The two sides do not find the same clusters at {layer.name}.")


# --- measuring


def print_ratio(
    what: str, ours: Callable[[], object], literal: Callable[[], object], n_runs: int
) -> None:
    sides = {"ours": ours, "literal": literal}
    wall: dict[str, list[float]] = defaultdict(list)
    cpu: dict[str, list[float]] = defaultdict(list)
    for run in range(n_runs + 1):
        for side, function in sides.items():
            started, started_cpu = time.perf_counter(), time.process_time()
            function()
            if run > 0:
                wall[side].append(time.perf_counter() - started)
                cpu[side].append(time.process_time() - started_cpu)
    for clock, times in (("wall", wall), ("cpu", cpu)):
        a, b = median(times["ours"]), median(times["literal"])
        print(f"{what:28} {clock:5} ours {a:7.2f} s  literal {b:7.2f} s  ratio {b / a:5.2f}")


def print_shares(network: Network, picture: Image.Image, layers: list[str], n_runs: int) -> None:
    totals: dict[str, float] = defaultdict(float)
    for _ in range(n_runs):
        for step, seconds in time_steps(network, picture, layers).items():
            totals[step] += seconds / n_runs
    whole = sum(totals.values())
    print("share of the time in each step, wall")
    for step, seconds in totals.items():
        print(f"  {step:22} {seconds:7.3f} s {100 * seconds / whole:6.1f} %")


def time_steps(network: Network, picture: Image.Image, layers: list[str]) -> dict[str, float]:
    """Seconds of every step of explain_image, over all layers."""
    seconds: dict[str, float] = defaultdict(float)

    @contextmanager
    def step(name: str) -> Iterator[None]:
        started = time.perf_counter()
        yield
        seconds[name] += time.perf_counter() - started

    with step("preprocess"):
        image = network.preprocess(picture)
    with step("forward and backward"):
        features = compute_features(network.module, image, choose_target=highest, layers=layers)
    for layer in features.layers:
        with step("prune and scale"):
            percent = layer.percent
            kept = prune_channels(percent)
            rows = np.unique(scale_maps(layer.maps[kept]), axis=0)
        with threadpool_limits(limits=1):
            with step("PCA"):
                reduced = reduce_dimensions(rows)
            with step("t-SNE"):
                plane = embed_in_plane(reduced, 0)
            with step("Ward and silhouette"):
                labels = choose_clusters(plane)
        with step("merge"):
            for label in np.unique(labels):
                group = kept[labels == label]
                merge_maps(layer.maps[group], percent[group])
    return dict(seconds)


def highest(logits: NDArray[np.float64]) -> int:
    return int(logits.argmax())


def draw_picture() -> Image.Image:
    """Noise over a slope of colours, so that maps differ from place to place."""
    rng = np.random.default_rng(0)
    slope = np.linspace(0, 160, SIDE)
    pixels = np.stack([slope[:, None] + 0 * slope, slope + 0 * slope[:, None]], axis=-1)
    pixels = np.concatenate([pixels, 160 - pixels[..., :1]], axis=-1)
    return Image.fromarray((pixels + rng.uniform(0, 95, pixels.shape)).astype(np.uint8))


if __name__ == "__main__":
    main()
