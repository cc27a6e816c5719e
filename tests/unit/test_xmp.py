"""What programs write about pictures, as they write it, and what attacks look like."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pictures import a_picture, encoded
from PIL.PngImagePlugin import PngInfo

from indexer import metadata, sidecars, xmp
from indexer.decode import Limits, decode, decode_file
from indexer.xmp import Unreadable, read
from search.written import Text, Written, merged, of_text, to_text, together

LIMITS = Limits(10**7, 10**7)

LIGHTROOM = """<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="Adobe XMP Core 7.0">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <rdf:Description rdf:about="" xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:dc="http://purl.org/dc/elements/1.1/"
    xmlns:lr="http://ns.adobe.com/lightroom/1.0/" xmlns:crs="http://ns.adobe.com/camera-raw-settings/1.0/"
    xmp:Rating="4" crs:Exposure2012="+0.35">
   <dc:subject><rdf:Bag><rdf:li>Paris</rdf:li><rdf:li>night &amp; rain</rdf:li></rdf:Bag></dc:subject>
   <lr:hierarchicalSubject><rdf:Bag><rdf:li>Places|Europe|Paris</rdf:li><rdf:li>night &amp; rain</rdf:li></rdf:Bag>
   </lr:hierarchicalSubject>
   <dc:title><rdf:Alt><rdf:li xml:lang="x-default">The bridge</rdf:li></rdf:Alt></dc:title>
   <dc:description><rdf:Alt><rdf:li xml:lang="de">Im Regen</rdf:li><rdf:li xml:lang="x-default">In the
     rain</rdf:li></rdf:Alt></dc:description>
  </rdf:Description></rdf:RDF></x:xmpmeta>"""

IMMICH = """<?xpacket begin='\ufeff' id='W5M0MpCehiHzreSzNTczkc9d'?>
<x:xmpmeta xmlns:x='adobe:ns:meta/' x:xmptk='Image::ExifTool 12.57'>
<rdf:RDF xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#'>
 <rdf:Description rdf:about='' xmlns:dc='http://purl.org/dc/elements/1.1/'>
  <dc:description><rdf:Alt><rdf:li xml:lang='x-default'>Grandma at the lake</rdf:li></rdf:Alt></dc:description>
 </rdf:Description>
 <rdf:Description rdf:about='' xmlns:digiKam='http://www.digikam.org/ns/1.0/'>
  <digiKam:TagsList><rdf:Seq><rdf:li>People/Grandma</rdf:li></rdf:Seq></digiKam:TagsList>
 </rdf:Description>
 <rdf:Description rdf:about='' xmlns:Iptc4xmpCore='http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/'>
  <Iptc4xmpCore:AltTextAccessibility><rdf:Alt><rdf:li xml:lang='x-default'>A woman in a boat</rdf:li></rdf:Alt>
  </Iptc4xmpCore:AltTextAccessibility>
 </rdf:Description>
 <rdf:Description rdf:about='' xmlns:xmp='http://ns.adobe.com/xap/1.0/'><xmp:Rating>5</xmp:Rating></rdf:Description>
</rdf:RDF></x:xmpmeta>
<?xpacket end='w'?>"""

PHOTOPRISM = """TakenAt: 2021-06-13T10:00:00Z
UID: pqbcf5j446s0futy
Type: image
Title: Lake / Germany / 2021
Caption: "A boat: red"
CaptionSrc: manual
Favorite: true
Details:
  Keywords: boat, lake, red
  KeywordsSrc: meta
  Notes: none
