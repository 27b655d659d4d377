"""What systemd and its services tell each other by environment variables: ``sd_listen_fds(3)``, ``sd_notify(3)``."""

import logging
import os
import socket

logger = logging.getLogger(__name__)

FIRST = 3
"""The first descriptor that is passed on."""


def passed_descriptors() -> tuple[int, ...]:
    """The descriptors of the sockets that were opened for this process (socket activation); none without it."""
    if os.environ.get("LISTEN_PID") != str(os.getpid()):
        return ()
    return tuple(range(FIRST, FIRST + int(os.environ.get("LISTEN_FDS", "0"))))


def notify(state: str) -> None:
    """Tell systemd a state, such as ``READY=1``; nothing without ``Type=notify``."""
    if not (address := os.environ.get("NOTIFY_SOCKET")):
        return
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
            told.connect("\0" + address[1:] if address.startswith("@") else address)
            told.send(state.encode())
    except OSError as error:
        logger.warning("systemd can't be told %s: %s", state, error.strerror)
