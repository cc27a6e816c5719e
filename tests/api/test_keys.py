"""Keys over HTTP and on the command line, sessions in a browser, rates: on a real application over a real library."""

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner
from starlette.testclient import TestClient

from api.app import create_app
from api.auth import Scope, new_key
from api.cli import main
from api.key_store import KeyStore
from search.config import Config
from search.services import open_services

ALL = frozenset(Scope)
PAGE = {"accept": "text/html"}


@contextmanager
def serving(config: Config, **options: object) -> Iterator[TestClient]:
    """A client of a server on an open address; its keys lie in a folder of their own."""
    opened = config.model_copy(update={"host": "0.0.0.0", **options})
    with (
        open_services(opened) as services,
        TestClient(create_app(services), base_url="http://photos.example") as client,
    ):
        yield client


@pytest.fixture
def own(config: Config, tmp_path: Path) -> Config:
    """The library that all tests read, with keys that are this test's own."""
    for path in config.data.iterdir():
        (tmp_path / path.name).symlink_to(path)
    return config.model_copy(update={"data": tmp_path})


@pytest.fixture
def store(own: Config) -> Iterator[KeyStore]:
    with closing(KeyStore(own.data)) as store:
        yield store


@pytest.fixture
def client(own: Config) -> Iterator[TestClient]:
    with serving(own) as client:
        yield client


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def run(own: Config, *words: str) -> dict:
    done = CliRunner().invoke(main, ["keys", *words, "--data", str(own.data), "--json"])
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def test_the_command_line_makes_lists_rotates_and_revokes_keys_of_a_server_that_runs(
    own: Config, client: TestClient
) -> None:
    assert client.get("/v1/search").status_code == 401
    made = run(
        own, "create", "Anna", "--scope", "search", "--scope", "write", "--expires", "90d", "--rate", "60/minute"
    )
    key = made.pop("key")
    assert client.get("/v1/search", headers=bearer(key)).status_code == 200
    (listed,) = run(own, "list")["keys"]
    assert (listed["id"], listed["name"], listed["scopes"]) == (made["id"], "Anna", ["search", "write"])
    assert listed["rate"] == "60/minute"
    assert listed["last_used_at"] is not None
    assert datetime.fromisoformat(listed["expires_at"]) > datetime.now(UTC) + timedelta(days=89)
    assert key not in json.dumps(listed)

    second = run(own, "rotate", made["id"], "--grace", "1h")["key"]
    assert [client.get("/v1/search", headers=bearer(one)).status_code for one in (key, second)] == [200, 200]
    third = run(own, "rotate", made["id"], "--grace", "0h")["key"]
    assert [client.get("/v1/search", headers=bearer(one)).status_code for one in (second, third)] == [401, 200]

    run(own, "revoke", made["id"])
    assert client.get("/v1/search", headers=bearer(third)).status_code == 401
    assert run(own, "list")["keys"] == []
    assert run(own, "list", "--all")["keys"][0]["revoked_at"] is not None


@pytest.mark.parametrize(
    "words",
    [
        ["create", "Anna", "--expires", "soon"],
        ["create", "Anna", "--rate", "fast"],
        ["create", ""],
        ["create", "Anna", "--library", "No Name"],
        ["revoke", "00000000"],
        ["rotate", "00000000"],
    ],
)
def test_what_the_command_line_cannot_do_is_exit_status_2(own: Config, words: list[str]) -> None:
    assert CliRunner().invoke(main, ["keys", *words, "--data", str(own.data)]).exit_code == 2
    assert not (own.data / "keys.sqlite").exists() or words[0] != "create"


def test_a_key_in_words_is_shown_once(own: Config) -> None:
    told = CliRunner().invoke(main, ["keys", "create", "Anna", "--data", str(own.data)])
    assert "key (shown once): snk_" in told.stdout
    listed = CliRunner().invoke(main, ["keys", "list", "--data", str(own.data)])
    assert "Anna" in listed.stdout
    assert "snk_" not in listed.stdout


