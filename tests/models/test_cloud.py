"""Cloud taggers through the services' own clients, against servers on this machine."""

from __future__ import annotations

import json
import re
import shlex
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import cloud_servers
import numpy as np
import pytest
from click.testing import CliRunner
from cloud_servers import CloudServer
from libraries import index
from pictures import a_picture, save
from PIL import Image

from api.cli import main
from indexer.cloud.ledger import MICRO, BudgetReached, Ledger
from indexer.cloud.service import CloudUnavailable
from indexer.lookup import PictureLookup
from indexer.pool import DecodePool
from indexer.profiles import open_profile
from search import open_library
from search.config import load_config
from search.encoders.lite import LiteEncoder
from search.errors import ConfigError
from search.profile_file import read_profile
from search.types import Tag, TagKind

PAGE = Path(__file__).parents[2] / "docs" / "cloud.md"
TASKS = {
    "rekognition": ("objects", "classes", "text", "moderation"),
    "google-vision": ("objects", "classes", "text", "moderation"),
    "azure-vision": ("objects", "classes", "text", "captions"),
    "openai": ("classes", "text", "moderation", "captions"),
}
SERVERS = {
    "rekognition": cloud_servers.rekognition,
    "google-vision": cloud_servers.google,
    "azure-vision": cloud_servers.azure,
    "openai": cloud_servers.openai,
}
TOO_MANY = {
    "rekognition": (400, {"x-amzn-errortype": "ThrottlingException"}, {"__type": "ThrottlingException"}),
    "google-vision": (429, {}, {"error": {"code": 429, "message": "slow down", "status": "RESOURCE_EXHAUSTED"}}),
    "azure-vision": (429, {"Retry-After": "0"}, {"error": {"code": "429", "message": "slow down"}}),
    "openai": (429, {"retry-after": "0"}, {"error": {"message": "slow down", "type": "rate_limit"}}),
}
AWAY = (503, {}, {"error": {"code": 503, "message": "away", "status": "UNAVAILABLE"}})
FORBIDDEN = {
    "rekognition": (400, {"x-amzn-errortype": "AccessDeniedException"}, {"__type": "AccessDeniedException"}),
    "google-vision": (403, {}, {"error": {"code": 403, "message": "no", "status": "PERMISSION_DENIED"}}),
    "azure-vision": (401, {}, {"error": {"code": "401", "message": "no"}}),
    "openai": (401, {}, {"error": {"message": "no", "type": "invalid_request_error"}}),
}
REFUSED = {
    "rekognition": (
        400,
        {"x-amzn-errortype": "InvalidImageFormatException"},
        {"__type": "InvalidImageFormatException"},
    ),
    "google-vision": (400, {}, {"error": {"code": 400, "message": "bad image", "status": "INVALID_ARGUMENT"}}),
    "azure-vision": (400, {}, {"error": {"code": "InvalidRequest", "message": "bad image"}}),
    "openai": (400, {}, {"error": {"message": "bad image", "type": "invalid_request_error"}}),
}
PICTURES = [a_picture(number) for number in range(3)]
services = pytest.mark.parametrize("service", list(TASKS))


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AZURE_VISION_KEY", "OPENAI_API_KEY"):
        monkeypatch.setenv(name, "secret-of-the-test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture
def server(service: str) -> Iterator[CloudServer]:
    with SERVERS[service]() as server:
        yield server


def a_profile(
    folder: Path, service: str, url: str, *, budget: float = 1.0, tasks: tuple[str, ...] = (), more: str = ""
) -> str:
    price = "{input = 2.5, output = 10.0}" if service == "openai" else "{per_1000 = 1.0}"
    model = 'model = "gpt-4o"\n' if service == "openai" else ""
    endpoint = f"{url}/v1" if service == "openai" else url
    options = f'library = "{service}"\nendpoint = "{endpoint}"\nattempts = 3\npause_s = 0.01\n{model}'
    tables = "".join(f"[{task}]\n{options}" for task in tasks or TASKS[service])
    path = folder / "mine.toml"
    path.write_text(
        f'[embedding]\nlibrary = "lite"\n{tables}[cloud]\nbudget = {budget}\nprices_as_of = 2026-11-01\n'
        f"per_second = 500\n{more}[cloud.prices]\n{service} = {price}\n",
        encoding="utf-8",
    )
    return str(path)


def said(profile: str, task: str) -> list[list[Tag]]:
    return list(open_profile(profile).taggers[task].tag(PICTURES, None))


def spent(folder: Path) -> float:
    with closing(sqlite3.connect(folder / "mine.cloud.sqlite")) as ledger:
        return ledger.execute("SELECT coalesce(sum(amount), 0) FROM spent").fetchone()[0] / MICRO


@pytest.fixture
def no_nets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Embeddings are not what is tried here, and their nets take seconds to load. The page's example has them."""

    def alike(encoder: LiteEncoder, images: Sequence[Image.Image]) -> np.ndarray:
        return np.tile(np.eye(1, encoder.space.dim, dtype=np.float32), (len(images), 1))

    monkeypatch.setattr(LiteEncoder, "encode_images", alike)


@services
def test_what_a_service_says_becomes_tags_of_ours(service: str, server: CloudServer, tmp_path: Path) -> None:
    name = a_profile(tmp_path, service, server.url)
    profile = open_profile(name)
    tags = {(tag.kind, tag.label): tag for tagger in profile.taggers.values() for tag in tagger.tag(PICTURES, None)[0]}
    assert (TagKind.CLASS, "dog") in tags
    assert (TagKind.TEXT, "OPEN DAY") in tags
    if "objects" in TASKS[service]:
        dog = tags[TagKind.OBJECT, "dog"]
        assert dog.box is not None
        assert 0.05 < dog.box.x < 0.2
        assert dog.box.y + dog.box.height <= 1
    if "moderation" in TASKS[service]:
        assert 0 < tags[TagKind.MODERATION, "violence"].confidence <= 1
    if "captions" in TASKS[service]:
        assert profile.captioner.caption(PICTURES, [[]] * 3) == ["A dog on a beach"] * 3
    if service == "rekognition":
        assert tags[TagKind.CLASS, "animal"].confidence == 0.975  # a parent, as sure as its child
    assert not {label for kind, label in tags if kind is TagKind.CLASS} & {"sky", "ball"}  # not sure enough
    assert {tag.source for tag in tags.values()} == {"gpt-4o" if service == "openai" else service}


@services
def test_no_picture_is_asked_about_twice(service: str, server: CloudServer, tmp_path: Path) -> None:
    name = a_profile(tmp_path, service, server.url)
    for _ in range(2):
        profile = open_profile(name)
        for tagger in profile.taggers.values():
            tagger.tag(PICTURES, None)
        if profile.captioner:
            profile.captioner.caption(PICTURES, [[]] * 3)
    # One request has the answers to all tasks, but for Rekognition's three.
    assert len(server.asked) == len(PICTURES) * (3 if service == "rekognition" else 1)
    charged = {"rekognition": 3, "openai": 0}.get(service, 4) * len(PICTURES) / 1000
    tokens = len(PICTURES) * (1000 * 2.5 + 100 * 10) / MICRO if service == "openai" else 0
    assert spent(tmp_path) == pytest.approx(charged + tokens)


@services
def test_what_passes_is_tried_again(service: str, server: CloudServer, tmp_path: Path) -> None:
    name = a_profile(tmp_path, service, server.url, tasks=("classes",))
    server.failures = [TOO_MANY[service], AWAY]
    assert [tags[0].label for tags in said(name, "classes")] == ["beach" if service == "openai" else "dog"] * 3
    assert len(server.asked) == len(PICTURES) + 2


@services
@pytest.mark.parametrize("failure", ["away", "forbidden"])
def test_a_service_that_is_away_or_refuses_the_key_ends_the_run(
    service: str, server: CloudServer, tmp_path: Path, failure: str
) -> None:
    name = a_profile(tmp_path, service, server.url, tasks=("classes",), more="parallel = 1\n")
    server.failures = [AWAY if failure == "away" else FORBIDDEN[service]] * 30
    with pytest.raises(CloudUnavailable) as told:
        said(name, "classes")
    assert "secret-of-the-test" not in str(told.value)
    if failure == "forbidden":
        assert len(server.asked) <= 2  # the next one may have begun
    assert spent(tmp_path) == 0


@services
def test_a_picture_that_is_refused_leaves_the_others_be(service: str, server: CloudServer, tmp_path: Path) -> None:
    name = a_profile(tmp_path, service, server.url, tasks=("classes",), more="parallel = 1\n")
    server.failures = [REFUSED[service]]
    tagger = open_profile(name).taggers["classes"]
    assert [bool(tags) for tags in tagger.tag(PICTURES, None)] == [False, True, True]
    assert list(tagger.refused) == [0]
    assert spent(tmp_path) == pytest.approx(2 * (0.0035 if service == "openai" else 0.001))


@pytest.mark.usefixtures("no_nets")
def test_a_picture_that_is_refused_is_named_and_indexed_without(tmp_path: Path) -> None:
    for number, picture in enumerate([PICTURES[0].resize((cloud_servers.REFUSED_WIDTH, 60)), *PICTURES[1:]]):
        save(tmp_path / "photos" / f"{number}.png", picture)
    with cloud_servers.azure() as server:
        server.refusal = REFUSED["azure-vision"]
        name = a_profile(tmp_path, "azure-vision", server.url, tasks=("classes", "captions"))
        report = index(tmp_path / "library", tmp_path / "photos", profile=name)
        assert (report.indexed, report.rejected) == (3, [])
        assert {(one.path, one.reason) for one in report.unread} == {
            ("0.png", f"{task}: Azure AI Vision: (InvalidRequest) bad image") for task in ("classes", "captions")
        }
    with open_library(tmp_path / "library") as library:
        assert library.search(filter="class:dog").total == 2


def test_labels_and_text_of_the_usual_double_of_rekognition(tmp_path: Path) -> None:
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        name = a_profile(tmp_path, "rekognition", f"http://{host}:{port}", tasks=("objects", "classes", "text"))
        tags = [tag for task in ("objects", "classes", "text") for tag in said(name, task)[0]]
    finally:
        server.stop()
    found = {(tag.kind, tag.label) for tag in tags}
    assert {(TagKind.OBJECT, "mobile phone"), (TagKind.CLASS, "mobile phone"), (TagKind.CLASS, "phone")} <= found
    assert any(kind is TagKind.TEXT for kind, _ in found)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("no JSON", "no usable answer"),
        ('{"labels": [{"name": "dog", "confidence": 7}]}', "no usable answer"),
        ({"role": "assistant", "content": None, "refusal": "I cannot help with that"}, "cannot help"),
        ('{"caption": "only that"}', "said nothing to it"),
    ],
)
def test_a_model_that_says_something_else_fails_for_that_picture(tmp_path: Path, content: object, reason: str) -> None:
    with cloud_servers.openai(lambda: content) as server:
        name = a_profile(tmp_path, "openai", server.url, tasks=("classes",))
        for _ in range(2):  # the second time from what was noted: it was paid for
            tagger = open_profile(name).taggers["classes"]
            assert tagger.tag(PICTURES[:1], None) == [[]]
            assert reason in tagger.refused[0]
        assert len(server.asked) == 1
    assert spent(tmp_path) == pytest.approx(0.0035)


