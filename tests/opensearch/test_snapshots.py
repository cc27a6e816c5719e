"""The commands of docs/operations.md that save and restore a library in OpenSearch, run as they stand there."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from bench.synthetic_library import ROOT, SPACE, SyntheticLibrary
from opensearchpy import OpenSearch

from search.catalog.opening import open_catalog
from search.catalog.protocol import Catalog
from search.catalog.rows import Batch, FileRow
from search.config import Config, load_config
from search.filters import parse
from search.projections import Projections
from search.stores import Stores, open_stores
from search.types import Filter

IMAGES = 120
GUIDE = Path(__file__).parents[2] / "docs" / "operations.md"
FACETS = ("object", "scene", "color", "people", "year")


def commands() -> dict[str, str]:
    """Return the shell blocks of the guide whose first line is a name: ``# restore``."""
    blocks = re.findall(r"^```sh\n# (\w+)\n(.*?)^```", GUIDE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    return dict(blocks)


@pytest.fixture(params=["opensearch", "opensearch-knn"])
def config(request: pytest.FixtureRequest, opensearch_url: str, prefix: str, tmp_path: Path) -> Config:
    return load_config(
        data=tmp_path, store=request.param, opensearch_url=opensearch_url, opensearch_prefix=prefix, workers=1
    )


@pytest.fixture
def raw(opensearch_url: str) -> Iterator[OpenSearch]:
    with OpenSearch(opensearch_url, timeout=60) as raw:
        yield raw


@pytest.fixture
def repository(opensearch_url: str, prefix: str) -> Iterator[str]:
    """A name for a repository, which is gone afterwards, whatever was done with it."""
    yield prefix
    with OpenSearch(opensearch_url, timeout=60) as raw:
        raw.snapshot.delete(repository=prefix, snapshot="*", ignore=[404])
        raw.snapshot.delete_repository(repository=prefix, ignore=[404])


def run(step: str, **variables: str) -> str:
    """Run a block of the guide and return what it says."""
    script = f"set -euo pipefail\n{commands()[step]}"
    done = subprocess.run(
        ["bash", "-c", script],
        env=os.environ | variables,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        encoding="utf-8",
    )
    assert done.returncode == 0, f"{step}: {done.stdout}{done.stderr}"
    return done.stdout


def library_of(raw: OpenSearch, prefix: str) -> str:
    """Return what the names of the library's indices begin with, told by the alias of its images."""
    (alias,) = {alias for index in raw.indices.get_alias(name=f"{prefix}*").values() for alias in index["aliases"]}
    return str(alias).removesuffix("-images")


def fill(catalog: Catalog) -> None:
    root = catalog.root(ROOT)
    for batch in SyntheticLibrary(IMAGES).batches():
        catalog.write(root, batch)
    catalog.activate("lite", SPACE)
    first = catalog.records([1])[0]
    catalog.edit(first.id, caption="kept by a person")
    catalog.delete(catalog.records([2])[0].id)


def answers(catalog: Catalog, stores: Stores) -> dict[str, Any]:
    """Return what the library answers, of tags and of all else that would be lost with its indices."""
    everything = catalog.ordinals()
    label = stores.tags.facets(["object"], Filter(), within=None, size=1)[0].values[0].value
    filters = [Filter(), parse(f'object:"{label}"'), parse("people:>=1 -year:2013")]
    return {
        "counts": catalog.counts(),
        "profile": (catalog.profile, catalog.active_space()),
        "roots": catalog.roots(),
        "records": catalog.records(list(everything)),
        "files": catalog.known_files(catalog.root(ROOT)),
        "vectors": [(o.tolist(), v.tolist()) for o, v in catalog.embeddings(SPACE)],
        "remains": catalog.remains(),
        "problems": catalog.check(),
        "match": [stores.tags.match(filter) for filter in filters],
        "count": [stores.tags.count(filter) for filter in filters],
        "facets": [stores.tags.facets(FACETS, filter, within=None, size=50) for filter in filters],
        "words": stores.tags.search_text("kept", filter=Filter(), k=5)[0].tolist(),
        "size": len(stores.tags),
    }


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
def test_a_library_is_the_same_after_it_was_saved_deleted_and_restored(
    config: Config, raw: OpenSearch, prefix: str, repository: str
) -> None:
    with open_catalog(config, create=True) as catalog:
        fill(catalog)
        stores = open_stores(config, catalog, SPACE)
        stores.catch_up()
        before = answers(catalog, stores)
        stores.close()
    assert (before["size"], before["words"]) == (IMAGES - 1, [1])
    names = set(raw.indices.get(index=f"{prefix}*"))
    variables = {
        "URL": config.opensearch_url,
        "LIBRARY": library_of(raw, prefix),
        "REPOSITORY": repository,
        "SNAPSHOT": "first",
    }

    run("register", **variables)
    assert f'"count":{IMAGES - 1},' in run("snapshot", **variables)
    run("delete", **variables)
    assert raw.indices.get(index=f"{prefix}*") == {}
    assert f'"count":{IMAGES - 1},' in run("restore", **variables)

    assert set(raw.indices.get(index=f"{prefix}*")) == names
    with open_catalog(config) as catalog:
        stores = open_stores(config, catalog, SPACE)
        assert answers(catalog, stores) == before
        if isinstance(stores, Projections):
            assert stores.tags.applied == 0  # it may be older than the catalogue, so all of it is written once more
        stores.catch_up()
        assert answers(catalog, stores) == before
        catalog.write(catalog.root(ROOT), one_more())
        stores.catch_up()
        assert max(stores.tags.match(Filter())) == IMAGES + 1
        stores.close()

    run("forget", **variables)
    assert repository not in raw.snapshot.get_repository()


def one_more() -> Batch:
    """Return an image that is not in the library, with a file of its own."""
    (batch,) = SyntheticLibrary(1, seed=1).batches()
    return replace(batch, files=[(FileRow("one more.jpg", 1, 1, 1), batch.images[0].id)])
