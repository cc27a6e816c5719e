"""Pictures in a multipart body, written to disk piece by piece as they come in."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from typing import TYPE_CHECKING

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.concurrency import run_in_threadpool

from indexer.ingest import drop
from indexer.uploads import Incoming, Received, Refused
from search.errors import ImageTooLarge, InvalidQuery, UnsupportedMedia

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

FIELD = "file"
MAX_FIELD_BYTES = 64 * 1024
"""Of all that is no file together: nothing here needs more."""


async def receive(
    content_type: str, body: AsyncIterator[bytes], receive_file: Callable[[str], Incoming], *, most: int
) -> list[Received | Refused]:
    """Return the files of a multipart body, in their order, those that are no pictures with the reason.

    Raises InvalidQuery for a body that is none, or that ends too early; UnsupportedMedia for another kind of body;
    ImageTooLarge for more files than allowed; StorageFull. Nothing is kept then.
    """
    parts = _Parts(content_type, receive_file, most)
    try:
        async for chunk in body:
            if chunk:
                await run_in_threadpool(parts.write, chunk)
        return parts.complete()
    except BaseException:
        await run_in_threadpool(parts.drop)
        raise


class _Parts:
    """What a parser's callbacks know of the body so far."""

    def __init__(self, content_type: str, receive_file: Callable[[str], Incoming], most: int) -> None:
        kind, options = parse_options_header(content_type)
        if kind != b"multipart/form-data":
            raise UnsupportedMedia("send pictures as multipart/form-data, each in a field `file`")
        self._receive_file = receive_file
        self._most = most
        self._files: list[Received | Refused] = []
        self._open: Incoming | None = None
        self._header: tuple[bytes, bytes] = b"", b""
        self._headers: dict[bytes, bytes] = {}
        self._field_bytes = 0
        self._ended = False
        callbacks: MultipartCallbacks = {
            "on_part_begin": self._begin,
            "on_header_field": self._header_field,
            "on_header_value": self._header_value,
            "on_header_end": self._header_end,
            "on_headers_finished": self._headers_finished,
            "on_part_data": self._data,
            "on_part_end": self._part_end,
            "on_end": self._end,
        }
        try:
            self._parser = MultipartParser(options[b"boundary"], callbacks)
        except (KeyError, FormParserError) as error:
            raise InvalidQuery("the multipart body has no usable boundary") from error

    def write(self, data: bytes) -> None:
        try:
            self._parser.write(data)
        except FormParserError as error:
            raise InvalidQuery(f"the multipart body cannot be read: {error}") from error

    def complete(self) -> list[Received | Refused]:
        if not self._ended:
            raise InvalidQuery("the multipart body ends too early")
        if not self._files:
            raise InvalidQuery("there is no picture in the body: send each in a field `file`, with a file name")
        return self._files

    def drop(self) -> None:
        if self._open is not None:
            self._open.drop()
        drop(self._files)

    def _begin(self) -> None:
        self._headers = {}
        self._header = b"", b""

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._header = self._header[0] + data[start:end], self._header[1]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._header = self._header[0], self._header[1] + data[start:end]

    def _header_end(self) -> None:
        name, value = self._header
        self._headers[name.lower()] = value
        self._header = b"", b""

    def _headers_finished(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        name = _text(options, b"name")
        if name is None:
            raise InvalidQuery("a part of the multipart body has no name")
        filename = _text(options, b"filename")
        if name != FIELD or filename is None:
            return
        if len(self._files) == self._most:
            raise ImageTooLarge(f"an upload may have {self._most} pictures")
        self._open = self._receive_file(filename)

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._open is not None:
            self._open.write(data[start:end])
            return
        self._field_bytes += end - start
        if self._field_bytes > MAX_FIELD_BYTES:
            raise ImageTooLarge(f"what is no file in the body may have {MAX_FIELD_BYTES:,} bytes together")

    def _part_end(self) -> None:
        if self._open is not None:
            incoming, self._open = self._open, None
            self._files.append(incoming.finish())

    def _end(self) -> None:
        self._ended = True


def _text(options: Mapping[bytes, bytes], key: bytes) -> str | None:
    value = options.get(key)
    return None if value is None else value.decode("utf-8", "replace").replace("\0", "")
