"""Pages as people write them, with every case of the decision tree, and beside each picture the right decision."""

from __future__ import annotations

import random
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

REMOTE = "https://img.example.org/a.jpg"


@dataclass(frozen=True, slots=True)
class Case:
    name: str
    markup: str
    """`PHOTO` is a photo, `STEM` its name, `SIGN` a picture of a few words, `PAPER` of many, `CHART` one of bars."""
    writes: bool
    purpose: str = ""
    """Of what is written."""
    is_picture: bool = True
    """False: what looks like one is none."""


HTML = (
    Case("no alt", '<p>We were there. <img src="PHOTO"> It was fine.</p>', True, "informative"),
    Case("its file's name", '<img alt="STEM.jpg" src="PHOTO">', True, "informative"),
    Case("a word for any picture", "<img src='PHOTO' alt='Photo'>", True, "informative"),
    Case("numbered", '<img src="PHOTO" alt="image1.jpg" class="wide">', True, "informative"),
    Case("a camera's name", '<img src="PHOTO" alt="DSC_0042">', True, "informative"),
    Case("a person's text", '<img src="PHOTO" alt="Ada &amp; Bo at the &quot;Crown&quot;">', False),
    Case("a person's text, single quotes", "<img alt='Our kitchen, seen from the door' src=PHOTO>", False),
    Case("a person's word, no quotes", "<img src=PHOTO alt=Greenhouse>", False),
    Case("a person's text that could be better", '<img src="PHOTO" alt="Image of our first shop in Leeds">', False),
    Case("empty on purpose", '<img src="PHOTO" alt="">', False),
    Case("empty on purpose, short", '<img src="PHOTO" alt>', False),
    Case("said to be decorative", '<img src="PHOTO" role="presentation">', True, "decorative"),
    Case("hidden from readers", '<img src="PHOTO" aria-hidden="true"/>', True, "decorative"),
    Case("a pixel that counts", f'<img src="{REMOTE}" width="1" height="1">', True, "decorative"),
    Case("beside the words of its link", '<a href="/menu"><img src="PHOTO"> Our menu</a>', True, "decorative"),
    Case("alone in its link", '<a href="/opening-hours"><img src="PHOTO"></a>', True, "functional"),
    Case("alone in its link, empty", '<a href="/contact.html"><img src="PHOTO" alt=""></a>', True, "functional"),
    Case("alone in a link to itself", '<a href="PHOTO"><img src="PHOTO"></a>', True, "functional"),
    Case("in a link with a label", '<a href="/" aria-label="Home"><img src="PHOTO" alt=""></a>', False),
    Case("with a label", '<img src="PHOTO" aria-label="The old mill">', False),
    Case("a picture as a button", '<form><input type="image" src="SIGN" value="Search"></form>', True, "functional"),
    Case("words", '<img src="SIGN">', True, "text"),
    Case("too many words", '<img src="PAPER" alt="screenshot">', True, "complex"),
    Case("a chart", '<img src="CHART">', True, "complex"),
    Case("on another server", f'<img src="{REMOTE}">', False),
    Case("not there", '<img src="gone.jpg">', False),
    Case("by a template", '<img src="{{ item.url }}" alt="{{ item.alt }}">', False),
    Case("its address by a template", '<img src="{{ item.url }}">', False),
    Case("with a caption", '<figure><img src="PHOTO"><figcaption>Summer</figcaption></figure>', True, "informative"),
    Case("in several forms", '<picture><source srcset="a.avif"><img src="PHOTO"></picture>', True, "informative"),
    Case("late", '<img data-src="PHOTO" class="lazy">', True, "informative"),
    Case("in capitals", '<P>And<IMG SRC="PHOTO">', True, "informative"),
    Case("a draft", '<img src="PHOTO" alt="A dog" data-alt-draft="snapseek">', False),
    Case("in a comment", '<!-- <img src="PHOTO"> -->', False, is_picture=False),
    Case("in a script", '<script>const a = "<img src=PHOTO>";</script>', False, is_picture=False),
)  # fmt: skip
MARKDOWN = (
    Case("no text", "We were there: ![](PHOTO)", True, "informative"),
    Case("its file's name", "![STEM](PHOTO)", True, "informative"),
    Case("a word for any picture", '![photo](PHOTO "Summer")', True, "informative"),
    Case("in a list", "- one\n- ![](PHOTO) two", True, "informative"),
    Case("in a table", "| a | b |\n|---|---|\n| ![](PHOTO) | c |", True, "informative"),
    Case("in a quotation", "> so\n> ![](<PHOTO>)", True, "informative"),
    Case("in a heading", "## ![img](PHOTO) Title", True, "informative"),
    Case("by reference", "![][p1]\n\n[p1]: PHOTO", True, "informative"),
    Case("by reference, its name useless", "![image1]\n\n[image1]: PHOTO 'Summer'", True, "informative"),
    Case("a person's text", "![Ada & Bo at the *Crown* \\[1\\]](PHOTO)", False),
    Case("a person's text by reference", "![Our kitchen][k]\n\n[k]: PHOTO", False),
    Case("said to be decorative", "![](PHOTO) <!-- decorative -->", False),
    Case("beside the words of its link", "[![](PHOTO) Our menu](/menu)", False),
    Case("alone in its link", "[![](PHOTO)](https://example.org/opening-hours)", True, "functional"),
    Case("words", "![](SIGN)", True, "text"),
    Case("too many words", "![screenshot](PAPER)", True, "complex"),
    Case("on another server", f"![]({REMOTE})", False),
    Case("not there", "![](gone.jpg)", False),
    Case("as HTML", 'So <img src="PHOTO" width="300"> it was.', True, "informative"),
    Case("as a block of HTML", '<p align="center">\n  <img src="PHOTO">\n</p>', True, "informative"),
    Case("a draft", "![A dog](PHOTO) <!-- alt draft: snapseek -->", False),
    Case("as code", "Write `![](PHOTO)` for that.", False, is_picture=False),
    Case("as a block of code", "```md\n![](PHOTO)\n<img src='PHOTO'>\n```", False, is_picture=False),
)
MDX = (
    *(one for one in MARKDOWN if not re.search("<!--|<img|\\(<", one.markup)),
    Case("a component", "<Image src='PHOTO' width={300} />", True, "informative"),
    Case("a component, useless", '<Image alt="image" src={"PHOTO"} />', True, "informative"),
    Case("a person's text", "<Image src='PHOTO' alt='The old mill' />", False),
    Case("a person's text in braces", "<Image src='PHOTO' alt={'The old mill'} />", False),
    Case("by a script", "<Image src={photo.url} alt={photo.alt} />", False),
    Case("its address by a script", "<Image src={photo.url} />", False),
    Case("all by a script", "<Image {...photo} />", False, is_picture=False),
    Case("HTML", '<img src="PHOTO" />', True, "informative"),
    Case("alone in its link", '<Link href="/opening-hours"><img src="PHOTO" /></Link>', True, "functional"),
    Case("beside the words of its link", '<a href="/menu"><img src="PHOTO" /> Our menu</a>', True, "decorative"),
    Case("a draft", "![A dog](PHOTO) {/* alt draft: snapseek */}", False),
    Case("said to be decorative", "![](PHOTO) {/* decorative */}", False),
    Case("in a comment", "{/* <img src='PHOTO' /> */}", False, is_picture=False),
)  # fmt: skip

