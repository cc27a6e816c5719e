"""Decoding in processes of their own: a file that hangs, eats memory or crashes the decoder costs that file alone."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections.abc import Sequence
from concurrent.futures import TimeoutError as FutureTimeout
from types import TracebackType
from typing import Any

from pebble import ProcessExpired, ProcessFuture, ProcessPool

from indexer.decode import Decoded, Limits, decode, decode_file, decode_part, decode_part_of_file
from indexer.sandbox import allow_seconds, restrict
from search.config import Config
from search.errors import DamagedImage, DecoderKilled, ImageTooLarge, SnapseekError
from search.types import Box


class DecodePool:
    """Processes that decode under limits of time and memory. Use it as a context manager."""

    def __init__(self, config: Config, *, workers: int) -> None:
        """Processes start with the first picture, not before."""
        self._limits = Limits(config.max_file_bytes, config.max_pixels)
        self._timeout_s = config.decode_timeout_s
        # Not fork: the parent runs model threads, whose locks a forked child would inherit.
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["indexer.decode", "indexer.call_filter"])
        self._pool = ProcessPool(
            max_workers=workers, context=context, initializer=_start, initargs=(config.decode_memory_bytes,)
        )

    def submit_file(self, path: str, side: int, sidecars: Sequence[str] = ()) -> ProcessFuture[Decoded]:
        """Start decoding a file with ``sidecars``, as `decode` takes them; `result` waits for it."""
        return self._schedule(decode_file, path, side, sidecars)

    def submit_bytes(self, data: bytes, side: int) -> ProcessFuture[Decoded]:
        return self._schedule(decode, data, side)

    def submit_part_of_file(self, path: str, side: int, box: Box) -> ProcessFuture[Decoded]:
        """Start decoding a part of a file as a picture of its own."""
        return self._schedule(decode_part_of_file, path, side, box)

    def submit_part(self, data: bytes, side: int, box: Box) -> ProcessFuture[Decoded]:
        return self._schedule(decode_part, data, side, box)

    def _schedule(self, function: Any, source: str | bytes, side: int, *more: Any) -> ProcessFuture[Decoded]:
        arguments = [function, self._timeout_s, source, side, self._limits, *more]
        return self._pool.schedule(_limited, args=arguments, timeout=self._timeout_s)

    def result(self, future: ProcessFuture[Decoded]) -> Decoded:
        """Wait for a picture. Raises UnsupportedImage, ImageTooLarge, InvalidQuery or OSError with the reason."""
        try:
            decoded: Decoded = future.result()
        except FutureTimeout as error:
            raise DecoderKilled(f"decoding took longer than {self._timeout_s:g} s") from error
        except ProcessExpired as error:
            if error.exitcode == -signal.SIGXCPU:
                raise DecoderKilled(f"decoding took longer than {self._timeout_s:g} s of each core") from error
            raise DecoderKilled(f"the file made the decoder crash (exit code {error.exitcode})") from error
        except MemoryError as error:
            raise ImageTooLarge("decoding needs too much memory") from error
        except (SnapseekError, OSError):
            raise
        except Exception as error:  # whatever a decoder raised travels through the pipe
            raise DamagedImage(f"not decodable: {error}") from error
        return decoded

    def __enter__(self) -> DecodePool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the processes at once; what is still running is dropped."""
        self._pool.stop()  # type: ignore[no-untyped-call]
        self._pool.join()


def _start(memory_bytes: int) -> None:
    """Shut this decoding process in, before it sees a file."""
    # libtiff and others print what they think of a broken file; the person is told once, by us, with the reason.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())
    restrict(memory_bytes)


def _limited(function: Any, seconds: float, *arguments: Any) -> Any:
    allow_seconds(seconds)
    return function(*arguments)
