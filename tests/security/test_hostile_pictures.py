"""Attacks by a picture, each by name: all go through the real decoding processes, and a sound picture after each."""

from __future__ import annotations

import io
import os
import socket
import struct
import subprocess
import time
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from pictures import save
from PIL import Image, PngImagePlugin

from indexer.pool import DecodePool
from indexer.scan import scan
from search.config import load_config
from search.errors import ImageTooLarge, UnsupportedImage

SIDE = 640


def picture(format: str = "JPEG", **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.effect_mandelbrot((96, 64), (-2, -1, 1, 1), 50).convert("RGB").save(buffer, format, **options)
    return buffer.getvalue()


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, *more: bytes) -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return (
        b"\x89PNG\r\n\x1a\n"
        + header
        + b"".join(more)
        + chunk(b"IDAT", zlib.compress(b"\0" * 1000))
        + chunk(b"IEND", b"")
    )


def archive() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("run.sh", "#!/bin/sh")
    return buffer.getvalue()


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DecodePool]:
    config = load_config(data=tmp_path_factory.mktemp("data"), decode_timeout_s=20.0, max_file_bytes=8 * 2**20)
    with DecodePool(config, workers=1) as pool:
        yield pool


REFUSED = {
    "pixel bomb": (png(60_000, 60_000), ImageTooLarge, "pixels"),
    "file bomb": (b"\xff\xd8\xff" + bytes(9 * 2**20), ImageTooLarge, "bytes"),
    "text chunk bomb": (
        png(8, 8, *(chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(2**21))) for _ in range(4))),
        UnsupportedImage,
        ".",
    ),
    "zip behind": (picture() + archive(), UnsupportedImage, "ZIP"),
    "zip before": (archive() + picture(), UnsupportedImage, "ZIP"),
    "html behind": (picture() + b"<html><script>alert(1)</script>", UnsupportedImage, "web page"),
    "html behind a PNG": (picture("PNG") + b"<!DOCTYPE html><p>", UnsupportedImage, "web page"),
    "html before": (b"<html>" + picture(), UnsupportedImage, "web page"),
    "script before": (b"/*" + picture(), UnsupportedImage, "not a picture"),
    "pdf inside": (picture(comment=b"%PDF-1.7"), UnsupportedImage, "PDF"),
    "svg": (b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>", UnsupportedImage, "SVG"),
    "pdf": (b"%PDF-1.7\n", UnsupportedImage, "document"),
    "eps": (b"%!PS-Adobe-3.0 EPSF-3.0\n", UnsupportedImage, "document"),
    "eps with a preview": (b"\xc5\xd0\xd3\xc6" + bytes(40), UnsupportedImage, "document"),
    "psd": (b"8BPS\0\1" + bytes(40), UnsupportedImage, "Photoshop"),
    "fpx": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), UnsupportedImage, "OLE"),
    "gzip": (b"\x1f\x8b\x08" + bytes(40), UnsupportedImage, "archive"),
    "type confusion": (b"\x89PNG\r\n\x1a\n" + picture()[8:], UnsupportedImage, "."),
    "truncated header": (picture()[:20], UnsupportedImage, "."),
    "nothing": (b"", UnsupportedImage, "empty"),
}


@pytest.mark.parametrize("attack", REFUSED)
def test_it_is_refused_with_a_reason_and_the_next_picture_is_read(pool: DecodePool, attack: str) -> None:
    data, error, reason = REFUSED[attack]
    with pytest.raises(error, match=reason) as raised:
        pool.result(pool.submit_bytes(data, SIDE))
    assert str(raised.value)
    assert pool.result(pool.submit_bytes(picture(), SIDE)).width == 96


def test_frames_beyond_the_first_cost_nothing(pool: DecodePool) -> None:
    frames = [Image.new("RGB", (640, 640), (shade, 0, 0)) for shade in range(200)]
    buffer = io.BytesIO()
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:])
    assert pool.result(pool.submit_bytes(buffer.getvalue(), SIDE)).width == 640


