"""Which places of a network count as layers.

A layer is a place whose output is a stack of post-activation maps [C, H, W] of more than one pixel:

- the output of an activation (ReLU and its relatives, not the gates sigmoid and tanh), or
- a concatenation of such outputs (the fire modules of SqueezeNet, the blocks of Inception).

It is named by the innermost module that gives exactly this output and is called once in a pass:
`features.11` in VGG-16, and `layer3.0` in a residual net, whose own ReLU is called twice. Where
only a module called several times gives it, the name carries the number of the call:
`layer3.0.relu:1`; without a number, the last call is meant. An activation that is applied as a
plain function inside a larger module is named by the module that feeds it directly, and the layer
is the value after the activation: `features.norm5` in DenseNet.

The default layers follow the paper, which takes blocks 3-5 of VGG-16 (Bianchi et al. 2024,
section 4), in four rules:

1. Only the main line counts: maps through which everything must pass that the network knows at
   that depth. The inside of a residual, dense or inception block is not on it, the block's output
   is. Inside a module that ends in a concatenation, only that concatenation counts.
2. Places of one scale belong together (a scale ends where the side shrinks by more than the
   square root of 2). At a scale without post-activation maps on the main line, as in ConvNeXt,
   the residual sums that are a module's output stand in.
3. The deeper half of the scales is taken, rounded up: three of VGG-16's five. With one scale
   only, it is the deeper half of the places.
4. Of one scale at most four are taken, evenly spread from the first to the last.

Maps that are only averaged into the logits, as at the end of SqueezeNet, are the answer itself and
no default.
"""

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Final

import torch
from torch import Tensor, nn
from torch.autograd.graph import GradientEdge, Node

from app.explain.networks import Network
from app.explain.recording import (
    ACTIVATIONS,
    CONCATENATION,
    REORDERING,
    SUM,
    Call,
    EdgeKey,
    Recording,
    call_number,
    parents,
    record,
)

MAX_DEFAULTS_PER_SCALE: Final = 4

# Operations that keep a stack of post-activation maps one: they pool, reorder or copy.
_PASSING: Final = REORDERING | {"MaxPool2DWithIndicesBackward0", "AvgPool2DBackward0"}
_LEARNED: Final = ("Convolution", "Addmm", "Mm", "Bmm", "Linear", "Mkldnn", "Cudnn")
_CHANNELS_LAST_OPERATIONS: Final = ("Addmm", "Mm", "Linear", "NativeLayerNorm")
_CHANNELS_FIRST_OPERATIONS: Final = ("Convolution", "NativeBatchNorm", "CudnnBatchNorm", "MaxPool")


class LayerError(ValueError):
    """A layer cannot be explained; the message says why and what could be named instead."""


@dataclass(frozen=True, slots=True)
class LayerPlace:
    """A place of a network that counts as a layer. height, width: of its maps, in pixels."""

    name: str
    n_channels: int
    height: int
    width: int
    is_default: bool


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """A layer found in one recorded pass.

    step: position in order of execution. shape: [C, H, W]. value: [B, C, H, W], where it was kept.
    """

    name: str
    step: int
    edge: GradientEdge
    shape: tuple[int, int, int]
    value: Tensor | None

    @property
    def side(self) -> float:
        return sqrt(self.shape[1] * self.shape[2])


def list_layers(network: Network | nn.Module, *, input_size: int | None = None) -> list[LayerPlace]:
    """The layers of a network from input to output, with the default ones marked.

    input_size: side in px of the picture on which the sizes are found; by default the network's
    own, and 224 for a bare module. Raises LayerError when the network has no maps [C, H, W], as a
    vision transformer.
    """
    places, defaults = find_places(_record_blank(network, input_size))
    return _describe(places, defaults)


def choose_layers(network: Network | nn.Module, names: Sequence[str] | None) -> list[LayerPlace]:
    """The layers of these names from input to output, or the default ones for None.

    Any module may be named, listed or not. Raises LayerError for one without maps [C, H, W], or
    that does not exist, with near names.
    """
    recording = _record_blank(network, None)
    defaults = find_places(recording)[1]
    return _describe(defaults if names is None else resolve_places(recording, names), defaults)


def _record_blank(network: Network | nn.Module, input_size: int | None) -> Recording:
    """A pass with a black picture: what layers there are does not depend on what is seen."""
    if isinstance(network, Network):
        module, side = network.module, input_size or network.input_size
    else:
        module, side = network, input_size or 224
    blank = torch.zeros(1, _n_input_channels(module), side, side)
    return record(module, blank, keep=(), save_all=False)


def _n_input_channels(module: nn.Module) -> int:
    """Of the first convolution, the only place where a module says what it takes; 3 without one."""
    convolutions = (part for part in module.modules() if isinstance(part, nn.Conv2d))
    return next((part.in_channels for part in convolutions), 3)


