"""Pictures with bytes changed, cut out and put in, sent to a real server: it names what it does not take."""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from libraries import index, quick_profile
from pictures import a_picture, encoded, save
from PIL import Image, ImageCms
from processes import Command, Server, serving, wait_for

HARD = Path(__file__).parents[3] / "shared" / "data" / "hard"
MOST_BYTES = 200_000
NUMBER, AT_ONCE = 300, 25
EDGES = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFF_FFFF, 0xFFFF_FFFF)


def originals() -> list[bytes]:
    """Return sound pictures of every format, and the hard ones (odd and broken) where they are there."""
    exif = Image.Exif()
    exif.get_ifd(0x8825).update({1: "N", 2: (52.0, 30.0, 0.0), 3: "E", 4: (13.0, 24.0, 0.0)})
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    whole = [
        encoded(a_picture(1), "JPEG", exif=exif, icc_profile=profile),
        encoded(a_picture(2), "JPEG", progressive=True),
    ]
    whole += [encoded(a_picture(3), format) for format in ("PNG", "WEBP", "TIFF", "BMP", "GIF", "AVIF", "JPEG2000")]
    whole.append(encoded(a_picture(4), "GIF", save_all=True, append_images=[a_picture(5), a_picture(6)]))
    whole.append(encoded(a_picture(7), "PNG", exif=exif, icc_profile=profile))
    if HARD.is_dir():
        whole += [path.read_bytes() for path in sorted(HARD.iterdir()) if 0 < path.stat().st_size < MOST_BYTES]
    return whole


def mutated(chance: random.Random, whole: Sequence[bytes]) -> bytes:
    """Return one of the pictures after one to eight changes, as fuzzers make them."""
    data = bytearray(chance.choice(whole))
    for _ in range(chance.randint(1, 8)):
        # Headers are short, and most decisions fall there.
        at = chance.randrange(min(len(data), 512) if chance.random() < 0.7 else len(data)) if data else 0
        match chance.randrange(7):
            case 0:
                data[at : at + 1] = bytes([chance.randrange(256)])
            case 1:
                size = chance.choice((1, 2, 4))
                order = chance.choice("<>")
                edge = chance.choice(EDGES) & (256**size - 1)
                data[at : at + size] = struct.pack(order + {1: "B", 2: "H", 4: "I"}[size], edge)
            case 2:
                del data[at : at + chance.randint(1, 64)]
            case 3:
                data[at:at] = chance.randbytes(chance.randint(1, 64))
            case 4:
                data[at:at] = data[at : at + chance.randint(1, 256)]
            case 5:
                del data[chance.randint(len(data) // 2, len(data)) :]
            case 6:
                other = chance.choice(whole)
                data[at:] = other[chance.randrange(len(other)) :]
    return bytes(data)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    profile = quick_profile(tmp_path)
    save(tmp_path / "photos" / "sound.png")
    index(tmp_path / "library", tmp_path / "photos", profile=profile)
    with serving(tmp_path / "library", tmp_path / "log", "--workers", "1", profile=profile) as server:
        yield server


def test_changed_bytes_in_pictures_end_nothing(server: Server, tmp_path: Path) -> None:
    chance = random.Random(20)
    whole = originals()
    jobs: list[str] = []
    for start in range(0, NUMBER, AT_ONCE):
        files = [("file", (f"{start + n}.jpg", mutated(chance, whole), "image/jpeg")) for n in range(AT_ONCE)]
        answer = server.client.post("/v1/images", files=files)
        assert answer.status_code in (202, 415, 422), answer.text
        told = answer.json()
        if "job" in told:
            jobs.append(told["job"])

    def jobs_now() -> list[dict]:
        return [server.client.get(f"/v1/jobs/{job}").json() for job in jobs]

    wait_for(
        "every picture to be taken or named", lambda: all(job["finished_at"] for job in jobs_now()), 240, pause_s=1
    )
    found = jobs_now()
    named = [one for job in found for one in job["rejected"]]
    done = sum(job["done"] for job in found)
    assert all(one["reason"] and one["name"] for one in named)
    assert done > NUMBER // 10, "the changes left next to nothing that decodes, so that they tried next to nothing"
    assert len(named) > NUMBER // 10
    assert done + len(named) == sum(job["total"] for job in found)
    assert server.client.get("/readyz").status_code == 200
    assert server.client.get("/v1/search").json()["hits"]
    assert server.stop() == 0
    assert "Traceback" not in server.log.read_text(encoding="utf-8")
    verified = Command(tmp_path / "library", tmp_path / "verify", "verify")
    assert verified.wait() == 0, verified.log.read_text(encoding="utf-8")
