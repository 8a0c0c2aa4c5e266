"""What moderators decide about labels and players changes results at once, and can be undone."""

from uuid import UUID

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.infra.errors import ConflictError, ForbiddenError, InvalidInputError, NotFoundError
from app.models import ClusterMap, Concept, ConceptScore, Flag, Label, Player, Restriction, Round
from app.services import (
    audit,
    checks,
    curation,
    exports,
    honesty,
    moderation,
    moderation_queue,
    players,
    rounds,
    shown,
)
from tests.factories import make_account, make_study
from tests.services.conftest import Game
from tests.services.test_labels import Play, group, play

__all__ = ["play"]


@pytest.fixture
def ada(play: Play) -> Player:
    return play(0, "ears", "damn")


@pytest.fixture
def eve(play: Play, ada: Player) -> Player:
    return play(0, "ear", "tail")


def round_of(session: Session, player: Player) -> Round:
    return session.scalars(select(Round).where(Round.player_id == player.id)).one()


def label(session: Session, text: str) -> Label:
    return session.scalars(select(Label).where(Label.text == text)).one()


def concepts(session: Session, game: Game) -> set[str]:
    group(session, game.cat)
    return set(session.scalars(select(Concept.name).join(ConceptScore)))


def no_drift(session: Session, game: Game) -> bool:
    """Whether maps count what their rounds add up to; `play` has set the counts of others."""
    return not [s for s in checks.find_drift(session) if str(game.maps[0].id) in s]


def last_id(session: Session, game: Game) -> int:
    return moderation.last_acts(session, game.study)[0].id


class TestQueue:
    def test_a_flagged_round_waits_with_reason_labels_and_record(
        self, session: Session, game: Game, ada: Player
    ) -> None:
        honesty.flag(session, round_of(session, ada), "burst", "over 20 rounds a minute")
        (case,) = moderation_queue.cases(session, game.study)
        assert ("burst", "over 20 rounds a minute") in case.reasons
        assert [one.text for one in case.labels] == ["ears", "damn"]
        assert (case.player.n_rounds, case.player.n_right) == (1, 1)
        assert moderation_queue.n_waiting(session, game.study) == 1

    def test_another_studys_rounds_are_not_in_it(
        self, session: Session, game: Game, ada: Player
    ) -> None:
        honesty.flag(session, round_of(session, ada), "burst", "")
        assert moderation_queue.cases(session, make_study(session)) == []

    def test_pages_follow_without_gap_or_repeat(
        self, session: Session, game: Game, play: Play
    ) -> None:
        flagged = [round_of(session, play(0, "ear")) for _ in range(5)]
        session.query(Flag).delete()
        for one in flagged:
            honesty.flag(session, one, "burst", "")
        seen: list[UUID] = []
        last: int | None = None
        sizes = []
        while page := moderation_queue.cases(session, game.study, older_than=last, limit=2):
            seen += [case.round_id for case in page]
            sizes.append(len(page))
            last = page[-1].last_flag_id
        assert sizes == [2, 2, 1]
        assert seen == [one.id for one in reversed(flagged)]

    def test_a_dismissed_round_leaves_it_and_still_counts(
        self, session: Session, game: Game, ada: Player
    ) -> None:
        round_ = round_of(session, ada)
        honesty.flag(session, round_, "burst", "")
        moderation.dismiss(session, game.study, round_ids=[round_.id])
        assert moderation_queue.cases(session, game.study) == []
        assert "damn" in concepts(session, game)
        moderation.undo(session, game.study, entry_id=last_id(session, game))
        assert len(moderation_queue.cases(session, game.study)) == 1


