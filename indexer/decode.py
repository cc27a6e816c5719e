"""Bytes → one upright sRGB picture that all models share, with its thumbnail and what EXIF tells.

This is the only place that parses hostile bytes. `indexer.pool` runs it in processes of their own.
"""

from __future__ import annotations

import hashlib
import io
import math
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    ExifTags,
    GifImagePlugin,
    Image,
    ImageCms,
    ImageOps,
    Jpeg2KImagePlugin,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from indexer import metadata
from indexer.magic import HEAD, HEIF, TAIL, suffix_of, why_refused, why_two_in_one
from search.errors import DamagedImage, ImageTooLarge, InvalidQuery, UnsupportedImage
from search.looks import THUMBNAIL_SIDE
from search.phash import perceptual_hash
from search.types import Box, ImageId, Location, Rejected, Shot
from search.written import Written

if HEIF:
    from pillow_heif import register_heif_opener

    register_heif_opener(thumbnails=False)

READERS = (
    JpegImagePlugin,
    PngImagePlugin,
    WebPImagePlugin,
    GifImagePlugin,
    TiffImagePlugin,
    BmpImagePlugin,
    AvifImagePlugin,
    Jpeg2KImagePlugin,
)
"""Imported by name: given a list of formats, `Image.open` does not load the readers by itself."""

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "AVIF", "JPEG2000") + (("HEIF",) if HEIF else ())
"""The allow-list: Pillow's readers for documents, fonts and vector formats are never tried on a file."""

MAX_ICC_BYTES = 4 * 2**20
LEAST_PART = 16
"""Pixels that a part of a picture must have on each side to be looked at by itself."""

# The bomb check is ours, with a limit from the config; Pillow's own must not fire at another number.
warnings.simplefilter("ignore", Image.DecompressionBombWarning)


@dataclass(frozen=True, slots=True)
class Limits:
    """What a file may cost."""

    max_bytes: int
    max_pixels: int


@dataclass(frozen=True, slots=True)
class Decoded:
    """One picture, ready for models: ``pixels`` is upright sRGB, shape (height, width, 3), uint8, perhaps reduced."""

    id: ImageId
    size_bytes: int
    mime_type: str
    width: int
    """Of the original, upright, in pixels."""
    height: int
    pixels: NDArray[np.uint8]
    thumbnail: bytes
    """WebP without metadata, at most 512 pixels on its long side."""
    phash: int
    taken_at: datetime | None
    camera: str | None
    shot: Shot | None
    location: Location | None
    written: Written | None = None
    """What people wrote in the file, and, where it was read from one, in its sidecars."""
    unread: tuple[Rejected, ...] = ()
    """Metadata that could not be read, by the name of its file, and why."""
    seconds: float = 0.0
    """That reading and decoding took."""

    def image(self) -> Image.Image:
        return Image.fromarray(self.pixels)


def image_id(data: bytes) -> ImageId:
    """Return the identity of a picture: the first 32 hex digits of the SHA-256 of its bytes."""
    return ImageId(hashlib.sha256(data).hexdigest()[:32])


def decode_file(path: str, side: int, limits: Limits, sidecars: Sequence[str] = ()) -> Decoded:
    """Read and decode a file; see `decode`. Raises OSError where it cannot be read."""
    return decode(_read(path, limits), side, limits, path, sidecars)


def _read(path: str, limits: Limits) -> bytes:
    with Path(path).open("rb") as file:
        return file.read(limits.max_bytes + 1)


def decode(data: bytes, side: int, limits: Limits, path: str = "", sidecars: Sequence[str] = ()) -> Decoded:
    """Return the picture in ``data``, its long side reduced to about ``side`` pixels where it is longer.

    ``sidecars``: names of files that tell of it, relative to the folder of ``path``, the nearest first.
    The first frame of an animation counts. Transparent parts are laid on white, colour profiles are turned to sRGB.
    Raises UnsupportedImage or ImageTooLarge with the reason.
    """
    began = time.perf_counter()
    if len(data) > limits.max_bytes:
        raise ImageTooLarge(f"the file has more than {limits.max_bytes:,} bytes")
    if not data:
        raise UnsupportedImage("the file is empty")
    if suffix_of(data[:HEAD]) is None:
        raise UnsupportedImage(why_refused(data[:HEAD]))
    if reason := why_two_in_one(data[:1024], data[-TAIL:]):
        raise UnsupportedImage(reason)
    image = _open(data)
    if image.width * image.height > limits.max_pixels:
        raise ImageTooLarge(f"{image.width} x {image.height} pixels are more than {limits.max_pixels:,}")
    try:
        decoded = _decode(image, data, side)
    except MemoryError as error:
        raise ImageTooLarge(f"decoding {image.width} x {image.height} pixels needs too much memory") from error
    except Exception as error:  # a parser fed with hostile bytes raises nearly anything
        raise DamagedImage(f"damaged {image.format} file: {error}") from error
    written, unread = metadata.written(path, sidecars, metadata.embedded(image))
    return replace(decoded, written=written, unread=unread, seconds=time.perf_counter() - began)


