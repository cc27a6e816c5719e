"""Commands of `snapseek` that run as processes of their own, to be watched, stopped and killed."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx2

SNAPSEEK = Path(sys.executable).with_name("snapseek")


def environment(data: Path, **options: object) -> dict[str, str]:
    """Return the variables of a process over a library; ``options`` are those of the config."""
    named = {f"SNAPSEEK_{name.upper()}": str(value) for name, value in {"data": data, **options}.items()}
    return {**os.environ, "HF_HUB_OFFLINE": "1", **named}


class Command:
    """A command that runs, at the head of a group of processes."""

    def __init__(self, data: Path, log: Path, *arguments: str, **options: object) -> None:
        self.log = log
        with log.open("ab") as file:
            self.process = subprocess.Popen(
                [str(SNAPSEEK), *arguments],
                env=environment(data, **options),
                stdout=file,
                stderr=file,
                start_new_session=True,
            )

    @property
    def runs(self) -> bool:
        return self.process.poll() is None

    def wait(self, timeout_s: float = 120) -> int:
        return self.process.wait(timeout=timeout_s)

    def kill(self, *, group: bool = False) -> None:
        """End it as a machine that fails would; with ``group``, all that it has started as well."""
        if group:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
        elif self.runs:
            self.process.kill()
        self.process.wait()

    def stop(self, timeout_s: float = 60) -> int:
        """Tell it to end, and return its exit status."""
        if self.runs:
            self.process.terminate()
        return self.wait(timeout_s)


class Server(Command):
    """`snapseek serve`, and a client for it."""

    def __init__(self, data: Path, log: Path, *arguments: str, **options: object) -> None:
        self.port = free_port()
        super().__init__(data, log, "serve", "--port", str(self.port), *arguments, **options)
        self.url = f"http://127.0.0.1:{self.port}"
        self.client = httpx2.Client(base_url=self.url, timeout=60)

    def wait_until_up(self) -> Server:
        wait_for("snapseek serve to listen", self._is_up, 90)
        return self

    def _is_up(self) -> bool:
        assert self.runs, self.log.read_text(encoding="utf-8")
        try:
            return bool(self.client.get("/healthz").status_code == 200)
        except httpx2.HTTPError:
            return False


@contextmanager
def serving(data: Path, log: Path, *arguments: str, **options: object) -> Iterator[Server]:
    server = Server(data, log, *arguments, **options)
    try:
        yield server.wait_until_up()
    finally:
        server.stop()
        server.client.close()


def waiting(client: httpx2.Client) -> int:
    """Return how many uploaded pictures wait for a worker, or are at one."""
    jobs = client.get("/v1/jobs").json()
    return int(jobs["queued"] + jobs["running"])


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    return port


def wait_for(what: str, is_so: Callable[[], bool], at_most_s: float, *, pause_s: float = 0.1) -> float:
    """Wait until something is so, and return how many seconds that took."""
    started = time.monotonic()
    while not is_so():
        assert time.monotonic() - started < at_most_s, f"waited {at_most_s:g} s for {what}"
        time.sleep(pause_s)
    return time.monotonic() - started


@dataclass(frozen=True, slots=True)
class Running:
    """A process of a library. ``role`` is what it does there."""

    pid: int
    role: str


def of_library(data: Path) -> list[Running]:
    """Return all processes over a library, by the option that each has in its environment. Linux only."""
    wanted = f"SNAPSEEK_DATA={data}".encode()
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if wanted not in (folder / "environ").read_bytes().split(b"\0"):
                continue
            found.append(Running(int(folder.name), _role((folder / "cmdline").read_bytes().decode(errors="replace"))))
        except OSError:
            continue  # it has ended, or is another user's
    return sorted(found, key=lambda one: one.pid)


def _role(command: str) -> str:
    names: Mapping[str, str] = {
        "forkserver": "decoder",
        "resource_tracker": "tracker",
        "spawn_main": "worker",
        "\0serve\0": "server",
        "\0index\0": "index",
        "\0worker": "crew",
    }
    return next((role for sign, role in names.items() if sign in command), "other")


def pss_bytes(pid: int) -> int | None:
    """Return the memory of a process, of what it shares its part only; None when it has ended. Linux only."""
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="utf-8").splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return None
