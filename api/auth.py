"""API keys and their scopes. While the server is bound to loopback there are none to check."""

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

from search.errors import ConfigError, Forbidden, Unauthorized


class Scope(StrEnum):
    SEARCH = "search"
    WRITE = "write"
    MODERATE = "moderate"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: the name of the key, and what it may do."""

    name: str
    scopes: frozenset[Scope]


ANYONE = Caller("local", frozenset(Scope))
"""Who asks where no key is needed."""

Keys = dict[str, frozenset[Scope]]
"""Scopes by the SHA-256 of the key, in hex. Keys are 256 random bits, so a plain hash is enough: nothing to guess."""


def parse_keys(setting: str) -> Keys:
    """Return the keys of the option `api_keys`. Raises ConfigError for a malformed entry, without repeating it."""
    keys: Keys = {}
    for number, entry in enumerate(filter(None, map(str.strip, setting.split(","))), start=1):
        digest, _, scopes = entry.partition(":")
        try:
            if len(bytes.fromhex(digest)) != hashlib.sha256().digest_size:
                raise ValueError
            keys[digest.lower()] = frozenset(map(Scope, scopes.split("+")))
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
    return key, f"{_digest(key)}:{'+'.join(sorted(scopes))}"


def is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def check_binding(host: str, keys: Keys) -> None:
    """Raise ConfigError for an address that others can reach when there is no key to keep them out."""
    if not is_loopback(host) and not keys:
        raise ConfigError(
            f"{host} can be reached by others, so an API key is needed: run `snapseek keys new`,"
            " set SNAPSEEK_API_KEYS to what it prints, or bind to 127.0.0.1"
        )


def authorise(connection: HTTPConnection, keys: Keys, scope: Scope) -> Caller:
    """Return who sent a request, if with a key of this scope: a bearer token, or the password of basic auth."""
    if not keys:
        return ANYONE
    given = _given_key(connection.headers.get("authorization", ""))
    if given is None:
        raise Unauthorized("this server wants an API key: `Authorization: Bearer …`")
    digest = _digest(given)
    scopes = next((scopes for known, scopes in keys.items() if hmac.compare_digest(known, digest)), None)
    if scopes is None:
        raise Unauthorized("this API key is not known here")
    if scope not in scopes:
        raise Forbidden(f"this API key lacks the scope `{scope}`")
    return Caller(f"key {digest[:8]}", scopes)


def _given_key(header: str) -> str | None:
    kind, _, value = header.partition(" ")
    if kind.lower() == "bearer":
        return value.strip()
    if kind.lower() == "basic":
        try:
            return base64.b64decode(value, validate=True).decode().partition(":")[2]
        except (binascii.Error, UnicodeDecodeError):
            return None
    return None


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()
