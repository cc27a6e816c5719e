"""The files by which a browser looks at a picture without uploading it: made by `snapseek models browser`."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse, Response

from api.deps import ServicesDep
from indexer.browser.files import found
from search.errors import NotFound
from ui.rendering import STATIC

router = APIRouter(include_in_schema=False)

TYPES = {".mjs": "text/javascript", ".js": "text/javascript", ".wasm": "application/wasm", ".json": "application/json"}
WORKER = "look-worker.js"
WORKER_POLICY = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; connect-src 'self'"
"""Of the worker alone: nothing else may compile WebAssembly."""


@router.get("/browser/{name}")
def file(services: ServicesDep, request: Request, name: str) -> Response:
    """Return one of the files, as long as they fit the library's embeddings."""
    files = found(services.config.data, services.encoder.space)
    if files is not None:
        files = {**files, WORKER: STATIC / WORKER}
    if files is None or name not in files:
        raise NotFound(f"there is no file {name} for browsers in this library")
    path = files[name]
    kept = "private, max-age=31536000, immutable" if "v" in request.query_params else "private, no-cache"
    headers = {"Cache-Control": kept, "Content-Security-Policy": WORKER_POLICY}
    return FileResponse(path, media_type=TYPES.get(path.suffix, "application/octet-stream"), headers=headers)
