"""How often somebody may try, on a real Redis."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import redis

from app.infra.errors import TooManyError
from app.infra.limits import Limits


@pytest.fixture
def limits(redis_url: str) -> Iterator[Limits]:
    limits = Limits(redis_url)
    yield limits
    limits.close()


def test_the_try_after_the_last_is_refused_with_the_time_to_wait(limits: Limits) -> None:
    for _ in range(3):
        limits.take("sign-in", "ada", n=3, window_s=600)
    with pytest.raises(TooManyError, match="Wait 10 minutes") as caught:
        limits.take("sign-in", "ada", n=3, window_s=600)
    assert 590 <= caught.value.wait_s <= 600


def test_each_try_is_told_its_number(limits: Limits) -> None:
    assert [limits.take("rounds", "ada", n=9, window_s=60) for _ in range(3)] == [1, 2, 3]


def test_others_and_other_things_are_counted_apart(limits: Limits) -> None:
    limits.take("sign-in", "ada", n=1, window_s=600)
    limits.take("sign-in", "ben", n=1, window_s=600)
    limits.take("sign-up", "ada", n=1, window_s=600)
    with pytest.raises(TooManyError):
        limits.take("sign-in", "ADA", n=1, window_s=600)


def test_a_window_ends(limits: Limits, redis_url: str) -> None:
    limits.take("sign-in", "ada", n=1, window_s=600)
    with redis.Redis.from_url(redis_url) as client:
        (key,) = client.keys()
        assert b"ada" not in key
        assert 0 < client.ttl(key) <= 600
        client.pexpire(key, 1)
        while client.exists(key):
            pass
    limits.take("sign-in", "ada", n=1, window_s=600)


def test_what_went_well_is_forgotten(limits: Limits) -> None:
    limits.take("sign-in", "ada", n=1, window_s=600)
    limits.forget("sign-in", "ada")
    limits.take("sign-in", "ada", n=1, window_s=600)


def test_of_many_tries_at_once_as_many_pass_as_may(limits: Limits) -> None:
    def passes(_: int) -> bool:
        try:
            limits.take("sign-in", "ada", n=5, window_s=600)
        except TooManyError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(passes, range(40))) == 5


def test_without_redis_nobody_is_locked_out(caplog: pytest.LogCaptureFixture) -> None:
    limits = Limits("redis://127.0.0.1:1/0")
    assert limits.take("sign-in", "ada", n=0, window_s=600) == 0
    limits.forget("sign-in", "ada")
    assert "Redis does not answer" in caplog.text
    limits.close()
