"""Who waits for a server or another process, and who answers meanwhile."""

from __future__ import annotations

import fcntl
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from search import patience
from search.catalog.rows import Batch, FileRow, NewImage
from search.catalog.sqlite_catalog import SqliteCatalog
from search.config import load_config
from search.encoders.opening import open_encoder
from search.errors import Unavailable
from search.patience import patiently
from search.profile_file import read_profile
from search.projections import LOCK
from search.services import Services, open_services
from search.types import Filter, ImageId


def test_who_is_patient_goes_on_when_the_server_is_back(monkeypatch, caplog) -> None:
    monkeypatch.setattr(patience, "FIRST_PAUSE_S", 0.001)
    outcomes = iter([Unavailable("away"), Unavailable("away"), None])

    def ask() -> str:
        if error := next(outcomes):
            raise error
        return "answer"

    assert patiently(ask, wait_s=10) == "answer"
    assert caplog.messages == ["waiting for OpenSearch: away"] * 2


def test_patience_ends() -> None:
    asked = []

    def ask() -> None:
        asked.append(1)
        raise Unavailable("away")

    with pytest.raises(Unavailable, match="away"):
        patiently(ask, wait_s=0)
    assert len(asked) == 1


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Services]:
    config = load_config(data=tmp_path / "library", profile="lite")
    with SqliteCatalog(config.data, create=True) as catalog:
        write(catalog, 1)
        catalog.note_profile("lite")
        catalog.activate("lite", open_encoder(read_profile("lite")).space)
    with open_services(config, wait_for_server=True) as services:
        yield services


def write(catalog: SqliteCatalog, number: int) -> None:
    space = open_encoder(read_profile("lite")).space
    vector = np.zeros(space.dim, np.float32)
    vector[number] = 1
    image = NewImage(ImageId(f"{number:032x}"), 64, 48, "image/png", 10, number, "models", vector, {})
    catalog.write(
        catalog.root(Path("/pictures")), Batch(space, [image], [(FileRow(f"{number}.png", 1, 1, 1), image.id)])
    )


def test_while_another_process_brings_the_tags_up_to_date_there_are_answers_and_they_say_so(services, caplog) -> None:
    with (services.config.data / LOCK).open("w", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        write(services.catalog, 2)
        started = time.monotonic()
        threads = [threading.Thread(target=services.refresh) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert time.monotonic() - started < 3  # they waited together, not one after another
        assert services.tags.count(Filter()) == 1
        assert services.behind == "another process is bringing the tags up to date"
        assert [message for message in caplog.messages if message.startswith("answering without")] == [
            "answering without the latest changes: another process is bringing the tags up to date"
        ]
    time.sleep(1.1)  # what failed is not tried again at once
    services.refresh()
    assert services.behind is None
    assert services.tags.count(Filter()) == 2
