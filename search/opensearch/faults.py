"""What opensearch-py raises, as errors of ours, and which of it passes by itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from opensearchpy.exceptions import (
    HTTP_EXCEPTIONS,
    ConflictError,
    ConnectionError,
    NotFoundError,
    OpenSearchException,
    RequestError,
    SerializationError,
    SSLError,
    TransportError,
)

from search.errors import ConfigError, SnapseekError, Unavailable

BLOCKED = frozenset({"cluster_block_exception", "index_create_block_exception"})
"""The disk is full, or someone closed indices to writes, or the making of them, for a while: 403 or 429."""

OVERLOADED_OR_AWAY = frozenset({429, 502, 503, 504})


def passes(error: TransportError) -> bool:
    """Return whether the same request may succeed later without anyone changing it or the options."""
    if isinstance(error, SSLError):
        return not _is_about_trust(error)
    return isinstance(error, ConnectionError) or is_passing(error.status_code, error.error)


def is_passing(status: int | str, kind: str) -> bool:
    """Return the same of a status and the type of an error, of a whole answer or of one part of it."""
    return status in OVERLOADED_OR_AWAY or kind in BLOCKED


def ours(error: OpenSearchException, where: str, user: str) -> Exception:
    """Return the error to raise instead; ``where`` and ``user`` are for the message.

    What depends on the request stays as it is, for the caller to look at: 400, 404, 409.
    """
    if isinstance(error, SerializationError):
        return ConfigError(f"what answers at {where} is no OpenSearch: {_short(str(error))}")
    if not isinstance(error, TransportError) or isinstance(error, RequestError | NotFoundError | ConflictError):
        return error
    return _of_connection(error, where) if isinstance(error, ConnectionError) else _of_answer(error, where, user)


def _of_connection(error: ConnectionError, where: str) -> SnapseekError:
    if not passes(error):
        return ConfigError(
            f"the certificate of OpenSearch at {where} cannot be verified; opensearch_ca names the file of the"
            f" authority that signed it: {reason(error)}"
        )
    return Unavailable(f"OpenSearch at {where} cannot be reached: {reason(error)}")


def _of_answer(error: TransportError, where: str, user: str) -> SnapseekError:
    no_shard_could = error.error == "search_phase_execution_exception" and int(error.status_code) >= 500
    if passes(error) or no_shard_could:
        return Unavailable(f"OpenSearch at {where} cannot answer now: {reason(error)}")
    if error.status_code in (401, 403):
        return ConfigError(f"OpenSearch at {where} refused {user}: {reason(error)}")
    return SnapseekError(f"OpenSearch at {where} failed: {reason(error)}")


def reason(error: TransportError) -> str:
    """Return the server's own words, as short as they can be."""
    details = error.info.get("error") if isinstance(error.info, dict) else None
    if isinstance(details, dict):
        return f"{error.status_code} {reason_of(details)}"
    status = "" if isinstance(error, ConnectionError) else f"{error.status_code} "
    return status + _short(str(error.error))


def reason_of(details: Mapping[str, Any]) -> str:
    """Return the words of the ``error`` of an answer or of a part of it, with those of its deepest cause."""
    cause: Mapping[str, Any] = next(iter(details.get("root_cause") or ()), details)
    while isinstance(cause.get("caused_by"), Mapping):
        cause = cause["caused_by"]
    words = [str(details.get("reason") or details.get("type")), str(cause.get("reason") or "")]
    return _short(": ".join(dict.fromkeys(filter(None, words))))


def from_part(part: Mapping[str, Any]) -> TransportError:
    """Return what opensearch-py would have raised had this part of an answer been the whole."""
    status = int(part["status"])
    kind = HTTP_EXCEPTIONS.get(status, TransportError)
    return kind(status, part["error"]["type"], part)  # type: ignore[return-value]  # all of the table are


def _is_about_trust(error: SSLError) -> bool:
    return any(words in str(error.error) for words in ("CERTIFICATE_VERIFY_FAILED", "NO_CERTIFICATE_OR_CRL_FOUND"))


def _short(words: str) -> str:
    words = " ".join(words.split())
    return words if len(words) <= 300 else f"{words[:299]}…"
