"""What an evaluation reads, asks and reports."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from helpers import an_image
from pictures import save

from indexer.quality import oracle, questions, results
from indexer.quality.results import Comparison, Figure, LabelRow, PictureSet, Report
from indexer.quality.truth import Truth, read_truth
from search.errors import ConfigError
from search.evaluation import Difference, Estimate
from search.facets import FACETS
from search.filters import parse
from search.matching import matches
from search.types import Facet, FacetValue, ImageId

ROOT = Path(__file__).parents[2]


# What is read


def written(folder: Path, **documents: object) -> Path:
    for name, document in documents.items():
        (folder / f"{name}.json").write_text(json.dumps(document), encoding="utf-8")
    return folder


def test_captions_boxes_and_crowds_are_read_by_the_bytes_of_their_pictures(tmp_path: Path) -> None:
    first, second = (save(tmp_path / f"{name}.jpg") for name in "ab")
    (tmp_path / "again.jpg").write_bytes(first.read_bytes())
    written(
        tmp_path,
        captions={"a.jpg": ["a  dog ", ""], "gone.jpg": ["a cat"]},
        labels={"b.jpg": {"boxes": [["dog", 0, 0, 1, 1], ["dog", 0, 0, 0.5, 1]], "crowd": ["person"]}},
    )
    (truth,) = read_truth(tmp_path)
    assert list(truth.pictures.values()) == [first, second]
    assert list(truth.captions.values()) == [("a dog",)]
    assert [one.labels for one in truth.objects.values()] == [{"dog", "person"}]
    assert len(truth.absent) >= 60
    assert truth.within(truth.captions).objects == {}


def test_scenes_are_folders_and_their_names_count(tmp_path: Path) -> None:
    save(tmp_path / "alley" / "a.jpg")
    written(tmp_path, scenes={"scenes": {"alley": {"places365": ["/s/street_lamp"], "indoor": False}}})
    (truth,) = read_truth(tmp_path)
    (scene,) = truth.scenes.values()
    assert scene.accepted == {"alley", "s street lamp"}
    assert scene.indoor is False


def test_data_sets_and_subfolders_are_measured_apart(tmp_path: Path) -> None:
    for name in "abc":
        save(tmp_path / "photos" / f"{name}.jpg")
    written(
        tmp_path / "photos",
        captions={f"{name}.jpg": [name] for name in "abc"},
        sources={"a.jpg": {"dataset": "One"}, "b.jpg": {"dataset": "Two"}, "c.jpg": {"dataset": "Two"}},
    )
    (tmp_path / "absent.txt").write_text("# none of these\na unicorn\n\n", encoding="utf-8")
    truths = read_truth(tmp_path)
    assert [(truth.name, len(truth.pictures)) for truth in truths] == [("photos, One", 1), ("photos, Two", 2)]
    assert truths[0].absent == ("a unicorn",)
    assert truths[0].digest != truths[1].digest


@pytest.mark.parametrize("text", ["[]", "{", '{"a.jpg": 3}'])
def test_a_file_of_another_form_is_an_error_that_names_it(tmp_path: Path, text: str) -> None:
    save(tmp_path / "a.jpg")
    (tmp_path / "captions.json").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=str(tmp_path)):
        read_truth(tmp_path)


def test_a_folder_without_any_truth_says_what_to_put_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"captions\.json"):
        read_truth(tmp_path)


# What is asked


def truth_of(captions: dict[str, list[str]], objects: dict[str, set[str]] | None = None) -> Truth:
    from indexer.quality.truth import Objects

    ids = {ImageId(name): Path(f"{name}.jpg") for name in [*captions, *(objects or {})]}
    return Truth(
        "made",
        ids,
        {ImageId(name): tuple(texts) for name, texts in captions.items()},
        {ImageId(name): Objects(frozenset(labels)) for name, labels in (objects or {}).items()},
        {},
        ("a unicorn",),
    )


def test_a_caption_that_two_pictures_have_is_answered_by_both() -> None:
    asked = questions.captions(truth_of({"a": ["A dog runs"], "b": ["a dog runs", "a cat"]}), most=10)
    assert [(one.text, sorted(one.gains), one.about) for one in asked] == [
        ("A dog runs", ["a", "b"], "a"),
        ("a dog runs", ["a", "b"], "b"),
        ("a cat", ["b"], "b"),
    ]
    assert len(questions.captions(truth_of({"a": ["A dog runs"], "b": ["a dog runs", "a cat"]}), most=2)) == 2


def test_short_questions_by_boxes_are_labels_synonyms_and_pairs() -> None:
    objects: dict[str, set[str]] = {str(n): {"dog", "couch"} for n in range(3)}
    objects |= {str(n): {"person"} for n in range(3, 9)}
    asked = questions.short(truth_of({}, objects), most=100)
    gains = {(one.kind, one.text): len(one.gains) for one in asked}
    assert gains["label", "dog"] == gains["synonym", "puppy"] == gains["synonym", "sofa"] == 3
    assert gains["pair", "couch dog"] == 3
    assert ("label", "person") not in gains  # more than half of the pictures show one


def test_short_questions_by_captions_are_telling_words_and_what_else_people_call_them() -> None:
    texts = {str(n): ["Two dogs running on the sand", "the dog"] for n in range(4)}
    texts |= {str(n): ["a man is standing at a window"] for n in range(4, 30)}
    asked = questions.short(truth_of(texts), most=100)
    kinds = {one.text: one.kind for one in asked}
    assert {"puppy": "synonym", "sand": "word", "running sand": "pair of words"}.items() <= kinds.items()
    assert not {"two", "the", "standing", "man"} & kinds.keys()


def test_no_word_is_asked_twice_of_one_kind_and_synonyms_belong_to_one_label() -> None:
    words = Counter(word for others in questions.asked_words().values() for word in others)
    assert not [word for word, count in words.items() if count > 1]
    assert not words.keys() & questions.asked_words().keys()


# Counts by brute force

RECORDS = [
    an_image(ordinal=1, objects=["dog", "dog", ("person", 0.4)], taken_at="2024-05-01"),
    an_image(ordinal=2, objects=["Dog", "person", "person"], width=300, height=600),
    an_image(ordinal=3, objects=["cat"], scenes=["beach"]),
]


def facet(name: str, **counts: int) -> Facet:
    return Facet(name, tuple(FacetValue(value, count) for value, count in counts.items()))


def test_counts_that_are_right_agree_and_others_do_not() -> None:
    assert oracle.agrees(facet("object", dog=2, cat=1, person=1), parse(""), RECORDS, size=30)
    assert not oracle.agrees(facet("object", dog=3, cat=1, person=1), parse(""), RECORDS, size=30)
    assert not oracle.agrees(facet("object", dog=2, cat=1), parse(""), RECORDS, size=30)
    assert oracle.agrees(facet("object", dog=2), parse(""), RECORDS, size=1)
    # A facet's own selection is left out of its counts, a limit of confidence is not.
    assert oracle.agrees(facet("object", dog=2, cat=1, person=1), parse("object:dog"), RECORDS, size=30)
    assert oracle.agrees(facet("object", dog=2, cat=1, person=2), parse("confidence:>=0.3"), RECORDS, size=30)
    assert oracle.agrees(facet("orientation", landscape=1), parse("object:dog -people:>=1"), RECORDS, size=30)


def test_the_oracle_knows_every_facet() -> None:
    for name in FACETS:
        assert oracle.agrees(facet(name), parse(""), [], size=30), name


def test_random_filters_are_the_same_each_time_and_of_many_kinds() -> None:
    made = oracle.random_filters(RECORDS, 200, seed=1)
    assert made == oracle.random_filters(RECORDS, 200, seed=1)
    assert {term.field for one in made for term in one.terms} >= {"object", "scene", "people", "year", "confidence"}
    assert any(term.negated for one in made for term in one.terms)
    assert any(term.counted for one in made for term in one.terms)
    assert 0 < sum(any(matches(one, record) for record in RECORDS) for one in made) < 200


# What is reported


def a_report(**figures: float) -> Report:
    return Report(
        "lite",
        "lite-0",
        [PictureSet("mine", 20, "d1", 0, 20, 100)],
        [
            Figure("mine", "captions", "blend", name, Estimate(value, value - 0.05, value + 0.05, 100), "higher")
            for name, value in figures.items()
        ],
        [Comparison("mine", "captions", "R@10", "blend", "vector", Difference(0.1, 0.05, 0.2, 0.01))],
        [LabelRow("mine", "dog", 20, 16, 12)],
    )


def test_a_report_is_the_same_after_it_was_written_and_read(tmp_path: Path) -> None:
    report = a_report(a=0.123456)
    results.keep(report, tmp_path / "kept.json")
    kept = results.read(tmp_path / "kept.json")
    assert kept == report.rounded()
    assert kept.figures[0].estimate.value == 0.1235
    assert results.changes(report, kept) == ([], [])


def test_only_what_is_beyond_the_earlier_interval_is_a_change() -> None:
    before = a_report(up=0.5, down=0.5, same=0.5, gone=0.5)
    now = a_report(up=0.6, down=0.4, same=0.54, new=0.1)
    changes, others = results.changes(now, before)
    assert [(change.figure.metric, change.is_better) for change in changes] == [("up", True), ("down", False)]
    assert others == []
    text = results.said(changes, others)
    assert text.splitlines()[0].startswith("WORSE   mine, captions, blend, down: 0.400, was 0.500")
    lower = replace(now, figures=[replace(figure, better="lower") for figure in now.figures])
    assert [change.is_better for change in results.changes(lower, before)[0]] == [False, True]
    assert results.changes(replace(now, figures=[replace(f, better="") for f in now.figures]), before)[0] == []


@pytest.mark.parametrize("other", [{"digest": "d2"}, {"among": 900}, {"questions": 60}])
def test_other_pictures_or_questions_are_not_compared(other: dict[str, object]) -> None:
    before = a_report(up=0.5)
    now = replace(a_report(up=0.9), sets=[replace(before.sets[0], **other)])
    assert results.changes(now, before) == ([], ["mine"])


def test_tables_stand_between_the_markers_of_a_page(tmp_path: Path) -> None:
    page = tmp_path / "quality.md"
    page.write_text(f"# Quality\n\n{results.BEGIN}\nold\n{results.END}\nafter\n", encoding="utf-8")
    results.write_page(a_report(recall=0.5), page)
    results.write_page(a_report(recall=0.5), page)
    text = page.read_text(encoding="utf-8")
    assert text.startswith(f"# Quality\n\n{results.BEGIN}\n")
    assert text.endswith(f"{results.END}\nafter\n")
    assert "old" not in text
    assert "| blend | 100 | 0.500 (0.450–0.550) |" in text
    assert "| dog | 20 | 16 | 0.75 | 0.60 |" in text
    with pytest.raises(ConfigError, match="needs the lines"):
        results.write_page(a_report(recall=0.5), tmp_path / "other.md")


def test_a_file_that_is_no_result_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("{}", encoding="utf-8")
    with pytest.raises(ConfigError, match="no result"):
        results.read(tmp_path / "a.json")


def test_the_page_shows_the_kept_result_which_is_numbers_alone() -> None:
    kept = results.read(ROOT / "docs" / "quality.json")
    page = (ROOT / "docs" / "quality.md").read_text(encoding="utf-8")
    assert results.tables(kept) in page
    assert ".jpg" not in (ROOT / "docs" / "quality.json").read_text(encoding="utf-8")
