"""How many requests a key, or an address, may send: counted here, or in Redis for several machines."""

from __future__ import annotations

import ipaddress
import logging
import math
import time
from dataclasses import dataclass

from limits import RateLimitItem, parse
from limits.storage import MemoryStorage, RedisStorage
from limits.strategies import SlidingWindowCounterRateLimiter

from search.config import Config
from search.errors import RateLimited

log = logging.getLogger(__name__)

OFF = "off"
GUESSES = parse("20/minute")
"""Wrong keys of one address. A key has 256 random bits, so that this is for logs that stay readable, not for safety."""
POLICY = "default"


@dataclass(frozen=True, slots=True)
class Allowance:
    """What is left of a rate, as the headers of draft-ietf-httpapi-ratelimit-headers-10 tell it."""

    most: int
    window_s: int
    left: int
    reset_s: int
    """Until there is more."""

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        return [
            (b"ratelimit-policy", f'"{POLICY}";q={self.most};w={self.window_s}'.encode()),
            (b"ratelimit", f'"{POLICY}";r={self.left};t={self.reset_s}'.encode()),
        ]


class Rates:
    """Counts requests in a sliding window. Safe for threads; where Redis is away, each server counts for itself."""

    def __init__(self, config: Config) -> None:
        self._usual = config.rate_limit
        self._here = SlidingWindowCounterRateLimiter(MemoryStorage())
        self._redis = _redis(config)
        self._shared = None if self._redis is None else SlidingWindowCounterRateLimiter(self._redis)

    def close(self) -> None:
        if self._redis is not None:
            self._redis.storage.close()

    def spend(self, who: str, rate: str = "") -> Allowance | None:
        """Count one request of a key or an address, and return what is left; None where nothing limits it.

        Raises RateLimited where there is nothing left.
        """
        rate = rate or self._usual
        if rate == OFF:
            return None
        item = parse(rate)
        allowed, allowance = self._hit(item, who)
        if not allowed:
            raise RateLimited(f"more than {rate} requests", max(1, allowance.reset_s))
        return allowance

    def expect_no_guessing(self, address: str) -> None:
        """Raise RateLimited for an address that sent too many wrong keys."""
        allowance = self._left(GUESSES, f"guess {address}")
        if allowance.left < 1:
            raise RateLimited("too many wrong API keys from this address", max(1, allowance.reset_s))

    def note_guess(self, address: str) -> None:
        self._hit(GUESSES, f"guess {address}")

    def _hit(self, item: RateLimitItem, who: str) -> tuple[bool, Allowance]:
        if self._shared is not None:
            try:
                return self._shared.hit(item, who), _allowance(self._shared, item, who)
            except Exception as error:
                log.warning("requests are counted by each server for itself, for Redis is away: %s", error)
        return self._here.hit(item, who), _allowance(self._here, item, who)

    def _left(self, item: RateLimitItem, who: str) -> Allowance:
        if self._shared is not None:
            try:
                return _allowance(self._shared, item, who)
            except Exception as error:
                log.warning("requests are counted by each server for itself, for Redis is away: %s", error)
        return _allowance(self._here, item, who)


def address_of(host: str | None) -> str:
    """Return what tells senders apart: an address, of IPv6 the network of 64 bits that one sender has for himself.

    >>> address_of("2001:db8:1:2:3:4:5:6")
    '2001:db8:1:2::/64'
    """
    try:
        address = ipaddress.ip_address(host or "")
    except ValueError:
        return host or "local"
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)


def _redis(config: Config) -> RedisStorage | None:
    url = config.redis_url.get_secret_value()
    return RedisStorage(url, socket_timeout=1, socket_connect_timeout=1) if url else None


def _allowance(limiter: SlidingWindowCounterRateLimiter, item: RateLimitItem, who: str) -> Allowance:
    stats = limiter.get_window_stats(item, who)
    return Allowance(
        item.amount, int(item.get_expiry()), int(stats.remaining), max(0, math.ceil(stats.reset_time - time.time()))
    )
