"""The ledger: every point once, with a reason, and totals that always are its sums."""

from datetime import UTC, date, datetime, timedelta
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select, text, update
from sqlalchemy.orm import Session

from app import rules
from app.models import Board, BoardTotal, Player, PointsEntry, Round, Tally
from app.models.standings import EVERY_STUDY
from app.services import boards, checks, labels, ledger, players, rounds
from app.services.ledger import Line
from tests import factories
from tests.services.conftest import Game
from tests.services.test_labels import EMBED


def finish(
    session: Session, player: Player, game: Game, *texts: str, map_number: int | None = 0
) -> Round:
    """A right guess with these labels; of one map, unless that is None."""
    if map_number is not None:
        for number, cluster_map in enumerate(game.maps):
            cluster_map.is_playable = number == map_number
        session.flush()
    round_ = rounds.deal(session, player=player, study=game.study)
    assert round_ is not None
    image = rounds.get_round(session, round_id=round_.id, player=player).cluster_map.image
    return rounds.guess(
        session, round_id=round_.id, player=player, class_id=image.class_id, labels=texts
    )


def group(session: Session, game: Game) -> None:
    for image_class in (game.cat, game.dog):
        labels.group_class(session, class_id=image_class.id, embed=EMBED, recipe="paper")
    session.flush()
    session.expire_all()


def paid(session: Session, player: Player, *reasons: str) -> list[tuple[str, str, int]]:
    rows = session.execute(
        select(PointsEntry.reason, PointsEntry.detail, PointsEntry.points)
        .where(PointsEntry.player_id == player.id)
        .order_by(PointsEntry.id)
    )
    return [tuple(row) for row in rows if not reasons or row.reason in reasons]


class TestConfirmed:
    def test_a_label_that_others_confirm_later_is_paid_then(
        self, session: Session, player: Player, rival: Player, game: Game
    ) -> None:
        finish(session, player, game, "fur")
        finish(session, rival, game, "fur")
        assert paid(session, player, "confirmed") == []
        group(session, game)
        assert paid(session, player, "confirmed") == [("confirmed", "fur", rules.CONFIRMED_POINTS)]

    def test_a_label_that_agreed_at_once_is_not_paid_again(
        self, session: Session, player: Player, rival: Player, game: Game
    ) -> None:
        finish(session, player, game, "fur")
        finish(session, rival, game, "fur")
        group(session, game)
        assert paid(session, rival, "agreement", "confirmed") == [
            ("agreement", "fur", rules.AGREEMENT_POINTS)
        ]

    def test_running_the_job_again_pays_nothing(
        self, session: Session, player: Player, rival: Player, game: Game
    ) -> None:
        finish(session, player, game, "fur")
        finish(session, rival, game, "fur")
        group(session, game)
        before = paid(session, player)
        group(session, game)
        assert paid(session, player) == before

    def test_a_label_with_a_remark_neither_earns_nor_confirms(
        self, session: Session, player: Player, rival: Player, game: Game
    ) -> None:
        finish(session, player, game, "fur")
        finish(session, rival, game, "fur")
        session.execute(
            text("update labels set remark = 'pasted' where round_id = :r"),
            {"r": session.scalars(select(Round.id).where(Round.player_id == rival.id)).one()},
        )
        group(session, game)
        assert paid(session, player, "confirmed") == []

    def test_it_is_news_until_the_player_has_seen_it(
        self, session: Session, player: Player, rival: Player, game: Game
    ) -> None:
        finish(session, player, game, "fur")
        finish(session, rival, game, "fur")
        group(session, game)
        (entry,) = ledger.news(session, player.id)
        assert (entry.reason, entry.detail) == ("confirmed", "fur")
        ledger.mark_news_seen(session, player.id, up_to=entry.id)
        assert ledger.news(session, player.id) == []


