"""Where a library's pages begin: at the root of a server, or below `/libraries/NAME` where it has several."""

from __future__ import annotations

from contextvars import ContextVar

_ROOT: ContextVar[str] = ContextVar("root", default="")


def set_root(root: str) -> None:
    """Say where the library of the request at hand begins: empty, or a path without a slash at its end."""
    _ROOT.set(root)


def at(path: str = "") -> str:
    """Return the address of a path of the library at hand.

    >>> at("/saved")
    '/saved'
    """
    return _ROOT.get() + path
