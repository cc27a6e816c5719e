"""Connections of threads: one each, gone when the thread is."""

import gc
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from search.connections import Connections


@pytest.fixture
def connections(tmp_path: Path) -> Connections:
    return Connections(lambda: sqlite3.connect(tmp_path / "a.sqlite", check_same_thread=False))


def test_a_thread_has_one_and_no_other_threads(connections: Connections) -> None:
    mine = connections.get()
    assert connections.get() is mine
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(connections.get).result() is not mine
    connections.close()


def test_those_of_threads_that_ended_are_closed(connections: Connections) -> None:
    made: list[sqlite3.Connection] = []
    for _ in range(5):
        thread = threading.Thread(target=lambda: made.append(connections.get()))
        thread.start()
        thread.join()
    gc.collect()
    assert len(connections) == 0
    for connection in made:
        with pytest.raises(sqlite3.ProgrammingError, match="closed"):
            connection.execute("SELECT 1")


def test_closing_closes_those_of_all_threads(connections: Connections) -> None:
    there, done = threading.Event(), threading.Event()
    made: list[sqlite3.Connection] = []

    def hold() -> None:
        made.append(connections.get())
        there.set()
        done.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    there.wait()
    made.append(connections.get())
    connections.close()
    for connection in made:
        with pytest.raises(sqlite3.ProgrammingError, match="closed"):
            connection.execute("SELECT 1")
    done.set()
    thread.join()
