"""Attacks by request, each named by its test, on real applications. What decoding defends against has tests of its own.

Others by request: keys (test_keys.py), libraries of others (test_libraries.py), look-up by URL (test_fetching.py).
"""

import asyncio
import json
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from libraries import index
from pictures import a_picture, encoded
from PIL import Image
from starlette.testclient import TestClient

from api.app import create_app
from api.auth import Scope
from api.bodies import AROUND_A_PICTURE, MAX_BODY
from api.key_store import KeyStore
from api.rates import GUESSES
from search.config import Config, load_config
from search.moderation import ReviewState
from search.saved import SavedSearch
from search.services import Services, open_services
from search.types import Decision, ImageId, TagKind, Verdict

OPENAPI = json.loads((Path(__file__).parents[2] / "docs" / "openapi.json").read_text(encoding="utf-8"))
TEMPLATES = Path(__file__).parents[2] / "ui" / "templates"
PAGE = {"accept": "text/html"}
NOBODY = "0" * 32
SCRIPTS = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'><svg onload=alert(1)>",
    "</title></textarea></script><script>alert(1)</script>",
    "javascript:alert(1)",
    "{{ 7*7 }}${7*7}",
    '" autofocus onfocus="alert(1)',
    "\u2028<!--<script>",
)
FORMS = {
    "/images/{id}/edit": {"caption": "x"},
    "/images/{id}/taste": {"type": "like"},
    "/recommendations/erase": {},
    "/recommendations/views": {"learn": "on"},
    "/remove": {"id": NOBODY},
    "/settings": {"theme": "dark"},
    "/saved": {"name": "x", "query": "q=x"},
    "/saved/forget": {"name": "x"},
    "/similar": {},
    "/import": {},
    "/moderation/{id}": {"decision": "reject"},
    "/sign-in": {"key": "x"},
    "/sign-out": {},
}
CHANGING = [
    (method.upper(), path)
    for path, methods in OPENAPI["paths"].items()
    for method in methods
    if method in ("post", "put", "patch", "delete")
] + [("POST", path) for path in FORMS]


@contextmanager
def serving(config: Config, *, address: str = "testclient", **options: object) -> Iterator[TestClient]:
    with open_services(config.model_copy(update=options)) as services:
        app = create_app(services)
        with TestClient(app, base_url="http://127.0.0.1", client=(address, 5000)) as client:
            yield client


@pytest.fixture
def locked(config: Config, tmp_path: Path) -> Iterator[tuple[TestClient, KeyStore]]:
    """The library that all tests read, on an open address, with keys of this test's own."""
    for path in config.data.iterdir():
        (tmp_path / path.name).symlink_to(path)
    with serving(config, data=tmp_path, host="0.0.0.0") as client:
        yield client, client.app.state.gate.store  # type: ignore[attr-defined]


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[TestClient, Services]]:
    """A library in which every text that others write is an attack: names, EXIF, OCR, captions, labels, notes."""
    folder = tmp_path_factory.mktemp("hostile")
    for number, text in enumerate(SCRIPTS):
        exif = Image.Exif()
        exif[0x0110] = exif[0x010E] = exif[0x013B] = text  # model, description, artist
        path = folder / "photos" / f"{number} {text.replace('/', '∕')}.jpg"
        path.parent.mkdir(exist_ok=True)
        a_picture(number).save(path, exif=exif)
    index(folder / "library", folder / "photos")
    with open_services(load_config(data=folder / "library")) as services:
        catalog = services.catalog
        with TestClient(create_app(services), base_url="http://127.0.0.1") as client:
            ids = [hit["id"] for hit in client.get("/v1/search", params={"k": 50}).json()["hits"]]
            assert len(ids) == len(SCRIPTS)
            for id, text in zip(map(ImageId, ids), SCRIPTS, strict=True):
                labels = [(kind, f"{text}"[:90]) for kind in (TagKind.USER, TagKind.OBJECT, TagKind.TEXT)]
                catalog.edit(id, add=labels, caption=text, alt_text=text)
                catalog.decide(id, Decision(Verdict.APPROVED, text, datetime.now(UTC), text))
                query = SavedSearch(text.replace("\u2028", " ")[:90], "q=cat")
                catalog.change_saved_searches(lambda known, query=query: (*known, query))
                client.post("/v1/images", files={"file": (text.replace('"', "%22"), encoded(a_picture(99)))})
                client.post("/v1/images", files={"file": (text.replace('"', "%22"), b"no picture")})
            services.noted()
            yield client, services


