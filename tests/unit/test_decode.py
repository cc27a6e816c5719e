import io
import struct
import zlib
from datetime import datetime

import numpy as np
import pytest
from pictures import a_picture, encoded
from PIL import ExifTags, Image, ImageCms, TiffImagePlugin

from indexer.decode import Limits, decode, encode_thumbnail, image_id
from search.errors import ImageTooLarge, UnsupportedImage
from search.types import Location, Shot

LIMITS = Limits(max_bytes=10_000_000, max_pixels=4_000_000)


def decoded(data: bytes, side: int = 640):
    return decode(data, side, LIMITS)


def test_the_id_is_the_first_half_of_the_sha256_of_the_bytes() -> None:
    assert image_id(b"abc") == "ba7816bf8f01cfea414140de5dae2223"


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_exif_orientation_comes_out_upright(orientation: int) -> None:
    upright = Image.new("RGB", (60, 40), "white")
    upright.paste("red", (0, 0, 30, 20))  # red in the top left corner, whatever the camera did
    turned = {
        1: (), 2: (Image.Transpose.FLIP_LEFT_RIGHT,), 3: (Image.Transpose.ROTATE_180,),
        4: (Image.Transpose.FLIP_TOP_BOTTOM,), 5: (Image.Transpose.TRANSPOSE,), 6: (Image.Transpose.ROTATE_90,),
        7: (Image.Transpose.TRANSVERSE,), 8: (Image.Transpose.ROTATE_270,),
    }[orientation]  # fmt: skip
    stored = upright
    for step in turned:
        stored = stored.transpose(step)
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation

    picture = decoded(encoded(stored, "PNG", exif=exif))

    assert (picture.width, picture.height) == (60, 40)
    assert tuple(picture.pixels[5, 5]) == (255, 0, 0)
    assert tuple(picture.pixels[35, 55]) == (255, 255, 255)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparent_parts_are_laid_on_white(mode: str) -> None:
    image = Image.new("RGBA", (8, 8), (200, 0, 0, 0))
    image.paste((0, 0, 0, 255), (0, 0, 4, 8))
    data = encoded(image.convert(mode), "PNG")

    pixels = decoded(data).pixels

    assert tuple(pixels[4, 7]) == (255, 255, 255)
    assert tuple(pixels[4, 0]) == (0, 0, 0)


def test_sixteen_bit_grey_keeps_its_range() -> None:
    ramp = np.linspace(0, 65535, 256, dtype=np.uint16)[None].repeat(4, 0)

    pixels = decoded(encoded(Image.fromarray(ramp), "PNG")).pixels

    assert pixels[0, 0, 0] == 0
    assert 120 <= pixels[0, 128, 0] <= 136
    assert pixels[0, 255, 0] == 255


def test_cmyk_comes_out_in_the_colours_of_the_picture() -> None:
    pixels = decoded(encoded(Image.new("RGB", (16, 16), (255, 0, 0)).convert("CMYK"), "JPEG")).pixels
    red, green, blue = (int(v) for v in pixels[8, 8])
    assert red > 200
    assert max(green, blue) < 60


def test_grey_has_three_equal_channels() -> None:
    pixels = decoded(encoded(a_picture().convert("L"), "JPEG")).pixels
    assert pixels.shape == (64, 96, 3)
    assert (pixels[..., 0] == pixels[..., 2]).all()


def test_a_colour_profile_is_turned_to_srgb() -> None:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    swapped = srgb.replace(b"rXYZ", b"tXYZ").replace(b"bXYZ", b"rXYZ").replace(b"tXYZ", b"bXYZ")

    pixels = decoded(encoded(Image.new("RGB", (8, 8), "red"), "PNG", icc_profile=swapped)).pixels

    assert tuple(pixels[4, 4]) == (0, 0, 255)  # what this profile calls red is blue


def test_a_broken_colour_profile_is_passed_over() -> None:
    plain = a_picture()
    tagged = decoded(encoded(plain, "PNG", icc_profile=b"no profile" * 20)).pixels
    assert (tagged == np.asarray(plain)).all()


def test_the_first_frame_of_an_animation_counts() -> None:
    frames = [Image.new("RGB", (8, 8), c) for c in ("red", "blue")]
    data = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert tuple(decoded(data).pixels[0, 0]) == (255, 0, 0)


def test_large_pictures_are_reduced_and_keep_their_true_size() -> None:
    picture = decoded(encoded(a_picture(size=(1600, 400)), "JPEG"), side=320)
    assert (picture.width, picture.height) == (1600, 400)
    assert picture.pixels.shape == (80, 320, 3)


def test_a_reduced_jpeg_looks_like_the_whole_one() -> None:
    image = a_picture(size=(1600, 1200))
    small = decoded(encoded(image, "JPEG", quality=95), side=200).pixels.astype(int)
    assert np.abs(small - np.asarray(image.resize((200, 150), Image.Resampling.BICUBIC))).mean() < 2


