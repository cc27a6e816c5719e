"""Certificates, passwords and signatures: nginx stands before the real OpenSearch as the security plugin would."""

from __future__ import annotations

import json
import logging
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from fake_opensearch import FakeOpenSearch

from search.config import load_config
from search.errors import ConfigError, Unavailable
from search.opensearch.client import Client, connect

USER, PASSWORD = "ann", "s3cret-word"
NGINX = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")

CONFIGURATION = """
daemon off;
{user}
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{}}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  server {{
    listen 127.0.0.1:{port} ssl;
    ssl_certificate {folder}/server.pem;
    ssl_certificate_key {folder}/server.key;
    auth_basic "OpenSearch";
    auth_basic_user_file {folder}/users;
    client_max_body_size 64k;
    location / {{ proxy_pass {upstream}; }}
  }}
}}
"""


@dataclass(frozen=True)
class Proxy:
    url: str
    ca: Path
    folder: Path


@pytest.fixture(scope="module")
def proxy(opensearch_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    """An address of the real OpenSearch with TLS, by an authority of its own, and a password."""
    if NGINX is None or shutil.which("openssl") is None:
        pytest.skip("needs nginx and openssl (Debian: nginx-light, openssl)")
    folder = tmp_path_factory.mktemp("tls")
    ca = authority(folder, "ca")
    certificate(folder, ca)
    (folder / "users").write_text(f"{USER}:{{PLAIN}}{PASSWORD}\n", encoding="utf-8")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    user = "user root;" if os.geteuid() == 0 else ""  # who may read the folder
    settings = CONFIGURATION.format(folder=folder, port=port, upstream=opensearch_url, user=user)
    (folder / "nginx.conf").write_text(settings, encoding="utf-8")
    with subprocess.Popen([NGINX, "-c", folder / "nginx.conf", "-e", folder / "error.log"]) as nginx:
        try:
            wait_for(port, nginx)
            yield Proxy(f"https://127.0.0.1:{port}", ca, folder)
        finally:
            nginx.terminate()


def openssl(*args: object) -> None:
    subprocess.run(["openssl", *map(str, args)], check=True, capture_output=True)


def authority(folder: Path, name: str) -> Path:
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", 2,
            "-subj", f"/CN=Test authority {name}", "-addext", "basicConstraints=critical,CA:TRUE",
            "-addext", "keyUsage=critical,keyCertSign", "-keyout", folder / f"{name}.key",
            "-out", folder / f"{name}.pem")  # fmt: skip
    return folder / f"{name}.pem"


def certificate(folder: Path, ca: Path) -> None:
    """Make server.pem and server.key for 127.0.0.1."""
    openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=127.0.0.1",
            "-keyout", folder / "server.key", "-out", folder / "server.csr")  # fmt: skip
    (folder / "extensions").write_text("subjectAltName=IP:127.0.0.1\nauthorityKeyIdentifier=keyid\n", encoding="utf-8")
    openssl("x509", "-req", "-in", folder / "server.csr", "-CA", ca, "-CAkey", ca.with_suffix(".key"), "-days", 2,
            "-CAcreateserial", "-extfile", folder / "extensions", "-out", folder / "server.pem")  # fmt: skip


def wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    for _ in range(200):
        assert process.poll() is None, "nginx ended"
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError("nginx does not listen")


def as_ann(proxy: Proxy, client_of: Callable[..., Client], **options: str) -> Client:
    return client_of(proxy.url, **({"user": USER, "password": PASSWORD, "ca": str(proxy.ca)} | options))


def test_the_right_authority_and_password_let_us_in(proxy, prefix, client_of) -> None:
    client = as_ann(proxy, client_of)
    index = f"{prefix}-a"
    # More than the proxy takes at once: it is sent in parts.
    actions = [{"_index": index, "_id": str(n), "_source": {"text": "x" * 1000}} for n in range(400)]
    assert [item["status"] for item in client.bulk(actions, refresh=True)] == [201] * 400
    assert client.search(index, {})["hits"]["total"]["value"] == 400


def test_the_password_may_come_from_a_file(proxy, client_of, tmp_path) -> None:
    (tmp_path / "password").write_text(f"{PASSWORD}\n", encoding="utf-8")
    client = as_ann(proxy, client_of, password="", password_file=str(tmp_path / "password"))
    assert client.call(lambda raw: raw.cluster.health())["status"]


def test_a_wrong_password_is_refused_and_not_shown(proxy, client_of, caplog) -> None:
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.WARNING, "opensearch")
    wrong = "wr0ng-word"
    client = as_ann(proxy, client_of, password=wrong)
    for use in (lambda: client.search("i", {}), lambda: client.bulk([{"_index": "i", "_id": "a", "_source": {}}])):
        with pytest.raises(ConfigError, match=r"refused the user ann: 401") as caught:
            use()
        assert wrong not in f"{caught.value} {caught.value.__cause__!r} {client!r} {caplog.text}"
    assert "opensearch" in {record.name for record in caplog.records}


