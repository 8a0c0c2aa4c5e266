"""One observed forward pass: what every module gave, and how it hangs together."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.autograd.graph import GradientEdge, Node, get_gradient_edge, saved_tensors_hooks
from torch.overrides import TorchFunctionMode

from app.explain.running import (
    OutputHook,
    eval_mode,
    like_parameters,
    output_hooks,
    without_autocast,
)

ACTIVATIONS: Final = frozenset(
    {
        "ReluBackward0",
        "HardtanhBackward0",  # ReLU6
        "LeakyReluBackward0",
        "LeakyReluBackward1",  # a 1 where it overwrites its input in place
        "PreluKernelBackward0",
        "RreluWithNoiseBackward0",
        "RreluWithNoiseBackward1",
        "EluBackward0",  # SELU too
        "EluBackward1",
        "CeluBackward0",
        "CeluBackward1",
        "SiluBackward0",
        "GeluBackward0",
        "MishBackward0",
        "HardswishBackward0",
        "SoftplusBackward0",
        "ThresholdBackward0",
        "ThresholdBackward1",
        "ClampBackward1",
        "ClampMinBackward0",
        "MaximumBackward0",
    }
)
"""Autograd's names of the rectifiers and their smooth relatives. Sigmoid and tanh are left out:
inside today's networks they are gates, not feature maps."""

CONCATENATION: Final = "CatBackward0"
SUM: Final = "AddBackward0"
REORDERING: Final = frozenset(
    {"ViewBackward0", "UnsafeViewBackward0", "TransposeBackward0", "CloneBackward0"}
)
"""What only reorders or copies: the channel shuffle of ShuffleNet is a view of a transposed copy.
Of activated maps it makes a layer."""

LIKELY_LAYERS: Final = ACTIVATIONS | REORDERING | {CONCATENATION, SUM}

EdgeKey = tuple[Node, int]


class ForgottenError(RuntimeError):
    """A backward pass goes on to where the recorded pass saved nothing."""


@dataclass(frozen=True, slots=True, eq=False)
class Call:
    """One call of a module, or of an activation as a plain function (path is then empty).

    number: 1 for the module's first call in the pass. step: position in order of execution.
    edge: where the output sits in the graph of the pass; it stays the output's own even when a
    later operation overwrites the tensor in place. shape: [C, H, W] of one picture. value: the
    output [B, C, H, W], where it was wanted; None too where a later operation has overwritten it.
    """

    path: str
    number: int
    step: int
    edge: GradientEdge
    shape: tuple[int, int, int]
    value: Tensor | None

    @property
    def key(self) -> EdgeKey:
        return self.edge.node, self.edge.output_nr


@dataclass(slots=True, eq=False)
class Recording:
    """What was seen in one forward pass.

    logits: [B, K], attached to the graph. image: the graph's node of the pictures. calls: calls
    whose output is a stack of maps for each picture, [B, C, H, W], that depends on it, in order of
    execution. activations: the calls of activation functions among them, inside modules or not.
    other_outputs: for modules that gave something else, what it was.
    """

    image: Node
    logits: Tensor = field(init=False)
    calls: list[Call] = field(default_factory=list)
    activations: list[Call] = field(default_factory=list)
    n_calls: dict[str, int] = field(default_factory=dict)
    other_outputs: dict[str, str] = field(default_factory=dict)


def record(
    module: nn.Module,
    images: Tensor,
    *,
    keep: Sequence[str] | None,
    copy_all: bool = False,
    save_all: bool = True,
) -> Recording:
    """Run `module` once on `images` [B, C, H, W], in eval mode, and leave it as it was found.

    It runs in its own precision, without the caller's autocast. Several threads may record one
    module at the same time.

    keep: names of the modules whose outputs are kept (a ":n" behind a name is ignored); None
    keeps everything that could be a default layer. copy_all: copy all that is kept. Without it the
    outputs of activations, concatenations, sums and reorderings, which are seldom overwritten, are
    kept as they are. save_all: save what a backward pass needs all the way back to the picture.
    Without it nothing is saved before the first module of `keep` has run. To go back to its output
    takes no more, unless the module passes its input on; to go further raises ForgottenError.
    Raises ValueError when an image or the logits are not finite, naming where in the network it
    began, or when the module gives no logits (see logits_of) that depend on the picture.
    """
    _check_images(images)
    # Gradients are wanted whatever the caller has switched off.
    with (
        torch.inference_mode(False),
        torch.enable_grad(),
        eval_mode(module),
        without_autocast(module),
    ):
        leaf = like_parameters(images, module).detach().clone().requires_grad_()
        # Not the leaf itself: networks that normalise their input in place would fail on it.
        batch = leaf.clone()
        recording = Recording(image=get_gradient_edge(batch).node)
        observer = _Observer(recording, len(leaf), keep, copy_all, save_all)
        with observer.watching(module):
            output = module(batch)
        observer.drop_overwritten()
        recording.logits = _check_logits(module, leaf, output)
    return recording