@pytest.mark.usefixtures("no_nets")
def test_the_budget_is_never_passed_and_nothing_paid_for_is_lost(tmp_path: Path) -> None:
    for number in range(12):
        save(tmp_path / "photos" / f"{number:02}.png", a_picture(number))
    with cloud_servers.rekognition() as server:
        name = a_profile(tmp_path, "rekognition", server.url, budget=0.007, tasks=("classes",))
        told = r"budget of 0.0070 USD .* 0.0070 USD are spent.*; 5 of 12 pictures are left"
        with pytest.raises(BudgetReached, match=told):
            index(tmp_path / "library", tmp_path / "photos", profile=name)
        with open_library(tmp_path / "library") as library:
            assert library.search(filter="class:dog", k=20).total == 7  # the number that was paid for
        assert spent(tmp_path) == pytest.approx(0.007)
        assert len(server.asked) == 7
        name = a_profile(tmp_path, "rekognition", server.url, budget=1.0, tasks=("classes",))
        report = index(tmp_path / "library", tmp_path / "photos", profile=name)
        assert not report.rejected
        assert len(server.asked) == 12
    with open_library(tmp_path / "library") as library:
        assert library.search(filter="class:dog", k=20).total == 12


def test_what_one_request_brought_is_kept_when_the_next_one_fails(tmp_path: Path) -> None:
    with cloud_servers.rekognition() as server:
        name = a_profile(tmp_path, "rekognition", server.url, tasks=("classes", "text"), more="parallel = 1\n")
        server.failures = [AWAY] * 3
        with pytest.raises(CloudUnavailable):
            said(name, "classes")
        assert spent(tmp_path) == 0
        server.asked.clear()
        server.failures = [(200, {}, {"Labels": []}), *[AWAY] * 3]
        with pytest.raises(CloudUnavailable):
            said(name, "classes")
        assert spent(tmp_path) == pytest.approx(0.001)
        assert len(server.asked) == 4  # labels, and text three times
        said(name, "classes")
        assert len(server.asked) == 4 + 2 * 2  # the labels of the first one were kept
        said(name, "text")
        assert len(server.asked) == 4 + 2 * 2 + 1


