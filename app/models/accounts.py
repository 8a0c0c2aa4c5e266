"""Who plays, who signs in, and what each may do."""

from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, LargeBinary, String, false, func, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.hybrid import hybrid_property
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.models.base import Base, CreatedAt, Moment, PublicId, RowId


class Player(Base):
    """Someone who plays. A guest is known by a cookie, of which only a digest is kept; the player
    of an account by the account's sign-in.

    A guest who turns out to be somebody with an account is merged into the account's player: the
    rounds move, and this row stays as what the points ledger speaks of.

    A simulated player is a program that plays by the same rules. What it types is a result set of
    its own: whatever counts rounds or labels counts those of people or those of programs.
    """

    __tablename__ = "players"
    __table_args__ = (
        CheckConstraint("kind in ('guest', 'account', 'simulated')", name="kind"),
        CheckConstraint(
            "merged_into_id is null or (kind = 'guest' and token_digest is null)", name="merged"
        ),
    )

    id: Mapped[PublicId]
    kind: Mapped[str] = mapped_column(String(16), default="guest")
    # None where no cookie opens the player: it has an account, had one, or was merged.
    token_digest: Mapped[bytes | None] = mapped_column(LargeBinary(32), unique=True)
    merged_into_id: Mapped[UUID | None] = mapped_column(ForeignKey("players.id"), index=True)
    # Has finished the introduction, or skipped it.
    is_introduced: Mapped[bool] = mapped_column(default=False, server_default=false())
    created_at: Mapped[CreatedAt]
    last_seen_at: Mapped[Moment]

    @hybrid_property
    def is_simulated(self) -> bool:
        return self.kind == "simulated"


class Account(Base):
    """Somebody who can sign in. Every account has a player, since everybody may play.

    Name and e-mail are unique without regard to case. An e-mail stands here once a link sent to it
    has been opened, so nobody can take that of somebody else.
    """

    __tablename__ = "accounts"
    __table_args__ = (
        CheckConstraint("role in ('player', 'researcher', 'admin')", name="role"),
        Index("uq_accounts_name", func.lower(text("name")), unique=True),
        Index("uq_accounts_email", func.lower(text("email")), unique=True),
    )

    id: Mapped[PublicId]
    name: Mapped[str] = mapped_column(String(30))
    email: Mapped[str | None] = mapped_column(String(254))
    password_hash: Mapped[str] = mapped_column(String(200))
    role: Mapped[str] = mapped_column(String(16), default="player")
    player_id: Mapped[UUID] = mapped_column(ForeignKey("players.id"), unique=True)
    created_at: Mapped[CreatedAt]

    player: Mapped[Player] = relationship(lazy="raise")


class SignIn(Base):
    """A browser in which somebody is signed in, known by a cookie of which a digest is kept."""

    __tablename__ = "sign_ins"

    id: Mapped[PublicId]
    account_id: Mapped[UUID] = mapped_column(
        ForeignKey("accounts.id", ondelete="CASCADE"), index=True
    )
    token_digest: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)
    address: Mapped[str] = mapped_column(String(45))  # IPv4 or IPv6, where it was made
    browser: Mapped[str] = mapped_column(String(60))  # "Firefox on Linux", for people to know it by
    created_at: Mapped[CreatedAt]
    last_seen_at: Mapped[Moment]
    expires_at: Mapped[Moment]

    account: Mapped[Account] = relationship(lazy="raise")


class OneTimeLink(Base):
    """A link that does one thing once: set a new password, or confirm an e-mail. Used, it goes."""

    __tablename__ = "one_time_links"
    __table_args__ = (
        CheckConstraint("purpose in ('password', 'email')", name="purpose"),
        CheckConstraint("(purpose = 'email') = (email is not null)", name="email"),
        # A new link takes the place of the last one.
        Index("uq_one_time_links_purpose", "account_id", "purpose", unique=True),
    )

    id: Mapped[RowId]
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    purpose: Mapped[str] = mapped_column(String(16))
    token_digest: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)
    email: Mapped[str | None] = mapped_column(String(254))  # the one to confirm
    expires_at: Mapped[Moment]

    account: Mapped[Account] = relationship(lazy="raise")


class ApiToken(Base):
    """What a program shows to act for an account, within its scopes. Only a digest is kept."""

    __tablename__ = "api_tokens"

    id: Mapped[PublicId]
    account_id: Mapped[UUID] = mapped_column(
        ForeignKey("accounts.id", ondelete="CASCADE"), index=True
    )
    name: Mapped[str] = mapped_column(String(60))  # for its owner to know it by
    token_digest: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)
    scopes: Mapped[list[str]] = mapped_column(ARRAY(String(16)))  # services.tokens.SCOPES
    created_at: Mapped[CreatedAt]
    last_used_at: Mapped[Moment | None]
    expires_at: Mapped[Moment]

    account: Mapped[Account] = relationship(lazy="raise")
