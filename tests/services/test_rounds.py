"""The game's rules as the services keep them."""

import io
from datetime import UTC, datetime
from uuid import uuid4

import numpy as np
import pytest
from PIL import Image as Picture
from sqlalchemy import delete, func, select, update
from sqlalchemy.exc import DatabaseError
from sqlalchemy.orm import Session

from app import rules
from app.infra.errors import ConflictError, ForbiddenError, InvalidInputError, NotFoundError
from app.infra.queue import queued_jobs
from app.infra.storage import Storage
from app.models import Label, Player, PointsEntry, Round
from app.services import labels, players, rounds, shown
from tests.services.conftest import Game


def deal(session: Session, player: Player, game: Game) -> Round:
    round_ = rounds.deal(session, player=player, study=game.study)
    assert round_ is not None
    return round_


def guess(session: Session, player: Player, round_: Round, class_id: int, *labels: str) -> Round:
    return rounds.guess(
        session, round_id=round_.id, player=player, class_id=class_id, labels=labels
    )


def pixels(jpeg: bytes) -> np.ndarray:
    return np.asarray(Picture.open(io.BytesIO(jpeg)).convert("RGB"), dtype=int)


class TestDealing:
    def test_the_heaviest_map_comes_first_among_equals(
        self, session: Session, player: Player, game: Game
    ) -> None:
        assert deal(session, player, game).cluster_map_id == game.maps[0].id

    def test_the_least_played_map_comes_first(
        self, session: Session, player: Player, game: Game
    ) -> None:
        game.maps[0].n_finished = game.maps[2].n_finished = 1
        session.flush()
        assert deal(session, player, game).cluster_map_id == game.maps[1].id

    def test_a_picture_whose_answer_is_known_comes_after_its_equals(
        self, session: Session, player: Player, game: Game
    ) -> None:
        game.maps[0].n_finished = -1
        first = deal(session, player, game)
        game.maps[1].weight = 99
        session.flush()
        rounds.resign(session, round_id=first.id, player=player)
        assert deal(session, player, game).cluster_map_id == game.maps[2].id

    def test_an_open_round_is_resumed(self, session: Session, player: Player, game: Game) -> None:
        first = deal(session, player, game)
        rounds.reveal(session, round_id=first.id, player=player, from_index=0)
        again = deal(session, player, game)
        assert (again.id, again.reveal_index) == (first.id, 1)

    def test_no_map_is_dealt_twice_and_then_there_is_none_left(
        self, session: Session, player: Player, game: Game
    ) -> None:
        dealt = []
        for _ in range(3):
            round_ = deal(session, player, game)
            dealt.append(round_.cluster_map_id)
            rounds.resign(session, round_id=round_.id, player=player)
        assert set(dealt) == {m.id for m in game.maps}
        assert rounds.deal(session, player=player, study=game.study) is None

    def test_a_map_without_contrast_is_never_dealt(
        self, session: Session, player: Player, game: Game
    ) -> None:
        game.maps[0].is_playable = False
        session.flush()
        assert deal(session, player, game).cluster_map_id == game.maps[2].id

    def test_a_game_that_is_not_open_deals_nothing(
        self, session: Session, player: Player, game: Game
    ) -> None:
        game.study.status = "computing"
        with pytest.raises(ConflictError, match="not open"):
            rounds.deal(session, player=player, study=game.study)