class TestFirstFinder:
    def test_the_first_of_three_is_paid_and_no_other(
        self, session: Session, player: Player, rival: Player, game: Game
    ) -> None:
        third = factories.make_player(session)
        finish(session, player, game, "fur")
        finish(session, rival, game, "fur")
        group(session, game)
        assert paid(session, player, "first") == []
        finish(session, third, game, "fur")
        group(session, game)
        assert paid(session, player, "first") == [("first", "fur", rules.FIRST_FINDER_POINTS)]
        assert paid(session, rival, "first") == paid(session, third, "first") == []

    def test_once_paid_nobody_else_is_for_the_same_concept_and_map(
        self, session: Session, player: Player, rival: Player, game: Game
    ) -> None:
        for one in (player, rival, factories.make_player(session)):
            finish(session, one, game, "fur")
        group(session, game)
        # The job of another day sees another order, as when an earlier round is left out.
        session.execute(
            text(
                "update labels set remark = 'pasted' where round_id in "
                "(select id from rounds where player_id = :p)"
            ),
            {"p": player.id},
        )
        finish(session, factories.make_player(session), game, "fur")
        group(session, game)
        assert paid(session, rival, "first") == []


class TestStreak:
    def play_on(self, session: Session, player: Player, game: Game, last_day: date | None) -> None:
        if last_day is not None:
            tally = session.get_one(Tally, player.id)
            tally.last_day = last_day
            session.flush()
        finish(session, player, game, map_number=None)

    def test_the_second_day_in_a_row_pays_once(
        self, session: Session, player: Player, game: Game
    ) -> None:
        yesterday = datetime.now(UTC).date() - timedelta(days=1)
        self.play_on(session, player, game, None)
        self.play_on(session, player, game, yesterday)
        self.play_on(session, player, game, None)
        assert [p for _, _, p in paid(session, player, "streak")] == [rules.STREAK_POINTS]

    def test_a_day_left_out_starts_anew(self, session: Session, player: Player, game: Game) -> None:
        self.play_on(session, player, game, None)
        self.play_on(session, player, game, datetime.now(UTC).date() - timedelta(days=2))
        assert paid(session, player, "streak") == []
        assert players.standing(session, player).streak_days == 1


def test_a_badge_comes_once_when_its_number_is_reached(
    session: Session, player: Player, game: Game
) -> None:
    tallies = ledger.lock_tallies(session, [player.id])
    tallies[player.id].n_rounds = 9
    for number in (0, 1):
        finish(session, player, game, map_number=number)
    assert paid(session, player, "badge") == [("badge", "rounds-10", rules.BADGE_POINTS)]


def test_a_line_is_not_added_twice(session: Session, player: Player, game: Game) -> None:
    round_ = finish(session, player, game)
    tallies = ledger.lock_tallies(session, [player.id])
    line = Line(player.id, round_.id, "agreement", 2, "ear")
    assert ledger.post(session, [line], tallies, rounds_of={}) == [line]
    assert ledger.post(session, [line], tallies, rounds_of={}) == []
    later = Line(player.id, round_.id, "confirmed", 2, "ear")
    assert ledger.post(session, [later], tallies, rounds_of={}) == []


def test_steps_are_ordered_and_hold_the_points_they_say(session: Session) -> None:
    """From one step to the next, from 0 to two million points and more."""
    rows = session.execute(
        text(
            """
            with recursive ends (points) as (
                select points_step_end(0)
                union all
                select points_step_end(points + 1) from ends where points < 2000000
            )
            select points, points_step(points), points_step(points + 1) from ends
            """
        )
    ).all()
    assert [step for _, step, _ in rows] == list(range(len(rows)))
    assert [after for _, _, after in rows] == list(range(1, len(rows) + 1))
    assert [end for end, _, _ in rows][126:131] == [126, 127, 129, 131, 133]


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 3),
            st.sampled_from(["guess", "agreement", "confirmed", "first", "practice"]),
            st.sampled_from(["", "ear", "fur"]),
            st.integers(1, 400),
        ),
        max_size=30,
    ),
)
def test_whatever_is_posted_the_totals_are_the_sums_of_the_ledger(
    session: Session, game: Game, posted: list[tuple[int, str, str, int]]
) -> None:
    with session.begin_nested() as undo:
        four = [factories.make_player(session) for _ in range(3)]
        four.append(players.create_simulated(session))
        played = [finish(session, one, game) for one in four]
        tallies = ledger.lock_tallies(session, [one.id for one in four])
        lines = [
            Line(four[i].id, played[i].id, reason, points, detail)
            for i, reason, detail, points in posted
        ]
        for start in range(0, len(lines), 4):
            ledger.post(session, lines[start : start + 4], tallies, rounds_of={})
        assert checks.find_drift(session) == []
        everything = session.scalar(select(func.sum(PointsEntry.points)))
        kept = (
            select(func.sum(BoardTotal.points))
            .join(Board, Board.id == BoardTotal.board_id)
            .where(Board.scope == EVERY_STUDY, Board.period == "all")
        )
        assert session.scalar(kept) == everything
        undo.rollback()
    session.expire_all()