def test_a_threshold_is_for_reading_and_costs_nothing_to_change(tmp_path: Path) -> None:
    with cloud_servers.azure() as server:
        path = Path(a_profile(tmp_path, "azure-vision", server.url, tasks=("classes", "objects")))
        assert [tag.label for tag in said(str(path), "classes")[0]] == ["dog"]
        text = path.read_text(encoding="utf-8")
        path.write_text(text.replace("[classes]\n", "[classes]\nthreshold = 0.1\n"), encoding="utf-8")
        assert [tag.label for tag in said(str(path), "classes")[0]] == ["dog", "sky"]
        assert len(server.asked) == len(PICTURES)


def test_a_request_that_was_perhaps_paid_for_counts_as_paid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("indexer.cloud.openai_vision.TIMEOUT_S", 0.05)
    with cloud_servers.openai(lambda: time.sleep(0.2) or "late") as server:
        name = a_profile(tmp_path, "openai", server.url, tasks=("classes",), more="parallel = 1\n")
        with pytest.raises(CloudUnavailable, match="in time"):
            open_profile(name).taggers["classes"].tag(PICTURES[:1], None)
        assert len(server.asked) == 3
    assert spent(tmp_path) == pytest.approx(3 * (3000 * 2.5 + 1000 * 10) / MICRO)


