"""A guest who turns out to have an account: nothing is lost, nothing counts twice."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app import rules
from app.infra.storage import Storage
from app.models import Account, ClusterMap, Label, Player, PointsEntry, Round, Study
from app.services import checks, labels, players, rounds, studies
from app.services import ledger as ledger_service
from app.services.ledger import Line
from tests.factories import make_account, make_image, make_player, make_study, maps_of, spot_map

N_STUDIES, N_MAPS = 2, 4


@pytest.fixture
def games(session: Session, storage: Storage) -> list[tuple[Study, list[ClusterMap]]]:
    """Two studies, each with one picture of four maps."""
    made = []
    for _ in range(N_STUDIES):
        study = make_study(session)
        spots = [(60.0 - i, spot_map(x=0.2 * (i + 1))) for i in range(N_MAPS)]
        image = make_image(session, storage, study, maps={"layer4": spots})
        made.append((study, maps_of(session, image)))
    return made


# What somebody did with a map: nothing, won it with points, lost it, or has it open.
Did = st.sampled_from(["nothing", "won", "lost", "open"])
Histories = st.lists(
    st.lists(Did, min_size=N_MAPS, max_size=N_MAPS), min_size=N_STUDIES, max_size=N_STUDIES
)


def live(
    session: Session,
    player: Player,
    games: list[tuple[Study, list[ClusterMap]]],
    history: list[list[str]],
) -> None:
    """Rows as playing would have left them; of several open rounds in a study the first stays."""
    for (study, maps), of_study in zip(games, history, strict=True):
        has_open = False
        for number, (cluster_map, did) in enumerate(zip(maps, of_study, strict=True)):
            if did == "nothing" or (did == "open" and has_open):
                continue
            has_open = has_open or did == "open"
            round_ = Round(
                study_id=study.id,
                cluster_map_id=cluster_map.id,
                player_id=player.id,
                status=did,
                guessed_class_id=None if did == "open" else study.classes[0].id,
                finished_at=None if did == "open" else datetime.now(UTC),
            )
            session.add(round_)
            session.flush()
            if did == "open":
                continue
            session.add(
                Label(round_id=round_.id, cluster_map_id=cluster_map.id, position=0, text="sail")
            )
            earned = [("guess", "", 10 + number)] if did == "won" else []
            for reason, detail, points in [*earned, ("agreement", "sail", 3)]:
                session.add(
                    PointsEntry(
                        player_id=player.id,
                        round_id=round_.id,
                        reason=reason,
                        detail=detail,
                        points=points,
                    )
                )
    session.flush()


def by_map(session: Session, player_id: object) -> dict[object, tuple[str, int]]:
    """Status and points of a player's round, by map."""
    rows = session.execute(
        select(
            Round.cluster_map_id,
            Round.status,
            select(func.coalesce(func.sum(PointsEntry.points), 0))
            .where(PointsEntry.round_id == Round.id)
            .scalar_subquery(),
        ).where(Round.player_id == player_id)
    )
    return {row[0]: (row[1], row[2]) for row in rows}


def finished(rounds_: dict[object, tuple[str, int]]) -> dict[object, tuple[str, int]]:
    return {m: round_ for m, round_ in rounds_.items() if round_[0] != "open"}


def ledger(session: Session) -> list[tuple[object, ...]]:
    rows = session.execute(
        select(
            *(PointsEntry.id, PointsEntry.player_id, PointsEntry.round_id, PointsEntry.points)
        ).order_by(PointsEntry.id)
    )
    return [tuple(row) for row in rows]


@given(of_guest=Histories, of_account=Histories)
@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_no_point_and_no_round_is_lost_or_doubled(
    session: Session,
    games: list[tuple[Study, list[ClusterMap]]],
    of_guest: list[list[str]],
    of_account: list[list[str]],
) -> None:
    with session.begin_nested() as example:
        account = make_account(session)
        guest = make_player(session)
        live(session, guest, games, of_guest)
        live(session, account.player, games, of_account)
        guests, owns, before = (
            by_map(session, guest.id),
            by_map(session, account.player_id),
            ledger(session),
        )
        n_labels = session.scalar(select(func.count()).select_from(Label))

        players.merge_guest(session, guest=guest, account=account)
        after, left = by_map(session, account.player_id), by_map(session, guest.id)

        # The account's finished rounds are as they were, every finished map of either is the
        # account's now, and rounds that are gone were open ones on a map that the guest finished.
        assert finished(owns).items() <= after.items()
        assert finished(after) == {**finished(guests), **finished(owns)}
        assert finished(left) == {m: guests[m] for m in finished(guests) if m in finished(owns)}
        n_superseded = sum(m in finished(guests) and m not in finished(owns) for m in owns)
        assert len(after) + len(left) == len(guests) + len(owns) - n_superseded
        # Points: each map's once, the account's before the guest's.
        expected = {m: points for m, (_, points) in {**guests, **finished(owns)}.items()}
        assert players.standing(session, account.player).points == sum(expected.values())
        assert ledger(session) == before
        of_players = ("a player", "a step")
        drift = [words for words in checks.find_drift(session) if words.startswith(of_players)]
        assert drift == []
        assert session.scalar(select(func.count()).select_from(Label)) == n_labels

        assert players.merge_guest(session, guest=guest, account=account) == 0
        assert by_map(session, account.player_id) == after
        example.rollback()


