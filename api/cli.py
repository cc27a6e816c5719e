"""The `snapseek` command. A subcommand imports what it needs, so that `--help` and errors are quick."""

from __future__ import annotations

import functools
import getpass
import json
import logging
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar

import click

from search.config import load_config
from search.errors import ConfigError, SnapseekError

if TYPE_CHECKING:
    from pydantic import BaseModel

    from api.schemas import NewKeyOut
    from indexer.report import IndexReport
    from search.catalog.protocol import Catalog
    from search.config import Config
    from search.types import ImageId

OK, SOME_REJECTED, FAILED, INTERRUPTED = 0, 1, 2, 130


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="snapseek")
def main() -> None:
    """Find your pictures by saying what is in them."""
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")


Command = Callable[..., int | None]
Checked = TypeVar("Checked", bound="BaseModel")


def command(
    name: str, *, default_data: str | None = None, group: click.Group = main
) -> Callable[[Command], click.Command]:
    """Make a subcommand with the options that all have. The function returns the exit status; None is 0."""

    def wrap(function: Command) -> click.Command:
        @group.command(name)
        @click.option("--data", type=click.Path(path_type=Path), help="Folder of the library.", default=default_data)
        @click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout, nothing else.")
        @functools.wraps(function)
        def run(*args: Any, as_json: bool, **options: Any) -> None:
            try:
                sys.exit(function(*args, as_json=as_json, **options) or OK)
            except SnapseekError as error:
                if as_json:
                    emit({"error": {"type": type(error).__name__, "detail": str(error)}})
                click.echo(f"snapseek {name}: {error}", err=True)
                sys.exit(FAILED)
            except KeyboardInterrupt:
                click.echo("\nstopped; what was finished is kept, run it again to go on", err=True)
                sys.exit(INTERRUPTED)

        return run

    return wrap


def emit(document: Any) -> None:
    click.echo(json.dumps(document, ensure_ascii=False, indent=2, default=str))


def tell(report: Mapping[str, Any], as_json: bool) -> None:
    """Print what a command found out, a line each or as one document."""
    if as_json:
        emit(report)
        return
    for key, value in report.items():
        click.echo(f"{key}: {value}")


@command("index")
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path))
@click.option("--profile", help="Models: auto, lite, clip or FILE.toml. Another than the library's replaces it.")
@click.option("--offline", is_flag=True, default=None, help="Never ask the network.")
@click.option("--workers", "decoders", type=int, help="Processes that decode pictures; 0 is one for each core.")
@click.option("--watch", is_flag=True, help="Go on: index what changes in these folders, until told to stop.")
@click.option("--dry-run", is_flag=True, help="Say what would be read, and what cloud services would cost; no more.")
def index(paths: tuple[Path, ...], as_json: bool, watch: bool, dry_run: bool, **flags: Any) -> int:
    """Add the pictures below PATHS to the library, and recognise what was changed, moved or deleted there.

    Without PATHS, the files that the library knows are gone over: after a change of models, say.
    """
    from api.progress import Bar
    from indexer.pipeline import index_paths

    config = load_config(**flags)
    if not paths and not config.data.exists():
        raise ConfigError("name the folders to index: snapseek index PATH...")
    if dry_run:
        from indexer.foreseeing import foresee

        foreseen = foresee(config, paths)
        emit(foreseen.as_dict()) if as_json else click.echo(foreseen.summary())
        return OK
    if watch:
        return watch_folders(config, paths, as_json)
    with Bar() as bar:
        report = index_paths(config, paths, progress=bar)
    if as_json:
        emit(report.as_dict())
    else:
        click.echo(report.summary())
    for line in not_taken(report):
        click.echo(line, err=True)
    return SOME_REJECTED if report.rejected else OK


def not_taken(report: IndexReport) -> Iterator[str]:
    """Yield a line for each file that was rejected, and for metadata that was passed over."""
    for rejected in report.rejected:
        yield f"rejected {rejected.path}: {rejected.reason}"
    for unread in report.unread:
        yield f"passed over {unread.path}: {unread.reason}"


def watch_folders(config: Config, paths: tuple[Path, ...], as_json: bool) -> int:
    """Index folders until told to stop. What was found is told as it happens, in all at the end as JSON."""
    from api.progress import Bar
    from indexer.report import summed
    from indexer.stopping import told_to_stop
    from indexer.watching import Watch

    if not paths:
        raise ConfigError("name the folders to watch: snapseek index PATH... --watch")
    reports: list[IndexReport] = []
    with told_to_stop() as stopping, Bar() as bar:

        def seen(report: IndexReport) -> None:
            if as_json:
                reports[:] = [summed([*reports, report])]
            bar.say(report.summary())
            for line in not_taken(report):
                bar.say(line)

        Watch(config, paths, progress=bar, stopping=stopping, seen=seen).run()
    if as_json:
        emit(reports[0].as_dict() if reports else {})
    return OK


