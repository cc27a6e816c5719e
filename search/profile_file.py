"""Which profile a name means: a built-in one, or a TOML file of one's own."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from search.encoders.adapter import BUILT_IN
from search.errors import ConfigError

NAMES = ("lite",)


@dataclass(frozen=True, slots=True)
class ProfileChoice:
    """A profile's name as the library stores it, and the adapter file of its embedding space."""

    name: str
    adapter_path: Path


class _Profile(BaseModel):
    """The table `[profile]` of a TOML file: `base = "lite"` and what differs from it."""

    model_config = ConfigDict(extra="forbid")

    base: str = "lite"
    adapter: Path | None = None


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    profile: _Profile


def resolve_profile(name: str) -> tuple[str, str]:
    """Return the profile that ``name`` stands for, as the library stores it, and why it was chosen."""
    if name == "auto":
        return "lite", "its weights come with the installed packages"
    return (str(Path(name).resolve()) if name.endswith(".toml") else name), ""


def read_profile(name: str) -> ProfileChoice:
    """Return the profile of a name or TOML file. Raises ConfigError for one that is neither."""
    if name in NAMES:
        return ProfileChoice(name, BUILT_IN)
    if not name.endswith(".toml"):
        raise ConfigError(f"there is no profile {name!r}; there are auto, {', '.join(NAMES)}, and TOML files")
    path = Path(name)
    try:
        chosen = _File(**tomllib.loads(path.read_text(encoding="utf-8"))).profile
    except ValidationError as error:
        first = error.errors()[0]
        raise ConfigError(f"{path} is no profile: {'.'.join(map(str, first['loc']))}: {first['msg']}") from error
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} is no profile: {error}") from error
    if chosen.base not in NAMES:
        raise ConfigError(f"{path}: base must be one of {', '.join(NAMES)}, got {chosen.base!r}")
    return ProfileChoice(name, path.parent / chosen.adapter if chosen.adapter else BUILT_IN)
