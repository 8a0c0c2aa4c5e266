"""What people decide about concepts holds in every later run, and can be taken back."""

import json
from dataclasses import asdict

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.infra.errors import ConflictError, InvalidInputError, NotFoundError
from app.infra.queue import queued_jobs
from app.models import Concept, ConceptScore, Label
from app.services import curation
from app.services.curation import Before
from tests.services.conftest import Game
from tests.services.test_labels import Play, concept_of, group, play

__all__ = ["play"]


@pytest.fixture
def wheel_ear_tail(session: Session, game: Game, play: Play) -> None:
    play(0, "wheel", "ear")
    play(0, "wheels", "tail", "tails")
    play(1, "ears")
    group(session, game.cat)


pytestmark = pytest.mark.usefixtures("wheel_ear_tail")


def id_of(session: Session, name: str) -> int:
    return session.scalars(select(Concept.id).where(Concept.name == name)).one()


def n_given(session: Session) -> dict[str, int]:
    found: dict[str, int] = {}
    for name, n in session.execute(
        select(Concept.name, ConceptScore.n_given).join(ConceptScore.concept)
    ):
        found[name] = found.get(name, 0) + n
    return found


def test_merged_concepts_are_one_and_their_counts_add_up(
    session: Session, game: Game, play: Play
) -> None:
    before = n_given(session)
    curation.merge(session, concept_id=id_of(session, "ear"), into_id=id_of(session, "wheel"))
    play(1, "ears!", "earring")
    group(session, game.cat)
    found = concept_of(session)
    assert found["ear"] == found["ears"] == found["ears!"] == found["earring"] == "wheel"
    # Ada typed "wheel" and "ear" in one round: once. And one round more.
    assert n_given(session)["wheel"] == before["wheel"] + before["ear"] - 1 + 1


def test_labels_move_at_once_and_the_scores_are_asked_for(session: Session, game: Game) -> None:
    curation.merge(session, concept_id=id_of(session, "ear"), into_id=id_of(session, "wheel"))
    session.expire_all()
    assert concept_of(session)["ear"] == "wheel"
    job = queued_jobs(session)[-1]
    assert (job.name, job.arguments) == (
        "labels.group_class",
        {"class_id": game.cat.id, "simulated": False},
    )


def test_a_split_off_concept_stays_apart(session: Session, game: Game, play: Play) -> None:
    curation.split(session, concept_id=id_of(session, "tail"), texts=["Tails"], name="stripes")
    play(1, "tails")
    group(session, game.cat)
    found = concept_of(session)
    assert (found["tail"], found["tails"]) == ("tail", "stripes")


def test_a_renamed_concept_keeps_name_and_row(session: Session, game: Game, play: Play) -> None:
    row = id_of(session, "ear")
    curation.rename(session, concept_id=row, name="Hearing organ")
    play(1, "ears")
    group(session, game.cat)
    assert concept_of(session)["ears"] == "hearing organ"
    assert id_of(session, "hearing organ") == row


def test_junk_stays_junk(session: Session, game: Game, play: Play) -> None:
    curation.mark_junk(session, concept_id=id_of(session, "ear"))
    play(1, "ears", "earlobe")
    group(session, game.cat)
    found = concept_of(session)
    assert found["ear"] is found["ears"] is found["earlobe"] is None
    assert "ear" not in n_given(session)


def test_a_mark_as_no_part_of_the_class_stays(session: Session, game: Game, play: Play) -> None:
    row = id_of(session, "wheel")
    curation.mark_part(session, concept_id=row, is_part=False)
    play(1, "wheely")
    group(session, game.cat)
    assert session.scalars(select(Concept.id).where(Concept.is_part.is_(False))).all() == [row]
    assert concept_of(session)["wheely"] == "wheel"


@pytest.mark.parametrize("grouped_since", [False, True])
@pytest.mark.parametrize("act", ["merge", "split", "rename", "mark_junk", "mark_part"])
def test_what_was_done_can_be_taken_back(
    session: Session, game: Game, act: str, grouped_since: bool
) -> None:
    def state() -> tuple[object, ...]:
        rows = select(Label.text, Label.concept_id).order_by(Label.id)
        return (
            session.execute(rows).all(),
            concept_of(session),
            n_given(session),
            session.scalars(select(Concept.id).where(Concept.is_part.is_(False))).all(),
        )

    was = state()
    before: Before = {
        "merge": lambda row: curation.merge(
            session, concept_id=row, into_id=id_of(session, "wheel")
        ),
        "split": lambda row: curation.split(
            session, concept_id=row, texts=["tails"], name="stripes"
        ),
        "rename": lambda row: curation.rename(session, concept_id=row, name="stripes"),
        "mark_junk": lambda row: curation.mark_junk(session, concept_id=row),
        "mark_part": lambda row: curation.mark_part(session, concept_id=row, is_part=False),
    }[act](id_of(session, "tail"))
    if grouped_since:
        group(session, game.cat)
    curation.undo(session, Before(**json.loads(json.dumps(asdict(before)))))
    group(session, game.cat)
    assert state() == was


def test_what_makes_no_sense_is_refused(session: Session) -> None:
    ear, tail = id_of(session, "ear"), id_of(session, "tail")
    with pytest.raises(InvalidInputError, match="itself"):
        curation.merge(session, concept_id=ear, into_id=ear)
    with pytest.raises(InvalidInputError, match="no label “wheel”"):
        curation.split(session, concept_id=tail, texts=["wheel"], name="stripes")
    with pytest.raises(InvalidInputError, match="all its labels"):
        curation.split(session, concept_id=tail, texts=["tail", "tails"], name="stripes")
    with pytest.raises(InvalidInputError, match="Choose"):
        curation.split(session, concept_id=tail, texts=["!"], name="stripes")
    with pytest.raises(ConflictError, match="merge the two"):
        curation.rename(session, concept_id=tail, name="Ear")
    with pytest.raises(InvalidInputError, match="1 to 60"):
        curation.rename(session, concept_id=tail, name="...")
    with pytest.raises(NotFoundError):
        curation.rename(session, concept_id=12345, name="fur")
    curation.mark_junk(session, concept_id=ear)
    with pytest.raises(NotFoundError):
        curation.rename(session, concept_id=ear, name="fur")
