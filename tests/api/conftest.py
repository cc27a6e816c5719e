from collections.abc import Iterator
from pathlib import Path

import pytest
from libraries import Quiet, a_library
from starlette.testclient import TestClient

from api.app import create_app
from search.config import Config, load_config
from search.migrate import migrate
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


@pytest.fixture
def own(tmp_path: Path) -> Config:
    """A library of the test's own."""
    return a_library(tmp_path)


@pytest.fixture(params=["embedded", "opensearch", "opensearch-knn"])
def in_store(request: pytest.FixtureRequest, own: Config) -> Config:
    """A library of the test's own, in each store."""
    if request.param == "embedded":
        return own
    prefix, url = request.getfixturevalue("prefix"), request.getfixturevalue("opensearch_url")
    config = load_config(data=own.data, opensearch_url=url, opensearch_prefix=prefix)
    migrate(config, request.param, replace=False, progress=Quiet())
    return load_config(**{**dict(config), "store": request.param})
