from pathlib import Path

import pytest
from redis_server import RedisServer

from api.rates import GUESSES, Rates, address_of
from search.config import load_config
from search.errors import ConfigError, RateLimited


def rates(rate: str) -> Rates:
    return Rates(load_config(data=Path("nowhere"), rate_limit=rate))


def test_each_has_its_own_count() -> None:
    counted = rates("2/minute")
    first = counted.spend("a")
    assert first is not None
    assert (first.most, first.window_s, first.left) == (2, 60, 1)
    counted.spend("a")
    with pytest.raises(RateLimited) as error:
        counted.spend("a")
    assert 1 <= error.value.retry_after_s <= 60
    assert counted.spend("b") is not None


def test_a_rate_of_ones_own_takes_the_place_of_the_usual() -> None:
    counted = rates("1/minute")
    for _ in range(3):
        counted.spend("a", "3/hour")
    with pytest.raises(RateLimited):
        counted.spend("a", "3/hour")
    assert counted.spend("b", "off") is None
    assert rates("off").spend("c") is None


def test_guesses_are_counted_by_address() -> None:
    counted = rates("off")
    for _ in range(GUESSES.amount):
        counted.expect_no_guessing("192.0.2.1")
        counted.note_guess("192.0.2.1")
    with pytest.raises(RateLimited):
        counted.expect_no_guessing("192.0.2.1")
    counted.expect_no_guessing("192.0.2.2")


def test_headers_are_those_of_the_draft() -> None:
    allowance = rates("7/hour").spend("a")
    assert allowance is not None
    headers = dict(allowance.headers)
    assert headers[b"ratelimit-policy"] == b'"default";q=7;w=3600'
    assert headers[b"ratelimit"].startswith(b'"default";r=6;t=')


@pytest.mark.parametrize(
    ("host", "counted"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::/64"),
        ("2001:db8::ffff:2", "2001:db8::/64"),
        (None, "local"),
    ],
)
def test_who_has_many_addresses_is_counted_once(host: str | None, counted: str) -> None:
    assert address_of(host) == counted


@pytest.mark.parametrize("rate", ["", "many", "0/minute", "5/fortnight", "5 per minute", "-1/day"])
def test_a_rate_that_is_none_is_refused(rate: str) -> None:
    with pytest.raises(ConfigError, match="rate_limit"):
        rates(rate)


def test_where_redis_is_away_each_server_counts_for_itself(caplog: pytest.LogCaptureFixture) -> None:
    counted = Rates(load_config(data=Path("nowhere"), rate_limit="1/minute", redis_url="redis://127.0.0.1:1/0"))
    counted.spend("a")
    with pytest.raises(RateLimited):
        counted.spend("a")
    assert "Redis is away" in caplog.text


def test_servers_that_share_redis_count_together(redis: RedisServer) -> None:
    one, other = (
        Rates(load_config(data=Path("nowhere"), rate_limit="3/minute", redis_url=redis.url)) for _ in range(2)
    )
    one.spend("a")
    other.spend("a")
    left = one.spend("a")
    assert left is not None
    assert left.left == 0
    with pytest.raises(RateLimited):
        other.spend("a")
    for _ in range(GUESSES.amount):
        one.note_guess("192.0.2.1")
    with pytest.raises(RateLimited):
        other.expect_no_guessing("192.0.2.1")
    for rates in (one, other):
        rates.close()
