"""Jobs about labels."""

import redis

from app.installation import Installation
from workers.celery_app import celery_app
from workers.labels import group_all


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
