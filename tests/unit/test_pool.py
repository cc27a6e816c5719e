import os
import time
from pathlib import Path

import pytest
from pictures import save

from indexer.pool import DecodePool
from search.config import load_config
from search.errors import ImageTooLarge, UnsupportedImage

# Functions that a decoding process can import and that misbehave as a decoder fed with hostile bytes may.


def hang(*_: object) -> None:
    time.sleep(60)


def crash(*_: object) -> None:
    os.abort()


def hoard(*_: object) -> None:
    bytearray(2**40)


@pytest.fixture
def pool(tmp_path: Path):
    with DecodePool(load_config(data=tmp_path, decode_timeout_s=1.0), workers=1) as pool:
        yield pool


@pytest.mark.parametrize(
    ("misbehave", "error", "reason"),
    [
        (hang, UnsupportedImage, "longer than 1 s"),
        (crash, UnsupportedImage, "crash"),
        (hoard, ImageTooLarge, "memory"),
    ],
)
def test_a_file_that_breaks_the_decoder_costs_that_file_alone(
    pool: DecodePool, tmp_path: Path, misbehave, error, reason
) -> None:
    bad = pool._schedule(misbehave, b"", 640)
    good = pool.submit_file(str(save(tmp_path / "a.jpg")), 640)
    with pytest.raises(error, match=reason):
        pool.result(bad)
    assert pool.result(good).width == 96


def test_a_missing_file_is_an_os_error(pool: DecodePool, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        pool.result(pool.submit_file(str(tmp_path / "no.jpg"), 640))


def test_a_pool_that_decoded_nothing_can_be_closed(tmp_path: Path) -> None:
    DecodePool(load_config(data=tmp_path), workers=2).close()
