"""A library that goes from one profile to another: what answers meanwhile, what is run again, what is left behind."""

import shutil
import sqlite3
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from libraries import Quiet, index, photos
from PIL import Image
from starlette.testclient import TestClient

from api.app import create_app
from indexer.pipeline import index_paths
from indexer.profiles import open_profile
from search.catalog.sqlite_catalog import SqliteCatalog
from search.config import load_config
from search.errors import ModelUnavailable
from search.services import Services, library_status, open_services
from search.types import Query, TagKind
from search.verify import verify_library

tiny_models = pytest.importorskip("tiny_models", reason="needs all extras: make setup", exc_type=ImportError)

PHOTOS = ("pets/chelsea.png", "people/camera.png", "rocket.jpg", "coins.png", "page.png", "textures/brick.png")
OWN = {
    "embedding": 'library = "open_clip"\nmodel = "clip"\nruntime = "torch"',
    "classes": 'library = "transformers"\nmodel = "resnet"\nthreshold = 0.0',
    "colors": 'library = "palette"',
    "captions": 'library = "transformers"\nmodel = "blip"\nmax_tokens = 12',
}
CHANGES = {
    "captions": 'library = "transformers"\nmodel = "blip"\nmax_tokens = 4',
    "classes": 'library = "transformers"\nmodel = "vit"\nthreshold = 0.0',
}
"""Of one task each."""


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photos, a library of them made with lite, one made with a profile of one's own, and the models of that."""
    folder = tmp_path_factory.mktemp("profiles")
    tiny_models.clip(folder / "clip", tiny_models.CLIP)
    tiny_models.blip(folder / "blip")
    for kind in ("resnet", "vit"):
        tiny_models.classifier(folder / kind, kind)
    write(folder / "own.toml")
    everything = photos(folder / "all")
    for place in PHOTOS:
        (folder / "photos" / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(everything / place, folder / "photos" / place)
    index(folder / "lite", folder / "photos", profile="lite")
    index(folder / "own", folder / "photos", profile=str(folder / "own.toml"))
    return folder


@pytest.fixture
def copied(base: Path, tmp_path: Path) -> Callable[[str], Path]:
    """Copy one of the libraries, for a test to change."""
    return lambda name: shutil.copytree(base / name, tmp_path / "library")


def write(path: Path, **changes: str) -> str:
    tables = OWN | changes
    path.write_text("\n".join(f"[{task}]\n{table}" for task, table in tables.items()), encoding="utf-8")
    return str(path)


class Watch(Quiet):
    """Looks at something after each batch."""

    def __init__(self, look: Callable[[], object]) -> None:
        self.look = look
        self.seen: list[Any] = []

    def done(self, count: int) -> None:
        self.seen.append(self.look())


class Stop(Quiet):
    """Ends a run as Ctrl-C does, after its first batch."""

    def done(self, count: int) -> None:
        raise KeyboardInterrupt


def best(services: Services) -> tuple[str, str]:
    """Return the space that answers, as its name, and the best file for a cat."""
    services.refresh()
    found = services.engine.search(Query(texts=("a cat",), cutoff="none"))
    assert found.total == 6
    assert found.space == services.engine.space == services.encoder.space
    return found.space.name, found.hits[0].image.files[0]


def begin(library: Path, profile: str) -> None:
    """Start a change of profile and break it off after two images."""
    with pytest.raises(KeyboardInterrupt):
        index_paths(load_config(data=library, profile=profile, batch_size=2), [], progress=Stop())
    with SqliteCatalog(library) as catalog:
        assert catalog.coming_profile == profile


def assert_only(library: Path, profile: str, space: str) -> None:
    """A library is wholly in one profile and space: nothing is left of another, or on its way."""
    with SqliteCatalog(library) as catalog:
        config = load_config(data=library)
        status = library_status(config, catalog)
        assert (status["profile"], status["space"]["name"], status["images"]) == (profile, space, 6)
        assert catalog.coming_profile is None
        assert verify_library(config, catalog, repair=False) == ([], 0)
    with closing(sqlite3.connect(library / "catalog.sqlite")) as rows:
        assert rows.execute("SELECT name FROM space").fetchall() == [(space,)]
        assert rows.execute("SELECT count(*) FROM embedding").fetchone() == (6,)


def test_search_answers_in_the_old_space_until_every_image_is_in_the_new_one(base: Path, copied: Any) -> None:
    library, profile = copied("lite"), str(base / "own.toml")
    with open_services(load_config(data=library)) as services:
        assert (lite := best(services)[0]) != "clip"
        watch = Watch(lambda: best(services))
        index_paths(load_config(data=library, profile=profile, batch_size=2), [], progress=watch)
        assert watch.seen == [(lite, "pets/chelsea.png")] * 3
        assert best(services)[0] == "clip"
        assert (services.profile, services.engine.space.dim) == (profile, 32)
    assert_only(library, profile, "clip")


def test_a_change_that_was_interrupted_goes_on_where_it_was(base: Path, copied: Any) -> None:
    library, profile = copied("lite"), str(base / "own.toml")
    begin(library, profile)
    with open_services(load_config(data=library)) as services:
        assert services.profile == "lite"
        assert best(services) == (services.encoder.space.name, "pets/chelsea.png")
        report = index(library)
        assert (report.profile, report.unchanged, report.indexed) == (profile, 2, 4)
        assert best(services)[0] == "clip"
    assert_only(library, profile, "clip")


def test_a_change_that_was_given_up_leaves_nothing_behind(base: Path, copied: Any) -> None:
    library = copied("lite")
    with SqliteCatalog(library) as catalog:
        lite = catalog.active_space()
        before = said(catalog, lite)
    begin(library, str(base / "own.toml"))
    assert index(library, profile="lite").indexed == 2
    assert_only(library, "lite", lite.name)
    with SqliteCatalog(library) as catalog:
        assert labels(said(catalog, lite)) == labels(before)


def test_a_library_goes_back_to_lite(base: Path, copied: Any) -> None:
    library = copied("own")
    assert_only(library, str(base / "own.toml"), "clip")
    report = index(library, profile="lite")
    assert report.indexed == 6
    assert_only(library, "lite", report.space.name)
    with open_services(load_config(data=library)) as services:
        assert best(services)[1] == "pets/chelsea.png"
    assert index(library).unchanged == 6


def said(catalog: SqliteCatalog, space: Any) -> dict[str, tuple[Any, ...]]:
    """Return what the models said of each image, by its file."""
    ids = [record.id for record in catalog.records(list(catalog.ordinals()))]
    found = catalog.said(ids, space)
    return {str(catalog.locate(id)[0]): (dict(one.tags), one.caption, dict(one.done)) for id, one in found.items()}


def labels(everything: dict[str, tuple[Any, ...]]) -> dict[str, Any]:
    """Return what was said without confidences, which follow the last digits of a stored vector."""
    return {
        path: ({task: [(tag.label, tag.box) for tag in found] for task, found in tags.items()}, *rest)
        for path, (tags, *rest) in everything.items()
    }


class Counting:
    """A model that counts the pictures that it is given."""

    def __init__(self, task: str, model: Any, counts: Counter[str]) -> None:
        self._task, self._model, self._counts = task, model, counts

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._model, name)
        if name not in ("encode_images", "tag", "caption"):
            return found

        def counted(images: Any, *rest: Any) -> Any:
            self._counts[self._task] += len(images)
            return found(images, *rest)

        return counted


