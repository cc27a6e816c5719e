"""Pictures are brought in: by a form without scripts, and by dropped folders with each file's progress."""

import re
import zlib
from pathlib import Path

import pytest
from conftest import Open, on_desk_and_phone
from PIL import Image
from playwright.sync_api import expect

pytestmark = pytest.mark.browser


def new_pictures(folder: Path, number: int) -> list[Path]:
    """Make pictures that no library has yet; one more that is none."""
    folder.mkdir(parents=True, exist_ok=True)
    made = []
    for count in range(number):
        path = folder / f"{folder.name}-{count}.png"
        own = zlib.crc32(path.name.encode()) % 251 + 1
        shades = bytes((x * (count + 3) + y * own) % 256 for y in range(96) for x in range(128))
        Image.frombytes("L", (128, 96), shades).save(path)
        made.append(path)
    broken = folder / "broken.jpg"
    broken.write_bytes(b"\xff\xd8\xff no picture")
    return [*made, broken]


@on_desk_and_phone
def test_chosen_pictures_tell_how_far_they_are_and_what_was_not_taken(browse: Open, tmp_path: Path, width: int) -> None:
    page = browse("/import", width=width)
    page.set_input_files(".import input[name=file]", new_pictures(tmp_path / f"chosen{width}", 3))
    expect(page.locator(".item.done")).to_have_count(3, timeout=120_000)
    rejected = page.locator(".item.rejected")
    expect(rejected).to_have_count(1)
    assert len(rejected.locator(".item-reason").inner_text()) > 10
    expect(page.locator("[data-import-summary]")).to_have_text("3 of 4 are in the library, 1 were not taken")
    page.locator(".item.done a").first.click()
    expect(page.locator(".image h1")).to_be_visible()
    page.goto("/import")
    page.set_input_files(".import input[name=file]", new_pictures(tmp_path / f"chosen{width}", 1)[:1])
    expect(page.locator(".item.known, .item.done")).to_have_count(1, timeout=60_000)


@on_desk_and_phone
def test_a_dropped_folder_is_walked_through(browse: Open, tmp_path: Path, width: int) -> None:
    page = browse("/import", width=width)
    pictures = new_pictures(tmp_path / f"dropped{width}", 2)[:2]
    page.evaluate(DROP, [[path.name, list(path.read_bytes())] for path in pictures])
    expect(page.locator(".item")).to_have_count(3)
    expect(page.locator(".item.rejected")).to_contain_text("notes.txt")
    expect(page.locator(".item.done")).to_have_count(2, timeout=120_000)
    assert page.locator(".item.done").first.inner_text().startswith("holiday/day one/")


DROP = """(files) => {
  // What a browser gives of a dropped folder; a test cannot drop a real one.
  const file = ([name, bytes]) => ({
    isFile: true, name, file: (done) => done(new File([new Uint8Array(bytes)], name, {type: "image/png"}))});
  const folder = (name, entries) => ({isFile: false, name, createReader: () => {
    const left = [entries, []];
    return {readEntries: (done) => done(left.shift())};
  }});
  const text = {isFile: true, name: "notes.txt", file: (done) => done(new File(["x"], "notes.txt"))};
  const tree = folder("holiday", [text, folder("day one", files.map(file))]);
  const event = new DragEvent("drop", {bubbles: true, cancelable: true});
  Object.defineProperty(event, "dataTransfer", {value: {types: ["Files"], items: [{webkitGetAsEntry: () => tree}], files: []}});
  document.body.dispatchEvent(event);
}"""  # noqa: E501


@on_desk_and_phone
def test_pictures_are_brought_in_without_javascript(browse: Open, tmp_path: Path, width: int) -> None:
    page = browse("/import", scripts=False, width=width)
    page.set_input_files(".import input[name=file]", new_pictures(tmp_path / f"plain{width}", 2))
    page.get_by_role("button", name="Send").click()
    page.wait_for_url("**/jobs/*")
    expect(page.locator(".item")).to_have_count(3)
    for _ in range(120):
        if page.locator(".item.done").count() == 2:
            break
        page.wait_for_timeout(500)
        page.reload()
    assert page.locator(".item").first.get_attribute("class") == "item rejected"
    page.locator("main a", has_text="Jobs").click()
    expect(page.locator(".jobs li").first).to_contain_text("2 of 3 pictures are in the library · 1 was not taken")


@on_desk_and_phone
def test_a_job_tells_how_far_it_is_by_itself(browse: Open, tmp_path: Path, base_url: str, width: int) -> None:
    page = browse("/import", width=width)
    sent = page.request.post(
        "/v1/images",
        multipart={
            "file": {
                "name": f"live{width}.png",
                "mimeType": "image/png",
                "buffer": new_pictures(tmp_path / f"live{width}", 1)[0].read_bytes(),
            }
        },
    )
    page.goto(f"/jobs/{sent.json()['job']}")
    expect(page.locator(".item.done")).to_have_count(1, timeout=60_000)
    expect(page.locator("#job [role=status]")).to_have_text(re.compile("done · 1 of 1 picture"))