class TestLabels:
    def test_a_hidden_label_is_in_no_concept_and_nobody_sees_it(
        self, session: Session, game: Game, ada: Player, eve: Player
    ) -> None:
        assert "damn" in concepts(session, game)
        moderation.hide(session, game.study, label_ids=[label(session, "damn").id])
        mine = rounds.get_round(session, round_id=round_of(session, eve).id, player=eve)
        others = shown.labels_of_others(session, mine)
        assert [text for text, _ in others] == ["ears"]
        assert "damn" not in concepts(session, game)

    def test_neither_hidden_labels_nor_excluded_players_are_exported(
        self, session: Session, game: Game, ada: Player, eve: Player
    ) -> None:
        def exported() -> list[str]:
            rows = exports.label_rows(session, study=game.study, secret=b"secret")
            return [row["label"] for row in rows]

        moderation.hide(session, game.study, label_ids=[label(session, "damn").id])
        assert exported() == ["ears", "ear", "tail"]
        moderation.restrict(session, game.study, player_ids=[eve.id], kind="excluded")
        assert exported() == ["ears"]

    def test_it_counts_again_when_restored(self, session: Session, game: Game, ada: Player) -> None:
        hidden = label(session, "damn").id
        moderation.hide(session, game.study, label_ids=[hidden])
        moderation.restore(session, game.study, label_ids=[hidden])
        assert "damn" in concepts(session, game)

    def test_undo_leaves_hidden_what_was_hidden_before(
        self, session: Session, game: Game, ada: Player
    ) -> None:
        first, second = label(session, "damn"), label(session, "ears")
        moderation.hide(session, game.study, label_ids=[first.id])
        moderation.hide(session, game.study, label_ids=[first.id, second.id])
        moderation.undo(session, game.study, entry_id=last_id(session, game))
        assert (first.hidden_at is not None, second.hidden_at) == (True, None)

    def test_a_moderator_reaches_labels_of_their_own_study_only(
        self, session: Session, ada: Player
    ) -> None:
        with pytest.raises(NotFoundError):
            moderation.hide(session, make_study(session), label_ids=[label(session, "damn").id])
        assert label(session, "damn").hidden_at is None

    def test_nothing_ticked_is_told(self, session: Session, game: Game) -> None:
        with pytest.raises(InvalidInputError, match="Tick"):
            moderation.hide(session, game.study, label_ids=[])


class TestPlayers:
    @pytest.mark.parametrize(
        ("kind", "earlier_counts"), [("silenced", True), ("excluded", False), ("banned", False)]
    )
    def test_what_a_restricted_player_typed(
        self,
        session: Session,
        game: Game,
        ada: Player,
        eve: Player,
        kind: moderation.Kind,
        earlier_counts: bool,
    ) -> None:
        game.maps[0].n_finished = 2
        moderation.restrict(session, game.study, player_ids=[ada.id], kind=kind)
        assert ("damn" in concepts(session, game)) == earlier_counts
        assert "ear" in concepts(session, game)
        assert no_drift(session, game)

    @pytest.mark.parametrize("kind", ["silenced", "excluded"])
    def test_later_answers_are_taken_and_do_not_count(
        self, session: Session, game: Game, ada: Player, kind: moderation.Kind
    ) -> None:
        moderation.restrict(session, game.study, player_ids=[ada.id], kind=kind)
        later = rounds.deal(session, player=ada, study=game.study)
        assert later is not None
        rounds.guess(session, round_id=later.id, player=ada, class_id=game.dog.id, labels=["paw"])
        session.refresh(later)
        assert (later.is_excluded, later.is_open) == (True, False)
        group(session, game.cat)
        group(session, game.dog)
        assert label(session, "paw").concept_id is None
        played = session.get_one(ClusterMap, later.cluster_map_id, populate_existing=True)
        assert played.n_leased == 0

    def test_a_banned_player_is_told_kindly(
        self, session: Session, game: Game, ada: Player
    ) -> None:
        moderation.restrict(session, game.study, player_ids=[ada.id], kind="banned")
        with pytest.raises(ForbiddenError, match="Other games are open"):
            rounds.deal(session, player=ada, study=game.study)

    def test_lifted_all_counts_again(self, session: Session, game: Game, ada: Player) -> None:
        moderation.restrict(session, game.study, player_ids=[ada.id], kind="banned")
        moderation.restrict(session, game.study, player_ids=[ada.id], kind=None)
        assert "damn" in concepts(session, game)
        assert no_drift(session, game)
        assert rounds.deal(session, player=ada, study=game.study) is not None

    def test_undo_gives_back_the_restriction_before(
        self, session: Session, game: Game, ada: Player
    ) -> None:
        for kind in ("silenced", "banned"):
            moderation.restrict(session, game.study, player_ids=[ada.id], kind=kind)
        moderation.undo(session, game.study, entry_id=last_id(session, game))
        assert session.scalars(select(Restriction.kind)).all() == ["silenced"]
        assert "damn" in concepts(session, game)

    def test_signing_in_sheds_no_restriction(
        self, session: Session, game: Game, ada: Player
    ) -> None:
        moderation.restrict(session, game.study, player_ids=[ada.id], kind="banned")
        account = make_account(session)
        players.merge_guest(session, guest=ada, account=account)
        with pytest.raises(ForbiddenError):
            rounds.deal(session, player=account.player, study=game.study)

    def test_who_never_played_here_cannot_be_restricted(
        self, session: Session, game: Game, player: Player
    ) -> None:
        with pytest.raises(NotFoundError):
            moderation.restrict(session, game.study, player_ids=[player.id], kind="banned")


