"""Whether what is counted along the way is what the rows add up to."""

from sqlalchemy import text
from sqlalchemy.orm import Session

from app.services.ledger import board_sums

_CHECKS = {
    "a player's points on a board are not those of the ledger": f"""
        with ledger as ({board_sums(whose="true")}), totals as (
            select scope, period, simulated, player_id, points
            from board_totals join boards on boards.id = board_totals.board_id
        )
        select scope, period, player_id, ledger.points as ledger, totals.points as board
        from ledger full join totals using (scope, period, simulated, player_id)
        where ledger.points is distinct from totals.points
    """,
    "a step of a board counts other players than have its points": """
        with counted as (
            select board_id, step, sum(n_players) as n from board_steps group by 1, 2
            having sum(n_players) <> 0
        ), found as (
            select board_id, points_step(points) as step, count(*) as n
            from board_totals group by 1, 2
        )
        select board_id, step, counted.n as counted, found.n as found
        from counted full join found using (board_id, step)
        where counted.n is distinct from found.n
    """,
    "a player's tally is not that of their rounds": """
        with found as (
            select player_id, count(*) as n_rounds,
                count(*) filter (where status = 'won') as n_right,
                count(*) filter (where status = 'won' and reveal_index = 0) as n_from_first,
                count(*) filter (where practice) as n_practice,
                count(*) filter (where named_known) as n_named
            from rounds where status <> 'open' group by 1
        )
        select player_id, tallies.n_rounds as tally, found.n_rounds as rounds
        from tallies full join found using (player_id)
        where (coalesce(tallies.n_rounds, 0), coalesce(tallies.n_right, 0),
               coalesce(tallies.n_from_first, 0), coalesce(tallies.n_practice, 0),
               coalesce(tallies.n_named, 0))
            <> (coalesce(found.n_rounds, 0), coalesce(found.n_right, 0),
                coalesce(found.n_from_first, 0), coalesce(found.n_practice, 0),
                coalesce(found.n_named, 0))
    """,
    "a map's finished rounds or places are not those of its rounds": """
        with found as (
            select cluster_map_id,
                count(*) filter (where status <> 'open' and not practice and not is_spare
                    and not is_excluded and players.kind <> 'simulated') as n_finished,
                count(*) filter (where status <> 'open' and not practice
                    and players.kind = 'simulated') as simulated_n_finished,
                count(*) filter (where place_until is not null) as n_leased
            from rounds join players on players.id = rounds.player_id group by 1
        )
        select cluster_maps.id as map, cluster_maps.n_finished as counted,
            coalesce(found.n_finished, 0) as found, cluster_maps.n_leased as places,
            coalesce(found.n_leased, 0) as open
        from cluster_maps left join found on found.cluster_map_id = cluster_maps.id
        where (cluster_maps.n_finished, cluster_maps.simulated_n_finished, cluster_maps.n_leased)
            <> (coalesce(found.n_finished, 0), coalesce(found.simulated_n_finished, 0),
                coalesce(found.n_leased, 0))
    """,
    "a picture counts other maps than it has": """
        select images.id as image, images.n_playable, images.n_wanted
        from images
        left join cluster_maps on cluster_maps.image_id = images.id
        group by images.id
        having (images.n_playable, images.n_wanted) <> (
            count(*) filter (where cluster_maps.is_playable),
            count(*) filter (where cluster_maps.is_wanted)
        )
    """,
}


def find_drift(session: Session) -> list[str]:
    """A sentence for each counter that is not what its rows add up to; none when all is well."""
    return [
        f"{words}: {', '.join(f'{name} {value}' for name, value in row._mapping.items())}"
        for words, query in _CHECKS.items()
        for row in session.execute(text(query))
    ]
