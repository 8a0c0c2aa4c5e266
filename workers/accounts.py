"""E-mails to people with an account, or who may get one."""

from uuid import UUID

from sqlalchemy.exc import OperationalError

from app.infra.mail import Mailer
from app.infra.settings import get_settings
from app.services import accounts, invitations
from workers.celery_app import celery_app
from workers.context import task_transaction

# A mail server that is away is an OSError, as is everything that it says.
_AGAIN = {"autoretry_for": (OperationalError, OSError), "retry_backoff": 10, "max_retries": 6}


@celery_app.task(name="accounts.send_confirmation", **_AGAIN)  # type: ignore[untyped-decorator]
def send_confirmation(account_id: str, email: str) -> None:
    """Send the link that makes an e-mail address the account's. Sent twice, the last one works."""
    with task_transaction() as session:
        accounts.send_confirmation(
            session, _mailer(), site=get_settings().site, account_id=UUID(account_id), email=email
        )


@celery_app.task(name="accounts.send_password_link", **_AGAIN)  # type: ignore[untyped-decorator]
def send_password_link(email: str) -> None:
    """Send whoever has this address a link for a new password. Sent twice, the last one works."""
    with task_transaction() as session:
        accounts.send_password_link(session, _mailer(), site=get_settings().site, email=email)


@celery_app.task(name="accounts.send_invitation", **_AGAIN)  # type: ignore[untyped-decorator]
def send_invitation(invitation_id: str) -> None:
    """Send somebody the link to accept an invitation. Sent twice, the last one works."""
    with task_transaction() as session:
        invitations.send(
            session, _mailer(), site=get_settings().site, invitation_id=UUID(invitation_id)
        )


def _mailer() -> Mailer:
    settings = get_settings()
    return Mailer(settings.smtp_url, sender=settings.mail_from)
