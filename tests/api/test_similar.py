"""Copies, groups of them, parts of pictures as the query, and the parts of a score, on real photos."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from libraries import index, photos
from PIL import Image
from starlette.testclient import TestClient

from api.app import create_app
from search.config import load_config
from search.services import open_services


def altered(folder: Path) -> Path:
    """Fill a folder with copies of some of the photos that differ in one thing each."""
    folder.mkdir()
    source = folder.parent / "photos"
    with Image.open(source / "pets" / "chelsea.png") as cat, Image.open(source / "rocket.jpg") as rocket:
        cat.resize((cat.width // 2, cat.height // 2)).save(folder / "cat-half.png")
        cat.convert("L").save(folder / "cat-grey.png")
        cat.convert("RGB").save(folder / "cat.jpg", quality=85)
        rocket.crop((rocket.width // 20, rocket.height // 20, rocket.width * 19 // 20, rocket.height * 19 // 20)).save(
            folder / "rocket-crop.jpg", quality=90
        )
        rocket.save(folder / "rocket-small-file.jpg", quality=20)
    shutil.copy(source / "rocket.jpg", folder / "rocket-again.jpg")
    return folder


@pytest.fixture(scope="module")
def with_copies(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    folder = tmp_path_factory.mktemp("copies")
    index(folder / "library", photos(folder / "photos"), altered(folder / "altered"))
    config = load_config(data=folder / "library")
    with open_services(config) as services, TestClient(create_app(services), base_url="http://127.0.0.1") as client:
        yield client


def id_of(client: TestClient, name: str) -> str:
    hits = client.get("/v1/search", params={"k": 100}).json()["hits"]
    return next(hit["id"] for hit in hits if any(Path(file).name == name for file in hit["files"]))


def told(client: TestClient, name: str) -> dict[str, list[str]]:
    answer = client.get(f"/v1/images/{id_of(client, name)}/similar", params={"by": "duplicate"}).json()
    return {Path(hit["files"][0]).name: hit["differences"] for hit in answer["hits"]}


def test_copies_are_found_and_their_differences_named(with_copies: TestClient) -> None:
    assert told(with_copies, "chelsea.png") == {
        "cat-half.png": ["smaller: 225×150 of 451×300"],
        "cat-grey.png": ["colour: grey"],
        "cat.jpg": ["format: JPEG, not PNG"],
    }
    rocket = told(with_copies, "rocket.jpg")
    assert set(rocket) == {"rocket-crop.jpg", "rocket-small-file.jpg"}
    assert rocket["rocket-crop.jpg"][0].startswith("crop: about ")
    assert rocket["rocket-small-file.jpg"][0].startswith("compression: ")
    files = told(with_copies, "rocket-small-file.jpg")
    assert "files: 2 with the same bytes" in next(iter(files.values()))


def test_a_picture_without_copies_has_none(with_copies: TestClient) -> None:
    assert told(with_copies, "coins.png") == {}


def test_groups_of_copies_are_listed_page_by_page(with_copies: TestClient) -> None:
    page = with_copies.get("/v1/duplicates").json()
    groups = [{Path(image["files"][0]).name for image in group["images"]} for group in page["groups"]]
    assert (page["total"], page["next"]) == (2, None)
    assert {"chelsea.png", "cat-half.png", "cat-grey.png", "cat.jpg"} in groups
    assert {len(group) for group in groups} == {3, 4}
    for group in page["groups"]:
        largest, *others = group["images"]
        assert largest["differences"] == []
        assert all(other["differences"] for other in others)
        assert largest["width"] == max(image["width"] for image in group["images"])
    first = with_copies.get("/v1/duplicates", params={"k": 1}).json()
    second = with_copies.get("/v1/duplicates", params={"k": 1, "cursor": first["next"]}).json()
    assert [*first["groups"], *second["groups"]] == page["groups"]
    assert second["next"] is None
    assert with_copies.get("/v1/duplicates", params={"cursor": "x"}).status_code == 422


def test_a_library_without_copies_has_no_groups(client: TestClient) -> None:
    assert client.get("/v1/duplicates").json()["groups"] == []


def test_a_part_of_a_picture_is_a_query(client: TestClient) -> None:
    id = id_of(client, "astronaut.png")
    whole = client.get(f"/v1/images/{id}/similar").json()["hits"]
    answer = client.get(f"/v1/images/{id}/similar", params={"box": "0.3,0,0.4,0.4", "k": 5})
    part = answer.json()["hits"]
    assert len(part) == 5
    assert all(hit["id"] != id for hit in part)
    assert [hit["similarity"] for hit in part] != [hit["similarity"] for hit in whole[:5]]
    again = client.get(f"/v1/images/{id}/similar", params={"box": "0.3,0,0.4,0.4", "k": 5}).json()["hits"]
    assert again == part


def test_a_part_of_an_upload_is_a_query(client: TestClient, tmp_path: Path) -> None:
    """Two photos side by side: each half finds its own."""
    cat, rocket = photos(tmp_path) / "pets" / "chelsea.png", tmp_path / "rocket.jpg"
    both = Image.new("RGB", (800, 300))
    for place, path in ((0, cat), (400, rocket)):
        with Image.open(path) as photo:
            both.paste(photo.convert("RGB").resize((400, 300)), (place, 0))
    both.save(tmp_path / "both.png")
    for box, name in (("0,0,0.5,1", "chelsea.png"), ("0.5,0,0.5,1", "rocket.jpg")):
        content = (tmp_path / "both.png").read_bytes()
        body = client.post("/v1/similar", data={"box": box}, files={"file": ("both.png", content)}).json()
        assert Path(body["hits"][0]["files"][0]).name == name


@pytest.mark.parametrize(
    ("box", "reason"),
    [
        ("0.5,0.5,0.6,0.2", "inside the picture"),
        ("-0.1,0,0.5,0.5", "inside the picture"),
        ("0,0,0.01,0.5", "16 x 16"),
        ("0,0,0,0.5", "a width and a height"),
        ("0,0,1", "x,y,width,height"),
        ("a,b,c,d", "x,y,width,height"),
        ("nan,0,1,1", "x,y,width,height"),
    ],
)
def test_a_box_that_makes_no_sense_is_refused_with_the_reason(client: TestClient, box: str, reason: str) -> None:
    id = id_of(client, "coins.png")
    answers = [client.get(f"/v1/images/{id}/similar", params={"box": box})]
    content = client.get(f"/v1/images/{id}/file").content
    answers.append(client.post("/v1/similar", data={"box": box}, files={"file": ("x.png", content)}))
    for answer in answers:
        assert answer.status_code == 422
        assert reason in answer.json()["detail"]


@pytest.mark.parametrize(
    ("asked", "names"),
    [
        ({"text": ["a cat"]}, {"text", "keyword"}),
        ({"text": ["a cat"], "not_text": ["a rocket"]}, {"text", "keyword", "not"}),
        ({"text": ["a cat"], "mode": "vector"}, {"text"}),
        ({"text": ["cat"], "mode": "keyword"}, {"keyword"}),
    ],
)
def test_a_score_is_the_sum_of_its_parts(client: TestClient, asked: dict, names: set[str]) -> None:
    hits = client.post("/v1/search", json={**asked, "cutoff": "none"}).json()["hits"]
    assert hits
    for hit in hits:
        assert set(hit["parts"]) == names
        assert sum(hit["parts"].values()) == pytest.approx(hit["score"], abs=1e-5)


@pytest.mark.parametrize("by", ["image", "tags", "both"])
def test_likeness_is_the_sum_of_its_parts(client: TestClient, by: str) -> None:
    hits = client.get(f"/v1/images/{id_of(client, 'brick.png')}/similar", params={"by": by}).json()["hits"]
    assert hits
    for hit in hits:
        assert set(hit["parts"]) == ({"image", "tags"} if by == "both" else {by})
        assert sum(hit["parts"].values()) == pytest.approx(hit["score"], abs=1e-5)
