"""What is slow to make, as nets converted for another runtime: kept, so that each is made once on a machine."""

from __future__ import annotations

import functools
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from search.encoders.openvino_runtime import cache_folder, core, ov


def converted(name: str, make: Callable[[Path], None]) -> Path:
    """Return the folder of a converted net, filled by ``make`` if it is not there yet: whole, or not at all."""
    base = kept_in()
    folder = base / name
    if not folder.is_dir():
        making = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=base))
        try:
            make(making)
            os.replace(making, folder)
        except OSError:
            if not folder.is_dir():  # else another process was faster
                raise
        finally:
            shutil.rmtree(making, ignore_errors=True)
    return folder


def compiled(name: str, make: Callable[[], ov.Model], options: Mapping[str, str]) -> ov.CompiledModel:
    """Return a net that is changed after it is read, ready to run.

    The cache of compiled nets knows one that comes from memory by the names of its nodes. Those of a changed net are
    new at each start: it would never be found again, and one more be kept each time. So it is a file of its own.
    """

    def save(folder: Path) -> None:
        ov.save_model(make(), folder / "net.xml", compress_to_fp16=False)

    return core().compile_model(str(converted(name, save) / "net.xml"), "CPU", dict(options))


def converted_if_there(name: str) -> Path | None:
    """Return the folder of what was kept before, or None."""
    folder = kept_in() / name
    return folder if folder.is_dir() else None


def kept_in() -> Path:
    """Return the folder of converted nets: the user's cache, or one for this process where that cannot be written."""
    folder = (cache_folder() or _temporary()) / "converted"
    folder.mkdir(exist_ok=True)
    return folder


@functools.cache
def _temporary() -> Path:
    return Path(tempfile.mkdtemp(prefix="snapseek-"))