def test_an_admin_manages_keys_over_http(client: TestClient, store: KeyStore) -> None:
    admin, _ = store.create("root", {Scope.ADMIN})
    wanted = {"name": "Ben", "scopes": ["search"], "rate": "9/minute"}
    answer = client.post("/v1/keys", json=wanted, headers=bearer(admin))
    assert answer.status_code == 201
    assert answer.headers["cache-control"] == "no-store"
    made = answer.json()
    assert client.get("/v1/facets", headers=bearer(made["key"])).headers["ratelimit-policy"] == '"default";q=9;w=60'
    listed = client.get("/v1/keys", headers=bearer(admin)).json()["keys"]
    assert (listed[0]["name"], listed[0]["created_by"].split(" ")[0]) == ("Ben", "root")
    assert "key" not in listed[0]

    rotated = client.post(f"/v1/keys/{made['id']}/rotate", json={"grace_s": 0}, headers=bearer(admin)).json()
    assert client.get("/v1/search", headers=bearer(made["key"])).status_code == 401
    assert client.get("/v1/search", headers=bearer(rotated["key"])).status_code == 200
    assert client.post(f"/v1/keys/{made['id']}/rotate", headers=bearer(admin)).status_code == 200
    assert client.delete(f"/v1/keys/{made['id']}", headers=bearer(admin)).status_code == 204
    assert client.get("/v1/search", headers=bearer(rotated["key"])).status_code == 401
    assert client.delete(f"/v1/keys/{made['id']}", headers=bearer(admin)).status_code == 404


def test_who_is_no_admin_manages_no_keys(client: TestClient, store: KeyStore) -> None:
    key, known = store.create("Anna", ALL - {Scope.ADMIN})
    for method, path in (
        ("GET", "/v1/keys"),
        ("POST", "/v1/keys"),
        ("DELETE", f"/v1/keys/{known.id}"),
        ("POST", f"/v1/keys/{known.id}/rotate"),
    ):
        sent = {"name": "me", "scopes": ["admin"]} if path == "/v1/keys" and method == "POST" else None
        assert client.request(method, path, json=sent, headers=bearer(key)).status_code == 403, path
        assert client.request(method, path, json=sent).status_code == 401, path


def test_a_key_of_the_setting_goes_through_the_same_code(own: Config) -> None:
    key, entry = new_key(frozenset({Scope.SEARCH, Scope.ADMIN}))
    with serving(own, api_keys=entry, rate_limit="3/minute") as client:
        assert client.get("/v1/keys", headers=bearer(key)).status_code == 200
        assert client.get("/v1/search", headers=bearer(key)).headers["ratelimit"].startswith('"default";r=1;')
        assert client.delete(f"/v1/images/{'0' * 32}", headers=bearer(key)).status_code == 403
        assert client.get("/v1/search", headers=bearer(key)).status_code == 429


def test_the_last_key_that_is_revoked_opens_no_door_on_loopback_either(own: Config, store: KeyStore) -> None:
    with serving(own, host="127.0.0.1", allowed_hosts="photos.example") as client:
        assert client.get("/v1/search").status_code == 200
        secret, key = store.create("Anna", {Scope.SEARCH})
        assert client.get("/v1/search").status_code == 401
        assert client.get("/v1/search", headers=bearer(secret)).status_code == 200
        store.revoke(key.id)
        assert client.get("/v1/search").status_code == 401


def test_too_many_requests_are_answered_429_with_when_to_come_again(client: TestClient, store: KeyStore) -> None:
    quick, _ = store.create("quick", {Scope.SEARCH})
    slow, _ = store.create("slow", {Scope.SEARCH}, rate="2/minute")
    for left in (1, 0):
        answer = client.get("/v1/facets", headers=bearer(slow))
        assert answer.status_code == 200
        assert answer.headers["ratelimit"].startswith(f'"default";r={left};t=')
    answer = client.get("/v1/facets", headers=bearer(slow))
    assert answer.status_code == 429
    assert answer.headers["content-type"] == "application/problem+json"
    assert 1 <= int(answer.headers["retry-after"]) <= 60
    assert client.get("/v1/facets", headers=bearer(quick)).status_code == 200, "another key is not held up"
    assert client.get("/healthz").status_code == 200


def test_without_a_key_an_address_has_the_usual_rate(own: Config) -> None:
    with serving(own, rate_limit="2/minute") as client:
        assert [client.get("/v1/search").status_code for _ in range(3)] == [401, 401, 429]
        assert client.get("/healthz").status_code == 200


def test_where_no_key_is_needed_nothing_is_counted(own: Config) -> None:
    with serving(own, host="127.0.0.1", allowed_hosts="photos.example", rate_limit="1/minute") as client:
        answers = [client.get("/v1/facets") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200] * 3
    assert "ratelimit" not in answers[0].headers


