"""Does an explanation name what the network uses? In the picture book the truth is known.

For the fair and the biased network of the picture book, on scenes that neither was trained on:
(a) localisation: the share of each cluster map's energy inside its best part, weighted by cluster
    weight, against Grad-CAM on the same layer (pytorch-grad-cam) and against random groups of as
    many channels;
(b) naming: is a map's top concept, found by 50 simulated players of mixed skill, a word of the
    part with the most of its energy;
(c) the bias found: which concept carries the most weight in the last layers for the tied class.
(b) and (c) are played by several crews of players, each apart from the others, for which 50 one
draws makes a difference of points.

    python benchmarks/truth.py
"""

import argparse
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain
from multiprocessing import get_context
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

from app.concepts import (
    ConceptScore,
    Embedder,
    GivenConcept,
    PlayerRecord,
    Score,
    TypedLabel,
    best_concepts,
    get_recipe,
    get_score,
    load_embedder,
    tidy_label,
)
from app.concepts import Recipe as ConceptRecipe
from app.concepts.junk import holds_mash
from app.explain import ClusterMap, Network, load_network
from app.explain.clusters import get_clusterer, make_cluster_maps, prune_channels
from app.explain.faithfulness import energy_shares, random_group_maps
from app.explain.features import compute_features
from app.explain.render import masked_picture
from app.models import KnownAnswer
from app.picturebook.datasets import TIED, TIED_TO_MARK, TIED_TO_WATER, recipes
from app.picturebook.networks import BIASED_NETWORK, EXPLAINED_LAYERS, FAIR_NETWORK
from app.picturebook.players import Guess, Reveal, Sight, SimulatedPlayer, draw_traits, see
from app.picturebook.scenes import Recipe, Scene, draw_scene
from app.picturebook.truth import region_shares
from app.picturebook.words import accepted, names
from app.picturebook.world import CLASSES, CUES
from app.rules import (
    KNOWN_ANSWER_MIN_ENERGY_SHARE,
    KNOWN_ANSWER_MIN_LIT_SHARE,
    LAST_REVEAL_INDEX,
    PRACTICE_ONE_IN,
    REVEAL_PERCENTS,
)
from app.services import practice

SIDE = 256  # of the pictures that the simulated players see
N_RANDOM_GROUPS = 10
N_RESAMPLES = 2000

METHODS = ("cluster maps", "Grad-CAM", "random channels", "random kept channels")
"""Random groups have as many channels as the cluster they stand for: drawn from all channels of the
layer, which have no say in their weight and are merged evenly; or from those that pruning kept, and
merged by their weights, so that they differ from clusters in the grouping alone."""

MapKey = tuple[int, str, int]
"""Number of the picture, layer, rank of the cluster map."""

Concepts = dict[MapKey, list[ConceptScore[str]]]
"""What a crew says that each map shows, the first concept first."""

_T = TypeVar("_T")


@dataclass(frozen=True)
class Case:
    """One explained picture. located: by layer the energy share of the best part, 0..1, for each of
    METHODS."""

    scene: Scene
    clusters: dict[str, tuple[ClusterMap, ...]]
    located: dict[str, dict[str, float]] = field(default_factory=dict)

    @property
    def class_name(self) -> str:
        return self.scene.recipe.class_name


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, default=6, help="of each class")
    parser.add_argument("--tied", type=int, default=20, help="of each tied class, for the bias")
    parser.add_argument("--players", type=int, default=50, help="of each crew")
    parser.add_argument("--crews", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=50, help="played on each cluster map")
    parser.add_argument("--clusterer", default="fast")
    parser.add_argument("--recipe", default="layerplay", help="by which labels become concepts")
    parser.add_argument("--score", help="by which concepts are scored; that of the recipe")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="file for the tables; else they are only printed")
    options = parser.parse_args()

    # A process for each: their work is small arrays, of which one thread is enough.
    with ProcessPoolExecutor(2, mp_context=get_context("spawn"), initializer=one_thread) as pool:
        sections = pool.map(
            partial(section, options=options),
            ("Fair network", "Biased network"),
            (FAIR_NETWORK, BIASED_NETWORK),
        )
        report = "\n".join(sections)
    print(report)
    if options.out:
        options.out.write_text(report)


def one_thread() -> None:
    torch.set_num_threads(1)


