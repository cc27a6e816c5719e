"""Ask a server as clients do: python tests/bench/http_queries.py --data FOLDER [--images N] [--text MODEL] [--json]

FOLDER holds a synthetic library, which is made there at the first run. A real `snapseek serve` answers over HTTP, with
one change: a text is encoded by the model that --text names, at its full cost, and then stands for a vector of the
library, since nothing real lies in a synthetic one. Three runs: one client, eight clients, and one client while an
index run writes a batch of images every second. What comes out are milliseconds from request to the whole body.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]

import httpx  # noqa: E402
import numpy as np  # noqa: E402
from bench.stores import say  # noqa: E402
from bench.synthetic_library import ROOT, SPACE, Asked, PlantedEncoder, SyntheticLibrary  # noqa: E402

from search.catalog.sqlite_catalog import SqliteCatalog  # noqa: E402
from search.config import load_config  # noqa: E402
from search.stores import open_stores  # noqa: E402
from search.types import Matrix  # noqa: E402

FACETS = "object,scene,color,people,year,orientation"
SEED = 11
BATCH = 100


def fill(data: Path, library: SyntheticLibrary) -> None:
    with SqliteCatalog(data, create=True) as catalog:
        if catalog.counts()["images"] < library.images:
            say(f"writing {library.images:,} images")
            library.write_to(catalog)
        stores = open_stores(load_config(data=data, store="embedded"), catalog, SPACE)
        stores.catch_up()
        stores.save()
        stores.close()


def questions(library: SyntheticLibrary, count: int) -> list[tuple[Asked, str]]:
    asked = library.asked(count, seed=SEED)
    return list(zip(asked, map(str, library.filters(asked, seed=SEED)), strict=True))


# The server


class CostlyEncoder(PlantedEncoder):
    """Takes as long over a text as a real model, and answers as planned."""

    def __init__(self, asked: Sequence[Asked], relevant: float, model: str) -> None:
        super().__init__(asked, relevant)
        self._real = _text_model(model)

    def encode_texts(self, texts: Sequence[str]) -> Matrix:
        self._real(texts)
        return super().encode_texts(texts)


def _text_model(model: str) -> Any:
    if model == "lite":
        from search.encoders.minilm import MiniLM

        return MiniLM().encode
    import open_clip
    import tiny_models

    from search.encoders.open_clip_encoder import OpenClipEncoder
    from search.profile_file import ModelSpec

    config = open_clip.get_model_config(model)
    assert config is not None, f"open_clip knows no {model}"
    folder = tiny_models.clip(Path(tempfile.mkdtemp()) / "net", config)
    encoder = OpenClipEncoder(folder, ModelSpec(library="open_clip", model=str(folder), device="cpu"))
    encoder.encode_texts(["a cat"])  # the weights are read then
    shutil.rmtree(folder.parent)
    return encoder.encode_texts


def serve(options: argparse.Namespace) -> None:
    from api.server import run
    from search import services

    library = SyntheticLibrary(options.images)
    asked = [one for one, _ in questions(library, options.queries)]
    vectors = np.concatenate([library._block(start)[1] for start in range(0, min(20_000, library.images), 1_000)])
    encoder = CostlyEncoder(asked, library.relevant(asked, vectors), options.text)
    services.open_encoder = lambda profile: encoder
    run(load_config(data=options.data, store="embedded", port=options.serve))


@contextmanager
def a_server(options: argparse.Namespace, port: int) -> Iterator[tuple[str, float]]:
    """Yield the address of a server, and the seconds until it answered."""
    call = [sys.executable, __file__, "--data", options.data, "--images", options.images, "--queries", options.queries]
    call += ["--text", options.text, "--serve", port]
    began = time.perf_counter()
    process = subprocess.Popen([str(part) for part in call])
    try:
        address = f"http://127.0.0.1:{port}"
        while True:
            try:
                httpx.get(f"{address}/readyz", timeout=60).raise_for_status()
                break
            except httpx.HTTPError:
                if process.poll() is not None or time.perf_counter() - began > 600:
                    raise
                time.sleep(0.05)
        yield address, time.perf_counter() - began
    finally:
        process.terminate()
        process.wait()


# The clients


def ask(address: str, asked: Sequence[tuple[Asked, str]], *, filtered: bool) -> list[float]:
    took = []
    with httpx.Client(base_url=address, timeout=60) as client:
        for one, filter in asked:
            parameters = {"q": one.text, "facets": FACETS, **({"filter": filter} if filtered else {})}
            began = time.perf_counter()
            client.get("/v1/search", params=parameters).raise_for_status()
            took.append((time.perf_counter() - began) * 1000)
    return took


def at_once(address: str, asked: Sequence[tuple[Asked, str]], clients: int) -> dict[str, Any]:
    parts = [asked[place::clients] for place in range(clients)]
    began = time.perf_counter()
    with ThreadPoolExecutor(clients) as pool:
        took = [ms for part in pool.map(lambda part: ask(address, part, filtered=True), parts) for ms in part]
    return {**spread(took), "per second": round(len(took) / (time.perf_counter() - began), 1)}


def spread(took: Sequence[float]) -> dict[str, Any]:
    p50, p90, p99 = np.percentile(took, [50, 90, 99])
    return {"queries": len(took), "p50": round(p50, 1), "p90": round(p90, 1), "p99": round(p99, 1)}


@contextmanager
def writing(data: Path, images: int) -> Iterator[None]:
    """Write batches of new images into the library, one a second, as an index run beside does."""
    done = threading.Event()
    new = SyntheticLibrary(20_000, seed=1 + images + time.time_ns() % 10**6)

    def write() -> None:
        with SqliteCatalog(data) as catalog:
            root = catalog.root(ROOT / "new")
            for batch in new.batches(BATCH):
                catalog.write(root, batch)
                if done.wait(1):
                    return

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--text", default="lite", help="lite, or the name of an open_clip model with random weights")
    parser.add_argument("--port", type=int, default=8765)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--serve", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options)
        return
    library = SyntheticLibrary(options.images)
    fill(options.data, library)
    asked = questions(library, options.queries)
    report: dict[str, Any] = {
        "images": options.images,
        "text": options.text,
        "machine": platform.platform(),
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0],
    }
    with a_server(options, options.port) as (address, opened):
        report["ready after s"] = round(opened, 1)
        fifth = max(1, options.queries // 5)
        warm, asked = asked[:fifth], asked[fifth:]
        ask(address, warm, filtered=True)
        half = len(asked) // 2
        report["one client, filter + text + 6 facets"] = spread(ask(address, asked[:half], filtered=True))
        report["one client, text + 6 facets"] = spread(ask(address, asked[half:], filtered=False))
        report["eight clients"] = at_once(address, asked, 8)
        with writing(options.data, options.images):
            time.sleep(2)
            report["one client, an index run beside"] = spread(ask(address, asked, filtered=True))
    if options.json:
        print(json.dumps(report, indent=1))
        return
    for key, value in report.items():
        print(f"{key}: {value}")


if __name__ == "__main__":
    main()
