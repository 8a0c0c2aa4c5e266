"""Which score finds what a map shows, when some players are careless?

Simulated players play the cluster maps of picture-book pictures; 0, 20 and 40 % of them are
careless or spiteful, half of each; 3, 5 and 10 of 50 play each map, and practise as in a study.
A score is right about a map when the concept that it puts first is a word of the part with the
most of the map's energy. Every score gets the same rounds:

- raw strings: what was typed, by frequency;
- paper: concepts by the paper's score;
- guess rate: concepts, each label weighted by its player's rate of right guesses;
- Dawid-Skene, one coin: crowd-kit's, a map a task, a concept an answer;
- layerplay: `score_by_skill`.

The constants of `layerplay` were chosen on pictures of seed 11; the script reports others.

    python benchmarks/scores.py --seed 12
"""

import argparse
import sys
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pandas as pd
from crowdkit.aggregation import OneCoinDawidSkene
from truth import (
    Case,
    Game,
    MapKey,
    candidate_masks,
    candidates,
    given_concepts,
    interval,
    look_at_all,
    one_thread,
    play,
)

from app.concepts import (
    Embedder,
    GivenConcept,
    PlayerRecord,
    get_recipe,
    get_score,
    load_embedder,
    tidy_label,
)
from app.explain import Network, load_network
from app.explain.clusters import get_clusterer, make_cluster_maps, prune_channels
from app.explain.faithfulness import energy_shares
from app.explain.features import compute_features
from app.picturebook.datasets import recipes
from app.picturebook.networks import BIASED_NETWORK, EXPLAINED_LAYERS, FAIR_NETWORK
from app.picturebook.players import CROWD, SimulatedPlayer, draw_traits_of
from app.picturebook.scenes import Recipe, draw_scene
from app.picturebook.words import names
from app.picturebook.world import CLASSES

CARELESS = ("careless", "spiteful")
CARELESS_SHARES = (0.0, 0.2, 0.4)
N_ROUNDS = (3, 5, 10)
N_PLAYERS = 50
METHODS = ("raw strings", "paper", "guess rate", "Dawid-Skene, one coin", "layerplay")

Scores = dict[MapKey, dict[str, float]]
Setting = tuple[float, int]
"""Share of careless players, rounds on each map."""


@dataclass(frozen=True)
class Part:
    """What a map shows: its class, and the part of the picture with most of its energy."""

    class_name: str
    region: str


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=int, default=3, help="of each class")
    parser.add_argument("--crowds", type=int, default=2, help="that play in each setting")
    parser.add_argument("--seed", type=int, default=12)
    options = parser.parse_args()
    with ProcessPoolExecutor(2, mp_context=get_context("spawn"), initializer=one_thread) as pool:
        found = list(pool.map(partial(measure, options=options), (FAIR_NETWORK, BIASED_NETWORK)))
    print(*table([one for of_network in found for one in of_network]), sep="\n")


def measure(
    path: Path, *, options: argparse.Namespace
) -> list[tuple[Setting, int, dict[str, bool]]]:
    """Per setting, crowd and map: the number of its picture, and which methods are right."""
    network = load_network(path, device="cpu")
    wanted = recipes("test", n=options.pictures * len(CLASSES), seed=options.seed, bias=True)
    cases = [explain(network, recipe) for recipe in wanted]
    truth = {
        (number, layer, rank): true_part(case, cluster.map)
        for number, case in enumerate(cases)
        for layer, clusters in case.clusters.items()
        for rank, cluster in enumerate(clusters)
    }
    sights = look_at_all(cases)
    embed = load_embedder()
    results = []
    for careless in CARELESS_SHARES:
        for n_rounds in N_ROUNDS:
            print(f"{path.stem}: {careless:.0%} careless, {n_rounds} rounds", file=sys.stderr)
            for crowd in range(options.crowds):
                rng = np.random.default_rng([options.seed, crowd, n_rounds, round(100 * careless)])
                game = play(cases, make_crowd(careless, rng), n_rounds, sights, rng)
                scores = score_all(game, embed)
                results += [
                    (
                        (careless, n_rounds),
                        key[0],
                        {name: is_right(scores[name].get(key, {}), part) for name in METHODS},
                    )
                    for key, part in truth.items()
                ]
    return results


def explain(network: Network, recipe: Recipe) -> Case:
    scene = draw_scene(recipe)
    features = compute_features(
        network.module,
        network.preprocess(scene.picture),
        choose_target=lambda logits: int(logits.argmax()),
        layers=EXPLAINED_LAYERS,
    )
    clusters = {}
    for layer in features.layers:
        kept = prune_channels(layer.percent)
        clusters[layer.name] = make_cluster_maps(
            layer.maps_of(kept), layer.percent, kept, clusterer=get_clusterer("fast"), seed=0
        )
    return Case(scene, clusters)


