"""Files that are written whole or not at all, whatever ends the process or fills the disk."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def write_whole(path: Path, data: bytes, *, mode: int | None = None) -> None:
    """Put ``data`` into a file in one step. ``mode``: its permissions; without, it is its owner's alone."""
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".snapseek-", delete=False) as file:
        try:
            file.write(data)
            file.flush()
            if mode is not None:
                os.chmod(file.name, mode)
            os.replace(file.name, path)
        except BaseException:
            os.unlink(file.name)
            raise