@command("search")
@click.argument("text", required=False, default="")
@click.option("--filter", "filter_", default="", help="Filter expression, as `object:dog year:2024`.")
@click.option("--not", "not_", default="", help="What to move away from, in words.")
@click.option("-k", default=10, show_default=True, help="Hits, 1–200.")
@click.option("--facets", default="", help="Facets to count, as object,scene.")
@click.option(
    "--sort", type=click.Choice(["relevance", "newest", "oldest", "random"]), default="relevance", show_default=True
)
@click.option("--seed", type=int, help="Of the random order; without one, every search has its own.")
@click.option("--all", "everything", is_flag=True, help="No cut-off: the nearest pictures however far.")
def search_(
    data: Path | None,
    as_json: bool,
    text: str,
    filter_: str,
    not_: str,
    k: int,
    facets: str,
    sort: str,
    seed: int | None,
    everything: bool,
) -> None:
    """Find pictures by TEXT, in which filter terms may stand: `two dogs playing -object:person`."""
    from api.routes.search import split_names
    from search import filters
    from search.services import open_services
    from search.types import Query, Sort

    words, inline = filters.split(text)
    query = Query(
        texts=(words,) if words else (),
        not_texts=(not_,) if not_ else (),
        filter=filters.joined(inline, filters.parse(filter_)),
        k=k,
        facets=split_names(facets),
        sort=Sort(sort),
        seed=seed,
        cutoff="none" if everything else "auto",
    )
    with open_services(load_config(data=data)) as services:
        show_results(services.engine.search(query), as_json)


@command("similar")
@click.argument("picture", metavar="PATH_OR_ID")
@click.option("--by", type=click.Choice(["image", "tags", "both", "duplicate"]), default="image", show_default=True)
@click.option("--filter", "filter_", default="", help="Filter expression.")
@click.option("-k", default=10, show_default=True, help="Hits, 1–200.")
@click.option("--box", default="", help="A part of it, as x,y,width,height in fractions of the picture.")
def similar(data: Path | None, as_json: bool, picture: str, by: str, filter_: str, k: int, box: str) -> None:
    """Find pictures like one of the library, like any file, or like a part of it."""
    from indexer.lookup import PictureLookup
    from indexer.pool import DecodePool
    from search import filters
    from search.boxes import parse_box
    from search.services import open_services
    from search.types import SimilarBy

    part = parse_box(box) if box else None
    with open_services(load_config(data=data)) as services:
        options: Any = {"by": SimilarBy(by), "filter": filters.parse(filter_), "k": k}
        id = services.catalog.resolve(picture)
        if id and part is None:
            results = services.engine.similar(id, **options)
        else:
            path = original(services.catalog, id) if id else Path(picture)
            with opened(path) as file, DecodePool(services.config, workers=1) as pool:
                lookup = PictureLookup(pool, lambda: services.profile, max_bytes=services.config.max_file_bytes)
                results = services.engine.similar_to(lookup.picture(file, part), **options, leave_out=id)
        show_results(results, as_json)


def original(catalog: Catalog, id: ImageId) -> Path:
    """Return a file of an image that is there. Raises ConfigError."""
    for path in catalog.locate(id):
        if path.exists():
            return path
    raise ConfigError(f"no file of image {id} is there any more")


@command("duplicates")
@click.option("-k", default=24, show_default=True, help="Groups, 1–200.")
@click.option("--cursor", help="`next` of the page before.")
def duplicates(data: Path | None, as_json: bool, k: int, cursor: str | None) -> None:
    """List groups of images that are one picture in several sizes, crops, colours or formats."""
    from api.schemas import DuplicatesOut
    from search.services import open_services

    with open_services(load_config(data=data)) as services:
        page = services.engine.duplicate_groups(cursor=cursor, k=k)
    if as_json:
        emit(DuplicatesOut.from_domain(page).model_dump(mode="json"))
        return
    for group in page.groups:
        for image, told in zip(group.images, group.differences, strict=True):
            name = image.files[0] if image.files else image.id
            click.echo(f"{'  ' if told else ''}{name}  {image.width}×{image.height}  {' · '.join(told)}".rstrip())
    if page.next:
        click.secho(f"about {page.total} groups; go on with --cursor {page.next}", dim=True, err=True)
    elif not page.groups:
        click.echo("no duplicates")


