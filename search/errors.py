"""What can go wrong, as one tree; `api/errors.py` maps it to statuses.

SnapseekError
├── InvalidQuery         empty, too long, unknown field; may carry a position
├── NotFound             no such image
├── Unauthorized         no key, or a wrong one
├── Forbidden            a key without this scope
├── UnsupportedImage     not decodable
├── UnsupportedMedia     a body of another kind than is wanted
├── ImageTooLarge        bytes or pixels over the limit
├── Conflict             another writer is at work
├── QueueFull            too many pictures wait already: send them later
├── RateLimited          more requests than one key, or address, may send
├── Unavailable          store down, index not loaded: try again later
│   ├── StorageFull      the disk is full: nothing was changed
│   ├── ModelUnavailable weights missing: says what to run
│   └── SpaceMismatch    library and encoder are in different spaces
└── ConfigError          a bad option or call
"""

from __future__ import annotations


class SnapseekError(Exception):
    """Base of all errors of this project; the message is written for the person who reads it."""


class InvalidQuery(SnapseekError):
    """The request makes no sense. ``position`` is the 0-based place in a filter expression."""

    def __init__(self, message: str, *, position: int | None = None) -> None:
        super().__init__(message)
        self.position = position


class NotFound(SnapseekError):
    """There is no such image."""


class Unauthorized(SnapseekError):
    """No API key, or one that is not known."""


class Forbidden(SnapseekError):
    """The API key lacks the scope."""


class UnsupportedImage(SnapseekError):
    """The bytes are no picture that can be decoded."""


class DamagedImage(UnsupportedImage):
    """A picture of a format that is read, but not all of it can be."""


class DecoderKilled(UnsupportedImage):
    """Decoding took longer than it may, or ended its process."""


class UnsupportedMedia(SnapseekError):
    """What was sent is of another kind than is wanted."""


class ImageTooLarge(SnapseekError):
    """More bytes or pixels than the limits allow."""


class Conflict(SnapseekError):
    """Another process is writing to this library."""


class QueueFull(SnapseekError):
    """As many pictures wait to be indexed as may. ``retry_after_s`` says when to try again."""

    retry_after_s = 10


class RateLimited(SnapseekError):
    """Too many requests came from one key, or address. ``retry_after_s`` says when to try again."""

    def __init__(self, message: str, retry_after_s: int) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class Unavailable(SnapseekError):
    """A part that is needed is away for now. ``retry_after_s`` says when to try again."""

    retry_after_s = 5


class StorageFull(Unavailable):
    """There is no room for what was sent; nothing of it is kept."""


class ModelUnavailable(Unavailable):
    """Weights are missing; the message says what to run."""


class SpaceMismatch(Unavailable):
    """The library's vectors are of another embedding space than the encoder's."""


class ConfigError(SnapseekError):
    """A bad option, folder or library: exit status 2."""
