"""Do explanations name what the network uses, and do others do it better?

The merged cluster maps of a layer, by each clusterer, against Grad-CAM, Grad-CAM++, LayerCAM and
HiResCAM of the same layers and pictures, and against chance: ablation, insertion, deletion, ROAD
and the cascade of randomised weights (docs/algorithms/faithfulness.md). For photonet on photos that
it was not trained on, and for the two networks of the picture book on scenes of its biased world.

    python benchmarks/faithfulness.py --out docs/faithfulness.md

The steps from Grad-CAM to our map are measured one by one, too, to tell what each costs or brings.
Of the file, only what stands between the markers of a network is replaced.
"""

import argparse
import datetime
import multiprocessing
import os
import re
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from pytorch_grad_cam import GradCAM, GradCAMPlusPlus, HiResCAM, LayerCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch.nn import functional

from app.explain import LayerExplanation, Network, load_network, open_picture
from app.explain.clusters import CLUSTERERS, prune_channels
from app.explain.faithfulness.cams import CAMS, compute_gradients
from app.explain.faithfulness.evaluation import (
    Evidence,
    MapMaker,
    PictureScores,
    evaluate_image,
    peer_methods,
)
from app.explain.faithfulness.summary import tables
from app.picturebook.datasets import recipes
from app.picturebook.networks import BIASED_NETWORK, EXPLAINED_LAYERS, FAIR_NETWORK
from app.picturebook.scenes import Recipe, draw_scene
from app.picturebook.world import CLASSES

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
PEERS = {
    "Grad-CAM": GradCAM,
    "Grad-CAM++": GradCAMPlusPlus,
    "LayerCAM": LayerCAM,
    "HiResCAM": HiResCAM,
}
N_CHECKED = 3
"""On so many pictures, our own maps of the peers are held against pytorch-grad-cam's."""


@dataclass(frozen=True)
class Subject:
    """A network and its pictures. layers: the last of each scale, or of each block."""

    title: str
    network: Path
    layers: tuple[str, ...]
    pictures: Sequence[Path | Recipe]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, default=2, help="of each class")
    parser.add_argument(
        "--networks", nargs="+", choices=SUBJECTS, default=list(SUBJECTS), metavar="NAME"
    )
    parser.add_argument("--photonet", type=Path, default=DATA / "photonet.json")
    parser.add_argument("--photos", type=Path, default=DATA / "photos" / "test")
    parser.add_argument("--clusterer", action="append", help="once or more; all by default")
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="file with markers; else it is only printed")
    options = parser.parse_args()

    clusterers = options.clusterer or list(CLUSTERERS)
    for name in options.networks:
        subject = SUBJECTS[name](options)
        check_peers(subject)
        started = time.monotonic()
        scores = measure(subject, clusterers, options)
        minutes = (time.monotonic() - started) / 60
        section = "\n\n".join(
            [
                f"### {subject.title}",
                f"{datetime.date.today()}: {len(subject.pictures)} pictures, {options.pictures} of "
                f"each class, seed {options.seed}; {minutes:.0f} minutes in {options.workers} "
                "processes. In brackets: 95 % bootstrap intervals over the pictures.",
                tables(scores, clusterers),
            ]
        )
        print(section)
        if options.out:
            put(options.out, name, section)


# --- networks and their pictures


def photonet(options: argparse.Namespace) -> Subject:
    photos = sorted(options.photos.glob("*/*.jpg"))
    if not photos:
        raise SystemExit(f"There are no photos in {options.photos}; give --photos and --photonet.")
    rng = np.random.default_rng(options.seed)
    chosen = [
        photo
        for _, of_class in groupby(photos, key=lambda photo: photo.parent)
        for photo in rng.permutation(np.array(list(of_class), dtype=object))[: options.pictures]
    ]
    layers = ("layer2.1", "layer3.1", "layer4.1")
    return Subject("Photonet (ResNet-18, photos)", options.photonet, layers, chosen)


def picture_book(title: str, network: Path) -> Callable[[argparse.Namespace], Subject]:
    def subject(options: argparse.Namespace) -> Subject:
        n = options.pictures * len(CLASSES)
        scenes = recipes("test", n=n, seed=options.seed, bias=True)
        first, middle, last = EXPLAINED_LAYERS[0], EXPLAINED_LAYERS[2], EXPLAINED_LAYERS[-1]
        return Subject(title, network, (first, middle, last), scenes)

    return subject


SUBJECTS = {
    "photonet": photonet,
    "fair": picture_book("Picture book, fair network", FAIR_NETWORK),
    "biased": picture_book("Picture book, biased network", BIASED_NETWORK),
}


