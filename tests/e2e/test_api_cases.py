"""Every operation of the HTTP API, by cases made from its description. The long run: `tests/bench/api_cases.py`."""

from pathlib import Path

from bench.api_cases import api_cases


def test_every_operation_answers_as_it_is_described_whatever_it_is_asked(tmp_path: Path) -> None:
    report = api_cases(tmp_path, examples=8, phases="fuzzing,stateful")
    assert not report["problems"], report["problems"]
    assert report["operations"] >= 26
    assert report["cases"] >= 150
    assert report["server lives"]
    assert report["unforeseen errors"] == 0
