import os
import sqlite3
import stat
import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from api.auth import Scope, digest
from api.key_store import KeyStore
from search.config import KEYS_FILE
from search.errors import NotFound

HOUR = timedelta(hours=1)
SEARCH = frozenset({Scope.SEARCH})


@pytest.fixture
def store(tmp_path: Path) -> Iterator[KeyStore]:
    with closing(KeyStore(tmp_path)) as store:
        yield store


def test_looking_for_keys_makes_no_file(store: KeyStore, tmp_path: Path) -> None:
    assert not store.exists
    assert store.caller("snk_12345678_wrong") is None
    assert store.all() == []
    assert list(tmp_path.iterdir()) == []


def test_a_key_lets_in_who_has_it_and_is_kept_as_a_hash(store: KeyStore, tmp_path: Path) -> None:
    secret, key = store.create("Anna", {Scope.SEARCH, Scope.WRITE}, libraries=["trips"], rate="5/minute", by="root")
    caller = store.caller(secret)
    assert caller is not None
    assert (caller.name, caller.scopes) == (f"Anna ({key.id})", {Scope.SEARCH, Scope.WRITE})
    assert (caller.libraries, caller.rate) == ({"trips"}, "5/minute")
    assert (key.created_by, key.last_used_at) == ("root", None)
    assert secret.startswith(f"snk_{key.id}_")
    stored = (tmp_path / KEYS_FILE).read_bytes()
    assert secret.split("_", 2)[2].encode() not in stored
    assert digest(secret).encode() in stored


def test_only_the_owner_may_read_the_file_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        with closing(KeyStore(tmp_path)) as store:
            store.create("Anna", SEARCH)
            modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    finally:
        os.umask(before)
    assert modes == {KEYS_FILE: 0o600}


@pytest.mark.parametrize("change", ["id", "secret", "empty", "no secret"])
def test_a_key_that_is_nearly_right_is_wrong(store: KeyStore, change: str) -> None:
    secret, key = store.create("Anna", SEARCH)
    other, _ = store.create("Ben", SEARCH)
    wrong = {
        "id": other[:13] + secret[13:],
        "secret": secret[:-1] + ("A" if secret[-1] != "A" else "B"),
        "empty": "",
        "no secret": f"snk_{key.id}_",
    }[change]
    assert store.caller(wrong) is None


def test_a_key_ends_when_it_expires(store: KeyStore) -> None:
    now = datetime.now(UTC)
    late, _ = store.create("late", SEARCH, expires_at=now - timedelta(seconds=1))
    good, _ = store.create("good", SEARCH, expires_at=now + HOUR)
    assert store.caller(late) is None
    assert store.caller(good) is not None


def test_a_revoked_key_opens_nothing_and_stays_in_the_list(store: KeyStore) -> None:
    secret, key = store.create("Anna", SEARCH)
    store.revoke(key.id)
    assert store.caller(secret) is None
    (listed,) = store.all()
    assert listed.revoked_at is not None
    for action in (store.revoke, store.rotate):
        with pytest.raises(NotFound):
            action(key.id)


def test_after_a_rotation_both_secrets_open_until_the_grace_is_over(store: KeyStore) -> None:
    first, key = store.create("Anna", SEARCH)
    second, _ = store.rotate(key.id, HOUR)
    assert store.caller(first) is not None
    assert store.caller(second) is not None
    third, _ = store.rotate(key.id, timedelta(0))
    assert [store.caller(secret) is not None for secret in (first, second, third)] == [False, False, True]


def test_when_a_key_was_used_is_kept(store: KeyStore) -> None:
    secret, key = store.create("Anna", SEARCH)
    before = datetime.now(UTC)
    store.caller(secret)
    used = store.get(key.id).last_used_at
    assert used is not None
    assert before <= used <= datetime.now(UTC)


def test_a_session_is_its_keys(store: KeyStore, tmp_path: Path) -> None:
    secret, key = store.create("Anna", SEARCH)
    caller = store.caller(secret)
    assert caller is not None
    token = store.begin_session(caller, secret)
    assert store.session(token) == (digest(secret), caller)
    assert store.session("wrong") is None
    assert token.encode() not in (tmp_path / KEYS_FILE).read_bytes()
    store.rotate(key.id, timedelta(0))
    assert store.session(token) == (digest(secret), None), "a secret that is not good any more holds no session open"


def test_signing_out_and_revoking_end_sessions(store: KeyStore) -> None:
    secret, key = store.create("Anna", SEARCH)
    caller = store.caller(secret)
    assert caller is not None
    one, other = (store.begin_session(caller, secret) for _ in range(2))
    store.end_session(one)
    assert store.session(one) is None
    assert store.session(other) is not None
    store.revoke(key.id)
    assert store.session(other) is None


def test_another_process_sees_a_key_at_once(tmp_path: Path) -> None:
    with closing(KeyStore(tmp_path)) as server, closing(KeyStore(tmp_path)) as command:
        assert not server.exists
        secret, key = command.create("Anna", SEARCH)
        assert server.caller(secret) is not None
        command.revoke(key.id)
        assert server.caller(secret) is None


def test_threads_share_a_store(store: KeyStore) -> None:
    secrets: list[str] = []
    threads = [threading.Thread(target=lambda: secrets.append(store.create("x", SEARCH)[0])) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({store.caller(secret) for secret in secrets}) == 8


def test_a_file_that_may_only_be_read_still_lets_in(store: KeyStore, tmp_path: Path) -> None:
    secret, _ = store.create("Anna", SEARCH)
    store.close()
    with closing(sqlite3.connect(tmp_path / KEYS_FILE)) as other:
        other.execute("BEGIN IMMEDIATE")  # another process writes: the time of use cannot be noted meanwhile
        assert store.caller(secret) is not None
