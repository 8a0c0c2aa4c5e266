"""Accounts, their sign-ins and one-time links; guests who became accounts; who owns a study.

Revision: 0004, after 0003
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("players", sa.Column("merged_into_id", sa.Uuid(), nullable=True))
    op.create_foreign_key(
        op.f("fk_players_merged_into_id"), "players", "players", ["merged_into_id"], ["id"]
    )
    op.create_index(op.f("ix_players_merged_into_id"), "players", ["merged_into_id"])
    op.alter_column("players", "token_digest", nullable=True)
    op.drop_constraint(op.f("ck_players_kind"), "players", type_="check")
    op.create_check_constraint(
        op.f("ck_players_kind"), "players", "kind in ('guest', 'account', 'simulated')"
    )
    op.create_check_constraint(
        op.f("ck_players_merged"),
        "players",
        "merged_into_id is null or (kind = 'guest' and token_digest is null)",
    )
    op.create_table(
        "accounts",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=30), nullable=False),
        sa.Column("email", sa.String(length=254), nullable=True),
        sa.Column("password_hash", sa.String(length=200), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("player_id", sa.Uuid(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint(
            "role in ('player', 'researcher', 'admin')", name=op.f("ck_accounts_role")
        ),
        sa.ForeignKeyConstraint(["player_id"], ["players.id"], name=op.f("fk_accounts_player_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_accounts")),
        sa.UniqueConstraint("player_id", name=op.f("uq_accounts_player_id")),
    )
    op.create_index("uq_accounts_name", "accounts", [sa.text("lower(name)")], unique=True)
    op.create_index("uq_accounts_email", "accounts", [sa.text("lower(email)")], unique=True)
    op.create_table(
        "sign_ins",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("token_digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("address", sa.String(length=45), nullable=False),
        sa.Column("browser", sa.String(length=60), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("last_seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name=op.f("fk_sign_ins_account_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sign_ins")),
        sa.UniqueConstraint("token_digest", name=op.f("uq_sign_ins_token_digest")),
    )
    op.create_index(op.f("ix_sign_ins_account_id"), "sign_ins", ["account_id"])
    op.create_table(
        "one_time_links",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("purpose", sa.String(length=16), nullable=False),
        sa.Column("token_digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("email", sa.String(length=254), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "purpose in ('password', 'email')", name=op.f("ck_one_time_links_purpose")
        ),
        sa.CheckConstraint(
            "(purpose = 'email') = (email is not null)", name=op.f("ck_one_time_links_email")
        ),
        sa.ForeignKeyConstraint(
            ["account_id"],
            ["accounts.id"],
            name=op.f("fk_one_time_links_account_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_one_time_links")),
        sa.UniqueConstraint("token_digest", name=op.f("uq_one_time_links_token_digest")),
    )
    op.create_index(
        "uq_one_time_links_purpose", "one_time_links", ["account_id", "purpose"], unique=True
    )
    op.add_column("studies", sa.Column("owner_id", sa.Uuid(), nullable=True))
    op.create_foreign_key(
        op.f("fk_studies_owner_id"),
        "studies",
        "accounts",
        ["owner_id"],
        ["id"],
        ondelete="SET NULL",
    )
    op.create_index(op.f("ix_studies_owner_id"), "studies", ["owner_id"])
    op.create_table(
        "study_members",
        sa.Column("study_id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint("role in ('moderator', 'viewer')", name=op.f("ck_study_members_role")),
        sa.ForeignKeyConstraint(
            ["study_id"],
            ["studies.id"],
            name=op.f("fk_study_members_study_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["account_id"],
            ["accounts.id"],
            name=op.f("fk_study_members_account_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("study_id", "account_id", name=op.f("pk_study_members")),
    )
    op.create_index(op.f("ix_study_members_account_id"), "study_members", ["account_id"])


def downgrade() -> None:
    op.drop_table("study_members")
    op.drop_index(op.f("ix_studies_owner_id"), table_name="studies")
    op.drop_constraint(op.f("fk_studies_owner_id"), "studies", type_="foreignkey")
    op.drop_column("studies", "owner_id")
    op.drop_table("one_time_links")
    op.drop_table("sign_ins")
    op.drop_table("accounts")
    op.drop_constraint(op.f("ck_players_merged"), "players", type_="check")
    op.drop_constraint(op.f("ck_players_kind"), "players", type_="check")
    # What such players did stays, with a cookie that nobody has.
    op.execute("update players set kind = 'guest' where kind = 'account'")
    op.execute(
        "update players set token_digest = sha256(gen_random_uuid()::text::bytea) "
        "where token_digest is null"
    )
    op.create_check_constraint(op.f("ck_players_kind"), "players", "kind in ('guest', 'simulated')")
    op.alter_column("players", "token_digest", nullable=False)
    op.drop_index(op.f("ix_players_merged_into_id"), table_name="players")
    op.drop_constraint(op.f("fk_players_merged_into_id"), "players", type_="foreignkey")
    op.drop_column("players", "merged_into_id")