def logits_of(output: Any) -> Tensor:
    """The logits [B, K] in what a network returned, K >= 2.

    Logits are taken as they are, from the entry named `logits` of an object or a mapping, from a
    mapping's only entry [B, K], or as the first entry [B, K] of a tuple. A single logit [B, 1] says
    yes or no by its sign: it becomes the logits -y/2 and y/2 of class 0, no, and class 1, yes,
    whose softmax is the sigmoid of y. Raises ValueError when there are no logits or several.
    """
    logits = _find_logits(output)
    return torch.cat([-logits / 2, logits / 2], dim=1) if logits.shape[1] == 1 else logits


def call_number(name: str) -> tuple[str, int | None]:
    """ "layer3.0.relu:1" as ("layer3.0.relu", 1); without a number, None."""
    match = re.fullmatch(r"(.+):(\d+)", name)
    return (match[1], int(match[2])) if match else (name, None)


def is_activation(output: Any) -> bool:
    """Whether a function's output is a tensor that a rectifier, or a relative of one, has made."""
    return (
        isinstance(output, Tensor)
        and output.grad_fn is not None
        and output.grad_fn.name() in ACTIVATIONS
    )


def parents(node: Node) -> list[Node]:
    """The nodes whose outputs `node` took in; parameters that are frozen do not appear."""
    return [parent for parent, _ in node.next_functions if parent is not None]


