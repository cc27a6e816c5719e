"""Pictures on the web: a real server over TLS that attacks who fetches from it, and addresses that are not asked."""

import http.server
import ipaddress
import shutil
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field

import pytest
from pictures import encoded
from PIL import Image
from starlette.testclient import TestClient

from api.app import create_app
from api.fetching import AT_ONCE, PictureFetcher, is_public, resolve
from search.config import Config
from search.errors import InvalidQuery, RateLimited
from search.services import open_services

NAME = "photos.example"
PNG = encoded(Image.new("RGB", (96, 64), "red"), "PNG")
SECRET = b"root:x:0:0 of the inner network"
MOST = 100_000


@dataclass
class Web:
    """A server that answers as its path says."""

    port: int
    tls: ssl.SSLContext
    asked: list[tuple[str, str]] = field(default_factory=list)
    """(host, path) of each request."""

    def fetcher(self, **options: object) -> PictureFetcher:
        return PictureFetcher(
            **{
                "max_bytes": MOST,
                "timeout_s": 3.0,
                "port": self.port,
                "lookup": lambda _host, _port: ["127.0.0.1"],
                "allows": lambda _address: True,
                "tls": self.tls,
                **options,
            }
        )

    def url(self, path: str) -> str:
        return f"https://{NAME}:{self.port}{path}"


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl, which makes the certificate")
    folder = tmp_path_factory.mktemp("tls")
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    command += ["-keyout", str(folder / "key"), "-out", str(folder / "cert"), "-days", "2", "-subj", f"/CN={NAME}"]
    subprocess.run([*command, "-addext", f"subjectAltName=DNS:{NAME}"], check=True, capture_output=True)
    found: list[Web] = []

    class Answers(http.server.BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None: ...

        def do_GET(self) -> None:
            found[0].asked.append((self.headers["Host"], self.path))
            try:
                self.answer()
            except OSError:
                return  # who asked has gone away, as they should

        def answer(self) -> None:
            if self.path == "/drip":
                self.wfile.write(b"HTTP/1.1 200 OK\r\n")
                for _ in range(200):
                    self.wfile.write(b"X: y\r\n")
                    time.sleep(0.1)
                return
            if self.path.startswith("/to/"):
                self.send_response(302)
                self.send_header("Location", self.path.removeprefix("/to/"))
                self.end_headers()
                return
            if self.path.startswith("/hop/"):
                left = int(self.path.removeprefix("/hop/"))
                self.send_response(302)
                self.send_header("Location", f"/hop/{left - 1}" if left else "/picture")
                self.end_headers()
                return
            status, body, headers = {
                "/picture": (200, PNG, {}),
                "/secret": (200, SECRET, {"Content-Type": "image/png"}),
                "/svg": (200, b"<svg xmlns='http://www.w3.org/2000/svg'/>", {"Content-Type": "image/svg+xml"}),
                "/says-large": (200, b"", {"Content-Length": str(MOST + 1)}),
                "/gzip": (200, PNG, {"Content-Encoding": "gzip"}),
                "/large": (200, PNG + bytes(20 * MOST), {}),
                "/error": (500, PNG, {}),
            }[self.path]
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert", folder / "key")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    trust = ssl.create_default_context(cafile=str(folder / "cert"))
    found.append(Web(server.server_address[1], trust))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield found[0]
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def fetch(web: Web) -> Iterator[Callable[..., bytes]]:
    opened: list[PictureFetcher] = []

    def fetch(url: str, **options: object) -> bytes:
        opened.append(web.fetcher(**options))
        return opened[-1].picture(url)

    yield fetch
    for fetcher in opened:
        fetcher.close()


REFUSED = [
    *("127.0.0.1", "127.8.8.8", "0.0.0.0", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1"),
    *("169.254.169.254", "169.254.0.1", "100.64.0.1", "100.100.100.200", "168.63.129.16", "192.0.0.192"),
    *("198.18.0.1", "192.0.2.1", "198.51.100.1", "203.0.113.1", "192.88.99.1"),
    *("224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255"),
    *("::", "::1", "::ffff:127.0.0.1", "::ffff:93.184.216.34", "::127.0.0.1", "::ffff:0:127.0.0.1"),
    *("64:ff9b::7f00:1", "64:ff9b::5db8:d822", "64:ff9b:1::a00:1", "2002:7f00:1::", "2002:5db8:d822::1"),
    *("2001::1", "2001:0:4136:e378:8000:63bf:3fff:fdd2", "2001:db8::1", "3fff::1", "fe80::1", "fe80::1%eth0"),
    *("fec0::1", "fc00::1", "fd00:ec2::254", "ff02::1", "100::1", "5f00::1", "not an address", ""),
]


@pytest.mark.parametrize("address", REFUSED)
def test_an_address_that_is_none_of_the_internet_is_refused(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["93.184.216.34", "1.1.1.1", "2606:4700:4700::1111", "2a00:1450:4001:800::200e"])
def test_an_address_of_the_internet_is_asked(address: str) -> None:
    assert is_public(address)


def test_every_private_network_that_the_library_knows_is_refused() -> None:
    for networks in (ipaddress._IPv4Constants, ipaddress._IPv6Constants):  # type: ignore[attr-defined]
        for network in networks._private_networks:
            assert not is_public(str(network[0])), network
            assert not is_public(str(network[-1])), network


def test_a_picture_is_fetched_by_name_from_the_checked_address(web: Web, fetch: Callable[..., bytes]) -> None:
    looked_up: list[str] = []

    def lookup(host: str, _port: int) -> list[str]:
        looked_up.append(host)
        return ["127.0.0.1"]

    web.asked.clear()
    assert fetch(web.url("/picture"), lookup=lookup) == PNG
    assert looked_up == [NAME], "once: a second answer could be another address"
    assert web.asked == [(f"{NAME}:{web.port}", "/picture")], "the name is the one in the certificate and in Host"


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "[fd00:ec2::254]", "169.254.169.254"),
        *("2130706433", "0x7f000001", "127.1", "0177.0.0.1", "0", "127.0.0.1."),
    ],
)
def test_the_inner_network_is_not_asked_however_it_is_written(web: Web, fetch: Callable[..., bytes], host: str) -> None:
    web.asked.clear()
    with pytest.raises(InvalidQuery):
        fetch(f"https://{host}:{web.port}/picture", lookup=resolve, allows=is_public)
    assert web.asked == []


