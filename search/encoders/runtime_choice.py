"""Which runtime and precision a model's towers take on this machine, as `snapseek models bench` measured it."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping

from search.encoders.converted import kept_in

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
    descriptor, draft = tempfile.mkstemp(prefix=f".{FILE}-", dir=kept_in())
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(everything, file, indent=1)
    os.replace(draft, kept_in() / FILE)


def _all() -> dict[str, dict[str, Choice]]:
    try:
        found: dict[str, dict[str, Choice]] = json.loads((kept_in() / FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found
