"""Serves the JavaScript modules, their tests and the shared wire examples to a browser. No chat server is involved."""

import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = {"chat": ROOT / "chat/static/chat", "tests": ROOT / "tests/js", "wire": ROOT / "tests/wire"}
PAGE = b"<!doctype html><meta charset=utf-8><link rel=icon href=data:,><title>tests</title>"


class Files(SimpleHTTPRequestHandler):
    def do_GET(self) -> None:
        if urlsplit(self.path).path != "/":
            return super().do_GET()
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.end_headers()
        self.wfile.write(PAGE)
        return None

    def translate_path(self, path: str) -> str:
        _, folder, *rest = urlsplit(path).path.split("/")
        return str(FOLDERS.get(folder, Path("/nowhere")).joinpath(*rest))

    def log_message(self, *_: object) -> None:
        """Requests of a test are no news."""


@pytest.fixture(scope="session")
def modules_url() -> Iterator[str]:
    """The origin that serves ``/chat/js/``, ``/tests/`` and ``/wire/``."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Files))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()
