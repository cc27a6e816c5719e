"""Who asks: API keys with their scopes, from the option `api_keys` and from the store of `snapseek keys`."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import ipaddress
import secrets
from dataclasses import dataclass
from enum import StrEnum

from starlette.requests import HTTPConnection

from search.errors import ConfigError, Forbidden, NotFound, Unauthorized


class Scope(StrEnum):
    SEARCH = "search"
    WRITE = "write"
    MODERATE = "moderate"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, and what for: which scopes, in which libraries (None: in all), at what rate (empty: the usual one)."""

    name: str
    scopes: frozenset[Scope]
    id: str = ""
    libraries: frozenset[str] | None = None
    rate: str = ""

    def sees(self, library: str | None) -> bool:
        """Return whether a library is there for this caller; None is a server's only one, which has no name."""
        return self.libraries is None or library in self.libraries


ANYONE = Caller("local", frozenset(Scope))
"""Who asks where no key is needed."""

Keys = dict[str, Caller]
"""Callers by the SHA-256 of the key, in hex. Keys are 256 random bits, so a plain hash is enough: nothing to guess."""


def parse_keys(setting: str) -> Keys:
    """Return the keys of the option `api_keys`. Raises ConfigError for a malformed entry, without repeating it."""
    keys: Keys = {}
    for number, entry in enumerate(filter(None, map(str.strip, setting.split(","))), start=1):
        hexed, _, scopes = entry.partition(":")
        try:
            if len(bytes.fromhex(hexed)) != hashlib.sha256().digest_size:
                raise ValueError
            id = hexed[:8].lower()
            keys[hexed.lower()] = Caller(f"key {id}", frozenset(map(Scope, scopes.split("+"))), id)
        except ValueError as error:
            allowed = "+".join(Scope)
            raise ConfigError(
                f"api_keys: entry {number} is not `sha256-of-key:scope+scope` with scopes out of {allowed};"
                " `snapseek keys new` makes one"
            ) from error
    return keys


def new_key(scopes: frozenset[Scope]) -> tuple[str, str]:
    """Return a new random key and its entry for the option `api_keys`."""
    key = secrets.token_urlsafe(32)
    return key, f"{digest(key)}:{'+'.join(sorted(scopes))}"


def digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def matching(keys: Keys, wanted: str) -> Caller | None:
    """Return whose digest this is, looking at every key, so that the time tells nothing."""
    found = None
    for known, caller in keys.items():
        if hmac.compare_digest(known, wanted):
            found = caller
    return found


def is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def check_binding(host: str, *, has_keys: bool) -> None:
    """Raise ConfigError for an address that others can reach when there is no key to keep them out."""
    if not is_loopback(host) and not has_keys:
        raise ConfigError(
            f"{host} can be reached by others, so an API key is needed: run `snapseek keys create`, or set"
            " SNAPSEEK_API_KEYS to what `snapseek keys new` prints, or bind to 127.0.0.1"
        )


def expect_key(caller: Caller | None) -> Caller:
    """Return who asks. Raises Unauthorized without a key."""
    if caller is None:
        raise Unauthorized("this server wants an API key: `Authorization: Bearer …`")
    return caller


def expect_known(caller: Caller | None, library: str | None) -> Caller:
    """Return who asks. Raises Unauthorized without a key, NotFound in a library that is none of the key's."""
    known = expect_key(caller)
    if not known.sees(library):
        raise NotFound("there is no such library")
    return known


def expect_scope(caller: Caller | None, scope: Scope, library: str | None) -> Caller:
    """Return who asks, if with this scope in this library.

    Raises Unauthorized without a key, NotFound in a library that is none of the key's, Forbidden without the scope.
    """
    known = expect_known(caller, library)
    if scope not in known.scopes:
        raise Forbidden(f"this API key lacks the scope `{scope}`")
    return known


def given_key(connection: HTTPConnection) -> str | None:
    """Return the key that a request came with: a bearer token, or the password of basic auth."""
    kind, _, value = connection.headers.get("authorization", "").partition(" ")
    if kind.lower() == "bearer":
        return value.strip()
    if kind.lower() == "basic":
        try:
            return base64.b64decode(value, validate=True).decode().partition(":")[2]
        except (binascii.Error, UnicodeDecodeError):
            return ""
    return None
