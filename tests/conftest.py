"""What holds for every test: no hub is asked for weights, and Chromium's tests skip where it is not installed."""

from __future__ import annotations

import os
import shutil

import pytest
from hypothesis import settings

# How long an example takes tells of the machine, not of the code.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

os.environ["HF_HUB_OFFLINE"] = "1"

pytest_plugins = ["opensearch_server", "redis_server"]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--screenshots", metavar="DIR", help="keep pictures of the pages' main states there")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if shutil.which("chromium"):
        return
    skip = pytest.mark.skip(reason="needs chromium (Debian: chromium)")
    for item in items:
        if "browser" in item.keywords:
            item.add_marker(skip)
