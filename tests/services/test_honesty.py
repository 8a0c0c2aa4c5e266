"""Labels that say nothing earn nothing and are kept; what looks odd is marked."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from app import rules
from app.infra.storage import Storage
from app.models import ClusterMap, Flag, Label, Player, PlayerDevice, PointsEntry, Round
from app.services import honesty, players, rounds
from tests import factories
from tests.services.conftest import Game


def answer(
    session: Session,
    player: Player,
    game: Game,
    *texts: str,
    pasted: Sequence[str] = (),
    taboo: Sequence[str] = (),
    nothing_nameable: bool = False,
    seconds: float = 10,
) -> Round:
    """A right guess, so many seconds after the round was dealt."""
    round_ = rounds.deal(session, player=player, study=game.study)
    assert round_ is not None
    round_.last_step_at = datetime.now(UTC) - timedelta(seconds=seconds)
    round_.taboo = list(taboo)
    session.flush()
    image = rounds.get_round(session, round_id=round_.id, player=player).cluster_map.image
    return rounds.guess(
        session,
        round_id=round_.id,
        player=player,
        class_id=image.class_id,
        labels=texts,
        nothing_nameable=nothing_nameable,
        pasted=pasted,
    )


def remarks(session: Session, round_: Round) -> dict[str, str | None]:
    rows = session.execute(select(Label.text, Label.remark).where(Label.round_id == round_.id))
    return dict(rows.all())


def flags(session: Session) -> list[str]:
    return list(session.scalars(select(Flag.reason).order_by(Flag.id)))


@pytest.mark.parametrize(
    ("text", "remark"),
    [
        ("a cat", "class name"),
        ("Cats!", "class name"),
        ("asdfgh", "mash"),
        ("no idea", "empty"),
        ("something", "empty"),
        ("pointy ears", None),
        ("cat whiskers", None),
    ],
)
def test_a_label_is_kept_with_what_is_wrong_with_it(
    session: Session, player: Player, game: Game, text: str, remark: str | None
) -> None:
    round_ = answer(session, player, game, text)
    assert remarks(session, round_) == {text: remark}


def test_a_label_with_a_remark_earns_nothing_where_another_earns(
    session: Session, player: Player, rival: Player, game: Game
) -> None:
    for one in (player, rival):
        for other in game.maps[1:]:
            other.is_playable = False
        session.flush()
        answer(session, one, game, "ears", "fur", pasted=["FUR "])
    agreed = select(PointsEntry.detail).where(PointsEntry.reason == "agreement")
    assert session.scalars(agreed).all() == ["ears"]


def test_taboo_words_earn_nothing(session: Session, player: Player, game: Game) -> None:
    round_ = answer(session, player, game, "long ear", "tail", taboo=["ear"])
    assert remarks(session, round_) == {"long ear": "taboo", "tail": None}


def test_words_become_taboo_when_enough_have_typed_them(session: Session, game: Game) -> None:
    for other in game.maps[1:]:
        other.is_playable = False
    session.flush()
    for number in range(rules.TABOO_MIN_PLAYERS):
        answer(session, factories.make_player(session), game, "ears", *["fur"][: number % 2])
    words = [
        honesty.taboo_words(session, player_id=one.id, map_id=game.maps[0].id)
        for one in (factories.make_player(session) for _ in range(40))
    ]
    assert [w for w in words if w] == [["ears"]] * len([w for w in words if w])
    # 20 of 40 expected, 3 standard deviations are 9.5.
    assert 10 <= len([w for w in words if w]) <= 30


def test_the_same_word_for_very_different_pictures_is_remarked(
    session: Session, storage: Storage, player: Player
) -> None:
    classes = ("cat", "dog", "fish", "bird")
    study = factories.make_study(session, classes=classes, layers=[("block1", 32)])
    for name in classes:
        factories.make_image(
            session, storage, study, class_name=name, maps={"block1": [(9.0, factories.spot_map())]}
        )
    game = Game(study, study.classes[0], study.classes[1], [], [])
    found = [remarks(session, answer(session, player, game, "shape")) for _ in classes]
    assert found == [{"shape": None}] * 3 + [{"shape": "repeated"}]


class TestFlags:
    def test_an_answer_too_fast_for_a_person_is_marked_and_counts(
        self, session: Session, player: Player, game: Game
    ) -> None:
        answer(session, player, game, "ears", seconds=0.4)
        assert flags(session) == ["too fast"]
        assert players.standing(session, player).points == rules.GUESS_POINTS[0]

    def test_that_nothing_is_nameable_takes_a_look_too(
        self, session: Session, player: Player, game: Game
    ) -> None:
        answer(session, player, game, nothing_nameable=True, seconds=0.4)
        assert flags(session) == ["too fast"]

    @pytest.mark.parametrize("texts", [(), ("ears",)])
    def test_a_person_is_not_marked(
        self, session: Session, player: Player, game: Game, texts: tuple[str, ...]
    ) -> None:
        answer(session, player, game, *texts, seconds=0 if not texts else 4)
        assert flags(session) == []

    def test_nothing_but_dishonest_labels_is_marked(
        self, session: Session, player: Player, game: Game
    ) -> None:
        answer(session, player, game, "asdfgh", "fur", pasted=["fur"])
        answer(session, player, game, "asdfgh", "ears")
        assert flags(session) == ["dishonest labels", "pasted"]

    def test_a_rude_word_is_marked_however_it_is_spelled(
        self, session: Session, player: Player, game: Game
    ) -> None:
        answer(session, player, game, "soft fur", "sh1t")
        (found,) = session.scalars(select(Flag)).all()
        assert (found.reason, found.detail) == ("profanity", "sh1t")

    @pytest.mark.parametrize(("n_named", "marked"), [(0, True), (1, True), (2, False)])
    def test_practice_is_looked_at_every_eighth_time(
        self,
        session: Session,
        storage: Storage,
        player: Player,
        game: Game,
        n_named: int,
        marked: bool,
    ) -> None:
        ramp = factories.spot_map()
        maps = {"block1": [(9.0, ramp)] * rules.PRACTICE_JUDGED_OF}
        image = factories.make_image(session, storage, game.study, class_name="cat", maps=maps)
        for number, cluster_map in enumerate(factories.maps_of(session, image)):
            round_ = Round(
                study_id=game.study.id,
                cluster_map_id=cluster_map.id,
                player=player,
                status="lost",
                guessed_class_id=game.cat.id,
                practice=True,
                named_known=number < n_named,
                finished_at=datetime.now(UTC),
            )
            session.add(round_)
            session.flush()
            honesty.flag_practice(session, round_)
        assert flags(session) == ["practice failures"] * marked

    def test_a_browser_with_very_many_accounts_is_marked(
        self, session: Session, game: Game
    ) -> None:
        n_accounts = rules.DEVICE_MAX_ACCOUNTS + 1
        for _ in range(n_accounts):
            player = factories.make_account(session).player
            round_ = rounds.deal(session, player=player, study=game.study)
            assert round_ is not None
            rounds.guess(
                session,
                round_id=round_.id,
                player=player,
                class_id=game.cat.id,
                labels=[],
                device="a digest",
            )
        (found,) = session.scalars(select(Flag)).all()
        assert (found.reason, found.detail) == ("many accounts", "4 accounts in one browser")
        long_ago = datetime.now(UTC).date() - honesty.DEVICE_KEPT - timedelta(days=1)
        session.execute(update(PlayerDevice).values(seen_on=long_ago))
        honesty.forget_devices(session)
        assert session.scalars(select(PlayerDevice)).all() == []

    def test_simulated_players_are_not_marked(self, session: Session, game: Game) -> None:
        answer(session, players.create_simulated(session), game, "asdfgh", seconds=0)
        assert flags(session) == []


def test_labels_with_remarks_are_all_still_there(
    session: Session, player: Player, game: Game
) -> None:
    round_ = answer(session, player, game, "cat", "asdfgh", "something")
    assert len(remarks(session, round_)) == 3
    assert session.get_one(ClusterMap, round_.cluster_map_id).n_finished == 1
