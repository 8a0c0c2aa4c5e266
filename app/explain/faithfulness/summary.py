"""Scores of many pictures as tables in Markdown, and as plain values for a file."""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from app.explain.faithfulness.ablation import MIN_CLUSTERS, AblationScores
from app.explain.faithfulness.evaluation import (
    EvaluatedFile,
    LayerScores,
    MapScores,
    PictureScores,
    cluster_method,
)

FORMAT: Final = 2
N_RESAMPLES: Final = 2000
_SEED: Final = 0
"""Of the resampling: the same scores give the same tables."""

_MEASURES: Final = (
    ("insertion", "Insertion: area under the curve, more is better"),
    ("deletion", "Deletion: area under the curve, less is better"),
    ("road", "ROAD: mean probability after removal, less is better"),
)


def interval(values: NDArray[np.float64]) -> tuple[float, float, float]:
    """The mean of one value per picture, NaN left out, and its 95 % bootstrap interval.

    Percentiles of N_RESAMPLES resamples of the pictures (Efron 1979). All are NaN without values;
    with one, the interval is.
    """
    known = values[~np.isnan(values)]
    n_known = len(known)
    if n_known == 0:
        return float("nan"), float("nan"), float("nan")
    if n_known == 1:
        return float(known[0]), float("nan"), float("nan")
    drawn = np.random.default_rng(_SEED).integers(0, n_known, (N_RESAMPLES, n_known))
    low, high = np.percentile(known[drawn].mean(axis=1), [2.5, 97.5])
    return float(known.mean()), float(low), float(high)


def tables(pictures: Sequence[PictureScores], clusterers: Sequence[str]) -> str:
    """All tables, in Markdown. A row or column "all layers" is the mean over a picture's layers."""
    layers = list(dict.fromkeys(layer for picture in pictures for layer in picture.layers))
    if not layers:
        return "No layer of any picture has a cluster, so there is nothing to measure."
    parts = [_ends(pictures)]
    parts += [_ablation(pictures, layers, clusterer) for clusterer in clusterers]
    parts += [_maps(pictures, layers, clusterers, *measure) for measure in _MEASURES]
    parts.append(_cascade(pictures, layers))
    return "\n\n".join(parts)


def to_json(request: dict[str, Any], files: Iterable[EvaluatedFile]) -> str:
    """The scores of each picture with its path; what has no value is null.

    request: as describe_request has it. Files without scores are left out.
    """
    values = [
        {
            "picture": str(one.path),
            "photo_sha256": one.photo_sha256,
            **_without_nan(asdict(one.scores)),
        }
        for one in files
        if one.scores is not None
    ]
    whole = {"format": FORMAT, "request": request, "pictures": values}
    return json.dumps(whole, indent=1, ensure_ascii=False) + "\n"


