"""The game's numbers, each with its reason."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
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

CONFIRMED_POINTS = AGREEMENT_POINTS
"""Points for a label that another player's words confirm later, once for a label. As much as for
one that agrees at once: being early must not be worth less than being late."""

NOTHING_MIN_PLAYERS = 3
"""Players who must say that a map shows nothing nameable, and outnumber those who named something,
before that holds. Whoever says so earns what an agreeing label earns, and not before: a tick needs
no looking, so one other tick confirms nothing, and ticking on every map earns only where most
players who looked were at a loss too."""

FIRST_FINDER_POINTS = 5
"""Points for being the first to name what later holds. More than twice an agreement, for whoever is
first has nobody to agree with; less than a right guess from a quarter of the picture."""

FIRST_FINDER_MIN_PLAYERS = 3
"""Players, the first included, who must have typed a concept for a map before it holds. Two may be
friends who talk; three who name the same spot alike are what the method counts on."""

LESSON_MIN_PLAYERS = FIRST_FINDER_MIN_PLAYERS
"""Players who must have named a concept for a spot before a player is told that its layer sees it
there, or that most say so. As many as make a first finder's hold: one player's own word would only
be told back to them."""

PRACTICE_POINTS = 2
"""Points for naming what a practice round shows, once a round. As much as a word that another
player confirms, for it is as sure to be seen there: practice is neither better paid nor worse."""

INTRODUCTION_ROUNDS = 3
"""Rounds of practice in which a new player learns the game, each with one thing to learn: look and
say, ask for more light, use words that others would use. More than three things are read by nobody
who came to play, and three rounds take a minute and a half."""

PRACTICE_ONE_IN = 8
"""After a player's first round in a study, which is practice where it can be, about one round in so
many is. Ten minutes of play, some twenty rounds, then hold three: enough to tell a player who
looks from one who does not, and little taken from the rounds that teach us something."""

PRACTICE_CHOICE = 16
"""Known answers, next to one drawn at random, among which one about a new picture is looked for."""

KNOWN_ANSWER_MIN_ENERGY_SHARE = 0.6
"""An answer counts as known when more than this share (0..1) of a map's energy lies in one part of
the picture. With three fifths there, all other parts together cannot be what the map shows."""

KNOWN_ANSWER_MIN_LIT_SHARE = 0.5
"""And more than this share of what is lit, at every step of the reveal ladder, must be that region:
a player can only name what they are shown."""

WANTED_ROUNDS = 20
"""Finished rounds wanted per map unless its study says otherwise. With nine players in ten typing a
word or two, that is some thirty words: enough for what is named most to stand out."""

SETTLED_MIN_ROUNDS = 8
"""Finished rounds from which on a map may have settled before it has all that are wanted. With
fewer, the words of two or three players who were early decide."""

SETTLED_MIN_GIVEN = 3
"""Players who must have given its first concept, as many as make a first finder's hold."""

SETTLED_MAX_RIVAL = 0.5
"""Share of the first concept's score that the second may have. Whoever is twice as strong after
eight rounds stays first: in `benchmarks/settling.py` maps that stop then save two rounds in five
and are named right as often as those that go on to twenty."""

PLACE_LASTS = timedelta(minutes=30)
"""How long a dealt round keeps its place among those wanted, from the player's last step. A round
takes half a minute; after half an hour its player has gone, and another may have the place."""

HAND_PICTURES = 16
"""Pictures among whose maps the next round is chosen. Of some 16 x 20 maps the least played is
taken: by the theory of balanced allocations (Azar et al. 1999) with d choices, no map is then ahead
of the mean by more than ln ln n / ln d, which is less than one round at a million maps."""

MET_POINTS = 3
"""Points for a word that meets one of a partner's who plays the same map at the same time, or has
played it before. More than an agreement with anybody at all, for it is one person's words that it
has to meet; less than two, or everybody would wait for a partner."""

LIVE_WAIT_S = 5
"""Seconds that a player waits for somebody else before the words of an earlier player stand in:
after that, whoever came to play goes away."""

