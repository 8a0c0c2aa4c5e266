"""Two people at one map: who waits for a partner, and whose rounds belong together."""

from uuid import UUID

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, Moment


class Seat(Base):
    """A player who waits for a partner in a study."""

    __tablename__ = "seats"
    __table_args__ = (Index("ix_seats_study_id", "study_id", "since"),)

    player_id: Mapped[UUID] = mapped_column(
        ForeignKey("players.id", ondelete="CASCADE"), primary_key=True
    )
    study_id: Mapped[UUID] = mapped_column(ForeignKey("studies.id", ondelete="CASCADE"))
    since: Mapped[Moment]


class Partner(Base):
    """The round with whose words those of a round are compared: of somebody who plays the same map
    at the same time, where there is one such row for each of the two; or, recorded, of somebody who
    has played it before."""

    __tablename__ = "partners"

    round_id: Mapped[UUID] = mapped_column(
        ForeignKey("rounds.id", ondelete="CASCADE"), primary_key=True
    )
    partner_id: Mapped[UUID] = mapped_column(
        ForeignKey("rounds.id", ondelete="CASCADE"), index=True
    )
    is_recorded: Mapped[bool]
