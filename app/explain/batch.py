"""Many photos from files to folders of results, one by one."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from app.explain.explanation import Explanation, explain_image
from app.explain.features import ContrastError
from app.explain.networks import Network
from app.explain.pictures import PictureError, open_picture
from app.explain.report import report_html

REPORT_FILE: Final = "report.html"
_VIEW_SIZE: Final = 448


@dataclass(frozen=True, slots=True)
class ExplainedFile:
    """One photo's result: its folder and explanation, or the reason why there is none."""

    path: Path
    folder: Path | None
    explanation: Explanation | None
    error: str | None


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
    for path in map(Path, paths):
        folder = Path(out_dir) / _folder_name(path, taken)
        try:
            picture = open_picture(path)
            explanation = explain_image(
                network,
                picture,
                layers=layers,
                target=target,
                contrast=contrast,
                clusterer=clusterer,
                seed=seed,
            )
        except (PictureError, ContrastError) as error:
            yield ExplainedFile(path, None, None, str(error))
            continue
        explanation.save(folder)
        page = report_html(explanation, network.view(picture, _VIEW_SIZE), title=path.name)
        (folder / REPORT_FILE).write_text(page, encoding="utf-8")
        yield ExplainedFile(path, folder, explanation, None)


def _folder_name(path: Path, taken: set[str]) -> str:
    name, number = path.stem, 1
    while name in taken:
        number += 1
        name = f"{path.stem}-{number}"
    taken.add(name)
    return name
