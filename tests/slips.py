"""Words as fingers miss them, for tests and benchmarks."""

import random
import string


def with_a_slip(word: str, rng: random.Random) -> str:
    """The word with a letter left out, put in, taken for another, or swapped with the next."""
    at, letter = rng.randrange(len(word) - 1), rng.choice(string.ascii_lowercase)
    head, tail = word[:at], word[at:]
    swapped = tail[1] + tail[0] + tail[2:]
    return head + rng.choice([tail[1:], letter + tail, letter + tail[1:], swapped])
