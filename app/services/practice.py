"""Practice rounds: maps whose answer is known, and who named it."""

from collections.abc import Iterable
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app import rules
from app.concepts import clean_label, contains_word, tidy_label
from app.models import ClusterMap, KnownAnswer, Player, Round


def store_known_answer(
    session: Session,
    *,
    cluster_map_id: UUID,
    region: str,
    words: Iterable[str],
    energy_share: float,
) -> KnownAnswer:
    """State what a cluster map shows. Stated again, the last statement holds.

    region: as players are told it, "sail" say. words: any of them names it. energy_share: 0..1, the
    share of the map's energy in the region. ValueError where that leaves the answer in doubt, or
    where no word is left to name it.
    """
    if not rules.KNOWN_ANSWER_MIN_ENERGY_SHARE < energy_share <= 1:
        raise ValueError(
            f"a known answer needs an energy share over {rules.KNOWN_ANSWER_MIN_ENERGY_SHARE} "
            f"and at most 1, not {energy_share}"
        )
    tidy = list(dict.fromkeys(filter(None, map(tidy_label, words))))
    if not tidy:
        raise ValueError(f"no word names the region {region!r}")
    stated = {"region": region, "words": tidy, "energy_share": energy_share}
    study_id = select(ClusterMap.study_id).where(ClusterMap.id == cluster_map_id).scalar_subquery()
    session.execute(
        insert(KnownAnswer)
        .values(cluster_map_id=cluster_map_id, study_id=study_id, **stated)
        .on_conflict_do_update(index_elements=["cluster_map_id"], set_=stated)
    )
    return session.get_one(KnownAnswer, cluster_map_id, populate_existing=True)


def judge(labels: Iterable[str], known: KnownAnswer, *, class_name: str | None = None) -> bool:
    """Whether one of these labels names what the map shows: it is an accepted word, or has one
    among its words, as singular or plural.

    class_name: the class that was guessed, whose name is no description: for "fire engine", the
    label "fire engine" does not name the engine.
    """
    cleaned = (
        tidy_label(label) if class_name is None else clean_label(label, class_name=class_name)
        for label in labels
    )
    return any(contains_word(label, word) for label in cleaned if label for word in known.words)


class Skill(NamedTuple):
    """Finished practice rounds, and in how many of them a label named what is known."""

    n_practice: int
    n_named: int


def skill(session: Session, player: Player) -> Skill:
    """How well a player puts into words what is there. A round given up counts as not named."""
    n_practice, n_named = session.execute(
        select(func.count(), func.count().filter(Round.named_known.is_(True))).where(
            Round.player_id == player.id, Round.practice, Round.status != "open"
        )
    ).one()
    return Skill(n_practice=n_practice, n_named=n_named)
