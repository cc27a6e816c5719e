"""Run the web application until it is told to stop."""

from __future__ import annotations

import socket

import click
import uvicorn

from api.app import create_app
from api.auth import check_binding, parse_keys
from indexer.crew import Crew
from search.config import Config
from search.errors import ConfigError, Unavailable
from search.services import Services, open_services

GRACE_S = 5
"""So long requests may go on after the server is told to stop: uploads, and events that are listened to."""


def run(config: Config) -> None:
    """Serve a library. Raises ConfigError for an address in use, or one that is open without a key."""
    check_binding(config.host, parse_keys(config.api_keys))
    with (
        open_services(config, wait_for_server=True) as services,
        _bound(config.host, config.port) as bound,
        Crew(config, config.workers),
    ):
        app = create_app(services)
        server = uvicorn.Server(
            uvicorn.Config(app, log_level="warning", server_header=False, timeout_graceful_shutdown=GRACE_S)
        )
        host, port = bound.getsockname()[:2]
        shown = f"[{host}]" if ":" in host else host
        click.echo(f"{_images(services)} on http://{shown}:{port} (Ctrl-C stops)", err=True)
        server.run(sockets=[bound])


def _images(services: Services) -> str:
    try:
        return f"{len(services.tags)} images"
    except Unavailable:
        return "an answer of 503, until its server is back,"


def _bound(host: str, port: int) -> socket.socket:
    """Return a listening socket; bound here and not in uvicorn, whose failure would be a log line and no reason."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        raise ConfigError(f"cannot serve on {host} port {port}: {error.strerror or error}; try --port") from error
