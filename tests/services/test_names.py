"""What players are called."""

from sqlalchemy import Engine, event
from sqlalchemy.orm import Session

from app.models import Player
from app.services import accounts, boards, erasure, names, players, rounds
from tests.factories import PASSWORD, make_account, make_player
from tests.services.conftest import Game


def earn(session: Session, game: Game, player: Player) -> None:
    round_ = rounds.deal(session, player=player, study=game.study)
    assert round_ is not None
    found = rounds.get_round(session, round_id=round_.id, player=player)
    class_id = found.cluster_map.image.class_id
    rounds.guess(session, round_id=round_.id, player=player, class_id=class_id, labels=[])


def test_a_guest_has_a_made_up_name_that_stays(session: Session, player: Player) -> None:
    name = names.public_name(session, player.id)
    assert name == names.public_name(session, player.id) == names.made_up_name(player.id)
    assert str(player.id)[:8] not in name


def test_who_signs_up_is_called_as_they_have_said(session: Session, player: Player) -> None:
    account = accounts.create(session, name="Ada", password=PASSWORD, guest=player)
    assert account.player_id == player.id
    assert names.public_name(session, player.id) == "Ada"
    accounts.rename(session, account, "Grace")
    assert names.public_name(session, player.id) == "Grace"


def test_a_guest_who_signs_in_is_on_the_boards_by_the_accounts_name(
    session: Session, game: Game, player: Player
) -> None:
    earn(session, game, player)
    assert boards.read(session, "all").top[0].name == names.made_up_name(player.id)
    players.merge_guest(session, guest=player, account=make_account(session, "Ada"))
    assert [place.name for place in boards.read(session, "all").top] == ["Ada"]


def test_an_erased_accounts_name_is_on_no_board(session: Session, game: Game) -> None:
    account = make_account(session, "Ada")
    earn(session, game, account.player)
    assert [place.name for place in boards.read(session, "all").top] == ["Ada"]
    erasure.erase(session, account, words="keep")
    assert "Ada" not in [place.name for place in boards.read(session, "all").top]


def test_a_board_asks_for_all_names_at_once(
    session: Session, worker_engine: Engine, game: Game
) -> None:
    def n_queries() -> int:
        asked = []

        def count(*_: object) -> None:
            asked.append(1)

        event.listen(worker_engine, "before_cursor_execute", count)
        boards.read(session, "all")
        event.remove(worker_engine, "before_cursor_execute", count)
        return len(asked)

    earn(session, game, make_account(session, "Ada").player)
    before = n_queries()
    for name in ("Grace", "Lise"):
        earn(session, game, make_account(session, name).player)
    earn(session, game, make_player(session))
    assert n_queries() == before
    assert {place.name for place in boards.read(session, "all").top} >= {"Ada", "Grace", "Lise"}