class Elements(HTMLParser):
    """What a browser would make of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def run_by(text: str) -> list[str]:
    """Return what of a page would run, or lead to what runs."""
    found = []
    for tag, attributes in Elements(text).tags:
        if tag == "script" and not (attributes.get("src") or "").startswith("/static/"):
            found.append(f"script {attributes}")
        if tag == "img" and not (attributes.get("src") or "").startswith(("/static/", "/v1/images/")):
            found.append(f"img {attributes}")
        for name, value in attributes.items():
            if name.startswith(("on", "hx-on", "style")) or name in ("autofocus", "srcdoc"):
                found.append(f"{tag} {name}={value}")
            leads = name in ("href", "src", "action", "formaction", "hx-get", "hx-post")
            if leads and re.match(r"[\s\x00]*(javascript|data|vbscript):|//", value or "", re.IGNORECASE):
                found.append(f"{tag} {name}={value}")
    return found


# Cross-site requests


def test_every_form_of_the_pages_is_tried_below() -> None:
    actions = set()
    for template in TEMPLATES.glob("*.html"):
        for form in re.findall(r'<form[^>]*method="post"[^>]*>', template.read_text(encoding="utf-8")):
            action = re.search(r'action="([^"]*)"', form)
            assert action
            actions.add(re.sub(r"\{\{ at\('([^']*)'\) \}\}", r"\1", action[1]))
    known = {path.replace("/images/{id}", "{{ view.url }}").replace("/{id}", "/{{ view.id }}") for path in FORMS}
    assert actions <= known


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "http://127.0.0.1:9999"},
        {"Origin": "null"},
    ],
    ids=["another site", "a neighbour", "an older browser", "another port", "a sandbox"],
)
@pytest.mark.parametrize(("method", "path"), CHANGING)
def test_csrf_no_page_of_another_site_changes_anything(
    client: TestClient, method: str, path: str, headers: dict[str, str]
) -> None:
    """On loopback too, where no key is asked for: a page of any site could send forms to it."""
    answer = client.request(method, path.replace("{id}", NOBODY), headers=headers, data=FORMS.get(path))
    assert answer.status_code == 403
    assert "another site" in answer.text


@pytest.mark.parametrize(
    "headers",
    [{}, {"Sec-Fetch-Site": "same-origin", "Origin": "http://127.0.0.1"}, {"Origin": "http://127.0.0.1"}],
    ids=["a program", "our page", "our page in an older browser"],
)
@pytest.mark.parametrize(("method", "path"), CHANGING)
def test_csrf_what_is_sent_from_here_goes_through(
    client: TestClient, method: str, path: str, headers: dict[str, str]
) -> None:
    sent = {"data": FORMS[path]} if path in FORMS and path != "/sign-out" else {}
    if path in ("/v1/keys",):
        sent = {"json": {}}
    answer = client.request(method, path.replace("{id}", NOBODY), headers=headers, follow_redirects=False, **sent)
    assert "another site" not in answer.text
    client.cookies.clear()


def test_csrf_what_a_browser_adds_by_itself_does_not_help(locked: tuple[TestClient, KeyStore]) -> None:
    client, store = locked
    secret, _ = store.create("Anna", frozenset(Scope))
    foreign = {"Sec-Fetch-Site": "cross-site"}
    client.post("/sign-in", data={"key": secret})
    assert client.get("/v1/search").status_code == 200
    assert client.delete(f"/v1/images/{NOBODY}", headers=foreign).status_code == 403
    assert client.delete(f"/v1/images/{NOBODY}").status_code == 404
    client.cookies.clear()
    assert client.delete(f"/v1/images/{NOBODY}", headers=foreign, auth=("me", secret)).status_code == 403
    named = {**foreign, "Authorization": f"Bearer {secret}"}
    assert client.delete(f"/v1/images/{NOBODY}", headers=named).status_code == 404, "a program put it there"


def test_no_other_site_may_read_what_is_answered(client: TestClient) -> None:
    for path in ("/v1/search", "/", "/v1/keys"):
        answer = client.get(path, headers={"Origin": "https://evil.example"})
        assert not [name for name in answer.headers if name.startswith("access-control-")]
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"


# Headers


def test_every_answer_carries_what_limits_it(client: TestClient, locked: tuple[TestClient, KeyStore]) -> None:
    hit = client.get("/v1/search").json()["hits"][0]
    answers = [client.get(path, headers=PAGE) for path in ("/", "/docs", "/nowhere", "/static/app.css", "/v1/facets")]
    answers += [
        client.get(path) for path in ("/v1/nowhere", "/openapi.json", "/healthz", "/metrics", *hit["links"].values())
    ]
    answers += [client.put("/v1/search"), client.post("/v1/search", content=bytes(MAX_BODY + 1))]
    answers += [client.get("/", headers={"Host": "evil.example"}), client.post("/remove", headers={"Origin": "null"})]
    answers += [locked[0].get("/", headers=PAGE), locked[0].get("/v1/search"), locked[0].get("/sign-in", headers=PAGE)]
    for answer in answers:
        headers, where = answer.headers, f"{answer.status_code} {answer.url}"
        assert headers["x-content-type-options"] == "nosniff", where
        assert headers["referrer-policy"] == "same-origin", where
        assert headers["cross-origin-opener-policy"] == "same-origin", where
        assert headers["cross-origin-resource-policy"] == "same-origin", where
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy, where
        assert "script-src 'self'" in policy or policy.startswith("sandbox"), where
        assert "private" in headers["cache-control"] or "no-store" in headers["cache-control"] or "/static/" in where


def test_clickjacking_pages_stand_in_no_frame(client: TestClient) -> None:
    assert "frame-ancestors 'none'" in client.get("/", headers=PAGE).headers["content-security-policy"]


def test_a_page_in_a_picture_is_no_page(tmp_path: Path, client: TestClient) -> None:
    """What was sent is served as what its bytes are, in a sandbox, whatever its name says."""
    hit = client.get("/v1/search").json()["hits"][0]
    for link in ("file", "thumbnail"):
        headers = client.get(hit["links"][link]).headers
        assert headers["content-type"].startswith("image/")
        assert headers["content-security-policy"].startswith("sandbox; default-src 'none'")
        assert headers["x-content-type-options"] == "nosniff"


# Scripts in what others write


@pytest.mark.parametrize(
    "path",
    [
        *(
            "/",
            "/?q=cat",
            "/saved",
            "/insights",
            "/map",
            "/duplicates",
            "/jobs",
            "/docs",
            "/import",
            "/recommendations",
        ),
        *("/moderation", "/moderation?state=approved", "/facet?facet=user", "/facet?facet=object", "/suggest?q=%3C"),
    ],
)
def test_xss_by_names_exif_ocr_captions_labels_and_notes(hostile: tuple[TestClient, Services], path: str) -> None:
    answer = hostile[0].get(path, headers=PAGE)
    assert answer.status_code == 200
    assert run_by(answer.text) == []


def test_xss_on_the_pages_of_pictures_and_jobs(hostile: tuple[TestClient, Services]) -> None:
    client, services = hostile
    shown = ""
    for hit in client.get("/v1/search", params={"k": 50}).json()["hits"]:
        for headers in (PAGE, {**PAGE, "HX-Request": "true"}):
            text = client.get(f"/images/{hit['id']}", headers=headers).text
            assert run_by(text) == []
            shown += text
    for job in services.catalog.jobs.latest(50):
        text = client.get(f"/jobs/{job.id}", headers=PAGE).text
        assert run_by(text) == []
        shown += text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in shown, "the attack is there, as text"
    assert "49$" not in shown, "a template in a text is not evaluated"


@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize(
    "path", ["/", "/?filter={}", "/?like={}", "/?sort={}", "/saved", "/part", "/images/{}", "/sign-in?back={}", "/{}"]
)
def test_xss_by_what_a_link_asks(client: TestClient, path: str, script: str) -> None:
    from urllib.parse import quote

    where = path.format(quote(script)) if "{}" in path else f"{path}?q={quote(script)}&id={quote(script)}"
    answer = client.get(where, headers=PAGE)
    assert answer.status_code < 500
    assert [found for found in run_by(answer.text) if found != "input autofocus=None"] == []


def test_xss_json_is_never_taken_for_a_page(hostile: tuple[TestClient, Services]) -> None:
    answer = hostile[0].get("/v1/search", params={"q": SCRIPTS[0]}, headers=PAGE)
    assert answer.headers["content-type"] == "application/json"
    problem = hostile[0].get("/v1/search", params={"filter": SCRIPTS[0]}, headers=PAGE)
    assert problem.headers["content-type"] == "application/problem+json"


def test_formulas_in_an_export_are_text(hostile: tuple[TestClient, Services]) -> None:
    client, services = hostile
    id = ImageId(client.get("/v1/search").json()["hits"][0]["id"])
    before = services.catalog.record(id).caption
    services.catalog.edit(id, add=[], remove=[], caption='=HYPERLINK("http://evil.example")', alt_text=None)
    services.noted()
    assert "'=HYPERLINK" in client.get("/export.csv").text
    services.catalog.edit(id, add=[], remove=[], caption=before, alt_text=None)


# Floods


def sent_until_refused(app: Any, path: str, content_type: str, *, key: str = "") -> tuple[int, int]:
    """Return the status, and how many bytes were taken, for a body without an end and without a told length."""
    taken, status = 0, 0
    head = (
        b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n\r\n'
        if "multipart" in content_type
        else b""
    )

    async def receive() -> dict[str, Any]:
        nonlocal taken
        piece = head if taken == 0 and head else b"a" * 65_536
        taken += len(piece)
        assert taken < 200 * 2**20, "it is taken without end"
        return {"type": "http.request", "body": piece, "more_body": True}

    async def send(message: dict[str, Any]) -> None:
        nonlocal status
        status = message.get("status", status)

    headers = [(b"host", b"127.0.0.1"), (b"content-type", content_type.encode())]
    scope = {"type": "http", "method": "POST", "path": path, "raw_path": path.encode(), "query_string": b""}
    scope |= {"headers": headers, "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80), "scheme": "http"}
    asyncio.run(app({**scope, "http_version": "1.1", "root_path": "", "state": {}}, receive, send))
    return status, taken


@pytest.mark.parametrize(
    ("path", "content_type"),
    [
        ("/v1/search", "application/json"),
        ("/v1/keys", "application/json"),
        ("/v1/similar", "application/json"),
        ("/sign-in", "application/x-www-form-urlencoded"),
        ("/saved", "application/x-www-form-urlencoded"),
        ("/remove", "multipart/form-data; boundary=b"),
        ("/v1/similar", "multipart/form-data; boundary=b"),
        ("/similar", "multipart/form-data; boundary=b"),
        ("/v1/nowhere", "application/json"),
    ],
)
def test_a_body_without_end_is_taken_to_its_bound_only(config: Config, path: str, content_type: str) -> None:
    with serving(config, max_upload_bytes=2**20) as client:
        status, taken = sent_until_refused(client.app, path, content_type)
    assert status in (413, 404)
    most = MAX_BODY if path not in ("/v1/similar", "/similar") else 2**20 + AROUND_A_PICTURE
    assert taken <= most + 2 * 65_536


def test_a_body_that_tells_its_length_is_refused_before_it_comes(client: TestClient) -> None:
    answer = client.post("/v1/search", content=b"{}", headers={"Content-Length": str(MAX_BODY + 1)})
    assert answer.status_code == 413
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    "params",
    [
        {"k": 201},
        {"k": 10**30},
        {"q": "a" * 1_001},
        {"q": "dog\0"},
        {"filter": "a" * 60_000},
        {"filter": "-" * 4_000},
        {"filter": " ".join(["object:dog"] * 65)},
        {"filter": f"object:{'|'.join(map(str, range(65)))}"},
        {"filter": f'path:"{"*a" * 1_000}"'},
        {"filter": f"text:{'(' * 3_000}"},
        {"cursor": "A" * 60_000},
        {"facets": ",".join(["object"] * 5_000)},
        {"not": "a" * 1_001},
    ],
    ids=lambda params: f"{next(iter(params))} {str(next(iter(params.values())))[:12]}",
)
def test_a_query_that_is_too_much_is_answered_at_once(client: TestClient, params: dict[str, object]) -> None:
    began = time.monotonic()
    answer = client.get("/v1/search", params=params)
    assert answer.status_code in (200, 413, 414, 422)
    assert time.monotonic() - began < 5
    if "path" not in str(params) and "text:" not in str(params) and "facets" not in params:
        assert answer.status_code == 422


@pytest.mark.parametrize(
    "body",
    [
        {"text": ["a"] * 17},
        {"images": [NOBODY] * 17},
        {"vector": [1.0] * 8_193},
        {"k": 201},
        {"weights": {"text": 1e300}},
        {"facets": ["nothing"]},
    ],
)
def test_a_composition_that_is_too_much_is_refused(client: TestClient, body: dict[str, object]) -> None:
    assert client.post("/v1/search", json=body).status_code in (404, 422)


def test_nested_json_is_refused_and_harms_nothing(client: TestClient) -> None:
    deep = "[" * 100_000 + "]" * 100_000
    answer = client.post("/v1/search", content=deep, headers={"Content-Type": "application/json"})
    assert 400 <= answer.status_code < 500
    assert client.get("/healthz").status_code == 200


def test_many_parts_of_a_form_are_refused(client: TestClient) -> None:
    part = b'--b\r\nContent-Disposition: form-data; name="x"\r\n\r\n1\r\n'
    body = part * 10_000 + b"--b--\r\n"
    answer = client.post("/v1/similar", content=body, headers={"Content-Type": "multipart/form-data; boundary=b"})
    assert 400 <= answer.status_code < 500


# Guessing, fixing and forging


def test_brute_force_who_guesses_keys_has_to_wait(config: Config, locked: tuple[TestClient, KeyStore]) -> None:
    client, store = locked
    secret, _ = store.create("Anna", {Scope.SEARCH})
    for _ in range(GUESSES.amount - 2):
        assert client.get("/v1/search", headers={"Authorization": "Bearer snk_00000000_guess"}).status_code == 401
    for _ in range(2):
        assert client.post("/sign-in", data={"key": "guess"}).status_code == 401, "the form counts too"
    answer = client.get("/v1/search", headers={"Authorization": f"Bearer {secret}"})
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) >= 1
    with TestClient(client.app, base_url="http://127.0.0.1", client=("192.0.2.7", 1)) as other:
        assert other.get("/v1/search", headers={"Authorization": f"Bearer {secret}"}).status_code == 200


def test_a_wrong_key_and_none_are_told_apart_from_nothing_else(locked: tuple[TestClient, KeyStore]) -> None:
    client, store = locked
    _, key = store.create("Anna", {Scope.SEARCH})
    answers = {
        client.get("/v1/search", headers={"Authorization": f"Bearer {wrong}"}).text
        for wrong in ("x", f"snk_{key.id}_x", "snk_00000000_x", "snk_", "'; DROP TABLE key; --")
    }
    assert len(answers) == 1, "whether an id exists is not told"
    assert len(store.all()) == 1


def test_session_fixation_a_cookie_of_others_is_never_made_a_session(locked: tuple[TestClient, KeyStore]) -> None:
    client, store = locked
    secret, _ = store.create("Anna", {Scope.SEARCH})
    client.cookies.set("snapseek_session", "chosen-by-others")
    assert client.get("/v1/search").status_code == 401
    client.cookies.clear()
    answer = client.post("/sign-in", data={"key": secret}, headers={"Cookie": "snapseek_session=chosen-by-others"})
    assert "chosen-by-others" not in answer.history[0].headers["set-cookie"]
    client.cookies.clear()
    client.cookies.set("snapseek_session", "chosen-by-others")
    assert client.get("/v1/search").status_code == 401


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "evil.example:80", "localhost.evil.example"]
)
def test_dns_rebinding_another_name_for_loopback_is_not_answered(client: TestClient, host: str) -> None:
    assert client.get("/v1/search", headers={"Host": host}).status_code == 400


@pytest.mark.parametrize(
    "back", ["https://evil.example", "//evil.example", "/\\evil.example", "\\\\evil.example", "/\r\nX: y"]
)
def test_open_redirects_lead_back_here_only(client: TestClient, back: str) -> None:
    for path, form in (("/settings", {"theme": "dark"}), ("/remove", {})):
        answer = client.post(path, data={**form, "back": back}, follow_redirects=False)
        assert answer.status_code == 303
        assert answer.headers["location"] in ("/", "/?removed=0")
    client.cookies.clear()


@pytest.mark.parametrize(
    "path",
    [
        "/static/../../../pyproject.toml",
        "/static/%2e%2e/%2e%2e/pyproject.toml",
        "/static/..%2f..%2fpyproject.toml",
        "/v1/images/..%2f..%2fetc%2fpasswd/file",
        "/v1/images/%2e%2e/thumbnail",
        f"/v1/images/{NOBODY}%00/file",
        "/libraries/../v1/keys/..%2f",
        "/export.%2e%2e%2fsnapseek",
    ],
)
def test_path_traversal_reaches_no_file(client: TestClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code in (404, 422)
    assert "[project]" not in answer.text
    assert "root:" not in answer.text


def test_header_injection_by_names_and_links(hostile: tuple[TestClient, Services]) -> None:
    client, _ = hostile
    for name in ("a\r\nX-Evil: 1.jpg", "a%0d%0aX-Evil: 1.jpg"):
        answer = client.post("/v1/images", files={"file": (name, encoded(a_picture(5)))})
        assert "x-evil" not in answer.headers
    for hit in client.get("/v1/search", params={"k": 50}).json()["hits"]:
        disposition = client.get(hit["links"]["file"]).headers["content-disposition"]
        assert re.fullmatch(r"inline; filename\*=UTF-8''[A-Za-z0-9._~%/-]+", disposition)
    shown = client.get("/?q=a%0d%0aX-Evil:%201", headers={**PAGE, "HX-Request": "true"})
    assert "x-evil" not in shown.headers


@pytest.mark.parametrize("state", ReviewState)
def test_who_may_not_moderate_sees_no_queue(locked: tuple[TestClient, KeyStore], state: ReviewState) -> None:
    client, store = locked
    secret, _ = store.create("Anna", {Scope.SEARCH, Scope.WRITE})
    headers = {"Authorization": f"Bearer {secret}"}
    assert client.get("/v1/moderation", params={"state": state.value}, headers=headers).status_code == 403
    assert client.get("/moderation", params={"state": state.value}, headers={**headers, **PAGE}).status_code == 403
