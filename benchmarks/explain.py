"""How close is an explanation to the cost of one pass of the network, and where does the rest go?

VGG-16 with random weights at 256 px, its nine default layers. The floor is one forward and one
backward pass down to the first of these layers, parameters frozen: less cannot give the gradients.
All sides run in turns in one process, so that ratios do not hang on how busy the machine is:

- explain_image with the `fast` and with the `paper` clusterer, everything included, on the network
  as load_network gives it, on a CPU with the channels last; peers and floor on torch's own layout.
  The floor, TorchCAM and `fast` are also run the other way, since any of them gains by it;
- the paper done literally, written here: a forward and a full backward pass per layer, the
  gradients of all parameters included, then the same pruning, clustering and merging;
- for the maps alone, with the parameters frozen for them: TorchCAM in one pass, Captum with a list
  of layers and with a call per layer, pytorch-grad-cam with a call per layer, and zennit-crp.

Before measuring it is checked that `paper` and the literal paper find the same clusters. Peak
memory is that of a fresh process for each side.

Last, photos are explained into folders by one process and by several.

    python benchmarks/explain.py --runs 5 --threads 1
    python benchmarks/explain.py --runs 5 --device cuda
"""

import argparse
import copy
import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from app.explain import (
    ClusterMap,
    Network,
    explain_files,
    explain_image,
    explain_images,
    list_layers,
    load_network,
    report_html,
)
from app.explain.clusters import (
    CLUSTERERS,
    choose_clusters,
    cluster_like_paper,
    embed_in_plane,
    make_cluster_maps,
    prune_channels,
    reduce_dimensions,
)
from app.explain.clusters_torch import merge_together, works_together
from app.explain.fast_clusterer_torch import cluster_fast_together
from app.explain.features import LayerFeatures, compute_features_together
from app.explain.maps import scale_maps, use_one_thread

SIDE = 256
BATCHES = (1, 8, 64)
N_IN_BATCHES = 64
N_PHOTOS = 48
PEAKS = ("floor", "fast", "paper")


@dataclass(frozen=True)
class Task:
    """What every side is to do: explain the predicted class of one picture at these layers."""

    network: Network
    picture: Image.Image
    image: Tensor
    layers: list[str]

    @property
    def module(self) -> nn.Module:
        return self.network.module

    @property
    def modules(self) -> list[nn.Module]:
        return [self.module.get_submodule(name) for name in self.layers]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5, help="of each side, after one warm-up")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--threads", type=int, help="of torch; by default as many as it likes")
    parser.add_argument("--peak", choices=PEAKS, help="only print this side's peak memory, in KiB")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    task = make_task(options.device)
    if options.peak:
        print(peak_kib(task, options.peak))
        return
    check_same_answer(task)
    print(f"VGG-16, random weights, {SIDE} px, {len(task.layers)} layers, {options.runs} runs")
    print_ratios(task, options.runs)
    for clusterer in CLUSTERERS:
        print_shares(task, clusterer, 1, options.runs)
    for n_images in BATCHES[1:] if task.image.is_cuda else ():
        print_shares(task, "fast", n_images, options.runs)
    print_rates(task, options.runs)
    print_files(task)
    if options.device == "cpu":
        print_peaks()


def make_task(device: str) -> Task:
    network = replace(
        load_network("vgg16", weights="random", device=device), resize=SIDE, input_size=SIDE
    )
    picture = draw_picture()
    layers = [place.name for place in list_layers(network) if place.is_default]
    return Task(network, picture, network.preprocess(picture).to(network.device), layers)


def in_torchs_layout(task: Task) -> Task:
    module = copy.deepcopy(task.module).to(memory_format=torch.contiguous_format)
    return replace(task, network=replace(task.network, module=module))


# --- the sides


def floor(task: Task, n_images: int = 1) -> Tensor:
    """The gradient at the first layer, from one forward and one backward pass."""
    outputs: list[Tensor] = []
    handle = task.modules[0].register_forward_hook(lambda _m, _i, output: outputs.append(output))
    batch = task.image.expand(n_images, *task.image.shape).clone().requires_grad_()
    logits = task.module(batch)
    handle.remove()
    (gradient,) = torch.autograd.grad(logits.max(dim=1).values.sum(), outputs)
    return gradient


