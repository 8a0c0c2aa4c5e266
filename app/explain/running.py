"""A network runs as nobody else's pass would change it, and is left as it was found.

In eval mode, in its own precision, watched by hooks of this thread alone: threads may share it.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from threading import Lock, get_ident
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

OutputHook = Callable[[nn.Module, Any, Any], None]
"""Called with a module, its inputs and its output."""

# Threads may share a network. The lock guards what they would else undo for each other: hooks,
# training modes and the precision of products.
_lock: Final = Lock()
_in_eval: Final[dict[nn.Module, tuple[int, bool]]] = {}
"""By part, how many want it in eval mode just now, and whether it was training before."""
_precisions_before: Final[list[list[str]]] = []
"""Of products: what each one who wants them exact just now found, the first one first."""


@contextmanager
def exact_products() -> Iterator[None]:
    """Convolutions and matrix products on CUDA in full single precision, as on a CPU, and
    afterwards as before.

    Several threads may want it at the same time; it ends with the last of them.

    By default cuDNN rounds the inputs of convolutions to ten bits (TF32), and so do matrix products
    for many who ask for speed. Channels near the pruning threshold and maps between two clusters
    would then change sides, and a GPU would tell another story.
    """
    kinds = (torch.backends.cudnn.conv, torch.backends.cuda.matmul)  # type: ignore[attr-defined]
    with _lock:
        _precisions_before.append([kind.fp32_precision for kind in kinds])
        for kind in kinds:
            kind.fp32_precision = "ieee"
    try:
        yield
    finally:
        with _lock:
            # Of several threads, whoever is done last takes what the first one found.
            for kind, before in zip(kinds, _precisions_before.pop(), strict=True):
                kind.fp32_precision = before


@contextmanager
def output_hooks(hooks: Iterable[tuple[nn.Module, OutputHook]]) -> Iterator[None]:
    """Hooks on what modules give, in passes of this thread alone.

    A module that threads share calls the hooks of all of them. No lock around the pass keeps others
    out: those who only use the network do not ask for one, nor do networks that share a part.
    """
    handles = []
    try:
        # PyTorch numbers hooks without a lock; of two with one number the first would be lost.
        with _lock:
            for part, hook in hooks:
                handles.append(part.register_forward_hook(_for_this_thread(hook)))
        yield
    finally:
        for handle in handles:
            handle.remove()


def _for_this_thread(hook: OutputHook) -> OutputHook:
    own = get_ident()

    def on_output(module: nn.Module, inputs: Any, output: Any) -> None:
        if get_ident() == own:
            hook(module, inputs, output)

    return on_output


@contextmanager
def eval_mode(module: nn.Module) -> Iterator[None]:
    """The module in eval mode, and afterwards each of its parts as it was.

    Where several threads have a part in eval mode, it stays so until the last of them is done.
    """
    parts = list(module.modules())
    with _lock:
        for part in parts:
            n_users, was_training = _in_eval.get(part, (0, part.training))
            _in_eval[part] = n_users + 1, was_training
    try:
        module.eval()
        yield
    finally:
        with _lock:
            for part in parts:
                n_users, was_training = _in_eval.pop(part)
                if n_users > 1:
                    _in_eval[part] = n_users - 1, was_training
                else:
                    part.training = was_training


def without_autocast(module: nn.Module) -> AbstractContextManager[object]:
    """Autocast switched off where the module runs: its maps would be rounded to eight bits or so,
    and channels near the pruning threshold would change sides."""
    kind = next((parameter.device.type for parameter in module.parameters()), "cpu")
    available = torch.amp.autocast_mode.is_autocast_available(kind)
    return torch.autocast(kind, enabled=False) if available else nullcontext()


def as_array(values: Tensor) -> NDArray[np.floating]:
    """The values for NumPy, which has no bfloat16: those become single precision."""
    found = values.detach().cpu()
    array: NDArray[np.floating] = (
        found.float() if found.dtype == torch.bfloat16 else found
    ).numpy()
    return array


def like_parameters(image: Tensor, module: nn.Module) -> Tensor:
    """The image on the device and in the precision of the module's parameters."""
    for parameter in module.parameters():
        if parameter.is_floating_point():
            return image.to(device=parameter.device, dtype=parameter.dtype)
    return image