@pytest.mark.parametrize("found", [["93.184.216.34", "127.0.0.1"], ["127.0.0.1", "93.184.216.34"], []])
def test_a_name_with_one_private_address_is_not_asked_at_all(
    web: Web, fetch: Callable[..., bytes], found: list[str]
) -> None:
    web.asked.clear()
    with pytest.raises(InvalidQuery, match="no picture could be fetched"):
        fetch(web.url("/picture"), lookup=lambda _host, _port: found, allows=is_public)
    assert web.asked == []


def test_a_name_that_changes_its_address_meanwhile_gains_nothing(web: Web, fetch: Callable[..., bytes]) -> None:
    """DNS rebinding: the first answer is an address that may be asked (nobody is there), each later one is another."""
    answers = iter([["127.0.0.2"], *[["127.0.0.1"]] * 9])
    web.asked.clear()
    with pytest.raises(InvalidQuery):
        fetch(web.url("/picture"), lookup=lambda _host, _port: next(answers), allows=lambda a: a == "127.0.0.2")
    assert next(answers) == ["127.0.0.1"], "it was looked up once"
    assert len(list(answers)) == 8
    assert web.asked == []


@pytest.mark.parametrize(
    "target",
    [
        "http://photos.example/picture",
        "file:///etc/passwd",
        "gopher://x/",
        "https://10.0.0.1/",
        "https://inner.example/",
    ],
)
def test_a_redirect_is_checked_like_the_first_address(web: Web, fetch: Callable[..., bytes], target: str) -> None:
    lookup = {NAME: ["127.0.0.1"], "inner.example": ["10.0.0.2"], "10.0.0.1": ["10.0.0.1"]}
    with pytest.raises(InvalidQuery) as error:
        fetch(
            web.url(f"/to/{target}"), lookup=lambda host, _port: lookup[host], allows=lambda a: not a.startswith("10.")
        )
    assert str(error.value) == "no picture could be fetched from this address"


def test_three_redirects_are_followed_and_no_more(web: Web, fetch: Callable[..., bytes]) -> None:
    assert fetch(web.url("/hop/2")) == PNG
    with pytest.raises(InvalidQuery):
        fetch(web.url("/hop/3"))


@pytest.mark.parametrize("path", ["/secret", "/svg", "/says-large", "/gzip", "/large", "/error"])
def test_what_is_no_picture_is_refused_and_nothing_of_it_is_told(
    web: Web, fetch: Callable[..., bytes], path: str
) -> None:
    with pytest.raises(InvalidQuery) as error:
        fetch(web.url(path))
    assert str(error.value) == "no picture could be fetched from this address"


