"""What is saved when a map stops once its concepts have settled, and what does it cost?

Simulated players play the cluster maps of picture-book pictures pass by pass, a round on each map,
as dealing does; a fifth of them are careless or spiteful. Of the same rounds,

- fixed: every map gets `rules.WANTED_ROUNDS`;
- settled: after each pass concepts are made and scored, and a map that has settled by the numbers
  in app/rules.py gets no more, unless it opens again;
- fixed, as few: every map gets as many as settling needs on average, so that it is told what the
  rule adds to merely playing less.

A map is named right when its first concept is a word of the part with the most of its energy. The
numbers of the rule were chosen on pictures of seed 11; the script reports others.

    python benchmarks/settling.py --seed 12
"""

import argparse
import sys
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scores import N_PLAYERS, Part, explain, is_right, make_crowd, true_part
from truth import (
    Case,
    Game,
    KnownMap,
    MapKey,
    Said,
    interval,
    known_maps,
    look_at_all,
    n_mash,
    one_thread,
    play_round,
    practise,
    score,
    shown,
)

from app import rules
from app.concepts import (
    ConceptScore,
    PlayerRecord,
    TypedLabel,
    get_recipe,
    get_score,
    has_settled,
    load_embedder,
)
from app.explain import load_network
from app.picturebook.datasets import recipes
from app.picturebook.networks import BIASED_NETWORK, FAIR_NETWORK
from app.picturebook.players import Sight, SimulatedPlayer
from app.picturebook.world import CLASSES

CARELESS = 0.2
RECIPE = "layerplay"

Scores = Mapping[MapKey, Sequence[ConceptScore[str]]]


@dataclass(frozen=True)
class Turn:
    """A round that somebody played. record: what it tells of its player, practice before it
    included. class_name: of the picture."""

    key: MapKey
    who: int
    record: PlayerRecord
    class_name: str
    said: Sequence[Said]


@dataclass(frozen=True)
class Outcome:
    """A map at the end: the picture it is of, the rounds it had, and whether its first concept is
    right; by the way to stop."""

    picture: int
    n_rounds: Mapping[str, int]
    right: Mapping[str, bool]


class CachedEmbedder:
    """Sentence-BERT that embeds each text once: the words of a pass are those of the next."""

    def __init__(self) -> None:
        self._embed = load_embedder()
        self.name = self._embed.name
        self._rows: dict[str, NDArray[np.float32]] = {}

    def __call__(self, texts: Sequence[str]) -> NDArray[np.float32]:
        new = [text for text in dict.fromkeys(texts) if text not in self._rows]
        if new:
            self._rows.update(zip(new, self._embed(new), strict=True))
        return np.stack([self._rows[text] for text in texts])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=int, default=3, help="of each class")
    parser.add_argument("--seed", type=int, default=12)
    options = parser.parse_args()
    with ProcessPoolExecutor(2, mp_context=get_context("spawn"), initializer=one_thread) as pool:
        found = list(pool.map(partial(measure, options=options), (FAIR_NETWORK, BIASED_NETWORK)))
    # A picture of one network is not that of the other.
    print(*table([outcomes for of_network in found for outcomes in of_network]), sep="\n")


def measure(path: Path, *, options: argparse.Namespace) -> list[list[Outcome]]:
    """The maps of each picture of a network."""
    network = load_network(path, device="cpu")
    wanted = recipes("test", n=options.pictures * len(CLASSES), seed=options.seed, bias=True)
    cases = [explain(network, recipe) for recipe in wanted]
    sights = look_at_all(cases)
    rng = np.random.default_rng([options.seed, 0])
    passes = list(play(cases, sights, make_crowd(CARELESS, rng), rng))
    print(f"{path.stem}: {len(sights)} maps played", file=sys.stderr)
    embed = CachedEmbedder()
    ends = {"fixed": stop_at(passes, rules.WANTED_ROUNDS), "settled": settle(passes, embed)}
    n_rounds = round(len(ends["settled"]) / len(sights))
    ends["fixed, as few"] = stop_at(passes, n_rounds)
    played = {way: Counter(turn.key for turn in turns) for way, turns in ends.items()}
    scored = {way: score_turns(turns, embed) for way, turns in ends.items()}
    pictures: dict[int, list[Outcome]] = defaultdict(list)
    for key in sights:
        number, layer, rank = key
        part = true_part(cases[number], cases[number].clusters[layer][rank].map)
        pictures[number].append(
            Outcome(
                number,
                {way: of[key] for way, of in played.items()},
                {way: named(scores.get(key, ()), part) for way, scores in scored.items()},
            )
        )
    return list(pictures.values())


