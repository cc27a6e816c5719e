"""What passes work between processes: the file and a real Redis are held to the same."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from libraries import index, quick_profile
from pictures import a_picture, encoded, save
from processes import wait_for
from redis_server import RedisServer
from starlette.testclient import TestClient
from workers import working

from api.app import create_app
from indexer.work_queue import WorkQueue, open_queue
from search.config import Config, load_config
from search.errors import ConfigError, Unavailable
from search.services import open_services


@pytest.fixture(params=["file", "redis"])
def config(request: pytest.FixtureRequest, tmp_path: Path) -> Config:
    url = request.getfixturevalue("redis").url if request.param == "redis" else None
    return load_config(data=tmp_path / "library", redis_url=url)


@pytest.fixture
def queue(config: Config) -> Iterator[WorkQueue]:
    queue = open_queue(config)
    yield queue
    queue.close()


def taken(queue: WorkQueue) -> list[int]:
    found = []
    while (message := queue.take()) is not None:
        found.append(message["number"])
    return found


def test_the_most_urgent_comes_first_and_of_equals_the_oldest(queue: WorkQueue) -> None:
    for number, priority in enumerate((0, 10, 0, 10)):
        queue.put({"number": number}, priority=priority)
    assert queue.size() == 4
    assert taken(queue) == [1, 3, 0, 2]
    assert queue.size() == 0
    assert queue.take() is None


def test_a_message_is_one_processs_alone(config: Config, queue: WorkQueue) -> None:
    for number in range(40):
        queue.put({"number": number})
    found: list[int] = []

    def be_another() -> None:
        other = open_queue(config)
        found.extend(taken(other))
        other.close()

    threads = [threading.Thread(target=be_another) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == list(range(40))


def test_another_library_has_a_queue_of_its_own(config: Config, queue: WorkQueue, tmp_path: Path) -> None:
    queue.put({"number": 1})
    other = open_queue(config.model_copy(update={"data": tmp_path / "other"}))
    assert other.take() is None
    other.close()
    assert taken(queue) == [1]


def test_a_redis_that_is_away_is_told_and_used_again_when_it_is_back(redis: RedisServer, tmp_path: Path) -> None:
    queue = open_queue(load_config(data=tmp_path / "library", redis_url=redis.url))
    redis.kill()
    with pytest.raises(Unavailable, match="away"):
        queue.put({"number": 1})
    with pytest.raises(Unavailable, match="away"):
        queue.take()
    redis.start()
    queue.put({"number": 2})
    assert taken(queue) == [2]
    queue.close()


def test_an_address_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be used"):
        open_queue(load_config(data=tmp_path, redis_url="elsewhere"))


def test_uploads_are_indexed_by_two_workers_while_redis_goes_and_comes(redis: RedisServer, tmp_path: Path) -> None:
    save(tmp_path / "photos" / "a.png")
    index(tmp_path / "library", tmp_path / "photos", profile=quick_profile(tmp_path))
    config = load_config(data=tmp_path / "library", redis_url=redis.url, decoders=1)
    with (
        working(config, 2),
        open_services(config) as services,
        TestClient(create_app(services), base_url="http://127.0.0.1") as client,
    ):
        jobs = []
        for number in range(3):
            if number == 1:
                redis.kill()
            if number == 2:
                redis.start()
            picture = encoded(a_picture(100 + number), "PNG")
            answer = client.post("/v1/images", files={"file": (f"{number}.png", picture)})
            assert answer.status_code == 202, answer.text
            jobs.append(answer.json()["job"])
        ended = lambda: all(client.get(f"/v1/jobs/{job}").json()["finished_at"] for job in jobs)  # noqa: E731
        wait_for("the uploads to be indexed", ended, 90)
        assert [client.get(f"/v1/jobs/{job}").json()["done"] for job in jobs] == [1, 1, 1]
        assert client.get("/v1/search").json()["total"] == 4
