"""Ports for servers that tests start, and waiting until something listens there."""

import os
import random
import socket
import time
from collections.abc import Callable

# Below Linux's ephemeral range: a port of that range may become somebody's outgoing connection while the server that
# owned it is being restarted.
CHOICES = range(20_000, 32_000)
# Each of the processes that share the tests has ports of its own: what one has found free, another could give away
# before anybody listens there.
SHARES = 8
SHARE = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % SHARES
POLL_S = 0.01
_given: set[int] = set()


def free_port() -> int:
    """A port of the loopback address that nobody uses now, and that was never given before: its server may be down
    for the moment."""
    for _ in range(200):
        port = random.choice(CHOICES[SHARE::SHARES])
        if port in _given:
            continue
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            _given.add(port)
            return port
    raise RuntimeError("No free port found.")


def wait_until(is_so: Callable[[], bool], what: str, within_s: float) -> None:
    """Return as soon as ``is_so()``.

    Raises:
        TimeoutError: It was not so within ``within_s``.
    """
    deadline = time.monotonic() + within_s
    while not is_so():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {within_s:g} s.")
        time.sleep(POLL_S)


def listens(port: int) -> bool:
    """Whether a connection to the loopback port is taken."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True