def test_as_long_is_waited_as_the_service_says(tmp_path: Path) -> None:
    with cloud_servers.openai() as server:
        name = a_profile(tmp_path, "openai", server.url, tasks=("classes",))
        status, _, document = TOO_MANY["openai"]
        server.failures = [(status, {"retry-after": "1"}, document)]
        began = time.monotonic()
        open_profile(name).taggers["classes"].tag(PICTURES[:1], None)
        assert time.monotonic() - began >= 1


def test_a_budget_is_kept_by_many_at_once(tmp_path: Path) -> None:
    ledgers = [Ledger(tmp_path / "l.sqlite", budget=50, currency="EUR") for _ in range(4)]
    taken: list[int] = []

    def take(ledger: Ledger) -> None:
        for _ in range(20):
            try:
                taken.append(ledger.set_aside("x", 3))
            except BudgetReached:
                return

    threads = [threading.Thread(target=take, args=(ledger,)) for ledger in ledgers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(taken) == len(set(taken)) == 16
    assert ledgers[0].spent() == 48
    ledgers[0].give_back(taken[0])
    ledgers[1].settle(taken[1], 1, "picture", "model", {"classes": ["a"]})
    assert ledgers[2].spent() == 43
    assert ledgers[3].answers("picture", "model") == {"classes": ["a"]}


def test_a_new_ledger_may_be_opened_by_many_at_once(tmp_path: Path) -> None:
    for number in range(20):
        ledger = Ledger(tmp_path / f"{number}.sqlite", budget=50, currency="EUR")
        with ThreadPoolExecutor(8) as pool:
            assert list(pool.map(lambda _, ledger=ledger: ledger.answers("picture", "model"), range(8))) == [{}] * 8


def test_money_that_a_killed_process_set_aside_stays_spent(tmp_path: Path) -> None:
    program = """
import os, pathlib, signal
from indexer.cloud.ledger import Ledger
Ledger(pathlib.Path("l.sqlite"), budget=50, currency="EUR").set_aside("x", 30)
os.kill(os.getpid(), signal.SIGKILL)
"""
    assert subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=False).returncode == -9
    ledger = Ledger(tmp_path / "l.sqlite", budget=50, currency="EUR")
    assert ledger.spent() == 30
    with pytest.raises(BudgetReached):
        ledger.set_aside("x", 30)


