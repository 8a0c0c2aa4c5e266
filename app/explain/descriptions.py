"""What a network is before any weights are read: by a published name, or a description file."""

import difflib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import torchvision
from torch import nn
from torchvision.transforms import InterpolationMode

from app.explain import timm_networks
from app.explain.plain import Plain10

PICKLED: Final = frozenset({".pth", ".pt", ".bin", ".pkl", ".pickle", ".ckpt", ".tar"})
_INTERPOLATIONS: Final = ("bilinear", "bicubic")
OWN_ARCHITECTURES: Final[Mapping[str, Callable[[int], nn.Module]]] = {"plain10": Plain10}
"""What torchvision has not: a name, and a function from the number of classes to a module."""

_IMAGENET_MEAN: Final = (0.485, 0.456, 0.406)
_IMAGENET_STD: Final = (0.229, 0.224, 0.225)


class NetworkError(ValueError):
    """A network cannot be loaded; the message says what is wrong and what to do."""


@dataclass(frozen=True, slots=True)
class Description:
    """What a network is before any weights are read."""

    name: str
    architecture: str
    classes: tuple[str, ...] | None
    resize: int
    input_size: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    interpolation: InterpolationMode
    weights: Path | None  # None: the published ones


def describe(name: str) -> Description:
    """The description in a JSON file, or that of the published network of this name.

    Raises NetworkError, and TimmError for what timm lacks.
    """
    path = Path(name)
    if path.suffix.lower() in PICKLED:
        raise NetworkError(pickle_refusal(path))
    if path.suffix.lower() == ".json" or path.is_file():
        return _read_description(path)
    return _describe_published(name)


def _check_architecture(name: str) -> None:
    if name.startswith(timm_networks.PREFIX):
        timm_networks.check(name)
        return
    known = [*torchvision.models.list_models(module=torchvision.models), *OWN_ARCHITECTURES]
    if name not in known:
        near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
        hint = f"did you mean {' or '.join(near)}?" if near else "vgg16 and resnet50 are examples."
        raise NetworkError(f"There is no classifier named {name!r}; {hint}")


def _describe_published(name: str) -> Description:
    _check_architecture(name)
    if name in OWN_ARCHITECTURES:
        raise NetworkError(
            f"{name} has no published weights; name a description file with this architecture."
        )
    if name.startswith(timm_networks.PREFIX):
        return _describe_timm(name)
    published = torchvision.models.get_model_weights(name)["DEFAULT"]
    preset = published.transforms()
    return Description(
        name=name,
        architecture=name,
        classes=tuple(published.meta["categories"]),
        resize=preset.resize_size[0],
        input_size=preset.crop_size[0],
        mean=tuple(preset.mean),
        std=tuple(preset.std),
        interpolation=preset.interpolation,
        weights=None,
    )


def _describe_timm(name: str) -> Description:
    preset = timm_networks.preset(name)
    return Description(
        name=name.removeprefix(timm_networks.PREFIX),
        architecture=name,
        classes=preset.classes,
        resize=preset.resize,
        input_size=preset.input_size,
        mean=preset.mean,
        std=preset.std,
        interpolation=InterpolationMode(preset.interpolation),
        weights=None,
    )


def _read_description(path: Path) -> Description:
    entries = _read_json(path)
    if not isinstance(entries, dict):
        raise NetworkError(f"{path} is not a network description: it holds no JSON object.")
    entry = partial(_entry, path, entries)
    architecture = entry("architecture", lambda value: isinstance(value, str), "a name")
    _check_architecture(architecture)
    classes = entry("classes", _is_list_of_names, "a list of names")
    if entries.get("num_classes", len(classes)) != len(classes):
        raise NetworkError(
            f"{path} names {len(classes)} classes, but its num_classes is {entries['num_classes']}."
        )
    input_size = entry("input_size", _is_positive_int, "a number of pixels")
    resize = entry("resize", _is_positive_int, "a number of pixels", input_size)
    if resize < input_size:
        raise NetworkError(f"In {path}, resize ({resize}) is below input_size ({input_size}).")
    mean = tuple(entry("mean", _is_per_channel, "three numbers, or one", _IMAGENET_MEAN))
    std = tuple(entry("std", _is_per_channel, "three numbers, or one", _IMAGENET_STD))
    if len(mean) != len(std):
        raise NetworkError(f"In {path}, mean has {len(mean)} numbers, but std has {len(std)}.")
    return Description(
        name=path.stem,
        architecture=architecture,
        classes=tuple(classes),
        resize=resize,
        input_size=input_size,
        mean=mean,
        std=std,
        interpolation=InterpolationMode(
            entry("interpolation", _INTERPOLATIONS.__contains__, "bilinear or bicubic", "bilinear")
        ),
        weights=path.parent / entry("weights", lambda value: isinstance(value, str), "a file name"),
    )


def _entry(
    path: Path,
    entries: Mapping[str, Any],
    key: str,
    fits: Callable[[Any], bool],
    wanted: str,
    default: Any = None,
) -> Any:
    value = entries.get(key, default)
    if value is None:
        raise NetworkError(f"{path} lacks the key {key!r} ({wanted}).")
    if not fits(value):
        raise NetworkError(f"In {path}, {key!r} must be {wanted}, not {value!r}.")
    return value


def _is_list_of_names(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(one, str) for one in value)


def _is_positive_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _is_per_channel(value: Any) -> bool:
    return (
        isinstance(value, list | tuple)
        and len(value) in (1, 3)
        and all(isinstance(one, int | float) for one in value)
    )


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise NetworkError(f"There is no file {path}.") from None
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise NetworkError(f"{path} is not valid JSON: {error}.") from error


def read_classes(source: str | Path | Sequence[str]) -> tuple[str, ...]:
    """Class names from a .txt file (one a line), a .json list, or a sequence as it is.

    Raises NetworkError.
    """
    if not isinstance(source, str | Path):
        return tuple(source)
    path = Path(source)
    if path.suffix.lower() == ".json":
        listed = _read_json(path)
        if not _is_list_of_names(listed):
            raise NetworkError(f"{path} must hold a JSON list of class names.")
        return tuple(listed)
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        raise NetworkError(f"There is no file {path}.") from None
    except UnicodeDecodeError as error:
        raise NetworkError(f"{path} is not a text file in UTF-8.") from error
    names = tuple(line.strip() for line in lines if line.strip())
    if not names:
        raise NetworkError(f"{path} names no class.")
    return names


def pickle_refusal(path: Path) -> str:
    """Why a file is not read, and what to do instead."""
    return (
        f"{path} may be a pickle, which can run any code when read, so it is refused; convert it "
        "once, where you trust it: safetensors.torch.save_file(torch.load("
        f'"{path.name}", weights_only=True), "{path.stem}.safetensors")'
    )