def explain_literally(task: Task) -> list[tuple[ClusterMap, ...]]:
    image = task.network.preprocess(task.picture).to(task.image)
    found = []
    for module in task.modules:
        maps, gradient = literal_pass(task.module, image, module)
        weights = (gradient * (maps > 0) * (gradient > 0)).astype(np.float64).mean(axis=(1, 2))
        percent = 100 * weights / weights.sum()
        kept = prune_channels(percent)
        found.append(
            make_cluster_maps(maps[kept], percent, kept, clusterer=cluster_like_paper, seed=0)
        )
    task.module.zero_grad()
    return found


def literal_pass(
    network: nn.Module, image: Tensor, layer: nn.Module
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Maps and gradient [C, H, W] of one layer, from a forward and a full backward pass."""
    outputs: list[Tensor] = []

    def keep(_module: nn.Module, _inputs: object, output: Tensor) -> None:
        output.retain_grad()
        outputs.append(output)

    handle = layer.register_forward_hook(keep)
    network.zero_grad()
    logits = network(image[None])[0]
    handle.remove()
    logits.max().backward()
    gradient = outputs[0].grad
    assert gradient is not None
    return outputs[0].detach()[0].cpu().numpy(), gradient[0].cpu().numpy()


def torchcam(task: Task) -> object:
    from torchcam.methods import LayerCAM

    with LayerCAM(task.module, task.layers) as extractor:
        scores = task.module(task.image[None].clone().requires_grad_())
        return extractor(int(scores.argmax()), scores)


def captum_list(task: Task) -> object:
    from captum.attr import LayerGradientXActivation

    return LayerGradientXActivation(task.module, task.modules).attribute(
        task.image[None].clone().requires_grad_(), target=predicted(task)
    )


def captum_calls(task: Task) -> object:
    from captum.attr import LayerGradCam

    target = predicted(task)
    return [
        LayerGradCam(task.module, module).attribute(
            task.image[None].clone().requires_grad_(), target=target
        )
        for module in task.modules
    ]


def grad_cam_calls(task: Task) -> object:
    from pytorch_grad_cam import GradCAM

    maps = []
    for module in task.modules:
        with GradCAM(task.module, [module]) as grad_cam:
            # Without targets it takes the predicted class.
            maps.append(grad_cam(task.image[None].clone().requires_grad_(), targets=None))
    return maps


def zennit_crp(task: Task) -> object:
    from crp.attribution import CondAttribution
    from zennit.composites import EpsilonPlusFlat

    return CondAttribution(task.module)(
        task.image[None].clone().requires_grad_(),
        [{"y": [predicted(task)]}],
        EpsilonPlusFlat(),
        record_layer=task.layers,
    )


_PREDICTED: dict[int, int] = {}


def predicted(task: Task) -> int:
    """The predicted class, which these peers must be told; the pass for it is not counted."""
    if id(task) not in _PREDICTED:
        with torch.inference_mode():
            _PREDICTED[id(task)] = int(task.module(task.image[None]).argmax())
    return _PREDICTED[id(task)]


def explain(task: Task, clusterer: str) -> object:
    return explain_image(task.network, task.picture, layers=task.layers, clusterer=clusterer)


SIDES: dict[str, Callable[[Task], object]] = {
    "floor": floor,
    "floor, as loaded": floor,
    "fast": lambda task: explain(task, "fast"),
    "fast, torch's layout": lambda task: explain(task, "fast"),
    "paper": lambda task: explain(task, "paper"),
    "literal paper": explain_literally,
    "TorchCAM, one pass": torchcam,
    "TorchCAM, as loaded": torchcam,
    "Captum, list of layers": captum_list,
    "Captum, call per layer": captum_calls,
    "pytorch-grad-cam, call per layer": grad_cam_calls,
    "zennit-crp, one call": zennit_crp,
}
UNFROZEN = ("fast", "fast, torch's layout", "paper", "literal paper")
"""Sides for which the parameters are not frozen, as they are when a network is loaded."""

AS_LOADED = ("floor, as loaded", "fast", "paper", "TorchCAM, as loaded")
"""Sides that run in the memory layout which load_network chooses."""


@contextmanager
def parameters_frozen(module: nn.Module, frozen: bool) -> Iterator[None]:
    module.requires_grad_(not frozen)
    try:
        yield
    finally:
        module.requires_grad_(True)


def check_same_answer(task: Task) -> None:
    ours = explain_image(task.network, task.picture, layers=task.layers, clusterer="paper").layers
    for layer, clusters in zip(ours, explain_literally(task), strict=True):
        pairs = list(zip(layer.clusters, clusters, strict=True))
        if any(one.channels != other.channels for one, other in pairs):
            raise SystemExit(f"The two sides do not find the same clusters at {layer.name}.")


# --- measuring


def print_ratios(task: Task, n_runs: int) -> None:
    plain = in_torchs_layout(task)
    for one in (task, plain):
        predicted(one)
    cpu: dict[str, list[float]] = defaultdict(list)
    wall: dict[str, list[float]] = defaultdict(list)
    for run in range(n_runs + 1):
        for side, function in SIDES.items():
            one = task if side in AS_LOADED else plain
            with parameters_frozen(one.module, side not in UNFROZEN):
                synchronise(task)
                started, started_cpu = time.perf_counter(), time.process_time()
                function(one)
                synchronise(task)
            if run > 0:
                cpu[side].append(time.process_time() - started_cpu)
                wall[side].append(time.perf_counter() - started)
    print("\nover the floor of the same turn, median (range)\n")
    print("| | CPU s | CPU / floor | wall s | wall / floor |\n|---|---|---|---|---|")
    for side in SIDES:
        cells = []
        for times in (cpu, wall):
            ratios = [a / b for a, b in zip(times[side], times["floor"], strict=True)]
            cells += [f"{median(times[side]):.2f}", spread(ratios)]
        print(f"| {side} | {' | '.join(cells)} |")


def spread(values: list[float]) -> str:
    return f"{median(values):.2f} ({min(values):.2f}-{max(values):.2f})"


def print_shares(task: Task, clusterer: str, n_images: int, n_runs: int) -> None:
    runs = [time_steps(task, clusterer, n_images) for _ in range(n_runs + 1)][1:]
    ms = {step: 1000 * median(run[step] for run in runs) / n_images for step in runs[0]}
    whole = sum(ms.values())
    kind = "wall" if task.image.is_cuda else "CPU"
    print(f"\n| {clusterer}, batches of {n_images} | {kind} ms a picture | share |\n|---|---|---|")
    for step, one in ms.items():
        print(f"| {step} | {one:.1f} | {100 * one / whole:.1f} % |")


def time_steps(task: Task, clusterer: str, n_images: int) -> dict[str, float]:
    """Seconds of every step of explain_images, over all layers and pictures."""
    clock = time.perf_counter if task.image.is_cuda else time.process_time
    seconds: dict[str, float] = defaultdict(float)

    @contextmanager
    def step(name: str) -> Iterator[None]:
        synchronise(task)
        started = clock()
        yield
        synchronise(task)
        seconds[name] += clock() - started

    with step("preprocess"):
        images = torch.stack([task.network.preprocess(task.picture) for _ in range(n_images)])
    with step("forward, backward, weights"):
        features = compute_features_together(
            task.module,
            images,
            choose_target=lambda logits: int(logits.argmax()),
            layers=task.layers,
        )
    layers = [layer for one in features for layer in one.layers]
    if clusterer == "fast" and works_together(layers[0].values):
        cluster_together_in_steps(layers, step)
    else:
        for layer in layers:
            cluster_in_steps(layer, clusterer, step)
    return dict(seconds)


def cluster_together_in_steps(
    layers: list[LayerFeatures], step: Callable[[str], AbstractContextManager[None]]
) -> None:
    with step("cluster"):
        chosen = [
            (layer.values_of(kept), layer.percent, kept)
            for layer in layers
            for kept in [prune_channels(layer.percent)]
        ]
        labels = cluster_fast_together([maps for maps, _, _ in chosen])
    with step("merge"):
        merge_together(chosen, labels)


def cluster_in_steps(
    layer: LayerFeatures, clusterer: str, step: Callable[[str], AbstractContextManager[None]]
) -> None:
    percent = layer.percent
    kept = prune_channels(percent)
    maps = layer.maps_of(kept)
    if clusterer == "paper":
        with step("scale"):
            points = np.unique(scale_maps(maps), axis=0)
        with use_one_thread():
            with step("PCA"):
                reduced = reduce_dimensions(points)
            with step("t-SNE"):
                plane = embed_in_plane(reduced, 0)
            with step("Ward and silhouette"):
                labels = choose_clusters(plane)
    else:
        with step("cluster"):
            labels = CLUSTERERS[clusterer](maps, 0)
    with step("merge"):
        make_cluster_maps(maps, percent, kept, clusterer=lambda _m, _s: labels, seed=0)


def print_rates(task: Task, n_runs: int) -> None:
    """Is it worth to run several pictures at once? What the floor would gain by it, too."""
    print(f"\n| batches of | floor, images per second on {task.network.device} | fast |")
    print("|---|---|---|")
    for n_images in BATCHES:
        with parameters_frozen(task.module, True):
            floor_s = wall_seconds(task, lambda n=n_images: floor(task, n), n_runs)
        n_in_all = max(n_images, N_IN_BATCHES)
        fast_s = wall_seconds(task, lambda n=n_images, of=n_in_all: explain_many(task, of, n), 1)
        print(f"| {n_images} | {n_images / floor_s:.1f} | {n_in_all / fast_s:.1f} |")


def explain_many(task: Task, n_images: int, batch_size: int) -> None:
    pictures = [task.picture] * n_images
    for _ in explain_images(task.network, pictures, layers=task.layers, batch_size=batch_size):
        pass


def print_files(task: Task) -> None:
    """Photos explained into folders with their reports: what writing costs and processes bring."""
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / f"{number}.png" for number in range(N_PHOTOS)]
        for path in paths:
            task.picture.save(path)
        explanation = explain_image(task.network, task.picture, layers=task.layers)
        view = task.network.view(task.picture, 448)
        print("\n| of one photo | ms |\n|---|---|")
        for step, function in {
            "explain_image": lambda: explain(task, "fast"),
            "save": lambda: explanation.save(folder),
            "report_html": lambda: report_html(explanation, view, title="photo"),
        }.items():
            print(f"| {step} | {1000 * wall_seconds(task, function, 3):.0f} |")
        print("\n| explain_files, processes | start, s | then, photos per second |\n|---|---|---|")
        for n_processes in (1, 2, 4, 8):
            if n_processes > len(os.sched_getaffinity(0)):
                break
            started = time.perf_counter()
            # Apart, for what is explained already is not explained again.
            out = Path(folder) / f"by {n_processes}"
            results = explain_files(
                task.network, paths, out, layers=task.layers, n_processes=n_processes
            )
            times = [time.perf_counter() for _ in results]
            # The first of every process are late by its start, and come at once then.
            first = 2 * n_processes
            rate = (N_PHOTOS - 1 - first) / (times[-1] - times[first])
            print(f"| {n_processes} | {times[0] - started:.1f} | {rate:.1f} |")


def wall_seconds(task: Task, function: Callable[[], object], n_runs: int) -> float:
    times = []
    for run in range(n_runs + 1):
        synchronise(task)
        started = time.perf_counter()
        function()
        synchronise(task)
        if run > 0:
            times.append(time.perf_counter() - started)
    return median(times)


def synchronise(task: Task) -> None:
    if task.image.is_cuda:
        torch.cuda.synchronize()


def print_peaks() -> None:
    mib = {
        side: int(
            subprocess.run(
                [sys.executable, __file__, "--peak", side],
                check=True,
                capture_output=True,
                text=True,
            ).stdout
        )
        / 1024
        for side in PEAKS
    }
    print("\n| peak memory of a process | MiB | over the floor |\n|---|---|---|")
    for side, one in mib.items():
        print(f"| {side} | {one:.0f} | {one - mib['floor']:+.0f} |")


def peak_kib(task: Task, side: str) -> int:
    """The resident set's peak while a side runs. Linux alone lets it start anew."""
    # Making the network takes more memory than any side, which would hide what they take.
    Path("/proc/self/clear_refs").write_text("5")
    for _ in range(3):
        with parameters_frozen(task.module, side not in UNFROZEN):
            SIDES[side](task)
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))


def draw_picture() -> Image.Image:
    """Noise over a slope of colours, so that maps differ from place to place."""
    rng = np.random.default_rng(0)
    slope = np.linspace(0, 160, SIDE)
    pixels = np.stack([slope[:, None] + 0 * slope, slope + 0 * slope[:, None]], axis=-1)
    pixels = np.concatenate([pixels, 160 - pixels[..., :1]], axis=-1)
    return Image.fromarray((pixels + rng.uniform(0, 95, pixels.shape)).astype(np.uint8))


if __name__ == "__main__":
    main()
