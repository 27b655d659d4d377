"""The sockets that a server accepts connections on: addresses, Unix sockets, and sockets that were opened before it."""

import errno
import os
import socket
import stat
from dataclasses import dataclass
from pathlib import Path

BACKLOG = 2048
"""Connections that the kernel completes and keeps until they are accepted. After a restart everybody comes at once;
with Twisted's own 50, most of them wait for a second SYN."""


UNSENT = 128 * 1024
"""How many bytes that are not on their way yet the kernel takes of one connection. For a client that does not read it
would take megabytes, which nobody sees."""


class CannotListen(Exception):
    """A socket can't be opened. The message names it and says why."""


@dataclass(frozen=True, kw_only=True)
class Places:
    """Where to listen. With ``descriptors``, everything else is ignored.

    Args:
        hosts: Names or addresses; a name stands for all of its addresses, ``*`` for all of this machine's.
        port: 0 lets the system choose.
        unix: Path of a Unix socket.
        unix_mode: Who may connect to it. Its owner and group may by default: a proxy belongs into the group.
        descriptors: Sockets that somebody else has opened.
    """

    hosts: tuple[str, ...] = ()
    port: int = 8000
    unix: str | None = None
    unix_mode: int = 0o660
    descriptors: tuple[int, ...] = ()


def open_sockets(places: Places) -> list[socket.socket]:
    """Open every socket, each not blocking, not inherited, and not listening before ``listen``: until then clients are
    refused, and go to another process.

    Raises:
        CannotListen: One of them can't be opened; the others are closed again.
    """
    if places.descriptors:
        return [_inherited(each) for each in places.descriptors]
    opened: list[socket.socket] = []
    try:
        for host in places.hosts:
            opened += _open_host(host, places.port)
        if places.unix is not None:
            opened.append(_open_unix(Path(places.unix), places.unix_mode))
    except BaseException:
        for each in opened:
            each.close()
        raise
    return opened


def listen(listening: socket.socket) -> None:
    """Let clients connect. Harmless when repeated, also by another process that has the same socket.

    Raises:
        OSError: Another process listens there meanwhile.
    """
    if listening.family != socket.AF_UNIX and hasattr(socket, "TCP_NOTSENT_LOWAT"):  # the connections inherit it
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT)
    listening.listen(BACKLOG)


def identity_of(path: str) -> tuple[int, int] | None:
    """What tells the file at this path from a later one; None if there is none."""
    try:
        found = Path(path).lstat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def shown(listening: socket.socket) -> str:
    """What a person calls the socket: ``127.0.0.1:8000``, ``[::1]:8000`` or a path."""
    name = listening.getsockname()
    if not isinstance(name, tuple):
        return os.fsdecode(name)
    return f"[{name[0]}]:{name[1]}" if listening.family == socket.AF_INET6 else f"{name[0]}:{name[1]}"


def _open_host(host: str, port: int) -> list[socket.socket]:
    try:
        found = socket.getaddrinfo(
            None if host == "*" else host.strip("[]"),
            port,
            type=socket.SOCK_STREAM,
            flags=socket.AI_PASSIVE | socket.AI_NUMERICSERV,
        )
    except OSError as error:
        raise CannotListen(f"{host}: {error.strerror or error}") from None
    opened: list[socket.socket] = []
    for family, address in dict.fromkeys((each[0], each[4]) for each in found):
        try:
            listening = socket.socket(family, socket.SOCK_STREAM)
        except OSError as error:
            if host == "*" and error.errno == errno.EAFNOSUPPORT:
                continue  # this machine has no IPv6
            raise CannotListen(f"{host}:{port}: {error.strerror or error}") from None
        opened.append(listening)
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            listening.bind(address)
            listening.setblocking(False)
        except OSError as error:
            listening.close()
            opened.pop()
            if host == "*" and error.errno == errno.EADDRNOTAVAIL:
                continue  # this machine has no IPv6 address
            for each in opened:
                each.close()
            raise CannotListen(f"{host}:{port}: {os.strerror(error.errno or 0)}") from None
        port = listening.getsockname()[1]  # the same for all, where the system chose the first
    return opened


def _open_unix(path: Path, mode: int) -> socket.socket:
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _remove_left_over(path)
        before = os.umask(0o777)  # nobody may connect before the mode is set
        try:
            listening.bind(str(path))
        finally:
            os.umask(before)
        path.chmod(mode)
        listening.setblocking(False)
    except OSError as error:
        listening.close()
        raise CannotListen(f"{path}: {error.strerror or error}") from None
    return listening


def _remove_left_over(path: Path) -> None:
    """Remove the socket of a server that is gone: a bind does not replace it.

    Raises:
        OSError: Somebody answers there, or it is no socket.
    """
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise OSError(errno.EEXIST, "there is a file, and no socket")
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
    raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))


def _inherited(descriptor: int) -> socket.socket:
    try:
        listening = socket.socket(fileno=descriptor)
    except OSError as error:
        raise CannotListen(f"descriptor {descriptor}: {error.strerror or error}") from None
    listening.setblocking(False)
    os.set_inheritable(descriptor, False)
    return listening
