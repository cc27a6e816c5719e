"""The options of OpenSearch: what is refused, and that no secret stands in what is said."""

from pathlib import Path

import pytest

from search.config import load_config
from search.errors import ConfigError

SECRET = "s3cret-word"  # noqa: S105


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"opensearch_prefix": "Snap"}, "opensearch_prefix: .*got 'Snap'"),
        ({"opensearch_prefix": "-a"}, "opensearch_prefix"),
        ({"opensearch_prefix": "a*"}, "opensearch_prefix"),
        ({"opensearch_url": "ftp://host"}, "http://HOST:PORT"),
        ({"opensearch_url": "host:9200"}, "http://HOST:PORT"),
        ({"opensearch_url": "http://host:99999"}, "http://HOST:PORT"),
        ({"opensearch_url": "http://a,,http://b"}, "http://HOST:PORT"),
        ({"opensearch_password": "x"}, "opensearch_user and opensearch_password .* go together"),
        ({"opensearch_user": "x"}, "opensearch_user and opensearch_password .* go together"),
        (
            {"opensearch_user": "x", "opensearch_password": "x", "opensearch_password_file": "y"},
            "opensearch_password or opensearch_password_file, not both",
        ),
        ({"opensearch_user": "x", "opensearch_password": "x", "opensearch_aws_region": "eu-west-1"}, "signs requests"),
        ({"opensearch_aws_service": "s3"}, "opensearch_aws_service"),
        ({"opensearch_timeout_s": 0}, "opensearch_timeout_s"),
        ({"store": "elsewhere"}, "store: .*got 'elsewhere'"),
    ],
)
def test_bad_options_are_refused_and_named(tmp_path: Path, options: dict, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        load_config(data=tmp_path, **options)


@pytest.mark.parametrize(
    "options",
    [
        {"opensearch_url": f"https://ann:{SECRET}@host"},
        {"opensearch_url": f"https://a,https://{SECRET}@host"},
        {"opensearch_url": f"https://host:{SECRET}@host:9200"},
        {"opensearch_url": f"https://ann:{SECRET}/more@host"},
        {"opensearch_password": SECRET},
        {"opensearch_password": [SECRET], "opensearch_user": "ann"},
        {"opensearch_password": SECRET, "opensearch_password_file": "x", "opensearch_user": "ann"},
        {"opensearch_pasword": SECRET},
    ],
)
def test_no_secret_stands_in_what_is_said_of_it(tmp_path: Path, options: dict) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(data=tmp_path, **options)
    assert SECRET not in f"{caught.value} {caught.value.__cause__}"


def test_a_password_is_not_shown_and_comes_from_the_environment_or_the_file(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "snapseek.toml").write_text(
        f'opensearch_user = "ann"\nopensearch_password = "{SECRET}"\n', encoding="utf-8"
    )
    config = load_config(data=tmp_path)
    assert config.opensearch_password.get_secret_value() == SECRET
    monkeypatch.setenv("SNAPSEEK_OPENSEARCH_PASSWORD", f"{SECRET} 2")
    config = load_config(data=tmp_path)
    assert config.opensearch_password.get_secret_value() == f"{SECRET} 2"
    assert SECRET not in f"{config!r} {config} {config.model_dump()} {config.model_dump_json()}"


def test_several_nodes_are_taken_as_given(tmp_path: Path) -> None:
    config = load_config(data=tmp_path, opensearch_url="https://a.example:9200/, https://b.example/path/")
    assert config.opensearch_url == "https://a.example:9200,https://b.example/path"


def test_an_empty_variable_is_as_good_as_none(tmp_path: Path, monkeypatch) -> None:
    config = load_config(data=tmp_path)
    for name in ("USER", "PASSWORD", "PASSWORD_FILE", "CA", "AWS_REGION"):
        monkeypatch.setenv(f"SNAPSEEK_OPENSEARCH_{name}", "")
    assert load_config(data=tmp_path) == config
