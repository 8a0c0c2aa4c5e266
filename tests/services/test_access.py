"""Who may do what with which study."""

from uuid import uuid4

import pytest
from sqlalchemy.orm import Session

from app.infra.errors import ConflictError, ForbiddenError, NotFoundError
from app.models import Account, Study
from app.services import access
from app.services.access import Level
from tests.factories import make_account, make_study


@pytest.fixture
def owner(session: Session) -> Account:
    return make_account(session, role="researcher")


@pytest.fixture
def study(session: Session, owner: Account) -> Study:
    return make_study(session, owner=owner)


def test_an_owner_and_an_admin_may_everything(
    session: Session, owner: Account, study: Study
) -> None:
    admin = make_account(session, role="admin")
    for account in (owner, admin):
        assert access.level(session, account, study_id=study.id) == Level.OWN


def test_another_researcher_may_nothing(session: Session, study: Study) -> None:
    other = make_account(session, role="researcher")
    assert access.level(session, other, study_id=study.id) == Level.NONE
    with pytest.raises(NotFoundError, match="not shared with you"):
        access.require(session, other, study_id=study.id, at_least=Level.VIEW)


def test_a_study_without_an_owner_is_the_admins(session: Session) -> None:
    orphan = make_study(session)
    researcher = make_account(session, role="researcher")
    admin = make_account(session, role="admin")
    assert access.level(session, researcher, study_id=orphan.id) == Level.NONE
    assert access.level(session, admin, study_id=orphan.id) == Level.OWN


def test_a_study_that_does_not_exist_is_answered_as_one_that_is_not_shared(
    session: Session, owner: Account
) -> None:
    assert access.level(session, owner, study_id=uuid4()) == Level.NONE


def test_a_member_may_what_their_role_says_even_a_player(session: Session, study: Study) -> None:
    player = make_account(session, "Pia")
    access.set_member(session, study, name="pia", role="viewer")
    access.require(session, player, study_id=study.id, at_least=Level.VIEW)
    with pytest.raises(ForbiddenError, match="look only"):
        access.require(session, player, study_id=study.id, at_least=Level.MODERATE)
    access.set_member(session, study, name="Pia", role="moderator")
    access.require(session, player, study_id=study.id, at_least=Level.MODERATE)
    with pytest.raises(ForbiddenError, match="Only the owner"):
        access.require(session, player, study_id=study.id, at_least=Level.OWN)
    assert [member.account for member in access.members(session, study)] == [player]
    access.remove_member(session, study, player.id)
    assert access.level(session, player, study_id=study.id) == Level.NONE


def test_the_owner_needs_no_role(session: Session, owner: Account, study: Study) -> None:
    with pytest.raises(ConflictError, match="owns this study"):
        access.set_member(session, study, name=owner.name, role="viewer")


def test_everybody_sees_their_own_and_shared_studies(
    session: Session, owner: Account, study: Study
) -> None:
    shared = make_study(session)
    make_study(session)
    access.set_member(session, shared, name=owner.name, role="viewer")
    admin = make_account(session, role="admin")
    seen = set(session.scalars(access.visible_studies(owner)))
    assert seen == {study.id, shared.id}
    assert len(session.scalars(access.visible_studies(admin)).all()) == 3


def test_a_player_enters_the_studio_once_a_study_is_shared(session: Session, study: Study) -> None:
    player = make_account(session)
    assert not access.may_enter_studio(session, player)
    access.set_member(session, study, name=player.name, role="viewer")
    assert access.may_enter_studio(session, player)
