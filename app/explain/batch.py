"""Many pictures: the next are decoded while the network is busy with these.

Batches on a GPU alone: on a CPU a pass of eight pictures took longer per picture than one by one.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import Any, Final, TypeVar

from PIL import Image
from torch import Tensor, nn

from app.explain.explaining import as_tensor, explain_together
from app.explain.explanation import Explanation
from app.explain.networks import Network

_BATCH_ON_GPU: Final = 16
_MAX_PREPARING: Final = 4

Item = TypeVar("Item")
Ready = TypeVar("Ready")


def explain_images(
    network: Network | nn.Module,
    images: Iterable[Image.Image | Tensor],
    *,
    layers: Sequence[str] | None = None,
    target: int | str | None = None,
    contrast: int | str | None = None,
    clusterer: str = "fast",
    seed: int = 0,
    batch_size: int | None = None,
) -> Iterator[Explanation]:
    """Explain pictures in the order given, each as explain_image does; the arguments are its own.

    images: may be a generator that opens files. It is advanced in a thread of its own, one batch
    ahead, so that decoding costs no time. batch_size: how many pictures, of one size, go through
    the network at once; None takes 16 on a GPU, and else 1. Where so many do not fit into the GPU's
    memory, they go one by one. Raises what explain_image raises, and what `images` does, after the
    explanations of the pictures before.
    """
    known = network if isinstance(network, Network) else None
    if batch_size is None:
        module = network.module if isinstance(network, Network) else network
        on_gpu = any(parameter.is_cuda for parameter in module.parameters())
        batch_size = _BATCH_ON_GPU if on_gpu else 1
    if batch_size < 1:
        raise ValueError(f"A batch has at least one picture, not {batch_size}.")
    explain = partial(
        explain_together, network, target=target, contrast=contrast, clusterer=clusterer, seed=seed
    )
    tensors = ahead(images, partial(as_tensor, known), batch_size)
    for batch in _in_batches(tensors, batch_size):
        for explanation in _explain_batch(partial(explain, layers=layers), batch):
            yield explanation
            # Of a bare module, pictures of another size may have other default layers.
            if layers is None and known is not None:
                layers = [layer.name for layer in explanation.layers]


def _explain_batch(
    explain: Callable[[Sequence[Tensor]], list[Explanation]], batch: Sequence[Tensor]
) -> Iterator[Explanation]:
    together = None
    if len(batch) > 1:
        # Whichever is at fault shows when each goes alone, where less memory is needed too, and a
        # network that takes one picture only gets one.
        with suppress(ValueError, RuntimeError):
            together = explain(batch)
    for number, image in enumerate(batch):
        yield together[number] if together else explain([image])[0]


def ahead(items: Iterable[Item], prepare: Callable[[Item], Ready], n: int) -> Iterator[Ready]:
    """What becomes of each item, in order, n of them prepared by threads while the caller works.

    The items are taken by one thread, as a generator must be.
    """
    iterator = iter(items)
    # Not None, which may be an item.
    end = object()

    def prepare_taken(taken: Future[Any]) -> Any:
        item = taken.result()
        return end if item is end else prepare(item)

    with ThreadPoolExecutor(1) as taker, ThreadPoolExecutor(min(n, _MAX_PREPARING)) as preparers:

        def submit() -> Future[Any]:
            return preparers.submit(prepare_taken, taker.submit(next, iterator, end))

        coming = deque(submit() for _ in range(n))
        try:
            while (ready := coming.popleft().result()) is not end:
                coming.append(submit())
                yield ready
        finally:
            taker.shutdown(cancel_futures=True)


def _in_batches(tensors: Iterable[Tensor], size: int) -> Iterator[list[Tensor]]:
    """Neighbours of one shape and precision, `size` of them or fewer.

    Where taking one raises, those before it come first.
    """
    batch: list[Tensor] = []
    try:
        for tensor in tensors:
            if batch and (tensor.shape, tensor.dtype) != (batch[0].shape, batch[0].dtype):
                yield batch
                batch = []
            batch.append(tensor)
            if len(batch) == size:
                yield batch
                batch = []
    except Exception:
        if batch:
            yield batch
        raise
    if batch:
        yield batch
