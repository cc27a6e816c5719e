"""`snapseek models pull` with the real client of the Hugging Face hub, and a small hub on loopback that it talks to."""

import hashlib
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import tiny_models
from pictures import a_picture, save

from search.weights.hub import is_true

COMMAND = str(Path(sys.executable).with_name("snapseek"))
COMMIT, EARLIER = "c" * 40, "e" * 40
Files = Mapping[str, bytes]

PROFILE = """
[embedding]
library = "open_clip"
model = "acme/clip"
revision = "{revision}"
runtime = "torch"

[objects]
library = "ultralytics"
model = "acme/yolo/weights/y.pt"
runtime = "torch"

[captions]
library = "transformers"
model = "acme/blip"
"""
DECOYS = dict.fromkeys(("pytorch_model.bin", "modeling.py", "onnx/config.json", "README.md"), b"not to be fetched")


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def git_hash(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def is_large(path: str) -> bool:
    """Tell whether a file is in the large file storage, as weights are."""
    return path.endswith((".safetensors", ".pt", ".bin"))


class Hub(ThreadingHTTPServer):
    """Serves repositories by name, commit and path; ``lies`` are sent instead of what was announced."""

    daemon_threads = True

    def __init__(self, repositories: Mapping[str, Mapping[str, Files]]) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.repositories = repositories
        self.lies: dict[str, bytes] = {}
        self.asked: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Answer(BaseHTTPRequestHandler):
    server: Hub

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        match self.path.partition("?")[0].strip("/").split("/"):
            case ["api", "models", owner, name, kind, revision] if f"{owner}/{name}" in self.server.repositories:
                commit = COMMIT if revision == "main" else revision
                files = self.server.repositories[f"{owner}/{name}"][commit]
                info = {"id": f"{owner}/{name}", "sha": commit, "siblings": [{"rfilename": path} for path in files]}
                document = info if kind == "revision" else [entry(path, content) for path, content in files.items()]
                self.send(200, json.dumps(document).encode())
            case [owner, name, "resolve", commit, *path] if f"{owner}/{name}" in self.server.repositories:
                file = "/".join(path)
                content = self.server.repositories[f"{owner}/{name}"][commit][file]
                if is_large(file):  # lies elsewhere, and the address there says nothing of its hash
                    place = f"http://localhost:{self.server.server_port}/cdn/{owner}/{name}/{commit}/{file}"
                    linked = {"X-Linked-Etag": f'"{sha256(content)}"', "X-Linked-Size": str(len(content))}
                    self.send(302, b"", {"X-Repo-Commit": commit, "Location": place, **linked})
                else:
                    self.send(
                        200,
                        self.server.lies.get(file, content),
                        {"X-Repo-Commit": commit, "ETag": f'"{git_hash(content)}"'},
                    )
            case ["cdn", owner, name, commit, *path]:
                file = "/".join(path)
                content = self.server.repositories[f"{owner}/{name}"][commit][file]
                self.send(200, self.server.lies.get(file, content))
            case [""]:
                self.send(200, b"a hub")
            case _:
                self.send(404, b"{}", {"X-Error-Code": "RepoNotFound"})

    def send(self, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None: ...


def entry(path: str, content: bytes) -> dict:
    large = {"lfs": {"oid": sha256(content), "size": len(content), "pointerSize": 130}} if is_large(path) else {}
    return {"type": "file", "path": path, "size": len(content), "oid": git_hash(content), **large}


def files_of(folder: Path) -> Files:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())} | DECOYS


@pytest.fixture(scope="module")
def repositories(made: Callable[..., Path]) -> Mapping[str, Mapping[str, Files]]:
    clip, earlier = (
        made(tiny_models.clip, config) for config in (tiny_models.CLIP, tiny_models.clip_config(embed_dim=16))
    )
    return {
        "acme/clip": {COMMIT: files_of(clip), EARLIER: files_of(earlier)},
        "acme/blip": {COMMIT: files_of(made(tiny_models.blip))},
        "acme/yolo": {COMMIT: {"weights/y.pt": made(tiny_models.yolo, name="y").read_bytes(), **DECOYS}},
    }


@pytest.fixture
def hub(repositories: Mapping[str, Mapping[str, Files]]) -> Iterator[Hub]:
    with Hub(repositories) as hub:
        thread = threading.Thread(target=hub.serve_forever)
        thread.start()
        yield hub
        hub.shutdown()
        thread.join()


def a_profile(folder: Path, revision: str = "main") -> Path:
    path = folder / "own.toml"
    path.write_text(PROFILE.format(revision=revision), encoding="utf-8")
    return path


