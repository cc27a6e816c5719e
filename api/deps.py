"""What a handler may ask for, and how it is found in a request."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Annotated, Any

from fastapi import Depends, Path, Request, Response

from api.auth import Caller, Scope, expect_known, expect_scope
from api.fetching import PictureFetcher
from indexer.lookup import PictureLookup
from indexer.media import Media
from indexer.uploads import Uploads
from indexer.work_queue import WorkQueue
from search.engine import Picture
from search.services import Services
from search.types import Box, ImageId, ImageRecord


@dataclass(frozen=True, slots=True)
class Context:
    """The open library and what serves it; one for each app."""

    services: Services
    lookup: PictureLookup
    media: Media
    queue: WorkQueue
    fetcher: PictureFetcher | None
    """None where pictures on the web are not looked up."""

    @property
    def uploads(self) -> Uploads:
        config = self.services.config
        return Uploads(config.data, max_bytes=config.max_upload_bytes, min_free_bytes=config.min_free_bytes)

    def told(self, record: ImageRecord) -> ImageRecord:
        """Return a record as it may be told: without its place where the options say so."""
        return record if self.services.config.show_places else replace(record, location=None)

    def part(self, id: ImageId, box: Box) -> Picture:
        """Return what to search by for a part of an image. Raises NotFound, InvalidQuery where it is too small."""
        self.services.expect_shown(id)
        path, _ = self.media.original(id)
        return self.lookup.part(id, path, box)


def get_context(request: Request) -> Context:
    context: Context = request.app.state.context
    return context


BEHIND = '110 - "the latest changes are not to be found yet"'
"""RFC 9111's warning of a stale response: the one way there is to say so for every kind of answer."""


def get_services(request: Request, response: Response) -> Services:
    """Return the services, caught up with what other processes wrote to the library, or saying that they are not."""
    services = get_context(request).services
    services.refresh()
    if services.behind:
        response.headers["Warning"] = BEHIND
    return services


def needs(scope: Scope) -> Any:
    """Return a dependency that lets only keys with this scope pass."""

    def check(request: Request) -> None:
        expect_scope(request.state.caller, scope, request.app.state.library)

    check_typed: Callable[[Request], None] = check
    return Depends(check_typed)


def get_known(request: Request) -> Caller:
    """Return who asks, with a key of any scope. Raises Unauthorized, NotFound in a library that is not theirs."""
    return expect_known(request.state.caller, request.app.state.library)


def get_caller(request: Request) -> Caller:
    """Return who asks, on a route that asks for a scope."""
    caller: Caller = request.state.caller
    return caller


ImageIdText = Annotated[ImageId, Path(pattern=r"^[0-9a-f]{32}$", description="First 32 hex digits of the SHA-256")]


def get_shown_id(request: Request, id: ImageIdText) -> ImageId:
    """Return the id of an image that the caller may see. Raises NotFound for a hidden one, as for one that is none."""
    if Scope.MODERATE not in get_caller(request).scopes:
        get_context(request).services.expect_shown(id)
    return id


ContextDep = Annotated[Context, Depends(get_context)]
ServicesDep = Annotated[Services, Depends(get_services)]


def only_shown(request: Request) -> None:
    """Let a page of an image through only for who may see the image."""
    if "id" in request.path_params:
        get_shown_id(request, ImageId(request.path_params["id"]))


CallerDep = Annotated[Caller, Depends(get_caller)]
ImageIdDep = Annotated[ImageId, Depends(get_shown_id)]