def opened(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except OSError as error:
        raise ConfigError(f"{path} is neither an image of the library nor a file that can be read: {error}") from error


def show_results(results: Any, as_json: bool) -> None:
    from api.schemas import SearchOut

    body = SearchOut.from_domain(results)
    if as_json:
        emit(body.model_dump(mode="json"))
        return
    for hit in body.hits:
        score = hit.relevance if hit.relevance is not None else hit.score
        click.echo(f"{score:5.2f}  {hit.files[0] if hit.files else hit.id}  {hit.caption or ''}")
        if told := hit.differences or hit.why:
            click.secho(f"       {' · '.join(told)}", dim=True)
    for name, values in body.facets.items():
        click.echo(f"{name}: {', '.join(f'{v.value} {v.count}' for v in values)}")
    if not body.hits:
        click.echo("no good match; --all shows the nearest pictures anyway")
    else:
        click.secho(f"{len(body.hits)} of {body.total} in {body.took_ms:.0f} ms", dim=True, err=True)


@command("show")
@click.argument("picture", metavar="ID_OR_PATH")
def show(data: Path | None, as_json: bool, picture: str) -> None:
    """Print everything known of one image."""
    from api.schemas import ImageOut
    from search.catalog.opening import open_catalog

    with open_catalog(load_config(data=data)) as catalog:
        record = catalog.record(catalog.expect(picture))
    body = ImageOut.from_domain(record).model_dump(mode="json")
    if as_json:
        emit(body)
        return
    for key, value in body.items():
        if key == "tags":
            for tag in record.tags:
                click.echo(f"{tag.kind}: {tag.label} {tag.confidence:.2f} ({tag.source})")
        elif value not in (None, []) and key != "links":
            click.echo(f"{key}: {', '.join(value) if isinstance(value, list) else value}")


@command("serve")
@click.option("--host", help="Address to bind to; any but loopback needs a key: `snapseek keys create`.")
@click.option("--port", type=int, help="Port to bind to.")
@click.option("--workers", type=int, help="Processes beside it that index what is uploaded; 0: others do that.")
@click.option("--library", "libraries", multiple=True, metavar="NAME=DIR", help="One of several; may be repeated.")
def serve(as_json: bool, libraries: tuple[str, ...], **flags: Any) -> None:
    """Serve the page and the HTTP API of a library, or of several, each below /libraries/NAME.

    With --library, the folder of --data holds no library, only options and keys of the server.
    """
    from api.server import run

    named = dict(one.partition("=")[::2] for one in libraries)
    if len(named) < len(libraries) or not all(named.values()):
        raise ConfigError("each --library is NAME=DIR, with a name of its own")
    run(load_config(**flags, libraries=named or None))


@command("alt-text")
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--check", is_flag=True, help="Exit with status 1 where a picture has no useful text.")
@click.option("--write", is_flag=True, help="Write what is proposed into the files, marked as drafts.")
@click.option("--min-confidence", default=0.5, show_default=True, type=click.FloatRange(0, 1), help="Of a proposal.")
@click.option(
    "--root", type=click.Path(path_type=Path, exists=True, file_okay=False), default=".", help="The folder of `/`."
)
@click.option("--sarif", type=click.Path(path_type=Path, dir_okay=False), help="Write findings to this file as SARIF.")
@click.option("--profile", help="Models to look with; without it the library's of --data, or lite.")
def alt_text(
    data: Path | None,
    as_json: bool,
    paths: tuple[Path, ...],
    check: bool,
    write: bool,
    min_confidence: float,
    root: Path,
    sarif: Path | None,
    profile: str | None,
) -> int:
    """Find pictures without a useful alternative text in HTML, Markdown and MDX files, and propose one.

    With --data, what a person wrote for a picture in that library is taken before what models say.
    """
    from importlib.util import find_spec

    if check and write:
        raise ConfigError("either --check or --write")
    if not all(find_spec(module) for module in ("tree_sitter", "tree_sitter_html", "tree_sitter_markdown")):
        raise ConfigError("this needs three more packages: pip install 'snapseek[alt-text]'")
    from indexer.alt_text.checking import look_through
    from indexer.alt_text.sarif import sarif as as_sarif
    from indexer.alt_text.seeing import seeing

    with seeing(load_config(data=data), profile, with_library=data is not None) as seer:
        report = look_through(paths, seer.see, root=root, least=min_confidence, write=write)
    if sarif:
        sarif.write_text(json.dumps(as_sarif(report), indent=2), encoding="utf-8")
    if as_json:
        emit(report.as_dict())
    else:
        for finding in report.findings:
            click.echo(finding)
        for rejected in report.rejected:
            click.echo(f"{rejected.path}: {rejected.reason}", err=True)
        click.secho(report.summary(), dim=True, err=True)
    return SOME_REJECTED if report.rejected or (check and not report.is_good) else OK


@command("mcp")
@click.option("--write", is_flag=True, help="Let the client change tags, captions and alt texts too.")
def mcp_(data: Path | None, as_json: bool, write: bool) -> None:
    """Serve the library to an assistant over the Model Context Protocol, on stdin and stdout; read-only by itself."""
    from importlib.util import find_spec

    if find_spec("mcp") is None:
        raise ConfigError("this needs one more package: pip install 'snapseek[mcp]'")
    from api.mcp_server import run

    run(load_config(data=data), write=write)


@command("worker")
@click.option("-n", "--workers", type=int, help="Processes.")
def worker(data: Path | None, as_json: bool, workers: int | None) -> None:
    """Index what is uploaded to a library, until told to stop.

    Any number of these may run, on every machine that has the library's folders, next to `serve --workers 0` or not.
    """
    from indexer.crew import Crew
    from indexer.stopping import until_told_to_stop
    from search import logs
    from search.catalog.opening import open_catalog

    config = load_config(data=data, workers=workers)
    logs.set_up(config)
    with open_catalog(config):
        pass  # a wrong folder is an error at once, not one of every worker
    count = max(1, config.workers)
    with Crew(config, count):
        click.echo(f"{count} worker{'s' if count > 1 else ''} at {config.data} (Ctrl-C stops)", err=True)
        until_told_to_stop()


@command("status")
def status(data: Path | None, as_json: bool) -> None:
    """Print what the library holds."""
    from indexer.liveness import living
    from search.catalog.opening import open_catalog
    from search.services import library_status

    config = load_config(data=data)
    with open_catalog(config) as catalog:
        document = library_status(config, catalog)
    document["queue"]["workers"] = living(config.data)
    tell(document, as_json)


@command("verify")
@click.option("--repair", is_flag=True, help="Rebuild from the catalogue what does not agree with it.")
def verify(data: Path | None, as_json: bool, repair: bool) -> int:
    """Hold catalogue, vectors, tags and files against each other."""
    from search.catalog.opening import open_catalog
    from search.verify import verify_library

    config = load_config(data=data)
    with open_catalog(config) as catalog:
        problems, repaired = verify_library(config, catalog, repair=repair)
    document = {
        "ok": not problems,
        "problems": [{"what": p.what, "where": p.where} for p in problems],
        "repaired": repaired,
    }
    if as_json:
        emit(document)
    else:
        for problem in problems:
            click.echo(f"{problem.where}: {problem.what}")
        click.echo(f"{len(problems)} problems, {repaired} repaired" if problems or repaired else "all is sound")
    return SOME_REJECTED if problems else OK


@command("backup")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--keys", is_flag=True, help="Also the API keys' digests, to be let in after a restore as before.")
def backup(data: Path | None, as_json: bool, file: Path, keys: bool) -> int:
    """Write everything of the library that cannot be made again into FILE. Servers and writers go on meanwhile.

    The pictures of your own folders are not in it; those that were uploaded are.
    """
    from dataclasses import asdict

    from indexer.backup import back_up

    kept = back_up(load_config(data=data), file, keys=keys)
    for path in kept.missing:
        click.echo(f"missing {path}: it was sent, but its file is gone", err=True)
    if as_json:
        emit(asdict(kept))
    else:
        click.echo(f"{kept.images} images and {kept.uploads} uploaded pictures in {file}, {kept.bytes / 1e6:.1f} MB")
    return SOME_REJECTED if kept.missing else OK


@command("restore")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
def restore_(data: Path | None, as_json: bool, file: Path) -> None:
    """Make the library of a backup, in a folder that is not there yet or empty: whole, or not at all."""
    from dataclasses import asdict

    from indexer.backup import restore

    config = load_config(data=data)
    kept = restore(file, config.data)
    if as_json:
        emit(asdict(kept))
        return
    click.echo(f"{kept.images} images, as they were at {kept.made_at}, in {config.data}")
    click.echo("vectors and tags are made searchable at the first command; thumbnails when they are seen")


@command("migrate")
@click.option("--to", "target", type=click.Choice(["embedded", "opensearch", "opensearch-knn"]), required=True)
@click.option("--replace", is_flag=True, help="Overwrite the library that is there already.")
def migrate_(data: Path | None, as_json: bool, target: str, replace: bool) -> None:
    """Move the library to another store, without running a model. It may be stopped, and goes on when run again.

    The library stays where it is now as well; set the option `store` to use the new place.
    """
    from dataclasses import asdict

    from api.progress import Bar
    from search.migrate import migrate

    config = load_config(data=data)
    with Bar() as bar:
        done = migrate(config, target, replace=replace, progress=bar)
    if as_json:
        emit(asdict(done))
        return
    for name, count in done.counts.items():
        click.echo(f"{name}: {count}")
    click.echo(f"both sides agree; from now on run with SNAPSEEK_STORE={target}")


@command("rm")
@click.argument("pictures", nargs=-1, required=True, metavar="PATH_OR_ID...")
def rm(data: Path | None, as_json: bool, pictures: tuple[str, ...]) -> None:
    """Take images out of the library; later runs pass them over. Your files are never touched; uploads are deleted."""
    from indexer.ingest import take_out
    from indexer.uploads import Uploads
    from search.services import open_services

    with open_services(load_config(data=data)) as services:
        uploads = Uploads(services.config.data, max_bytes=services.config.max_upload_bytes)
        ids = [services.catalog.expect(picture) for picture in pictures]
        for id in ids:
            take_out(services.catalog, uploads, id)
        services.noted()
    if as_json:
        emit({"removed": ids})
    else:
        click.echo(f"removed {len(ids)} from the library")


@main.group("xmp")
def xmp() -> None:
    """Write XMP sidecars for other photo programs; those that are there are read by `snapseek index`."""


@command("export", group=xmp)
@click.argument("pictures", nargs=-1, metavar="[PATH_OR_ID]...")
@click.option("--min-confidence", default=0.8, show_default=True, type=click.FloatRange(0, 1), help="Of models' tags.")
@click.option("--kinds", default="object,class,scene,attribute,style", show_default=True, help="Of models' tags.")
@click.option("--dry-run", is_flag=True, help="Tell what would be written, and write nothing.")
def xmp_export(
    data: Path | None, as_json: bool, pictures: tuple[str, ...], min_confidence: float, kinds: str, dry_run: bool
) -> int:
    """Write tags, captions and alt texts to sidecars beside the pictures named, or beside all. Originals stay.

    What people or other programs wrote in a sidecar stays in it.
    """
    from api.routes.search import split_names
    from indexer.xmp_export import Exported, export
    from search.catalog.opening import open_catalog
    from search.types import Rejected, TagKind

    if unknown := set(split_names(kinds)) - set(TagKind):
        raise ConfigError(f"no kinds of tags: {', '.join(sorted(unknown))}; there are {', '.join(TagKind)}")
    config = load_config(data=data)
    written: list[Exported] = []
    rejected: list[Rejected] = []
    unchanged = 0
    with open_catalog(config) as catalog:
        ids = [catalog.expect(picture) for picture in pictures] or None
        chosen = [TagKind(kind) for kind in split_names(kinds)]
        for one in export(config, catalog, ids, least=min_confidence, kinds=chosen, dry_run=dry_run):
            if isinstance(one, Rejected):
                rejected.append(one)
                click.echo(f"rejected {one.path}: {one.reason}", err=True)
            elif one.changed:
                written.append(one)
                if not as_json:
                    said = [f"+{word}" for word in one.added] + [f"-{word}" for word in one.withdrawn]
                    click.echo(f"{one.path}: {', '.join(said) or 'only what is noted of whose keywords are whose'}")
            else:
                unchanged += 1
    if as_json:
        files = [
            {"path": str(one.path), "created": one.created, "added": one.added, "withdrawn": one.withdrawn}
            for one in written
        ]
        refused = [{"path": one.path, "reason": one.reason} for one in rejected]
        emit({"written": len(written), "unchanged": unchanged, "dry_run": dry_run, "files": files, "rejected": refused})
    else:
        would = "would be written" if dry_run else "written"
        click.echo(f"{len(written)} sidecars {would}, {unchanged} unchanged, {len(rejected)} rejected", err=True)
    return SOME_REJECTED if rejected else OK


@main.group("moderation")
def moderation() -> None:
    """Review what is flagged: list it, approve it, reject it."""


@command("list", group=moderation)
@click.option("--state", type=click.Choice(["flagged", "approved", "rejected"]), default="flagged", show_default=True)
@click.option("-k", type=click.IntRange(1, 200), default=24, show_default=True, help="Images.")
@click.option("--cursor", help="`next` of the page before.")
def moderation_list(data: Path | None, as_json: bool, state: str, k: int, cursor: str | None) -> None:
    """List the images that wait for a decision, or those that have one."""
    from api.routes.moderation import parse_cursor
    from api.schemas import QueueOut
    from search.catalog.opening import open_catalog
    from search.moderation import ReviewState, policy_of
    from search.review import review_page

    config = load_config(data=data)
    policy, wanted = policy_of(config), ReviewState(state)
    with open_catalog(config) as catalog:
        page = review_page(catalog, policy, wanted, after=parse_cursor(cursor), k=k)
    body = QueueOut.from_domain(page, wanted, policy)
    if as_json:
        emit(body.model_dump(mode="json"))
        return
    for image in body.images:
        why = ", ".join(f"{tag.label} {tag.confidence:.2f}" for tag in image.reasons)
        click.echo(f"{image.id}  {image.files[0] if image.files else ''}  {why}")
        for one in image.decisions:
            click.secho(f"      {one.verdict} by {one.by}, {one.at:%Y-%m-%d %H:%M} UTC  {one.note}".rstrip(), dim=True)
    rest = f"; go on with --cursor {body.next}" if body.next else ""
    click.secho(f"{body.total} {state}{rest}", dim=True, err=True)


def moderation_command(decision: str, doc: str) -> None:
    """Make the subcommand of one decision."""

    @command(decision, group=moderation)
    @click.argument("pictures", nargs=-1, required=True, metavar="ID_OR_PATH...")
    @click.option("--note", default="", help="Why, for the log.")
    @click.option("--by", default=getpass.getuser, show_default="your login name", help="Who decides.")
    def decide(data: Path | None, as_json: bool, pictures: tuple[str, ...], note: str, by: str) -> None:
        from api.schemas import DecisionIn, ReviewOut
        from search.services import open_services
        from search.types import Decision

        verdict = DecisionIn(decision=decision, note=note).verdict
        with open_services(load_config(data=data)) as services:
            ids = [services.catalog.expect(picture) for picture in pictures]
            made = Decision(verdict, by, datetime.now(UTC), note)
            records = [services.catalog.decide(id, made) for id in ids]
            services.noted()
            reviewed = [ReviewOut.from_domain(record, services.policy).model_dump(mode="json") for record in records]
        if as_json:
            emit({"images": reviewed})
        else:
            click.echo(f"{len(reviewed)} {verdict}")

    decide.help = doc


moderation_command("approve", "Say that images may be shown, whatever the models found.")
moderation_command("reject", "Take images out of every search; `approve` brings them back. Files are never touched.")


@main.group("models")
def models() -> None:
    """List, fetch and measure what profiles are made of."""


@command("list", group=models)
@click.argument("profile", required=False)
def models_list(data: Path | None, as_json: bool, profile: str | None) -> None:
    """List what each profile is made of, and the families of models that a profile may name."""
    from indexer.families import families
    from indexer.model_store import cards

    listed, known = cards(profile), families()
    if as_json:
        emit({"models": [card.as_dict() for card in listed], "families": [family.as_dict() for family in known]})
        return
    for card in listed:
        here = "here" if card.present else "MISSING"
        click.echo(f"{card.profile:5} {card.task:10} {card.name:38} {card.bytes / 2**20:7.1f} MB  {here}")
        click.secho(f"      {card.licence}; from {card.source}", dim=True)
    if profile is None:
        click.echo("\nModels that a profile of your own may name (docs/models.md):")
        for family in known:
            click.echo(f"{family.task:10} {family.name:34} {family.size:>12}  {family.licence}")
            click.secho(f"      library = {family.library!r}, model = {family.model!r}", dim=True)


@command("pull", group=models)
@click.argument("profile")
def models_pull(data: Path | None, as_json: bool, profile: str) -> None:
    """Fetch and check the weights of PROFILE, so that indexing needs no network."""
    from dataclasses import asdict

    from indexer.model_store import pull
    from search.profile_file import stored_name

    pulled = []
    for model in pull(stored_name(profile)):
        pulled.append(asdict(model))
        if not as_json:
            click.echo(f"{model.task:10} {model.model}  {model.bytes / 2**20:.1f} MB  commit {model.commit}")
    if as_json:
        emit({"pulled": pulled})
    elif not pulled:
        click.echo(f"profile {profile} needs nothing from the hub")


@command("browser", group=models)
@click.option(
    "--runtime", type=click.Path(path_type=Path, exists=True), help="Archive of onnxruntime-web, for want of npm."
)
def models_browser(data: Path | None, as_json: bool, runtime: Path | None) -> None:
    """Make the files by which browsers look at pictures that are not uploaded: docs/browser.md."""
    from indexer.browser.export import export

    sizes = export(load_config(data=data), runtime)
    tell({"files": sizes, "bytes": sum(sizes.values())}, as_json)


@command("bench", group=models)
@click.argument("profile")
@click.option("--seconds", default=5.0, show_default=True, help="Time for each measurement.")
def models_bench(data: Path | None, as_json: bool, profile: str, seconds: float) -> None:
    """Measure the embedding model of PROFILE in each runtime and precision, and keep the fastest for this machine.

    Shown are speed, and the least cosine to single precision; below 0.995 a reduced precision is refused.
    """
    from dataclasses import asdict

    from indexer.model_bench import Row, bench
    from search.profile_file import stored_name

    def show(row: Row) -> None:
        figures = f"{row.images_per_second:9.1f} {row.text_ms:8.1f} {row.least_cosine:13.5f}"
        said = f"refused: {row.refused}" if row.refused else figures
        click.echo(f"{row.runtime:10} {row.precision:10} {said}", err=as_json)

    click.echo(f"{'runtime':10} {'precision':10} {'images/s':>9} {'text ms':>8} {'least cosine':>13}", err=as_json)
    found = bench(stored_name(profile), seconds=seconds, seen=show)
    if as_json:
        emit(asdict(found))
    else:
        click.echo(f"from now on pictures take {' '.join(found.image)}, texts {' '.join(found.text)}")


@command("demo", default_data="snapseek-demo")
@click.option("--port", type=int, help="Port to bind to.")
def demo(data: Path, as_json: bool, port: int | None) -> None:
    """Index the sample photos that come inside installed packages, into a library of their own, and serve them."""
    from api.progress import Bar
    from api.server import run
    from indexer.pipeline import index_paths
    from indexer.samples import sample_photos

    config = load_config(data=data, port=port, profile="lite")
    photos = sample_photos()
    if not photos:
        raise ConfigError("no sample photos here: run `pip install 'snapseek[demo]'`, or `snapseek index` your own")
    with Bar() as bar:
        report = index_paths(config, photos, progress=bar)
    click.echo(report.summary(), err=True)
    run(config)


@command("adapt")
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--output", type=click.Path(path_type=Path), required=True, help="Adapter file to write.")
@click.option("--only", type=click.File("r"), help="Train on the files that this list names, one a line.")
def adapt(data: Path | None, as_json: bool, folder: Path, output: Path, only: Any) -> None:
    """Train the lite profile's adapter on FOLDER: photos and captions.json ({file: [captions]})."""
    from dataclasses import asdict

    from indexer.adapt import adapt as train

    names = {line.strip() for line in only if line.strip()} if only else None
    report = asdict(train(folder, output, only=names))
    tell(report, as_json)


@command("eval")
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--profile", help="Models to index FOLDER with, where no library is named.")
@click.option("--only", default="", help="What to measure, as captions,facets; all if not given.")
@click.option("--questions", default=3_000, show_default=True, help="At most so many of each measure.")
@click.option("--against", type=click.Path(path_type=Path), help="An earlier result: say what is better or worse.")
@click.option("--keep", type=click.Path(path_type=Path), help="Write the result to this file: numbers only.")
@click.option("--page", type=click.Path(path_type=Path), help="Write the tables into this Markdown file.")
def eval_(
    data: Path | None,
    as_json: bool,
    folder: Path,
    profile: str | None,
    only: str,
    questions: int,
    against: Path | None,
    keep: Path | None,
    page: Path | None,
) -> None:
    """Measure how well the pictures in FOLDER are found: captions.json beside them says what they show.

    They are indexed into a library that is deleted afterwards, or asked for in the one that --data names. Measured are
    captions and short questions by each system, false answers, `--not`, facets, objects, scenes, duplicates, latency.
    """
    from api.progress import Bar
    from api.routes.search import split_names
    from indexer.quality import results
    from indexer.quality.run import evaluate

    config = None if data is None else load_config(data=data)
    before = results.read(against) if against else None
    with Bar(unit="") as bar:
        report = evaluate(config, folder, profile=profile, only=split_names(only), most=questions, progress=bar)
    if keep:
        results.keep(report, keep)
    if page:
        results.write_page(report, page)
    changes, not_compared = results.changes(report, before) if before else ([], [])
    if as_json:
        emit({**report.as_dict(), "changes": [change.as_dict() for change in changes], "not_compared": not_compared})
        return
    click.echo(results.tables(report))
    if before:
        click.echo(results.said(changes, not_compared))


@command("calibrate")
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False), required=False)
@click.option("--forget", is_flag=True, help="Go back to what the profile brings.")
def calibrate_(data: Path | None, as_json: bool, folder: Path | None, forget: bool) -> None:
    """Fit what counts as relevant to this library, by pictures of it in FOLDER: captions.json says what they show."""
    from indexer.quality.calibrate import calibrate
    from indexer.quality.truth import read_truth
    from search.services import open_services

    if forget == (folder is not None):
        raise click.UsageError("name a FOLDER of described pictures, or --forget")
    with open_services(load_config(data=data)) as services:
        if folder is None:
            services.catalog.note_calibration(None)
            report = {}
        else:
            report = calibrate(services, read_truth(folder)).as_dict()
    tell(report, as_json)


