"""Practice rounds: maps with a known answer, dealt like any other, counted in no result."""

import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app import rules
from app.infra.queue import queued_jobs
from app.infra.storage import Storage
from app.models import ClusterMap, Concept, KnownAnswer, Player, PointsEntry, Round
from app.services import explanations, exports, labels, players, practice, rounds, shown
from tests.factories import make_account, make_image, make_player, maps_of, spot_map
from tests.services.conftest import Game, make_game
from tests.services.test_labels import EMBED

ONE_MAP = {"block1": [(50.0, spot_map())]}


def state(
    session: Session, cluster_map: ClusterMap, *words: str, share: float = 0.8
) -> KnownAnswer:
    return practice.store_known_answer(
        session,
        cluster_map_id=cluster_map.id,
        region="ear",
        words=words or ("ear",),
        energy_share=share,
    )


def deal(session: Session, player: Player, game: Game) -> Round:
    round_ = rounds.deal(session, player=player, study=game.study)
    assert round_ is not None
    return round_


def guess(session: Session, player: Player, round_: Round, class_id: int, *texts: str) -> Round:
    return rounds.guess(session, round_id=round_.id, player=player, class_id=class_id, labels=texts)


def points(session: Session, player: Player) -> list[tuple[str, int]]:
    query = select(PointsEntry.reason, PointsEntry.points).where(PointsEntry.player_id == player.id)
    return [(reason, n) for reason, n in session.execute(query.order_by(PointsEntry.id))]


class TestKnownAnswers:
    def test_words_are_kept_tidy_each_once(self, session: Session, game: Game) -> None:
        known = state(session, game.maps[0], "Ear", " ear!", "Pointy  Ear", "...")
        assert (known.region, known.words, known.energy_share) == (
            "ear",
            ["ear", "pointy ear"],
            0.8,
        )

    def test_stated_again_the_last_statement_holds(self, session: Session, game: Game) -> None:
        state(session, game.maps[0], "ear")
        known = state(session, game.maps[0], "tip", share=0.9)
        assert (known.words, known.energy_share) == (["tip"], 0.9)
        assert session.scalar(select(func.count()).select_from(KnownAnswer)) == 1

    @pytest.mark.parametrize("share", [0.6, 0.0, 1.01, float("nan")])
    def test_an_answer_in_doubt_is_refused(
        self, session: Session, game: Game, share: float
    ) -> None:
        with pytest.raises(ValueError, match="needs an energy share"):
            state(session, game.maps[0], share=share)

    def test_so_does_the_database_refuse_it(self, session: Session, game: Game) -> None:
        session.add(
            KnownAnswer(
                cluster_map_id=game.maps[0].id,
                study_id=game.study.id,
                region="ear",
                words=["ear"],
                energy_share=rules.KNOWN_ANSWER_MIN_ENERGY_SHARE,
            )
        )
        with pytest.raises(IntegrityError, match="ck_known_answers_share"), session.begin_nested():
            session.flush()

    def test_an_answer_that_nothing_names_is_refused(self, session: Session, game: Game) -> None:
        with pytest.raises(ValueError, match="no word"):
            state(session, game.maps[0], "...")