def section(title: str, path: Path, *, options: argparse.Namespace) -> str:
    """All three tables of one network."""
    network = load_network(path, device="cpu")
    rng = np.random.default_rng(options.seed)
    # Both networks see the same pictures: those of the biased world, where the cues are.
    n_wanted = max(options.pictures, options.tied) * len(CLASSES)
    wanted = recipes("test", n=n_wanted, seed=options.seed, bias=True)
    n_of_all = options.pictures * len(CLASSES)
    cases = [
        explain(network, recipe, options.clusterer, rng)
        for recipe in progress(
            title,
            wanted[:n_of_all] + [r for r in wanted[n_of_all:] if r.class_name in TIED],
        )
    ]
    sights = look_at_all(cases)
    crews = [
        play_and_score(cases, sights, options, np.random.default_rng([options.seed, crew]))
        for crew in progress(f"{title}: crews", range(options.crews))
    ]
    of_all = cases[:n_of_all]
    return "\n".join(
        [
            *(f"## {title}", ""),
            *localisation_table(of_all, rng),
            "",
            *naming_table(of_all, crews, rng),
            "",
            *bias_table(cases, crews, rng),
            "",
        ]
    )


def progress(what: str, wanted: Sequence[_T]) -> Iterable[_T]:
    for i, one in enumerate(wanted):
        if i % 10 == 0:
            print(f"{what}: {i} of {len(wanted)}", file=sys.stderr, flush=True)
        yield one


def play_and_score(
    cases: Sequence[Case],
    sights: Mapping[MapKey, Sequence[Sight]],
    options: argparse.Namespace,
    rng: np.random.Generator,
) -> Concepts:
    """The concepts of every cluster map by one crew of players."""
    players = [SimulatedPlayer(draw_traits(rng)) for _ in range(options.players)]
    game = play(cases, players, options.rounds, sights, rng)
    return score(
        game,
        get_recipe(options.recipe),
        get_score(options.score or options.recipe),
        load_embedder(),
    )


# --- explaining, with the peers on the same layer


def explain(network: Network, recipe: Recipe, clusterer: str, rng: np.random.Generator) -> Case:
    scene = draw_scene(recipe)
    image = network.preprocess(scene.picture)
    features = compute_features(
        network.module,
        image,
        choose_target=lambda logits: int(logits.argmax()),
        layers=EXPLAINED_LAYERS,
    )
    case = Case(scene, {})
    masks = candidate_masks(scene)
    for layer in features.layers:
        percent = layer.percent
        kept = prune_channels(percent)
        clusters = make_cluster_maps(
            layer.maps_of(kept),
            percent,
            kept,
            clusterer=get_clusterer(clusterer),
            seed=0,
        )
        case.clusters[layer.name] = clusters
        if not clusters:
            continue
        groups = {
            "random channels": (layer.maps, np.ones(len(layer.maps))),
            "random kept channels": (layer.maps_of(kept), percent[kept]),
        }
        found = {"cluster maps": [best_share(cluster.map, masks) for cluster in clusters]}
        for method, (maps, weights) in groups.items():
            found[method] = [
                np.mean(
                    [
                        best_share(one, masks)
                        for one in random_group_maps(
                            maps, weights, len(cluster.channels), n_groups=N_RANDOM_GROUPS, rng=rng
                        )
                    ]
                )
                for cluster in clusters
            ]
        weights = [cluster.weight for cluster in clusters]
        located = {
            method: float(np.average(shares, weights=weights)) for method, shares in found.items()
        }
        with GradCAM(network.module, [network.module.get_submodule(layer.name)]) as grad_cam:
            cam = grad_cam(image[None], [ClassifierOutputTarget(features.target)])[0]
        case.located[layer.name] = {**located, "Grad-CAM": best_share(cam, masks)}
    return case


def candidates(scene: Scene) -> list[str]:
    """The parts of the scene's class, and the cues in it: what an explanation may rightly name."""
    return [*scene.parts, *(cue for cue in CUES if scene.mask(cue).any())]


def candidate_masks(scene: Scene) -> NDArray[np.bool_]:
    return np.stack([scene.mask(region) for region in candidates(scene)])


def best_share(cluster_map: NDArray[np.floating], masks: NDArray[np.bool_]) -> float:
    return float(energy_shares(cluster_map, masks).max())


# --- the game, with the very rules and functions of the real one


@dataclass(frozen=True)
class Said:
    """A label that a player typed, for which map, and with what guess."""

    label: TypedLabel
    key: MapKey
    who: int
    reveal_index: int
    right: bool


@dataclass(frozen=True)
class Game:
    """What was typed, by class of the picture, and how each player did."""

    said: dict[str, list[Said]]
    records: list[PlayerRecord]


