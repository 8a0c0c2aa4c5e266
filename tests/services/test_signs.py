"""Signs of workers: told as they come, gathered, and never in the way of the work."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from app.services import signs as module
from app.services.signs import AtWork, Signs

STUDY, IMAGE = uuid4(), uuid4()
NOBODY = "redis://127.0.0.1:1/0"


@pytest.fixture
def signs(redis_url: str) -> Signs:
    return Signs(redis_url)


def at(n_layers_done: int, *, ago: timedelta = timedelta(0)) -> AtWork:
    return AtWork("boat.png", n_layers_done, 3, datetime.now(UTC) - ago)


def test_the_last_sign_of_each_picture_is_read(signs: Signs) -> None:
    signs.give(STUDY, IMAGE, at(1))
    last = at(2)
    signs.give(STUDY, IMAGE, last)
    signs.give(uuid4(), IMAGE, at(0))
    assert [(one.file_name, one.n_layers_done) for one in signs.read(STUDY)] == [("boat.png", 2)]
    assert abs(signs.read(STUDY)[0].at - last.at) < timedelta(milliseconds=1)
    signs.take_away(STUDY, IMAGE)
    assert signs.read(STUDY) == []


def test_what_a_killed_worker_left_is_forgotten_in_the_end(signs: Signs) -> None:
    signs.give(STUDY, IMAGE, at(1, ago=timedelta(minutes=11)))
    assert signs.read(STUDY) == []


def test_without_redis_work_goes_on_and_nothing_is_at_hand() -> None:
    signs = Signs(NOBODY)
    signs.give(STUDY, IMAGE, at(1))
    signs.take_away(STUDY, IMAGE)
    signs.note_lost_answer()
    assert signs.read(STUDY) == []
    assert signs.lost_answers() == 0


def test_signs_that_follow_one_another_are_told_as_one(signs: Signs) -> None:
    assert heard(signs, STUDY, n_signs=20) == [True, False]


def test_signs_of_another_study_are_not_told(signs: Signs) -> None:
    assert heard(signs, uuid4(), n_signs=3) == [False, False]


def heard(signs: Signs, study_id: UUID, *, n_signs: int) -> list[bool]:
    """The first two things that somebody hears who watches a study while signs come for STUDY."""

    async def listen() -> list[bool]:
        changes = signs.changes(study_id, every_s=2)
        first = asyncio.ensure_future(anext(changes))
        channel = module._channel(study_id)
        while dict(signs._redis.pubsub_numsub(channel))[channel.encode()] == 0:
            await asyncio.sleep(0.01)
        for n in range(n_signs):
            signs.give(STUDY, IMAGE, at(n))
        found = [await first, await anext(changes)]
        await changes.aclose()  # type: ignore[attr-defined]
        return found

    # In a thread of its own: a browser test before this one may have left a loop in this thread.
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(lambda: asyncio.run(listen())).result()


def test_lost_answers_are_counted_for_half_an_hour(
    signs: Signs, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = module.time.time()
    monkeypatch.setattr(module.time, "time", lambda: now - 31 * 60)
    signs.note_lost_answer()
    monkeypatch.setattr(module.time, "time", lambda: now)
    signs.note_lost_answer()
    signs.note_lost_answer()
    assert signs.lost_answers() == 2
