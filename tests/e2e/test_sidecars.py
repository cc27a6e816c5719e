"""What people wrote with other programs, from files to answers, and what changes there."""

import json
import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner
from libraries import QUICK, index, quick_profile
from pictures import a_picture, save

from api.cli import main
from search import Library, open_library
from search.types import ImageRecord

PAGE = Path(__file__).parents[2] / "docs" / "xmp.md"
PACKET = """<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/"
  xmlns:lr="http://ns.adobe.com/lightroom/1.0/" xmlns:darktable="http://darktable.sf.net/" darktable:history_end="7">
<dc:subject><rdf:Bag><rdf:li>{0}</rdf:li></rdf:Bag></dc:subject>
<lr:hierarchicalSubject><rdf:Bag><rdf:li>Places|Norway|{0}</rdf:li></rdf:Bag></lr:hierarchicalSubject>
<dc:description><rdf:Alt><rdf:li xml:lang="x-default">A walk in {0}</rdf:li></rdf:Alt></dc:description>
</rdf:Description></rdf:RDF></x:xmpmeta>"""
BOMB = "<!DOCTYPE x [<!ENTITY a 'aaaa'>]>" + PACKET.format("&a;")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    quick_profile(tmp_path)
    for number, name in enumerate(("a.jpg", "b.jpg", "c.png")):
        save(tmp_path / "photos" / name, a_picture(number))
    return tmp_path / "photos"


def run(folder: Path) -> dict[str, object]:
    report = index(folder.parent / "library", folder, profile=str(folder.parent / "profile.toml"))
    return {
        key: value for key, value in report.as_dict().items() if value and key not in ("seconds", "profile", "space")
    }


def record(folder: Path, name: str) -> ImageRecord:
    with open_library(folder.parent / "library") as library:
        return library.show(folder / name)


def labels(folder: Path, name: str) -> set[str]:
    return {tag.label for tag in record(folder, name).tags}


def found(library: Library, expression: str) -> list[str]:
    return sorted(hit.image.files[0] for hit in library.search(filter=expression).hits)


def test_sidecars_are_read_noticed_when_they_change_and_forgotten_when_they_go(folder: Path) -> None:
    (folder / "a.jpg.xmp").write_text(PACKET.format("Bergen"), encoding="utf-8")
    (folder / "b.xmp").write_text(PACKET.format("Oslo"), encoding="utf-8")
    (folder / "c.yml").write_text("UID: x\nDetails: {Keywords: 'red, sea', KeywordsSrc: manual}\n", encoding="utf-8")
    first = run(folder)
    assert (first["indexed"], first.get("unread"), first.get("rejected")) == (3, None, None)
    with open_library(folder.parent / "library") as library:
        assert found(library, "user:Norway") == ["a.jpg", "b.jpg"]
        assert found(library, "user:Places/Norway/Oslo") == ["b.jpg"]
        assert found(library, "source:photoprism") == ["c.png"]
        assert found(library, 'text:"walk in Bergen"') == ["a.jpg"]
        assert library.show(folder / "a.jpg").caption_source == "xmp"
        library.tag(folder / "a.jpg", remove=["Norway"], caption="Mine")
    assert run(folder) == {"unchanged": 3}

    (folder / "a.jpg.xmp").write_text(PACKET.format("Tromsø"), encoding="utf-8")
    assert run(folder) == {"unchanged": 2, "told_anew": 1}
    assert labels(folder, "a.jpg") == {"Places", "Tromsø", "Places/Norway/Tromsø"}  # and Norway stays away
    assert record(folder, "a.jpg").caption == "Mine"

    (folder / "b.xmp").unlink()
    (folder / "c.yml").rename(folder / "b.yml")
    assert run(folder) == {"unchanged": 1, "told_anew": 2}
    assert (labels(folder, "b.jpg"), labels(folder, "c.png")) == ({"red", "sea"}, set())
    assert record(folder, "b.jpg").caption is None

    (folder / "later").mkdir()
    for name in ("a.jpg", "a.jpg.xmp"):
        (folder / name).rename(folder / "later" / name)
    assert run(folder) == {"unchanged": 2, "moved": 1}
    assert "Tromsø" in labels(folder, "later/a.jpg")


def test_what_is_written_outlives_other_models(folder: Path) -> None:
    (folder / "a.xmp").write_text(PACKET.format("Bergen"), encoding="utf-8")
    run(folder)
    with_colors = QUICK + '[colors]\nlibrary = "palette"\n'
    (folder.parent / "profile.toml").write_text(with_colors, encoding="utf-8")
    assert run(folder)["indexed"] == 3
    assert "Bergen" in labels(folder, "a.jpg")
    assert any(tag.kind == "color" for tag in record(folder, "a.jpg").tags)


def test_a_bad_sidecar_is_named_and_its_picture_indexed(folder: Path) -> None:
    (folder / "a.xmp").write_text(BOMB, encoding="utf-8")
    (folder / "b.xmp").write_bytes(b"\xff\xfe\x00nonsense")
    (folder / "sub").mkdir()
    save(folder / "sub" / "d.jpg", a_picture(7), xmp=b"<broken")
    os.mkfifo(folder / "c.xmp")  # nobody writes to it: who opened it would wait for good
    arguments = ["index", str(folder), "--data", str(folder.parent / "library"), "--json"]
    done = CliRunner().invoke(main, [*arguments, "--profile", str(folder.parent / "profile.toml")])
    assert done.exit_code == 0
    report = json.loads(done.stdout)
    assert (report["indexed"], report["rejected"]) == (4, [])
    reasons = {one["path"]: one["reason"] for one in report["unread"]}
    assert reasons.keys() == {"a.xmp", "b.xmp", "sub/d.jpg"}
    assert "document type" in reasons["a.xmp"]
    assert reasons["sub/d.jpg"].startswith("XMP: no well-formed XML")
    assert "passed over a.xmp: it has a document type" in done.stderr