@pytest.mark.parametrize("profile", [bytes(5 * 2**20), b"\xff" * 3000, b"\0\0\x0b\xb8lcms" + bytes(2992)])
def test_a_bad_colour_profile_is_passed_over(pool: DecodePool, profile: bytes) -> None:
    assert pool.result(pool.submit_bytes(picture(icc_profile=profile), SIDE)).width == 96


def test_exif_that_loops_or_lies_is_passed_over(pool: DecodePool) -> None:
    loop = b"Exif\0\0II*\0\x08\0\0\0" + b"\x01\0" + struct.pack("<HHII", 0x8769, 4, 1, 8) + struct.pack("<I", 8)
    lies = b"Exif\0\0II*\0\x08\0\0\0" + b"\xff\xff" + struct.pack("<HHII", 0x010F, 2, 2**32 - 1, 2**32 - 1)
    for exif in (loop, lies):
        decoded = pool.result(pool.submit_bytes(picture(exif=exif), SIDE))
        assert decoded.location is None


def test_a_thumbnail_has_nothing_of_the_metadata(pool: DecodePool) -> None:
    exif = Image.Exif()
    exif[0x010F] = "SECRETCAM"
    exif.get_ifd(0x8825).update({1: "N", 2: (52.0, 30.0, 0.0), 3: "E", 4: (13.0, 24.0, 0.0)})
    decoded = pool.result(pool.submit_bytes(picture(exif=exif.tobytes(), comment=b"SECRETNOTE"), SIDE))
    assert decoded.location is not None
    assert b"SECRET" not in decoded.thumbnail
    with Image.open(io.BytesIO(decoded.thumbnail)) as thumbnail:
        assert not thumbnail.getexif()
        assert "icc_profile" not in thumbnail.info


def test_a_name_with_nul_is_one_error(pool: DecodePool) -> None:
    with pytest.raises((UnsupportedImage, OSError)):
        pool.result(pool.submit_file("a\0b.jpg", SIDE))


def test_a_linked_folder_is_not_walked(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    save(tmp_path / "outside" / "secret.jpg")
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "way").symlink_to(tmp_path / "outside")
    assert list(scan(tmp_path / "root", Path())) == []


# What a decoder that was taken over may try: functions that a decoding process can import.


def connect(*_: object) -> None:
    socket.socket()


def run(*_: object) -> None:
    subprocess.run(["true"], check=True)


def write(path: str, *_: object) -> None:
    Path(path).write_text("here", encoding="utf-8")


def delete(path: str, *_: object) -> None:
    os.unlink(path)


def read(path: str, *_: object) -> int:
    return len(Path(path).read_bytes())


def burn(*_: object) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        pass


def sandboxed() -> bool:
    try:
        import pyseccomp  # noqa: F401
    except (ImportError, RuntimeError):
        return False
    return True


@pytest.mark.skipif(not sandboxed(), reason="there is no libseccomp on this machine")
@pytest.mark.parametrize("attack", [connect, run, write, delete])
def test_a_decoder_that_is_taken_over_reaches_nothing(pool: DecodePool, attack, tmp_path: Path) -> None:
    there = tmp_path / "there"
    there.write_text("mine", encoding="utf-8")
    with pytest.raises(PermissionError):
        pool.result(pool._schedule(attack, str(there), SIDE))
    assert there.read_text(encoding="utf-8") == "mine"
    assert pool.result(pool._schedule(read, str(there), SIDE)) == 4


def test_of_two_files_only_the_one_that_burns_time_is_named(tmp_path: Path) -> None:
    with DecodePool(load_config(data=tmp_path, decode_timeout_s=1.0), workers=2) as pool:
        good = [pool.submit_bytes(picture(), SIDE) for _ in range(3)]
        bad = pool._schedule(burn, b"", SIDE)
        good += [pool.submit_bytes(picture(), SIDE) for _ in range(3)]
        with pytest.raises(UnsupportedImage, match="longer than 1 s"):
            pool.result(bad)
        assert [pool.result(one).width for one in good] == [96] * 6


def test_a_compressed_text_is_read_up_to_a_limit(pool: DecodePool) -> None:
    info = PngImagePlugin.PngInfo()
    info.add_text("note", "x" * 100_000, zip=True)
    assert pool.result(pool.submit_bytes(picture("PNG", pnginfo=info), SIDE)).width == 96