class TestRevealing:
    def test_each_step_shows_the_next_index(
        self, session: Session, player: Player, game: Game
    ) -> None:
        round_ = deal(session, player, game)
        for index in range(rules.LAST_REVEAL_INDEX):
            after = rounds.reveal(session, round_id=round_.id, player=player, from_index=index)
            assert after.reveal_index == index + 1

    def test_asking_twice_from_one_step_moves_one_step(
        self, session: Session, player: Player, game: Game
    ) -> None:
        round_ = deal(session, player, game)
        for _ in range(2):
            after = rounds.reveal(session, round_id=round_.id, player=player, from_index=0)
        assert after.reveal_index == 1

    def test_steps_cannot_be_skipped(self, session: Session, player: Player, game: Game) -> None:
        round_ = deal(session, player, game)
        with pytest.raises(ConflictError, match="has not been revealed"):
            rounds.reveal(session, round_id=round_.id, player=player, from_index=3)

    def test_after_the_last_step_there_is_no_more(
        self, session: Session, player: Player, game: Game
    ) -> None:
        round_ = deal(session, player, game)
        round_.reveal_index = rules.LAST_REVEAL_INDEX
        session.flush()
        with pytest.raises(ConflictError, match="all there is to see"):
            rounds.reveal(session, round_id=round_.id, player=player, from_index=5)

    def test_a_picture_beyond_the_reached_step_is_refused(
        self, session: Session, storage: Storage, player: Player, game: Game
    ) -> None:
        round_ = deal(session, player, game)
        round_ = rounds.get_round(session, round_id=round_.id, player=player)
        with pytest.raises(ForbiddenError):
            shown.picture(storage, round_, reveal_index=1)

    @pytest.mark.parametrize("index", [-1, 6])
    def test_a_step_that_does_not_exist_is_not_found(
        self, session: Session, storage: Storage, player: Player, game: Game, index: int
    ) -> None:
        round_ = deal(session, player, game)
        round_ = rounds.get_round(session, round_id=round_.id, player=player)
        with pytest.raises(NotFoundError):
            shown.picture(storage, round_, reveal_index=index)

    def test_the_masked_picture_is_black_where_the_map_is_low(
        self, session: Session, storage: Storage, player: Player, game: Game
    ) -> None:
        """The map rises towards the lower right corner: only that is lit."""
        round_ = deal(session, player, game)
        round_ = rounds.get_round(session, round_id=round_.id, player=player)
        lit = pixels(shown.picture(storage, round_, reveal_index=0))
        assert lit[:256].max() == 0
        assert lit[-20:, -20:].mean() > 60

    def test_the_whole_picture_stays_back_while_the_round_is_open(
        self, session: Session, storage: Storage, player: Player, game: Game
    ) -> None:
        round_ = deal(session, player, game)
        round_ = rounds.get_round(session, round_id=round_.id, player=player)
        with pytest.raises(ForbiddenError):
            shown.answer_picture(storage, round_, heat=False)
        with pytest.raises(ForbiddenError):
            shown.outcome(session, round_)


