"""A real OpenSearch for tests: one that all share, and clusters of a test's own to be killed.

Set SNAPSEEK_TEST_OPENSEARCH_URL to use one that runs already. Otherwise the scripts beside the checkout start one,
which stays up for the next run; without them, or without what they need, its tests are skipped and say why.
"""

from __future__ import annotations

import os
import random
import re
import signal
import socket
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from opensearchpy import OpenSearch

SCRIPTS = Path(__file__).parents[2] / "shared" / "opensearch"
SHARED_PORT = 9200
TRIES = 5


def run_script(name: str, *args: str, **variables: str) -> str:
    """Run `start` or `stop` and return what it says; skip the test where the machine lacks what it needs."""
    if not (SCRIPTS / name).exists():
        pytest.skip(f"needs SNAPSEEK_TEST_OPENSEARCH_URL or {SCRIPTS}, which starts an OpenSearch")
    for _ in range(TRIES):
        done = subprocess.run(
            [SCRIPTS / name, *args],
            env=os.environ | variables,
            capture_output=True,
            text=True,
            timeout=900,
            check=False,
            encoding="utf-8",
        )
        # `start` goes over the data of the nodes that run, too, whose files come and go.
        if not re.search(r"^chown: .*No such file or directory", done.stderr, re.MULTILINE):
            break
    if re.search(r"needs Java|is missing$", done.stderr, re.MULTILINE):
        pytest.skip(done.stderr.strip())
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="session")
def opensearch_url() -> str:
    """The URL of the OpenSearch that all tests share: each works below a `prefix` of its own."""
    given = os.environ.get("SNAPSEEK_TEST_OPENSEARCH_URL")
    if given:
        return given
    run_script("start", OPENSEARCH_PORT=str(SHARED_PORT), OPENSEARCH_NODES="1")  # by one at a time: it takes a lock
    return f"http://127.0.0.1:{SHARED_PORT}"


@pytest.fixture
def prefix(opensearch_url: str) -> Iterator[str]:
    """A prefix for names that nobody else uses; what has such a name is deleted afterwards."""
    name = f"t-{uuid.uuid4().hex[:12]}"
    yield name
    delete_everything(opensearch_url, name)


def delete_everything(url: str, prefix: str) -> None:
    with OpenSearch(url, timeout=60) as raw:
        for index in raw.indices.get(index=f"{prefix}*", expand_wildcards="all"):
            raw.indices.delete(index=index, ignore=[404])
        found = raw.indices.get_index_template(name=f"{prefix}*", ignore=[404])
        for template in found.get("index_templates", []):
            raw.indices.delete_index_template(name=template["name"], ignore=[404])


class Cluster:
    """Nodes of a test's own, to be killed: `with Cluster(3) as cluster: cluster.kill(1)`. Wiped at the end."""

    def __init__(self, nodes: int = 1, *, heap: str = "512m", extra_yml: Path | None = None) -> None:
        self.nodes = nodes
        self.port = free_ports(nodes)
        self._pids: list[int] = []
        self._variables = {
            "OPENSEARCH_PORT": str(self.port),
            "OPENSEARCH_NODES": str(nodes),
            "OPENSEARCH_HEAP": heap,
            "OPENSEARCH_EXTRA_YML": str(extra_yml or ""),
        }

    @property
    def urls(self) -> list[str]:
        return [f"http://127.0.0.1:{self.port + node}" for node in range(self.nodes)]

    @property
    def url(self) -> str:
        """All nodes, as the option opensearch_url takes them."""
        return ",".join(self.urls)

    def start(self) -> None:
        """Start the nodes that are not up, and wait until the cluster is whole."""
        said = re.search(r" pid((?: \d+)+)", run_script("start", **self._variables))
        assert said is not None
        self._pids = [int(pid) for pid in said.group(1).split()]

    def kill(self, node: int = 0) -> None:
        """End a node as a crash would; `start` brings it back with its data."""
        run_script("stop", "--node", str(node), "--kill", **self._variables)

    def pause(self, node: int = 0) -> None:
        """Make a node hang: connections stay open, nothing answers."""
        os.kill(self._pids[node], signal.SIGSTOP)

    def resume(self, node: int = 0) -> None:
        os.kill(self._pids[node], signal.SIGCONT)

    def stop(self) -> None:
        """Stop every node and remove its data."""
        run_script("stop", "--kill", "--wipe", **self._variables)

    def __enter__(self) -> Cluster:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def free_ports(count: int) -> int:
    """Return the first of so many ports in a row that are free, those of the nodes' own talk (100 further) too."""
    for _ in range(100):
        first = random.randrange(20_000, 30_000)
        if all(_is_free(first + node + offset) for node in range(count) for offset in (0, 100)):
            return first
    raise AssertionError("no free ports")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0
