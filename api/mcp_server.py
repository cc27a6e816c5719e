"""The library for programs that speak the Model Context Protocol (MCP): what an assistant can ask, as tools.

Results are typed (`structuredContent`, by the models below) and come with thumbnails, so that the assistant sees what
it was given. Nothing is changed unless the server was started to write.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import datetime
from importlib.metadata import version
from typing import Annotated, Literal, ParamSpec, TypeVar

from mcp.server import MCPServer
from mcp.server.mcpserver import Image
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import CallToolResult, TextContent, ToolAnnotations
from pydantic import BaseModel, Field

from api.schemas import ImageOut
from indexer.media import Media
from indexer.pool import DecodePool
from search.config import Config
from search.errors import SnapseekError
from search.library import Library
from search.services import open_services
from search.types import DEFAULT_CONFIDENCE, Hit, ImageId, ImageRecord, SearchResults, TagKind

INSTRUCTIONS = """Pictures of one library, found by what is in them. `search` takes words, filter terms or both:
`two dogs on a beach`, `object:dog|cat -object:person year:2024 people:>=2 color:red`. Other fields: scene, attribute,
user (tags of people), taken:2024-05..2024-08, orientation:landscape, path:"holiday/*", text:"words in the picture",
source:person, has:caption. No hits means that nothing in the library looks like it. A picture is named by its id."""

SMALL, LARGE = 256, 512
"""Long sides in pixels of thumbnails in a list, and of the one of a single picture."""
MOST_HITS, MOST_THUMBNAILS = 50, 20

Text = Annotated[str, Field(max_length=2_000)]
Terms = Annotated[
    str, Field(max_length=4_000, description="Filter terms that must all hold, as `object:dog year:2024`")
]
Picture = Annotated[str, Field(max_length=4_096, description="The id of a picture, or the path of one of its files")]
Count = Annotated[int, Field(ge=1, le=MOST_HITS, description="How many pictures")]
Thumbnails = Annotated[
    int, Field(ge=0, le=MOST_THUMBNAILS, description="How many of the first pictures are shown, not only described")
]
Labels = Annotated[list[str], Field(max_length=100, description="As `Rex`, or with its kind: `object:cat`")]

P = ParamSpec("P")
R = TypeVar("R")


class FoundPicture(BaseModel):
    """One picture that was found."""

    id: str
    files: list[str]
    score: float
    relevance: float | None = Field(description="0–1; null where nothing but a filter was asked for")
    caption: str | None
    alt_text: str | None
    taken_at: datetime | None
    width: int
    height: int
    tags: list[str] = Field(description="What counts at the usual confidence, as kind:label")
    why: list[str] = Field(description="Why it was found")

    @classmethod
    def of(cls, hit: Hit) -> FoundPicture:
        record = hit.image
        counting = (tag for tag in record.tags if tag.confidence >= DEFAULT_CONFIDENCE[tag.kind])
        said = (f"{tag.kind}:{tag.label}" for tag in counting if tag.kind is not TagKind.TEXT)
        return cls(
            id=record.id,
            files=list(record.files),
            score=hit.score,
            relevance=hit.relevance,
            caption=record.caption,
            alt_text=record.alt_text,
            taken_at=record.taken_at,
            width=record.width,
            height=record.height,
            tags=list(dict.fromkeys(said)),
            why=list(hit.why or hit.differences),
        )


class FoundPictures(BaseModel):
    """Pictures that were found, best first."""

    total: int = Field(description="How many there are; only the first are listed")
    total_is_exact: bool
    pictures: list[FoundPicture]


ManyPictures = Annotated[CallToolResult, FoundPictures]
OnePicture = Annotated[CallToolResult, ImageOut]


class Tools:
    """The tools over one library; each raises ToolError with the reason where it cannot be done."""

    def __init__(self, library: Library, media: Media) -> None:
        self._library = library
        self._services = library.services
        self._media = media

    def search(
        self,
        text: Text = "",
        filter: Terms = "",
        not_text: Text = "",
        k: Count = 10,
        sort: Literal["relevance", "newest", "oldest", "random"] = "relevance",
        thumbnails: Thumbnails = 3,
    ) -> ManyPictures:
        """Find pictures by words that say what is in them, by filter terms, or by both."""
        return self._listed(self._library.search(text, filter=filter, not_text=not_text, k=k, sort=sort), thumbnails)

    def similar(
        self,
        picture: Picture,
        by: Literal["image", "tags", "both", "duplicate"] = "image",
        filter: Terms = "",
        k: Count = 10,
        thumbnails: Thumbnails = 3,
    ) -> ManyPictures:
        """Find pictures like one of the library: by their looks, their tags, both, or altered copies of it."""
        self._shown(picture)
        return self._listed(self._library.similar(picture, by=by, filter=filter, k=k), thumbnails)

    def show(self, picture: Picture) -> OnePicture:
        """Tell everything that is known of one picture, and show it."""
        return self._told(self._library.show(self._shown(picture)))

    def tag(
        self,
        picture: Picture,
        add: Labels | None = None,
        remove: Labels | None = None,
        caption: Text | None = None,
        alt_text: Text | None = None,
    ) -> OnePicture:
        """Add or remove tags, or set caption or alt text; this overrules the models. An empty text takes one away."""
        id = self._shown(picture)
        return self._told(self._library.tag(id, add=add or (), remove=remove or (), caption=caption, alt_text=alt_text))

    def _shown(self, picture: str) -> ImageId:
        id = self._services.catalog.expect(picture)
        self._services.expect_shown(id)
        return id

    def _listed(self, results: SearchResults, thumbnails: int) -> CallToolResult:
        found = FoundPictures(
            total=results.total,
            total_is_exact=results.total_is_exact,
            pictures=[FoundPicture.of(hit) for hit in results.hits],
        )
        return self._result(found, [hit.image.id for hit in results.hits[:thumbnails]], SMALL)

    def _told(self, record: ImageRecord) -> CallToolResult:
        if not self._services.config.show_places:
            record = replace(record, location=None)
        return self._result(ImageOut.from_domain(record), [record.id], LARGE)

    def _result(self, found: BaseModel, shown: Sequence[ImageId], side: int) -> CallToolResult:
        """Return what was found as data, as the same in JSON for older clients, and thumbnails, each after its id."""
        content: list[TextContent | Image] = [TextContent(type="text", text=found.model_dump_json())]
        for id in shown:
            try:
                image = Image(path=self._media.thumbnail(id, side))
            except (SnapseekError, OSError):  # its file is gone since the last index run: it is described all the same
                continue
            content += [TextContent(type="text", text=id), image]
        return CallToolResult(
            content=[one.to_image_content() if isinstance(one, Image) else one for one in content],
            structured_content=found.model_dump(mode="json"),
        )


def _explained(tool: Callable[P, R]) -> Callable[P, R]:
    """Return the tool with errors that the assistant is told: what is wrong with the call, or away."""

    @functools.wraps(tool)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return tool(*args, **kwargs)
        except SnapseekError as error:
            raise ToolError(str(error)) from error

    return call


def build_server(tools: Tools, *, write: bool) -> MCPServer:
    """Return a server with the tools, `tag` only where it may ``write``."""
    server = MCPServer("snapseek", instructions=INSTRUCTIONS, version=version("snapseek"), log_level="WARNING")
    reads = ToolAnnotations(read_only_hint=True, open_world_hint=False)
    for tool in (tools.search, tools.similar, tools.show):
        server.tool(annotations=reads)(_explained(tool))
    if write:
        changes = ToolAnnotations(
            read_only_hint=False, destructive_hint=True, idempotent_hint=True, open_world_hint=False
        )
        server.tool(annotations=changes)(_explained(tools.tag))
    return server


def run(config: Config, *, write: bool) -> None:
    """Serve a library on stdin and stdout until the client closes them. Raises ConfigError where there is none."""
    with (
        open_services(config) as services,
        DecodePool(config, workers=1) as pool,
        closing(Media(config.data, services.catalog, pool)) as media,
    ):
        build_server(Tools(Library(services), media), write=write).run("stdio")
