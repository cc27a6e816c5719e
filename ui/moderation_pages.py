"""The review queue: pictures that models flagged, and what people decided of them."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response

from search.errors import InvalidQuery
from search.moderation import VERDICTS, ReviewState
from search.types import ImageId
from ui.addresses import at
from ui.backend import PageBackend
from ui.moderation_views import queue_view, review_view
from ui.rendering import local_path, page, words_for

REVIEWS_SHOWN = 24


def add_moderation_pages(router: APIRouter, backend: PageBackend) -> None:
    """Add what needs the right to moderate."""

    @router.get("/moderation")
    def queue(request: Request, state: ReviewState = ReviewState.FLAGGED, after: int | None = None) -> Response:
        found = backend.reviews(state, after=after, k=REVIEWS_SHOWN)
        query = urlencode({"state": state.value, **({} if after is None else {"after": after})})
        view = queue_view(words_for(request), found, state, backend.reasons, here_url=at(f"/moderation?{query}"))
        return page(request, backend, "moderation.html", view, modules=("moderation.js",))

    @router.post("/moderation/{id}")
    def decide(
        request: Request,
        id: str,
        decision: Annotated[str, Form()],
        note: Annotated[str, Form(max_length=2_000)] = "",
        back: Annotated[str, Form()] = "",
    ) -> Response:
        """Decide, whatever was decided before, and show what holds now."""
        if decision not in VERDICTS:
            raise InvalidQuery(f"decision must be approve or reject, got {decision[:40]!r}")
        record = backend.decide(request, ImageId(id), VERDICTS[decision], note.strip())
        if "HX-Request" not in request.headers:
            return RedirectResponse(local_path(back, otherwise="/moderation"), status_code=303)
        view = review_view(words_for(request), record, backend.reasons(record), back_url=back)
        return page(request, backend, "_review.html", view, fragment="_review.html")
