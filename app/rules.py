"""The game's numbers, each with its reason."""

from hashlib import blake2b
from uuid import UUID

REVEAL_PERCENTS: tuple[float, ...] = (2.0, 4.5, 8.0, 13.0, 20.0, 30.0)
"""Share of the picture that is lit at each reveal index, in percent (Bianchi et al. 2024, the Deep
Reveal game). A region this small hides the object's outline; at 30 % most people know it."""

LAST_REVEAL_INDEX = len(REVEAL_PERCENTS) - 1

GUESS_POINTS: tuple[int, ...] = (10, 8, 6, 5, 4, 3)
"""Points for a right guess at each reveal index. A guess from few pixels says most about what the
network's region shows, so it earns most; the last step still beats giving up."""

AGREEMENT_POINTS = 2
"""Points for a label that another player typed before for the same region. Two people who agree
without seeing each other's words have most likely seen the same thing."""

PRACTICE_POINTS = 2
"""Points for naming what a practice round shows, once a round. As much as a word that another
player confirms, for it is as sure to be seen there: practice is neither better paid nor worse."""

PRACTICE_ONE_IN = 8
"""After a player's first round in a study, which is practice where it can be, about one round in so
many is. Ten minutes of play, some twenty rounds, then hold three: enough to tell a player who
looks from one who does not, and little taken from the rounds that teach us something."""

KNOWN_ANSWER_MIN_ENERGY_SHARE = 0.6
"""An answer counts as known when more than this share (0..1) of a map's energy lies in one part of
the picture. With three fifths there, all other parts together cannot be what the map shows."""

KNOWN_ANSWER_MIN_LIT_SHARE = 0.5
"""And more than this share of what is lit, at every step of the reveal ladder, must be that region:
a player can only name what they are shown."""

MAX_LABELS_PER_ROUND = 5
"""More would be a list of guesses rather than what the player saw."""

LABELS_GATHER_S = 5
"""Seconds from a class's first new label to the job that makes its concepts anew: one job serves
all the labels that come in meanwhile."""


def is_practice_round(*, player_id: UUID, study_id: UUID, number: int) -> bool:
    """Whether a player's round in a study, counted from 1, is one for practice.

    The first is, since it shows how a round goes. The others are drawn, each by itself, so that no
    pattern gives one away before its answer. The draw is a digest keyed by the player's id, which
    no page shows: nobody outside can foretell it, and here it always comes out the same.
    """
    if number == 1:
        return True
    drawn = blake2b(f"{study_id}:{number}".encode(), key=player_id.bytes, digest_size=8).digest()
    return int.from_bytes(drawn, "big") % PRACTICE_ONE_IN == 0


def guess_points(*, reveal_index: int, right: bool) -> int:
    """Points for a guess made at `reveal_index` (0 to 5). A wrong guess costs nothing: fear of
    losing points would make players wait for the last reveal."""
    return GUESS_POINTS[reveal_index] if right else 0
