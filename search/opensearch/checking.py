"""What can be wrong with a catalogue in OpenSearch: its indices against each other."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from search.catalog.rows import Problem
from search.opensearch.files import FileKey, Files, file_key, images_of, is_finished
from search.opensearch.images import EVERY, Images
from search.opensearch.state import State
from search.opensearch.stored import files_of

CHUNK = 1_000


def problems(images: Images, files: Files, state: State) -> Iterator[Problem]:
    """Yield what is wrong. What another process is just writing may look so."""
    doubled = images.count() - len(images.ordinals())
    if doubled > 0:
        yield Problem(f"{doubled} images share their number with another", images.index)
    yield from _of_images(images, files)
    yield from _of_files(images, files)
    space = state.meta().space
    if space is not None:
        for id in images.without_vector(space):
            yield Problem("an image without a vector", id)
    hidden = state.all_hidden()
    while some := list(islice(hidden, CHUNK)):
        for id in images.read(some, ["id"]):
            yield Problem("an image that was taken out and is there", id)


def _of_images(images: Images, files: Files) -> Iterator[Problem]:
    for page in images.files():
        keys = {FileKey(root, file.path): id for id, listed in page.items() for root, file in listed}
        for key, held in files.read(keys).items():
            if keys[key] not in images_of(held.source):
                yield Problem("a file of an image that is not known as its own", str(key.root / key.path))
        for id, listed in page.items():
            if not listed:
                yield Problem("an image without a file", id)


def _of_files(images: Images, files: Files) -> Iterator[Problem]:
    sources = files.matching(EVERY)
    while some := list(islice(sources, CHUNK)):
        found = images.read({id for source in some for id in images_of(source)}, ["record.files"])
        listed = {(id, FileKey(root, file.path)) for id, source in found.items() for root, file in files_of(source)}
        for source in some:
            key = file_key(source)
            where = str(key.root / key.path)
            if not is_finished(source):
                yield Problem("a file that was left unfinished; `snapseek index` goes on with it", where)
            elif any((id, key) not in listed for id in images_of(source)):
                yield Problem("a file of an image that is not there, or has it not", where)