def play(
    cases: Sequence[Case],
    players: Sequence[SimulatedPlayer],
    n_rounds: int,
    sights: Mapping[MapKey, Sequence[Sight]],
    rng: np.random.Generator,
) -> Game:
    """So many of the players play each cluster map, each map by others.

    As in a study, a player's first round is for practice, on a map with a known answer, and so is
    about one in PRACTICE_ONE_IN after it.
    """
    known = known_maps(cases, sights)
    game = Game(defaultdict(list), [PlayerRecord() for _ in players])
    for key, seen in sights.items():
        class_name = cases[key[0]].class_name
        for who in rng.choice(len(players), size=n_rounds, replace=False):
            record = game.records[who]
            if known and (not record.n_practice or rng.integers(PRACTICE_ONE_IN) == 0):
                record = practise(players[who], known[int(rng.integers(len(known)))], record, rng)
            guess, reveal_index = play_round(players[who], seen, class_name, rng)
            right = guess is not None and guess.class_name == class_name
            game.records[who] = replace(
                record,
                n_guesses=record.n_guesses + (guess is not None),
                n_right=record.n_right + right,
                n_mash=record.n_mash + n_mash(guess),
            )
            if guess is not None:
                game.said[class_name] += [
                    Said(
                        TypedLabel(text, guess.class_name, key), key, int(who), reveal_index, right
                    )
                    for text in guess.labels
                ]
    return game


def n_mash(guess: Guess | None) -> int:
    """How many labels are keys hit at random, as a guess in a study is remarked on."""
    return sum(holds_mash(tidy_label(text) or "") for text in guess.labels) if guess else 0


def look_at_all(cases: Sequence[Case]) -> dict[MapKey, list[Sight]]:
    return {
        (number, layer, rank): look(case.scene, cluster)
        for number, case in enumerate(cases)
        for layer, clusters in case.clusters.items()
        for rank, cluster in enumerate(clusters)
    }


def given_concepts(
    game: Game, recipe: ConceptRecipe, embed: Embedder
) -> list[list[GivenConcept[MapKey, str]]]:
    """What was said as concepts, class by class."""
    return [
        [
            GivenConcept(one.key, (one.key, one.who), concept, one.reveal_index, one.right, one.who)
            for concept, one in zip(
                recipe([one.label for one in said], embed=embed), said, strict=True
            )
            if concept is not None
        ]
        for said in game.said.values()
    ]


def score(game: Game, recipe: ConceptRecipe, score_class: Score, embed: Embedder) -> Concepts:
    """The concepts of every cluster map."""
    records = dict(enumerate(game.records))
    scores: Concepts = {}
    for given in given_concepts(game, recipe, embed):
        scores |= score_class(given, players=records)
    return scores


@dataclass(frozen=True)
class KnownMap:
    """A map for practice, whose answer is beyond doubt."""

    class_name: str
    sights: Sequence[Sight]
    answer: KnownAnswer


def known_maps(cases: Sequence[Case], sights: Mapping[MapKey, Sequence[Sight]]) -> list[KnownMap]:
    """By the rules of app/rules.py: enough of the energy in one region, which is most of what is
    lit at every step."""
    known = []
    for key, steps in sights.items():
        number, layer, rank = key
        case = cases[number]
        cluster = case.clusters[layer][rank]
        region, share = next(iter(region_shares(cluster.map, case.scene.region_map).items()))
        if share > KNOWN_ANSWER_MIN_ENERGY_SHARE and all(is_mostly(one, region) for one in steps):
            words = sorted(accepted(case.class_name, region))
            answer = KnownAnswer(region=region, words=words, energy_share=share)
            known.append(KnownMap(case.class_name, steps, answer))
    return known


def is_mostly(sight: Sight, region: str) -> bool:
    return any(
        seen.region == region and seen.share_of_lit > KNOWN_ANSWER_MIN_LIT_SHARE
        for seen in sight.regions
    )


def practise(
    player: SimulatedPlayer, known: KnownMap, record: PlayerRecord, rng: np.random.Generator
) -> PlayerRecord:
    """The player's record after one practice round."""
    guess, _ = play_round(player, known.sights, known.class_name, rng)
    named = guess is not None and practice.judge(
        guess.labels, known.answer, class_name=guess.class_name
    )
    return replace(record, n_practice=record.n_practice + 1, n_named=record.n_named + named)


