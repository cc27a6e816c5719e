import io
import time

import pytest
from libraries import HOSTILE_NAME, photos
from pictures import a_picture, encoded
from PIL import Image
from starlette.testclient import TestClient


def id_of(client: TestClient, path: str = "pets/*") -> str:
    (hit,) = client.get("/v1/search", params={"filter": f'path:"{path}"'}).json()["hits"]
    return hit["id"]


def test_the_whole_record_of_an_image(client: TestClient) -> None:
    record = client.get(f"/v1/images/{id_of(client)}").json()
    assert record["files"] == ["pets/chelsea.png"]
    assert (record["width"], record["height"]) == (451, 300)
    assert record["caption_source"] == "composed"
    (cat,) = [tag for tag in record["tags"] if tag["label"] == "cat" and tag["kind"] == "object"]
    assert cat["source"] == "ssd-mobilenet-v2"
    assert all(0 <= v <= 1 for v in cat["box"])


def test_the_original_comes_back_byte_for_byte_and_cannot_run(client: TestClient, tmp_path) -> None:
    answer = client.get(f"/v1/images/{id_of(client)}/file")
    assert answer.content == (photos(tmp_path) / "pets" / "chelsea.png").read_bytes()
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-security-policy"].startswith("sandbox")


def test_a_hostile_file_name_stays_a_file_name(client: TestClient) -> None:
    disposition = client.get(f"/v1/images/{id_of(client, '*coffee*')}/file").headers["content-disposition"]
    assert "<" not in disposition
    assert disposition.startswith("inline; filename*=UTF-8''%3Cimg")


@pytest.mark.parametrize(("size", "expected"), [(256, (256, 170)), (512, (451, 300)), (1024, (451, 300))])
def test_thumbnails_come_in_three_sizes_and_are_never_enlarged(
    client: TestClient, size: int, expected: tuple[int, int]
) -> None:
    answer = client.get(f"/v1/images/{id_of(client)}/thumbnail", params={"size": size})
    assert answer.headers["content-type"] == "image/webp"
    with Image.open(io.BytesIO(answer.content)) as thumbnail:
        assert thumbnail.size == expected


def test_an_unknown_size_is_refused(client: TestClient) -> None:
    answer = client.get(f"/v1/images/{id_of(client)}/thumbnail", params={"size": 99999})
    assert answer.status_code == 422


@pytest.mark.parametrize("path", ["", "/file", "/thumbnail", "/similar"])
def test_an_image_that_is_not_there_is_not_found(client: TestClient, path: str) -> None:
    answer = client.get(f"/v1/images/{'0' * 32}{path}")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert client.get(f"/v1/images/zzz{path}").status_code == 422


def test_a_path_for_an_id_reaches_no_file(client: TestClient) -> None:
    answer = client.get("/v1/images/..%2f..%2fetc%2fpasswd/file")
    assert answer.status_code in (404, 422)
    assert b"root:" not in answer.content


@pytest.mark.parametrize("by", ["image", "tags", "both"])
def test_similar_images_leave_the_image_itself_out(client: TestClient, by: str) -> None:
    id = id_of(client, "textures/grass.png")
    body = client.get(f"/v1/images/{id}/similar", params={"by": by, "k": 5}).json()
    assert body["hits"]
    assert id not in [hit["id"] for hit in body["hits"]]
    scores = [hit["score"] for hit in body["hits"]]
    assert scores == sorted(scores, reverse=True)


def test_similar_images_obey_a_filter(client: TestClient) -> None:
    id = id_of(client)
    body = client.get(f"/v1/images/{id}/similar", params={"filter": "path:textures/*"}).json()
    assert sorted(hit["files"][0] for hit in body["hits"]) == [
        "textures/brick.png", "textures/grass.png", "textures/gravel.png"
    ]  # fmt: skip


def test_different_pictures_are_no_duplicates(client: TestClient) -> None:
    body = client.get(f"/v1/images/{id_of(client)}/similar", params={"by": "duplicate"}).json()
    assert body["hits"] == []


