"""Load a running service for half an hour and watch its memory: python tests/bench/soak.py [--minutes 30] [--json FILE]

A server and a worker have a library of 62 photos and crops. Two clients, each with one request at a time, search, ask
for facets and similar pictures, look at pages and thumbnails, change tags, send pictures, delete them again, and decide
about them. After a warm-up the memory (PSS) of all processes together has to stay within 5 % of what it was, and no
answer may be an error. Exit status 0 only then.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path
from statistics import mean
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import httpx2
from libraries import a_large_library
from pictures import a_picture, encoded
from processes import Server, of_library, pss_bytes, serving, wait_for

WARM_UP_MINUTES = 6.0
SAMPLE_S = 5.0
MOST_SENT = 24
"""Pictures of the clients that are in the library at a time: as many are deleted as are sent."""
ALLOWED = 0.05
WORDS = [
    "cat",
    "dog",
    "coffee",
    "stars",
    "stone",
    "grass",
    "rocket",
    "people",
    "face",
    "coins",
    "page",
    "text",
    "night",
    "space",
    "cup",
    "wall",
    "red",
    "blue",
]
FILTERS = ("", "", "object:cat", "-object:person", "color:red|blue", "orientation:landscape", "year:2014..2020")


class Client(threading.Thread):
    """Asks one thing after the other, chosen at random, until told to stop."""

    def __init__(self, server: Server, seed: int, stop: threading.Event) -> None:
        super().__init__(name=f"client {seed}")
        self.counts: Counter[str] = Counter()
        self.seconds: dict[str, list[float]] = defaultdict(list)
        self.errors: list[str] = []
        self._client = httpx2.Client(base_url=server.url, timeout=60)
        self._chance = random.Random(seed)
        self._stop_told = stop
        self._seed = seed
        self._sent: list[str] = []
        self._jobs: list[str] = []
        self._ids: list[str] = []
        self._made = 0
        self._kinds: list[tuple[int, str, Callable[[], None]]] = [
            (30, "search", self._search),
            (6, "facets", self._facets),
            (8, "similar", self._similar),
            (3, "look up", self._look_up),
            (6, "suggest", self._suggest),
            (8, "thumbnail", self._thumbnail),
            (5, "page", self._page),
            (4, "tag", self._tag),
            (12, "upload", self._upload),
            (5, "job", self._job),
            (8, "moderate", self._moderate),
            (1, "metrics", self._metrics),
        ]

    def run(self) -> None:
        self._ids = [hit["id"] for hit in self._ask("first", "GET", "/v1/search", params={"k": 200}).json()["hits"]]
        weights = [weight for weight, _, _ in self._kinds]
        while not self._stop_told.is_set():
            (_, _, act) = self._chance.choices(self._kinds, weights)[0]
            try:
                act()
            except Exception as error:
                self.errors.append(repr(error))
            while len(self._sent) > MOST_SENT // 2:
                self._take_out()
        self._client.close()

    def _ask(self, kind: str, method: str, path: str, *, also: tuple[int, ...] = (), **options: Any) -> httpx2.Response:
        began = time.monotonic()
        answer = self._client.request(method, path, **options)
        self.seconds[kind].append(time.monotonic() - began)
        self.counts[f"{kind} {answer.status_code}"] += 1
        if answer.status_code >= 400 and answer.status_code not in also:
            self.errors.append(f"{kind}: {answer.status_code} {answer.text[:300]}")
        return answer

    def _search(self) -> None:
        words = " ".join(self._chance.choices(WORDS, k=self._chance.randrange(4)))
        filter = self._chance.choice(FILTERS)
        facets = self._chance.choice(("", "object,color,year", "scene"))
        found = self._ask(
            "search", "GET", "/v1/search", params={"q": words, "filter": filter, "facets": facets, "k": 24}
        ).json()
        if found["next"] and self._chance.random() < 0.5:
            self._ask("search", "GET", "/v1/search", params={"q": words, "filter": filter, "cursor": found["next"]})

    def _facets(self) -> None:
        self._ask("facets", "GET", "/v1/facets", params={"filter": self._chance.choice(FILTERS)})

    def _similar(self) -> None:
        by = self._chance.choice(("image", "tags", "both", "duplicate"))
        self._ask("similar", "GET", f"/v1/images/{self._chance.choice(self._ids)}/similar", params={"by": by})

    def _look_up(self) -> None:
        self._ask("look up", "POST", "/v1/similar", files={"file": ("a.jpg", self._picture(), "image/jpeg")})

    def _suggest(self) -> None:
        self._ask("suggest", "GET", "/v1/suggest", params={"q": self._chance.choice(WORDS)[:3]})

    def _thumbnail(self) -> None:
        path = f"/v1/images/{self._chance.choice(self._ids)}/thumbnail"
        self._ask("thumbnail", "GET", path, params={"size": self._chance.choice((256, 512))})

    def _page(self) -> None:
        path = self._chance.choice(
            ("/", f"/?q={self._chance.choice(WORDS)}", f"/images/{self._chance.choice(self._ids)}")
        )
        self._ask("page", "GET", path, headers={"Accept": "text/html"}, follow_redirects=True)

    def _tag(self) -> None:
        label = f"soak {self._chance.randrange(20)}"
        action = self._chance.choice(("add", "remove"))
        body = {"tags": {action: [{"kind": "user", "label": label}]}}
        self._ask("tag", "PATCH", f"/v1/images/{self._chance.choice(self._ids)}", json=body)

    def _picture(self) -> bytes:
        self._made += 1
        side = self._chance.choice((160, 320, 640, 1280))
        return encoded(a_picture(self._seed * 10_000_000 + self._made, (side, side * 3 // 4)), "JPEG")

    def _upload(self) -> None:
        files = [
            ("file", (f"{number}.jpg", self._picture(), "image/jpeg")) for number in range(self._chance.randint(1, 3))
        ]
        answer = self._ask("upload", "POST", "/v1/images", files=files).json()
        self._sent += [one["id"] for one in answer["images"]]
        self._jobs = [*self._jobs[-9:], answer["job"]]

    def _job(self) -> None:
        if self._jobs:
            job = self._ask("job", "GET", f"/v1/jobs/{self._chance.choice(self._jobs)}").json()
            known = "the image was taken out of the library meanwhile"
            self.errors += [f"rejected: {one}" for one in job["rejected"] if one["reason"] != known]

    def _take_out(self) -> None:
        # The oldest; where no worker has indexed it yet, it is there a moment later.
        for _ in range(600):
            if self._ask("delete", "DELETE", f"/v1/images/{self._sent[0]}", also=(404,)).status_code == 204:
                break
            time.sleep(0.1)
        else:
            self.errors.append(f"{self._sent[0]} was sent and is not there after a minute")
        self._sent.pop(0)

    def _moderate(self) -> None:
        id = self._chance.choice(self._ids)
        decision = self._chance.choice(("approve", "approve", "reject"))
        self._ask("moderate", "POST", f"/v1/moderation/{id}", json={"decision": decision, "note": "soak"})
        self._ask("moderate", "GET", "/v1/moderation", params={"state": "rejected"})
        if decision == "reject":
            self._ask("moderate", "POST", f"/v1/moderation/{id}", json={"decision": "approve"})

    def _metrics(self) -> None:
        self._ask("metrics", "GET", "/metrics")


def sample(data: Path) -> dict[str, tuple[int, int, int]]:
    """Return bytes, processes and open files of each kind of process."""
    found: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for process in of_library(data):
        memory = pss_bytes(process.pid)
        if memory is not None:
            try:
                files = len(os.listdir(f"/proc/{process.pid}/fd"))
            except OSError:
                files = 0
            found[process.role].append((memory, files))
    return {
        role: (sum(memory for memory, _ in all), len(all), sum(files for _, files in all))
        for role, all in found.items()
    }


def drift(samples: list[tuple[float, int]]) -> float:
    """Return by what share the mean of the last fifth is above that of the first."""
    part = max(1, len(samples) // 5)
    first, last = mean(value for _, value in samples[:part]), mean(value for _, value in samples[-part:])
    return last / first - 1


def run(folder: Path, minutes: float, warm_up: float) -> dict[str, Any]:
    data = (folder / "library").resolve()
    a_large_library(folder)
    stop = threading.Event()
    with serving(data, folder / "log", "--workers", "1") as server:
        clients = [Client(server, seed, stop) for seed in (1, 2)]
        for client in clients:
            client.start()
        series: dict[str, list[tuple[float, int]]] = defaultdict(list)
        counted: dict[str, list[tuple[int, int]]] = defaultdict(list)
        began = time.monotonic()
        try:
            while (at := time.monotonic() - began) < minutes * 60:
                now = sample(data)
                for role, (memory, processes, files) in now.items():
                    series[role].append((at, memory))
                    counted[role].append((processes, files))
                series["all"].append((at, sum(memory for memory, _, _ in now.values())))
                if len(series["all"]) % 12 == 0:
                    told = ", ".join(
                        f"{role} {memory / 2**20:.0f} MB/{files}" for role, (memory, _, files) in now.items()
                    )
                    print(
                        f"{at / 60:5.1f} min  {told}; requests {sum(c.counts.total() for c in clients)},"
                        f" errors {sum(len(c.errors) for c in clients)}",
                        flush=True,
                    )
                time.sleep(SAMPLE_S)
        finally:
            stop.set()
            for client in clients:
                client.join()
        wait_for("the queue to be empty", lambda: server.client.get("/v1/jobs").json()["queued"] == 0, 60)
    counts = sum((client.counts for client in clients), Counter[str]())
    seconds = {kind: sorted(one for c in clients for one in c.seconds[kind]) for kind in clients[0].seconds}
    memory = {}
    for role, all in series.items():
        after = [one for one in all if one[0] > warm_up * 60] or all
        memory[role] = {
            "first_mb": round(mean(v for _, v in after[: max(1, len(after) // 5)]) / 2**20, 1),
            "last_mb": round(mean(v for _, v in after[-max(1, len(after) // 5) :]) / 2**20, 1),
            "most_mb": round(max(v for _, v in after) / 2**20, 1),
            "drift": round(drift(after), 4),
        }
        if role in counted:
            memory[role] |= {"processes": counted[role][-1][0], "open_files": counted[role][-1][1]}
    return {
        "minutes": minutes,
        "warm_up_minutes": warm_up,
        "requests": counts.total(),
        "answers": dict(sorted(counts.items())),
        "p50_p99_ms": {
            kind: [round(1000 * all[len(all) // 2], 1), round(1000 * all[len(all) * 99 // 100], 1)]
            for kind, all in seconds.items()
            if all
        },
        "errors": [error for client in clients for error in client.errors][:50],
        "log": [
            line
            for line in (folder / "log").read_text(encoding="utf-8").splitlines()
            if "ERROR" in line or "Traceback" in line
        ][:20],
        "memory": memory,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--warm-up", type=float, default=WARM_UP_MINUTES, help="minutes that do not count")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        report = run(Path(folder), options.minutes, options.warm_up)
    print(json.dumps(report, indent=2))
    if options.json:
        options.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    flat = abs(report["memory"]["all"]["drift"]) <= ALLOWED
    return 0 if flat and not report["errors"] and not report["log"] else 1


if __name__ == "__main__":
    sys.exit(main())
