"""`snapseek` as a process of its own, and clients that keep asking it while something happens to its OpenSearch."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from search.config import Config

SNAPSEEK = str(Path(sys.executable).with_name("snapseek"))
LONGEST_S = 60.0
"""A client waits this long; no answer in that time is an answer of status 0."""


def environment(config: Config) -> dict[str, str]:
    """Return the environment that gives another process the options that differ from the defaults."""
    given = {f"SNAPSEEK_{name.upper()}": str(getattr(config, name)) for name in config.model_fields_set}
    return {**os.environ, **given}


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    seconds: float
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def is_orderly(self) -> bool:
        """Whether it is an answer to the question, or says as a problem document when to ask again."""
        if self.status == 503:
            problem = self.headers.get("content-type") == "application/problem+json"
            return problem and int(self.headers.get("retry-after", 0)) > 0
        return self.status in (200, 204)


class Server:
    """A running `snapseek serve`."""

    def __init__(self, config: Config, log: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port: int = free.getsockname()[1]
        self.log = log
        with log.open("wb") as file:
            command = [SNAPSEEK, "serve", "--port", str(self.port)]
            self._process = subprocess.Popen(command, env=environment(config), stderr=file)

    def wait_until_up(self) -> None:
        def is_up() -> bool:
            assert self._process.poll() is None, self.log.read_text(encoding="utf-8")
            return self.get("/healthz").status == 200

        wait_for("snapseek serve to listen", is_up, 60)

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(timeout=30)

    def get(self, path: str, *, accept: str = "application/json", **query: Any) -> Answer:
        return self._ask("GET", f"{path}?{urlencode(query)}", headers={"Accept": accept})

    def search(self, **query: Any) -> Answer:
        return self.get("/v1/search", **query)

    def total(self, filter: str) -> int:
        answer = self.search(filter=filter, k=1)
        assert answer.status == 200, answer
        total: int = answer.json["total"]
        return total

    def add_tag(self, id: str, label: str) -> Answer:
        body = json.dumps({"tags": {"add": [{"kind": "user", "label": label}]}})
        return self._ask("PATCH", f"/v1/images/{id}", body, {"Content-Type": "application/json"})

    def _ask(self, method: str, path: str, body: str | None = None, headers: dict[str, str] | None = None) -> Answer:
        started = time.monotonic()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=LONGEST_S)
        try:
            connection.request(method, path, body, headers or {})
            got = connection.getresponse()
            content = got.read()
        except (OSError, http.client.HTTPException):
            return Answer(0, time.monotonic() - started)
        finally:
            connection.close()
        named = {name.lower(): value for name, value in got.getheaders()}
        return Answer(got.status, time.monotonic() - started, named, content)


@contextmanager
def serving(config: Config, log: Path) -> Iterator[Server]:
    """Serve a library, whether its OpenSearch is there or not."""
    server = Server(config, log)
    try:
        server.wait_until_up()
        yield server
    finally:
        server.close()


class Run(AbstractContextManager["Run"]):
    """A command of `snapseek` that runs."""

    def __init__(self, config: Config, log: Path, *args: str) -> None:
        self._log = log
        with log.open("wb") as file:
            self._process = subprocess.Popen(
                [SNAPSEEK, *args, "--json"], env=environment(config), stdout=subprocess.PIPE, stderr=file
            )

    @property
    def runs(self) -> bool:
        return self._process.poll() is None

    def finish(self, timeout_s: float = 120) -> Any:
        """Wait for its end, which has to be a good one, and return what it printed."""
        printed, _ = self._process.communicate(timeout=timeout_s)
        assert self._process.returncode == 0, self._log.read_text(encoding="utf-8")
        return json.loads(printed)

    def pause(self) -> None:
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def __exit__(self, *_: object) -> None:
        if self.runs:
            self._process.kill()
        self._process.communicate()


class Clients(AbstractContextManager["Clients"]):
    """Threads that do something again and again; what they got is kept in the order of its end."""

    def __init__(self, *questions: Callable[[], Answer], pause_s: float = 0.1) -> None:
        self.answers: list[Answer] = []
        self._questions: Sequence[Callable[[], Answer]] = questions
        self._pause_s = pause_s
        self._stop = threading.Event()
        self._threads = ExitStack()
        self._failures: list[BaseException] = []

    def __enter__(self) -> Clients:
        for question in self._questions:
            thread = threading.Thread(target=self._go_on, args=(question,))
            thread.start()
            self._threads.callback(thread.join)
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Wait until each has its last answer. Raises what one of them raised."""
        self._stop.set()
        self._threads.close()
        if self._failures:
            raise self._failures[0]

    def _go_on(self, question: Callable[[], Answer]) -> None:
        while not self._stop.is_set():
            try:
                self.answers.append(question())
            except BaseException as error:
                self._failures.append(error)
                return
            self._stop.wait(self._pause_s)

    @property
    def counts(self) -> Counter[int]:
        return Counter(answer.status for answer in self.answers)

    @property
    def longest_s(self) -> float:
        return max(answer.seconds for answer in self.answers)

    def __str__(self) -> str:
        counts = ", ".join(f"{count} × {status}" for status, count in sorted(self.counts.items()))
        return f"{counts}; longest wait {self.longest_s:.1f} s"


def wait_for(what: str, is_so: Callable[[], bool], at_most_s: float, *, pause_s: float = 0.1) -> float:
    """Wait until something is so, and return how many seconds that took."""
    started = time.monotonic()
    while not is_so():
        assert time.monotonic() - started < at_most_s, f"waited {at_most_s:g} s for {what}"
        time.sleep(pause_s)
    return time.monotonic() - started