SEAT_LASTS = timedelta(seconds=15)
"""After so long a player who waits has left the page: three times as long as anybody waits."""

STREAK_POINTS = 2
"""Points for a day's first round, for each day in a row before it..."""

STREAK_MAX_POINTS = 10
"""...up to so many, one right guess at first sight. A streak is a reason to come back; were it to
grow for ever, a lost one would be a reason to stay away."""

DAILY_MAPS = 5
"""Rounds of a daily challenge: three minutes, so that it fits into any day."""

DAILY_POINTS = 10
"""Points for finishing a day's challenge: one right guess at first sight."""

BADGE_POINTS = 10
"""Points that come with a badge. It is the badge that counts, so it pays like one good guess."""

LEVEL_STEP = 40
"""Points from level 1 to level 2, some five rounds; each level after that takes so many more than
the one before it. Level 5 comes within an hour, level 20 with a thousand rounds."""

FASTEST_ANSWER_S = 1.5
"""Seconds from the last step to an answer with words below which nobody can have looked, chosen and
typed: a word alone takes a quick typist a second. Such answers are marked for moderators."""

BURST_ROUNDS = 40
"""Finished rounds from one address in a minute from which on they are marked. A class of thirty
pupils, each at two rounds a minute, stays under twice that and is never stopped, only marked."""

SLOWED_ROUNDS = 120
"""Rounds from one address in a minute from which on new ones have to wait. No class is so quick."""

NEW_GUESTS = 600
"""New guests from one address in an hour from which on the next have to wait. A class is forty, a
whole school some hundreds; who makes more would only fill the database."""

PRACTICE_JUDGED_OF = 8
"""Practice rounds of a player in a study after which the last so many are looked at, again after as
many more: some sixty rounds of play each time."""

PRACTICE_MAX_FAILED_NAMED = 1
"""Of those, so many named or fewer are marked. Who names even half of what they are shown, as the
weakest of those who look do, has so bad a run once in 28 times: (1 + 8) / 2^8. Who types at random
hardly ever has a better one. Nothing else follows, and a moderator looks."""

DEVICE_MAX_ACCOUNTS = 3
"""Accounts that play in one browser without being marked: a family shares one. From the next on the
rounds are marked; at school that is nothing odd, which moderators know and the device does not."""

REPEATED_IN_CLASSES = 3
"""A word that a player typed for pictures of so many classes within their last `REPEATED_OF_ROUNDS`
rounds is what they always type and not what they see: few things look alike on three classes."""

REPEATED_OF_ROUNDS = 5

TABOO_MIN_PLAYERS = 5
"""Players who must have typed a word for a map before the map has it in plenty: a quarter of those
wanted have then said so, and a sixth who says it too teaches nothing new."""

TABOO_ONE_IN = 2
"""In one round of so many such words are taboo. The others still may type them, so that how often a
word comes to mind stays known. (A blind program matched people on 69 % of the ESP game's pictures
by obvious words alone: those must not pay for ever.)"""

MAX_TABOO_WORDS = 3
"""Taboo words in a round: as many as one reads at a glance."""

MAX_LABELS_PER_ROUND = 5
"""More would be a list of guesses rather than what the player saw."""

LABELS_FOR_JOB = 10
"""New labels of a class from which on its concepts are made anew at once. A job goes through all of
the class's labels, so one for every guess would do the same work over and over; ten labels, some
six rounds, are what may change the first word of a map or two."""

LABELS_GATHER_S = 5
"""Seconds from then to the job: one job serves all the labels that come in meanwhile."""

LABELS_WAIT_AT_MOST = timedelta(minutes=10)
"""Labels that are fewer are taken up after so long, by the upkeep task: whoever is confirmed by one
of them should hear of it while they still play."""

EXPORT_FILES_KEPT = timedelta(days=14)
"""How long the file of an export lies there to be downloaded. It can be written again at any time,
as the study is then; what must stay as it is, is a snapshot."""


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