def test_a_badge_is_paid_once_to_guest_and_account_together(
    session: Session, account: Account, games: list[tuple[Study, list[ClusterMap]]]
) -> None:
    """Both have finished a round each, and have the same badge for it."""
    guest = make_player(session)
    for player, (study, _) in zip((guest, account.player), games, strict=True):
        dealt = rounds.deal(session, player=player, study=study)
        assert dealt is not None
        class_id = study.classes[0].id
        rounds.guess(session, round_id=dealt.id, player=player, class_id=class_id, labels=["sail"])
        badge = Line(player.id, dealt.id, "badge", rules.BADGE_POINTS, "first light")
        tallies = ledger_service.lock_tallies(session, [player.id])
        assert ledger_service.post(session, [badge], tallies, rounds_of={}) == [badge]
    both = [players.standing(session, player).points for player in (guest, account.player)]
    players.merge_guest(session, guest=guest, account=account)
    standing = players.standing(session, account.player)
    assert standing.points == sum(both) - rules.BADGE_POINTS
    assert (standing.n_rounds, standing.streak_days) == (2, 1)
    assert ledger_service.badges(session, account.player_id).keys() == {"first light"}
    assert [words for words in checks.find_drift(session) if words.startswith("a ")] == []


@pytest.fixture
def account(session: Session) -> Account:
    return make_account(session)


def test_the_guests_cookie_opens_nothing_any_more(session: Session, account: Account) -> None:
    guest, token = players.create_guest(session)
    players.merge_guest(session, guest=guest, account=account)
    assert players.find_player(session, token) is None
    assert guest.merged_into_id == account.player_id


def test_an_unlisted_game_stays_open_to_whoever_came_in_by_its_link(
    session: Session, account: Account
) -> None:
    study = make_study(session)
    study.visibility, study.invite_token = "unlisted", "abc"
    guest = make_player(session)
    studies.join(session, token="abc", player=guest)
    players.merge_guest(session, guest=guest, account=account)
    assert studies.enter(session, study.slug, player=account.player) is study


def test_the_player_of_another_account_is_not_taken(session: Session, account: Account) -> None:
    other = make_account(session)
    assert players.merge_guest(session, guest=other.player, account=account) == 0
    assert other.player.merged_into_id is None


def test_a_simulated_player_stays_one(session: Session, account: Account) -> None:
    program = players.create_simulated(session)
    players.merge_guest(session, guest=program, account=account)
    assert program.merged_into_id is None


def test_an_open_round_goes_on_with_the_account(
    session: Session, account: Account, games: list[tuple[Study, list[ClusterMap]]]
) -> None:
    study, _ = games[0]
    guest = make_player(session)
    dealt = rounds.deal(session, player=guest, study=study)
    assert dealt is not None
    rounds.reveal(session, round_id=dealt.id, player=guest, from_index=0)
    players.merge_guest(session, guest=guest, account=account)
    again = rounds.deal(session, player=account.player, study=study)
    assert again is not None
    assert (again.id, again.reveal_index) == (dealt.id, 1)


def test_what_a_guest_typed_counts_as_the_words_of_people(
    session: Session, account: Account, games: list[tuple[Study, list[ClusterMap]]]
) -> None:
    """An account's player is a person, as a guest is: results do not change by signing up."""
    study, _ = games[0]
    guest = make_player(session)
    live(session, guest, games, [["won"] * N_MAPS, ["nothing"] * N_MAPS])
    class_id = study.classes[0].id
    before = labels._typed_labels(session, class_id, simulated=False)
    players.merge_guest(session, guest=guest, account=account)
    after = labels._typed_labels(session, class_id, simulated=False)
    assert {typed.player_id for typed in before} == {guest.id}
    assert after == [replace(typed, player_id=account.player_id) for typed in before]
    assert len(before) == N_MAPS