@pytest.mark.parametrize("changed", [(), ("captions",), ("classes",), ("classes", "captions")])
def test_only_the_tasks_whose_model_changed_run_again(base: Path, changed: tuple[str, ...]) -> None:
    changes = {task: CHANGES[task] for task in changed}
    profile, counts = open_profile(write(base / f"{'-'.join(changed) or 'same'}.toml", **changes)), Counter()
    profile.encoder = Counting("embedding", profile.encoder, counts)
    profile.taggers = {task: Counting(task, tagger, counts) for task, tagger in profile.taggers.items()}
    profile.captioner = Counting("captions", profile.captioner, counts)
    with SqliteCatalog(base / "own") as catalog:
        record = catalog.record(catalog.expect(str(base / "photos" / "rocket.jpg")))
        (before,) = catalog.said([record.id], profile.encoder.space).values()
    image = Image.open(base / "photos" / "rocket.jpg")
    profile.annotate([image], [before])
    assert counts == Counter(changed)
    profile.annotate([image])
    assert counts == Counter((*OWN, *changed))


@pytest.mark.parametrize("task", CHANGES)
def test_a_change_of_one_task_keeps_what_the_others_and_people_said(base: Path, copied: Any, task: str) -> None:
    library, cat = copied("own"), str(base / "photos" / "pets" / "chelsea.png")
    with SqliteCatalog(library) as catalog:
        id, space = catalog.expect(cat), catalog.active_space()
        before = said(catalog, space)
        gone = catalog.record(id).tags[0]
        catalog.edit(id, add=[(TagKind.USER, "Chelsea")], remove=[(gone.kind, gone.label)], caption="My cat")
    with open_services(load_config(data=library)) as services:
        profile = write(base / f"other-{task}.toml", **{task: CHANGES[task]})
        assert index(library, profile=profile).indexed == 6
        assert best(services)[0] == "clip"
        assert services.profile == profile
    with SqliteCatalog(library) as catalog:
        after, record = said(catalog, space), catalog.record(id)
    assert after.keys() == before.keys()
    assert {t for path in after for t, print in after[path][2].items() if print != before[path][2][t]} == {task}
    kept = [{t: tags for t, tags in one[0].items() if t != task} for one in (before[cat], after[cat])]
    assert kept[0] == kept[1]
    assert (after[cat][1] == before[cat][1]) == (task != "captions")
    assert (after[cat][0]["classes"] == before[cat][0]["classes"]) == (task != "classes")
    assert record.caption == "My cat"
    labels = {(tag.kind, tag.label) for tag in record.tags}
    assert (TagKind.USER, "Chelsea") in labels
    assert (gone.kind, gone.label) not in labels
    assert_only(library, profile, "clip")