def test_who_signs_in_uses_the_pages_until_they_sign_out(client: TestClient, store: KeyStore) -> None:
    secret, _ = store.create("Anna", {Scope.SEARCH})
    asked = client.get("/?q=cat", headers=PAGE)
    assert asked.status_code == 401
    assert 'name="key"' in asked.text
    assert 'value="/?q=cat"' in asked.text
    assert "12 pictures" not in asked.text, "nothing of the library is told"
    assert asked.headers["www-authenticate"].startswith("Bearer"), "no dialog of the browser's own"
    assert client.get("/?q=cat", headers={**PAGE, "HX-Request": "true"}).headers["hx-refresh"] == "true"

    wrong = client.post("/sign-in", data={"key": "snk_wrong"}, headers=PAGE)
    assert wrong.status_code == 401
    assert "not known here" in wrong.text

    entered = client.post("/sign-in", data={"key": secret, "back": "/?q=cat"}, headers=PAGE, follow_redirects=False)
    assert (entered.status_code, entered.headers["location"]) == (303, "/?q=cat")
    cookie = entered.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert secret not in cookie

    page = client.get("/?q=cat", headers=PAGE)
    assert page.status_code == 200
    assert "Signed in as Anna" in page.text
    for hidden in ("/moderation", "/import"):
        assert f'href="{hidden}"' not in page.text, "what the key may not see is not offered"
    hit = client.get("/v1/search", params={"q": "cat"}).json()["hits"][0]
    assert client.get(hit["links"]["thumbnail"]).status_code == 200
    shown = client.get(f"/images/{hit['id']}", headers=PAGE).text
    assert "/edit" not in shown
    assert 'action="/remove"' not in shown

    left = client.post("/sign-out", follow_redirects=False)
    assert left.headers["clear-site-data"] == '"cache"'
    client.cookies.set("snapseek_session", cookie.split("=")[1].split(";")[0])
    assert client.get("/v1/search").status_code == 401, "the session is over on the server too"


def test_the_cookie_goes_over_tls_only_where_there_is_tls(own: Config, store: KeyStore) -> None:
    secret, _ = store.create("Anna", {Scope.SEARCH})
    with serving(own) as client:
        client.base_url = "https://photos.example"
        answer = client.post("/sign-in", data={"key": secret}, follow_redirects=False)
    assert "Secure" in answer.headers["set-cookie"]


def test_signing_in_leads_to_no_other_host(client: TestClient, store: KeyStore) -> None:
    secret, _ = store.create("Anna", {Scope.SEARCH})
    for back in (
        "https://evil.example/",
        "//evil.example/",
        "/\\evil.example",
        "/\t/evil.example",
        "javascript:alert(1)",
    ):
        answer = client.post("/sign-in", data={"key": secret, "back": back}, follow_redirects=False)
        assert answer.headers["location"] == "/", back


def test_a_key_of_the_setting_signs_in_too(own: Config) -> None:
    key, entry = new_key(frozenset({Scope.SEARCH}))
    with serving(own, api_keys=entry) as client:
        client.post("/sign-in", data={"key": key})
        assert client.get("/v1/search").status_code == 200
    with serving(own, api_keys=new_key(frozenset({Scope.SEARCH}))[1]) as other:
        other.cookies = client.cookies
        assert other.get("/v1/search").status_code == 401, "with the key, its sessions are gone"


def test_over_http_nobody_locks_a_server_that_asks_for_no_keys(own: Config) -> None:
    with serving(own, host="127.0.0.1", allowed_hosts="photos.example") as client:
        assert client.post("/v1/keys", json={"name": "me", "scopes": ["admin"]}).status_code == 409
        assert client.get("/v1/keys").json() == {"keys": []}
        assert client.get("/v1/search").status_code == 200


@pytest.mark.parametrize(
    "wanted",
    [
        {"scopes": []},
        {"scopes": ["everything"]},
        {"name": ""},
        {"name": " "},
        {"name": "a\nb"},
        {"name": "a" * 101},
        {"rate": "fast"},
        {"rate": "0/minute"},
        {"rate": "5/minute\n"},
        {"expires_at": "soon"},
        {"expires_at": "2030-01-01T00:00:00"},
        {"libraries": []},
        {"libraries": ["family"]},
        {"owner": "me"},
    ],
    ids=str,
)
def test_a_key_that_makes_no_sense_is_not_made(client: TestClient, store: KeyStore, wanted: dict) -> None:
    admin, _ = store.create("root", {Scope.ADMIN})
    answer = client.post("/v1/keys", json={"name": "Ben", "scopes": ["search"], **wanted}, headers=bearer(admin))
    assert answer.status_code == 422
    assert len(store.all()) == 1
