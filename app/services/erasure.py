"""Erasing a person: the account and all that tells who they are; their words on wish."""

from typing import Literal

from sqlalchemy import delete, or_, select
from sqlalchemy.orm import Session

from app.models import Account, ClusterMap, Image, Label, Note, Player, PlayerDevice, Round
from app.services import accounts, audit, labels
from app.services.audit import Subject

Words = Literal["keep", "remove"]


def erase(session: Session, account: Account, *, words: Words) -> None:
    """Erase an account: name, e-mail, password, sign-ins, and what it may do in studies.

    words: "keep" leaves what the person typed as that of somebody unknown, so that it goes on
    counting; "remove" deletes it too, and has concepts made anew without it. The rounds stay either
    way, as a guess among others: the points ledger, which nothing may change, speaks of them.
    Studies of theirs are the admins' from now on. ConflictError for the only admin.
    """
    if account.role == "admin":
        accounts.refuse_last_admin(session, account)
    audit.record(session, "account.erase", Subject.of_account(account), after={"words": words})
    if words == "remove":
        _remove_labels(session, account)
    for table in (Note, PlayerDevice):
        session.execute(delete(table).where(table.player_id == account.player_id))
    # Rows that hang on the account go with it, and no cookie opens its player any more.
    session.execute(delete(Account).where(Account.id == account.id))
    audit.forget(session, account.id)
    session.expunge(account)


def _remove_labels(session: Session, account: Account) -> None:
    own = select(Player.id).where(
        or_(Player.id == account.player_id, Player.merged_into_id == account.player_id)
    )
    theirs = select(Round.id).where(Round.player_id.in_(own))
    touched = (
        select(Image.class_id)
        .join(ClusterMap, ClusterMap.image_id == Image.id)
        .join(Round, Round.cluster_map_id == ClusterMap.id)
        .join(Label, Label.round_id == Round.id)
        .where(Round.id.in_(theirs), ~Round.practice)
    )
    labels.ask_anew(session, touched)
    session.execute(delete(Label).where(Label.round_id.in_(theirs)))
