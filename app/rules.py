"""The game's numbers, each with its reason."""

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

MAX_LABELS_PER_ROUND = 5
"""More would be a list of guesses rather than what the player saw."""

LABELS_GATHER_S = 5
"""Seconds from a class's first new label to the job that makes its concepts anew: one job serves
all the labels that come in meanwhile."""


def guess_points(*, reveal_index: int, right: bool) -> int:
    """Points for a guess made at `reveal_index` (0 to 5). A wrong guess costs nothing: fear of
    losing points would make players wait for the last reveal."""
    return GUESS_POINTS[reveal_index] if right else 0
