"""Pictures in documents, what is wrong with their texts, and how a text gets in; what is seen is made up here."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from alt_pages import HTML, MARKDOWN, MDX, Case
from hypothesis import given, settings
from hypothesis import strategies as st

from indexer.alt_text.checking import Report, look_through
from indexer.alt_text.deciding import Purpose, Seen, destination
from indexer.alt_text.documents import edited, read
from indexer.alt_text.judging import LONGEST, Rule, is_useless, shortened, without_prefix
from indexer.alt_text.pictures import Edit
from indexer.alt_text.sarif import sarif
from search.errors import ConfigError

SEEN = Seen('A dog [1] "at" <beach> & | {x}', 0.9)


def checked(path: Path, seen: Seen | str = SEEN, *, write: bool = False, least: float = 0.5) -> Report:
    return look_through([path], lambda _: seen, root=path.parent, least=least, write=write)


def document(folder: Path, name: str, text: str) -> Path:
    for picture in ("a.jpg", "b c.png"):
        (folder / picture).write_bytes(b"a picture")
    path = folder / name
    path.write_bytes(text.encode())
    return path


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("a.html", '<img src="a.jpg">', '<img src="a.jpg" alt="TEXT" data-alt-draft="snapseek">'),
        # The slash is of the address, as browsers read it.
        ("a.html", "<img src=a.jpg/>", '<img src=a.jpg/ alt="TEXT" data-alt-draft="snapseek">'),
        ("a.html", '<IMG ALT=photo SRC="a.jpg" >', '<IMG alt="TEXT" data-alt-draft="snapseek" SRC="a.jpg" >'),
        ("a.html", "<img src=\"b%20c.png?v=1#x\" alt=''>", "<img src=\"b%20c.png?v=1#x\" alt=''>"),
        ("a.html", '<img src="/a.jpg" role="none">', '<img src="/a.jpg" alt="" role="none">'),
        ("a.html", '<img srcset="a.jpg 2x">', '<img srcset="a.jpg 2x" alt="TEXT" data-alt-draft="snapseek">'),
        ("a.htm", "é<img\r\n src='a.jpg'\r\n>", 'é<img\r\n src=\'a.jpg\' alt="TEXT" data-alt-draft="snapseek"\r\n>'),
        ("a.md", "![](a.jpg)", "![TEXT](a.jpg) <!-- alt draft: snapseek -->"),
        ("a.md", "é ![photo]( <b c.png> 't' )!", "é ![TEXT]( <b c.png> 't' ) <!-- alt draft: snapseek -->!"),
        ("a.md", "![img][]\n\n[img]: a.jpg", "![TEXT][img] <!-- alt draft: snapseek -->\n\n[img]: a.jpg"),
        ("a.md", "![](a.jpg){.wide}!", "![TEXT](a.jpg){.wide} <!-- alt draft: snapseek -->!"),
        ("a.md", "![img][b]\n\n[a]: /x\n[B]: a.jpg", "![TEXT][b] <!-- alt draft: snapseek -->\n\n[a]: /x\n[B]: a.jpg"),
        ("a.md", "[^1]: ![](a.jpg)", "[^1]: ![TEXT](a.jpg) <!-- alt draft: snapseek -->"),
        ("a.mdx", "![](a.jpg)", "![TEXT](a.jpg) {/* alt draft: snapseek */}"),
        ("a.mdx", "<A>\n    ![](a.jpg)\n</A>", "<A>\n    ![TEXT](a.jpg) {/* alt draft: snapseek */}\n</A>"),
        (
            "a.mdx",
            "<Tabs>\n\n    <Image src={require('./a.jpg').default} />\n\n</Tabs>",
            "<Tabs>\n\n    <Image src={require('./a.jpg').default}"
            ' alt="TEXT" data-alt-draft="snapseek" />\n\n</Tabs>',
        ),
        (
            "a.mdx",
            "import a from './a.jpg'\n\n<Image src={a} />",
            'import a from \'./a.jpg\'\n\n<Image src={a} alt="TEXT" data-alt-draft="snapseek" />',
        ),
    ],
)
def test_a_text_is_written_and_nothing_else_is_changed(tmp_path: Path, name: str, before: str, after: str) -> None:
    path = document(tmp_path, name, before)
    report = checked(path, write=True)
    if name in ("a.html", "a.htm") or "Image" in before:
        text = "A dog [1] &quot;at&quot; &lt;beach&gt; &amp; | &#123;x}"
    else:
        text = 'A dog \\[1\\] "at" \\<beach\\> \\& \\| \\{x\\}'
    assert path.read_bytes().decode() == after.replace("TEXT", text)
    if "TEXT" in after:
        (finding,) = report.findings
        assert finding.is_written
        assert read(path).pictures[0].alt == SEEN.caption
        written = path.read_bytes()
        again = checked(path, write=True)
        assert [one.rule for one in again.findings] == [Rule.DRAFT]
        assert path.read_bytes() == written


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.html", '<a href="/x" aria-labelledby="t"><img src="a.jpg" alt=""></a>'),
        ("a.html", '<a href="/x" aria-hidden="true" tabindex="-1"><img src="a.jpg" alt=""></a>'),
        ("a.html", '<a href="/x"><img src="b.jpg" alt="The mill"><img src="a.jpg" alt=""></a>'),
        ("a.html", "<textarea><img src='a.jpg'></textarea>"),
        ("a.html", '<img src="a.jpg" <?php echo $alt ?>>'),
        ("a.html", '<img src="a.jpg" {{ attributes }}>'),
        ("a.html", '<img src="a.jpg" x-bind:alt="name">'),
        ("a.mdx", "{/* ![](a.jpg) */}\n\nand {/*\n\n![](a.jpg)\n*/}"),
        ("a.mdx", "<Tab>\n\n    ```md\n    ![](a.jpg)\n    ```\n\n</Tab>"),
        ("a.mdx", '<Link to="/x" aria-hidden={true}><img src="a.jpg" alt="" /></Link>'),
        ("a.md", '[<img src="a.jpg" alt=""> Our menu](/menu)'),
        ("a.md", "![Our ![photo](a.jpg) wall](a.jpg)"),
    ],
)
def test_where_all_is_well_nothing_is_found(tmp_path: Path, name: str, text: str) -> None:
    path = document(tmp_path, name, text)
    assert checked(path, write=True).findings == []
    assert path.read_bytes().decode() == text


@pytest.mark.parametrize(
    ("name", "text", "after"),
    [
        ("a.html", '<div aria-hidden="true"><img src="a.jpg"></div>', ' alt=""'),
        ("a.html", '<a href="/opening-hours"><i>&rarr;</i><img src="a.jpg"></a>', ' alt="Opening hours"'),
        ("a.md", '[<img src="a.jpg">](/opening-hours)', ' alt="Opening hours"'),
        ("a.md", '[<img src="a.jpg"> Our menu](/menu)', ' alt=""'),
        ("a.md", "[![photo][p] ↗][h]\n\n[p]: a.jpg\n[h]: /opening-hours", "![Opening hours]"),
    ],
)
def test_what_is_around_a_picture_counts(tmp_path: Path, name: str, text: str, after: str) -> None:
    path = document(tmp_path, name, text)
    assert [one.is_written for one in checked(path, write=True).findings] == [True]
    assert after in path.read_text(encoding="utf-8")


CASES = [(suffix, case) for suffix, cases in ((".html", HTML), (".md", MARKDOWN), (".mdx", MDX)) for case in cases]


@pytest.mark.parametrize(("suffix", "case"), CASES, ids=lambda one: getattr(one, "name", one))
def test_each_case_of_the_decision_tree(tmp_path: Path, suffix: str, case: Case) -> None:
    markup = case.markup.replace("STEM", "a")
    for what in ("PHOTO", "SIGN", "PAPER", "CHART"):
        markup = markup.replace(what, "a.jpg")
    path = document(tmp_path, f"page{suffix}", f"\n{markup}\n")
    seen = {
        "text": Seen("", 0.5, ("OPEN DAY",), 0.2),
        "complex": Seen("", 0.5, ("some words of it",) * 8, 0.5),
    }.get(case.purpose, Seen("A dog on a beach", 0.9))
    report = checked(path, seen, write=True)
    assert report.pictures == case.is_picture
    assert [one.is_written for one in report.findings if one.rule.is_error] in (
        [case.writes],
        [case.writes][: case.writes],
    )
    if case.writes:
        assert report.findings[0].proposal.purpose == case.purpose
    else:
        assert path.read_bytes() == f"\n{markup}\n".encode()


@pytest.mark.parametrize(
    "alt",
    [
        "image", "Photo 2", "image1.jpg", "IMG_2041", "DSC00042", "screenshot", "Screen Shot 2024-01-02 at 10.11.12",
        "untitled", "a picture", "alt text", "TODO", "-", "***", "photo.", "0a1b2c3d4e5f6a7b", "12345678", "Bild 3",
        "my holiday.JPG", "an image here", "a",
    ],
)  # fmt: skip
def test_a_useless_text_is_known(alt: str) -> None:
    assert is_useless(alt, "pictures/a.png")


@pytest.mark.parametrize(
    "alt", ["Greenhouse", "A", "Photo of my desk", "Imagine", "Icons of the 1990s", "⭐", "Picturesque", "5 km", "犬"]
)
def test_a_persons_text_is_left_alone(alt: str) -> None:
    assert not is_useless(alt, "pictures/greenhouse.png")


@pytest.mark.parametrize(
    ("alt", "rule"),
    [
        ("Image of the harbour", Rule.PREFIX),
        ("word " * 40, Rule.LONG),
        ("Summer in Leeds", Rule.REPEATED),
        ("The harbour", None),
    ],
)
def test_what_could_be_better_is_told_and_not_changed(tmp_path: Path, alt: str, rule: Rule | None) -> None:
    text = f'<figure><img src="a.jpg" alt="{alt}"><figcaption>Summer in Leeds!</figcaption></figure>'
    path = document(tmp_path, "a.html", text)
    report = checked(path, write=True)
    assert [one.rule for one in report.findings] == ([rule] if rule else [])
    assert report.is_good
    assert path.read_text(encoding="utf-8") == text


@pytest.mark.parametrize(
    ("text", "seen", "reason"),
    [
        ('<img src="https://example.org/a.jpg">', SEEN, "another server"),
        ('<img src="//example.org/a.jpg">', SEEN, "another server"),
        ('<img src="data:image/png;base64,aaaa">', SEEN, "inside the document"),
        ('<img src="none.jpg">', SEEN, "no file none.jpg"),
        ('<img src="../../../../../../../../dev/null">', SEEN, "no file"),
        ('<img src="{{ a }}">', SEEN, "template"),
        ("<img>", SEEN, "cannot be told"),
        ('<img src="http://[">', SEEN, "cannot be read"),
        ('<img src="a.jpg%00">', SEEN, "cannot be read"),
        (f'<img src="{"a" * 300}.jpg">', SEEN, "cannot be read"),
        ('<img src="a.jpg">', "damaged JPEG file", "damaged JPEG file"),
        ('<img src="a.jpg">', Seen("", 0.9), "nothing in the picture"),
        ('<img src="a.jpg">', Seen("A dog", 0.4), "not sure enough: 0.40"),
        ('<html lang="de-AT"><img src="a.jpg">', SEEN, "language is de-at"),
    ],
)
def test_why_nothing_is_written_is_told(tmp_path: Path, text: str, seen: Seen | str, reason: str) -> None:
    path = document(tmp_path, "a.html", text)
    report = checked(path, seen, write=True)
    (finding,) = report.findings
    assert reason in finding.reason
    assert not finding.is_written
    assert not report.is_good
    assert path.read_text(encoding="utf-8") == text


def test_what_is_written_in_a_picture_needs_no_language(tmp_path: Path) -> None:
    path = document(tmp_path, "a.html", '<html lang="de"><img src="a.jpg">')
    assert checked(path, Seen("A sign", 0.9, ("Tag der offenen Tür",), 0.2), write=True).is_good
    assert 'alt="Tag der offenen Tür"' in path.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("seen", "purpose"),
    [
        (Seen("A bus", 0.9, ("BROWN", "Scott Brown"), 0.4, shows_things=True), Purpose.INFORMATIVE),
        (Seen("Office", 0.6, ("OPEN DAY",), 0.4), Purpose.TEXT),
        (Seen("Office", 0.6, ("OPEN DAY",), 0.01), Purpose.INFORMATIVE),
        (Seen("", 0.5, ("OPEN DAY",), 0.01), Purpose.TEXT),
        (Seen("A book", 0.9, ("a page of words",) * 8, 0.4, shows_things=True), Purpose.COMPLEX),
        (Seen("", 0.5, ("2019 2020 2021 2022", "10 20 30 40"), 0.1), Purpose.COMPLEX),
    ],
)
def test_a_picture_is_there_for_its_text_or_for_what_it_shows(tmp_path: Path, seen: Seen, purpose: Purpose) -> None:
    (finding,) = checked(document(tmp_path, "a.html", '<img src="a.jpg">'), seen).findings
    assert finding.proposal is not None
    assert finding.proposal.purpose is purpose


def test_what_a_person_approved_is_no_draft(tmp_path: Path) -> None:
    path = document(tmp_path, "a.html", '<html lang="de"><img src="a.jpg">')
    assert checked(path, Seen("Rex am Strand", 1.0, approved="Rex am Strand"), write=True).is_good
    assert path.read_text(encoding="utf-8").endswith('alt="Rex am Strand">')
    assert checked(path).findings == []


def test_documents_of_others_and_what_cannot_be_read(tmp_path: Path) -> None:
    for place in ("node_modules/x/a.md", ".git/a.md", "docs/a.md", "a.txt"):
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        document((tmp_path / place).parent, Path(place).name, "![](a.jpg)")
    (tmp_path / "latin.html").write_bytes(b"<img src='a.jpg' alt='caf\xe9'>")
    report = look_through([tmp_path, tmp_path / "docs"], lambda _: SEEN, root=tmp_path, least=0.5, write=True)
    assert [one.path for one in report.findings] == [tmp_path / "docs" / "a.md"]
    assert [(Path(one.path).name, one.reason) for one in report.rejected] == [("latin.html", "it is not in UTF-8")]
    assert not report.is_good
    assert checked(tmp_path / "a.txt").rejected[0].reason.startswith("neither HTML nor Markdown")
    with pytest.raises(ConfigError, match="no file or folder"):
        checked(tmp_path / "nothing")


def test_a_file_keeps_its_mode_and_a_link_stays_one(tmp_path: Path) -> None:
    path = document(tmp_path, "a.md", "![](a.jpg)")
    path.chmod(0o640)
    link = tmp_path / "b.md"
    link.symlink_to(path.name)
    checked(link, write=True)
    assert link.is_symlink()
    assert path.stat().st_mode & 0o777 == 0o640
    assert b"A dog" in path.read_bytes()
    assert sorted(one.name for one in tmp_path.iterdir()) == ["a.jpg", "a.md", "b c.png", "b.md"]


def test_lines_are_those_of_compilers_and_of_sarif(tmp_path: Path) -> None:
    path = document(tmp_path, "a.md", "# é\n\nöö ![](a.jpg)\n")
    report = checked(path)
    assert re.match(rf"{re.escape(str(path))}:3:4: error: .* \[missing-alt\]; proposed: ", str(report.findings[0]))
    log = sarif(report)
    (run,) = log["runs"]
    (result,) = run["results"]
    assert log["version"] == "2.1.0"
    assert (result["ruleId"], result["level"]) == ("missing-alt", "error")
    assert run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == result["ruleId"]
    assert result["locations"][0]["physicalLocation"]["region"] == {"startLine": 3, "startColumn": 4}
    assert "A dog" in result["message"]["text"]


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("/contact-us.html", "Contact us"), ("/", "Home"), ("index.html", "Home"), ("/shop/index.php", "Shop"),
        ("https://www.example.org/a", "example.org"), ("a.jpg", ""), ("#top", ""), ("", ""), ("mailto:a@b.c", ""),
        ("/p/123456", ""), ("{{ url }}", ""), ("/%C3%BCber_uns/", "Über uns"), ("http://[", ""), ("?q=1", ""),
    ],
)  # fmt: skip
def test_the_words_of_an_address(target: str, words: str) -> None:
    assert destination(target) == words


def test_texts_are_shortened_between_words() -> None:
    assert len(shortened("word " * 100)) <= LONGEST
    assert shortened("word " * 100).endswith("word")
    assert len(shortened("x" * 400)) == LONGEST
    assert without_prefix("a photo of two dogs") == "Two dogs"


def test_a_text_is_no_command_of_a_template_or_of_ci(tmp_path: Path) -> None:
    path = document(tmp_path, "a.html", '<img src="a.jpg"><img src="x%0A::error::y%1b[31m">')
    report = checked(path, Seen("", 0.5, ("{{ secret }}\n\x1b[31m", "{% x %}"), 0.5), write=True)
    assert '"a.jpg" alt="&#123;&#123; secret }} [31m &#123;% x %}"' in path.read_text(encoding="utf-8")
    for finding in report.findings:
        assert str(finding).isprintable()


def test_a_page_in_another_encoding_stays_in_it(tmp_path: Path) -> None:
    path = document(tmp_path, "a.html", '<meta charset="iso-8859-1"><img src="a.jpg">')
    assert checked(path, Seen("Café", 0.9), write=True).is_good
    assert b'alt="Caf&#233;"' in path.read_bytes()
    path.write_text(
        '<meta http-equiv="a" content="text/html; charset=windows-1251">é<img src="a.jpg">', encoding="utf-8"
    )
    assert checked(path).rejected[0].reason == "it says that it is not in UTF-8"


def test_a_document_that_changes_meanwhile_is_left_alone(tmp_path: Path) -> None:
    path = document(tmp_path, "a.md", "![](a.jpg)")

    def see(picture: Path) -> Seen:
        path.write_text("![](a.jpg) and more", encoding="utf-8")
        return SEEN

    report = look_through([path], see, root=tmp_path, least=0.5, write=True)
    assert [one.reason for one in report.rejected] == ["it was changed meanwhile, and is not written"]
    assert not report.findings[0].is_written
    assert path.read_text(encoding="utf-8") == "![](a.jpg) and more"


def test_a_document_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    path = document(tmp_path / "in", "a.md", "![](a.jpg)")

    def see(picture: Path) -> Seen:
        path.unlink()
        return SEEN

    report = look_through([path], see, root=tmp_path, least=0.5, write=True)
    assert [one.reason for one in report.rejected] == ["it cannot be written: No such file or directory"]
    assert not report.is_good


def test_a_document_that_would_read_otherwise_is_left_alone(tmp_path: Path) -> None:
    """The mark of the draft would end a comment that nothing ends, and with it hide the picture."""
    text = "{/* never closed\n\n![](a.jpg)\n"
    path = document(tmp_path, "a.mdx", text)
    report = checked(path, write=True)
    assert [one.reason.partition(":")[0] for one in report.rejected] == ["it is too odd to be written to"]
    assert not report.findings[0].is_written
    assert not report.is_good
    assert path.read_text(encoding="utf-8") == text


def test_long_and_deep_documents_are_read(tmp_path: Path) -> None:
    path = document(tmp_path, "a.html", "<div>" * 1500 + "<a href='/x'>" + "<img src='a.jpg' alt='A dog'>" * 300)
    assert checked(path).pictures == 300
    path = document(tmp_path, "a.md", "> " * 1100 + "![](a.jpg)")
    assert checked(path).pictures == 1
    path = document(tmp_path, "a.mdx", "<A>" * 3000 + "![](a.jpg)" + "</B>" * 3000)
    assert checked(path).pictures == 1


def test_a_path_in_sarif_is_an_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    document(tmp_path, "a b%é.md", "![](a.jpg)")

    def address(path: Path) -> str:
        (result,) = sarif(checked(path))["runs"][0]["results"]
        return str(result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"])

    assert address(Path("a b%é.md")) == "a%20b%25%C3%A9.md"
    assert address(tmp_path / "a b%é.md").startswith("file:///")


PIECES = st.sampled_from([
    "![](a.jpg)", "![photo](a.jpg)", "![Our *own* words](a.jpg)", "`![](a.jpg)`", "<img src='a.jpg'>", "\n\n", "\n",
    "| a |\n|---|\n| ", "text é ", "- ", "> ", "[![](a.jpg)](/x-y)", "<!-- ", " -->", "```\n", "[", "](", "<", "\\",
    "{", "}", "<a href='/menu'>", "</a>", "<img alt='mine' src=a.jpg>", "![][r]\n\n[r]: a.jpg\n", "    ", "{/*", "*/}",
    "<Image src='a.jpg' />", "\r\n", "<script>", "alt=", "<img src=a.jpg alt=photo>", "{.c}", "[^1]: ", "<b", "'", '"',
    "<figure>", "<button>", "[r]: a.jpg\n", "![r]",
])  # fmt: skip
WRITTEN = re.compile(
    rb""" alt="(?:Seen|X y|Menu|)"(?: data-alt-draft="snapseek")?| (?:<!--|\{/\*) alt draft: snapseek (?:-->|\*/\})"""
)
"""What is added to a document; the words of addresses are X y and Menu."""


def without_written(document: bytes) -> bytes:
    bare = WRITTEN.sub(b"", document)
    # What it may have been written over: these are the only useless texts of the pieces.
    bare = bare.replace(b" alt=photo", b"").replace(b"![photo]", b"![]").replace(b"![Seen][r]", b"![r]")
    return re.sub(rb"!\[(?:Seen|X y|Menu)\]", b"![]", bare).replace(b"![][r]", b"![r]")


@settings(max_examples=100, deadline=None)
@given(st.lists(PIECES, max_size=12), st.sampled_from([".html", ".md", ".mdx"]))
def test_any_document_is_edited_in_its_pictures_only_and_once(
    tmp_path_factory: pytest.TempPathFactory, pieces: list[str], suffix: str
) -> None:
    path = document(tmp_path_factory.mktemp("any"), f"a{suffix}", "".join(pieces))
    before = path.read_bytes()
    first = checked(path, Seen("Seen", 0.9), write=True)
    after = path.read_bytes()
    assert without_written(after) == without_written(before)
    assert first.pictures == len(read(path).pictures)
    checked(path, Seen("Seen anew", 0.9), write=True)
    assert path.read_bytes() == after


def test_edits_are_made_from_the_start_of_a_file() -> None:
    assert edited(b"0123456", [Edit(5, 6, b"E"), Edit(1, 1, b"A"), Edit(2, 4, b"")]) == b"0A14E6"