def look(scene: Scene, cluster: ClusterMap) -> list[Sight]:
    """What there is to see at each step of the reveal ladder."""
    picture = scene.picture.resize((SIDE, SIDE))
    step = len(scene.region_map) // SIDE
    region_map = scene.region_map[step // 2 :: step, step // 2 :: step]
    return [
        see(np.asarray(masked_picture(picture, cluster.map, percent=percent)), region_map)
        for percent in REVEAL_PERCENTS
    ]


def play_round(
    player: SimulatedPlayer, sights: Sequence[Sight], class_name: str, rng: np.random.Generator
) -> tuple[Guess | None, int]:
    """The guess, None for a resignation, and the reveal index at which it came."""
    for index in range(LAST_REVEAL_INDEX + 1):
        decision = player.decide(sights[: index + 1], list(CLASSES), rng, class_name=class_name)
        if not isinstance(decision, Reveal):
            return (decision if isinstance(decision, Guess) else None), index
    return None, LAST_REVEAL_INDEX


# --- tables


def localisation_table(cases: Sequence[Case], rng: np.random.Generator) -> list[str]:
    lines = [
        "Localisation: share of the energy inside the best part, in percent, and how many times",
        "that of random groups it is; mean over pictures with its 95 % interval.",
        "",
        f"| layer | {' | '.join(METHODS)} | / random | / random kept |",
        "|---|---|---|---|---|---|---|",
    ]
    for layer in cases[0].clusters:
        located = [case.located[layer] for case in cases if layer in case.located]
        values = {method: np.array([one[method] for one in located]) for method in METHODS}
        columns = [percent_of(values[method], rng) for method in METHODS]
        for method in ("random channels", "random kept channels"):
            ours, other = values["cluster maps"], values[method]
            times = interval(
                lambda chosen, a=ours, b=other: float(a[chosen].mean() / b[chosen].mean()),
                len(located),
                rng,
            )
            columns.append(shown(times, 2))
        lines.append(f"| `{layer}` | {' | '.join(columns)} |")
    return lines


def naming_table(
    cases: Sequence[Case], crews: Sequence[Concepts], rng: np.random.Generator
) -> list[str]:
    lines = [
        "Naming: share of the cluster maps whose top concept is a word of the part with the most",
        "of their energy, in percent; of all maps, and of those with more than so much of it.",
        "",
        "| layer | maps | all | over 40 % | over 60 % | by crew |",
        "|---|---|---|---|---|---|",
    ]
    keys = [
        (number, layer, rank)
        for number, case in enumerate(cases)
        for layer, clusters in case.clusters.items()
        for rank in range(len(clusters))
    ]
    judged = [
        [
            judge(
                cases[number],
                cases[number].clusters[layer][rank],
                crew.get((number, layer, rank), ()),
            )
            for number, layer, rank in keys
        ]
        for crew in crews
    ]
    shares = np.array([share for share, _ in judged[0]])
    named = np.array([[named for _, named in one] for one in judged], float)
    pictures = np.array([number for number, _, _ in keys])
    layers = np.array([layer for _, layer, _ in keys])
    for wanted in [*cases[0].clusters, None]:
        here = layers == wanted if wanted else np.ones(len(keys), bool)
        columns = []
        for least in (0.0, 0.4, 0.6):
            rows = here & (shares > least)
            columns.append(
                percent_by_crew(named[:, rows], pictures[rows], rng) if rows.any() else "–"
            )
        by_crew = ", ".join(f"{100 * one:.0f}" for one in sorted(named[:, here].mean(axis=1)))
        name = f"`{wanted}`" if wanted else "all"
        lines.append(f"| {name} | {here.sum()} | {' | '.join(columns)} | {by_crew} |")
    return lines


def judge(
    case: Case, cluster: ClusterMap, scores: Sequence[ConceptScore[str]]
) -> tuple[float, bool]:
    """The energy share of the map's best part, and whether the map's scores name it first."""
    part, share = best_part(case, cluster)
    best = best_concepts(scores)
    named = bool(best) and names(best[0], class_name=case.class_name, region=part)
    return share, named


def best_part(case: Case, cluster: ClusterMap) -> tuple[str, float]:
    """The part with the most of a map's energy, and its share."""
    shares = energy_shares(cluster.map, candidate_masks(case.scene))
    return candidates(case.scene)[int(shares.argmax())], float(shares.max())


def bias_table(
    cases: Sequence[Case], crews: Sequence[Concepts], rng: np.random.Generator
) -> list[str]:
    lines = [
        "The planted cue: per layer, the heaviest concepts of the tied class over all its pictures",
        "and crews (share of the layer's weight), and in how many pictures the cue is named first.",
        "By energy: in how many the maps with most of their energy in the cue weigh most, which no",
        "player has a hand in.",
        "",
        "| class | cue | layer | heaviest concepts | cue first, % | by crew | by energy, % |",
        "|---|---|---|---|---|---|---|",
    ]
    for class_name, cue in ((TIED_TO_WATER, "water"), (TIED_TO_MARK, "mark")):
        numbers = [i for i, case in enumerate(cases) if case.class_name == class_name]
        for layer in cases[0].clusters:
            weighed = [
                [concept_weights(cases[i], i, layer, concepts) for i in numbers]
                for concepts in crews
            ]
            whole: dict[str, float] = defaultdict(float)
            for weights in chain.from_iterable(weighed):
                for name, weight in weights.items():
                    whole[name] += weight / len(numbers) / len(crews)
            heaviest = sorted(whole.items(), key=lambda item: -item[1])[:3]
            listed = ", ".join(f"{name} {weight:.0f} %" for name, weight in heaviest)
            first = np.array(
                [
                    [
                        bool(weights)
                        and names(
                            max(weights, key=weights.__getitem__), class_name=class_name, region=cue
                        )
                        for weights in by_picture
                    ]
                    for by_picture in weighed
                ],
                float,
            )
            found = percent_by_crew(first, np.arange(len(numbers)), rng)
            by_crew = ", ".join(f"{100 * one:.0f}" for one in sorted(first.mean(axis=1)))
            by_energy = percent_of(
                np.array([heaviest_part(cases[i], layer) == cue for i in numbers], float), rng
            )
            lines.append(
                f"| {class_name} | {cue} | `{layer}` | {listed} | {found} | {by_crew} "
                f"| {by_energy} |"
            )
    return lines


def heaviest_part(case: Case, layer: str) -> str | None:
    """The part whose maps weigh most, each map that of most of its energy; None without maps."""
    weights: dict[str, float] = defaultdict(float)
    for cluster in case.clusters[layer]:
        weights[best_part(case, cluster)[0]] += cluster.weight
    return max(weights, key=weights.__getitem__, default=None)


def concept_weights(case: Case, number: int, layer: str, concepts: Concepts) -> dict[str, float]:
    """Each map's weight, in percent of the layer's kept maps, given to its best concepts."""
    clusters = case.clusters[layer]
    total = sum(cluster.weight for cluster in clusters)
    weights: dict[str, float] = defaultdict(float)
    for rank, cluster in enumerate(clusters):
        best = best_concepts(concepts.get((number, layer, rank), ()))
        for name in best:
            weights[name] += 100 * cluster.weight / total / len(best)
    return dict(weights)


# --- figures with intervals


def interval(
    statistic: Callable[[NDArray[np.intp]], float], n: int, rng: np.random.Generator
) -> tuple[float, float, float]:
    """A statistic of n pictures with its 95 % bootstrap interval (Efron 1979)."""
    drawn = [statistic(rng.integers(0, n, n)) for _ in range(N_RESAMPLES)]
    low, high = np.percentile(drawn, [2.5, 97.5])
    return statistic(np.arange(n)), float(low), float(high)


def shown(found: tuple[float, float, float], decimals: int) -> str:
    value, low, high = (f"{number:.{decimals}f}" for number in found)
    return f"{value} ({low} to {high})"


def percent_by_crew(
    values: NDArray[np.float64], pictures: NDArray[np.intp], rng: np.random.Generator
) -> str:
    """The mean of values [n_crews, n], each of a picture, in percent; its interval is that of
    crews and pictures drawn anew, each as a whole."""
    numbers, at = np.unique(pictures, return_inverse=True)
    sizes = np.bincount(at)
    sums = np.stack([np.bincount(at, row) for row in values])

    def mean(chosen: NDArray[np.intp]) -> float:
        crews = rng.integers(0, len(values), len(values))
        return 100 * float(sums[np.ix_(crews, chosen)].sum() / len(crews) / sizes[chosen].sum())

    _, low, high = interval(mean, len(numbers), rng)
    return shown((100 * float(values.mean()), low, high), 1)


def percent_of(values: NDArray[np.float64], rng: np.random.Generator) -> str:
    return shown(interval(lambda chosen: 100 * float(values[chosen].mean()), len(values), rng), 1)


if __name__ == "__main__":
    main()
