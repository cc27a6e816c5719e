"""Which runtime and precision a model's towers take on this machine, as `snapseek models bench` measured it."""

from __future__ import annotations

import json
from collections.abc import Mapping

from search.encoders.converted import kept_in
from search.whole_files import write_whole

FILE = "runtimes.json"

Choice = tuple[str, str]
"""Runtime and precision."""
DEFAULT: Choice = ("openvino", "fp32")
"""Where nothing was measured: the same vectors as torch's, about as fast or faster (docs/models.md)."""


def chosen(fingerprint: str, which: str) -> Choice:
    """Return what was measured to be the fastest for the tower of a space, `image` or `text`."""
    found = _all().get(fingerprint, {}).get(which, DEFAULT)
    return found[0], found[1]


def keep(fingerprint: str, choices: Mapping[str, Choice]) -> None:
    """Use these from now on for a space's towers on this machine."""
    everything = {**_all(), fingerprint: dict(choices)}
    write_whole(kept_in() / FILE, json.dumps(everything, indent=1).encode())


def _all() -> dict[str, dict[str, Choice]]:
    try:
        found: dict[str, dict[str, Choice]] = json.loads((kept_in() / FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found
