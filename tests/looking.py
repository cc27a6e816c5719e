"""A picture that a page of ours has a browser look at."""

from __future__ import annotations

import base64
from typing import Any

from playwright.sync_api import Page

LOOK = """async (picture) => {
  const file = new File([Uint8Array.from(atob(picture), (one) => one.charCodeAt(0))], "a");
  window.looking ??= new Worker("/browser/look-worker.js", { type: "module" });
  return new Promise((done) => {
    window.looking.onmessage = ({ data }) => done(data);
    window.looking.postMessage({ number: 1, file });
  });
}"""


def looked(page: Page, data: bytes) -> dict[str, Any]:
    """Return what the worker makes of a picture, or the `error`."""
    result: dict[str, Any] = page.evaluate(LOOK, base64.b64encode(data).decode())
    return result
