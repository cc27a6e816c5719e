"""Where the time goes: python tests/bench/profiled.py index PHOTOS | query --data FOLDER [--images N] [--svg FILE]

`index` runs `snapseek index` over PHOTOS into a folder that is deleted afterwards; `query` asks a server over a
synthetic library (see http_queries.py) for filter, text and six facets, and leaves out what it does while nobody asks.
py-spy looks at all threads that work, 200 times a second. Printed are the share of each stage and the functions that
take most by themselves. ``--svg`` draws a flame graph instead.
"""

from __future__ import annotations

import argparse
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]

from bench.http_queries import a_server, ask, fill, questions  # noqa: E402
from bench.synthetic_library import SyntheticLibrary  # noqa: E402

RATE = 200
LEAST = 0.01
WAITING = r"^(Condition\.wait|.*unix_poll|pool_manager_loop|select|wait|_recv|process \d+)\b"
"""Calls in which a thread waits for others, which py-spy takes for work."""
WARM = 20

QUERY_STAGES = {
    "the text's vector": r"\(search/encoders/|encode_texts",
    "vectors": r"\(search/vectors/",
    "words": r"\(search/(vocabulary|thesaurus|nouns|words|literals)|search_text|fulltext",
    "relevance": r"\(search/(relevance|calibration)",
    "suggested filters": r"\(search/suggesting",
    "facets": r"\(search/(facets|tags/counting)|_facets",
    "filter": r"\(search/(filters|matching|tags/)",
    "records": r"\(search/catalog/",
    "order and page": r"\(search/(?!bitmaps|products)",
    "JSON and HTTP": r"\((api|starlette|fastapi|pydantic|uvicorn|anyio|httptools|h11)/|asyncio",
}
INDEX_STAGES = {
    "nets": r"\(openvino/|\(search/encoders/|\(indexer/taggers/",
    "decoding and looks": r"\(indexer/(decode|pool|media|sandbox)|\(PIL/|\(search/(looks|phash)",
    "metadata": r"\(indexer/(metadata|sidecars|xmp)",
    "scan": r"\(indexer/(scan|magic|changes)",
    "vectors": r"\(search/vectors/",
    "tags": r"\(search/tags/",
    "catalogue": r"\(search/catalog/|\(indexer/writing",
    "imports": r"importlib",
}
"""Of a stack the first stage, from the innermost call outwards, that a call belongs to."""


def stage_of(stack: Sequence[str], stages: dict[str, str]) -> str:
    for call in reversed(stack):
        for stage, pattern in stages.items():
            if re.search(pattern, call):
                return stage
    return "the rest"


def stacks(raw: Path) -> Iterator[tuple[list[str], int]]:
    for line in raw.read_text(encoding="utf-8").splitlines():
        calls, _, count = line.rpartition(" ")
        yield calls.split(";"), int(count)


def told(raw: Path, stages: dict[str, str], within: str) -> None:
    by_stage: Counter[str] = Counter()
    alone: Counter[str] = Counter()
    for stack, count in stacks(raw):
        if not any(re.search(within, call) for call in stack) or re.match(WAITING, stack[-1]):
            continue
        by_stage[stage_of(stack, stages)] += count
        alone[re.sub(r":\d+\)$", ")", stack[-1])] += count
    total = sum(by_stage.values())
    print(f"{total / RATE:.1f} s of threads at work\n\n| stage | share |\n|---|---|")
    for stage, count in by_stage.most_common():
        print(f"| {stage} | {count / total:.1%} |")
    print("\n| function, by itself | share |\n|---|---|")
    for call, count in alone.most_common():
        if count < LEAST * total:
            break
        print(f"| `{call}` | {count / total:.1%} |")


def spying(options: argparse.Namespace, raw: Path) -> list[str]:
    drawn = ["-f", "flamegraph", "-o", str(options.svg)] if options.svg else ["-f", "raw", "-o", str(raw)]
    return [str(Path(sys.executable).with_name("py-spy")), "record", "-r", str(RATE), *drawn]


def of_queries(options: argparse.Namespace, raw: Path) -> None:
    library = SyntheticLibrary(options.images)
    fill(options.data, library)
    asked = questions(library, options.queries)
    with a_server(options, options.port) as (address, _):
        ask(address, asked[:WARM], filtered=True)
        server = subprocess.run(
            ["pgrep", "-f", f"serve {options.port}"], capture_output=True, text=True, encoding="utf-8", check=True
        ).stdout.split()[0]
        spy = subprocess.Popen([*spying(options, raw), "--pid", server])
        time.sleep(1)
        ask(address, asked[WARM:], filtered=True)
        spy.send_signal(signal.SIGINT)
        spy.wait()


def of_index(options: argparse.Namespace, raw: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        command = [str(Path(sys.executable).with_name("snapseek")), "index", str(options.photos), "--data", folder]
        subprocess.run([*spying(options, raw), "--subprocesses", "--", *command], check=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = parser.add_subparsers(dest="what", required=True)
    index = parts.add_parser("index")
    index.add_argument("photos", type=Path)
    query = parts.add_parser("query")
    query.add_argument("--data", type=Path, required=True)
    query.add_argument("--images", type=int, default=100_000)
    query.add_argument("--queries", type=int, default=150)
    query.add_argument("--text", default="lite")
    query.add_argument("--port", type=int, default=8766)
    for part in (index, query):
        part.add_argument("--svg", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        raw = Path(folder, "raw")
        (of_index if options.what == "index" else of_queries)(options, raw)
        if not options.svg:
            stages = INDEX_STAGES if options.what == "index" else QUERY_STAGES
            told(raw, stages, r"." if options.what == "index" else r"search \(api/routes")


if __name__ == "__main__":
    main()
