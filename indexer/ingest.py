"""Pictures that were sent become a job: what is known already is done at once, the rest waits for a worker."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from indexer.uploads import Received, Refused, Uploads
from search.catalog.protocol import Catalog
from search.catalog.rows import Batch, FileRow
from search.jobs import Item, ItemState, Job
from search.types import ImageId
from search.written import UNREAD


def accept(
    catalog: Catalog,
    uploads: Uploads,
    sent: Sequence[Received | Refused],
    *,
    most_open: int,
    sender: str = "",
) -> Job:
    """Keep what was sent, and return the job that it is now; when this returns, no crash can lose it.

    Raises QueueFull or StorageFull, and then nothing is kept.
    """
    pictures = [one for one in sent if isinstance(one, Received)]
    known = set(catalog.models_of([one.id for one in pictures])) if pictures else set()
    placed: list[str] = []
    items: list[Item] = []
    try:
        for one in sent:
            if isinstance(one, Refused):
                items.append(Item(one.name, one.id, state=ItemState.REJECTED, reason=one.reason))
                continue
            path, is_new = uploads.place(one)
            if is_new:
                placed.append(path)
            items.append(Item(one.name, one.id, path, ItemState.KNOWN if one.id in known else ItemState.QUEUED))
        job = Job(secrets.token_hex(16), datetime.now(UTC), sender, items=tuple(items))
        catalog.jobs.add(job, most_open=most_open)
    except BaseException:
        for path in placed:
            uploads.forget(path)
        raise
    finally:
        drop(sent)
    _note_copies(catalog, uploads, {item.path: item.id for item in items if item.state is ItemState.KNOWN})
    return catalog.jobs.get(job.id)


def take_out(catalog: Catalog, uploads: Uploads, id: ImageId) -> None:
    """Take an image out of the library, and of jobs that would bring it back. Raises NotFound.

    Files of folders that were indexed are not touched; what was sent is deleted.
    """
    catalog.delete(id)
    catalog.jobs.cancel(id)
    uploads.forget_image(id)


def drop(sent: Sequence[Received | Refused]) -> None:
    """Delete those that have not got their place."""
    for one in sent:
        if isinstance(one, Received):
            one.incoming.unlink(missing_ok=True)


def _note_copies(catalog: Catalog, uploads: Uploads, copies: Mapping[str, ImageId]) -> None:
    """Note that images have these files as well, so that they stay when the others go."""
    space = catalog.active_space()
    if not copies or space is None:
        return
    root = catalog.root(uploads.folder)
    files = []
    for path, id in copies.items():
        status = (root.path / path).stat()
        files.append((FileRow(path, status.st_size, status.st_mtime_ns, status.st_ino, UNREAD), id))
    catalog.write(root, Batch(space, files=files))