def test_an_uploaded_copy_finds_its_original(client: TestClient, tmp_path) -> None:
    with Image.open(photos(tmp_path) / "pets" / "chelsea.png") as cat:
        small = encoded(cat.convert("RGB").resize((300, 200)), "JPEG", quality=60)
    before = client.get("/v1/search").json()["total"]
    for by in ("duplicate", "image"):
        body = client.post("/v1/similar", params={"by": by}, files={"file": ("x.jpg", small)}).json()
        assert body["hits"][0]["files"] == ["pets/chelsea.png"]
    assert client.get("/v1/search").json()["total"] == before


@pytest.mark.parametrize(
    ("content", "status"), [(b"", 415), (b"no picture", 415), (b"<svg/>", 415), (encoded(a_picture())[:300], 415)]
)
def test_an_upload_that_is_no_picture_is_refused(client: TestClient, content: bytes, status: int) -> None:
    answer = client.post("/v1/similar", files={"file": ("x.jpg", content)})
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert client.post("/v1/similar").status_code == 422


def test_people_overrule_the_models(own_client: TestClient) -> None:
    id = id_of(own_client)
    change = {
        "tags": {"add": [{"label": "Chelsea"}], "remove": [{"kind": "object", "label": "cat"}]},
        "caption": "Chelsea looks up",
        "alt_text": "A tabby cat",
    }
    record = own_client.patch(f"/v1/images/{id}", json=change).json()

    assert (record["caption"], record["caption_source"]) == ("Chelsea looks up", "person")
    assert record["alt_text"] == "A tabby cat"
    assert {"kind": "user", "label": "Chelsea", "confidence": 1.0, "source": "person", "box": None} in record["tags"]
    assert own_client.get("/v1/search", params={"filter": "user:chelsea"}).json()["total"] == 1
    assert own_client.get("/v1/search", params={"filter": "object:cat"}).json()["total"] == 0
    assert own_client.patch(f"/v1/images/{id}", json={"title": "x"}).status_code == 422
    assert own_client.patch(f"/v1/images/{'0' * 32}", json=change).status_code == 404


def test_a_deleted_image_is_gone_everywhere_and_its_file_is_left(own_client: TestClient, tmp_path) -> None:
    id = id_of(own_client)
    assert own_client.delete(f"/v1/images/{id}").status_code == 204
    assert own_client.get(f"/v1/images/{id}").status_code == 404
    assert own_client.get(f"/v1/images/{id}/thumbnail").status_code == 404
    assert own_client.get("/v1/search", params={"filter": "object:cat"}).json()["total"] == 0
    assert "cat" not in str(own_client.get("/v1/facets").json()["object"])
    assert own_client.delete(f"/v1/images/{id}").status_code == 404
    assert (tmp_path / "photos" / "pets" / "chelsea.png").exists()


def test_an_original_that_was_changed_on_disk_is_not_served_as_what_it_was(own_client: TestClient, tmp_path) -> None:
    id = id_of(own_client)
    (tmp_path / "photos" / "pets" / "chelsea.png").write_bytes(b"something else")
    answer = own_client.get(f"/v1/images/{id}/file")
    assert answer.status_code == 404
    assert "snapseek index" in answer.json()["detail"]


def test_the_hostile_name_is_given_as_it_is_in_json(client: TestClient) -> None:
    assert client.get(f"/v1/images/{id_of(client, '*coffee*')}").json()["files"] == [HOSTILE_NAME]


def test_a_thumbnail_is_avif_where_that_is_accepted_and_written_meanwhile(client: TestClient) -> None:
    id = client.get("/v1/search").json()["hits"][0]["id"]
    url, accepts = f"/v1/images/{id}/thumbnail?size=256", {"Accept": "image/avif,image/webp,*/*"}
    until = time.monotonic() + 60
    while (answer := client.get(url, headers=accepts)).headers["content-type"] == "image/webp":
        assert answer.headers["vary"] == "Accept"
        assert time.monotonic() < until
        time.sleep(0.05)
    assert answer.headers["content-type"] == "image/avif"
    with Image.open(io.BytesIO(answer.content)) as avif:
        assert (avif.format, max(avif.size)) == ("AVIF", 256)
    plain = client.get(url, headers={"Accept": "image/webp"})
    assert plain.headers["content-type"] == "image/webp"
    assert len(answer.content) < len(plain.content)
