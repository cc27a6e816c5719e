import json
import re
from importlib.resources import files
from pathlib import Path

import jsonschema
import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docker-compose.yml").read_text()


@pytest.fixture(scope="module")
def compose() -> dict:
    return YAML(typ="safe", pure=True).load(TEXT)


def test_the_compose_file_is_valid_by_the_official_schema(compose: dict) -> None:
    vendored = files("check_jsonschema") / "builtin_schemas" / "vendor" / "compose-spec.json"
    jsonschema.validate(compose, json.loads(vendored.read_text()))


def test_every_service_has_a_health_check_and_a_pinned_image(compose: dict) -> None:
    for name, service in compose["services"].items():
        assert service["healthcheck"]["test"], name
        assert re.search(r":\d+\.\d+\.\d+$", service["image"]), name


def test_no_secret_stands_in_it(compose: dict) -> None:
    for service in compose["services"].values():
        for name, value in service["environment"].items():
            if re.search("PASSWORD|KEY|SECRET|TOKEN", name):
                assert re.fullmatch(r"\$\{[A-Z_]+:-\}", value), name


def test_only_loopback_reaches_the_app(compose: dict) -> None:
    assert all(port.startswith("127.0.0.1:") for port in compose["services"]["app"]["ports"])
    assert "ports" not in compose["services"]["opensearch"]


def test_every_volume_is_declared(compose: dict) -> None:
    used = {v.split(":")[0] for s in compose["services"].values() for v in s["volumes"] if re.match(r"[a-z]+:", v)}
    assert used == set(compose["volumes"])
