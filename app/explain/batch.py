"""Many pictures, one by one: the next is decoded while the network is busy with this one.

No batches: a pass of eight pictures at once took longer per picture than one by one on a CPU.
"""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from PIL import Image
from torch import Tensor, nn

from app.explain.explanation import Explanation, as_tensor, explain_image
from app.explain.features import ContrastError
from app.explain.networks import Network
from app.explain.pictures import PictureError, open_picture
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
        yield explain_image(
            network,
            image,
            layers=layers,
            target=target,
            contrast=contrast,
            clusterer=clusterer,
            seed=seed,
        )


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
) -> Iterator[ExplainedFile]:
    """Explain photos one by one, in the order given; each result is written when it is yielded.

    Every photo gets a folder in `out_dir`, named as the file, with explanation.json, maps.npz and
    report.html; a second file of the same name gets "-2" behind it. A photo that cannot be used, or
    whose class is the contrast, is yielded with its reason, and the rest go on. What would go wrong
    for every photo is raised: LayerError and ValueError as by explain_image, OSError for a folder
    that cannot be written.
    """
    taken: set[str] = set()
    for path, picture in _one_ahead((path, _open(path)) for path in map(Path, paths)):
        if isinstance(picture, PictureError):
            yield ExplainedFile(path, None, None, str(picture))
            continue
        folder = Path(out_dir) / _folder_name(path, taken)
        try:
            explanation = explain_image(
                network,
                picture,
                layers=layers,
                target=target,
                contrast=contrast,
                clusterer=clusterer,
                seed=seed,
            )
        except ContrastError as error:
            yield ExplainedFile(path, None, None, str(error))
            continue
        explanation.save(folder)
        page = report_html(explanation, network.view(picture, _VIEW_SIZE), title=path.name)
        (folder / REPORT_FILE).write_text(page, encoding="utf-8")
        yield ExplainedFile(path, folder, explanation, None)


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
