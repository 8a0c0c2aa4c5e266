"""What people do to studies, accounts and data stands in the log, in the name of whoever did it."""

from collections.abc import Callable

import pytest
from sqlalchemy.exc import DatabaseError
from sqlalchemy.orm import Session

from app.infra.errors import ConflictError
from app.infra.storage import Storage
from app.models import Account, Study
from app.services import access, accounts, audit, erasure, labels, sharing, studies
from app.services.audit import Actor
from tests.factories import make_account, make_image, make_study


@pytest.fixture
def anna(session: Session) -> Account:
    account = make_account(session, "anna", role="admin")
    audit.act_as(session, Actor("anna", account.id, "192.0.2.7"))
    return account


@pytest.fixture
def bob(session: Session) -> Account:
    return make_account(session, "bob", email="bob@example.org")


@pytest.fixture
def study(session: Session, storage: Storage) -> Study:
    study = make_study(session, name="Boats")
    make_image(session, storage, study)
    return study


ACTS: dict[str, Callable[[Session, Study, Account], object]] = {
    "study.pause": lambda s, study, _: studies.set_status(s, study, status="paused"),
    "study.close": lambda s, study, _: studies.set_status(s, study, status="closed"),
    "study.visibility": lambda s, study, _: studies.set_visibility(s, study, visibility="private"),
    "study.invitation": lambda s, study, _: studies.renew_invitation(s, study),
    "study.stop": lambda s, study, _: studies.stop(s, study),
    "study.resume": lambda s, study, _: studies.ask_to_resume(s, study),
    "study.ask_concepts": lambda s, study, _: labels.ask_all(s, study),
    "study.share": lambda s, study, _: sharing.create(s, study, address="/x", days=7),
    "member.set": lambda s, study, bob: access.set_member(s, study, name=bob.name, role="viewer"),
    "account.role": lambda s, _, bob: accounts.change_role(s, bob, "researcher"),
    "account.password_link": lambda s, _, bob: accounts.make_link(s, bob, purpose="password"),
    "account.password": lambda s, _, bob: accounts.set_password(s, bob, "blue herons at dusk"),
    "account.erase": lambda s, _, bob: erasure.erase(s, bob, words="keep"),
}


@pytest.mark.parametrize("act", ACTS)
def test_each_act_is_one_line_in_the_name_of_who_did_it(
    session: Session, anna: Account, bob: Account, study: Study, act: str
) -> None:
    ACTS[act](session, study, bob)
    (line,) = audit.find(session, act=act)
    assert (line.actor, line.actor_id, line.address) == ("anna", anna.id, "192.0.2.7")
    assert line.study_id == (None if act.startswith("account.") else study.id)


def test_a_change_says_before_and_after(session: Session, anna: Account, study: Study) -> None:
    studies.set_status(session, study, status="closed")
    (line,) = audit.find(session, act="study.close")
    assert (line.before, line.after) == ({"status": "open"}, {"status": "closed"})


def test_taking_a_member_out_is_logged_once(
    session: Session, anna: Account, bob: Account, study: Study
) -> None:
    access.set_member(session, study, name="bob", role="moderator")
    access.remove_member(session, study, bob.id)
    access.remove_member(session, study, bob.id)
    (line,) = audit.find(session, act="member.remove")
    assert (line.subject_name, line.before) == ("bob", {"role": "moderator"})


def test_a_refused_act_is_not_logged(session: Session, anna: Account) -> None:
    with pytest.raises(ConflictError):
        studies.set_status(session, make_study(session), status="open")
    assert audit.find(session, act="study.open") == []


def test_erasing_leaves_nothing_of_who_it_was(session: Session, bob: Account) -> None:
    audit.act_as(session, Actor("bob", bob.id, "192.0.2.9"))
    accounts.change_role(session, bob, "researcher")
    erasure.erase(session, bob, words="remove")
    for line in audit.find(session):
        assert (line.actor, line.address, line.subject_name) == (audit.ERASED, None, audit.ERASED)
    assert audit.find(session, words="bob") == []


def test_nobody_else_can_be_forgotten(session: Session, anna: Account, study: Study) -> None:
    studies.set_status(session, study, status="closed")
    with pytest.raises(DatabaseError, match="append-only"):
        audit.forget(session, anna.id)


def test_a_job_acts_in_the_name_of_the_site(session: Session, study: Study) -> None:
    studies.stop(session, study)
    (line,) = audit.find(session, act="study.stop")
    assert (line.actor, line.actor_id, line.address) == ("Layerplay", None, None)