def decode_part(data: bytes, side: int, limits: Limits, box: Box) -> Decoded:
    """Return a part of the picture in ``data`` as a picture of its own, with the id of the whole.

    Raises InvalidQuery where the part is too small to tell anything.
    """
    whole = decode(data, math.ceil(side / max(box.width, box.height)), limits)
    width, height = round(box.width * whole.width), round(box.height * whole.height)
    if min(width, height) < LEAST_PART:
        raise InvalidQuery(
            f"the box is {width} x {height} pixels of the picture's {whole.width} x {whole.height};"
            f" at least {LEAST_PART} x {LEAST_PART} are needed"
        )
    rows, columns = whole.pixels.shape[:2]
    pixels = whole.pixels[_span(box.y, box.height, rows), _span(box.x, box.width, columns)]
    picture = Image.fromarray(pixels)
    thumbnail = encode_thumbnail(picture, THUMBNAIL_SIDE)
    changed: dict[str, Any] = {"pixels": pixels, "thumbnail": thumbnail, "phash": perceptual_hash(picture)}
    return replace(whole, width=width, height=height, **changed)


def decode_part_of_file(path: str, side: int, limits: Limits, box: Box) -> Decoded:
    """Read a file and decode a part of it; see `decode_part`. Raises OSError where it cannot be read."""
    return decode_part(_read(path, limits), side, limits, box)


def _span(start: float, length: float, whole: int) -> slice:
    """Return which of ``whole`` pixels a stretch covers: one at least."""
    first = min(int(start * whole), whole - 1)
    return slice(first, max(first + 1, min(whole, round((start + length) * whole))))


def _open(data: bytes) -> Image.Image:
    Image.MAX_IMAGE_PIXELS = None
    try:
        return Image.open(io.BytesIO(data), formats=FORMATS)
    except Exception as error:
        raise UnsupportedImage("not a picture in a supported format, or damaged in its header") from error


def _decode(image: Image.Image, data: bytes, side: int) -> Decoded:
    exif = _exif(image)
    width, height = image.size
    if exif.get(ExifTags.Base.Orientation) in (5, 6, 7, 8):
        width, height = height, width
    mime_type = Image.MIME.get(image.format or "", "application/octet-stream")
    icc = image.info.get("icc_profile")
    if image.format in ("JPEG", "MPO"):
        image.draft(None, (side, side))  # decodes at 1/2, 1/4 or 1/8, never below the size asked for
    image.load()
    upright = ImageOps.exif_transpose(image)
    reduced = _reduced(_eight_bit(upright), side)
    picture = _on_white(_to_srgb(reduced, icc))
    return Decoded(
        id=image_id(data),
        size_bytes=len(data),
        mime_type=mime_type,
        width=width,
        height=height,
        pixels=np.asarray(picture),
        thumbnail=encode_thumbnail(picture, THUMBNAIL_SIDE),
        phash=perceptual_hash(picture),
        taken_at=_taken_at(exif),
        camera=_camera(exif),
        shot=_shot(exif),
        location=_location(exif),
    )


def encode_thumbnail(picture: Image.Image, side: int) -> bytes:
    """Return a WebP of at most ``side`` pixels on its long side; re-encoded, so no metadata is left in it."""
    small = _reduced(picture, side)
    buffer = io.BytesIO()
    small.save(buffer, "WEBP", quality=78, method=2)
    return buffer.getvalue()


def _reduced(image: Image.Image, side: int) -> Image.Image:
    scale = side / max(image.size)
    if scale >= 1:
        return image
    if image.mode in ("P", "1"):
        image = image.convert("RGBA" if image.has_transparency_data else "RGB")
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return image.resize(size, Image.Resampling.BICUBIC, reducing_gap=2.0)


def _eight_bit(image: Image.Image) -> Image.Image:
    """Scale 16-bit and float grey down: Pillow's own conversion clips at 255, which turns photos white."""
    if not image.mode.startswith(("I", "F")):
        return image
    values = np.nan_to_num(np.asarray(image, dtype=np.float64))
    if image.mode == "F":
        low, high = float(values.min()), float(values.max())
        values = (values - low) / (high - low or 1.0) * 255
    else:
        values = values * (255 / 65535)
    return Image.fromarray(np.clip(values, 0, 255).astype(np.uint8))