def test_extreme_shapes_survive_reduction() -> None:
    assert decoded(encoded(Image.new("RGB", (1, 9000)), "PNG"), side=100).pixels.shape == (100, 1, 3)
    assert decoded(encoded(Image.new("RGB", (1, 1)), "PNG")).pixels.shape == (1, 1, 3)


def test_exif_gives_date_camera_and_place() -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Make], exif[ExifTags.Base.Model] = "Canon", "Canon EOS R5"
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = "2024:05:17 18:30:05"
    gps = exif.get_ifd(ExifTags.IFD.GPSInfo)
    gps[ExifTags.GPS.GPSLatitudeRef], gps[ExifTags.GPS.GPSLatitude] = "S", (33.0, 30.0, 0.0)
    gps[ExifTags.GPS.GPSLongitudeRef], gps[ExifTags.GPS.GPSLongitude] = "E", (151.0, 15.0, 36.0)

    picture = decoded(encoded(a_picture(), "JPEG", exif=exif))

    assert picture.taken_at == datetime(2024, 5, 17, 18, 30, 5)
    assert picture.camera == "Canon EOS R5"
    assert picture.location == Location(-33.5, pytest.approx(151.26))


def a_shot(**values: object) -> Shot | None:
    exif = Image.Exif()
    exif.get_ifd(ExifTags.IFD.Exif).update({ExifTags.Base[name]: value for name, value in values.items()})
    return decoded(encoded(a_picture(), "JPEG", exif=exif)).shot


def test_exif_gives_how_the_camera_was_set() -> None:
    told = {"ExposureTime": 0.004, "FNumber": 2.8, "ISOSpeedRatings": 200, "FocalLength": 50.0}
    assert a_shot(LensModel="RF50mm F1.8\x00", **told) == Shot("RF50mm F1.8", pytest.approx(0.004), 2.8, 200, 50.0)
    assert a_shot(ISOSpeedRatings=(100, 0)) == Shot(iso=100)
    assert a_shot() is None


def test_settings_that_no_camera_means_are_none() -> None:
    endless = TiffImagePlugin.IFDRational(1, 0)
    assert a_shot(ExposureTime=endless, FNumber=0.0, FocalLength=TiffImagePlugin.IFDRational(0, 0)) is None
    assert a_shot(ISOSpeedRatings=0, LensModel=" \x00") is None


@pytest.mark.parametrize("date", ["0000:00:00 00:00:00", "    :  :     :  :  ", "yesterday", "\x00"])
def test_a_senseless_date_is_no_date(date: str) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.DateTime] = date
    assert decoded(encoded(a_picture(), "JPEG", exif=exif)).taken_at is None


def test_the_thumbnail_is_small_and_without_metadata() -> None:
    exif = Image.Exif()
    exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitude] = (1.0, 2.0, 3.0)
    picture = decoded(encoded(a_picture(size=(1200, 800)), "JPEG", exif=exif), side=1024)
    with Image.open(io.BytesIO(picture.thumbnail)) as thumbnail:
        assert thumbnail.format == "WEBP"
        assert thumbnail.size == (512, 342)
        assert not thumbnail.getexif()


def test_a_thumbnail_is_never_enlarged() -> None:
    with Image.open(io.BytesIO(encode_thumbnail(Image.new("RGB", (20, 10)), 256))) as thumbnail:
        assert thumbnail.size == (20, 10)


def test_too_many_pixels_are_refused_before_decoding() -> None:
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + header
    bomb = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))
    idat = b"IDAT" + zlib.compress(b"\0" * 1000)
    bomb += struct.pack(">I", len(idat) - 4) + idat + struct.pack(">I", zlib.crc32(idat))
    with pytest.raises(ImageTooLarge, match="60000 x 60000"):
        decoded(bomb)


def test_too_many_bytes_are_refused() -> None:
    with pytest.raises(ImageTooLarge, match="bytes"):
        decode(b"x" * 101, 640, Limits(100, 100))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "SVG"),
        (b"PK\x03\x04 and so on", "ZIP"),
        (b"%PDF-1.7", "not a picture"),
        (b"just text", "not a picture"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 1 1\n", "not a picture"),
    ],
)
def test_what_is_no_picture_is_refused_with_a_reason(data: bytes, reason: str) -> None:
    with pytest.raises(UnsupportedImage, match=reason):
        decoded(data)


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF", "GIF"])
def test_a_picture_that_is_cut_off_is_refused(format: str) -> None:
    data = encoded(a_picture(size=(400, 300)), format)
    with pytest.raises(UnsupportedImage):
        decoded(data[: len(data) // 2])