def true_part(case: Case, cluster_map: np.ndarray) -> Part:
    shares = energy_shares(cluster_map, candidate_masks(case.scene))
    return Part(case.class_name, candidates(case.scene)[int(shares.argmax())])


def make_crowd(careless: float, rng: np.random.Generator) -> list[SimulatedPlayer]:
    n_careless = round(careless * N_PLAYERS)
    others = [name for name in CROWD if name not in CARELESS]
    kinds = [[CARELESS[i % 2]] if i < n_careless else others for i in range(N_PLAYERS)]
    return [SimulatedPlayer(draw_traits_of(kind, rng)) for kind in kinds]


# --- the scores


def score_all(game: Game, embed: Embedder) -> dict[str, Scores]:
    classes = given_concepts(game, get_recipe("layerplay"), embed)
    records = dict(enumerate(game.records))
    found: dict[str, Scores] = {name: {} for name in METHODS}
    found["raw strings"] = raw_strings(game)
    for given in classes:
        found["guess rate"] |= by_guess_rate(given, records)
        found["Dawid-Skene, one coin"] |= by_one_coin(given)
        for name in ("paper", "layerplay"):
            scored = get_score(name)(given, players=records)
            found[name] |= {
                key: {one.concept: one.score for one in scores} for key, scores in scored.items()
            }
    return found


def raw_strings(game: Game) -> Scores:
    counts: dict[MapKey, Counter[str]] = defaultdict(Counter)
    for said in game.said.values():
        for one in said:
            if label := tidy_label(one.label.text):
                counts[one.key][label] += 1
    return {key: {label: float(n) for label, n in of.items()} for key, of in counts.items()}


def by_guess_rate(
    given: Sequence[GivenConcept[MapKey, str]], records: Mapping[int, PlayerRecord]
) -> Scores:
    scores: Scores = defaultdict(lambda: defaultdict(float))
    # A set, since a concept counts once per round.
    for one in set(given):
        record = records[one.player_id]
        rate = (record.n_right + 1) / (record.n_guesses + 2)
        scores[one.map_id][one.concept] += rate * (1 - one.reveal_index / 10)
    return scores


def by_one_coin(given: Sequence[GivenConcept[MapKey, str]]) -> Scores:
    rows = [(str(one.map_id), one.player_id, one.concept) for one in dict.fromkeys(given)]
    table = pd.DataFrame(rows, columns=["task", "worker", "label"])
    keys = {str(one.map_id): one.map_id for one in given}
    beliefs = OneCoinDawidSkene(n_iter=50).fit_predict_proba(table)
    return {keys[task]: dict(row) for task, row in beliefs.iterrows()}


def is_right(scores: Mapping[str, float], part: Part) -> bool:
    if not scores:
        return False
    first = min(scores, key=lambda concept: (-round(scores[concept], 9), concept))
    return names(first, class_name=part.class_name, region=part.region)


# --- the table


def table(results: Sequence[tuple[Setting, int, dict[str, bool]]]) -> list[str]:
    settings = [(careless, n) for n in N_ROUNDS for careless in CARELESS_SHARES]
    n_maps = sum(setting == settings[0] for setting, *_ in results)
    heads = [f"{n} labels, {careless:.0%}" for careless, n in settings]
    lines = [
        f"Right concept first, % of {n_maps} maps; columns: rounds on each map, careless players.",
        "",
        f"| | {' | '.join(heads)} | mean |",
        f"|---{'|---' * (len(heads) + 1)}|",
    ]
    for name in METHODS:
        shares = [
            100 * np.mean([right[name] for setting, _, right in results if setting == wanted])
            for wanted in settings
        ]
        cells = " | ".join(f"{share:.1f}" for share in (*shares, float(np.mean(shares))))
        lines.append(f"| {name} | {cells} |")
    pictures: dict[int, list[int]] = defaultdict(list)
    for _, number, right in results:
        pictures[number].append(int(right["layerplay"]) - int(right["guess rate"]))
    sums = np.array([sum(of) for of in pictures.values()], float)
    sizes = np.array([len(of) for of in pictures.values()], float)
    ahead, low, high = interval(
        lambda chosen: 100 * float(sums[chosen].sum() / sizes[chosen].sum()),
        len(sums),
        np.random.default_rng(0),
    )
    lines += [
        "",
        f"layerplay is {ahead:.1f} points ahead of guess rate; 95 % bootstrap interval over "
        f"pictures {low:.1f} to {high:.1f}.",
    ]
    return lines


if __name__ == "__main__":
    main()
