"""Jobs about labels."""

from datetime import UTC, datetime

import redis

from app.installation import Installation
from app.models import ClusterMap
from tests.factories import make_image, make_study, maps_of
from workers.celery_app import celery_app
from workers.labels import group_all, group_class


def test_the_job_sees_which_maps_have_had_enough(inst: Installation) -> None:
    """A map that had settled, and of which no word is left, is open again."""
    with inst.transaction() as session:
        image = make_image(session, inst.storage, make_study(session))
        settled, *_ = maps_of(session, image)
        settled.settled_at = datetime.now(UTC)
    group_class(image.class_id)
    with inst.transaction() as session:
        assert session.get_one(ClusterMap, settled.id).settled_at is None


def test_every_night_the_concepts_of_all_classes_are_asked_for(
    inst: Installation, drawn_study: str, redis_url: str
) -> None:
    scheduled = celery_app.conf.beat_schedule["concepts"]
    assert scheduled["task"] == group_all.name
    assert scheduled["schedule"].hour == {3}
    with redis.Redis.from_url(redis_url) as client:
        before = client.llen("labels")
        group_all()
        assert client.llen("labels") - before == 3
