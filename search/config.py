"""Every option, with its default, unit and meaning: defaults < `snapseek.toml` in the data folder < SNAPSEEK_… < flags.

An entry point builds one `Config` with `load_config` and hands it on; nothing else reads the environment.
"""

from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from search.errors import ConfigError

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

CONFIG_FILE = "snapseek.toml"
KEYS_FILE = "keys.sqlite"
LIBRARY_NAME = re.compile("[a-z0-9][a-z0-9_-]{0,62}")
RATE = re.compile("[1-9][0-9]{0,8}/(second|minute|hour|day)")


class Config(BaseSettings):
    """The options of one run. `docs/config.md` lists them for people; a test keeps the two together."""

    model_config = SettingsConfigDict(env_prefix="SNAPSEEK_", extra="forbid", frozen=True, hide_input_in_errors=True)

    data: Path = Field(
        default=Path("snapseek-data"), description="Folder of the library: catalogue, projections, thumbnails."
    )
    profile: str = Field(
        default="auto",
        description="Models: `auto`, `lite`, `clip` or the path of a TOML file. `auto` keeps what a library has; for a"
        " new one it is `clip` where its weights are here or the hub answers, else `lite`.",
    )
    offline: bool = Field(default=False, description="Never ask the network, not even whether a model hub answers.")
    store: Literal["embedded", "opensearch", "opensearch-knn"] = Field(
        default="embedded",
        description="Where what is searched lives. `embedded`: tags in SQLite, vectors in FAISS; `opensearch`: tags in"
        " OpenSearch, vectors in FAISS; `opensearch-knn`: both, and the catalogue, in OpenSearch.",
    )
    workers: int = Field(
        default=1,
        ge=0,
        le=64,
        description="Processes that index what is uploaded: of `snapseek worker`, and beside `snapseek serve`, where 0"
        " is none.",
    )
    decoders: int = Field(
        default=0,
        ge=0,
        le=64,
        description="Processes that decode pictures, of an index run or of each worker; 0: as many as there are cores.",
    )
    batch_size: int = Field(default=32, ge=1, le=1024, description="Images that are annotated and written together.")
    max_file_bytes: int = Field(default=512 * 2**20, ge=1, description="Larger files are rejected. Bytes.")
    max_pixels: int = Field(default=250_000_000, ge=1, description="Pictures with more pixels are rejected.")
    decode_timeout_s: float = Field(
        default=60.0, gt=0, description="A file that takes longer to decode is rejected. Seconds."
    )
    decode_memory_bytes: int = Field(
        default=4 * 2**30, ge=2**28, description="Address space of a decoding process. Bytes."
    )
    worker_timeout_s: float = Field(
        default=120.0,
        gt=0,
        description="A worker whose models take longer for a picture is ended, and another one tries it by itself."
        " Seconds.",
    )
    max_upload_bytes: int = Field(
        default=50 * 2**20, ge=1, description="Largest picture that is uploaded, to search by or to keep. Bytes."
    )
    max_upload_files: int = Field(default=1_000, ge=1, le=10_000, description="Most pictures of one upload.")
    max_queue: int = Field(
        default=10_000,
        ge=1,
        description="Uploaded pictures that may wait to be indexed; beyond, uploads are answered 429 with Retry-After.",
    )
    redis_url: SecretStr = Field(
        default=SecretStr(""),
        description="A Redis that passes work between machines, as `redis://host:6379/0`; empty: a file in the"
        " library's folder does, for processes of one machine.",
    )
    min_free_bytes: int = Field(
        default=256 * 2**20, ge=0, description="Uploads are refused where the disk would have less room left. Bytes."
    )
    watch_rescan_s: float = Field(
        default=3_600.0, gt=0, description="So often `index --watch` goes over all of its folders as well. Seconds."
    )
    cutoff: float = Field(
        default=0.5, ge=0, le=1, description="Least relevance of a hit where a query says `cutoff=auto`."
    )
    exact_limit: int = Field(
        default=50_000,
        ge=0,
        description="Up to this many allowed images a query scores them all, so totals and facet counts are exact;"
        " above, it scores the best 1,000 that the ANN index finds.",
    )
    moderation_thresholds: dict[str, float] = Field(
        default={},
        description="Confidence from which an image is flagged, by category: `{adult = 0.8, weapons = 0.6}`. Those"
        " that are not named keep their own (docs/moderation.md).",
    )
    moderation_hide_flagged: bool = Field(
        default=False,
        description="Whether what is flagged is hidden until a person approves it; if not, only what one rejected is.",
    )
    views_kept_days: int = Field(
        default=365,
        ge=1,
        le=36_500,
        description="So long it is remembered what a person looked at, for recommendations. What they like or hide is"
        " kept until they take it back.",
    )
    host: str = Field(default="127.0.0.1", description="Address that `snapseek serve` binds to.")
    port: int = Field(
        default=8000, ge=0, le=65535, description="Port that `snapseek serve` binds to; 0 takes a free one."
    )
    log_format: Literal["text", "json"] = Field(
        default="text",
        description="What `serve` and `worker` write to standard error: warnings as lines, or one JSON object a line,"
        " and one for each request as well (docs/operations.md).",
    )
    show_places: bool = Field(
        default=True,
        description="Tell on pages and over HTTP where a picture was taken. The original files, which can be"
        " downloaded, may hold it all the same.",
    )
    libraries: dict[str, Path] = Field(
        default={},
        description='Several libraries for `snapseek serve`, by name: `{trips = "/photos/trips"}`, each below'
        " `/libraries/NAME`. The folder of `data` then holds no library, only what is of the server: options and keys.",
    )
    api_keys: str = Field(
        default="",
        description="Keys besides those of `snapseek keys create`: `sha256-of-key:scope+scope`, separated by commas."
        " Scopes: search, write, moderate, admin. `snapseek keys new` prints a key and its entry.",
    )
    rate_limit: str = Field(
        default="3000/minute",
        description="How many requests a key may send that has no rate of its own, and an address without a key; `off`:"
        " any number. Where no key is needed, nothing is counted. With `redis_url` all servers count together.",
    )
    url_lookup: bool = Field(
        default=False,
        description="Let `POST /v1/similar` take the https address of a picture, which this server then fetches from"
        " the internet, never from private networks (docs/security.md).",
    )
    allowed_hosts: str = Field(
        default="",
        description="Host names that requests may carry besides the bound one and loopback, separated by commas.",
    )
    opensearch_url: str = Field(
        default="http://127.0.0.1:9200",
        description="Where OpenSearch is; of a cluster, several nodes separated by commas. Without user and password:"
        " they have options of their own.",
    )
    opensearch_prefix: str = Field(
        default="snapseek",
        pattern=r"^[a-z][a-z0-9_-]*$",
        max_length=100,
        description="Begins the name of every index of this library: lower-case letters, digits, `-`, `_`.",
    )
    opensearch_user: str = Field(default="", description="Who to be for OpenSearch; empty where it asks nobody.")
    opensearch_password: SecretStr = Field(default=SecretStr(""), description="The password of that user.")
    opensearch_password_file: str = Field(default="", description="A file that has the password, instead of it.")
    opensearch_ca: str = Field(
        default="", description="A PEM file of the authorities that sign OpenSearch's certificate; empty: the usual."
    )
    opensearch_aws_region: str = Field(
        default="",
        description="Region of an OpenSearch at AWS: requests are signed (SigV4) with the credentials that AWS's own"
        " tools would use.",
    )
    opensearch_aws_service: Literal["es", "aoss"] = Field(
        default="es", description="What is signed for: `es`, a domain, or `aoss`, a serverless collection."
    )
    opensearch_timeout_s: float = Field(
        default=10.0, gt=0, description="OpenSearch answers a search in this time or counts as away. Seconds."
    )
    opensearch_write_wait_s: float = Field(
        default=300.0,
        gt=0,
        description="Writes wait this long for an OpenSearch that is away, overloaded or out of disk. Seconds.",
    )
    opensearch_shards: int = Field(default=1, ge=1, le=1024, description="Primary shards of a new index of images.")
    opensearch_replicas: int = Field(default=0, ge=0, le=100, description="Further copies of each shard.")
    opensearch_knn_engine: Literal["lucene", "faiss"] = Field(
        default="lucene", description="What searches vectors in OpenSearch, with `opensearch-knn`."
    )

    @field_validator("libraries")
    @classmethod
    def _names(cls, value: dict[str, Path]) -> dict[str, Path]:
        for name in value:
            if not LIBRARY_NAME.fullmatch(name):
                raise ValueError("a library's name has lower-case letters, digits, `-` and `_`, at most 63")
        return value

    @field_validator("rate_limit")
    @classmethod
    def _rate(cls, value: str) -> str:
        if value != "off" and not RATE.fullmatch(value):
            raise ValueError("a rate is a number of requests, as 100/minute (second, minute, hour, day), or off")
        return value

    @property
    def is_in_cluster(self) -> bool:
        """Whether all of the library is in OpenSearch, its catalogue too."""
        return self.store == "opensearch-knn"

    @field_validator("opensearch_url")
    @classmethod
    def _urls(cls, value: str) -> str:
        """Refuse what could not be asked, and passwords, which would end in logs: an URL is no place for a secret."""
        urls = [url.strip().rstrip("/") for url in value.split(",")]
        for url in urls:
            if "@" in url:
                raise ValueError("give user and password by opensearch_user and opensearch_password, not in the URL")
            if not _is_address(url):
                raise ValueError("an URL is http://HOST:PORT or https://HOST:PORT")
        return ",".join(urls)

    @model_validator(mode="after")
    def _one_way_to_log_in(self) -> Config:
        passwords = bool(self.opensearch_password.get_secret_value()) + bool(self.opensearch_password_file)
        if passwords > 1:
            raise ValueError("give opensearch_password or opensearch_password_file, not both")
        if bool(self.opensearch_user) != bool(passwords):
            raise ValueError("opensearch_user and opensearch_password (or opensearch_password_file) go together")
        if self.opensearch_user and self.opensearch_aws_region:
            raise ValueError("opensearch_aws_region signs requests; opensearch_user cannot be given as well")
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 (the signature is pydantic's)
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        flags = init_settings()
        data = flags.get("data") or os.environ.get("SNAPSEEK_DATA") or cls.model_fields["data"].default
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, Path(data) / CONFIG_FILE)


def load_config(**flags: Any) -> Config:
    """Return the options; flags that are None count as not given. Raises ConfigError naming what is wrong and where."""
    try:
        return Config(**{name: value for name, value in flags.items() if value is not None})
    except ValidationError as error:
        raise ConfigError(f"bad configuration: {'; '.join(map(_problem, error.errors()))}") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{CONFIG_FILE} in the data folder is not valid TOML: {error}") from error


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and not parts.query and parts.port != 0
    except ValueError:  # a port that is none
        return False


def _problem(error: ErrorDetails) -> str:
    """Say what is wrong with an option, and its value unless that may be, or hold, a secret.

    No value is shown of a name that is no option, for it may be a misspelt one, nor of several options together.
    """
    where = ".".join(map(str, error["loc"]))
    message = error["msg"].removeprefix("Value error, ")
    shown = where in Config.model_fields and where not in ("opensearch_password", "opensearch_url")
    return (f"{where}: " if where else "") + message + (f", got {error['input']!r}" if shown else "")
