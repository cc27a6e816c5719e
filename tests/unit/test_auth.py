import pytest

from api.auth import (
    ANYONE,
    Caller,
    Scope,
    check_binding,
    digest,
    expect_scope,
    is_loopback,
    matching,
    new_key,
    parse_keys,
)
from search.errors import ConfigError, Forbidden, NotFound, Unauthorized

KEY, ENTRY = new_key(frozenset({Scope.SEARCH}))
KEYS = parse_keys(ENTRY)


def test_a_key_of_the_setting_is_known_by_its_hash_alone() -> None:
    caller = matching(KEYS, digest(KEY))
    assert caller is not None
    assert caller.scopes == {Scope.SEARCH}
    assert matching(KEYS, digest("wrong")) is None
    assert KEY not in ENTRY


def test_the_scope_decides_what_a_caller_may() -> None:
    caller = Caller("a key", frozenset({Scope.SEARCH}))
    assert expect_scope(caller, Scope.SEARCH, None) is caller
    with pytest.raises(Forbidden, match="write"):
        expect_scope(caller, Scope.WRITE, None)
    with pytest.raises(Unauthorized):
        expect_scope(None, Scope.SEARCH, None)
    assert expect_scope(ANYONE, Scope.ADMIN, None) is ANYONE


def test_no_scope_includes_another() -> None:
    with pytest.raises(Forbidden, match="search"):
        expect_scope(Caller("an admin", frozenset({Scope.ADMIN})), Scope.SEARCH, None)


@pytest.mark.parametrize("library", ["b", None])
def test_a_library_of_others_is_not_there_whatever_the_scope(library: str | None) -> None:
    caller = Caller("a key", frozenset({Scope.SEARCH}), libraries=frozenset({"a"}))
    assert expect_scope(caller, Scope.SEARCH, "a") is caller
    for scope in Scope:
        with pytest.raises(NotFound):
            expect_scope(caller, scope, library)


def test_a_malformed_setting_is_refused_without_being_repeated() -> None:
    with pytest.raises(ConfigError, match="entry 2") as error:
        parse_keys(f"{ENTRY},secret:search")
    assert "secret:" not in str(error.value)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "localhost", "::1", "[::1]"])
def test_loopback_needs_no_key(host: str) -> None:
    assert is_loopback(host)
    check_binding(host, has_keys=False)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "example.org"])
def test_any_other_address_needs_one(host: str) -> None:
    with pytest.raises(ConfigError, match="API key"):
        check_binding(host, has_keys=False)
    check_binding(host, has_keys=True)