def test_nothing_logged_of_what_works_has_the_password(proxy, client_of, caplog) -> None:
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.DEBUG, "opensearch")
    client = as_ann(proxy, client_of)
    client.call(lambda raw: raw.cluster.health())
    assert "GET https://" in caplog.text
    encoded = "YW5uOnMzY3JldC13b3Jk"  # of both, as the header has it
    assert PASSWORD not in caplog.text
    assert encoded not in caplog.text


@pytest.mark.parametrize("which", ["none", "another"])
def test_an_authority_we_do_not_know_is_said_with_the_option(proxy, client_of, tmp_path, which: str) -> None:
    ca = "" if which == "none" else str(authority(tmp_path, "other"))
    client = as_ann(proxy, client_of, ca=ca)
    for use in (lambda: client.search("i", {}), lambda: client.bulk([{"_index": "i", "_id": "a", "_source": {}}])):
        with pytest.raises(ConfigError, match=r"cannot be verified; opensearch_ca names"):
            use()


def test_a_certificate_for_another_host_is_refused(proxy, client_of) -> None:
    client = as_ann(proxy, client_of)
    other = as_ann(Proxy(proxy.url.replace("127.0.0.1", "localhost"), proxy.ca, proxy.folder), client_of)
    assert client.call(lambda raw: raw.ping())
    with pytest.raises(ConfigError, match="cannot be verified"):
        other.search("i", {})


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_the_wrong_scheme_is_an_error_soon(proxy, client_of, opensearch_url, scheme: str) -> None:
    url = proxy.url.replace("https", "http") if scheme == "http" else opensearch_url.replace("http:", "https:")
    with pytest.raises((ConfigError, Unavailable)):
        client_of(url).search("i", {})


@pytest.mark.parametrize("option", ["ca", "password_file"])
def test_a_file_that_is_missing_is_named_with_its_option(tmp_path, option: str) -> None:
    options = {"user": USER, "password": PASSWORD} if option == "ca" else {"user": USER}
    given = {f"opensearch_{name}": value for name, value in (options | {option: str(tmp_path / "none")}).items()}
    with pytest.raises(ConfigError, match=rf"opensearch_{option}: .*none cannot be read") as caught:
        connect(load_config(data=tmp_path, **given))
    assert PASSWORD not in str(caught.value)


def test_a_file_without_a_certificate_is_no_authority(tmp_path) -> None:
    (tmp_path / "ca").write_text("nothing", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"opensearch_ca: .*has no certificate"):
        connect(load_config(data=tmp_path, opensearch_ca=str(tmp_path / "ca")))


def test_the_status_command_does_not_show_the_password(tmp_path) -> None:
    (tmp_path / "pictures").mkdir()
    variables = {"SNAPSEEK_OPENSEARCH_USER": USER, "SNAPSEEK_OPENSEARCH_PASSWORD": PASSWORD, "SNAPSEEK_PROFILE": "lite"}
    for command in (["index", tmp_path / "pictures"], ["status", "--json"]):
        done = subprocess.run(
            [sys.executable, "-m", "api.cli", *command, "--data", tmp_path / "library"],
            env=os.environ | variables,
            capture_output=True,
            text=True,
            check=True,
            encoding="utf-8",
        )
        assert PASSWORD not in done.stdout + done.stderr
    assert json.loads(done.stdout)["images"] == 0


# Signatures of AWS


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "s3cret-key",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }.items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize("service", ["es", "aoss"])
def test_requests_are_signed_for_the_region_and_service(fake: FakeOpenSearch, client_of, aws, caplog, service) -> None:
    caplog.set_level(logging.DEBUG, "opensearch")
    client = client_of(fake.url, aws_region="eu-west-1", aws_service=service)
    client.bulk([{"_index": "i", "_id": "a", "_source": {}}])
    for asked in fake.asked:
        signature = asked.headers["Authorization"]
        assert signature.startswith("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/")
        assert f"/eu-west-1/{service}/aws4_request, " in signature
        assert "x-amz-content-sha256" in signature
    # A collection of aoss has no page that would tell its version.
    assert [asked.path for asked in fake.asked] == (["/"] if service == "es" else []) + ["/_bulk?refresh=false"]
    assert "s3cret-key" not in caplog.text + json.dumps([asked.headers for asked in fake.asked])


def test_without_credentials_or_library_it_says_so(aws, monkeypatch, tmp_path) -> None:
    config = load_config(data=tmp_path, opensearch_aws_region="eu-west-1")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    with pytest.raises(ConfigError, match="no AWS credentials"):
        connect(config)
    monkeypatch.setitem(sys.modules, "botocore.session", None)
    with pytest.raises(ConfigError, match=r"pip install 'snapseek\[aws\]'"):
        connect(config)
