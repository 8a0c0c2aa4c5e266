"""Who plays."""

from sqlalchemy import CheckConstraint, LargeBinary, String
from sqlalchemy.ext.hybrid import hybrid_property
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, CreatedAt, Moment, PublicId


class Player(Base):
    """Someone who plays. A guest is known by a cookie, of which only a digest is kept.

    A simulated player is a program that plays by the same rules. What it types is a result set of
    its own: whatever counts rounds or labels counts those of people or those of programs.
    """

    __tablename__ = "players"
    __table_args__ = (CheckConstraint("kind in ('guest', 'simulated')", name="kind"),)

    id: Mapped[PublicId]
    kind: Mapped[str] = mapped_column(String(16), default="guest")
    token_digest: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)
    created_at: Mapped[CreatedAt]
    last_seen_at: Mapped[Moment]

    @hybrid_property
    def is_simulated(self) -> bool:
        return self.kind == "simulated"
