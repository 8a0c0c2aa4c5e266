"""Whether what a map shows can be named at all, by those who were asked.

A player answers that by a word that says something, or by saying that there is nothing nameable.
Whoever does neither leaves it open.
"""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import ColumnElement, Select, bindparam, func, or_, select
from sqlalchemy.orm import Session

from app import rules
from app.models import ClusterMap, Image, Label, Player, Round


@dataclass(frozen=True, slots=True)
class Answers:
    """How many players say that there is nothing nameable, and how many named something."""

    n_nothing: int = 0
    n_named: int = 0

    @property
    def is_nothing(self) -> bool:
        return rules.is_nothing_nameable(n_nothing=self.n_nothing, n_named=self.n_named)


def count_answers(
    session: Session, wanted: ColumnElement[bool], *, simulated: bool
) -> dict[UUID, Answers]:
    """By cluster map, what players of one kind say in rounds that count; maps of which nobody says
    anything are not in it. wanted: a condition on rounds, cluster maps and images."""
    rows = session.execute(counting_answers(wanted), {"simulated": simulated})
    return {map_id: Answers(n_nothing, n_named) for map_id, n_nothing, n_named in rows}


def counting_answers(wanted: ColumnElement[bool]) -> Select[UUID, int, int]:
    """The query of `count_answers`, with the parameter `simulated`, for whoever asks it so often
    that building it each time would cost more than asking."""
    # A taboo word earns nothing, but it names something all the same.
    names = or_(Label.remark.is_(None), Label.remark == "taboo") & Label.hidden_at.is_(None)
    named = select(Label.id).where(Label.round_id == Round.id, names).exists()
    return (
        select(
            Round.cluster_map_id,
            func.count().filter(Round.nothing_nameable),
            func.count().filter(named),
        )
        .join(Round.player)
        .join(Round.cluster_map)
        .join(ClusterMap.image)
        .where(wanted, Round.status != "open", Round.counts)
        .where(Player.is_simulated == bindparam("simulated"), or_(Round.nothing_nameable, named))
        .group_by(Round.cluster_map_id)
    )


def unnameable_maps(session: Session, *, class_id: int, simulated: bool) -> list[UUID]:
    """The maps of a class that show nothing nameable."""
    found = count_answers(session, Image.class_id == class_id, simulated=simulated)
    return [map_id for map_id, answers in found.items() if answers.is_nothing]
