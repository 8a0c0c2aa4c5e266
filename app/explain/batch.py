"""Many pictures: the next are decoded while the network is busy with these, or several processes
take one each.

Batches on a GPU alone: on a CPU a pass of eight pictures took longer per picture than one by one.
"""

import pickle
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

import torch
from PIL import Image
from torch import Tensor, nn

from app.explain.explanation import Explanation, as_tensor, explain_image, explain_together
from app.explain.features import ContrastError
from app.explain.networks import Network
from app.explain.pictures import PictureError, open_picture
from app.explain.processes import side_by_side
from app.explain.report import report_html

REPORT_FILE: Final = "report.html"
_VIEW_SIZE: Final = 448

_BATCH_ON_GPU: Final = 16
_MAX_PREPARING: Final = 4

Item = TypeVar("Item")
Ready = TypeVar("Ready")


@dataclass(frozen=True, slots=True)
class ExplainedFile:
    """One photo's result: its folder and explanation, or the reason why there is none."""

    path: Path
    folder: Path | None
    explanation: Explanation | None
    error: str | None


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
    tensors = _ahead(images, partial(as_tensor, known), batch_size)
    for batch in _in_batches(tensors, batch_size):
        for explanation in _explain_batch(partial(explain, layers=layers), batch):
            yield explanation
            # Of a bare module, pictures of another size may have other default layers.
            if layers is None and known is not None:
                layers = _names(explanation)


def _explain_batch(
    explain: Callable[[Sequence[Tensor]], list[Explanation]], batch: Sequence[Tensor]
) -> Iterator[Explanation]:
    if len(batch) > 1:
        try:
            yield from explain(batch)
            return
        except (ValueError, RuntimeError):
            # Whichever is at fault shows when each goes alone, where less memory is needed too, and
            # a network that takes one picture only gets one.
            pass
    for image in batch:
        yield from explain([image])


def explain_files(
    network: Network,
    paths: Iterable[str | Path],
    out_dir: str | Path,
    *,
    layers: Sequence[str] | None = None,
    target: int | str | None = None,
    contrast: int | str | None = None,
    clusterer: str = "fast",
    seed: int = 0,
    n_processes: int = 1,
) -> Iterator[ExplainedFile]:
    """Explain photos one by one, in the order given; each result is written when it is yielded.

    Every photo gets a folder in `out_dir`, named as the file, with explanation.json, maps.npz and
    report.html; a second file of the same name gets "-2" behind it. A photo that cannot be used, or
    whose class is the contrast, is yielded with its reason, and the rest go on. What would go wrong
    for every photo is raised: LayerError and ValueError as by explain_image, OSError for a folder
    that cannot be written.

    n_processes: more than one start as many of their own, each with a copy of the network and its
    share of torch's threads, and work ahead of what is yielded; the results are the same. A script
    that asks for them needs `if __name__ == "__main__":`, as always with processes. Raises
    ChildProcessError when one of them is stopped, as by a system that is short of memory.
    """
    request = _Request(network, layers, target, contrast, clusterer, seed)
    taken: set[str] = set()
    places = ((path, Path(out_dir) / _folder_name(path, taken)) for path in map(Path, paths))
    if n_processes > 1:
        yield from _explain_side_by_side(request, places, n_processes)
        return
    for (path, folder), picture in _ahead(places, lambda place: (place, _open(place[0])), 1):
        result = _explain_file(request, path, folder, picture)
        yield result
        request = _with_layers(request, result)


@dataclass(frozen=True, slots=True)
class _Request:
    network: Network
    layers: Sequence[str] | None
    target: int | str | None
    contrast: int | str | None
    clusterer: str
    seed: int


def _with_layers(request: _Request, result: ExplainedFile) -> _Request:
    """The default layers named, once they are known: a pass for known layers takes less."""
    if request.layers is None and result.explanation is not None:
        return replace(request, layers=_names(result.explanation))
    return request


def _names(explanation: Explanation) -> list[str]:
    return [layer.name for layer in explanation.layers]


def _explain_file(
    request: _Request, path: Path, folder: Path, picture: Image.Image | PictureError
) -> ExplainedFile:
    if isinstance(picture, PictureError):
        return ExplainedFile(path, None, None, str(picture))
    try:
        explanation = explain_image(
            request.network,
            picture,
            layers=request.layers,
            target=request.target,
            contrast=request.contrast,
            clusterer=request.clusterer,
            seed=request.seed,
        )
    except ContrastError as error:
        return ExplainedFile(path, None, None, str(error))
    explanation.save(folder)
    page = report_html(explanation, request.network.view(picture, _VIEW_SIZE), title=path.name)
    (folder / REPORT_FILE).write_text(page, encoding="utf-8")
    return ExplainedFile(path, folder, explanation, None)


# --- several processes


_request: _Request
"""In each process: what it is to do."""


def _explain_side_by_side(
    request: _Request, places: Iterable[tuple[Path, Path]], n_processes: int
) -> Iterator[ExplainedFile]:
    n_threads = max(1, torch.get_num_threads() // n_processes)
    # By value: shared memory, which torch's own way takes, is some MB in many a container.
    with side_by_side(n_processes, _prepare, pickle.dumps(request), n_threads) as submit:
        ahead: deque[Future[ExplainedFile]] = deque()
        for place in places:
            ahead.append(submit(_open_and_explain, *place))
            if len(ahead) > 2 * n_processes:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()


def _prepare(request: bytes, n_threads: int) -> None:
    global _request
    torch.set_num_threads(n_threads)
    _request = pickle.loads(request)


def _open_and_explain(path: Path, folder: Path) -> ExplainedFile:
    global _request
    result = _explain_file(_request, path, folder, _open(path))
    _request = _with_layers(_request, result)
    return result


# --- files


def _open(path: Path) -> Image.Image | PictureError:
    try:
        return open_picture(path)
    except PictureError as error:
        return error


def _ahead(items: Iterable[Item], prepare: Callable[[Item], Ready], n: int) -> Iterator[Ready]:
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


def _folder_name(path: Path, taken: set[str]) -> str:
    name, number = path.stem, 1
    while name in taken:
        number += 1
        name = f"{path.stem}-{number}"
    taken.add(name)
    return name