"""


def words(written: Written) -> list[str]:
    return [word.text for word in written.keywords]


def test_what_lightroom_writes_is_read_with_every_level() -> None:
    written = read(LIGHTROOM.encode())
    assert words(written) == ["Places", "Europe", "Paris", "Places/Europe/Paris", "night & rain"]
    assert written.caption == Text("The bridge. In the rain", "xmp")
    assert written.stars == Text("4 stars", "xmp")
    assert written.alt_text is None


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_what_immich_and_digikam_write_is_read_in_the_encodings_of_xmp(encoding: str) -> None:
    written = read(IMMICH.encode(encoding) + b"\0\0")
    assert words(written) == ["People", "Grandma", "People/Grandma"]
    assert written.caption == Text("Grandma at the lake", "xmp")
    assert written.alt_text == Text("A woman in a boat", "xmp")
    assert written.stars == Text("5 stars", "xmp")


def test_of_photoprism_only_what_people_wrote_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.yml").write_text(PHOTOPRISM, encoding="utf-8")
    (tmp_path / "other.yml").write_text("hosts: [a, b]\nTitle: x\nTitleSrc: manual\n", encoding="utf-8")
    written, unread = metadata.written(str(tmp_path / "a.jpg"), ["a.yml"], metadata.Reading())
    assert words(written) == ["boat", "lake", "red"]
    assert written.caption == Text("A boat: red", "photoprism")  # and not the title, which it made up
    assert unread == ()
    assert metadata.written(str(tmp_path / "a.jpg"), ["other.yml"], metadata.Reading()) == (Written(), ())


def iptc(*sets: tuple[int, int, bytes]) -> bytes:
    """Return an APP13 segment with data sets of IPTC."""
    data = b"".join(b"\x1c" + bytes((r, n)) + len(v).to_bytes(2, "big") + v for r, n, v in sets)
    block = b"8BIM\x04\x04\0\0" + len(data).to_bytes(4, "big") + data + b"\0" * (len(data) % 2)
    body = b"Photoshop 3.0\0" + block
    return b"\xff\xed" + (len(body) + 2).to_bytes(2, "big") + body


def test_iptc_is_read_in_utf_8_and_in_what_was_before_it() -> None:
    plain = encoded(a_picture())
    modern = iptc((1, 90, b"\x1b%G"), (2, 25, "Zürich".encode()), (2, 25, b"lake"), (2, 120, "Überfahrt".encode()))
    old = iptc((2, 25, "Zürich".encode("cp1252")), (2, 5, b"Title"))
    seen = decode(plain[:2] + modern + plain[2:], 64, LIMITS)
    assert seen.written == Written((Text("Zürich", "iptc"), Text("lake", "iptc")), Text("Überfahrt", "iptc"))
    assert decode(plain[:2] + old + plain[2:], 64, LIMITS).written == Written(
        (Text("Zürich", "iptc"),), Text("Title", "iptc")
    )


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_a_packet_in_a_picture_is_read_in_each_format(format: str) -> None:
    extra: dict[str, object] = {"xmp": LIGHTROOM.encode()}
    if format == "PNG":
        info = PngInfo()
        info.add_itxt("XML:com.adobe.xmp", LIGHTROOM)
        extra = {"pnginfo": info}
    if format == "TIFF":
        extra = {"tiffinfo": {700: LIGHTROOM.encode()}}
    seen = decode(encoded(a_picture(), format, **extra), 64, LIMITS)
    assert "Places/Europe/Paris" in words(seen.written)
    assert seen.unread == ()


def test_sidecars_go_before_the_file_and_the_nearest_goes_first() -> None:
    inside = Written((Text("old", "iptc"),), Text("inside", "xmp"), Text("alt", "xmp"))
    near, far = Written((), Text("near", "xmp")), Written((Text("Far", "xmp"), Text("far", "xmp")), Text("far", "xmp"))
    assert merged([near, far], [inside]) == Written((Text("Far", "xmp"),), Text("near", "xmp"), Text("alt", "xmp"))
    assert merged([near], [inside]).keywords == inside.keywords
    assert together([far, inside]).keywords == (Text("Far", "xmp"), Text("old", "iptc"))


BOMB = "<!DOCTYPE x [<!ENTITY a 'aaaaaaaaaa'><!ENTITY b '&a;&a;&a;&a;&a;&a;&a;&a;'>]>" + LIGHTROOM.replace(
    "Paris", "&b;"
)
OUTSIDE = "<!DOCTYPE x [<!ENTITY a SYSTEM 'file:///etc/passwd'>]>" + LIGHTROOM.replace("Paris", "&a;")
ATTACKS = {
    "entities that grow": (BOMB.encode(), "document type"),
    "a file from outside": (OUTSIDE.encode(), "document type"),
    "the same in UTF-16": (BOMB.encode("utf-16"), "document type"),
    "a huge one": (b" " * 10 + b"<a>" * (xmp.MOST_BYTES // 3 + 9), "more than"),
    "no XML": (b"\x89PNG and so on", "no well-formed XML"),
    "a broken one": (LIGHTROOM[:700].encode(), "no well-formed XML"),
    "bytes that are no UTF-8": (LIGHTROOM.replace("Paris", "Z\xfcrich").encode("latin-1"), "no well-formed XML"),
    "an encoding that is none": (b"<?xml version='1.0' encoding='x-none'?>" + LIGHTROOM.encode(), "no well-formed XML"),
    "something else": (b"<html/>", "no XMP"),
    "nothing": (b"", "no well-formed XML"),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_attacks_are_refused_with_the_reason_and_the_picture_is_read(attack: str, tmp_path: Path) -> None:
    data, reason = ATTACKS[attack]
    with pytest.raises(Unreadable, match=reason):
        read(data)
    (tmp_path / "a.jpg").write_bytes(encoded(a_picture()))
    (tmp_path / "a.xmp").write_bytes(data)
    seen = decode_file(str(tmp_path / "a.jpg"), 64, LIMITS, ["a.xmp"])
    assert seen.width == 96
    ((path, why),) = [(one.path, one.reason) for one in seen.unread]
    assert path == "a.xmp"
    assert reason in why


def test_yaml_that_grows_or_nests_without_end_is_harmless(tmp_path: Path) -> None:
    growing = "UID: x\na: &a {k: v}\n" + "".join(f"{n}: &{n} {{<<: [{', '.join([f'*{p}'] * 9)}]}}\n" for p, n in
                                                 zip("abcdefghij", "bcdefghijk", strict=True))  # fmt: skip
    for text in (growing, "UID: " + "[" * 100_000, "UID: x\nDetails: [1]\nCaption: {a: b}\nCaptionSrc: manual\n", "\0"):
        (tmp_path / "a.yml").write_text(text, encoding="utf-8")
        written, unread = metadata.written(str(tmp_path / "a.jpg"), ["a.yml", "gone.yml"], metadata.Reading())
        assert written == Written()
        assert unread[-1].path == "gone.yml"


def test_deep_nesting_and_many_or_long_keywords_end() -> None:
    nested = f"<rdf:Description>{'<a>' * 50_000}{'</a>' * 50_000}</rdf:Description></rdf:RDF>"
    assert len(words(read(LIGHTROOM.replace("</rdf:RDF>", nested).encode()))) == 5
    many = LIGHTROOM.replace("<rdf:li>Paris</rdf:li>", "".join(f"<rdf:li>{n}</rdf:li>" for n in range(5_000)))
    assert len(read(many.encode()).keywords) == xmp.MOST_KEYWORDS
    long = read(LIGHTROOM.replace("night &amp; rain", "x" * 101).replace("Im Regen", "y").encode())
    assert words(long) == ["Places", "Europe", "Paris", "Places/Europe/Paris"]


def test_a_rating_that_is_none_is_passed_over() -> None:
    for rating in ("0", "-1", "6", "nan", "1e999", "many", ""):
        assert read(LIGHTROOM.replace('xmp:Rating="4"', f'xmp:Rating="{rating}"').encode()).stars is None
    assert read(LIGHTROOM.replace('"4"', '"1"').encode()).stars == Text("1 star", "xmp")


@given(st.text(max_size=200))
def test_what_is_read_can_be_kept_and_said(text: str) -> None:
    kept = xmp.tidy(text)
    kept.encode("utf-8")
    assert kept == xmp.tidy(kept)
    written = Written(xmp.as_keywords([kept], "xmp"), xmp.as_text(kept, "", "xmp"))
    assert of_text(to_text(written)) == (written or None)


def test_sidecars_are_named_after_the_picture_or_its_stem(tmp_path: Path) -> None:
    for name in ("a.jpg", "a.jpg.xmp", "a.XMP", "a.yml", "b.xmp", ".photoprism/a.yml"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "a.jpg.yml").mkdir()
    by_path = sidecars.told("a.jpg", sidecars.beside(str(tmp_path / "a.jpg")))
    names = [one.name for one in sidecars.named(by_path)]
    assert names == ["a.jpg.xmp", "a.XMP", "a.yml", ".photoprism/a.yml"]
    with os.scandir(tmp_path) as entries:
        assert sidecars.told("a.jpg", sidecars.listed(list(entries))) == by_path
    assert sidecars.named("") == ()


def test_the_pixels_and_the_id_are_those_of_the_picture_alone(tmp_path: Path) -> None:
    with_packet = tmp_path / "a.jpg"
    with_packet.write_bytes(encoded(a_picture(), xmp=LIGHTROOM.encode()))
    (tmp_path / "a.xmp").write_text(IMMICH, encoding="utf-8")
    alone, told = (decode_file(str(with_packet), 64, LIMITS, names) for names in ([], ["a.xmp"]))
    assert (alone.id, alone.phash) == (told.id, told.phash)
    assert "Paris" in words(alone.written)
    assert words(told.written) == ["People", "Grandma", "People/Grandma"]
