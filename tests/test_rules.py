"""The game's numbers: what follows from them."""

from uuid import UUID

from app import rules

PLAYERS = [UUID(int=n) for n in range(1, 201)]
STUDY, OTHER_STUDY = UUID(int=7), UUID(int=8)


def practice_rounds(player: UUID, study: UUID = STUDY, *, n: int = 80) -> list[int]:
    return [
        number
        for number in range(1, n + 1)
        if rules.is_practice_round(player_id=player, study_id=study, number=number)
    ]


def test_the_first_round_is_practice_for_everybody() -> None:
    assert all(practice_rounds(player)[0] == 1 for player in PLAYERS)


def test_later_about_one_round_in_eight_is() -> None:
    """200 players with 79 later rounds each: 15,800 draws, of which 1,975 are expected and, by
    three standard deviations (41.6 each), 1,850 to 2,100."""
    n_later = sum(len(practice_rounds(player)) - 1 for player in PLAYERS)
    assert 1850 < n_later < 2100


def test_which_they_are_differs_by_player_and_by_study_and_stays() -> None:
    drawn = [practice_rounds(player) for player in PLAYERS]
    assert len({tuple(numbers) for numbers in drawn}) == len(PLAYERS)
    assert practice_rounds(PLAYERS[0]) == drawn[0]
    assert practice_rounds(PLAYERS[0], OTHER_STUDY) != drawn[0]


def test_the_documented_example() -> None:
    drawn = {p: practice_rounds(UUID(int=p), n=40) for p in (1, 2)}
    assert drawn == {1: [1, 7, 9, 13, 18, 25, 27, 35], 2: [1, 2, 15, 16, 29, 31, 38]}


def test_one_practice_round_says_nothing_of_the_next() -> None:
    """Of the rounds after a practice round one in eight is practice too, as of any others."""
    after = [
        number + 1 in numbers
        for numbers in map(practice_rounds, PLAYERS)
        for number in numbers
        if number < 80
    ]
    assert 0.10 < sum(after) / len(after) < 0.15
