"""Many pictures: the next is decoded while the network is busy with this one, or several processes
take one each.

No batches: a pass of eight pictures at once took longer per picture than one by one on a CPU.
"""

import pickle
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, TypeVar

import torch
from PIL import Image
from torch import Tensor, nn

from app.explain.explanation import Explanation, as_tensor, explain_image
from app.explain.features import ContrastError
from app.explain.networks import Network
from app.explain.pictures import PictureError, open_picture
from app.explain.processes import side_by_side
from app.explain.report import report_html

REPORT_FILE: Final = "report.html"
_VIEW_SIZE: Final = 448

Item = TypeVar("Item")


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
) -> Iterator[Explanation]:
    """Explain pictures in the order given, each as explain_image does; the arguments are its own.

    images: may be a generator that opens files. It is advanced in a thread of its own, one picture
    ahead, so that decoding costs no time. Raises what explain_image raises, and what `images` does.
    """
    known = network if isinstance(network, Network) else None
    for image in _one_ahead(as_tensor(known, image) for image in images):
        explanation = explain_image(
            network,
            image,
            layers=layers,
            target=target,
            contrast=contrast,
            clusterer=clusterer,
            seed=seed,
        )
        yield explanation
        # Of a bare module, pictures of another size may have other default layers.
        if layers is None and known is not None:
            layers = _names(explanation)


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
    for path, folder, picture in _one_ahead((*place, _open(place[0])) for place in places):
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


def _one_ahead(items: Iterable[Item]) -> Iterator[Item]:
    """The items, each next one fetched by a thread while the caller works on this one."""
    iterator = iter(items)
    # Not None, which may be an item.
    end = object()
    with ThreadPoolExecutor(max_workers=1) as thread:
        coming = thread.submit(next, iterator, end)
        while (item := coming.result()) is not end:
            coming = thread.submit(next, iterator, end)
            yield item  # type: ignore[misc]


def _folder_name(path: Path, taken: set[str]) -> str:
    name, number = path.stem, 1
    while name in taken:
        number += 1
        name = f"{path.stem}-{number}"
    taken.add(name)
    return name