FORMS = {
    ".html": (HTML, '<!doctype html>\n<html lang="en">\n<head><title>T</title></head>\n<body>\n{}\n</body>\n</html>\n'),
    ".md": (MARKDOWN, "---\ntitle: A page\n---\n\n# A page\n\n{}\n"),
    ".mdx": (MDX, 'import {{ Image, Link }} from "./parts"\n\nexport const n = 3\n\n# A page\n\n{}\n'),
}
WORDS = ("We went there", "twice, and", "it rained.", "Nobody minded;", "the café", "was open –", "4 € a cup.")


@dataclass(frozen=True, slots=True)
class Page:
    path: Path
    cases: tuple[Case, ...]
    """Of the pictures, in their order."""


def write_pages(folder: Path, photos: Sequence[Path], count: int, *, seed: int = 1) -> list[Page]:
    """Write pages of all forms in turn: each has some cases, and all together each case at least once."""
    folder.mkdir(parents=True, exist_ok=True)
    lines(folder / "sign.png", ["OPEN DAY", "Saturday 14 May"], 64)
    lines(folder / "paper.png", [f"Row {at}: the sales of region {at} rose, its costs fell" for at in range(1, 9)], 26)
    chart(folder / "chart.png")
    chance = random.Random(seed)
    waiting: dict[str, list[Case]] = {suffix: [] for suffix in FORMS}
    pages = []
    for number in range(count):
        suffix = list(FORMS)[number % len(FORMS)]
        cases, form = FORMS[suffix]
        share = -(-len(cases) // max(1, count // len(FORMS))) + 3
        if len(waiting[suffix]) < share:
            waiting[suffix] += chance.sample(cases, len(cases))
        taken, waiting[suffix] = waiting[suffix][:share], waiting[suffix][share:]
        parts, seen = [], []
        for at, case in enumerate(taken):
            photo = chance.choice(photos)
            name = f"{photo.stem}-{number}-{at}{photo.suffix}"
            shutil.copy(photo, folder / name)
            markup = case.markup.replace("PHOTO", name).replace("STEM", name.rpartition(".")[0])
            markup = markup.replace("SIGN", "sign.png").replace("PAPER", "paper.png")
            markup = markup.replace("CHART", "chart.png")
            for label in ("p1", "image1", "k"):  # names of references are of the whole page
                markup = markup.replace(f"[{label}]", f"[{label}{at}]")
            parts += [" ".join(chance.sample(WORDS, 4)), markup]
            seen += [case] if case.is_picture else []
        newline = "\r\n" if number % 5 == 4 else "\n"
        text = form.format("\n\n".join(parts)).replace("\n", newline)
        path = folder / f"page{number:02}{suffix}"
        path.write_bytes((b"\xef\xbb\xbf" if number % 7 == 6 else b"") + text.encode())
        pages.append(Page(path, tuple(seen)))
    return pages


def lines(path: Path, texts: Sequence[str], size: int) -> None:
    """Draw a picture of lines of text."""
    picture = Image.new("RGB", (900, 80 + len(texts) * size * 2), "white")
    draw = ImageDraw.Draw(picture)
    for number, text in enumerate(texts):
        draw.text((40, 40 + number * size * 2), text, fill="black", font=ImageFont.load_default(size))
    picture.save(path)


def chart(path: Path) -> None:
    """Draw bars with a year below and a value above each."""
    picture = Image.new("RGB", (900, 600), "white")
    draw = ImageDraw.Draw(picture)
    draw.text((40, 20), "Visitors", fill="black", font=ImageFont.load_default(40))
    for number, height in enumerate((120, 180, 150, 260, 340, 310)):
        left = 60 + number * 140
        draw.rectangle((left, 520 - height, left + 90, 520), fill="steelblue")
        draw.text((left, 530), str(2019 + number), fill="black", font=ImageFont.load_default(36))
        draw.text((left, 475 - height), str(height * 7), fill="black", font=ImageFont.load_default(36))
    picture.save(path)
