"""Simulated players play a study of picture-book pictures, by the same services as people."""

import heapq
import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager
from dataclasses import dataclass
from io import BytesIO
from typing import Final
from uuid import UUID

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Picture
from sqlalchemy import func, select
from sqlalchemy.orm import Session, sessionmaker

from app.infra.db import transaction
from app.infra.errors import ConflictError, InvalidInputError
from app.infra.queue import Job
from app.infra.security import keyed_digest, token_digest
from app.infra.storage import Storage
from app.models import Image, Player, Round, Study
from app.picturebook.files import read_recipe
from app.picturebook.players import Guess, Resign, Sight, SimulatedPlayer, draw_traits, see
from app.picturebook.scenes import Recipe, draw_scene
from app.services import drawing, players, rounds, shown, studies

LOOK_PX: Final = 256
"""Side at which simulated players look at a picture: they judge regions, not lines, and half the
game's 512 px is four times as quick to draw and to look at."""

_MAX_DIFFERENCE: Final = 8.0
"""Mean difference (0..255) between a stored view and its scene drawn again up to which they are
the same picture. JPEG and the smaller scale make 1 or 2; another crop of it makes 15 and more."""


@dataclass(frozen=True, slots=True)
class Member:
    """A simulated player: the number-th of its seed, its row, and rounds finished in the study."""

    number: int
    player: Player
    simulated: SimulatedPlayer
    n_finished: int


@dataclass(frozen=True, slots=True)
class Played:
    """A round that was played to its end."""

    status: str
    n_looks: int
    n_labels: int


class Simulation:
    """A crowd and what it plays. The crowd belongs to the study and the seed: asked for again, it
    is the same players, with the rounds that they have played already, and it grows when more are
    wanted."""

    def __init__(
        self,
        factory: sessionmaker[Session],
        storage: Storage,
        *,
        study_name: str,
        n_players: int,
        seed: int,
        secret: bytes,
    ) -> None:
        """Find or make the players. secret: the installation's key, by which they are known again
        and by which nobody else can play as one of them.

        InvalidInputError when a picture of the study is none of the picture book's; ConflictError
        when its game is not open.
        """
        self._factory = factory
        self._storage = storage
        self._seed = seed
        with self._transaction() as session:
            self.study = studies.find(session, study_name)
            if self.study.status != "open":
                raise ConflictError(f"The game of “{self.study.name}” is not open.")
            self._recipes = _recipes(session, storage, self.study)
            self.members = _gather(session, self.study, n_players, seed, secret)
        self._truths: dict[UUID, bytes] = {}
        self._sights: dict[tuple[UUID, int], Sight] = {}
        self._class_ids = {c.name: c.id for c in self.study.classes}

    @property
    def n_finished(self) -> int:
        """Rounds that these players have finished, before this simulation."""
        return sum(member.n_finished for member in self.members)

    def play(self, n_rounds: int, *, n_threads: int = 1) -> Iterator[Played]:
        """Play until all together have finished so many rounds, those of earlier runs included.

        Whoever has played least is next. Ends sooner when every player has seen every map. What is
        played is stored round by round: whoever stops half-way goes on there the next time.

        n_threads: rounds at once. With one, the same study, players and seed give the same rounds;
        with more, which map is dealt to whom depends on who is quicker.
        """
        n_left = n_rounds - self.n_finished
        turns = [(member.n_finished, member.number) for member in self.members]
        heapq.heapify(turns)
        running: dict[Future[Played | None], tuple[int, int]] = {}
        with ThreadPoolExecutor(n_threads) as pool:
            while True:
                while turns and len(running) < min(n_threads, n_left):
                    n_finished, number = heapq.heappop(turns)
                    playing = pool.submit(self._play_round, self.members[number], n_finished)
                    running[playing] = n_finished, number
                if not running:
                    return
                for ended in wait(running, return_when=FIRST_COMPLETED).done:
                    n_finished, number = running.pop(ended)
                    played = ended.result()
                    if played is not None:
                        n_left -= 1
                        heapq.heappush(turns, (n_finished + 1, number))
                        yield played

    def _play_round(self, member: Member, n_finished: int) -> Played | None:
        """Deal, look, ask for more, answer: each step a transaction, as for people. None when there
        is no map left for this player."""
        # Numbers of its own for each round. Not 0: a seed that ends in zeros is the same without
        # them, and those are the numbers by which the player's traits were drawn.
        rng = np.random.default_rng([self._seed, member.number, n_finished + 1])
        with self._transaction() as session:
            player = session.get_one(Player, member.player.id)
            study = session.get_one(Study, self.study.id)
            dealt = rounds.deal(session, player=player, study=study)
            if dealt is None:
                return None
            round_ = rounds.get_round(session, round_id=dealt.id, player=player)
        recipe = self._recipes[round_.cluster_map.image_id]
        n_looks = 0
        while True:
            decision = member.simulated.decide(
                [self._look(round_, recipe, step) for step in range(round_.reveal_index + 1)],
                list(self._class_ids),
                rng,
                class_name=recipe.class_name,
            )
            n_looks += 1
            with self._transaction() as session:
                if isinstance(decision, Guess):
                    done = rounds.guess(
                        session,
                        round_id=round_.id,
                        player=member.player,
                        class_id=self._class_ids[decision.class_name],
                        labels=decision.labels,
                    )
                    return Played(done.status, n_looks, len(decision.labels))
                if isinstance(decision, Resign):
                    done = rounds.resign(
                        session,
                        round_id=round_.id,
                        player=member.player,
                        nothing_nameable=decision.nothing_nameable,
                    )
                    return Played(done.status, n_looks, 0)
                round_ = rounds.reveal(
                    session,
                    round_id=round_.id,
                    player=member.player,
                    from_index=round_.reveal_index,
                )

    def _look(self, round_: Round, recipe: Recipe, reveal_index: int) -> Sight:
        """What is to be seen at a step that the round has reached: the same for whoever is dealt
        the map, so it is drawn for the first of them only."""
        step = round_.cluster_map_id, reveal_index
        sight = self._sights.get(step)
        if sight is None:
            picture = shown.picture(self._storage, round_, reveal_index=reveal_index)
            region_map = self._region_map(round_.cluster_map.image, recipe)
            sight = self._sights[step] = see(_decode(picture), region_map)
        return sight

    def _region_map(self, image: Image, recipe: Recipe) -> NDArray[np.uint8]:
        """The true regions of the view that players see, LOOK_PX square. Kept compressed: that is
        some kilobytes, and drawing one takes as long as some rounds."""
        packed = self._truths.get(image.id)
        if packed is None:
            scene = draw_scene(recipe, LOOK_PX)
            view = drawing.read_view(self._storage, image).resize((LOOK_PX, LOOK_PX))
            difference = np.asarray(view, np.int16) - np.asarray(scene.picture, np.int16)
            if np.abs(difference).mean() > _MAX_DIFFERENCE:
                raise InvalidInputError(
                    f"{image.file_name} is not shown as it was drawn: perhaps the network sees a "
                    "part of it only. Simulated players need whole pictures of the picture book."
                )
            packed = self._truths[image.id] = zlib.compress(scene.region_map.tobytes(), 1)
        return np.frombuffer(zlib.decompress(packed), np.uint8).reshape(LOOK_PX, LOOK_PX)

    def _transaction(self) -> AbstractContextManager[Session]:
        return transaction(self._factory, _NoJobs())


