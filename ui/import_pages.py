"""Pictures that people bring in, and how far what they brought is."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from ui.addresses import at
from ui.backend import PageBackend
from ui.import_views import job_view, job_views
from ui.rendering import page, words_for

JOBS_SHOWN = 50


def add_import_pages(router: APIRouter, backend: PageBackend) -> None:
    """Add what needs the right to write."""

    @router.get("/import")
    def bring(request: Request) -> Response:
        return page(request, backend, "import.html", None, modules=("import.js",))

    @router.post("/import")
    async def take(request: Request) -> Response:
        """Keep pictures that a form sent, and lead to their job."""
        job = await backend.accept(request)
        return RedirectResponse(at(f"/jobs/{job}"), status_code=303)

    @router.get("/jobs")
    def jobs(request: Request) -> Response:
        return page(request, backend, "jobs.html", job_views(words_for(request), backend.jobs(JOBS_SHOWN)))

    @router.get("/jobs/{job_id}")
    def job(request: Request, job_id: str) -> Response:
        view = job_view(words_for(request), backend.job(job_id))
        return page(request, backend, "job.html", view, fragment="_job.html")
