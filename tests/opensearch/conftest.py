"""What the tests of the connection share: clients that are closed, and a server that misbehaves as told."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fake_opensearch import FakeOpenSearch

from search.config import load_config
from search.opensearch.client import Client, connect


@pytest.fixture
def fake() -> Iterator[FakeOpenSearch]:
    server = FakeOpenSearch()
    yield server
    server.close()


@pytest.fixture
def client_of(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Client]]:
    """Connect with options, given without their `opensearch_`; pauses are short."""
    monkeypatch.setattr("search.opensearch.bulk.FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr("search.opensearch.bulk.LONGEST_PAUSE_S", 0.05)
    clients: list[Client] = []

    def open_client(url: str, **options: Any) -> Client:
        clients.append(
            connect(load_config(**{f"opensearch_{name}": v for name, v in options.items()}, opensearch_url=url))
        )
        return clients[-1]

    yield open_client
    for client in clients:
        client.close()