class TestBoards:
    def give(self, session: Session, game: Game, *points: int) -> list[Player]:
        ranked = []
        for number in points:
            player = factories.make_player(session)
            round_ = Round(
                study_id=game.study.id,
                cluster_map_id=game.maps[0].id,
                player_id=player.id,
                status="resigned",
                finished_at=datetime.now(UTC),
            )
            session.add(round_)
            session.flush()
            tallies = ledger.lock_tallies(session, [player.id])
            line = Line(player.id, round_.id, "guess", number)
            ledger.post(session, [line], tallies, rounds_of={})
            ranked.append(player)
        return ranked

    def test_places_fall_with_points_and_ties_share_a_rank(
        self, session: Session, game: Game
    ) -> None:
        self.give(session, game, 5, 900, 30, 30)
        page = boards.read(session, "all")
        assert [(p.rank, p.points) for p in page.top] == [(1, 900), (2, 30), (2, 30), (4, 5)]
        assert page.n_players == 4

    @pytest.mark.parametrize("period", ["today", "week", "all"])
    def test_a_players_rank_is_one_more_than_those_above(
        self, session: Session, game: Game, period: boards.Period
    ) -> None:
        found = self.give(session, game, 700, 701, 702, 5000, 3)
        page = boards.read(session, period, study=game.study, player_id=found[0].id)
        assert page.own is not None
        assert (page.own.rank, page.own.points) == (4, 700)

    def test_who_is_not_among_the_top_sees_their_neighbours(
        self, session: Session, game: Game, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(boards, "N_SHOWN", 2)
        found = self.give(session, game, 100, 90, 80, 70, 60, 60, 60, 20)
        for minutes, player in enumerate(found):
            session.execute(
                update(BoardTotal)
                .where(BoardTotal.player_id == player.id)
                .values(reached_at=datetime.now(UTC) + timedelta(minutes=minutes))
            )
        page = boards.read(session, "all", player_id=found[5].id)
        assert [(p.rank, p.points) for p in page.around] == [
            (4, 70),
            (5, 60),
            (5, 60),
            (5, 60),
            (8, 20),
        ]
        assert page.around[2].player_id == found[5].id

    def test_a_board_nobody_is_on_is_empty(self, session: Session) -> None:
        page = boards.read(session, "today", player_id=uuid4())
        assert (page.n_players, page.top, page.own, page.around) == (0, [], None, [])

    def test_yesterdays_points_are_not_todays(self, session: Session, game: Game) -> None:
        (player,) = self.give(session, game, 40)
        session.execute(
            text("update boards set period = '2020-01-01' where period = :d"),
            {"d": boards.period_key("today", datetime.now(UTC))},
        )
        assert boards.read(session, "today", player_id=player.id).own is None
        assert boards.read(session, "week", player_id=player.id).own is not None

    def test_simulated_players_are_on_no_board_of_people(
        self, session: Session, game: Game
    ) -> None:
        simulated = players.create_simulated(session)
        finish(session, simulated, game, map_number=None)
        assert boards.read(session, "all", player_id=simulated.id).top == []
        assert players.standing(session, simulated).points > 0
