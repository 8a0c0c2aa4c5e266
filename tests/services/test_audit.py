"""The audit log says who did what, and nobody can change what it says."""

import pytest
from sqlalchemy import delete, text, update
from sqlalchemy.exc import DatabaseError
from sqlalchemy.orm import Session

from app.models import AuditEntry, Study
from app.services import audit
from app.services.audit import Actor, Subject
from tests.factories import make_study

ANNA = Actor("anna", address="192.0.2.7")


@pytest.fixture
def study(session: Session) -> Study:
    return make_study(session, name="Boats and kites")


def _record(session: Session, study: Study, actor: Actor = ANNA, act: str = "study.close") -> None:
    audit.act_as(session, actor)
    audit.record(
        session,
        act,
        Subject.of_study(study),
        study=study,
        before={"status": "open"},
        after={"status": "closed"},
        why="enough answers, o'Brien said",
    )
    session.flush()


def test_a_line_says_who_what_from_where_before_and_after_and_why(
    session: Session, study: Study
) -> None:
    _record(session, study)
    (line,) = audit.find(session)
    assert (line.actor, line.address, line.act) == ("anna", "192.0.2.7", "study.close")
    assert (line.subject_kind, line.subject_id) == ("study", str(study.id))
    assert (line.before, line.after) == ({"status": "open"}, {"status": "closed"})
    assert line.why == "enough answers, o'Brien said"
    assert line.at is not None


@pytest.mark.parametrize(
    "change",
    [update(AuditEntry).values(actor="bob"), delete(AuditEntry), text("truncate audit_entries")],
    ids=["update", "delete", "truncate"],
)
def test_the_database_refuses_to_change_it(session: Session, study: Study, change: object) -> None:
    _record(session, study)
    with pytest.raises(DatabaseError, match="append-only"):
        session.execute(change)  # type: ignore[call-overload]


def test_an_act_without_words_is_refused(session: Session, study: Study) -> None:
    with pytest.raises(ValueError, match=r"study\.burn"):
        _record(session, study, act="study.burn")


def test_a_line_outlives_its_study(session: Session, study: Study) -> None:
    _record(session, study)
    session.execute(delete(Study).where(Study.id == study.id))
    (line,) = audit.find(session)
    assert line.study_name == "Boats and kites"


@pytest.mark.parametrize("words", ["anna", "BOATS", "o'brien", "kit boat", "close", "answers anna"])
def test_words_find_it_by_the_start_of_each(session: Session, study: Study, words: str) -> None:
    _record(session, study)
    assert len(audit.find(session, words=words)) == 1


@pytest.mark.parametrize("words", ["bob", "anna bob", "oats"])
def test_a_word_that_does_not_occur_finds_nothing(
    session: Session, study: Study, words: str
) -> None:
    _record(session, study)
    assert audit.find(session, words=words) == []


@pytest.mark.parametrize("words", ["'", "a & | !", "\\", ":*", "(((", "\x00", "'':* | anna"])
def test_anything_typed_is_only_looked_for(session: Session, study: Study, words: str) -> None:
    _record(session, study)
    assert len(audit.find(session, words=words)) <= 1


def test_it_is_read_by_act_and_study(session: Session, study: Study) -> None:
    other = make_study(session)
    _record(session, study, act="study.open")
    _record(session, study, act="study.close")
    _record(session, other, act="study.close")
    assert [line.study_id for line in audit.find(session, act="study.close")] == [
        other.id,
        study.id,
    ]
    assert [line.act for line in audit.find(session, study_id=study.id)] == [
        "study.close",
        "study.open",
    ]


def test_pages_follow_each_other_without_gap_or_repeat(
    session: Session, study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "PAGE_SIZE", 2)
    for n in range(5):
        _record(session, study, Actor(f"player{n}"))
    seen: list[str] = []
    last = None
    while page := audit.find(session, older_than=last):
        seen += [line.actor for line in page]
        last = page[-1].id
    assert seen == [f"player{n}" for n in (4, 3, 2, 1, 0)]