class _Observer(TorchFunctionMode):
    """Hooks on all modules, and a watch on plain function calls for activations without one."""

    def __init__(
        self,
        recording: Recording,
        n_images: int,
        keep: Sequence[str] | None,
        copy_all: bool,
        save_all: bool,
    ) -> None:
        super().__init__()
        self._save_all = self._saving = save_all
        self._recording = recording
        self._n_images = n_images
        self._copy_all = copy_all
        self._versions: dict[Call, int] = {}
        self._keep = None if keep is None else {call_number(name)[0] for name in keep}
        self._kept_edges: set[EdgeKey] = set()
        self._n_steps = 0

    @contextmanager
    def watching(self, module: nn.Module) -> Iterator[None]:
        hooks = [(part, self._hook(path)) for path, part in module.named_modules() if path]
        saving = nullcontext() if self._save_all else saved_tensors_hooks(self._pack, self._unpack)
        with output_hooks(hooks), self, saving:
            yield

    def _pack(self, saved: Tensor) -> tuple[Tensor, int] | None:
        # Detached: PyTorch forbids to keep the tensor itself, which may hold what holds it.
        return (saved.detach(), saved._version) if self._saving else None

    @staticmethod
    def _unpack(packed: tuple[Tensor, int] | None) -> Tensor:
        if packed is None:
            raise ForgottenError("What a backward pass needs here was not saved.")
        saved, version = packed
        # PyTorch looks for this itself, but not where hooks keep what is saved.
        if saved._version != version:
            raise ValueError(
                "The network overwrites a value that its own gradient needs, so that it cannot be "
                "explained."
            )
        return saved

    def __torch_function__(
        self,
        func: Any,
        types: Any,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        output = func(*args, **(kwargs or {}))
        if is_activation(output) and self._is_stack_of_maps(output):
            edge = get_gradient_edge(output)
            fed_by = edge.node.next_functions[0]
            wanted = self._keep is None or fed_by in self._kept_edges
            self._recording.activations.append(self._call("", 0, output, edge, wanted))
        return output

    def _hook(self, path: str) -> OutputHook:
        def on_output(_module: nn.Module, _inputs: Any, output: Any) -> None:
            # Else the watch would be called for each attribute that is looked at here.
            with torch._C.DisableTorchFunction():
                note(output)

        def note(output: Any) -> None:
            if self._keep is not None and path in self._keep:
                self._saving = True
            number = self._recording.n_calls.get(path, 0) + 1
            self._recording.n_calls[path] = number
            if not self._is_stack_of_maps(output):
                self._recording.other_outputs[path] = _describe(output)
                return
            edge = get_gradient_edge(output)
            likely = edge.node.name() in LIKELY_LAYERS
            wanted = likely if self._keep is None else path in self._keep
            call = self._call(path, number, output, edge, wanted)
            if wanted:
                self._kept_edges.add(call.key)
            self._recording.calls.append(call)

        return on_output

    def _call(
        self, path: str, number: int, output: Tensor, edge: GradientEdge, wanted: bool
    ) -> Call:
        self._n_steps += 1
        _, n_channels, height, width = output.shape
        value = output.detach() if wanted else None
        # What a convolution or a normalisation gave, the activation behind it often overwrites.
        if value is not None and (self._copy_all or edge.node.name() not in LIKELY_LAYERS):
            value = value.clone()
        call = Call(path, number, self._n_steps, edge, (n_channels, height, width), value)
        if value is not None:
            self._versions[call] = value._version
        return call

    def _is_stack_of_maps(self, output: Any) -> bool:
        return (
            isinstance(output, Tensor)
            and output.ndim == 4
            and output.shape[0] == self._n_images
            and output.requires_grad
        )

    def drop_overwritten(self) -> None:
        """Forget values that were changed in place after they had been kept."""
        for calls in (self._recording.calls, self._recording.activations):
            for i, call in enumerate(calls):
                if call.value is not None and call.value._version != self._versions[call]:
                    calls[i] = replace(call, value=None)


def _describe(output: Any) -> str:
    if isinstance(output, Tensor):
        detached = "" if output.requires_grad else ", independent of the picture"
        return f"a tensor {list(output.shape)}{detached}"
    return f"a {type(output).__name__}"


def _check_images(images: Tensor) -> None:
    if images.ndim != 4 or not images.is_floating_point():
        of_one = list(images.shape[1:])
        raise ValueError(
            f"The image must be a float tensor [C, H, W], not {images.dtype} {of_one}."
        )
    if not torch.isfinite(images).all():
        raise ValueError("The image holds values that are NaN or infinite.")


def _find_logits(output: Any) -> Tensor:
    if _are_logits(output):
        found: Tensor = output
        return found
    named = output.get("logits") if isinstance(output, Mapping) else getattr(output, "logits", None)
    if isinstance(named, Tensor) and _are_logits(named):
        return named
    if isinstance(output, Mapping):
        candidates = [key for key, value in output.items() if _are_logits(value)]
        if len(candidates) > 1:
            raise ValueError(
                f"The network returned several outputs [B, K] ({', '.join(map(str, candidates))}) "
                "and none is named logits; wrap it so that it returns the logits alone."
            )
        entries = [output[key] for key in candidates]
    else:
        entries = [one for one in output if _are_logits(one)] if isinstance(output, tuple) else []
    if not entries:
        raise ValueError(f"The network must return logits [1, K], but gave {_describe(output)}.")
    first: Tensor = entries[0]
    return first


def _are_logits(value: Any) -> bool:
    return isinstance(value, Tensor) and value.ndim == 2 and value.shape[1] > 0


def _check_logits(module: nn.Module, images: Tensor, output: Any) -> Tensor:
    logits = logits_of(output)
    if len(logits) != len(images):
        raise ValueError(
            f"The network must return logits [{len(images)}, K], but gave {_describe(output)}."
        )
    if not torch.isfinite(logits).all():
        began = _where_it_began(module, images)
        raise ValueError(f"The network's logits are NaN or infinite for this image; {began}.")
    if not logits.requires_grad:
        raise ValueError("The network's logits do not depend on the image through gradients.")
    return logits


def _where_it_began(module: nn.Module, images: Tensor) -> str:
    """Which weight, or else which module, is the first to be NaN or infinite."""
    for name, weight in [*module.named_parameters(), *module.named_buffers()]:
        if torch.isnan(weight).any():
            return f"its weight {name!r} holds NaN"
    broken: list[str] = []

    def look(path: str) -> OutputHook:
        def on_output(_module: nn.Module, _inputs: Any, output: Any) -> None:
            if isinstance(output, Tensor) and not torch.isfinite(output).all():
                broken.append(path)

        return on_output

    hooks = [(part, look(path)) for path, part in module.named_modules() if path]
    with torch.no_grad(), output_hooks(hooks):
        module(images.detach().clone())
    # Inner modules end before those around them, so the first is the innermost.
    return f"it begins in {broken[0]!r}" if broken else "its modules' outputs are finite"