def test_a_server_that_drips_is_left_when_the_time_is_over(web: Web, fetch: Callable[..., bytes]) -> None:
    began = time.monotonic()
    with pytest.raises(InvalidQuery):
        fetch(web.url("/drip"), timeout_s=1.0)
    assert time.monotonic() - began < 5


def test_a_name_server_that_does_not_answer_is_left_too(web: Web, fetch: Callable[..., bytes]) -> None:
    forever = threading.Event()
    with pytest.raises(InvalidQuery):
        fetch(web.url("/picture"), lookup=lambda _host, _port: forever.wait(20) or [], timeout_s=0.3)
    forever.set()


def test_a_certificate_of_another_name_is_refused(web: Web, fetch: Callable[..., bytes]) -> None:
    with pytest.raises(InvalidQuery):
        fetch(f"https://other.example:{web.port}/picture")


@pytest.mark.parametrize(
    "url",
    [
        *("http://photos.example/a.png", "ftp://photos.example/a", "//photos.example/a", "photos.example", ""),
        *("https://me:secret@photos.example/", "https://photos.example@evil.example/", "https://photos.example:22/"),
        *(
            "https://photos.example:0/",
            "https://photos.example:99999/",
            "https:///a",
            "https://a b/",
            "https://a\r\nX: y/",
        ),
        *(
            "https://photos.example\\@10.0.0.1/",
            "https://-a-/",
            "https://" + "a" * 3_000,
            "https://[::1/",
            "https://%31/",
        ),
    ],
)
def test_an_address_that_is_none_of_a_picture_is_never_looked_up(
    web: Web, fetch: Callable[..., bytes], url: str
) -> None:
    looked_up: list[str] = []
    with pytest.raises(InvalidQuery):
        fetch(url, port=443, lookup=lambda host, _port: looked_up.append(host) or [])
    assert looked_up == []


def test_only_a_few_are_fetched_at_once(web: Web) -> None:
    go, at_it = threading.Event(), threading.Barrier(AT_ONCE + 1)

    def lookup(_host: str, _port: int) -> list[str]:
        at_it.wait(10)
        go.wait(10)
        return ["127.0.0.1"]

    with closing(web.fetcher(lookup=lookup, timeout_s=20)) as fetcher:
        got: list[bytes] = []
        threads = [
            threading.Thread(target=lambda: got.append(fetcher.picture(web.url("/picture")))) for _ in range(AT_ONCE)
        ]
        for thread in threads:
            thread.start()
        at_it.wait(10)
        with pytest.raises(RateLimited):
            fetcher.picture(web.url("/picture"))
        go.set()
        for thread in threads:
            thread.join()
    assert got == [PNG] * AT_ONCE


def test_over_http_it_is_off_by_default(client: TestClient) -> None:
    answer = client.post("/v1/similar", json={"url": "https://photos.example/a.png"})
    assert answer.status_code == 403
    assert "url_lookup" in answer.json()["detail"]


def test_over_http_a_picture_on_the_web_finds_what_is_like_it(config: Config, web: Web) -> None:
    allowed = config.model_copy(update={"url_lookup": True})
    with open_services(allowed) as services, TestClient(create_app(services), base_url="http://127.0.0.1") as client:
        assert client.app.state.context.fetcher._allows is is_public  # type: ignore[attr-defined]
        for url in ("https://127.0.0.1/", "https://localhost/", "https://[::1]/", "https://169.254.169.254/latest/"):
            answer = client.post("/v1/similar", json={"url": url})
            assert answer.status_code == 422
            assert answer.json()["detail"] == "no picture could be fetched from this address"
        context = client.app.state.context  # type: ignore[attr-defined]
        object.__setattr__(context, "fetcher", web.fetcher())
        answer = client.post("/v1/similar?k=3", json={"url": web.url("/picture")})
        assert answer.status_code == 200
        assert len(answer.json()["hits"]) == 3
        assert client.post("/v1/similar", json={"url": web.url("/secret")}).text.count("root") == 0


@pytest.mark.parametrize(
    "body", [{}, {"url": 5}, {"url": "https://a/" + "a" * 3_000}, {"url": "https://a/", "x": 1}, []]
)
def test_a_body_that_asks_for_nothing_is_a_problem_document(client: TestClient, body: object) -> None:
    answer = client.post("/v1/similar", json=body)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
