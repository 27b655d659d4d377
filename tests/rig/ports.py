"""Choose ports for servers that tests start, and wait until something listens there."""

import os
import random
import socket
import time
from collections.abc import Callable

# Below Linux's ephemeral range: an outgoing connection could take a port of that range while its server is being
# restarted.
CHOICES = range(20_000, 32_000)
# Each pytest-xdist process has its own share of the ports. Otherwise two processes could find the same port free before
# a server listens there.
SHARES = 8
SHARE = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % SHARES
POLL_S = 0.01
_given: set[int] = set()


def free_port() -> int:
    """Return a free port of the loopback address. It is never the same twice: a server that is down for the moment may
    own an earlier one."""
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
    """Return as soon as ``is_so()`` is true.

    Raises:
        TimeoutError: It was not true within ``within_s`` seconds.
    """
    deadline = time.monotonic() + within_s
    while not is_so():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {within_s:g} s.")
        time.sleep(POLL_S)


def listens(port: int) -> bool:
    """Whether something accepts connections at this port of the loopback address."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True
