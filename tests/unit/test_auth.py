import base64

import pytest
from starlette.requests import Request

from api.auth import Scope, authorise, check_binding, is_loopback, new_key, parse_keys
from search.errors import ConfigError, Forbidden, Unauthorized

KEY, ENTRY = new_key(frozenset({Scope.SEARCH}))
KEYS = parse_keys(ENTRY)


def a_request(authorization: str | None = None) -> Request:
    headers = [(b"authorization", authorization.encode())] if authorization is not None else []
    return Request({"type": "http", "headers": headers})


def basic(password: str) -> str:
    return "Basic " + base64.b64encode(f"me:{password}".encode()).decode()


def test_a_known_key_with_the_scope_passes() -> None:
    authorise(a_request(f"Bearer {KEY}"), KEYS, Scope.SEARCH)
    authorise(a_request(basic(KEY)), KEYS, Scope.SEARCH)


def test_without_keys_everyone_passes() -> None:
    authorise(a_request(), {}, Scope.WRITE)


@pytest.mark.parametrize(
    "header",
    [None, "", "Bearer", "Bearer wrong", "Basic ???", basic("wrong"), pytest.param(f"Digest {KEY}", id="digest")],
)
def test_no_key_or_an_unknown_one_is_refused(header: str | None) -> None:
    with pytest.raises(Unauthorized):
        authorise(a_request(header), KEYS, Scope.SEARCH)


def test_a_key_without_the_scope_is_refused() -> None:
    with pytest.raises(Forbidden, match="write"):
        authorise(a_request(f"Bearer {KEY}"), KEYS, Scope.WRITE)


def test_the_setting_holds_no_key_but_its_hash() -> None:
    assert KEY not in ENTRY


def test_a_malformed_setting_is_refused_without_being_repeated() -> None:
    with pytest.raises(ConfigError, match="entry 2") as error:
        parse_keys(f"{ENTRY},secret:search")
    assert "secret:" not in str(error.value)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "localhost", "::1", "[::1]"])
def test_loopback_needs_no_key(host: str) -> None:
    assert is_loopback(host)
    check_binding(host, {})


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "example.org"])
def test_any_other_address_needs_one(host: str) -> None:
    with pytest.raises(ConfigError, match="API key"):
        check_binding(host, {})
    check_binding(host, KEYS)
