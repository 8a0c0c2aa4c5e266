"""What leaves the installation."""

import json

from sqlalchemy.orm import Session

from app.formats import to_jsonl
from app.models import Player
from app.services import exports, labels, rounds
from tests.services.conftest import Game
from tests.services.test_labels import EMBED

SECRET = b"a key for tests"


def play(session: Session, player: Player, game: Game, *texts: str) -> None:
    round_ = rounds.deal(session, player=player, study=game.study)
    assert round_ is not None
    rounds.guess(session, round_id=round_.id, player=player, class_id=game.cat.id, labels=texts)


def test_a_row_tells_where_a_label_comes_from(session: Session, player: Player, game: Game) -> None:
    play(session, player, game, "Ears")
    labels.group_class(session, class_id=game.cat.id, embed=EMBED, recipe="paper")
    (row,) = exports.label_rows(session, study=game.study, secret=SECRET)
    expected = {
        "study": "Cats and dogs",
        "image": game.images[0].file_name,
        "image_class": "cat",
        "layer": "block1",
        "cluster_map": str(game.maps[0].id),
        "channels": [0, 7, 20],
        "weight": 60.0,
        "effect": 6.0,
        "label": "Ears",
        "concept": "ears",
        "reveal_index": 0,
        "guess": "cat",
        "right": True,
        "simulated": False,
    }
    assert {key: row[key] for key in expected} == expected


def test_players_appear_under_a_pseudonym_that_needs_the_key(
    session: Session, player: Player, rival: Player, game: Game
) -> None:
    play(session, player, game, "ears", "fur")
    play(session, rival, game, "paws")
    names = [r["player"] for r in exports.label_rows(session, study=game.study, secret=SECRET)]
    others = [r["player"] for r in exports.label_rows(session, study=game.study, secret=b"other")]
    assert names[0] == names[1] != names[2]
    assert set(names).isdisjoint(others)
    assert all(player.id.hex not in name for name in names)


def test_each_row_is_a_line_of_json(session: Session, player: Player, game: Game) -> None:
    play(session, player, game, "orecchie à punta", "two\nlines")
    lines = list(to_jsonl(exports.label_rows(session, study=game.study, secret=SECRET)))
    assert [json.loads(line)["label"] for line in lines] == ["orecchie à punta", "two lines"]
    assert all(line.count("\n") == 1 for line in lines)