def _describe(places: Sequence[Place], defaults: Sequence[Place]) -> list[LayerPlace]:
    names = {place.name for place in defaults}
    return [LayerPlace(place.name, *place.shape, place.name in names) for place in places]


def find_places(recording: Recording) -> tuple[list[Place], list[Place]]:
    """All layers of a recorded pass in order of execution, and the default ones among them.

    Raises LayerError when there are none.
    """
    main_line = _main_line(recording)
    named = _named_places(recording)
    rectified = _Rectified()
    layers = [
        place
        for place in named
        if rectified.is_layer(place.edge.node) and not _is_channels_last(place.edge.node)
    ]
    trunk = [place for place in layers if place.edge.node in main_line]
    sums = [
        place
        for place in named
        if place.edge.node.name() == SUM
        and place.edge.node in main_line
        and not _is_channels_last(place.edge.node)
        and not any(_same_scale(place, other) for other in trunk)
    ]
    places = sorted(layers + sums, key=lambda place: place.step)
    if not places:
        raise LayerError(
            "The network has no layer of feature maps [C, H, W] after an activation (a vision "
            "transformer has none); only convolutional networks can be explained."
        )
    candidates = sorted(trunk + sums, key=lambda place: place.step) or places
    return places, _choose_defaults(recording, candidates)


def resolve_places(recording: Recording, names: Sequence[str]) -> list[Place]:
    """The named places of a recorded pass in order of execution. Raises LayerError."""
    known_paths = {call.path for call in recording.calls} | set(recording.other_outputs)
    places = [_resolve(recording, name, known_paths) for name in dict.fromkeys(names)]
    return sorted(places, key=lambda place: place.step)


def _resolve(recording: Recording, name: str, known_paths: Iterable[str]) -> Place:
    path, number = call_number(name)
    calls = [call for call in recording.calls if call.path == path]
    if not calls and path in recording.other_outputs:
        raise LayerError(
            f"Layer {name!r} has no feature maps [C, H, W]: its output is "
            f"{recording.other_outputs[path]}."
        )
    if not calls:
        near = difflib.get_close_matches(path, sorted(known_paths), n=3, cutoff=0.4)
        hint = f"; near names: {', '.join(near)}" if near else ""
        raise LayerError(f"The network uses no module named {name!r}{hint}.")
    if number is None:
        call = calls[-1]
    else:
        numbered = [call for call in calls if call.number == number]
        if not numbered:
            raise LayerError(
                f"Module {path!r} is called {recording.n_calls[path]} times, so there is no "
                f"{name!r}."
            )
        call = numbered[0]
    if _is_channels_last(call.edge.node):
        raise LayerError(
            f"Layer {name!r} holds its channels last ([H, W, C]), so it has no maps [C, H, W]."
        )
    activation = _functional_activations(recording).get(call.key, call)
    return Place(name, activation.step, activation.edge, activation.shape, activation.value)


def _named_places(recording: Recording) -> list[Place]:
    """Every distinct output of a module, or of an activation that it feeds, under one name."""
    by_key: dict[EdgeKey, list[Call]] = {}
    for call in recording.calls:
        if call.shape[1] * call.shape[2] > 1:
            by_key.setdefault(call.key, []).append(call)
    functional = _functional_activations(recording)
    places = []
    for key, calls in by_key.items():
        once = [call for call in calls if recording.n_calls[call.path] == 1]
        chosen = once[0] if once else calls[0]
        last = recording.n_calls[chosen.path] == chosen.number
        name = chosen.path if last else f"{chosen.path}:{chosen.number}"
        after = functional.get(key, chosen)
        places.append(Place(name, after.step, after.edge, after.shape, after.value))
    return places


def _functional_activations(recording: Recording) -> dict[EdgeKey, Call]:
    """Activations that are no module's output, by the module output that feeds them."""
    outputs = {call.key for call in recording.calls}
    found: dict[EdgeKey, Call] = {}
    for activation in recording.activations:
        node, output_nr = activation.edge.node.next_functions[0]
        if activation.key not in outputs and node is not None and (node, output_nr) in outputs:
            found.setdefault((node, output_nr), activation)
    return found


class _Rectified:
    """Tells which nodes of a graph give post-activation maps; remembers, as graphs are deep."""

    def __init__(self) -> None:
        self._known: dict[Node, bool] = {}

    def is_layer(self, node: Node) -> bool:
        name = node.name()
        counts = name in ACTIVATIONS or name == CONCATENATION or name in REORDERING
        return counts and self.holds(node)

    def holds(self, node: Node) -> bool:
        if node not in self._known:
            self._known[node] = self._find(node)
        return self._known[node]

    def _find(self, node: Node) -> bool:
        name = node.name()
        if name in ACTIVATIONS:
            return True
        if name == CONCATENATION:
            return all(
                parent is not None and self.holds(parent) for parent, _ in node.next_functions
            )
        return name in _PASSING and all(self.holds(parent) for parent in parents(node))