@main.group("keys")
def keys() -> None:
    """Make, list, rotate and revoke the API keys of a server."""


def scopes_option(*default: str) -> Callable[[Command], Command]:
    choice = click.Choice(["search", "write", "moderate", "admin"])
    return click.option(
        "--scope", "scopes", multiple=True, type=choice, default=default, show_default=True, help="What it may do."
    )


@command("create", group=keys)
@click.argument("name")
@scopes_option("search")
@click.option("--library", "libraries", multiple=True, help="Only this one, of a server of several; may be repeated.")
@click.option("--expires", default="", help="As 90d, 12h, or a date: 2030-12-31.")
@click.option("--rate", default="", help="Requests, as 100/minute, or off; else the server's usual rate.")
def keys_create(
    data: Path | None,
    as_json: bool,
    name: str,
    scopes: tuple[str, ...],
    libraries: tuple[str, ...],
    expires: str,
    rate: str,
) -> None:
    """Make a key for NAME, who has it or what it is for. It is shown once: only its hash is kept.

    A server that runs lets it in at once.
    """
    from api.key_store import KeyStore
    from api.schemas import KeyIn, NewKeyOut
    from search.config import LIBRARY_NAME

    config = load_config(data=data)
    for library in libraries:
        if library not in config.libraries if config.libraries else not LIBRARY_NAME.fullmatch(library):
            raise ConfigError(f"{library!r} is no library of the option `libraries`, or no name of one")
    given = {"name": name, "scopes": scopes, "libraries": libraries or None, "rate": rate, "expires_at": until(expires)}
    wanted = checked(KeyIn, given)
    with closing(KeyStore(config.data)) as store:
        secret, key = store.create(
            wanted.name,
            wanted.scopes,
            libraries=wanted.libraries,
            rate=wanted.rate,
            expires_at=wanted.expires_at,
            by=getpass.getuser(),
        )
    tell_key(NewKeyOut.of(key, secret), as_json)


