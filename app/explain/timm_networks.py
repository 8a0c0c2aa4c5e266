"""Networks of timm, by the name `timm:` and theirs, where timm is installed.

Their published weights are read from the hub's safetensors files, never from a pickle.
"""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import torchvision
from torch import nn

PREFIX: Final = "timm:"
_WEIGHTS_FILE: Final = "model.safetensors"


class TimmError(ValueError):
    """timm, a network of its or that network's weights are not there; the message says which."""


@dataclass(frozen=True, slots=True)
class Preset:
    """What a published network expects to see, and its classes where timm knows them."""

    classes: tuple[str, ...] | None
    resize: int
    input_size: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    interpolation: str


def check(architecture: str) -> None:
    """Raises TimmError, with near names, when there is no network `timm:...` of this name."""
    timm = _timm()
    name = architecture.removeprefix(PREFIX)
    base, _, tag = name.partition(".")
    if not timm.is_model(base):
        raise TimmError(
            f"There is no classifier named {architecture!r}; {_near(name, timm.list_models())}"
        )
    tagged = [one for one in timm.list_pretrained(f"{base}.*") if one.startswith(f"{base}.")]
    if tag and name not in tagged:
        raise TimmError(f"There is no {architecture!r}; {_near(name, tagged)}")


def preset(architecture: str) -> Preset:
    """How a published network was trained. Its centre square is shown, also where timm squeezes
    the whole picture into a square."""
    config = _config(architecture)
    data = _timm().data.resolve_data_config(pretrained_cfg=config.to_dict())
    input_size = int(data["input_size"][-1])
    return Preset(
        classes=_classes(config),
        resize=int(input_size / data["crop_pct"]),
        input_size=input_size,
        mean=tuple(data["mean"]),
        std=tuple(data["std"]),
        interpolation=data["interpolation"],
    )


def build(architecture: str, n_classes: int, n_channels: int) -> nn.Module:
    """The network with initial weights; n_channels: of its input."""
    module: nn.Module = _timm().create_model(
        architecture.removeprefix(PREFIX),
        pretrained=False,
        num_classes=n_classes,
        in_chans=n_channels,
    )
    return module


def download(architecture: str) -> Path:
    """The file of its published weights, fetched the first time. Raises TimmError."""
    config = _config(architecture)
    if not config.hf_hub_id:
        raise TimmError(f"There are no published safetensors weights of {architecture}.")
    try:
        file: str = import_module("huggingface_hub").hf_hub_download(
            config.hf_hub_id, _WEIGHTS_FILE
        )
    except OSError as error:
        raise TimmError(
            f"The published weights of {architecture} could not be downloaded ({error}); go "
            "online, or use weights 'random' or a .safetensors file."
        ) from error
    return Path(file)


def _timm() -> Any:
    try:
        return import_module("timm")
    except ModuleNotFoundError as error:
        raise TimmError(
            "Networks named timm:... need timm, which is not installed: pip install timm."
        ) from error


def _config(architecture: str) -> Any:
    return _timm().get_pretrained_cfg(architecture.removeprefix(PREFIX))


def _classes(config: Any) -> tuple[str, ...] | None:
    subset = _timm().data.infer_imagenet_subset(config.to_dict())
    if subset == "imagenet-1k":
        # Shorter names than timm's, and no two alike; the order is the same.
        published = torchvision.models.ResNet18_Weights.DEFAULT
        return tuple(published.meta["categories"])
    if subset is None:
        return None
    return tuple(_timm().data.ImageNetInfo(subset).label_descriptions())


def _near(name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    named = " or ".join(PREFIX + one for one in near)
    return f"did you mean {named}?" if near else f"{PREFIX}resnet18.a1_in1k is an example."
