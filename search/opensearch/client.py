"""The connection to OpenSearch: who we are, how long we wait, and what its failures mean for us.

Reads fail soon, with Unavailable; writes in bulk wait (see `bulk`). Nothing is asked before the first use, so a
service starts while its cluster is away. Errors and logs name hosts and users, never a password.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from search.config import Config
from search.errors import ConfigError, Unavailable

try:
    from opensearchpy import OpenSearch, Urllib3AWSV4SignerAuth
    from opensearchpy.exceptions import ConflictError, NotFoundError, OpenSearchException, RequestError, TransportError
except ImportError as error:
    raise ConfigError("OpenSearch as store needs `pip install 'snapseek[opensearch]'`") from error

from search.opensearch import bulk, faults
from search.opensearch.bulk import WriteRefused
from search.opensearch.circuit import CircuitTransport

__all__ = ["Client", "ConflictError", "NotFoundError", "RequestError", "TransportError", "WriteRefused", "connect"]

# It warns of each request that fails, with a traceback; here that is an error with the reason, or one warning.
logging.getLogger("opensearch").setLevel(logging.ERROR)

OLDEST = (2, 17)
"""The first version that takes a bitmap as filter of a terms query."""

Answer = TypeVar("Answer")

THREADS = 40
"""Connections that are kept to each node: as many as the server has threads to answer in."""


def connect(config: Config) -> Client:
    """Return a client; it asks nothing yet. Raises ConfigError where a file or a library is missing."""
    return Client(config)


class Client:
    """opensearch-py's client (``raw``) for one library, with the errors of this project. Used by several threads."""

    def __init__(self, config: Config) -> None:
        self._hosts = config.opensearch_url.split(",")
        self._where = ", ".join(self._hosts)
        self._user = _user(config)
        self._timeout_s = config.opensearch_timeout_s
        self._wait_s = config.opensearch_write_wait_s
        # A serverless collection of AWS has no version, and no page that would tell.
        self._known = config.opensearch_aws_service == "aoss" and bool(config.opensearch_aws_region)
        self.raw = OpenSearch(
            self._hosts,
            transport_class=CircuitTransport,
            http_auth=_auth(config),
            ca_certs=_authorities(config),
            timeout=config.opensearch_timeout_s,
            max_retries=1,
            retry_on_timeout=len(self._hosts) > 1,
            dead_timeout=5,
            pool_maxsize=THREADS,
        )

    def __repr__(self) -> str:
        return f"Client({self._where!r})"

    def close(self) -> None:
        self.raw.close()

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Turn what opensearch-py raises inside into errors of ours; 400, 404 and 409 stay RequestError and so on."""
        with self._translated():
            self._identify()
            yield

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except OpenSearchException as error:
            problem = faults.ours(error, self._where, self._user)
            if problem is error:
                raise
            raise problem from error

    def call(self, function: Callable[[OpenSearch], Answer]) -> Answer:
        """Return what a function makes of ``raw``, translated."""
        with self.translated():
            return function(self.raw)

    def search(
        self, index: str, body: Mapping[str, Any], *, allow_partial: bool = False, **params: Any
    ) -> dict[str, Any]:
        """Search; raises Unavailable when a shard failed or time was up, unless the caller allows and looks at that."""
        with self.translated():
            answer: dict[str, Any] = self.raw.search(
                index=index, body=body, allow_partial_search_results=allow_partial, **params
            )
        return answer if allow_partial else self._whole(answer)

    def msearch(self, bodies: Sequence[tuple[str, Mapping[str, Any]]]) -> list[dict[str, Any]]:
        """Run several searches at once, each of an index and a body; fails as the first that fails."""
        lines: list[Mapping[str, Any]] = []
        for index, body in bodies:
            lines += [{"index": index, "allow_partial_search_results": False}, body]
        if not lines:
            return []
        with self.translated():
            answers = self.raw.msearch(body=lines)["responses"]
            for answer in answers:
                if "error" in answer:
                    raise faults.from_part(answer)
        return [self._whole(answer) for answer in answers]

    def bulk(self, actions: Iterable[Mapping[str, Any]], *, refresh: bool | str = False) -> list[dict[str, Any]]:
        """Write, and wait where OpenSearch cannot take it now; return an item for each action, in their order.

        Actions are as opensearch-py's helpers take them; each may be sent twice, so it needs an id. Items with status
        409 (a condition did not hold) or of an update of a missing document are returned; other errors are raised.
        """

        def send(body: str, left_s: float) -> list[bulk.Item]:
            self._identify()
            # A large write to a busy node takes longer than a search; one that may not wait has the time of a search.
            timeout_s = min(6 * self._timeout_s, max(left_s, self._timeout_s))
            answer = self.raw.bulk(body=body, refresh=refresh, request_timeout=timeout_s)
            return [item for entry in answer["items"] for item in entry.values()]

        items: list[dict[str, Any]] = []
        with self._translated():
            for chunk in bulk.chunks(actions):
                items += bulk.write(chunk, send, wait_s=self._wait_s)
        return items

    def _whole(self, answer: dict[str, Any]) -> dict[str, Any]:
        failed = answer.get("_shards", {}).get("failed", 0)
        if failed:
            failures = answer["_shards"].get("failures") or [{}]
            why = faults.reason_of(failures[0].get("reason") or {"reason": "no reason given"})
            raise Unavailable(f"OpenSearch at {self._where} answered without {failed} of its shards: {why}")
        if answer.get("timed_out"):
            raise Unavailable(f"OpenSearch at {self._where} ran out of time for a search")
        return answer

    def _identify(self) -> None:
        """Check once, at first use, that this is an OpenSearch, and one that knows what we ask."""
        if not self._known:
            _check_version(self.raw, self._where)
            self._known = True


def _check_version(raw: OpenSearch, where: str) -> None:
    try:
        answer = raw.info()
    except (RequestError, NotFoundError) as error:
        raise ConfigError(f"what answers at {where} is no OpenSearch: {faults.reason(error)}") from error
    version = answer.get("version", {}) if isinstance(answer, dict) else {}
    if version.get("distribution") != "opensearch":
        raise ConfigError(f"what answers at {where} is no OpenSearch")
    number = str(version.get("number"))
    if tuple(int(part) for part in number.split(".")[:2]) < OLDEST:
        raise ConfigError(f"OpenSearch at {where} is {number}; Snapseek needs {'.'.join(map(str, OLDEST))} or later")


def _user(config: Config) -> str:
    if config.opensearch_aws_region:
        return f"a request signed for {config.opensearch_aws_region}"
    return f"the user {config.opensearch_user}" if config.opensearch_user else "a request without user"


def _auth(config: Config) -> tuple[str, str] | Callable[..., dict[str, str]] | None:
    if config.opensearch_aws_region:
        return _aws_signer(config.opensearch_aws_region, config.opensearch_aws_service)
    if not config.opensearch_user:
        return None
    password = config.opensearch_password.get_secret_value()
    if config.opensearch_password_file:
        password = _read("opensearch_password_file", config.opensearch_password_file).strip()
    return config.opensearch_user, password


def _aws_signer(region: str, service: str) -> Callable[..., dict[str, str]]:
    try:
        from botocore.session import Session
    except ImportError as error:
        raise ConfigError("opensearch_aws_region needs `pip install 'snapseek[aws]'`") from error
    credentials = Session().get_credentials()
    if credentials is None:
        raise ConfigError("opensearch_aws_region is given, but there are no AWS credentials: see `aws configure`")
    return Urllib3AWSV4SignerAuth(credentials, region, service)


def _authorities(config: Config) -> str | None:
    if config.opensearch_ca and "-----BEGIN " not in _read("opensearch_ca", config.opensearch_ca):
        raise ConfigError(f"opensearch_ca: {config.opensearch_ca} has no certificate in it")
    return config.opensearch_ca or None


def _read(option: str, path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{option}: {path} cannot be read: {error}") from error
