import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.captioners.composed import compose, counted, plural
from indexer.settings import SETTINGS
from indexer.taggers.compounds import compounds
from indexer.taggers.lite import confidence
from indexer.taggers.zero_shot import places
from search.encoders.coco import COCO_LABELS
from search.types import DEFAULT_CONFIDENCE, Tag, TagKind


def an_object(label: str, confidence: float = 0.9) -> Tag:
    return Tag(TagKind.OBJECT, label, confidence, "test")


def a_scene(label: str, confidence: float = 0.6) -> Tag:
    return Tag(TagKind.SCENE, label, confidence, "test")


@pytest.mark.parametrize(
    ("tags", "caption"),
    [
        ([], ""),
        ([an_object("dog")], "A dog"),
        ([an_object("umbrella")], "An umbrella"),
        ([an_object("dog"), *[an_object("person")] * 2, a_scene("beach")], "Two people and a dog on a beach"),
        ([an_object("cat"), an_object("couch"), a_scene("living room")], "A cat and a couch in a living room"),
        ([an_object("bus")] * 3, "Three buses"),
        ([an_object("sheep")] * 12, "12 sheep"),
        ([an_object("skis")], "A pair of skis"),
        ([an_object("wine glass")] * 2, "Two wine glasses"),
        ([an_object("dog", 0.49)], ""),
        ([a_scene("beach")], "Beach"),
        ([a_scene("beach", 0.2), a_scene("coast", 0.2)], "Beach"),
        ([a_scene("volcano", 0.1)], ""),
        ([Tag(TagKind.CLASS, "Egyptian cat", 0.8, "test")], "An Egyptian cat"),
        ([Tag(TagKind.CLASS, "Egyptian cat", 0.3, "test")], ""),
    ],
)  # fmt: skip
def test_a_caption_is_put_together(tags: list[Tag], caption: str) -> None:
    assert compose(tags) == caption


@pytest.mark.parametrize(
    ("one", "many"),
    [("knife", "knives"), ("person", "people"), ("bench", "benches"), ("toothbrush", "toothbrushes"), ("tv", "tvs"),
     ("teddy bear", "teddy bears"), ("mouse", "mice"), ("toy", "toys"), ("cherry", "cherries"), ("box", "boxes")],
)  # fmt: skip
def test_plurals(one: str, many: str) -> None:
    assert plural(one) == many


def test_numbers_are_words_up_to_ten() -> None:
    assert [counted("dog", n) for n in (1, 2, 10, 11)] == ["a dog", "two dogs", "ten dogs", "11 dogs"]


tags = st.lists(
    st.builds(an_object, st.sampled_from(list(COCO_LABELS.values())), st.floats(0, 1))
    | st.builds(a_scene, st.sampled_from(places()[0]), st.floats(0, 1)),
    max_size=12,
)


@given(tags)
def test_a_caption_and_compounds_never_claim_what_the_tags_do_not(found: list[Tag]) -> None:
    sure = {t.label for t in found if t.kind is TagKind.OBJECT and t.confidence >= DEFAULT_CONFIDENCE[TagKind.OBJECT]}
    caption = compose(found).lower()
    for label in set(COCO_LABELS.values()) - sure:
        if not any(label in other or plural(label) in other for other in sure):
            said = f" {caption} ".replace(",", " ")
            in_setting = any(f" {label} " in f" {s.phrase} {s.label} " for s in SETTINGS)
            assert in_setting or (f" {label} " not in said and f" {plural(label)} " not in said)
    for tag in compounds(found):
        assert tag.label.split(" at ")[0] in sure
        assert 0 <= tag.confidence <= 1


def test_compounds_join_an_object_and_where_it_is() -> None:
    made = compounds([an_object("dog", 0.9), an_object("dog", 0.7), an_object("cat", 0.3), a_scene("beach", 0.5)])
    assert [(tag.label, round(tag.confidence, 2)) for tag in made] == [("dog at beach", 0.45)]
    assert compounds([an_object("dog")]) == []


def test_every_setting_gathers_scenes_that_exist() -> None:
    known = set(places()[0])
    for setting in SETTINGS:
        assert setting.scenes <= known, setting.scenes - known


def test_a_detectors_score_becomes_a_confidence_between_0_and_1() -> None:
    assert 0 <= confidence(0.0) < confidence(0.3) < confidence(0.9) < confidence(1.0) <= 1
    assert confidence(0.3) > 0.5
