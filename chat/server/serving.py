"""``manage.py serve``: what one serving process is made of, and which signals it obeys."""

import asyncio
import resource
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django.conf import settings
from django.utils.module_loading import import_string

from chat.conf import conf
from chat.server import reactor, systemd
from chat.server.bounds import Bounds, networks
from chat.server.listening import Places, identity_of, open_sockets
from chat.server.processes import READY
from chat.server.processes import serve as serve_by_processes

FRAMES_READ = 4
"""Frames are read up to so many times ``CHAT["FRAME_BYTES"]``: what is a little too long gets an error that says so."""


class InvalidOption(Exception):
    """An option can't mean anything. The message names it."""


def places() -> Places:
    """Where the settings say to listen."""
    hosts = () if conf.server_unix else conf.server_hosts
    return Places(hosts=hosts, port=conf.server_port, unix=conf.server_unix or None)


@dataclass(frozen=True, kw_only=True)
class Options:
    """How to serve. The defaults are the settings ``CHAT["SERVER_…"]``."""

    places: Places
    processes: int = field(default_factory=lambda: conf.server_processes)
    proxies: tuple[str, ...] = field(default_factory=lambda: conf.server_proxies)
    server_name: str = field(default_factory=lambda: conf.server_name)
    handshake_headers: tuple[str, ...] = field(default_factory=lambda: conf.server_handshake_headers)
    access_log: str = ""
    """Path of a file for a line per request and socket; ``-`` for the standard output; empty: none."""
    parent: int | None = None
    """The descriptor of the line to the process that keeps this one."""

    def bounds(self) -> Bounds:
        try:
            networks(each for each in self.proxies if each != "unix")
        except ValueError as error:
            raise InvalidOption(f"proxies: {error}") from None
        return Bounds(
            proxies=self.proxies,
            handshakes=conf.server_handshakes,
            body_bytes=conf.server_body_bytes,
            header_s=conf.server_header_s,
        )

    def headers(self) -> tuple[tuple[str, str], ...]:
        found = []
        for each in self.handshake_headers:
            name, colon, value = each.partition(":")
            if not colon or not name.strip() or not each.isascii() or not each.isprintable():
                raise InvalidOption(f"handshake headers: {each!r} is not of the form 'Name: value'")
            found.append((name.strip(), value.strip()))
        return tuple(found)


def serve(options: Options, *, arguments: list[str] | None = None, on_ready: Callable[[], None] | None = None) -> int:
    """Serve ``settings.ASGI_APPLICATION`` until the process is told to end; return the exit status.

    SIGTERM, SIGINT and SIGHUP drain it, and a second SIGTERM or SIGINT ends it at once. From SIGUSR1 to SIGUSR2, no
    connections are accepted. With several processes, SIGHUP renews them one by one.

    Args:
        arguments: Of ``manage.py serve``, for the processes that this one starts.
        on_ready: Called when connections are accepted.

    Raises:
        InvalidOption, CannotListen: Nothing has been served.
    """
    if not getattr(settings, "ASGI_APPLICATION", None):
        raise InvalidOption("ASGI_APPLICATION is not set. It names what is served, such as 'shop.asgi.application'")
    bounds, headers = options.bounds(), options.headers()
    _take_all_descriptors()
    sockets = open_sockets(options.places)
    with ExitStack() as stack:
        if options.places.unix and not options.places.descriptors:
            stack.callback(_remove, options.places.unix, identity_of(options.places.unix))
        if options.processes > 1:
            return serve_by_processes(sockets, options.processes, arguments or [], on_ready)
        loop = reactor.install()
        return _serve(options, bounds, headers, sockets, loop, on_ready)


def _serve(
    options: Options,
    bounds: Bounds,
    headers: tuple[tuple[str, str], ...],
    sockets: list[socket.socket],
    loop: asyncio.AbstractEventLoop,
    on_ready: Callable[[], None] | None,
) -> int:
    from daphne.access import AccessLogGenerator

    from chat import process  # here, because they need the models
    from chat.live.draining import ANSWERED_S
    from chat.server.server import Server  # here, because daphne imports the reactor

    parent = socket.socket(fileno=options.parent) if options.parent is not None else None

    def ready() -> None:
        if parent is not None:
            parent.send(READY)
        else:
            systemd.notify("READY=1")
        if on_ready is not None:
            on_ready()

    with ExitStack() as stack:
        log: Any = None
        if options.access_log:
            is_file = options.access_log != "-"
            log = stack.enter_context(Path(options.access_log).open("a", buffering=1)) if is_file else sys.stdout
        server = Server(
            import_string(settings.ASGI_APPLICATION),
            sockets=sockets,
            bounds=bounds,
            are_shared=bool(options.places.descriptors),
            drain=lambda: process.drain(conf.server_drain_s),
            drained_s=conf.server_drain_s + ANSWERED_S + 1,
            on_ready=ready,
            frame_bytes=FRAMES_READ * conf.frame_bytes,
            server_name=options.server_name,
            handshake_headers=headers,
            action_logger=AccessLogGenerator(log) if log else None,
        )
        # A supervisor may signal the processes of a group all at once: a parent's SIGTERM is then no second one.
        on_term = server.drain_or_stop if parent is None else server.drain
        for number, handler in (
            (signal.SIGTERM, on_term),
            (signal.SIGINT, server.drain_or_stop),
            (signal.SIGHUP, server.drain),
        ):
            loop.add_signal_handler(number, handler)
        loop.add_signal_handler(signal.SIGUSR1, server.accept, False)
        loop.add_signal_handler(signal.SIGUSR2, server.accept, True)
        if parent is not None:
            parent.setblocking(False)
            loop.add_reader(parent.fileno(), _parent_is_gone, loop, parent, server)
        server.run()
    return int(server.abort_start)


def _parent_is_gone(loop: asyncio.AbstractEventLoop, parent: socket.socket, server: Any) -> None:
    loop.remove_reader(parent.fileno())
    server.drain()


def _take_all_descriptors() -> None:
    """Raise the limit of open files as far as this process may: each connection is one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with suppress(ValueError, OSError):  # macOS allows less than it says
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _remove(path: str, mine: tuple[int, int] | None) -> None:
    """Remove the Unix socket, unless another server has put its own there meanwhile."""
    if identity_of(path) == mine:
        Path(path).unlink(missing_ok=True)
