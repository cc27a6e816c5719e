import json
import re
import shlex
from importlib.resources import files
from pathlib import Path

import jsonschema
import pytest
from ruamel.yaml import YAML

from search.config import load_config

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
CLUSTER = ("os1", "os2", "os3")
NODES = ("opensearch", *CLUSTER)


@pytest.fixture(scope="module")
def compose() -> dict:
    return YAML(typ="safe", pure=True).load(TEXT)


def given(value: str, variables: dict[str, str]) -> str:
    """Put variables into a value as Compose does."""

    def one(match: re.Match[str]) -> str:
        name, sign, word = match.groups()
        found = variables.get(name, "")
        return (word if found else "") if sign == "+" else found or word

    return re.sub(r"\$\{([A-Z_]+):([+-])([^}]*)\}", one, value)


def options_of(compose: dict, **variables: str) -> dict[str, str]:
    """The options of the app when these variables stand in `.env`."""
    environment = compose["services"]["app"]["environment"]
    return {name.removeprefix("SNAPSEEK_").lower(): given(value, variables) for name, value in environment.items()}


def test_the_compose_file_is_valid_by_the_official_schema(compose: dict) -> None:
    vendored = files("check_jsonschema") / "builtin_schemas" / "vendor" / "compose-spec.json"
    jsonschema.validate(compose, json.loads(vendored.read_text(encoding="utf-8")))


def test_every_service_has_a_health_check_and_a_pinned_image(compose: dict) -> None:
    for name, service in compose["services"].items():
        assert service["healthcheck"]["test"], name
        assert re.search(r":\d+\.\d+\.\d+$", service["image"]), name


def test_no_secret_stands_in_it(compose: dict) -> None:
    for service in compose["services"].values():
        for name, value in service["environment"].items():
            if re.search("PASSWORD|KEY|SECRET|TOKEN", name):
                place = r"\$\{[A-Z_]+:\+/run/secrets/[a-z_]+\}"
                assert re.fullmatch(place if name.endswith("_FILE") else r"\$\{[A-Z_]+:-\}", value), name


def test_only_loopback_reaches_the_app_and_nothing_else_is_published(compose: dict) -> None:
    assert all(port.startswith("127.0.0.1:") for port in compose["services"]["app"]["ports"])
    assert not any("ports" in compose["services"][name] for name in NODES)


def test_every_volume_and_secret_is_declared(compose: dict) -> None:
    services = compose["services"].values()
    used = {v.split(":")[0] for s in services for v in s["volumes"] if re.match(r"[a-z0-9]+:", v)}
    assert used == set(compose["volumes"])
    assert {secret for service in services for secret in service["secrets"]} == set(compose["secrets"])


def test_without_variables_the_app_keeps_all_in_its_own_volume(compose: dict) -> None:
    config = load_config(**options_of(compose))
    assert config.store == "embedded"
    assert not config.opensearch_user
    assert not config.opensearch_password_file
    assert all(given(secret["file"], {}) == "/dev/null" for secret in compose["secrets"].values())
    assert all(service.get("profiles") for name, service in compose["services"].items() if name != "app")


def test_with_the_variables_that_it_names_the_app_finds_opensearch_and_may_enter(compose: dict) -> None:
    named = dict(re.findall(r"^#   ([A-Z_]+)=(\S+)", TEXT[TEXT.index("`.env`") :], re.MULTILINE))
    config = load_config(**options_of(compose, **named))
    assert config.store == "opensearch"
    assert config.opensearch_user == "admin"
    assert config.opensearch_password_file == "/run/secrets/opensearch_password"  # noqa: S105
    assert config.opensearch_ca == "/run/secrets/opensearch_ca"
    assert config.opensearch_replicas == 1
    host = config.opensearch_url.removeprefix("https://").removesuffix(":9200")
    for name in NODES:
        assert host in compose["services"][name]["networks"]["default"]["aliases"], name
    assert named["COMPOSE_PROFILES"] in compose["services"]["opensearch"]["profiles"]


@pytest.mark.parametrize("name", NODES)
def test_a_node_is_closed_to_strangers_and_has_memory_of_its_own(compose: dict, name: str) -> None:
    node = compose["services"][name]
    settings = node["environment"]
    assert not any("SECURITY" in variable or "security" in variable for variable in settings)
    assert "opensearch_password" in node["secrets"]
    assert settings["bootstrap.memory_lock"] == "true"
    assert node["ulimits"]["memlock"] == {"soft": -1, "hard": -1}
    assert node["ulimits"]["nofile"]["soft"] >= 65536
    heap = int(re.fullmatch(r"-Xms(\d)g -Xmx\1g", settings["OPENSEARCH_JAVA_OPTS"]).group(1))
    assert node["mem_limit"] == f"{2 * heap}g"  # half of it is left for files
    shell, option, script = node["entrypoint"]
    assert (shell, option) == ("bash", "-c")
    assert shlex.split(script)[-1] == "opensearch"


def test_three_nodes_find_each_other(compose: dict) -> None:
    for name in CLUSTER:
        node = compose["services"][name]
        assert node["profiles"] == ["cluster"]
        assert node["environment"]["node.name"] == name
        assert node["environment"]["discovery.seed_hosts"].split(",") == list(CLUSTER)
        assert node["environment"]["cluster.initial_cluster_manager_nodes"].split(",") == list(CLUSTER)
        assert node["volumes"] == [f"{name}:/usr/share/opensearch/data"]