def test_weights_that_vanish_are_named_and_the_library_is_unharmed(base: Path, copied: Any, tmp_path: Path) -> None:
    library = copied("own")
    (base / "clip").rename(tmp_path / "away")
    try:
        named = rf"\[embedding\].*{base / 'clip'}"
        with pytest.raises(ModelUnavailable, match=named), open_services(load_config(data=library)):
            pass
        with pytest.raises(ModelUnavailable, match=r"\[embedding\]"):
            index(library)
        assert_only(library, str(base / "own.toml"), "clip")
    finally:
        (tmp_path / "away").rename(base / "clip")
    with open_services(load_config(data=library)) as services:
        assert best(services)[0] == "clip"


def test_a_server_answers_before_during_and_after_a_change(base: Path, copied: Any) -> None:
    library, profile = copied("lite"), str(base / "own.toml")
    with (
        open_services(load_config(data=library)) as services,
        TestClient(create_app(services), base_url="http://127.0.0.1") as client,
    ):

        def asked() -> str:
            answer = client.get("/v1/search", params={"q": "a cat", "cutoff": "none"})
            assert answer.status_code == 200, answer.text
            body: Mapping[str, Any] = answer.json()
            assert body["total"] == 6
            return str(body["space"])

        lite, watch = asked(), Watch(asked)
        index_paths(load_config(data=library, profile=profile, batch_size=2), [], progress=watch)
        assert watch.seen == [lite] * 3
        assert asked().startswith("clip-")
        assert not lite.startswith("clip-")
