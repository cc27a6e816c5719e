"""A server that answers like OpenSearch, or misbehaves as it is told, and remembers what it was asked."""

from __future__ import annotations

import json
import threading
from collections import deque
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Asked:
    method: str
    path: str
    headers: dict[str, str]
    body: str

    @property
    def ids(self) -> list[str]:
        """The ids of the documents of a bulk request."""
        lines = [json.loads(line) for line in self.body.splitlines()]
        return [line["index"]["_id"] for line in lines if "index" in line]


@dataclass(frozen=True)
class Fault:
    """An answer that is not what was asked for: a status, errors of some items of a bulk, or none for a while."""

    status: int = 200
    kind: str = "some_exception"
    items: dict[str, tuple[int, str]] = field(default_factory=dict)
    hang: bool = False
    answer: Any = None

    def body(self, asked: Asked) -> Any:
        if self.answer is not None:
            return self.answer
        if self.status != 200:
            return {"status": self.status, "error": {"type": self.kind, "reason": f"because of {self.kind}"}}
        return {"items": [{"index": self._item(id)} for id in asked.ids]}

    def _item(self, id: str) -> dict[str, Any]:
        if id not in self.items:
            return {"_index": "i", "_id": id, "status": 201}
        status, kind = self.items[id]
        return {"_index": "i", "_id": id, "status": status, "error": {"type": kind, "reason": f"because of {kind}"}}


class FakeOpenSearch:
    """Answers with the faults it is given, one after the other, and then as if all were written."""

    def __init__(self, port: int = 0) -> None:
        self.asked: list[Asked] = []
        self.faults: deque[Fault] = deque()
        self.version: Any = {"version": {"distribution": "opensearch", "number": "3.5.0"}}
        self.over = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", port), self._handler())
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    @property
    def written(self) -> list[list[str]]:
        """The ids that each bulk request carried."""
        return [asked.ids for asked in self.asked if asked.path.startswith("/_bulk")]

    def close(self) -> None:
        self.over.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def do(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0))).decode()
                asked = Asked(self.command, self.path, dict(self.headers), body)
                fake.asked.append(asked)
                if self.path == "/":
                    return self.answer(200, fake.version)
                fault = fake.faults.popleft() if fake.faults else Fault()
                if fault.hang:
                    fake.over.wait(20)
                    return None
                return self.answer(fault.status, fault.body(asked))

            do_GET = do_POST = do_PUT = do_HEAD = do  # noqa: N815 (the names are the base class's)

            def answer(self, status: int, answer: Any) -> None:
                is_json = not isinstance(answer, str)
                payload = (json.dumps(answer) if is_json else answer).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json" if is_json else "text/html")
                self.send_header("content-length", str(len(payload)))
                self.end_headers()
                self.wfile.write(payload)

            def log_message(self, *args: object) -> None:
                pass

        return Handler