class TestGuessing:
    def test_a_right_guess_earns_by_how_little_was_shown(
        self, session: Session, player: Player, game: Game
    ) -> None:
        round_ = deal(session, player, game)
        rounds.reveal(session, round_id=round_.id, player=player, from_index=0)
        done = guess(session, player, round_, game.cat.id)
        assert done.status == "won"
        assert players.standing(session, player).points == rules.GUESS_POINTS[1]

    def test_a_wrong_guess_costs_nothing(
        self, session: Session, player: Player, game: Game
    ) -> None:
        done = guess(session, player, deal(session, player, game), game.dog.id, "whiskers")
        assert done.status == "lost"
        assert players.standing(session, player).points == 0

    def test_labels_are_kept_as_typed_in_order_each_once(
        self, session: Session, player: Player, game: Game
    ) -> None:
        round_ = deal(session, player, game)
        guess(session, player, round_, game.cat.id, "  Pointy   ears", "", "fur", "pointy ears")
        texts = session.scalars(select(Label.text).order_by(Label.position)).all()
        assert texts == ["Pointy ears", "fur"]

    def test_a_second_guess_changes_nothing(
        self, session: Session, player: Player, game: Game
    ) -> None:
        round_ = deal(session, player, game)
        guess(session, player, round_, game.dog.id, "fur")
        again = guess(session, player, round_, game.cat.id, "ears", "tail")
        assert (again.status, again.guessed_class_id) == ("lost", game.dog.id)
        assert session.scalar(select(func.count()).select_from(Label)) == 1
        assert players.standing(session, player).n_rounds == 1

    def test_a_finished_round_counts_once_for_its_map(
        self, session: Session, player: Player, game: Game
    ) -> None:
        round_ = deal(session, player, game)
        guess(session, player, round_, game.cat.id)
        guess(session, player, round_, game.cat.id)
        rounds.resign(session, round_id=round_.id, player=player)
        session.refresh(game.maps[0])
        assert game.maps[0].n_finished == 1

    def test_a_class_of_another_game_is_no_answer(
        self, session: Session, player: Player, game: Game
    ) -> None:
        with pytest.raises(InvalidInputError, match="not one of the answers"):
            guess(session, player, deal(session, player, game), game.dog.id + 1000)

    @pytest.mark.parametrize(
        ("labels", "message"),
        [
            (["x" * 61], "at most 60 characters"),
            (["\ufdfa" * 4], "at most 60 characters"),  # 18 letters each, once it is tidied
            (["a1", "b1", "c1", "d1", "e1", "f1"], "At most 5 labels"),
            (["a\x00b"], "plain text"),
            (["ears", "🤷"], "“🤷” has no letters"),
            (["..."], "has no letters"),
        ],
    )
    def test_labels_that_cannot_be_kept_leave_the_round_open(
        self, session: Session, player: Player, game: Game, labels: list[str], message: str
    ) -> None:
        round_ = deal(session, player, game)
        with pytest.raises(InvalidInputError, match=message):
            guess(session, player, round_, game.cat.id, *labels)
        assert rounds.get_round(session, round_id=round_.id, player=player).is_open

    def test_someone_elses_round_does_not_exist(
        self, session: Session, player: Player, rival: Player, game: Game
    ) -> None:
        round_ = deal(session, player, game)
        with pytest.raises(NotFoundError):
            guess(session, rival, round_, game.cat.id)
        with pytest.raises(NotFoundError):
            rounds.resign(session, round_id=uuid4(), player=player)

    def test_giving_up_ends_the_round_without_points(
        self, session: Session, player: Player, game: Game
    ) -> None:
        round_ = deal(session, player, game)
        done = rounds.resign(session, round_id=round_.id, player=player)
        assert (done.status, done.guessed_class_id) == ("resigned", None)
        assert players.standing(session, player).points == 0

    def test_agreeing_with_another_player_earns_for_each_label(
        self, session: Session, player: Player, rival: Player, game: Game
    ) -> None:
        guess(session, rival, deal(session, rival, game), game.cat.id, "ears", "fur")
        game.maps[0].n_finished = 0
        session.flush()
        round_ = deal(session, player, game)
        guess(session, player, round_, game.dog.id, "Ears!", "tail")
        entries = session.scalars(
            select(PointsEntry).where(PointsEntry.player_id == player.id)
        ).all()
        assert [(e.reason, e.detail, e.points) for e in entries] == [
            ("agreement", "Ears!", rules.AGREEMENT_POINTS)
        ]

    def test_what_others_typed_leaves_out_ones_own(
        self, session: Session, player: Player, rival: Player, game: Game
    ) -> None:
        guess(session, rival, deal(session, rival, game), game.cat.id, "ears")
        game.maps[0].n_finished = 0
        session.flush()
        done = guess(session, player, deal(session, player, game), game.cat.id, "tail")
        outcome = shown.outcome(session, done)
        assert outcome.labels == ["tail"]
        assert outcome.labels_of_others == [("ears", 1)]

    def test_enough_new_labels_ask_for_concepts_and_the_next_do_not(
        self, session: Session, game: Game
    ) -> None:
        """Two a round; the tenth is that of the fifth round."""
        asked = []
        for _ in range(7):
            someone = players.create_guest(session)[0]
            game.maps[0].n_finished = 0
            session.flush()
            guess(session, someone, deal(session, someone, game), game.cat.id, "ears", "tail")
            jobs = [job for job in queued_jobs(session) if job.name == "labels.group_class"]
            asked.append([job.arguments for job in jobs])
        job = {"class_id": game.cat.id, "simulated": False}
        assert asked == [[], [], [], [], [job], [job], [job]]

    def test_fewer_new_labels_wait_for_upkeep(
        self, session: Session, player: Player, game: Game
    ) -> None:
        rounds.resign(session, round_id=deal(session, player, game).id, player=player)
        assert labels.classes_with_new_labels(session) == []
        later = datetime.now(UTC) + rules.LABELS_WAIT_AT_MOST
        assert labels.classes_with_new_labels(session, now=later) == [game.cat.id]
        labels.note_new_labels(session, class_id=game.cat.id, simulated=False, are_there=False)
        assert labels.classes_with_new_labels(session, now=later) == []


class TestLedger:
    def test_the_database_refuses_to_change_or_delete_an_entry(
        self, session: Session, player: Player, game: Game
    ) -> None:
        guess(session, player, deal(session, player, game), game.cat.id)
        for statement in (update(PointsEntry).values(points=99), delete(PointsEntry)):
            with pytest.raises(DatabaseError, match="append-only"), session.begin_nested():
                session.execute(statement)
