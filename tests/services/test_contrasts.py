"""Setting what the network said of a picture against another class."""

import pytest
from sqlalchemy.orm import Session

from app.infra.errors import InvalidInputError
from app.infra.queue import queued_jobs
from app.services import contrasts, explanations
from tests.services.conftest import Game


def picture(session: Session, game: Game):  # type: ignore[no-untyped-def]
    return explanations.get_image(session, game.images[0].id)


def test_it_can_be_set_against_the_studys_other_classes(session: Session, game: Game) -> None:
    assert contrasts.choices(session, picture(session, game)) == [(1, "dog")]
    with pytest.raises(InvalidInputError, match="another class"):
        contrasts.ask(session, picture(session, game), other_index=0)


def test_asked_for_again_it_is_the_same_until_it_has_failed(session: Session, game: Game) -> None:
    first = contrasts.ask(session, picture(session, game), other_index=1)
    contrasts.store_failure(session, first.id, reason="The network is gone.")
    again = contrasts.ask(session, picture(session, game), other_index=1)
    assert (again.id, again.status, again.failure) == (first.id, "pending", None)
    weights = {one.id: 10.0 for one in game.maps[:2]}
    contrasts.store(session, first.id, weights=weights, difference=1.5, made_by={})
    contrasts.store_failure(session, first.id, reason="Too late.")
    done = contrasts.ask(session, picture(session, game), other_index=1)
    assert (done.id, done.status, done.difference) == (first.id, "done", 1.5)
    assert [job.name for job in queued_jobs(session)] == ["explanations.contrast"] * 2
    assert contrasts.unfinished(session) == []


def test_the_page_weighs_the_same_maps_anew(session: Session, game: Game) -> None:
    asked = contrasts.ask(session, picture(session, game), other_index=1)
    image_id = game.images[0].id
    waiting = explanations.local(session, image_id, merge="all", against=1)
    assert (waiting.contrast, waiting.merge) == (asked, "all")
    assert waiting.layers == explanations.local(session, image_id, merge="all").layers
    weights = {game.maps[0].id: 12.5, game.maps[1].id: 50.0}
    contrasts.store(session, asked.id, weights=weights, difference=1.5, made_by={})
    page = explanations.local(session, image_id, merge="all", against=1)
    (layer,) = page.layers
    assert [(group.map_ids, group.weight) for group in layer.groups] == [
        ((game.maps[1].id,), 50.0),
        ((game.maps[0].id,), 12.5),
    ]
    assert (layer.kept_weight, page.merge) == (62.5, "none")


def test_maps_that_speak_for_neither_class_lead_nothing(session: Session, game: Game) -> None:
    asked = contrasts.ask(session, picture(session, game), other_index=1)
    weights = {one.id: 0.0 for one in game.maps[:2]}
    contrasts.store(session, asked.id, weights=weights, difference=0.0, made_by={})
    page = explanations.local(session, game.images[0].id, against=1)
    assert [one.concept for one in page.stretches] == [None]