class TestUndo:
    def test_acts_are_taken_back_from_the_last(
        self, session: Session, game: Game, ada: Player
    ) -> None:
        moderation.hide(session, game.study, label_ids=[label(session, "damn").id])
        first = last_id(session, game)
        moderation.restrict(session, game.study, player_ids=[ada.id], kind="banned")
        with pytest.raises(ConflictError):
            moderation.undo(session, game.study, entry_id=first)
        moderation.undo(session, game.study, entry_id=last_id(session, game))
        moderation.undo(session, game.study, entry_id=first)
        assert moderation.last_acts(session, game.study) == []
        assert label(session, "damn").hidden_at is None

    def test_one_act_is_taken_back_once(self, session: Session, game: Game, ada: Player) -> None:
        moderation.hide(session, game.study, label_ids=[label(session, "damn").id])
        entry = last_id(session, game)
        moderation.undo(session, game.study, entry_id=entry)
        with pytest.raises(ConflictError):
            moderation.undo(session, game.study, entry_id=entry)

    def test_a_concept_comes_back_by_the_log(
        self, session: Session, game: Game, ada: Player
    ) -> None:
        group(session, game.cat)
        concept = session.scalars(select(Concept).where(Concept.name == "damn")).one()
        curation.mark_junk(session, concept_id=concept.id)
        assert "damn" not in concepts(session, game)
        moderation.undo(session, game.study, entry_id=last_id(session, game))
        assert "damn" in concepts(session, game)
        assert audit.find(session, act="undo")[0].after == {"taken back": "concept.junk"}


class TestReports:
    def test_a_reported_word_puts_its_rounds_on_the_queue(
        self, session: Session, game: Game, ada: Player, eve: Player
    ) -> None:
        session.query(Flag).delete()
        for _ in range(2):  # reported twice it is there once
            moderation.report(session, round_of(session, eve), text="DAMN")
        (case,) = moderation_queue.cases(session, game.study)
        assert case.player.id == ada.id
        assert case.reasons == [("reported", "“DAMN”")]

    @pytest.mark.parametrize("text", ["paw", "tail", "\x00"])
    def test_only_words_of_others_on_this_map_can_be(
        self, session: Session, ada: Player, eve: Player, text: str
    ) -> None:
        with pytest.raises(NotFoundError):
            moderation.report(session, round_of(session, eve), text=text)


class TestWarning:
    def test_a_note_is_read_once_and_settles_what_was_open(
        self, session: Session, game: Game, ada: Player, eve: Player
    ) -> None:
        moderation.warn(session, game.study, player_ids=[ada.id], words="Please  look.", why="x")
        (note,) = moderation.unread_notes(session, ada)
        assert note.words == "Please look."
        assert moderation.unread_notes(session, eve) == []
        open_flags = select(Flag).where(Flag.player_id == ada.id, Flag.settled_at.is_(None))
        assert session.scalars(open_flags).all() == []
        moderation.acknowledge(session, eve, note_id=note.id)  # it is not hers
        for _ in range(2):
            moderation.acknowledge(session, ada, note_id=note.id)
        assert moderation.unread_notes(session, ada) == []
        assert audit.last_recorded(session).act == "player.warned"

    def test_taken_back_it_is_shown_no_more(
        self, session: Session, game: Game, ada: Player
    ) -> None:
        moderation.warn(session, game.study, player_ids=[ada.id])
        assert moderation.unread_notes(session, ada)[0].words == moderation.USUAL_NOTE
        moderation.undo(session, game.study, entry_id=last_id(session, game))
        assert moderation.unread_notes(session, ada) == []
        assert moderation_queue.n_waiting(session, game.study) == 1

    def test_too_long_a_note_is_refused(self, session: Session, game: Game, ada: Player) -> None:
        with pytest.raises(InvalidInputError):
            moderation.warn(session, game.study, player_ids=[ada.id], words="x" * 501)
