import pytest
from libraries import PLACES
from starlette.testclient import TestClient


def search(client: TestClient, **params: object) -> dict:
    answer = client.get("/v1/search", params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()


def files(body: dict) -> list[str]:
    return [file for hit in body["hits"] for file in hit["files"]]


def id_of(client: TestClient, path: str) -> str:
    (hit,) = search(client, filter=f'path:"{path}"')["hits"]
    return hit["id"]


def test_words_find_the_picture_that_shows_it(client: TestClient) -> None:
    assert files(search(client, q="a cat"))[0] == "pets/chelsea.png"


def test_without_words_everything_is_listed_page_by_page(client: TestClient) -> None:
    seen, cursor = [], None
    while True:
        body = search(client, k=5, **({"cursor": cursor} if cursor else {}))
        assert body["total"] == len(PLACES)
        seen += files(body)
        cursor = body["next"]
        if cursor is None:
            break
    assert sorted(seen) == sorted(PLACES.values())


def test_a_filter_narrows_and_its_plan_says_so(client: TestClient) -> None:
    body = search(client, q="an animal", filter="object:cat", cutoff="none")
    assert files(body) == ["pets/chelsea.png"]
    assert body["plan"] == {"route": "prefilter-scan", "candidates": 1, "allowed": 1}


def test_a_hit_says_why_it_was_found(client: TestClient) -> None:
    hit = search(client, q="a cat")["hits"][0]
    assert any(reason.startswith("text 0.") for reason in hit["why"])
    assert any(reason.startswith("object:cat") for reason in hit["why"])
    assert 0.5 <= hit["relevance"] <= 1
    assert -1 <= hit["similarity"] <= 1


def test_what_is_not_there_has_no_hits_but_the_nearest_are_there_on_request(client: TestClient) -> None:
    nonsense = "qwx zzrt plomb vvk"
    assert search(client, q=nonsense)["hits"] == []
    assert search(client, q=nonsense, cutoff="none")["total"] == len(PLACES)


def test_an_unwanted_thing_moves_down(client: TestClient) -> None:
    plain = files(search(client, q="an animal", cutoff="none"))
    without = files(search(client, q="an animal", **{"not": "a cat"}, cutoff="none"))
    assert plain[0] == "pets/chelsea.png"
    assert without.index("pets/chelsea.png") > len(without) // 2


def test_facet_counts_equal_a_recount(client: TestClient) -> None:
    body = search(client, facets="object,color,orientation,people", filter="orientation:square|landscape")
    for name, values in body["facets"].items():
        if name == "orientation":  # disjunctive: its own selection does not narrow its own counts
            assert sum(value["count"] for value in values) == len(PLACES)
            continue
        for value in values:
            expression = f'orientation:square|landscape {name}:"{value["value"]}"'
            assert search(client, filter=expression)["total"] == value["count"], expression


def test_facets_of_a_search_count_what_matched_and_no_more(client: TestClient) -> None:
    body = search(client, q="a cat", facets="object")
    counted = {value["value"]: value["count"] for value in body["facets"]["object"]}
    assert counted["cat"] == 1
    assert sum(1 for hit in body["hits"] if any(t["label"] == "cat" for t in hit["tags"])) == 1


def test_a_facets_counts_leave_its_own_selection_out_in_a_search_too(client: TestClient) -> None:
    free = search(client, q="a thing", cutoff="none", facets="orientation")["facets"]["orientation"]
    narrowed = search(client, q="a thing", cutoff="none", facets="orientation", filter="orientation:square")
    assert [(v["value"], v["count"]) for v in narrowed["facets"]["orientation"]] == [
        (v["value"], v["count"]) for v in free
    ]
    assert narrowed["total"] == next(v["count"] for v in free if v["value"] == "square")
    assert [v["value"] for v in narrowed["facets"]["orientation"] if v["selected"]] == ["square"]


def test_keyword_mode_finds_words_of_the_file_name(client: TestClient) -> None:
    body = search(client, q="motorcycle left", mode="keyword")
    assert files(body)[0] == "motorcycle_left.png"
    assert body["hits"][0]["keyword"] > 0
    assert body["plan"]["route"] == "keyword-only"


def test_vector_mode_leaves_words_out(client: TestClient) -> None:
    hit = search(client, q="a cat", mode="vector")["hits"][0]
    assert hit["keyword"] == 0


def test_a_composed_query_takes_texts_pictures_and_what_is_not_wanted(client: TestClient) -> None:
    body = {
        "text": ["a person"],
        "images": [id_of(client, "pets/chelsea.png")],
        "not_text": ["bricks"],
        "filter": "-path:textures/*",
        "weights": {"text": 0.2, "image": 1.0},
        "facets": ["object"],
        "k": 3,
    }
    answer = client.post("/v1/search", json=body).json()
    assert files(answer)[0] == "pets/chelsea.png"
    assert len(answer["hits"]) == 3
    assert not any(file.startswith("textures/") for file in files(answer))


def test_a_given_vector_is_searched_by(client: TestClient) -> None:
    answer = client.post("/v1/search", json={"vector": [1.0] * 384, "k": 2})
    assert answer.status_code == 200
    assert len(answer.json()["hits"]) == 2
    wrong = client.post("/v1/search", json={"vector": [1.0] * 3})
    assert wrong.status_code == 422
    assert "384" in wrong.json()["detail"]


@pytest.mark.parametrize(
    "params",
    [
        {"filter": "object:"},
        {"filter": "nosuchfield:1"},
        {"filter": "people:>=x"},
        {"k": 0},
        {"k": 201},
        {"k": "many"},
        {"q": "x" * 60_000},
        {"q": "\0"},
        {"cursor": "garbage"},
        {"sort": "up"},
        {"mode": "magic"},
        {"cutoff": "2"},
        {"cutoff": "nan"},
        {"facets": "object,nonsense"},
        {"all": "nonsense"},
        {"ranges": "object"},
        {"sort": "random", "seed": -1},
        {"sort": "random", "seed": 2**32},
    ],
)
def test_a_bad_request_is_answered_with_a_problem_document(client: TestClient, params: dict) -> None:
    answer = client.get("/v1/search", params=params)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert {"type", "title", "status", "detail"} <= answer.json().keys()


def test_a_filter_that_does_not_parse_names_the_place(client: TestClient) -> None:
    problem = client.get("/v1/search", params={"filter": "object:dog scene:"}).json()
    assert problem["position"] == 17


def test_unknown_fields_of_a_body_are_refused(client: TestClient) -> None:
    assert client.post("/v1/search", json={"texts": ["a"]}).status_code == 422
    assert client.post("/v1/search", content=b"{", headers={"Content-Type": "application/json"}).status_code == 422


def test_a_random_order_is_that_of_its_seed_on_every_page(client: TestClient) -> None:
    def pages(**params: object) -> list[str]:
        found, cursor = [], None
        while True:
            body = search(client, sort="random", k=5, **params, **({"cursor": cursor} if cursor else {}))
            found += files(body)
            cursor = body["next"]
            if cursor is None:
                return found

    for params in ({}, {"q": "a thing", "cutoff": "none"}):
        orders = [pages(seed=seed, **params) for seed in (7, 7, 8)]
        assert orders[0] == orders[1] != orders[2]
        assert sorted(orders[0]) == sorted(orders[2]) == sorted(PLACES.values())
        assert sorted(pages(**params)) == sorted(PLACES.values())


def test_where_all_values_must_hold_a_facet_counts_what_is_left(client: TestClient) -> None:
    some = search(client, filter="color:black", facets="color", all="color")
    assert some["facets"]["color"][0] == {"value": "black", "count": some["total"], "selected": True}
    for value in some["facets"]["color"]:
        both = search(client, filter=f"color:black color:{value['value']}")
        assert both["total"] == value["count"]
    body = {"filter": "color:black", "facets": ["color"], "all": ["color"]}
    assert client.post("/v1/search", json=body).json()["facets"] == some["facets"]


def test_number_fields_tell_their_ends(client: TestClient) -> None:
    sizes = [hit["width"] for hit in search(client, k=200)["hits"]]
    found = search(client, ranges="width,year,people", filter="width:>=500")
    assert found["ranges"]["width"] == {"min": min(sizes), "max": max(sizes)}
    assert "year" not in found["ranges"] or found["ranges"]["year"]["min"] > 1990
    assert client.post("/v1/search", json={"ranges": ["width"]}).json()["ranges"]["width"]["max"] == max(sizes)


def test_values_of_a_facet_are_found_by_how_a_word_begins(client: TestClient) -> None:
    facets = client.get("/v1/facets", params={"facet": "color", "prefix": "BL", "k": 1}).json()
    every = client.get("/v1/facets", params={"facet": "color", "k": 1000}).json()
    assert list(facets) == ["color"]
    assert facets["color"] == [value for value in every["color"] if value["value"].startswith("bl")][:1]
    assert client.get("/v1/facets", params={"facet": "nonsense"}).status_code == 422
    assert client.get("/v1/facets", params={"k": 0}).status_code == 422


def test_all_facets_of_the_library(client: TestClient) -> None:
    facets = client.get("/v1/facets").json()
    assert {"object", "scene", "color", "people", "orientation"} <= facets.keys()
    assert client.get("/v1/facets", params={"filter": "object:cat"}).json()["people"] == [
        {"value": "0", "count": 1, "selected": False}
    ]


def test_suggestions_complete_labels_and_fields(client: TestClient) -> None:
    suggestions = client.get("/v1/suggest", params={"q": "ca"}).json()["suggestions"]
    assert {"text": "object:cat", "kind": "object", "label": "cat", "count": 1} in suggestions
    fields = client.get("/v1/suggest", params={"q": "ori"}).json()["suggestions"]
    assert {"text": "orientation:", "kind": "field", "label": "orientation", "count": None} in fields
    assert client.get("/v1/suggest", params={"q": "ca", "k": 0}).status_code == 422


def test_words_are_offered_as_filters(client: TestClient) -> None:
    body = search(client, q="a cat")
    (offer,) = [one for one in body["suggested_filters"] if one["filter"] == "object:cat"]
    assert (offer["words"], offer["rest"]) == ("cat", "")
    assert search(client, q=offer["rest"], filter=offer["filter"])["total"] == offer["count"]
    assert search(client, filter="object:cat")["suggested_filters"] == []
    composed = client.post("/v1/search", json={"text": ["a cat"]}).json()
    assert composed["suggested_filters"] == body["suggested_filters"]


def test_a_quoted_phrase_comes_first(client: TestClient) -> None:
    hits = search(client, q='"chelsea" night sky', cutoff="none")["hits"]
    assert hits[0]["files"] == ["pets/chelsea.png"]
    assert '"chelsea" in file name' in hits[0]["why"]