def run(endpoint: str, home: Path, *args: object, status: int = 0, offline: str = "0") -> subprocess.CompletedProcess:
    environment = {
        **os.environ,
        "HF_ENDPOINT": endpoint,
        "HF_HOME": str(home / "hub"),
        "HF_HUB_OFFLINE": offline,
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "NO_PROXY": "*",
    }
    done = subprocess.run(
        [COMMAND, *map(str, args)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env=environment,
        encoding="utf-8",
    )
    assert done.returncode == status, done.stderr
    assert "Traceback" not in done.stderr
    return done


def test_what_was_pulled_indexes_without_asking_the_hub(hub: Hub, tmp_path: Path) -> None:
    profile, photo, library = (
        a_profile(tmp_path),
        save(tmp_path / "photos" / "a.jpg", a_picture(1)),
        tmp_path / "library",
    )

    def cards() -> list[dict]:
        return json.loads(run(hub.url, tmp_path, "models", "list", profile, "--json").stdout)["models"]

    assert [(card["present"], card["bytes"]) for card in cards()] == [(False, 0)] * 3
    assert hub.asked == []
    said = run(hub.url, tmp_path, "models", "pull", profile).stdout
    assert [line.split()[1] for line in said.splitlines()] == ["acme/clip", "acme/yolo/weights/y.pt", "acme/blip"]
    assert said.count(f"commit {COMMIT}") == 3
    fetched = {path.rpartition(f"{COMMIT}/")[2] for path in hub.asked if "/resolve/" in path}
    assert {"open_clip_model.safetensors", "open_clip_config.json", "model.safetensors", "weights/y.pt"} <= fetched
    assert not fetched & DECOYS.keys()

    hub.asked.clear()
    assert all(card["present"] and card["bytes"] > 0 and COMMIT in card["source"] for card in cards())
    index = ("index", photo, "--profile", profile, "--data", library, "--offline", "--json")
    report = json.loads(run(hub.url, tmp_path, *index).stdout)
    assert (report["indexed"], report["profile"], report["space"]["dim"]) == (1, str(profile), 32)
    assert hub.asked == []
    hub.shutdown()
    hub.server_close()
    shown = json.loads(run(hub.url, tmp_path, "show", photo, "--data", library, "--json", offline="1").stdout)
    assert shown["caption_source"] == "blip"
    assert {tag["source"] for tag in shown["tags"]} == {"y"}
    found = run(hub.url, tmp_path, "search", "a dog", "--data", library, "--json", "--all", offline="1").stdout
    assert json.loads(found)["total"] == 1


def test_a_commit_that_a_profile_names_is_the_one_that_is_fetched(hub: Hub, tmp_path: Path) -> None:
    said = run(hub.url, tmp_path, "models", "pull", a_profile(tmp_path, EARLIER), "--json").stdout
    assert [model["commit"] for model in json.loads(said)["pulled"]] == [EARLIER, COMMIT, COMMIT]
    asked = [path for path in hub.asked if "acme/clip" in path]
    assert any(EARLIER in path for path in asked)
    assert not any("main" in path or COMMIT in path for path in asked)


@pytest.mark.parametrize(
    ("file", "lie"),
    [
        ("model.safetensors", lambda content: content[:-1] + bytes([content[-1] ^ 1])),
        ("open_clip_config.json", lambda content: content.replace(b"mean", b"wean")),
        ("open_clip_model.safetensors", lambda content: content[:-1]),
    ],
)
def test_a_file_that_is_not_what_the_hub_announced_is_refused_and_not_kept(
    hub: Hub, tmp_path: Path, file: str, lie: Callable[[bytes], bytes]
) -> None:
    profile = a_profile(tmp_path)
    (content,) = (files[file] for repo in hub.repositories.values() if file in (files := repo[COMMIT]))
    hub.lies[file] = lie(content)
    assert hub.lies[file] != content
    done = run(hub.url, tmp_path, "models", "pull", profile, status=2)
    assert file in done.stderr
    kept = [path.read_bytes() for path in (tmp_path / "hub").rglob("*") if path.is_file()]
    assert hub.lies[file] not in kept
    hub.lies.clear()
    assert run(hub.url, tmp_path, "models", "pull", profile).stdout.count(f"commit {COMMIT}") == 3


def test_a_file_that_repositories_share_is_checked_by_its_own_hash(tmp_path: Path) -> None:
    shared, blob, file = tmp_path / "shared" / ("a" * 64), tmp_path / "blobs" / sha256(b"weights"), tmp_path / "s" / "f"
    for path in (shared, blob, file):
        path.parent.mkdir()
    shared.write_bytes(b"weights")
    blob.symlink_to(shared)
    file.symlink_to(f"../blobs/{blob.name}")
    assert is_true(file)
    shared.write_bytes(b"weighty")
    assert not is_true(file)
    assert not any(path.exists() or path.is_symlink() for path in (shared, blob, file))


def test_weights_that_are_not_here_are_one_error_that_says_what_helps(hub: Hub, tmp_path: Path) -> None:
    profile = a_profile(tmp_path)
    save(tmp_path / "photos" / "a.jpg")
    index = ("index", tmp_path / "photos", "--profile", profile, "--data", tmp_path / "library", "--offline")
    said = run(hub.url, tmp_path, *index, status=2).stderr.splitlines()
    # Decoding processes that a busy machine had not started yet may say that nobody needs them any more.
    (line,) = [line for line in said if line.startswith("snapseek index:")]
    assert "acme/clip" in line
    assert str(tmp_path / "hub") in line
    assert f"`snapseek models pull {profile}`" in line
    assert "`--profile lite`" in line
    assert hub.asked == []


@pytest.mark.parametrize(("flags", "why"), [(("--offline",), "not to be asked"), ((), "could not be fetched")])
def test_a_new_library_is_lite_where_the_weights_of_clip_cannot_be_had(
    hub: Hub, tmp_path: Path, flags: tuple[str, ...], why: str
) -> None:
    (tmp_path / "photos").mkdir()
    index = ("index", tmp_path / "photos", "--profile", "auto", "--data", tmp_path / "library", *flags)
    done = run(hub.url, tmp_path, *index, "--json")
    assert json.loads(done.stdout)["profile"] == "lite"
    assert why in done.stderr
    assert bool(hub.asked) != bool(flags)


def test_a_hub_that_is_not_there_leaves_lite_to_index_with_and_nothing_to_pull(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        nowhere = f"http://127.0.0.1:{free.getsockname()[1]}"
    (tmp_path / "photos").mkdir()
    done = run(nowhere, tmp_path, "index", tmp_path / "photos", "--data", tmp_path / "library", "--json")
    assert json.loads(done.stdout)["profile"] == "lite"
    assert "the hub does not answer" in done.stderr
    error = run(nowhere, tmp_path, "models", "pull", a_profile(tmp_path), status=2).stderr
    assert "the hub cannot be reached to fetch acme/clip" in error