def draw(picture: Path | Recipe) -> Image.Image:
    return open_picture(picture) if isinstance(picture, Path) else draw_scene(picture, 256).picture


# --- the steps between Grad-CAM and our map


def steps(clusterer: str) -> dict[str, MapMaker]:
    """Each changes one thing more: guided instead of mean gradients, pruning, no light clusters.

    Our map differs from the last in that each cluster's map is scaled before they are joined.
    LayerCAM differs from the first in that the guided gradients are not averaged over places.
    """

    def weighted(
        choose: Callable[[LayerExplanation], NDArray[np.bool_]],
    ) -> MapMaker:
        def make(evidence: Evidence) -> NDArray[np.float64]:
            layer = evidence.explained[clusterer]
            weights = layer.channel_weights * choose(layer)
            return np.tensordot(weights, evidence.signals.maps, axes=1)

        return make

    def among(layer: LayerExplanation, channels: Iterable[int]) -> NDArray[np.bool_]:
        return np.isin(np.arange(layer.n_channels), list(channels))

    return {
        "guided weights": weighted(lambda layer: np.full(layer.n_channels, True)),
        "and pruned": weighted(lambda layer: among(layer, prune_channels(layer.channel_weights))),
        f"and no light clusters ({clusterer})": weighted(
            lambda layer: among(
                layer, [channel for cluster in layer.clusters for channel in cluster.channels]
            )
        ),
    }


# --- measuring


_network: Network


def prepare(path: Path) -> None:
    """In each process. One thread in each: two processes have two cores to share."""
    global _network
    torch.set_num_threads(1)
    _network = load_network(path, device="cpu")


def score(
    picture: Path | Recipe, layers: Sequence[str], clusterers: Sequence[str], seed: int
) -> PictureScores:
    return evaluate_image(
        _network,
        draw(picture),
        layers=layers,
        clusterers=clusterers,
        peers={**steps(clusterers[0]), **peer_methods()},
        seed=seed,
    )


def measure(
    subject: Subject, clusterers: Sequence[str], options: argparse.Namespace
) -> list[PictureScores]:
    pool = ProcessPoolExecutor(
        options.workers,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=prepare,
        initargs=(subject.network,),
    )
    with pool:
        jobs = [
            pool.submit(score, picture, subject.layers, clusterers, options.seed)
            for picture in subject.pictures
        ]
        found = []
        for number, job in enumerate(jobs, start=1):
            found.append(job.result())
            print(
                f"\r{subject.title}: {number} of {len(jobs)}", end="", file=sys.stderr, flush=True
            )
    print(file=sys.stderr)
    return found


def check_peers(subject: Subject) -> None:
    """Our small Grad-CAM and its relatives must be what pytorch-grad-cam shows."""
    network = load_network(subject.network, device="cpu")
    for picture in subject.pictures[:N_CHECKED]:
        image = network.preprocess(draw(picture))
        with torch.no_grad():
            target = int(network.module(image[None]).argmax())
        signals = compute_gradients(network.module, image, subject.layers, target=target)
        for layer, name in ((layer, name) for layer in subject.layers for name in PEERS):
            with PEERS[name](network.module, [network.module.get_submodule(layer)]) as peer:
                theirs = peer(image[None], [ClassifierOutputTarget(target)])[0]
            ours = CAMS[name](signals[layer].maps, signals[layer].gradients)
            if np.abs(enlarge(ours, theirs.shape) - theirs).max() > 1e-3:
                raise SystemExit(f"{name} at {layer} is not what pytorch-grad-cam shows.")


def enlarge(cam: NDArray[np.float64], shape: tuple[int, ...]) -> NDArray[np.float64]:
    grid = functional.interpolate(
        torch.from_numpy(cam)[None, None], size=shape, mode="bilinear", align_corners=False
    )
    values = grid.numpy()[0, 0]
    span = np.ptp(values)
    return (values - values.min()) / (span if span > 0 else 1)


# --- writing


def put(file: Path, name: str, section: str) -> None:
    """Replace what stands in the file between the markers of this name."""
    begin, end = f"<!-- measured: {name} -->", f"<!-- end: {name} -->"
    text = file.read_text(encoding="utf-8")
    pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    if not pattern.search(text):
        raise SystemExit(f"{file} has no line {begin} with a line {end} below it.")
    # A function, since a text would be read for backslashes.
    written = pattern.sub(lambda _: f"{begin}\n\n{section}\n\n{end}", text)
    file.write_text(written, encoding="utf-8")


if __name__ == "__main__":
    main()