class TestJudging:
    @pytest.mark.parametrize(
        "label", ["ear", "EARS!", "left ear", "the cat's ears", "pointy-ear", "auricle"]
    )
    def test_a_label_that_is_or_contains_a_word_is_right(self, label: str) -> None:
        known = KnownAnswer(region="ear", words=["ear", "auricle"])
        assert practice.judge(["fur", label], known)

    @pytest.mark.parametrize("label", ["earth", "pear", "hearing", "...", ""])
    def test_any_other_is_not(self, label: str) -> None:
        assert not practice.judge([label], KnownAnswer(region="ear", words=["ear"]))

    def test_without_labels_nothing_is_named(self) -> None:
        assert not practice.judge([], KnownAnswer(region="ear", words=["ear"]))

    @pytest.mark.parametrize(
        ("label", "named"),
        [
            ("Sails!", True),
            ("the sail's edge", True),
            ("white canvas", True),
            ("mainsail", False),
            ("sail boat", False),
        ],
    )
    def test_the_documented_examples(self, label: str, named: bool) -> None:
        known = KnownAnswer(region="sail", words=["sail", "canvas"])
        assert practice.judge([label], known, class_name="sail boat") is named

    def test_the_name_of_the_guessed_class_names_no_part(self) -> None:
        known = KnownAnswer(region="engine", words=["engine"])
        assert not practice.judge(["fire engine"], known, class_name="fire_engine")
        assert practice.judge(["fire engine's engine"], known, class_name="fire_engine")