def _to_srgb(image: Image.Image, icc: bytes | None) -> Image.Image:
    """Apply the embedded colour profile. A broken or foreign one is passed over, as browsers do."""
    if image.mode == "LAB":
        return _convert_profile(image, ImageCms.createProfile("LAB"), "RGB") or image.convert("RGB")
    if not icc or len(icc) > MAX_ICC_BYTES or image.mode not in ("RGB", "RGBA", "CMYK", "L"):
        return image
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(icc))
    except (OSError, ImageCms.PyCMSError):
        return image
    return _convert_profile(image, profile, "RGBA" if image.mode == "RGBA" else "RGB") or image


def _convert_profile(image: Image.Image, profile: Any, mode: str) -> Image.Image | None:
    try:
        return ImageCms.profileToProfile(image, profile, ImageCms.createProfile("sRGB"), outputMode=mode)
    except (ImageCms.PyCMSError, ValueError, TypeError):
        return None


def _on_white(image: Image.Image) -> Image.Image:
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        white = Image.new("RGBA", rgba.size, "white")
        return Image.alpha_composite(white, rgba).convert("RGB")
    return image.convert("RGB")


def _exif(image: Image.Image) -> Image.Exif:
    try:
        return image.getexif()
    except Exception:  # EXIF is optional, and broken EXIF is common
        return Image.Exif()


def _ifd(exif: Image.Exif, which: int) -> dict[int, object]:
    try:
        return dict(exif.get_ifd(which))
    except Exception:
        return {}


def _taken_at(exif: Image.Exif) -> datetime | None:
    details = _ifd(exif, ExifTags.IFD.Exif)
    for value in (details.get(ExifTags.Base.DateTimeOriginal), exif.get(ExifTags.Base.DateTime)):
        try:
            taken = datetime.strptime(str(value).strip("\0 "), "%Y:%m:%d %H:%M:%S")
        except ValueError:
            continue
        if 1826 <= taken.year <= 9998:  # no photograph is older; cameras without a clock write zeros
            return taken
    return None


def _camera(exif: Image.Exif) -> str | None:
    make, model = (str(exif.get(tag) or "").strip("\0 ")[:100] for tag in (ExifTags.Base.Make, ExifTags.Base.Model))
    if make and model.lower().startswith(make.lower()):
        make = ""
    return _printable(" ".join(part for part in (make, model) if part))


def _printable(text: str) -> str | None:
    return "".join(c for c in text if c.isprintable()) or None


def _shot(exif: Image.Exif) -> Shot | None:
    details = _ifd(exif, ExifTags.IFD.Exif)
    iso = details.get(ExifTags.Base.ISOSpeedRatings)
    shot = Shot(
        lens=_printable(str(details.get(ExifTags.Base.LensModel) or "").strip("\0 ")[:100]),
        exposure_s=_above_zero(details.get(ExifTags.Base.ExposureTime), 1e6),
        aperture=_above_zero(details.get(ExifTags.Base.FNumber), 1e3),
        iso=round(_above_zero(iso[0] if isinstance(iso, tuple) and iso else iso, 1e8) or 0) or None,
        focal_length_mm=_above_zero(details.get(ExifTags.Base.FocalLength), 1e5),
    )
    return None if shot == Shot() else shot


def _above_zero(value: object, most: float) -> float | None:
    """Return a number as EXIF has it, at seven digits; None for one that no camera means: cameras write 0 or 1/0."""
    try:
        number = float(f"{float(TiffImagePlugin.IFDRational(value)):.7g}")  # type: ignore[arg-type]
    except (TypeError, ValueError, ZeroDivisionError, OverflowError):
        return None
    return number if 0 < number <= most else None


def _location(exif: Image.Exif) -> Location | None:
    gps = _ifd(exif, ExifTags.IFD.GPSInfo)
    latitude = _degrees(gps.get(ExifTags.GPS.GPSLatitude), gps.get(ExifTags.GPS.GPSLatitudeRef), 90)
    longitude = _degrees(gps.get(ExifTags.GPS.GPSLongitude), gps.get(ExifTags.GPS.GPSLongitudeRef), 180)
    if latitude is None or longitude is None:
        return None
    return Location(latitude, longitude)


def _degrees(parts: object, reference: object, most: int) -> float | None:
    try:
        degrees, minutes, seconds = (float(TiffImagePlugin.IFDRational(p)) for p in parts)  # type: ignore[attr-defined]
        value = degrees + minutes / 60 + seconds / 3600
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    if not 0 <= value <= most:  # also false for NaN
        return None
    return -value if str(reference).strip("\0 ").upper() in ("S", "W") else value