def test_nothing_is_asked_where_spending_cannot_be_noted(tmp_path: Path) -> None:
    with cloud_servers.openai() as server:
        name = a_profile(tmp_path, "openai", server.url, tasks=("classes",))
        (tmp_path / "mine.cloud.sqlite").mkdir()
        with pytest.raises(CloudUnavailable, match=r"mine\.cloud\.sqlite, where spending is noted"):
            said(name, "classes")
        assert server.asked == []


def test_a_service_that_refuses_the_call_ends_the_run(tmp_path: Path) -> None:
    error = {"message": "max_tokens is not supported", "type": "invalid_request_error", "code": "unsupported_parameter"}
    with cloud_servers.openai() as server:
        name = a_profile(tmp_path, "openai", server.url, tasks=("classes",), more="parallel = 1\n")
        server.failures = [(400, {}, {"error": error})]
        with pytest.raises(CloudUnavailable, match="max_tokens"):
            said(name, "classes")
        assert len(server.asked) == 1


def test_requests_are_not_more_at_once_than_allowed(tmp_path: Path) -> None:
    with cloud_servers.google() as server:
        name = a_profile(tmp_path, "google-vision", server.url, tasks=("classes",), more="parallel = 2\n")
        open_profile(name).taggers["classes"].tag([a_picture(number) for number in range(12)], None)
        assert server.most_at_once <= 2


@pytest.mark.usefixtures("no_nets")
def test_a_dry_run_says_what_it_would_cost_and_sends_nothing(tmp_path: Path) -> None:
    for number in range(3):
        save(tmp_path / "photos" / f"{number}.png", a_picture(number))
    with cloud_servers.google() as server:
        name = a_profile(tmp_path, "google-vision", server.url, tasks=("classes",))
        call = ["index", str(tmp_path / "photos"), "--data", str(tmp_path / "library"), "--profile", name, "--json"]

        def foreseen(*more: str) -> dict:
            done = CliRunner().invoke(main, [*call, "--dry-run", *more])
            assert done.exit_code == 0, done.output
            return json.loads(done.stdout)

        before = foreseen()
        assert (before["pictures"], before["cost"], before["bills"][0]["service"]) == (3, 0.003, "google-vision")
        assert server.asked == []
        assert not (tmp_path / "library").exists()
        assert CliRunner().invoke(main, call).exit_code == 0
        assert foreseen()["cost"] == 0
        save(tmp_path / "photos" / "new.png", a_picture(9))
        after = foreseen()
        assert (after["pictures"], after["cost"], after["spent"]) == (1, 0.001, 0.003)
        a_profile(tmp_path, "google-vision", server.url, tasks=("classes", "text"))
        assert foreseen()["cost"] == pytest.approx(0.002 + 3 * 0.001)
        assert len(server.asked) == 3


