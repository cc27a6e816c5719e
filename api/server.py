"""Run the web application until it is told to stop."""

from __future__ import annotations

import socket
from collections.abc import Collection
from contextlib import ExitStack, closing

import click
import uvicorn

from api.app import create_app, create_shared_app
from api.auth import check_binding
from api.gate import Gate
from indexer.crew import Crew
from indexer.stopping import told_to_stop
from search import logs
from search.config import Config, load_config
from search.errors import ConfigError, Unavailable
from search.services import Services, open_services

GRACE_S = 5
"""So long requests may go on after the server is told to stop: uploads, and events that are listened to."""


def run(config: Config) -> None:
    """Serve a library, or several. Raises ConfigError for an address in use, or one that is open without a key."""
    with closing(Gate(config)) as gate:
        check_binding(config.host, has_keys=gate.has_keys)
    logs.set_up(config)
    of_server = {"log_format": config.log_format}
    own = {name: load_config(data=folder, **of_server) for name, folder in config.libraries.items()} or {"": config}
    with ExitStack() as stack:
        opened = {name: stack.enter_context(open_services(one, wait_for_server=True)) for name, one in own.items()}
        bound = stack.enter_context(listening_on(config.host, config.port))
        for one in own.values():
            stack.enter_context(Crew(one, config.workers))
        app = create_shared_app(config, opened) if config.libraries else create_app(opened[""])
        server = uvicorn.Server(
            uvicorn.Config(
                app,
                log_config=None,  # its loggers say what they have to say as all others do
                log_level="warning",
                access_log=False,  # it would tell addresses and what was asked for; ours does not: api/request_log.py
                server_header=False,
                timeout_graceful_shutdown=GRACE_S,
            )
        )
        host, port = bound.getsockname()[:2]
        shown = f"[{host}]" if ":" in host else host
        click.echo(f"{_images(opened.values())} on http://{shown}:{port} (Ctrl-C stops)", err=True)
        # uvicorn raises the signal anew at its end: without a handler that ends this process before its workers.
        with told_to_stop():
            server.run(sockets=[bound])


def _images(opened: Collection[Services]) -> str:
    several = f" in {len(opened)} libraries" if len(opened) > 1 else ""
    try:
        return f"{sum(len(services.tags) for services in opened)} images{several}"
    except Unavailable:
        return "an answer of 503, until its server is back,"


def listening_on(host: str, port: int) -> socket.socket:
    """Return a listening socket; bound here and not in uvicorn, whose failure would be a log line and no reason."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listening = socket.create_server((host, port), family=family, backlog=2048)
        # Inherited by connections. asyncio sets it on sockets of its own only; without it the end of an answer waits
        # until the beginning is acknowledged, which the other side puts off for 40 ms.
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return listening
    except OSError as error:
        raise ConfigError(f"cannot serve on {host} port {port}: {error.strerror or error}; try --port") from error