class _NoJobs:
    """Jobs are not sent: the concepts are made once, when all have played. Made anew every few
    seconds they would hold up the game. The rows say what is due, for whoever stops half-way."""

    def send(self, job: Job) -> None:
        pass


def _decode(jpeg: bytes) -> NDArray[np.uint8]:
    """The picture as a player gets it, decoded straight to LOOK_PX."""
    with Picture.open(BytesIO(jpeg)) as picture:
        picture.draft("RGB", (LOOK_PX, LOOK_PX))
        if picture.size != (LOOK_PX, LOOK_PX):
            return np.asarray(picture.resize((LOOK_PX, LOOK_PX)))
        return np.asarray(picture)


def _recipes(session: Session, storage: Storage, study: Study) -> dict[UUID, Recipe]:
    """The recipe of every computed picture of the study."""
    images = [image for image in studies.images(session, study) if image.status == "done"]
    if not images:
        raise InvalidInputError(f"“{study.name}” has no pictures to play with.")

    def read(image: Image) -> Recipe | None:
        return read_recipe(storage.get(image.original_key))

    with ThreadPoolExecutor() as pool:
        found = dict(zip(images, pool.map(read, images), strict=True))
    strange = [image.file_name for image, recipe in found.items() if recipe is None]
    if strange:
        raise InvalidInputError(
            f"Simulated players know the picture book only. {len(strange)} of {len(images)} "
            f"pictures of “{study.name}” are not from it, {strange[0]} for one."
        )
    return {image.id: recipe for image, recipe in found.items() if recipe is not None}


def _gather(
    session: Session, study: Study, n_players: int, seed: int, secret: bytes
) -> list[Member]:
    """The players 0 to n_players - 1 of a seed: those there are, and new ones."""
    found = [_find_or_create(session, study, number, seed, secret) for number in range(n_players)]
    n_finished = _count_finished(session, study, found)
    return [
        Member(
            number=number,
            player=player,
            simulated=SimulatedPlayer(draw_traits(np.random.default_rng([seed, number]))),
            n_finished=n_finished.get(player.id, 0),
        )
        for number, player in enumerate(found)
    ]


def _find_or_create(
    session: Session, study: Study, number: int, seed: int, secret: bytes
) -> Player:
    token = keyed_digest(secret, "simulated player", f"{study.id}:{seed}:{number}")
    found = players.find_player(session, token)
    if found is not None:
        return found
    player = players.create_simulated(session)
    player.token_digest = token_digest(token)
    session.flush()
    return player


def _count_finished(session: Session, study: Study, found: Sequence[Player]) -> dict[UUID, int]:
    rows = session.execute(
        select(Round.player_id, func.count())
        .where(
            Round.study_id == study.id,
            Round.status != "open",
            Round.player_id.in_([player.id for player in found]),
        )
        .group_by(Round.player_id)
    )
    return dict(rows.all())