def from_json(text: str | bytes, request: dict[str, Any]) -> list[EvaluatedFile]:
    """What to_json wrote for the same request. Raises ValueError for anything else."""
    try:
        whole = json.loads(text)
        if whole["format"] != FORMAT or whole["request"] != request:
            raise ValueError("It holds the scores of another network, other options or versions.")
        return [
            EvaluatedFile(Path(one["picture"]), one["photo_sha256"], _read(one), None)
            for one in whole["pictures"]
        ]
    except (KeyError, TypeError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError("It is no file of scores.") from error


def _read(values: dict[str, Any]) -> PictureScores:
    layers = {
        name: LayerScores(
            ablation={
                clusterer: AblationScores(**_with_nan(one))
                for clusterer, one in layer["ablation"].items()
            },
            maps={method: MapScores(**_with_nan(one)) for method, one in layer["maps"].items()},
            cascade={method: tuple(_with_nan(one)) for method, one in layer["cascade"].items()},
        )
        for name, layer in values["layers"].items()
    }
    ends = {end: values[end] for end in ("target", "probability", "of_grey", "of_blurred")}
    return PictureScores(**ends, randomised=tuple(values["randomised"]), layers=layers)


def _without_nan(value: Any) -> Any:
    """JSON has no NaN."""
    if isinstance(value, dict):
        return {key: _without_nan(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(one) for one in value]
    return None if isinstance(value, float) and np.isnan(value) else value


def _with_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _with_nan(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_with_nan(one) for one in value]
    return float("nan") if value is None else value


def _ends(pictures: Sequence[PictureScores]) -> str:
    columns = [
        _shown(np.array([getattr(picture, end) for picture in pictures]))
        for end in ("probability", "of_blurred", "of_grey")
    ]
    title = f"Probability of the explained class, {len(pictures)} pictures"
    return _table(title, ["picture", "blurred", "grey"], [columns])


def _ablation(pictures: Sequence[PictureScores], layers: Sequence[str], clusterer: str) -> str:
    columns = (
        ("clusters", "n_clusters"),
        ("correlation", "correlation"),
        ("dealt anew", "dealt_correlation"),
        ("random", "random_correlation"),
        ("of effect", "effect_correlation"),
        ("drop", "drop"),
        ("dealt anew", "dealt_drop"),
        ("random", "random_drop"),
    )
    rows = []
    for name, chosen in _rows(layers):

        def cell(score: str, chosen: Sequence[str] = chosen) -> str:
            return _shown(
                _by_picture(
                    pictures,
                    chosen,
                    lambda scores: float(getattr(scores.ablation[clusterer], score)),
                ),
                2,
            )

        n_ranked = sum(
            not np.isnan(picture.layers[layer].ablation[clusterer].correlation)
            for picture in pictures
            for layer in chosen
            if layer in picture.layers
        )
        rows.append([name, *(cell(score) for _, score in columns), str(n_ranked)])
    title = (
        f"Ablation of {cluster_method(clusterer)}: Spearman's correlation of weight and drop of "
        f"the logit (where there are {MIN_CLUSTERS} clusters or more), and the drop"
    )
    return _table(title, ["layer", *(head for head, _ in columns), "ranked"], rows)


def _maps(
    pictures: Sequence[PictureScores],
    layers: Sequence[str],
    clusterers: Sequence[str],
    measure: str,
    title: str,
) -> str:
    ours = cluster_method(clusterers[0])

    def values(method: str, chosen: Sequence[str]) -> NDArray[np.float64]:
        return _by_picture(
            pictures, chosen, lambda scores: float(getattr(scores.maps[method], measure))
        )

    rows = []
    for method in _methods(pictures, "maps"):
        cells = [_shown(values(method, chosen)) for _, chosen in _rows(layers)]
        difference = values(ours, layers) - values(method, layers)
        rows.append([method, *cells, "" if method == ours else _shown(difference)])
    heads = ["method", *(name for name, _ in _rows(layers)), f"{ours} minus it"]
    return _table(title, heads, rows)


def _cascade(pictures: Sequence[PictureScores], layers: Sequence[str]) -> str:
    shares = next(picture.randomised for picture in pictures if picture.layers)

    def cell(method: str, state: int) -> str:
        return _shown(
            _by_picture(pictures, layers, lambda scores: scores.cascade[method][state]), 2
        )

    rows = [
        [method, *(cell(method, state) for state in range(len(shares)))]
        for method in _methods(pictures, "cascade")
    ]
    title = (
        "Weights randomised from the logits down: Spearman's correlation with the original map, "
        "by share of the network randomised, all layers; near 0 is good"
    )
    return _table(title, ["method", *(f"{100 * share:.0f} %" for share in shares)], rows)


def _rows(layers: Sequence[str]) -> list[tuple[str, Sequence[str]]]:
    each: list[tuple[str, Sequence[str]]] = [(f"`{layer}`", [layer]) for layer in layers]
    return [*each, ("all layers", layers)] if len(layers) > 1 else each


def _methods(pictures: Iterable[PictureScores], what: str) -> list[str]:
    first = next(scores for picture in pictures for scores in picture.layers.values())
    return list(getattr(first, what))


def _by_picture(
    pictures: Sequence[PictureScores], layers: Sequence[str], read: Callable[[LayerScores], float]
) -> NDArray[np.float64]:
    """The mean over the chosen layers of each picture, [n]; NaN where none has a value."""
    means = []
    for picture in pictures:
        values = [read(picture.layers[layer]) for layer in layers if layer in picture.layers]
        known = [value for value in values if not np.isnan(value)]
        means.append(sum(known) / len(known) if known else float("nan"))
    return np.array(means)


def _shown(values: NDArray[np.float64], decimals: int = 3) -> str:
    mean, low, high = interval(values)
    if np.isnan(mean):
        return "–"
    if np.isnan(low):
        return f"{mean:.{decimals}f}"
    return f"{mean:.{decimals}f} ({low:.{decimals}f} to {high:.{decimals}f})"


def _table(title: str, heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [f"{title}.", "", f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
    lines += [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join(lines)
