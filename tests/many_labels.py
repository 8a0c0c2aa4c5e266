"""A study with as many labels as wanted, made by the database itself."""

from sqlalchemy import text
from sqlalchemy.orm import Session

from app.models import ClusterMap, Study, StudyClass

_PLAYERS = """
insert into players (id, kind, token_digest, last_seen_at)
select gen_random_uuid(), 'guest', sha256(n::text::bytea), now() from generate_series(1, :n) n
"""
_ROUNDS = """
insert into rounds (id, study_id, cluster_map_id, player_id, status, reveal_index,
                    guessed_class_id, practice, finished_at)
select gen_random_uuid(), :study_id, :map_id, id, 'won', 2, :class_id, false, now() from players
"""
_LABELS = """
insert into labels (round_id, cluster_map_id, position, text)
select rounds.id, cluster_map_id, position,
       'what player ' || substr(player_id::text, 1, 8) || ' saw'
from rounds cross join generate_series(0, :per_round - 1) position
"""


def add_labels(
    session: Session,
    study: Study,
    cluster_map: ClusterMap,
    image_class: StudyClass,
    *,
    n_players: int,
    per_round: int = 5,
) -> None:
    """A round of each of so many new players on one map, with so many labels in each."""
    session.execute(text(_PLAYERS), {"n": n_players})
    session.execute(
        text(_ROUNDS),
        {"study_id": study.id, "map_id": cluster_map.id, "class_id": image_class.id},
    )
    session.execute(text(_LABELS), {"per_round": per_round})