@command("list", group=keys)
@click.option("--all", "everything", is_flag=True, help="Revoked ones too.")
def keys_list(data: Path | None, as_json: bool, everything: bool) -> None:
    """List the keys: what each may do, and when it was used last."""
    from api.key_store import KeyStore
    from api.schemas import KeyOut, KeysOut

    with closing(KeyStore(load_config(data=data).data)) as store:
        known = [KeyOut.from_domain(key) for key in store.all() if everything or key.revoked_at is None]
    if as_json:
        emit(KeysOut(keys=known).model_dump(mode="json"))
        return
    for key in known:
        where = "all libraries" if key.libraries is None else ", ".join(key.libraries)
        times = (("expires", key.expires_at), ("used", key.last_used_at), ("revoked", key.revoked_at))
        told = "".join(f"  {what} {time:%Y-%m-%d %H:%M}" for what, time in times if time is not None)
        rate = f"  {key.rate}" if key.rate else ""
        click.echo(f"{key.id}  {key.name}  {'+'.join(key.scopes)}  {where}{rate}{told}")


@command("revoke", group=keys)
@click.argument("id")
def keys_revoke(data: Path | None, as_json: bool, id: str) -> None:
    """Revoke the key ID: it opens nothing from now on, nor does who signed in with it."""
    from api.key_store import KeyStore

    with closing(KeyStore(load_config(data=data).data)) as store:
        store.revoke(id)
    tell({"revoked": id}, as_json)