class TestDealing:
    def test_the_first_round_in_a_study_is_practice(
        self, session: Session, player: Player, game: Game
    ) -> None:
        state(session, game.maps[1])
        first = deal(session, player, game)
        assert (first.cluster_map_id, first.practice) == (game.maps[1].id, True)

    def test_it_is_for_simulated_players_too(self, session: Session, game: Game) -> None:
        state(session, game.maps[1])
        assert deal(session, players.create_simulated(session), game).practice

    def test_the_others_are_those_that_are_drawn(
        self, session: Session, player: Player, game: Game, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(rules, "is_practice_round", lambda *, number, **_: number == 2)
        state(session, game.maps[1])
        dealt = []
        for _ in range(3):
            round_ = deal(session, player, game)
            dealt.append((round_.cluster_map_id, round_.practice))
            rounds.resign(session, round_id=round_.id, player=player)
        heavy, light, dog = (m.id for m in game.maps)
        assert dealt == [(heavy, False), (light, True), (dog, False)]

    def test_once_no_known_map_is_left_rounds_are_ordinary(
        self, session: Session, player: Player, game: Game, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(rules, "is_practice_round", lambda **_: True)
        state(session, game.maps[0])
        rounds.resign(session, round_id=deal(session, player, game).id, player=player)
        assert not deal(session, player, game).practice

    def test_a_known_map_without_contrast_is_not_dealt(
        self, session: Session, player: Player, game: Game
    ) -> None:
        state(session, game.maps[0])
        game.maps[0].is_playable = False
        session.flush()
        first = deal(session, player, game)
        assert (first.cluster_map_id, first.practice) == (game.maps[2].id, False)

    def test_known_maps_of_another_study_do_not_matter(
        self, session: Session, storage: Storage, player: Player, game: Game
    ) -> None:
        game.study.name, game.study.slug = "Others", "others"
        session.flush()
        state(session, game.maps[0])
        assert not deal(session, player, make_game(session, storage)).practice

    def test_a_known_map_is_dealt_as_an_ordinary_round_too(
        self, session: Session, player: Player, game: Game, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(rules, "is_practice_round", lambda **_: False)
        state(session, game.maps[0])
        first = deal(session, player, game)
        assert (first.cluster_map_id, first.practice) == (game.maps[0].id, False)

    def test_players_practise_on_different_maps(self, session: Session, game: Game) -> None:
        """With the same map for everybody nobody could be dealt it in a round that counts. The
        chance that 20 players all draw one of two pictures is 2 in a million."""
        for m in (game.maps[0], game.maps[2]):
            state(session, m)
        dealt = {deal(session, make_player(session), game).cluster_map_id for _ in range(20)}
        assert dealt == {game.maps[0].id, game.maps[2].id}

    def test_an_open_practice_round_is_resumed(
        self, session: Session, player: Player, game: Game
    ) -> None:
        state(session, game.maps[0])
        assert deal(session, player, game).id == deal(session, player, game).id


class TestIntroduction:
    @pytest.fixture
    def new(self, session: Session, game: Game) -> Player:
        """Somebody who has never played, where all maps are known."""
        for m in game.maps:
            state(session, m)
        return make_player(session, is_introduced=False)

    def test_a_new_players_first_rounds_are_lessons_with_a_known_answer(
        self, session: Session, storage: Storage, game: Game, new: Player
    ) -> None:
        image = make_image(session, storage, game.study, class_name="cat", maps=ONE_MAP)
        state(session, maps_of(session, image)[0])
        lessons = []
        for _ in range(4):
            round_ = deal(session, new, game)
            lessons.append((round_.practice, round_.lesson))
            rounds.resign(session, round_id=round_.id, player=new)
        assert lessons[:3] == [(True, 1), (True, 2), (True, 3)]
        assert lessons[3][1] is None
        assert new.is_introduced

    def test_it_goes_on_in_another_study_and_not_anew(
        self, session: Session, storage: Storage, game: Game, new: Player
    ) -> None:
        rounds.resign(session, round_id=deal(session, new, game).id, player=new)
        game.study.name, game.study.slug = "Others", "others"
        session.flush()
        elsewhere = make_game(session, storage)
        state(session, elsewhere.maps[0])
        assert deal(session, new, elsewhere).lesson == 2

    def test_where_nothing_is_known_a_new_player_goes_straight_on(
        self, session: Session, game: Game
    ) -> None:
        round_ = deal(session, make_player(session, is_introduced=False), game)
        assert (round_.practice, round_.lesson) == (False, None)

    def test_skipped_the_round_under_way_goes_on_and_no_lesson_comes_again(
        self, session: Session, game: Game, new: Player
    ) -> None:
        round_ = deal(session, new, game)
        rounds.skip_introduction(session, new)
        again = deal(session, new, game)
        assert (again.id, again.practice, again.lesson) == (round_.id, True, None)
        rounds.resign(session, round_id=round_.id, player=new)
        assert deal(session, new, game).lesson is None

    def test_a_guest_who_signs_in_takes_along_that_they_know_the_game(
        self, session: Session, new: Player
    ) -> None:
        account = make_account(session)
        account.player.is_introduced = False
        rounds.skip_introduction(session, new)
        players.merge_guest(session, guest=new, account=account)
        assert account.player.is_introduced


class TestAnswering:
    @pytest.fixture
    def round_(self, session: Session, player: Player, game: Game) -> Round:
        """The player's open practice round on the cat's heavy map, which shows an ear."""
        state(session, game.maps[0])
        return deal(session, player, game)

    def test_naming_what_is_known_earns_points_besides_those_of_the_guess(
        self, session: Session, player: Player, game: Game, round_: Round
    ) -> None:
        done = guess(session, player, round_, game.cat.id, "fur", "ears", "an ear")
        assert done.named_known is True
        assert points(session, player) == [
            ("guess", rules.GUESS_POINTS[0]),
            ("practice", rules.PRACTICE_POINTS),
        ]

    def test_it_does_with_a_wrong_guess_too(
        self, session: Session, player: Player, game: Game, round_: Round
    ) -> None:
        guess(session, player, round_, game.dog.id, "ear")
        assert points(session, player) == [("practice", rules.PRACTICE_POINTS)]

    def test_another_word_earns_nothing(
        self, session: Session, player: Player, game: Game, round_: Round
    ) -> None:
        done = guess(session, player, round_, game.dog.id, "fur")
        assert done.named_known is False
        assert points(session, player) == []

    def test_a_second_guess_changes_nothing_and_pays_nothing(
        self, session: Session, player: Player, game: Game, round_: Round
    ) -> None:
        guess(session, player, round_, game.dog.id, "fur")
        again = guess(session, player, round_, game.cat.id, "ear")
        assert (again.status, again.named_known) == ("lost", False)
        assert points(session, player) == []

    def test_the_answer_tells_what_the_spot_shows(
        self, session: Session, player: Player, game: Game, round_: Round
    ) -> None:
        done = guess(session, player, round_, game.cat.id, "ear")
        assert shown.outcome(session, done).practice == shown.Practice("ear", named=True)

    def test_a_round_given_up_tells_it_too_and_names_nothing(
        self, session: Session, player: Player, round_: Round
    ) -> None:
        done = rounds.resign(session, round_id=round_.id, player=player)
        assert done.named_known is None
        assert shown.outcome(session, done).practice == shown.Practice("ear", named=None)

    def test_an_ordinary_round_on_a_known_map_tells_nothing_of_it(
        self, session: Session, player: Player, game: Game, round_: Round
    ) -> None:
        round_.practice = False
        session.flush()
        done = guess(session, player, round_, game.dog.id, "ear")
        assert done.named_known is None
        assert shown.outcome(session, done).practice is None
        assert points(session, player) == []


class TestResults:
    @pytest.fixture(autouse=True)
    def _practised(self, session: Session, player: Player, game: Game) -> None:
        """The player has said "ear" in a practice round on the cat's heavy map."""
        state(session, game.maps[0])
        guess(session, player, deal(session, player, game), game.cat.id, "ear")
        session.expire_all()

    def test_practice_is_not_counted_for_its_map(self, game: Game) -> None:
        assert (game.maps[0].n_finished, game.maps[0].simulated_n_finished) == (0, 0)

    def test_practice_makes_no_concepts_and_asks_for_none(
        self, session: Session, game: Game
    ) -> None:
        assert queued_jobs(session) == []
        labels.group_class(session, class_id=game.cat.id, embed=EMBED, recipe="paper")
        assert session.scalars(select(Concept.name)).all() == []

    def test_practice_is_no_part_of_the_explanation(self, session: Session, game: Game) -> None:
        labels.group_class(session, class_id=game.cat.id, embed=EMBED, recipe="paper")
        heavy = explanations.local(session, game.images[0].id).layers[0].groups[0]
        assert (heavy.wins, heavy.shown_reveal_index, heavy.concepts) == (0, None, ())

    def test_others_neither_see_nor_agree_with_its_words(
        self, session: Session, rival: Player, game: Game, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(rules, "is_practice_round", lambda **_: False)
        done = guess(session, rival, deal(session, rival, game), game.dog.id, "ear")
        assert done.cluster_map_id == game.maps[0].id
        assert shown.outcome(session, done).labels_of_others == []
        assert points(session, rival) == []

    def test_its_labels_are_exported_on_wish_only_and_marked(
        self, session: Session, game: Game
    ) -> None:
        assert list(exports.label_rows(session, study=game.study, secret=b"k")) == []
        (row,) = exports.label_rows(session, study=game.study, secret=b"k", practice=True)
        assert (row["label"], row["practice"], row["concept"]) == ("ear", True, None)


class TestSkill:
    def test_it_counts_practice_rounds_and_those_named(
        self, session: Session, player: Player, game: Game, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Three rounds: one named, one given up, one on a map whose answer is not known."""
        monkeypatch.setattr(rules, "is_practice_round", lambda **_: True)
        for m in game.maps[:2]:
            state(session, m)
        guess(session, player, deal(session, player, game), game.cat.id, "ear")
        rounds.resign(session, round_id=deal(session, player, game).id, player=player)
        guess(session, player, deal(session, player, game), game.dog.id, "ear")
        assert practice.skill(session, player) == (2, 1)

    def test_an_open_round_does_not_count_yet(
        self, session: Session, player: Player, game: Game
    ) -> None:
        state(session, game.maps[0])
        deal(session, player, game)
        assert practice.skill(session, player) == (0, 0)

    def test_it_is_the_players_own(
        self, session: Session, player: Player, rival: Player, game: Game
    ) -> None:
        state(session, game.maps[0])
        guess(session, player, deal(session, player, game), game.cat.id, "ear")
        assert practice.skill(session, rival) == (0, 0)
