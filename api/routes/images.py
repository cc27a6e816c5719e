"""One image: its record, its bytes, its thumbnails, and what a person changes of it."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import FileResponse

from api.auth import Scope
from api.deps import ContextDep, ImageIdDep, ServicesDep, needs
from api.schemas import ImageOut, ImagePatch
from indexer.ingest import take_out
from indexer.media import SIZES
from search.errors import InvalidQuery

router = APIRouter(tags=["images"])

BINARY: dict[str, dict[str, str]] = {"image/*": {}}
THUMBNAIL: dict[str, dict[str, str]] = {"image/webp": {}, "image/avif": {}}
MEDIA_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "sandbox; default-src 'none'; style-src 'unsafe-inline'",
    "Cross-Origin-Resource-Policy": "same-origin",
}


@router.get("/v1/images/{id}")
def image(services: ServicesDep, context: ContextDep, id: ImageIdDep) -> ImageOut:
    """Return everything known of one image."""
    return ImageOut.from_domain(context.told(services.catalog.record(id)))


@router.get("/v1/images/{id}/file", response_class=FileResponse, responses={200: {"content": BINARY}})
def original(context: ContextDep, id: ImageIdDep) -> FileResponse:
    """Return the original bytes."""
    path, mime_type = context.media.original(id)
    disposition = f"inline; filename*=UTF-8''{quote(path.name.encode(errors='replace'))}"
    return FileResponse(path, media_type=mime_type, headers={**MEDIA_HEADERS, "Content-Disposition": disposition})


@router.get("/v1/images/{id}/thumbnail", response_class=FileResponse, responses={200: {"content": THUMBNAIL}})
def thumbnail(
    request: Request,
    context: ContextDep,
    id: ImageIdDep,
    size: Annotated[int, Query(description="256, 512 or 1024 pixels")] = 512,
) -> FileResponse:
    """Return a reduced copy, upright and without metadata: WebP, or AVIF where that is accepted and there already."""
    if size not in SIZES:
        raise InvalidQuery(f"size must be one of {', '.join(map(str, SIZES))}, got {size}")
    headers = {**MEDIA_HEADERS, "Cache-Control": "private, max-age=31536000, immutable", "Vary": "Accept"}
    smaller = context.media.avif(id, size) if "image/avif" in request.headers.get("accept", "") else None
    if smaller is not None:
        return FileResponse(smaller, media_type="image/avif", headers=headers)
    return FileResponse(context.media.thumbnail(id, size), media_type="image/webp", headers=headers)


@router.patch("/v1/images/{id}", dependencies=[needs(Scope.WRITE)])
def change(services: ServicesDep, context: ContextDep, id: ImageIdDep, body: ImagePatch) -> ImageOut:
    """Overrule the models: add and remove tags, write caption and alt text. Kept when the image is indexed again."""
    record = services.catalog.edit(
        id,
        add=[(tag.kind, tag.label) for tag in body.tags.add],
        remove=[(tag.kind, tag.label) for tag in body.tags.remove],
        caption=body.caption,
        alt_text=body.alt_text,
    )
    services.noted()
    return ImageOut.from_domain(context.told(record))


@router.delete("/v1/images/{id}", dependencies=[needs(Scope.WRITE)], status_code=204)
def delete(services: ServicesDep, context: ContextDep, id: ImageIdDep) -> Response:
    """Take an image out of the library, for good: later runs pass it over.

    Its files are not touched, but for what was uploaded.
    """
    take_out(services.catalog, context.uploads, id)
    context.media.forget(id)
    services.noted()
    return Response(status_code=204)