def play(
    cases: Sequence[Case],
    sights: Mapping[MapKey, Sequence[Sight]],
    crowd: Sequence[SimulatedPlayer],
    rng: np.random.Generator,
) -> Iterator[list[Turn]]:
    """Pass after pass, on each map by somebody who has not played it."""
    known = known_maps(cases, sights)
    order = {key: rng.permutation(N_PLAYERS)[: rules.WANTED_ROUNDS] for key in sights}
    newcomers = set(range(N_PLAYERS))
    for number in range(rules.WANTED_ROUNDS):
        turns = []
        for key, seen in sights.items():
            who = int(order[key][number])
            is_due = who in newcomers or rng.integers(rules.PRACTICE_ONE_IN) == 0
            newcomers.discard(who)
            practised = known if is_due else []
            turns.append(take_turn(crowd[who], who, key, cases[key[0]], seen, practised, rng))
        yield turns


def take_turn(
    player: SimulatedPlayer,
    who: int,
    key: MapKey,
    case: Case,
    seen: Sequence[Sight],
    known: Sequence[KnownMap],
    rng: np.random.Generator,
) -> Turn:
    """A round, after one for practice on one of the known maps, if there are any."""
    record = PlayerRecord()
    if known:
        record = practise(player, known[int(rng.integers(len(known)))], record, rng)
    guess, reveal_index = play_round(player, seen, case.class_name, rng)
    if guess is None:
        return Turn(key, who, record, case.class_name, ())
    right = guess.class_name == case.class_name
    said = [
        Said(TypedLabel(text, guess.class_name, key), key, who, reveal_index, right)
        for text in guess.labels
    ]
    return Turn(
        key,
        who,
        added(record, PlayerRecord(1, int(right), n_mash=n_mash(guess))),
        case.class_name,
        said,
    )


def added(a: PlayerRecord, b: PlayerRecord) -> PlayerRecord:
    return PlayerRecord(
        a.n_guesses + b.n_guesses,
        a.n_right + b.n_right,
        a.n_practice + b.n_practice,
        a.n_named + b.n_named,
        a.n_mash + b.n_mash,
    )


# --- when to stop


def stop_at(passes: Sequence[Sequence[Turn]], n_rounds: int) -> list[Turn]:
    return [turn for turns in passes[:n_rounds] for turn in turns]


def settle(passes: Sequence[Sequence[Turn]], embed: CachedEmbedder) -> list[Turn]:
    """The rounds that are played when maps stop as soon as they have settled."""
    played: list[Turn] = []
    settled: Collection[MapKey] = ()
    for turns in passes:
        played += [turn for turn in turns if turn.key not in settled]
        n_rounds = Counter(turn.key for turn in played)
        settled = {
            key
            for key, scores in score_turns(played, embed).items()
            if has_settled(
                scores,
                n_rounds=n_rounds[key],
                min_rounds=rules.SETTLED_MIN_ROUNDS,
                min_given=rules.SETTLED_MIN_GIVEN,
                max_rival=rules.SETTLED_MAX_RIVAL,
            )
        }
    return played


def score_turns(turns: Sequence[Turn], embed: CachedEmbedder) -> Scores:
    """What the concepts job makes of these rounds."""
    game = Game(defaultdict(list), [PlayerRecord() for _ in range(N_PLAYERS)])
    for turn in turns:
        game.said[turn.class_name] += turn.said
        game.records[turn.who] = added(game.records[turn.who], turn.record)
    return score(game, get_recipe(RECIPE), get_score(RECIPE), embed)


def named(scores: Sequence[ConceptScore[str]], part: Part) -> bool:
    return is_right({one.concept: one.score for one in scores}, part)


# --- the table


def table(pictures: Sequence[Sequence[Outcome]]) -> list[str]:
    rng = np.random.default_rng(0)
    sizes = np.array([len(maps) for maps in pictures], float)
    ways = tuple(pictures[0][0].n_rounds)
    rounds = {
        way: np.array([sum(one.n_rounds[way] for one in maps) for maps in pictures], float)
        for way in ways
    }
    right = {
        way: np.array([sum(one.right[way] for one in maps) for maps in pictures], float)
        for way in ways
    }

    def mean(sums: NDArray[np.float64]) -> tuple[float, float, float]:
        return interval(
            lambda chosen: float(sums[chosen].sum() / sizes[chosen].sum()), len(sizes), rng
        )

    lines = [
        f"{int(sizes.sum())} maps of {len(pictures)} pictures; 95 % bootstrap intervals over "
        "pictures.",
        "",
        "| | rounds per map | rounds saved, % | named right, % | points more than fixed |",
        "|---|---|---|---|---|",
    ]
    for way in ways:
        saved = 100 * (1 - rounds[way] / rules.WANTED_ROUNDS / sizes) * sizes
        cells = [
            shown(mean(rounds[way]), 1),
            shown(mean(saved), 1),
            shown(mean(100 * right[way]), 1),
            shown(mean(100 * (right[way] - right["fixed"])), 1),
        ]
        lines.append(f"| {way} | {' | '.join(cells)} |")
    return lines


if __name__ == "__main__":
    main()