def _main_line(recording: Recording) -> set[Node]:
    """The nodes that lie on every path from the picture to the logits.

    They are those through which as many paths lead as there are in all; path counts are exact,
    since Python's integers do not overflow.
    """
    start, goal = recording.logits.grad_fn, recording.image
    assert start is not None
    order = _topological(start)
    to_goal: dict[Node, int] = {}
    for node in reversed(order):
        to_goal[node] = 1 if node is goal else sum(to_goal[parent] for parent in parents(node))
    from_start = dict.fromkeys(order, 0)
    from_start[start] = 1
    for node in order:
        for parent in parents(node):
            from_start[parent] += from_start[node]
    total = to_goal[start]
    return {node for node in order if from_start[node] * to_goal[node] == total}


def _topological(start: Node) -> list[Node]:
    """All nodes behind `start`, each before its parents."""
    finished: list[Node] = []
    seen = {start}
    stack = [(start, iter(parents(start)))]
    while stack:
        node, rest = stack[-1]
        following = next((parent for parent in rest if parent not in seen), None)
        if following is None:
            finished.append(node)
            stack.pop()
        else:
            seen.add(following)
            stack.append((following, iter(parents(following))))
    return finished[::-1]


def _is_channels_last(node: Node | None) -> bool:
    """Whether a 4-D output is laid out [1, H, W, C], judged by the last operation that tells."""
    while node is not None:
        name = node.name()
        if name.startswith(_CHANNELS_LAST_OPERATIONS):
            return True
        if name.startswith(_CHANNELS_FIRST_OPERATIONS):
            return False
        if name.startswith("Permute"):
            return tuple(getattr(node, "_saved_dims", ())) == (0, 2, 3, 1)
        before = [
            (parent, output_nr)
            for parent, output_nr in node.next_functions
            if parent is not None and parent.name() != "torch::autograd::AccumulateGrad"
        ]
        if len(before) > 1:
            # What is broadcast over the maps, as a gate, may have been made in another layout.
            shape = _output_shape(node, 0)
            before = [edge for edge in before if _output_shape(*edge) == shape] or before
        node = before[0][0] if before else None
    return False


def _output_shape(node: Node, output_nr: int) -> tuple[int, ...]:
    # Autograd's name is from the backward pass, whose inputs are the outputs of the forward one.
    return tuple(node._input_metadata[output_nr].shape)


def _same_scale(one: Place, other: Place) -> bool:
    small, large = sorted((one.side, other.side))
    return large <= small * sqrt(2)


def _choose_defaults(recording: Recording, candidates: Sequence[Place]) -> list[Place]:
    hidden = [place for place in candidates if _feeds_learned_operation(recording, place)]
    candidates = hidden or candidates
    candidates = [place for place in candidates if not _inside_concatenation(place, candidates)]
    scales = _by_scale(candidates)
    if len(scales) == 1:
        (places,) = scales
        chosen = [places[len(places) // 2 :]]
    else:
        chosen = scales[len(scales) // 2 :]
    return sorted(
        (place for places in chosen for place in _spread(places)), key=lambda place: place.step
    )


def _by_scale(places: Iterable[Place]) -> list[list[Place]]:
    """Places of like size together, the largest maps first."""
    ordered = sorted(places, key=lambda place: (-place.side, place.step))
    scales = [[ordered[0]]]
    for place in ordered[1:]:
        if _same_scale(scales[-1][0], place):
            scales[-1].append(place)
        else:
            scales.append([place])
    return [sorted(scale, key=lambda place: place.step) for scale in scales]


def _spread(places: Sequence[Place]) -> list[Place]:
    n_places = len(places)
    if n_places <= MAX_DEFAULTS_PER_SCALE:
        return list(places)
    gaps = MAX_DEFAULTS_PER_SCALE - 1
    return [places[round(i * (n_places - 1) / gaps)] for i in range(MAX_DEFAULTS_PER_SCALE)]


def _inside_concatenation(place: Place, others: Iterable[Place]) -> bool:
    return any(
        other.edge.node.name() == CONCATENATION and place.name.startswith(f"{other.name}.")
        for other in others
    )


def _feeds_learned_operation(recording: Recording, place: Place) -> bool:
    """Whether a learned operation lies between the place, on the main line, and the logits."""
    start = recording.logits.grad_fn
    assert start is not None
    seen, stack = {start}, [start]
    while stack:
        node = stack.pop()
        if node is place.edge.node:
            continue
        if node.name().startswith(_LEARNED):
            return True
        for parent in parents(node):
            if parent not in seen:
                seen.add(parent)
                stack.append(parent)
    return False
