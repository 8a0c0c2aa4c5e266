"""Lines of the log about invitations hold no name that erasing could not reach.

Revision: 0026, after 0025
"""

from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None

# Who accepts or takes back acts; whoever had invited becomes the subject, by the line of sending,
# whose actor they are. The log refuses every change but forgetting, so its guard steps aside.
_FORGETTABLE = """
alter table audit_entries disable trigger audit_entries_keep_lines;
update audit_entries line
set subject_kind = 'account', subject_id = sent.actor_id::text, subject_name = sent.actor
from audit_entries sent
where line.act in ('invitation.accept', 'invitation.revoke') and line.subject_kind = 'invitation'
    and sent.act = 'invitation.send' and sent.subject_id = line.subject_id
    and sent.actor_id is not null;
update audit_entries set subject_name = 'somebody'
where act like 'invitation.%' and subject_kind = 'invitation' and subject_name <> 'somebody';
update audit_entries set after = after - 'invited by'
where act like 'invitation.%' and after ? 'invited by';
alter table audit_entries enable trigger audit_entries_keep_lines;
"""


def upgrade() -> None:
    op.execute(_FORGETTABLE)


def downgrade() -> None:
    """What has been taken out of the lines is nowhere else: they stay as they are."""
