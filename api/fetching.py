"""A picture from an address that somebody gave, fetched so that this server cannot be made to ask its own network.

A name is looked up once, every address that it has is checked, and the connection goes to a checked one: a name that
says something else a moment later (DNS rebinding) changes nothing. Of what is answered nothing is told, not even what
was wrong with it.
"""

from __future__ import annotations

import ipaddress
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urljoin, urlsplit

import httpcore2

from indexer.magic import HEAD, suffix_of
from search.errors import InvalidQuery, RateLimited

PORT = 443
TIMEOUT_S = 10.0
MAX_REDIRECTS = 3
AT_ONCE = 4
MAX_URL = 2_000
REDIRECTS = (301, 302, 303, 307, 308)
_HOST = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?|[0-9a-f:.]*:[0-9a-f:.]*")
_REFUSED = [
    ipaddress.ip_network(network)
    for network in (
        *(
            "192.0.0.0/24",
            "192.88.99.0/24",
            "168.63.129.16/32",
        ),  # protocols, 6to4 relays, what Azure tells its machines
        *("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"),  # protocols and Teredo, documentation, 6to4
    )
]
"""Beside what `ipaddress` knows as not global, which differs between versions of Python."""
_GLOBAL_V6 = ipaddress.ip_network("2000::/3")
"""What is given out; not in it are ULA, link-local, mapped and compatible IPv4, NAT64 and multicast."""

Resolve = Callable[[str, int], Sequence[str]]


def is_public(address: str) -> bool:
    """Return whether an address is one of the internet, and no way to one that is not.

    >>> [is_public(one) for one in ("93.184.216.34", "169.254.169.254", "::ffff:93.184.216.34", "64:ff9b::7f00:1")]
    [True, False, False, False]
    """
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:  # with a zone, say
        return False
    if not parsed.is_global or parsed.is_multicast or parsed.is_reserved:
        return False
    if isinstance(parsed, ipaddress.IPv6Address) and parsed not in _GLOBAL_V6:
        return False
    return not any(parsed in network for network in _REFUSED if network.version == parsed.version)


