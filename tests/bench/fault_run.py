"""Kill processes at random moments of ingest: python tests/bench/fault_run.py [--kills 50] [--seed 1] [--json FILE]

Three things write to one library: an index run over a folder that grows, loses and renames files, uploads to a server,
and a worker. Each round one of them gets SIGKILL after a random time (server, index run, worker, one of a worker's own
processes, or everything at once, as when a machine fails), and is started again. What was acknowledged is remembered.
At the end all is finished without kills, and then have to hold:

- every picture of the folder and every upload that was answered 202 is an image, once; what was deleted (204) is none;
- a file is at exactly one place of the catalogue, every job has ended, and none of its pictures was rejected;
- `snapseek verify` finds nothing, search finds as many images as there are, and no process is left over.

Exit status 0 only then.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import signal
import sqlite3
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import httpx2
from pictures import a_picture, encoded
from processes import Command, Server, of_library, wait_for, waiting

TARGETS = ("server", "index", "crew", "worker", "decoder", "everything")
NEW_FILES = 8
"""Of each round, in the folder that is indexed."""
AN_UPLOAD = 3
PAUSE_S = 4.0
"""Between uploads: what the worker manages, killed as often as it is, so that the end is not one long wait."""


class Sender(threading.Thread):
    """Sends pictures, again until they are acknowledged, and deletes some of them, as a client would."""

    def __init__(self, run: FaultRun) -> None:
        super().__init__(name="sender", daemon=True)
        self._run = run
        self._chance = random.Random(run.seed + 1)
        self.stop = threading.Event()
        self.acknowledged: set[str] = set()
        self.deleted: set[str] = set()
        self.maybe_deleted: set[str] = set()
        self.jobs: list[str] = []
        self.repeated = 0
        self.unexpected: list[str] = []

    def run(self) -> None:
        number = 0
        while not self.stop.is_set():
            files = []
            for _ in range(AN_UPLOAD):
                number += 1
                files.append(("file", (f"sent {number}.png", made(1_000_000 + number), "image/png")))
            self._send(files)
            if self._chance.random() < 0.3 and self.acknowledged:
                self._take_out(self._chance.choice(sorted(self.acknowledged)))
            self.stop.wait(PAUSE_S)

    def _send(self, files: list[tuple[str, tuple[str, bytes, str]]]) -> None:
        while True:
            try:
                answer = self._run.client().post("/v1/images", files=files)
            except (httpx2.HTTPError, OSError):
                self.repeated += 1
                if self.stop.wait(0.2):
                    return
                continue
            if answer.status_code != 202:
                self.unexpected.append(f"{answer.status_code} {answer.text[:200]}")
                return
            body = answer.json()
            self.jobs.append(body["job"])
            self.acknowledged |= {image["id"] for image in body["images"] if image["status"] != "rejected"}
            return

    def _take_out(self, id: str) -> None:
        try:
            answer = self._run.client().delete(f"/v1/images/{id}")
        except (httpx2.HTTPError, OSError):
            self.maybe_deleted.add(id)
            self.acknowledged.discard(id)
            return
        if answer.status_code == 204:
            self.acknowledged.discard(id)
            self.deleted.add(id)
        elif answer.status_code != 404:  # no worker was at it yet
            self.unexpected.append(f"{answer.status_code} {answer.text[:200]}")


class FaultRun:
    """One library, what works on it, and what has to be in it."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.seed = seed
        self._chance = random.Random(seed)
        self._data = (folder / "library").resolve()
        self._photos = folder / "photos"
        self._log = folder / "log"
        self._made = 0
        self._expected: dict[str, Path] = {}
        self.kills: Counter[str] = Counter()
        self._photos.mkdir()
        self._add_files(NEW_FILES)
        began = time.monotonic()
        self._index().wait(300)
        self._longest_s = 1.3 * (time.monotonic() - began)
        """A kill comes at most so long after an index run began: before it has its models, while it writes, after."""
        self._server = self._serve()
        self._crew = self._work()

    def client(self) -> httpx2.Client:
        return self._server.client

    def _serve(self) -> Server:
        return Server(self._data, self._log, "--workers", "0").wait_until_up()

    def _work(self) -> Command:
        return Command(self._data, self._log, "worker", "-n", "1")

    def _index(self) -> Command:
        return Command(self._data, self._log, "index", str(self._photos), "--profile", "lite", decoders=1, batch_size=4)

    def _add_files(self, count: int) -> None:
        for _ in range(count):
            self._made += 1
            data = made(self._made)
            path = self._photos / f"{self._chance.randrange(4)}" / f"{self._made}.png"
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(data)
            self._expected[id_of(data)] = path

    def _change_files(self) -> None:
        """Delete one file, rename another, and add some."""
        gone, moved = self._chance.sample(sorted(self._expected), 2)
        self._expected.pop(gone).unlink()
        target = self._photos / "moved" / self._expected[moved].name
        target.parent.mkdir(exist_ok=True)
        self._expected[moved] = self._expected[moved].rename(target)
        self._add_files(NEW_FILES)

    def run(self, kills: int) -> list[str]:
        """Kill so often, then finish, and return what is wrong."""
        sender = Sender(self)
        sender.start()
        for number in range(kills):
            self._change_files()
            index = self._index()
            time.sleep(self._chance.uniform(0, self._longest_s))
            target = TARGETS[number] if number < len(TARGETS) else self._chance.choice(TARGETS)
            if target == "index" and not index.runs:
                target = "crew"
            self._kill(target, index)
            self._start_what_ended()
            if index.runs and self._chance.random() < 0.5:
                index.wait(300)
            index.kill(group=True)
            print(f"{number + 1:3} killed {target}; {len(sender.acknowledged)} sent", file=sys.stderr, flush=True)
        sender.stop.set()
        sender.join()
        return [*sender.unexpected, *self._finish(sender)]

    def _kill(self, target: str, index: Command) -> None:
        self.kills[target] += 1
        if target == "server":
            self._server.kill()
        elif target == "index":
            index.kill(group=True)
        elif target == "crew":
            self._crew.kill(group=True)
        elif target == "everything":
            for one in (self._server, self._crew, index):
                one.kill(group=True)
        else:
            found = [one.pid for one in of_library(self._data) if one.role == target]
            if found:
                with suppress(ProcessLookupError):
                    os.kill(self._chance.choice(found), signal.SIGKILL)

    def _start_what_ended(self) -> None:
        if not self._server.runs:
            before, self._server = self._server, self._serve()
            before.client.close()
        if not self._crew.runs:
            self._crew = self._work()

    def _finish(self, sender: Sender) -> list[str]:
        status = self._index().wait(600)
        problems = [] if status == 0 else [f"the last index run ended with {status}"]
        wait_for("every picture to be indexed", lambda: waiting(self.client()) == 0, 600)
        problems += self._compare(sender)
        for command in (self._server, self._crew):
            if status := command.stop():
                problems.append(f"a process that was told to stop ended with {status}")
        problems += self._verify()
        try:
            wait_for("all processes to end", lambda: not of_library(self._data), 30)
        except AssertionError:
            problems.append(f"left over: {of_library(self._data)}")
        return problems

    def _compare(self, sender: Sender) -> list[str]:
        problems = []
        found: list[str] = []
        cursor = None
        while True:
            options = {"k": 200, "sort": "oldest"} | ({"cursor": cursor} if cursor else {})
            page = self.client().get("/v1/search", params=options).json()
            found += [hit["id"] for hit in page["hits"]]
            cursor = page["next"]
            if cursor is None:
                break
        doubled = [id for id, count in Counter(found).items() if count > 1]
        must = (set(self._expected) | sender.acknowledged) - sender.deleted
        may = must | sender.maybe_deleted | set(self._unacknowledged())
        problems += [f"doubled: {id}" for id in doubled]
        problems += [f"lost: {id}" for id in sorted(must - set(found))]
        problems += [f"deleted, and there: {id}" for id in sorted(sender.deleted & set(found))]
        problems += [f"never sent: {id}" for id in sorted(set(found) - may)]
        if page["total"] != len(found):
            problems.append(f"a search counts {page['total']} and finds {len(found)}")
        for id in sender.jobs:
            job = self.client().get(f"/v1/jobs/{id}").json()
            real = [one for one in job["rejected"] if "taken out of the library" not in one["reason"]]
            if job["state"] not in ("done", "failed") or real:
                problems.append(f"job {id} is {job['state']}, rejected {real}")
        print(f"{len(found)} images, {len(sender.acknowledged)} of them sent", file=sys.stderr)
        return problems

    def _unacknowledged(self) -> list[str]:
        """Return what the server took in and was killed before it could say so."""
        with closing(sqlite3.connect(self._data / "catalog.sqlite")) as connection:
            return [id for (id,) in connection.execute("SELECT id FROM item")]

    def _verify(self) -> list[str]:
        log = self._data.parent / "verify"
        status = Command(self._data, log, "verify").wait(300)
        problems = [] if status == 0 else [f"verify: {log.read_text(encoding='utf-8')}"]
        with closing(sqlite3.connect(self._data / "catalog.sqlite")) as connection:
            (sound,) = connection.execute("PRAGMA integrity_check").fetchone()
            if sound != "ok":
                problems.append(f"SQLite: {sound}")
            paths: Counter[str] = Counter()
            for root, path in connection.execute("SELECT root.path, file.path FROM file JOIN root ON root.id = root"):
                paths[os.path.join(os.fsdecode(root), os.fsdecode(path))] += 1
        problems += [f"twice in the catalogue: {path}" for path, count in paths.items() if count > 1]
        return problems

    def close(self) -> None:
        for command in (self._server, self._crew):
            command.kill(group=True)
        self._server.client.close()

    @property
    def log(self) -> str:
        return self._log.read_text(encoding="utf-8")


def made(number: int) -> bytes:
    return encoded(a_picture(number, (72, 48)), "PNG")


def id_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:32]


def fault_run(folder: Path, *, kills: int, seed: int) -> dict[str, Any]:
    """Return what was done, and what is wrong afterwards."""
    began = time.monotonic()
    run = FaultRun(folder, seed)
    try:
        problems = run.run(kills)
    finally:
        run.close()
    return {
        "kills": run.kills.total(),
        "of": dict(run.kills),
        "seconds": round(time.monotonic() - began),
        "problems": problems,
        "log": [line for line in run.log.splitlines() if line.startswith(("ERROR", "Traceback"))],
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        report = fault_run(Path(folder), kills=options.kills, seed=options.seed)
    print(json.dumps(report, indent=2))
    if options.json:
        options.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    return 1 if report["problems"] else 0


if __name__ == "__main__":
    sys.exit(main())