def exported(folder: Path, *options: str) -> dict[str, object]:
    done = CliRunner().invoke(main, ["xmp", "export", "--data", str(folder.parent / "library"), "--json", *options])
    assert done.exit_code in (0, 1), done.output
    return {"status": done.exit_code, **json.loads(done.stdout)}


def test_what_is_exported_is_read_again_as_it_was(folder: Path) -> None:
    (folder.parent / "profile.toml").write_text(QUICK + '[colors]\nlibrary = "palette"\n', encoding="utf-8")
    (folder / "a.jpg.xmp").write_text(PACKET.format("Bergen"), encoding="utf-8")
    (folder / "c.png.xmp").write_text(BOMB, encoding="utf-8")
    run(folder)
    with open_library(folder.parent / "library") as library:
        library.tag(folder / "a.jpg", add=["Rex"], alt_text="For the blind")
        library.tag(folder / "b.jpg", add=["Æ & <b>", "object:dog"], caption="Mine")
    before = {path: path.read_bytes() for path in folder.iterdir()}
    options = ("--kinds", "color", "--min-confidence", "0.05")

    dry = exported(folder, *options, "--dry-run")
    assert (dry["status"], dry["written"], dry["dry_run"]) == (1, 2, True)
    assert {path: path.read_bytes() for path in folder.iterdir()} == before

    done = exported(folder, *options)
    assert done["files"] == dry["files"]
    ((bad, reason),) = [(Path(one["path"]).name, one["reason"]) for one in done["rejected"]]
    assert bad == "c.png.xmp"
    assert "document type" in reason
    changed = {path.name for path in folder.iterdir() if path.read_bytes() != before.get(path)}
    assert changed == {"a.jpg.xmp", "b.jpg.xmp"}  # no original, not the one that cannot be read
    assert b'darktable:history_end="7"' in (folder / "a.jpg.xmp").read_bytes()
    after = exported(folder, *options)
    assert (after["written"], after["unchanged"]) == (0, 2)

    people = {
        name: {tag.label for tag in record(folder, name).tags if tag.kind != "color"} for name in ("a.jpg", "b.jpg")
    }
    colors = {tag.label for tag in record(folder, "b.jpg").tags if tag.kind == "color"}
    texts = [(record(folder, name).caption, record(folder, name).alt_text) for name in ("a.jpg", "b.jpg")]
    sidecar = (folder / "b.jpg.xmp").read_text(encoding="utf-8")
    assert colors
    assert all(f"<rdf:li>{color}</rdf:li>" in sidecar for color in colors)

    index(folder.parent / "another", folder, profile=str(folder.parent / "profile.toml"))
    with open_library(folder.parent / "another") as library:
        for name, (caption, alt_text) in zip(("a.jpg", "b.jpg"), texts, strict=True):
            again = library.show(folder / name)
            assert {tag.label for tag in again.tags if tag.source == "xmp"} == people[name]  # and no colour among them
            assert (again.caption, again.alt_text) == (caption, alt_text)


def test_the_example_of_the_page_runs_as_it_stands_there(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (example,) = re.findall(r"```sh\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    folder.rename(folder.parent / "holiday")
    monkeypatch.chdir(folder.parent)
    index(Path("snapseek-data"), Path("holiday"), profile=str(folder.parent / "profile.toml"))
    with open_library("snapseek-data") as library:
        library.tag("holiday/a.jpg", add=["Rex"])
    lines = [shlex.split(line, comments=True) for line in example.splitlines()]
    assert [line[:2] for line in lines] == [["snapseek", "xmp"]] * 3 + [["snapseek", "index"]]
    told = [CliRunner().invoke(main, line[1:]) for line in lines]
    assert [done.exit_code for done in told] == [0] * 4, [done.output for done in told]
    assert "a.jpg.xmp: +Rex" in told[0].stdout
    assert "1 sidecars written" in told[1].stderr
    assert "0 sidecars written, 1 unchanged" in told[2].stderr
    assert "1 told anew by sidecars" in told[3].stdout


@pytest.mark.skipif(shutil.which("exiftool") is None, reason="needs exiftool (Debian: libimage-exiftool-perl)")
def test_exiftool_reads_what_is_exported(folder: Path) -> None:
    run(folder)
    with open_library(folder.parent / "library") as library:
        library.tag(folder / "a.jpg", add=["Rex", "Animals", "Animals/Rex"], caption="Mine", alt_text="For the blind")
    exported(folder)
    command = ["exiftool", "-json", "-struct", str(folder / "a.jpg.xmp")]
    (told,) = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    assert told["Subject"] == "Rex" or told["Subject"] == ["Rex"]
    assert told["HierarchicalSubject"] in ("Animals|Rex", ["Animals|Rex"])
    assert told["TagsList"] in ("Animals/Rex", ["Animals/Rex"])
    assert (told["Description"], told["AltTextAccessibility"]) == ("Mine", "For the blind")
    assert "Warning" not in told