def resolve(host: str, port: int) -> Sequence[str]:
    """Return every address of a name, as the system knows them."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(one[4][0]) for one in found))


class NotFetched(Exception):
    """There is no picture to be had there. The message is for tests, not for who asked."""


@dataclass(frozen=True, slots=True)
class _Target:
    host: str
    port: int
    path: str


class PictureFetcher:
    """Fetches pictures over https, a few at once. Safe for threads."""

    def __init__(
        self,
        *,
        max_bytes: int,
        timeout_s: float = TIMEOUT_S,
        port: int = PORT,
        lookup: Resolve = resolve,
        allows: Callable[[str], bool] = is_public,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """``max_bytes``: of the picture; ``timeout_s``: for all of it, redirects too; the rest is for tests."""
        self._max_bytes = max_bytes
        self._timeout_s = timeout_s
        self._port = port
        self._lookup = lookup
        self._allows = allows
        self._tls = tls
        self._free = threading.BoundedSemaphore(AT_ONCE)
        self._resolving = ThreadPoolExecutor(max_workers=AT_ONCE, thread_name_prefix="resolve")

    def close(self) -> None:
        self._resolving.shutdown(wait=False, cancel_futures=True)

    def picture(self, url: str) -> bytes:
        """Return the bytes of a picture.

        Raises InvalidQuery, which says no more than that there is none, or what is wrong with the address itself;
        RateLimited where enough are being fetched.
        """
        target = self._target(url)
        if not self._free.acquire(blocking=False):
            raise RateLimited("as many pictures are being fetched as may be at once", 2)
        try:
            return self._fetched(url, target)
        except (NotFetched, InvalidQuery, ssl.SSLError, OSError, *_HTTP_ERRORS) as error:
            raise InvalidQuery("no picture could be fetched from this address") from error
        finally:
            self._free.release()

    def _fetched(self, url: str, target: _Target) -> bytes:
        deadline = time.monotonic() + self._timeout_s
        for _ in range(MAX_REDIRECTS + 1):
            with (
                httpcore2.ConnectionPool(
                    ssl_context=self._tls or ssl.create_default_context(),
                    network_backend=_CheckedAddresses(self, deadline),
                    max_keepalive_connections=0,
                ) as pool,
                pool.stream(
                    "GET",
                    httpcore2.URL(scheme="https", host=target.host, port=target.port, target=target.path),
                    headers=[("User-Agent", "Snapseek"), ("Accept", "image/*"), ("Accept-Encoding", "identity")],
                    extensions={"timeout": dict.fromkeys(("connect", "read", "write", "pool"), self._timeout_s)},
                ) as response,
            ):
                headers = {name.lower(): value for name, value in response.headers}
                if response.status in REDIRECTS:
                    url = urljoin(url, headers.get(b"location", b"").decode("ascii", "strict"))
                    target = self._target(url)
                    continue
                if response.status != 200 or headers.get(b"content-encoding", b"identity") != b"identity":
                    raise NotFetched(f"status {response.status}")
                return self._body(headers.get(b"content-length", b""), response.iter_stream())
        raise NotFetched("too many redirects")

    def _body(self, told: bytes, chunks: Iterable[bytes]) -> bytes:
        if told.isdigit() and int(told) > self._max_bytes:
            raise NotFetched("too large, as it says itself")
        data = bytearray()
        looked = False
        for chunk in chunks:
            data += chunk
            if len(data) > self._max_bytes:
                raise NotFetched("too large")
            if not looked and len(data) >= HEAD:
                looked = True
                _expect_picture(data)
        _expect_picture(data)
        return bytes(data)

    def _target(self, url: str) -> _Target:
        """Return where a URL leads; it is read this once. Raises InvalidQuery."""
        if len(url) > MAX_URL or not url.isprintable() or " " in url or "\\" in url:
            raise InvalidQuery(f"an address has at most {MAX_URL:,} characters, and no blanks or control characters")
        try:
            parts = urlsplit(url)
            host, port = parts.hostname or "", parts.port
            host = host if ":" in host else host.rstrip(".").encode("idna").decode()
        except ValueError as error:  # UnicodeError is one
            raise InvalidQuery("this is no address of a picture") from error
        if parts.scheme != "https":
            raise InvalidQuery("the address of a picture begins with https://")
        if parts.username is not None or parts.password is not None:
            raise InvalidQuery("an address with a user or a password is not asked")
        if port not in (None, PORT, self._port):
            raise InvalidQuery("an address with a port of its own is not asked")
        if not _HOST.fullmatch(host):
            raise InvalidQuery("this is no address of a picture")
        path = quote(parts.path or "/", safe="/%:=&~+!$,;'@()*-._") + (
            f"?{quote(parts.query, safe='/%:=&~+!$,;@()*?-._')}" if parts.query else ""
        )
        return _Target(f"[{host}]" if ":" in host else host, self._port if port is None else port, path)

    def checked(self, host: str, port: int, deadline: float) -> Sequence[str]:
        """Return the addresses of a name, if each of them may be asked. Raises NotFetched."""
        left = deadline - time.monotonic()
        try:
            found = self._resolving.submit(self._lookup, host, port).result(timeout=max(0.0, left))
        except (OSError, TimeoutError, UnicodeError) as error:
            raise NotFetched(f"{host} cannot be looked up") from error
        if not found or not all(map(self._allows, found)):
            raise NotFetched(f"{host} has an address that is not asked")
        return found


class _CheckedAddresses(httpcore2.NetworkBackend):
    """Connects to the addresses that were checked, in the time that is left."""

    def __init__(self, fetcher: PictureFetcher, deadline: float) -> None:
        self._fetcher = fetcher
        self._deadline = deadline
        self._real = httpcore2.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ARG002 (the signatures are httpcore's)
        local_address: str | None = None,  # noqa: ARG002
        socket_options: Iterable[Any] | None = None,  # noqa: ARG002
    ) -> httpcore2.NetworkStream:
        error: Exception = NotFetched("no address")
        for address in self._fetcher.checked(host.strip("[]"), port, self._deadline):
            try:
                stream = self._real.connect_tcp(address, port, _left(self._deadline))
                return _Timed(stream, self._deadline)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as failed:
                error = failed
        raise error


class _Timed(httpcore2.NetworkStream):
    """A connection that ends at a time, however slowly its other end sends."""

    def __init__(self, stream: httpcore2.NetworkStream, deadline: float) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002
        return self._stream.read(max_bytes, _left(self._deadline))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002
        self._stream.write(buffer, _left(self._deadline))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ARG002
    ) -> httpcore2.NetworkStream:
        name = None if server_hostname is None else server_hostname.strip("[]")
        return _Timed(self._stream.start_tls(ssl_context, name, _left(self._deadline)), self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


_HTTP_ERRORS = (
    httpcore2.NetworkError,
    httpcore2.TimeoutException,
    httpcore2.ProtocolError,
    httpcore2.UnsupportedProtocol,
    UnicodeError,
)


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise NotFetched("it took too long")
    return left


def _expect_picture(data: bytes | bytearray) -> None:
    if suffix_of(bytes(data[:HEAD])) is None:
        raise NotFetched("no picture")
