"""A server of ``tests/server/probe.py`` for all tests of a module, and raw connections to it."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.rig.factory import SiteFactory
from tests.rig.site import Site
from tests.rig.templates import Templates

PROBE = "tests.server.probe:application"
ENVIRONMENT = {"CHAT_SERVER_HEADER_S": "1.0", "CHAT_SERVER_HANDSHAKES": "2", "CHAT_SERVER_BODY_BYTES": "100000"}
WAIT_S = 20.0


@pytest.fixture(scope="module")
def probe(tmp_path_factory: pytest.TempPathFactory, templates: Templates) -> Iterator[Site]:
    factory = SiteFactory(tmp_path_factory.mktemp("probe"), templates, _unneeded, _unneeded)
    site = factory(processes=0, env=ENVIRONMENT)
    site.application = PROBE
    site.options = ("--server-name", "hearth", "--handshake-header", "X-Site: ours")
    site.start()
    yield site
    factory.stop()


def _unneeded() -> None:
    raise AssertionError("The probe uses SQLite and no Redis.")


@contextmanager
def connected(site: Site) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", site.processes[0].port), timeout=WAIT_S) as raw:
        yield raw


def answer_to(site: Site, *parts: bytes) -> bytes:
    """Everything that the server answers until it closes the connection."""
    with connected(site) as raw:
        for each in parts:
            raw.sendall(each)
        return read_all(raw)


def read_all(raw: socket.socket) -> bytes:
    read = b""
    while data := raw.recv(65_536):
        read += data
    return read


def request(method: str, path: str, *headers: str, body: bytes = b"") -> bytes:
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: localhost", *headers, "", ""]).encode() + body
