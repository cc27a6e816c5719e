"""Every option, with its default, unit and meaning: defaults < `snapseek.toml` in the data folder < SNAPSEEK_… < flags.

An entry point builds one `Config` with `load_config` and hands it on; nothing else reads the environment.
"""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from search.errors import ConfigError

CONFIG_FILE = "snapseek.toml"


class Config(BaseSettings):
    """The options of one run. `docs/config.md` lists them for people; a test keeps the two together."""

    model_config = SettingsConfigDict(env_prefix="SNAPSEEK_", extra="forbid", frozen=True)

    data: Path = Field(
        default=Path("snapseek-data"), description="Folder of the library: catalogue, projections, thumbnails."
    )
    profile: str = Field(
        default="auto",
        description="Models: `auto`, `lite`, `clip` or the path of a TOML file. `auto` keeps what a library has; for a"
        " new one it is `clip` where its weights are here or the hub answers, else `lite`.",
    )
    offline: bool = Field(default=False, description="Never ask the network, not even whether a model hub answers.")
    store: Literal["embedded"] = Field(default="embedded", description="Where tags and facets live.")
    workers: int = Field(default=0, ge=0, le=64, description="Processes that decode pictures; 0 is one for each core.")
    batch_size: int = Field(default=32, ge=1, le=1024, description="Images that are annotated and written together.")
    max_file_bytes: int = Field(default=512 * 2**20, ge=1, description="Larger files are rejected. Bytes.")
    max_pixels: int = Field(default=250_000_000, ge=1, description="Pictures with more pixels are rejected.")
    decode_timeout_s: float = Field(
        default=60.0, gt=0, description="A file that takes longer to decode is rejected. Seconds."
    )
    decode_memory_bytes: int = Field(
        default=4 * 2**30, ge=2**28, description="Address space of a decoding process. Bytes."
    )
    max_upload_bytes: int = Field(default=50 * 2**20, ge=1, description="Largest picture to search by. Bytes.")
    cutoff: float = Field(
        default=0.5, ge=0, le=1, description="Least relevance of a hit where a query says `cutoff=auto`."
    )
    exact_limit: int = Field(
        default=100_000,
        ge=0,
        description="Up to this many allowed images a query scans them all; above, it asks the ANN index.",
    )
    host: str = Field(default="127.0.0.1", description="Address that `snapseek serve` binds to.")
    port: int = Field(
        default=8000, ge=0, le=65535, description="Port that `snapseek serve` binds to; 0 takes a free one."
    )
    api_keys: str = Field(
        default="",
        description="Keys for any address but loopback: `sha256-of-key:scope+scope`, separated by commas."
        " Scopes: search, write, moderate. `snapseek keys new` prints a key and its entry.",
    )
    allowed_hosts: str = Field(
        default="",
        description="Host names that requests may carry besides the bound one and loopback, separated by commas.",
    )

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
        problems = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}, got {e['input']!r}" for e in error.errors())
        raise ConfigError(f"bad configuration: {problems}") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{CONFIG_FILE} in the data folder is not valid TOML: {error}") from error
