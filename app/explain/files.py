"""Photos explained into folders: by several processes where wanted, and going on where an earlier
run was stopped."""

import json
import pickle
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import torch
from PIL import Image

from app.explain.batch import ahead
from app.explain.explaining import explain_image
from app.explain.explanation import Explanation
from app.explain.features import ContrastError
from app.explain.networks import Network
from app.explain.pictures import PictureError, open_picture
from app.explain.processes import side_by_side
from app.explain.report import report_html
from app.explain.requests import describe_request, photo_sha256

REPORT_FILE: Final = "report.html"
REQUEST_FILE: Final = "request.json"
_VIEW_SIZE: Final = 448


@dataclass(frozen=True, slots=True)
class ExplainedFile:
    """One photo's result: its folder and explanation, or the reason why there is none.

    is_old: it was there already, as an earlier run had left it.
    """

    path: Path
    folder: Path | None
    explanation: Explanation | None
    error: str | None
    is_old: bool = False


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

    Every photo gets a folder in `out_dir`, named as the file, with explanation.json, maps.npz,
    report.html and, written last, request.json, which tells of what photo, network and options they
    came; a second file of the same name gets "-2" behind it. Where it tells that the same was asked
    for before, the folder stays as it is: so what was stopped goes on. A photo that cannot be used,
    or whose class is the contrast, is yielded with its reason, and the rest go on. What would go
    wrong for every photo is raised: LayerError and ValueError as by explain_image, OSError for a
    folder that cannot be written.

    n_processes: more than one start as many of their own, each with a copy of the network and its
    share of torch's threads, and work ahead of what is yielded; the results are the same. A script
    that asks for them needs `if __name__ == "__main__":`, as always with processes. Raises
    ChildProcessError when one of them is stopped, as by a system that is short of memory.
    """
    asked = describe_request(
        network, layers=layers, target=target, contrast=contrast, clusterer=clusterer, seed=seed
    )
    request = _Request(network, layers, target, contrast, clusterer, seed, asked)
    taken: set[str] = set()
    places = ((path, Path(out_dir) / _folder_name(path, taken)) for path in map(Path, paths))
    if n_processes > 1:
        yield from _explain_side_by_side(request, places, n_processes)
        return
    for photo in ahead(places, lambda place: _look_at(asked, *place), 1):
        result = _explain_photo(request, photo)
        yield result
        request = _with_layers(request, result)


@dataclass(frozen=True, slots=True)
class _Request:
    """asked: all that decides about the results but the photo, in the words of request.json."""

    network: Network
    layers: Sequence[str] | None
    target: int | str | None
    contrast: int | str | None
    clusterer: str
    seed: int
    asked: dict[str, Any]


def _with_layers(request: _Request, result: ExplainedFile) -> _Request:
    """The default layers named, once they are known: a pass for known layers takes less."""
    if request.layers is None and result.explanation is not None:
        return replace(request, layers=[layer.name for layer in result.explanation.layers])
    return request


# --- one photo


@dataclass(frozen=True, slots=True)
class _Photo:
    """asked: what request.json is to say of it."""

    path: Path
    folder: Path
    picture: Image.Image
    asked: dict[str, Any]


def _look_at(asked: dict[str, Any], path: Path, folder: Path) -> _Photo | ExplainedFile:
    asked = {"photo_sha256": photo_sha256(path)} | asked
    old = _find(folder, asked)
    if old is not None:
        return ExplainedFile(path, folder, old, None, is_old=True)
    try:
        return _Photo(path, folder, open_picture(path), asked)
    except PictureError as error:
        return ExplainedFile(path, None, None, str(error))


def _find(folder: Path, asked: dict[str, Any]) -> Explanation | None:
    """What an earlier run that was asked for the same has left, if it is whole."""
    try:
        if json.loads((folder / REQUEST_FILE).read_bytes()) != asked:
            return None
        return Explanation.load(folder) if (folder / REPORT_FILE).exists() else None
    except (OSError, ValueError):
        return None


def _explain_photo(request: _Request, photo: _Photo | ExplainedFile) -> ExplainedFile:
    if isinstance(photo, ExplainedFile):
        return photo
    try:
        explanation = explain_image(
            request.network,
            photo.picture,
            layers=request.layers,
            target=request.target,
            contrast=request.contrast,
            clusterer=request.clusterer,
            seed=request.seed,
        )
    except ContrastError as error:
        return ExplainedFile(photo.path, None, None, str(error))
    # What is left half-done from here on must not pass for what was asked for before.
    (photo.folder / REQUEST_FILE).unlink(missing_ok=True)
    explanation.save(photo.folder)
    view = request.network.view(photo.picture, _VIEW_SIZE)
    page = report_html(explanation, view, title=photo.path.name)
    (photo.folder / REPORT_FILE).write_text(page, encoding="utf-8")
    text = json.dumps(photo.asked, indent=1, ensure_ascii=False)
    (photo.folder / REQUEST_FILE).write_text(text + "\n", encoding="utf-8")
    return ExplainedFile(photo.path, photo.folder, explanation, None)


def _folder_name(path: Path, taken: set[str]) -> str:
    name, number = path.stem, 1
    while name in taken:
        number += 1
        name = f"{path.stem}-{number}"
    taken.add(name)
    return name


# --- several processes


_request: _Request
"""In each process: what it is to do."""


def _explain_side_by_side(
    request: _Request, places: Iterable[tuple[Path, Path]], n_processes: int
) -> Iterator[ExplainedFile]:
    n_threads = max(1, torch.get_num_threads() // n_processes)
    # By value: shared memory, which torch's own way takes, is some MB in many a container.
    with side_by_side(n_processes, _prepare, pickle.dumps(request), n_threads) as submit:
        coming: deque[Future[ExplainedFile]] = deque()
        for place in places:
            coming.append(submit(_look_at_and_explain, *place))
            if len(coming) > 2 * n_processes:
                yield coming.popleft().result()
        while coming:
            yield coming.popleft().result()


def _prepare(request: bytes, n_threads: int) -> None:
    global _request
    torch.set_num_threads(n_threads)
    _request = pickle.loads(request)


def _look_at_and_explain(path: Path, folder: Path) -> ExplainedFile:
    global _request
    result = _explain_photo(_request, _look_at(_request.asked, path, folder))
    _request = _with_layers(_request, result)
    return result
