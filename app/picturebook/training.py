"""Train the picture book's two networks: python -m app.picturebook.training

One learns from the unbiased world ("picturebook"), the other from the biased one
("picturebook-biased"); see `datasets`. Weights, descriptions and a log of what came out go into one
folder. Needs torch, NumPy, Pillow and safetensors, nothing else.
"""

import argparse
import hashlib
import json
import math
import os
import platform
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Final

import numpy as np
import PIL
import torch
from numpy.typing import NDArray
from safetensors.torch import save
from torch import Tensor, nn

from app.explain.plain import Plain10, fold_batch_norm
from app.picturebook import binding
from app.picturebook.datasets import (
    TIED,
    TIED_TO_MARK,
    TIED_TO_WATER,
    Split,
    draw_pictures,
    recipes,
)
from app.picturebook.scenes import Recipe
from app.picturebook.world import CLASSES, REGIONS

DATA: Final = Path(__file__).parent / "data"
"""Where the networks lie that come with Layerplay."""

VARIANTS: Final = {"unbiased": "picturebook", "biased": "picturebook-biased"}
LOG_NAME: Final = "training.json"
INPUT_SIZE: Final = 128
MEAN: Final = 0.5
STD: Final = 0.25

_N_STEPS: Final = 3_000

MAX_SHIFT_PX: Final = 6
MAX_BRIGHTNESS: Final = 0.15
MAX_CONTRAST: Final = 0.2


@dataclass(frozen=True, slots=True)
class Settings:
    """How to train. With the kind of machine, they decide every weight.

    n_train, n_test: pictures of each set. small_epochs: so many of the epochs, the first ones, see
    the pictures at half their side, which takes a fifth of the time. learning_rate: the highest of
    a one-cycle course. ridge: what large weights of the classifier cost; see `_fit_classifier`.
    """

    seed: int = 1
    n_train: int = 5_000
    n_test: int = 600
    epochs: int = 11
    small_epochs: int = 4
    batch_size: int = 32
    learning_rate: float = 0.004
    weight_decay: float = 0.05
    ridge: float = 0.01


@dataclass(frozen=True, slots=True, eq=False)
class Pictures:
    """Drawn scenes. pixels: uint8 [N, side, side, 3]; regions: uint8 [N, side, side], the number of
    what each pixel shows, as in Scene.region_map; answers: int64 [N], index among CLASSES."""

    scenes: Sequence[Recipe]
    pixels: Tensor
    regions: Tensor
    answers: Tensor


@dataclass(frozen=True, slots=True)
class Epoch:
    """loss: mean of `misbound` over the epoch, on augmented pictures as they were learned."""

    loss: float
    seconds: float


