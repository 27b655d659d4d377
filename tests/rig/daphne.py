"""Stock daphne, for tests of the chat on it, and for the servers that measurements compare with."""

from chat.conf import conf


def daphne_flags(host: str, port: int) -> list[str]:
    """The flags with which daphne must run for this chat (docs/operations.md, "Stock daphne").

    Sockets may live for ever, because the chat has its own heartbeat. The handshake may take a minute, for times when
    everybody reconnects at once. Frames may have four times the size that the chat accepts, so that a frame that is
    too long gets an error reply instead of a closed socket.
    """
    frame = str(4 * conf.frame_bytes)
    return [
        *("--bind", host, "--port", str(port), "--verbosity", "0", "--no-server-name"),
        *("--websocket_timeout", "-1", "--websocket_connect_timeout", "60"),
        *("--ping-interval", "20", "--ping-timeout", "30", "--application-close-timeout", "10"),
        *("--websocket-max-message-size", frame, "--websocket-max-frame-size", frame),
    ]