@pytest.mark.usefixtures("no_nets")
def test_a_picture_to_search_by_is_not_sent_away(tmp_path: Path) -> None:
    with cloud_servers.azure() as server, DecodePool(load_config(), workers=1) as pool:
        name = a_profile(tmp_path, "azure-vision", server.url)
        path = save(tmp_path / "a.png", a_picture())
        with path.open("rb") as file:
            PictureLookup(pool, lambda: name, max_bytes=10**8).picture(file)
        assert server.asked == []


CLOUD = "[cloud]\nbudget=1\nprices_as_of=2026-01-01\n[cloud.prices]\n"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('[classes]\nlibrary="rekognition"\n', r"table \[cloud\]"),
        ('[classes]\nlibrary="rekognition"\n' + CLOUD, "needs the price of rekognition"),
        ('[captions]\nlibrary="openai"\n' + CLOUD + "openai={per_1000=1}\n", "needs a model"),
        (CLOUD + "openai={per_1000=1, input=2, output=1}\n", "a price is"),
        (
            '[captions]\nlibrary="openai"\nmodel="m"\n' + CLOUD + "openai={input=2, output=1, most_output=50}\n",
            "most_output of the price must be 600 or more",
        ),
    ],
)
def test_nothing_is_sent_without_being_asked_for(tmp_path: Path, text: str, reason: str) -> None:
    (tmp_path / "a.toml").write_text(f'[embedding]\nlibrary="lite"\n{text}', encoding="utf-8")
    with pytest.raises(ConfigError, match=reason):
        read_profile(str(tmp_path / "a.toml"))


def test_without_the_extra_all_else_works(tmp_path: Path) -> None:
    a_profile(tmp_path, "openai", "http://127.0.0.1:9", tasks=("classes",))
    program = """
import sys
for name in ("azure", "boto3", "google.cloud.vision", "openai", "tenacity"):
    sys.modules[name] = None
from indexer.model_store import cards
from indexer.profiles import open_profile
from search.errors import ModelUnavailable
open_profile("lite")
assert [card.present for card in cards("mine.toml") if card.task == "classes"] == [False]
try:
    open_profile("mine.toml")
except ModelUnavailable as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, check=False, capture_output=True, text=True, encoding="utf-8"
    )
    assert done.returncode == 0, done.stderr
    assert "pip install 'snapseek[cloud]'" in done.stdout


def test_a_missing_key_says_where_it_belongs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AZURE_VISION_KEY")
    with pytest.raises(CloudUnavailable, match="AZURE_VISION_KEY"):
        said(a_profile(tmp_path, "azure-vision", "http://127.0.0.1:9"), "classes")
    assert [asker.tasks for asker in open_profile(str(tmp_path / "mine.toml")).askers] == [TASKS["azure-vision"]]


def test_the_example_of_the_page_runs_as_it_stands_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = PAGE.read_text(encoding="utf-8")
    (profile,) = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    (example,) = re.findall(r"```sh\n(.*?)```", page, re.DOTALL)
    port = int(re.findall(r"127\.0\.0\.1:(\d+)", profile)[0])
    monkeypatch.chdir(tmp_path)
    Path("mine.toml").write_text(profile, encoding="utf-8")
    save(tmp_path / "photos" / "a.png", a_picture())
    calls = [shlex.split(line, comments=True) for line in example.splitlines()]
    with cloud_servers.openai(port=port):
        told = [CliRunner().invoke(main, call[1:]) for call in calls]
    assert [done.exit_code for done in told] == [0, 0], [done.output for done in told]
    assert "1 sent to openai, for up to 0.02 USD (prices of 2026-11-01); 0.00 of 5.00 USD are spent" in told[0].stdout
    assert told[1].stdout.startswith("1 images indexed")
    assert "pictures leave this machine: they are sent to llava" in told[1].stderr
    with open_library("snapseek-data") as library:
        assert library.show("photos/a.png").caption == "A dog on a beach"
