"""Requests to a cluster that is away fail at once, all but one a second, so that it does not tie up every thread."""

from __future__ import annotations

import threading
import time
from typing import Any

from opensearchpy import Transport
from opensearchpy.exceptions import ConnectionError, ConnectionTimeout, TransportError

PAUSE_S = 1.0


class Circuit:
    """Open after a failed connection, or two timeouts in a row: one slow query does not stop the others."""

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._lock = threading.Lock()
        self._error: ConnectionError | None = None
        self._open = False
        self._next_try = 0.0

    def enter(self) -> None:
        """Raise the last failure while it is fresh, or while another request tries whether it has passed."""
        with self._lock:
            if not self._open:
                return
            now = time.monotonic()
            if now < self._next_try and self._error is not None:
                raise type(self._error)(*self._error.args)
            self._next_try = now + self._timeout_s

    def failed(self, error: ConnectionError) -> None:
        with self._lock:
            self._open = self._error is not None or not isinstance(error, ConnectionTimeout)
            self._error = error
            self._next_try = time.monotonic() + PAUSE_S

    def answered(self) -> None:
        with self._lock:
            self._open, self._error = False, None


class CircuitTransport(Transport):
    """opensearch-py's transport behind a circuit."""

    def __init__(self, *args: Any, timeout: float, **kwargs: Any) -> None:
        super().__init__(*args, timeout=timeout, **kwargs)
        self._circuit = Circuit(timeout)

    def perform_request(self, *args: Any, **kwargs: Any) -> Any:
        self._circuit.enter()
        try:
            answer = super().perform_request(*args, **kwargs)
        except ConnectionError as error:
            self._circuit.failed(error)
            raise
        except TransportError:
            self._circuit.answered()
            raise
        self._circuit.answered()
        return answer
