"""The socket that a server listens on."""

from __future__ import annotations

import socket

import pytest

from api.server import listening_on
from search.errors import ConfigError


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_no_answer_waits_until_its_beginning_is_acknowledged(host: str) -> None:
    with listening_on(host, 0) as listening:
        port = listening.getsockname()[1]
        with socket.create_connection((host, port)):
            accepted, _ = listening.accept()
            with accepted:
                assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_an_address_in_use_is_a_reason() -> None:
    with listening_on("127.0.0.1", 0) as listening:
        port = listening.getsockname()[1]
        with pytest.raises(ConfigError, match=f"cannot serve on 127.0.0.1 port {port}: .*; try --port"):
            listening_on("127.0.0.1", port)
