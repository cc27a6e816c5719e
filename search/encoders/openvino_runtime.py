"""OpenVINO, set up in one way for all nets that run in it."""

from __future__ import annotations

import functools
import os
import sys
from pathlib import Path

# OpenVINO, its converter and NNCF would keep and send statistics; without this module, which they can do without, they
# do not. It must be so before OpenVINO is imported, so all that need OpenVINO have it from here.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
os.environ.setdefault("NNCF_CI", "1")

import openvino as ov  # noqa: E402
import openvino.passes  # noqa: E402

__all__ = ["LATENCY", "THROUGHPUT", "cache_folder", "core", "ov"]

THROUGHPUT = {"PERFORMANCE_HINT": "THROUGHPUT"}
"""For pictures: several at once, each on a core."""
LATENCY = {"PERFORMANCE_HINT": "LATENCY"}
"""For the text of a query: one at a time, as quickly as may be."""


@functools.cache
def core() -> ov.Core:
    """Return the one core of this process, with a cache of compiled nets: converting the detector takes seconds."""
    runtime = ov.Core()
    folder = cache_folder()
    if folder is not None:
        runtime.set_property({"CACHE_DIR": str(folder)})
    return runtime


def cache_folder() -> Path | None:
    """Return a folder of the user's own that can be written, or None; the cache is a convenience."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(base) / "snapseek" / f"openvino-{ov.get_version().split('-')[0]}"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError:
        return None
    return folder if os.access(folder, os.W_OK) else None