@command("rotate", group=keys)
@click.argument("id")
@click.option("--grace", default="24h", show_default=True, help="So long the secret before opens too: 0h, 30m, 7d.")
def keys_rotate(data: Path | None, as_json: bool, id: str, grace: str) -> None:
    """Give the key ID a new secret, shown once; the one before opens for the grace time."""
    from api.key_store import KeyStore
    from api.schemas import NewKeyOut, RotationIn

    wanted = checked(RotationIn, {"grace_s": duration(grace).total_seconds()})
    with closing(KeyStore(load_config(data=data).data)) as store:
        secret, key = store.rotate(id, timedelta(seconds=wanted.grace_s))
    tell_key(NewKeyOut.of(key, secret), as_json)


@command("new", group=keys)
@scopes_option("search")
def keys_new(data: Path | None, as_json: bool, scopes: tuple[str, ...]) -> None:
    """Make a key that is kept nowhere, and the entry of SNAPSEEK_API_KEYS that lets it in."""
    from api.auth import Scope, new_key

    key, entry = new_key(frozenset(map(Scope, scopes)))
    if as_json:
        emit({"key": key, "entry": entry})
    else:
        click.echo(f"key (shown once): {key}\nSNAPSEEK_API_KEYS={entry}")


def tell_key(key: NewKeyOut, as_json: bool) -> None:
    if as_json:
        emit(key.model_dump(mode="json"))
    else:
        click.echo(f"key (shown once): {key.key}")
        click.secho(f"its id, for lists and logs: {key.id}", dim=True, err=True)


def checked(model: type[Checked], values: Mapping[str, Any]) -> Checked:
    """Return a model of the HTTP API. Raises ConfigError where that would be answered 422."""
    from pydantic import ValidationError

    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise ConfigError("; ".join(f"{e['loc'][0]}: {e['msg']}" for e in error.errors())) from error


def duration(text: str) -> timedelta:
    """Return a time as `90d`, `12h` or `30m`. Raises ConfigError."""
    match = re.fullmatch("([0-9]{1,5})([dhm])", text)
    if match is None:
        raise ConfigError(f"a time is a number of days, hours or minutes, as 90d, 12h or 30m, got {text!r}")
    return int(match[1]) * {"d": timedelta(days=1), "h": timedelta(hours=1), "m": timedelta(minutes=1)}[match[2]]


def until(text: str) -> datetime | None:
    """Return when a time from now is over, or a date, in UTC; None for no text. Raises ConfigError."""
    if not text:
        return None
    try:
        return datetime.fromisoformat(text).replace(tzinfo=UTC)
    except ValueError:
        return datetime.now(UTC) + duration(text)


if __name__ == "__main__":
    main()
