from collections.abc import Iterator
from pathlib import Path

import pytest
from libraries import a_library
from starlette.testclient import TestClient

from api.app import create_app
from search.config import Config
from search.services import open_services


@pytest.fixture(scope="session")
def config(tmp_path_factory: pytest.TempPathFactory) -> Config:
    return a_library(tmp_path_factory.mktemp("api"))


@pytest.fixture(scope="session")
def client(config: Config) -> Iterator[TestClient]:
    """A client of one library that tests only read."""
    with open_services(config) as services, TestClient(create_app(services), base_url="http://127.0.0.1") as client:
        yield client


@pytest.fixture
def own_client(tmp_path: Path) -> Iterator[TestClient]:
    """A client of a library of the test's own, to write to."""
    config = a_library(tmp_path)
    with open_services(config) as services, TestClient(create_app(services), base_url="http://127.0.0.1") as client:
        yield client
