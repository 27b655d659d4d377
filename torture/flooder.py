"""Floods a server, in a process of its own: what measures the others must not be slowed down by what disturbs them.

``python flooder.py PORT SECONDS TOKEN …``: the first person sends the smallest frames as fast as they can, the others
the largest. Prints, as JSON, how long each connection lasted. Needs nothing but the standard library.
"""

import json
import socket
import struct
import sys
import threading
import time

REST_S = 0.5
"""Between two connections of one person."""


def masked(payload: bytes) -> bytes:
    size = len(payload)
    head = bytes([0x81, 0x80 | size]) if size < 126 else bytes([0x81, 0x80 | 126]) + struct.pack(">H", size)
    return head + b"\0\0\0\0" + payload


SMALL = masked(json.dumps({"type": "ping", "ref": 1}).encode()) * 100
LARGE = masked(json.dumps({"type": "ping", "ref": 1, "ts": "x" * 65_000}).encode())


def attack(port: int, token: str, chunk: bytes, until: float, lasted: list[float]) -> None:
    while time.monotonic() < until:
        with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
            lines = [
                "GET /ws/chat/ HTTP/1.1",
                f"Host: 127.0.0.1:{port}",
                "Upgrade: websocket",
                "Connection: Upgrade",
                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
                "Sec-WebSocket-Version: 13",
                f"Authorization: Bearer {token}",
            ]
            connection.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
            connection.recv(4096)
            began = time.monotonic()
            reading = threading.Thread(target=read_all, args=(connection,), daemon=True)
            reading.start()
            try:
                while reading.is_alive() and time.monotonic() < until:
                    connection.sendall(chunk)
            except OSError:
                pass  # cut off
            lasted.append(time.monotonic() - began)
        time.sleep(REST_S)


def read_all(connection: socket.socket) -> None:
    try:
        while connection.recv(65536):
            pass
    except OSError:
        pass


def main(port: str, seconds: str, *tokens: str) -> None:
    until = time.monotonic() + float(seconds)
    lasted: list[float] = []
    threads = [
        threading.Thread(target=attack, args=(int(port), token, LARGE if place else SMALL, until, lasted))
        for place, token in enumerate(tokens)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(json.dumps(lasted))


if __name__ == "__main__":
    main(*sys.argv[1:])
