"""Classifiers with their preprocessing: loaded by name or description file, never unpickled."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torchvision
from PIL import Image
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torchvision.transforms import InterpolationMode
from torchvision.transforms import functional as transforms

from app.explain import timm_networks
from app.explain.descriptions import (
    OWN_ARCHITECTURES,
    PICKLED,
    Description,
    NetworkError,
    describe,
    pickle_refusal,
    read_classes,
)
from app.explain.pictures import to_rgb
from app.explain.timm_networks import TimmError


@dataclass(frozen=True, slots=True, eq=False)
class Network:
    """A classifier ready to be explained: its module, its classes and what it expects to see.

    module: in eval mode on `device`, takes [B, C, input_size, input_size], returns logits [B, K];
        [B, 1] where there are two classes: above 0 it is the second. On a CPU its weights are laid
        out with the channels last (`safetensors.torch.save_model` saves them).
    resize: short side in px to which a picture is scaled before the centre crop of input_size px.
    mean, std: per channel, for values in 0..1: C = 3 for colours, C = 1 for a grey-scale network.
    weights_sha256: hash of every parameter and buffer, the same wherever they were loaded from.
    """

    name: str
    architecture: str
    module: nn.Module
    classes: tuple[str, ...]
    resize: int
    input_size: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    weights_sha256: str
    device: torch.device
    interpolation: InterpolationMode = InterpolationMode.BILINEAR

    def view(self, image: Image.Image, size: int | None = None) -> Image.Image:
        """The square region of a picture which the network sees, upright, in RGB.

        With size None it is what the network gets, input_size px wide; else the same region cut
        from the picture itself and scaled to `size` px, so that a large view stays sharp.
        """
        upright = to_rgb(image)
        if size is None or size == self.input_size:
            resized = transforms.resize(upright, [self.resize], self.interpolation, antialias=True)
            return _as_image(transforms.center_crop(resized, [self.input_size, self.input_size]))
        side = min(upright.size) * self.input_size / self.resize
        left, top = (upright.width - side) / 2, (upright.height - side) / 2
        box = (left, top, left + side, top + side)
        return upright.resize((size, size), Image.Resampling.LANCZOS, box=box)

    def preprocess(self, image: Image.Image) -> Tensor:
        """A picture as the float32 tensor [C, input_size, input_size] that the module takes."""
        view = self.view(image)
        if len(self.mean) == 1:
            view = view.convert("L")
        pixels = transforms.pil_to_tensor(view).to(torch.float32) / 255
        normalised: Tensor = transforms.normalize(pixels, list(self.mean), list(self.std))
        return normalised.to(self.device)


def load_network(
    name: str | Path,
    *,
    weights: str | Path = "default",
    classes: str | Path | Sequence[str] | None = None,
    device: str | torch.device | None = None,
    seed: int = 0,
) -> Network:
    """Load a classifier in eval mode.

    name: a torchvision classifier ("vgg16"), one of timm's where that is installed
        ("timm:resnet18.a1_in1k"), or the path of a JSON description with the keys architecture
        (such a name, or "plain10"), classes, input_size, mean, std, weights (a .safetensors file
        beside it) and, where needed, resize (else input_size) and interpolation (else "bilinear").
        One number as mean and std is a grey-scale network.
    weights: "default" (the description's file, or the published weights), "random"
        (initialised from `seed`), or the path of a .safetensors file.
    classes: names in the order of the logits: a .txt file (one a line), a .json list, or a
        sequence; by default the description's, or those of the published weights.
    device: by default CUDA where there is one, else the CPU.
    Raises NetworkError.
    """
    # Parameters made under a caller's inference_mode could never be differentiated through.
    with torch.inference_mode(False), torch.no_grad():
        try:
            return _load(str(name), str(weights), classes, device, seed)
        except TimmError as error:
            raise NetworkError(str(error)) from error


def _load(
    name: str,
    weights: str,
    classes: str | Path | Sequence[str] | None,
    device: str | torch.device | None,
    seed: int,
) -> Network:
    description = describe(name)
    named = description.classes if classes is None else read_classes(classes)
    if weights == "random":
        module, named = _build_random(description, named, seed)
    elif weights == "default" and description.weights is None:
        module, named = _build_published(description, named)
    else:
        path = Path(weights) if weights != "default" else description.weights
        assert path is not None
        module, named = _build_from_file(description, named, path)
    place = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    if place.type == "cpu":
        # With the channels last, a pass of VGG-16 took 6 % less time, one of GoogLeNet 27 %.
        module = module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return Network(
        name=description.name,
        architecture=description.architecture,
        module=module.eval().to(place),
        classes=named,
        resize=description.resize,
        input_size=description.input_size,
        mean=description.mean,
        std=description.std,
        weights_sha256=_hash_weights(module),
        device=place,
        interpolation=description.interpolation,
    )


# --- modules and their weights


def _build(architecture: str, n_classes: int, n_channels: int = 3, **options: Any) -> nn.Module:
    if architecture.startswith(timm_networks.PREFIX):
        return timm_networks.build(architecture, n_classes, n_channels)
    if architecture in OWN_ARCHITECTURES:
        module = OWN_ARCHITECTURES[architecture](n_classes)
    else:
        if architecture in {"inception_v3", "googlenet"}:
            # Without this, torchvision warns and spends half a minute drawing initial values.
            options = {"init_weights": False, "aux_logits": False, **options}
        module = torchvision.models.get_model(
            architecture, weights=None, num_classes=n_classes, **options
        )
    if n_channels != 3:
        _replace_first_convolution(module, n_channels)
    return module


def _replace_first_convolution(module: nn.Module, n_channels: int) -> None:
    path, old = next(
        (path, part) for path, part in module.named_modules() if isinstance(part, nn.Conv2d)
    )
    new = nn.Conv2d(
        n_channels,
        old.out_channels,
        old.kernel_size,  # type: ignore[arg-type]
        old.stride,  # type: ignore[arg-type]
        old.padding,  # type: ignore[arg-type]
        bias=old.bias is not None,
    )
    module.set_submodule(path, new)


def _build_random(
    description: Description, classes: tuple[str, ...] | None, seed: int
) -> tuple[nn.Module, tuple[str, ...]]:
    named = _require(classes, description)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return _build(description.architecture, len(named), len(description.mean)), named


def _build_published(
    description: Description, classes: tuple[str, ...] | None
) -> tuple[nn.Module, tuple[str, ...]]:
    architecture = description.architecture
    if architecture.startswith(timm_networks.PREFIX):
        return _build_from_file(description, classes, timm_networks.download(architecture))
    published = torchvision.models.get_model_weights(architecture)["DEFAULT"]
    n_published = len(published.meta["categories"])
    if classes is None or len(classes) != n_published:
        raise NetworkError(
            f"The published weights of {architecture} answer with {n_published} classes, but "
            f"{len(classes or ())} are named."
        )
    try:
        # weights_only: even a published file is read as tensors, never unpickled.
        tensors = published.get_state_dict(progress=False, check_hash=True, weights_only=True)
    except (OSError, RuntimeError) as error:
        raise NetworkError(
            f"The published weights of {architecture} could not be downloaded ({error}); go "
            "online, or use weights 'random' or a .safetensors file."
        ) from error
    if architecture.startswith("densenet"):
        tensors = {_modern_densenet_key(key): tensor for key, tensor in tensors.items()}
    options = {"transform_input": True} if architecture in {"inception_v3", "googlenet"} else {}
    source = f"the published weights of {architecture}"
    return _fill(architecture, tensors, len(classes), source, **options), classes


def _modern_densenet_key(key: str) -> str:
    """The published files still write norm.1, relu.2 and so on, which are now norm1, relu2."""
    return re.sub(r"(denselayer\d+\.(?:norm|relu|conv))\.([12]\.)", r"\1\2", key)


def _build_from_file(
    description: Description, classes: tuple[str, ...] | None, path: Path
) -> tuple[nn.Module, tuple[str, ...]]:
    named = _require(classes, description)
    tensors = _read_tensors(path)
    module = _fill(
        description.architecture,
        tensors,
        len(named),
        str(path),
        n_channels=len(description.mean),
    )
    return module, named


def _require(classes: tuple[str, ...] | None, description: Description) -> tuple[str, ...]:
    if classes is None:
        raise NetworkError(f"Nothing says what the classes of {description.name} are; name them.")
    return classes


def _read_tensors(path: Path) -> dict[str, Tensor]:
    if path.suffix.lower() in PICKLED:
        raise NetworkError(pickle_refusal(path))
    if path.suffix.lower() != ".safetensors":
        raise NetworkError(f"{path} is not a .safetensors file.")
    if not path.is_file():
        raise NetworkError(f"There is no weights file {path}.")
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise NetworkError(f"{path} is damaged or not a safetensors file ({error}).") from error


def _fill(
    architecture: str, tensors: Mapping[str, Tensor], n_classes: int, source: str, **options: Any
) -> nn.Module:
    """A module of the architecture holding the tensors, floating ones as float32."""
    # Heads that only help training give no logits in eval mode; files come with and without them.
    tensors = {
        key: tensor.to(torch.float32) if tensor.is_floating_point() else tensor
        for key, tensor in tensors.items()
        if not (
            architecture in {"inception_v3", "googlenet"}
            and key.startswith(("AuxLogits.", "aux1.", "aux2."))
        )
    }
    broken = [key for key, tensor in tensors.items() if not torch.isfinite(tensor).all()]
    if broken:
        raise NetworkError(f"{source} holds NaN or infinite numbers, first in {broken[0]}.")
    module = _build(architecture, n_classes, **options)
    if n_classes == 2 and _has_one_logit(module.state_dict(), tensors):
        n_classes = 1
        module = _build(architecture, n_classes, **options)
    _check_fit(module.state_dict(), tensors, architecture, n_classes, source)
    module.load_state_dict(tensors)
    return module


def _check_fit(
    expected: Mapping[str, Tensor],
    found: Mapping[str, Tensor],
    architecture: str,
    n_classes: int,
    source: str,
) -> None:
    missing = [key for key in expected if key not in found]
    unexpected = [key for key in found if key not in expected]
    shared = [key for key in expected if key in found]
    misshaped = [key for key in shared if expected[key].shape != found[key].shape]
    of_classes = [
        key for key in misshaped if _differs_in_classes(expected[key], found[key], n_classes)
    ]
    if misshaped and not missing and not unexpected and of_classes == misshaped:
        raise NetworkError(
            f"{source} answers with {found[misshaped[0]].shape[0]} classes, but {n_classes} "
            "are named; name the classes that it was trained on."
        )
    complaints = []
    if missing:
        complaints.append(f"{len(missing)} missing (first: {missing[0]})")
    if unexpected:
        complaints.append(f"{len(unexpected)} unexpected (first: {unexpected[0]})")
    if misshaped:
        key = misshaped[0]
        shapes = f"{tuple(found[key].shape)} instead of {tuple(expected[key].shape)}"
        complaints.append(f"{len(misshaped)} of another shape (first: {key}, {shapes})")
    if complaints:
        raise NetworkError(
            f"{source} does not fit {architecture}: tensors {'; '.join(complaints)}."
        )


def _has_one_logit(expected: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> bool:
    """Whether the file is of a network that answers yes or no, with one number for two classes."""
    return any(
        key in found and found[key].shape == (1, *tensor.shape[1:])
        for key, tensor in expected.items()
        if tensor.ndim and tensor.shape[0] == 2
    )


def _differs_in_classes(expected: Tensor, found: Tensor, n_classes: int) -> bool:
    return (
        expected.ndim == found.ndim
        and expected.shape[0] == n_classes
        and expected.shape[1:] == found.shape[1:]
    )


def _hash_weights(module: nn.Module) -> str:
    digest = hashlib.sha256()
    for key, tensor in sorted(module.state_dict().items()):
        values = tensor.detach().cpu().contiguous().numpy()
        digest.update(f"{key} {values.dtype} {values.shape}\n".encode())
        digest.update(values.tobytes())
    return digest.hexdigest()


def _as_image(image: object) -> Image.Image:
    assert isinstance(image, Image.Image)
    return image