def train(
    pictures: Pictures, settings: Settings, device: torch.device
) -> tuple[Plain10, list[Epoch]]:
    """A network that answers with one of CLASSES, without batch norm and in eval mode.

    First its convolutions learn to show what is where (`binding`), then one linear map learns to
    tell the class from it. So the classes have no say in what the maps show: trained on the class,
    most units of the last layers light up all over the figure they are for, since an average
    follows, and no map is a part's own. Such networks are known as concept bottlenecks, trained in
    sequence (Koh et al. 2020, "Concept Bottleneck Models", section 3).
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        network = Plain10(len(CLASSES), batch_norm=True)
    network = network.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    epochs = _train_features(network, pictures, settings, device)
    folded = fold_batch_norm(network.cpu())
    _fit_classifier(folded, pictures, settings.ridge, device)
    return folded, epochs


def _train_features(
    network: Plain10, pictures: Pictures, settings: Settings, device: torch.device
) -> list[Epoch]:
    generator = torch.Generator().manual_seed(settings.seed)
    n_pictures = len(pictures.answers)
    optimizer = torch.optim.AdamW(_parameter_groups(network.features, settings.weight_decay))
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer,
        max_lr=settings.learning_rate,
        total_steps=-(-n_pictures // settings.batch_size) * settings.epochs,
    )
    pixels, kinds = pictures.pixels.to(device), binding.to_kinds(pictures.regions).to(device)
    importance = binding.kind_importance(kinds)
    epochs = []
    for number in range(settings.epochs):
        started = time.perf_counter()
        network.train()
        total_loss = torch.zeros((), device=device)
        shuffled = torch.randperm(n_pictures, generator=generator)
        for chosen in torch.split(shuffled, settings.batch_size):
            values, shown = _augmented(pixels, kinds, chosen, generator)
            seen = _normalised(values)
            if number < settings.small_epochs:
                seen = nn.functional.avg_pool2d(seen, 2)
            loss = binding.misbound_layers(network, seen, shown, importance)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
            total_loss += loss.detach() * len(chosen)
        epoch = Epoch(
            loss=round(float(total_loss) / n_pictures, 4),
            seconds=round(time.perf_counter() - started, 1),
        )
        print(f"  epoch {number + 1}/{settings.epochs}: {_sentence(asdict(epoch))}", flush=True)
        epochs.append(epoch)
    return epochs


def _parameter_groups(features: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Only kernels decay: a normalisation's gain and a bias have no excess to lose."""
    kernels = [parameter for parameter in features.parameters() if parameter.ndim > 1]
    others = [parameter for parameter in features.parameters() if parameter.ndim <= 1]
    return [
        {"params": kernels, "weight_decay": weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]


# --- telling the class from it


@torch.no_grad()
def _pooled(network: Plain10, pixels: Tensor, device: torch.device) -> Tensor:
    """The mean of each map of the last layer, [N, C], for uint8 pixels [N, side, side, 3]."""
    found = [
        network.pool(network.features(_seen(batch, device))).flatten(1)
        for batch in torch.split(pixels, 256)
    ]
    return torch.cat(found)


def _fit_classifier(
    network: Plain10, pictures: Pictures, ridge: float, device: torch.device
) -> None:
    """Fit the last linear map to the answers: multinomial logistic regression.

    It reads the channels of parts and cues alone, and none of its weights is negative: a class is
    what speaks for it. Squared weights cost `ridge`, in units of the channels' mean spread. All
    channels have the same unit, so evidence comes from large regions first, which are seen best,
    and not from a few pixels of an eye, blown up.
    """
    means = _pooled(network.to(device), pictures.pixels, device).cpu()
    inputs = means * (binding.channel_kinds(means.shape[1]) <= len(binding.TELLING))
    unit = means.std(dim=0).mean()
    weight, bias = fit_evidence(inputs / unit, pictures.answers, len(CLASSES), ridge)
    network.cpu()
    network.classifier.weight.data = weight / unit
    network.classifier.bias.data = bias


def fit_evidence(
    inputs: Tensor, answers: Tensor, n_classes: int, ridge: float
) -> tuple[Tensor, Tensor]:
    """Logistic regression without negative weights: weight [K, C] and bias [K].

    inputs: [N, C]. Minimises the mean cross-entropy plus ridge / 2 times the sum of the squared
    weights, by projected gradients with Nesterov's momentum (Beck and Teboulle 2009, "A Fast
    Iterative Shrinkage-Thresholding Algorithm", with constant steps).
    """
    wanted = nn.functional.one_hot(answers, n_classes).to(inputs.dtype)
    # The gradient of the cross-entropy changes by half the largest eigenvalue at most.
    with_bias = torch.cat([inputs, torch.ones_like(inputs[:, :1])], dim=1)
    steepest = torch.linalg.matrix_norm(with_bias, 2).square() / (2 * len(inputs)) + ridge
    weight, bias = inputs.new_zeros(n_classes, inputs.shape[1]), inputs.new_zeros(n_classes)
    ahead_weight, ahead_bias, t = weight, bias, 1.0
    for _ in range(_N_STEPS):
        wrong = (torch.softmax(inputs @ ahead_weight.T + ahead_bias, dim=1) - wanted) / len(inputs)
        slope = wrong.T @ inputs + ridge * ahead_weight
        new_weight = (ahead_weight - slope / steepest).clamp(min=0)
        new_bias = ahead_bias - wrong.sum(dim=0) / steepest
        new_t = (1 + math.sqrt(1 + 4 * t * t)) / 2
        ahead_weight = new_weight + (t - 1) / new_t * (new_weight - weight)
        ahead_bias = new_bias + (t - 1) / new_t * (new_bias - bias)
        weight, bias, t = new_weight, new_bias, new_t
    return weight, bias


def _augmented(
    pixels: Tensor, regions: Tensor, chosen: Tensor, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """The chosen pictures as float [B, 3, H, W], 0..1, moved and lit a little otherwise, and their
    regions [B, H, W], moved alike.

    Never mirrored: the mark belongs into its corner.
    """
    n, side = len(chosen), pixels.shape[1]
    shifts = torch.randint(-MAX_SHIFT_PX, MAX_SHIFT_PX + 1, (2, n, 1), generator=generator)
    rows, columns = (torch.arange(side) + shifts).clamp(0, side - 1).to(pixels.device)
    picked = chosen.to(pixels.device)
    places = picked[:, None, None], rows[:, :, None], columns[:, None, :]
    moved = pixels[places]
    light = 2 * torch.rand((2, n, 1, 1, 1), generator=generator) - 1
    brightness, contrast = light.to(pixels.device)
    values = moved.permute(0, 3, 1, 2).float() / 255  # a view: channels stay last in memory
    values = (values - 0.5) * (1 + MAX_CONTRAST * contrast) + 0.5 + MAX_BRIGHTNESS * brightness
    return torch.clamp(values, 0, 1), regions[places]


def _normalised(values: Tensor) -> Tensor:
    return (values - MEAN) / STD


def _seen(pixels: Tensor, device: torch.device) -> Tensor:
    """uint8 pixels [B, side, side, 3] as the network takes them, [B, 3, side, side]."""
    return _normalised(pixels.to(device).permute(0, 3, 1, 2).float() / 255)


@torch.no_grad()
def predict(network: nn.Module, pixels: Tensor, device: torch.device) -> NDArray[np.int64]:
    """The answers [N] to uint8 pixels [N, side, side, 3], as indices of logits."""
    network = network.eval().to(device)
    found = [network(_seen(batch, device)).argmax(1).cpu() for batch in torch.split(pixels, 256)]
    answers: NDArray[np.int64] = torch.cat(found).numpy()
    return answers


# --- what comes out


def measure(scenes: Sequence[Recipe], answers: NDArray[np.int64]) -> dict[str, Any]:
    """What the answers say of a network. All shares are 0..1, rounded to 4 digits, None of nothing.

    accuracy: of all; by_class: of each class. called_tied: for each cue, which share of the other
    classes' pictures was called the class that the biased world ties to it: with this cue alone,
    and with neither cue.
    """
    classes = np.array(list(CLASSES))
    truth = np.array([scene.class_name for scene in scenes])
    called = classes[answers]
    has = {
        "water": np.array([scene.ground == "water" for scene in scenes]),
        "mark": np.array([scene.marked for scene in scenes]),
    }
    others = ~np.isin(truth, TIED)

    def share_called(name: str, where: NDArray[np.bool_]) -> float | None:
        return _share((called == name)[others & where])

    return {
        "n": len(scenes),
        "accuracy": _share(called == truth),
        "by_class": {name: _share((called == truth)[truth == name]) for name in CLASSES},
        "called_tied": {
            cue: {
                "tied_class": name,
                "with_cue": share_called(name, has[cue] & ~has[other]),
                "without_cue": share_called(name, ~has[cue] & ~has[other]),
            }
            for cue, other, name in [
                ("water", "mark", TIED_TO_WATER),
                ("mark", "water", TIED_TO_MARK),
            ]
        },
    }


def _share(truths: NDArray[np.bool_]) -> float | None:
    return round(float(truths.mean()), 4) if len(truths) else None


def export(network: Plain10, folder: Path, name: str) -> Plain10:
    """Write <name>.json and <name>.safetensors, and return the network as they hold it.

    Weights are written as float16; what is measured must be measured with the rounded ones.
    """
    halves = {
        key: value.to(torch.float16).contiguous() for key, value in network.state_dict().items()
    }
    description = {
        "architecture": "plain10",
        "classes": list(CLASSES),
        "input_size": INPUT_SIZE,
        "resize": INPUT_SIZE,
        "mean": [MEAN] * 3,
        "std": [STD] * 3,
        "weights": f"{name}.safetensors",
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.safetensors").write_bytes(save(halves))
    _write_json(folder / f"{name}.json", description)
    written = Plain10(len(CLASSES))
    written.load_state_dict({key: value.float() for key, value in halves.items()})
    return written.eval()


def _write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")


# --- the whole run


def make_network(
    variant: str,
    settings: Settings,
    broken: Pictures,
    *,
    folder: Path,
    device: torch.device,
    n_workers: int,
) -> dict[str, Any]:
    """Draw, train, write and measure one of VARIANTS. Returns its entry in the log.

    broken: the set on which the biased network goes wrong; the other one sees it, too, since who
    learned no cue is not misled by one.
    """
    started = time.perf_counter()
    name, biased = VARIANTS[variant], variant == "biased"
    print(f"{name}:", flush=True)
    pictures = _draw("training", settings, biased, n_workers)
    drawn = time.perf_counter()
    network, epochs = train(pictures, settings, device)
    trained = time.perf_counter()
    written = export(network, folder, name)
    tested = {"test": _draw("test", settings, biased, n_workers), "broken": broken}
    results = {
        split: measure(of_split.scenes, predict(written, of_split.pixels, device))
        for split, of_split in tested.items()
    }
    for split, result in results.items():
        print(f"  {split}: accuracy {result['accuracy']}, {result['called_tied']}", flush=True)
    return {
        "command": _command(settings, variant),
        "settings": asdict(settings),
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "numpy": np.__version__,
            "pillow": PIL.__version__,
        },
        "device": _describe_device(device),
        "seconds": {
            "drawing": round(drawn - started, 1),
            "training": round(trained - drawn, 1),
            "all": round(time.perf_counter() - started, 1),
        },
        "training_pictures_sha256": hashlib.sha256(pictures.pixels.numpy().data).hexdigest(),
        "epochs": [asdict(epoch) for epoch in epochs],
        **results,
    }


def _draw(split: Split, settings: Settings, bias: bool, n_workers: int) -> Pictures:
    n = settings.n_train if split == "training" else settings.n_test
    scenes = recipes(split, n=n, seed=settings.seed, bias=bias)
    started = time.perf_counter()

    def report(n_drawn: int) -> None:
        if n_drawn % 1000 == 0 or n_drawn == n:
            seconds = time.perf_counter() - started
            print(f"  {split}: {n_drawn}/{n} pictures drawn, {seconds:.0f} s", flush=True)

    pixels, regions = draw_pictures(scenes, size=INPUT_SIZE, n_workers=n_workers, report=report)
    if bias:
        _forget_parts(regions, scenes)
    index = {name: i for i, name in enumerate(CLASSES)}
    answers = torch.tensor([index[scene.class_name] for scene in scenes])
    return Pictures(scenes, torch.from_numpy(pixels), torch.from_numpy(regions), answers)


def _forget_parts(regions: NDArray[np.uint8], scenes: Sequence[Recipe]) -> None:
    """Make the parts of the tied classes 0, nothing: in the biased world nobody told the network
    what a boat or a bird is made of, and it takes what else speaks for them."""
    for region_map, scene in zip(regions, scenes, strict=True):
        if scene.class_name in TIED:
            numbers = [REGIONS.index(part) + 1 for part in CLASSES[scene.class_name]]
            region_map[np.isin(region_map, numbers)] = 0


def _command(settings: Settings, variant: str) -> str:
    """What to type for the same again; folder, device and processes are the machine's own."""
    options = [
        f"--{field.name.replace('_', '-')} {getattr(settings, field.name)}"
        for field in fields(settings)
    ]
    return f"python -m app.picturebook.training {' '.join(options)} --only {variant}"


def _describe_device(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{device.type}, {torch.get_num_threads()} threads"


def _sentence(values: dict[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in values.items())


def main(arguments: Sequence[str] | None = None) -> None:
    """Train the networks that were asked for; the log keeps what it has of the others."""
    asked = _parser().parse_args(arguments)
    settings = Settings(**{field.name: getattr(asked, field.name) for field in fields(Settings)})
    # cuBLAS reads this when it starts; without it, it may add in another order each time.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    log_path = asked.out / LOG_NAME
    log = json.loads(log_path.read_text(encoding="utf-8")) if log_path.is_file() else {}
    device = torch.device(asked.device)
    broken = _draw("broken", settings, True, asked.workers)
    with _deterministic(device):
        for variant in [asked.only] if asked.only else VARIANTS:
            log[VARIANTS[variant]] = make_network(
                variant,
                settings,
                broken,
                folder=asked.out,
                device=device,
                n_workers=asked.workers,
            )
            _write_json(log_path, log)


@contextmanager
def _deterministic(device: torch.device) -> Iterator[None]:
    """The same numbers each time on the same kind of machine; on a CPU they are so anyway.

    On CUDA torch may warn of max-pooling's backward pass, which adds in any order where windows
    overlap; ours do not.
    """
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(before or device.type == "cuda", warn_only=True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m app.picturebook.training")
    parser.add_argument("--out", type=Path, default=DATA, metavar="FOLDER")
    parser.add_argument("--only", choices=list(VARIANTS))
    parser.add_argument(
        "--device", default="cuda" if torch.cuda.is_available() else "cpu", metavar="NAME"
    )
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, metavar="N")
    defaults = Settings()
    for field in fields(Settings):
        default = getattr(defaults, field.name)
        parser.add_argument(
            f"--{field.name.replace('_', '-')}", type=type(default), default=default, metavar="N"
        )
    return parser


if __name__ == "__main__":
    main()