def drawn_uuid(*, player_id: UUID, study_id: UUID, number: int) -> UUID:
    """A random place among ids for a player's round in a study; always the same one."""
    drawn = blake2b(f"{study_id}:{number}".encode(), key=player_id.bytes, digest_size=16).digest()
    return UUID(bytes=drawn)


def daily_uuid(study_id: UUID, day: date) -> UUID:
    """A random place among ids for a day's challenge of a study."""
    return UUID(bytes=blake2b(f"{study_id}:{day}".encode(), digest_size=16).digest())


def guess_points(*, reveal_index: int, right: bool) -> int:
    """Points for a guess made at `reveal_index` (0 to 5). A wrong guess costs nothing: fear of
    losing points would make players wait for the last reveal."""
    return GUESS_POINTS[reveal_index] if right else 0


def level(points: int) -> int:
    """The level of a player with so many points, 1 or higher."""
    reached = 1
    while points >= points_for_level(reached + 1):
        reached += 1
    return reached


def points_for_level(number: int) -> int:
    """Points at which a level begins: 0, 40, 120, 240, 400 for levels 1 to 5."""
    return LEVEL_STEP * number * (number - 1) // 2


def streak_points(streak_days: int) -> int:
    """Points for the first round of a day that is the `streak_days`-th in a row: 0, 2, 4, ..."""
    return min(STREAK_POINTS * (streak_days - 1), STREAK_MAX_POINTS)


def next_streak(streak_days: int, last_day: date | None, today: date) -> int:
    """Days in a row with a finished round, today included."""
    if last_day == today:
        return streak_days
    return streak_days + 1 if last_day == today - timedelta(days=1) else 1


def is_nothing_nameable(*, n_nothing: int, n_named: int) -> bool:
    """Whether a map counts as one that shows nothing nameable, by how many players said so and how
    many named something: by most of them, and by enough."""
    return n_nothing >= NOTHING_MIN_PLAYERS and n_nothing > n_named


@dataclass(frozen=True, slots=True)
class Badge:
    """What a badge is for. It is earned when a player's `counter` reaches `threshold`."""

    key: str
    title: str
    rule: str
    counter: str
    threshold: int


BADGES: tuple[Badge, ...] = (
    Badge("rounds-10", "First light", "Finish 10 rounds.", "n_rounds", 10),
    Badge("rounds-100", "Lamplighter", "Finish 100 rounds.", "n_rounds", 100),
    Badge("rounds-1000", "Lighthouse", "Finish 1,000 rounds.", "n_rounds", 1000),
    Badge("glimpse-5", "At a glance", "Guess 5 right from the first spots.", "n_from_first", 5),
    Badge("glimpse-25", "Sharp eye", "Guess 25 right from the first spots.", "n_from_first", 25),
    Badge("named-5", "Trained eye", "Name what 5 practice rounds show.", "n_named", 5),
    Badge("confirmed-10", "Well put", "Have 10 words confirmed.", "n_confirmed", 10),
    Badge("confirmed-100", "Common tongue", "Have 100 words confirmed.", "n_confirmed", 100),
    Badge("first-3", "Pathfinder", "Be the first to name 3 things that hold.", "n_first", 3),
    Badge("streak-3", "Three in a row", "Play on 3 days in a row.", "best_streak", 3),
    Badge("streak-7", "A week of light", "Play on 7 days in a row.", "best_streak", 7),
    Badge("daily-1", "Today’s five", "Finish a daily challenge.", "n_daily", 1),
    Badge("daily-10", "Regular", "Finish 10 daily challenges.", "n_daily", 10),
)
"""The first of a kind comes with the first half hour, the last takes weeks."""


def badges_of(counters: Mapping[str, int]) -> list[Badge]:
    """The badges that these counters have reached."""
    return [badge for badge in BADGES if counters[badge.counter] >= badge.threshold]


def is_taboo_round(*, player_id: UUID, map_id: UUID) -> bool:
    """Whether a map's most typed words are taboo for a player: drawn once, always the same."""
    drawn = blake2b(map_id.bytes, key=player_id.bytes, digest_size=8).digest()
    return int.from_bytes(drawn, "big") % TABOO_ONE_IN == 0
