"""Every setting of the app: ``CHAT = {"BODY_CHARS": 4000, …}`` in the host's settings, read as ``conf.body_chars``.

Each has its name, default, unit and meaning. Nothing is read at import, so tests may override ``CHAT``.
Unknown names and wrong types are errors of ``manage.py check`` (chat/checks.py).
"""

from dataclasses import dataclass, fields
from functools import cache
from typing import Any

from django.conf import settings
from django.core.signals import setting_changed


@dataclass(frozen=True, kw_only=True)
class ChatSettings:
    """The settings in force. Sizes are in the unit that the name says, times in seconds (``_s``)."""

    policy: str = "chat.access.policy.Policy"
    """Dotted path of the class that decides who may do what (docs/architecture.md)."""

    origins: tuple[str, ...] = ()
    """Full origins (``https://chat.example.com``) whose pages may open the socket, beside the page's own and
    ``CSRF_TRUSTED_ORIGINS``."""
    query_token: bool = False
    """Whether ``?token=…`` in the socket's URL signs in. Off by default, because proxies log query strings."""
    socket_path: str = "ws/chat/"
    """Path of the socket: below the site's script name, or exactly this path if it begins with "/". ``chat.asgi``
    serves the socket there; a site that routes its sockets itself mounts the consumer to match."""
    trusted_proxies: int = 0
    """How many proxies in front of the site add to ``X-Forwarded-For``. Who is not signed in shares turns and limits
    with those of the same address."""
    channel_layer: str = "default"
    """Alias in ``CHANNEL_LAYERS`` of the layer that carries hints between processes."""

    frame_bytes: int = 64 * 1024
    """Largest frame taken from a client, in UTF-8 bytes."""
    body_chars: int = 10_000
    """Longest message body, in characters after trimming."""
    sync_rooms: int = 500
    """Most rooms in one ``sync``."""
    history_messages: int = 100
    """Most messages in one ``history``; without a ``limit``, it returns half of that."""
    catch_up: int = 1_000
    """Most changed things of a room that a ``sync`` delivers; beyond it the answer is ``reset``."""
    unanswered: int = 32
    """Most unanswered commands of one socket; the next is answered ``server.busy``."""
    hello_rooms: int = 200
    """Most rooms in ``hello``; the others come with ``room.list``."""

    queued_frames: int = 64
    """Frames of one socket that may wait to be read; with more, the socket is closed with 4029."""
    bad_frames: int = 20
    """Bad frames within 10 s that close a socket with 4029."""
    flood_pause_s: float = 10.0
    """How long new sockets of a person whose socket was closed for flooding are refused in that process, with 4029."""
    window_frames: int = 256
    """Frames sent to a socket and not yet ``received``; beyond that, the socket is lagging."""
    window_bytes: int = 1024 * 1024
    """Bytes sent to a socket and not yet ``received``; beyond that, the socket is lagging."""
    stall_s: float = 10.0
    """How long an acknowledgement may be overdue, with more than half of the window taken, before the socket is closed
    with 4008."""
    received_frames: int = 64
    """``hello.flow``: a client acknowledges at the latest after this many frames …"""
    received_s: int = 10
    """… or this long after an unacknowledged one."""
    presence_s: float = 15.0
    """How often a process tells the others everybody who is connected to it. One that is not heard for three times as
    long counts as gone. Changes are told within a second."""
    heartbeat_s: float = 20.0
    """A ``heads`` event is sent at least this often."""
    auth_s: float = 5.0
    """How long a socket without session or header may take to send its ``auth`` frame."""
    revalidate_s: float = 60.0
    """How often sessions, tokens and rights of live sockets are checked against the database."""

    poll_s: float = 3.0
    """How often each process compares its feeds with the heads in the database. Within this time, messages reach other
    processes even without a channel layer."""
    hold_s: float = 0.1
    """How long an event that is ahead waits for those before it; after that, they are read from the database."""
    tick_s: float = 0.01
    """Events of one tick are sent in one frame. An idle feed sends at once."""
    ring_events: int = 256
    """Recent events that a feed keeps for clients that come back."""
    idle_feed_s: float = 30.0
    """How long a feed without sockets is kept for clients that come back."""
    layer_timeout_s: float = 2.0
    """How long the background task that sends hints waits for the channel layer."""

    batch_posts: int = 200
    """Most posts in one transaction of the writer; of other changes, which take longer, ten count as much."""
    writer_queue: int = 2_000
    """Changes that may wait for the writer; the next is answered ``server.busy``."""
    waiting_changes: int = 64
    """Changes of one person, over all of their sockets in one process, that may wait for the writer; the next is
    answered ``server.busy``."""
    writer_retry_s: float = 5.0
    """How long the writer retries while the database is away; after that, it answers ``server.error``, retryable."""
    deadline_s: float = 15.0
    """``hello.limits``: a change that has come to a server is stored within this time, or never."""
    idle_transaction_s: float = 3.0
    """On PostgreSQL, the server ends a transaction of the chat's own that has done nothing for this long, because its
    process may be frozen while it holds a lock; 0 means never."""
    lock_wait_s: float = 4.0
    """On PostgreSQL, how long a transaction of the chat's own waits for a lock; 0 means as long as it takes."""
    reader_threads: int = 4
    """Threads for database reads of sockets."""

    post_rate: float = 5.0
    """Messages a second that one person may post in the long run, over all processes that the channel
    layer joins."""
    post_burst: int = 20
    """Messages that one person may post at once."""
    change_rate: float = 5.0
    """Other changes of one kind (reactions, read pointers …) a second that one person may make in the long run. Edits,
    joins and new rooms count for several (chat/services/limits.py). Forms of pages count apart."""
    change_burst: int = 50
    """Other changes of one kind that one person may make at once."""
    read_rate: float = 10.0
    """Commands that only read (``history`` and the lists) a second that one person may send in the long run. Some
    count for several (chat/services/limits.py)."""
    read_burst: int = 100
    """Commands that only read which one person may send at once."""
    sync_rate: float = 200.0
    """Rooms a second that one person may sync in the long run; each ``sync`` counts as five more."""
    sync_burst: int = 5_000
    """Rooms that one person may sync at once: 200 on each of 20 sockets, after a restart."""
    page_rate: float = 3.0
    """Pages a second that one person may request in the long run; the next is answered 429."""
    page_burst: int = 60
    """Pages that one person may request at once."""
    frame_rate: float = 100.0
    """Frames a second that one person may send in the long run, in one process; the next closes the socket (4029)."""
    frame_burst: int = 1_000
    """Frames that one person may send at once."""
    text_rate: float = 131_072.0
    """Characters a second that are read of one person's sockets in the long run, in one process; the rest is read later
    (where the server can pause a socket, as daphne can). Raise it with ``POST_RATE``."""
    text_burst: int = 262_144
    """Characters of one person that are read at once."""
    handshake_rate: float = 100.0
    """Sockets a second that may be opened from one address in the long run, whoever opens them; the next is refused a
    second later with 4029."""
    handshake_burst: int = 1_000
    """Sockets that may be opened from one address at once."""
    socket_rate: float = 1.0
    """New sockets a second that one person may open in the long run; the next is refused with 4029."""
    socket_burst: int = 60
    """New sockets that one person may open at once."""
    sockets_per_user: int = 20
    """Open sockets of one person in one process; the next is refused with 4029."""
    reactions_per_message: int = 50
    """Different emoji that one message may carry."""
    direct_people: int = 8
    """Most people in a direct room, the caller included."""
    token_days: int = 365
    """Days for which a new bearer token is valid; 0 means until it is revoked."""
    tokens_per_user: int = 20
    """Most valid tokens of one person."""

    # What `manage.py serve` does unless its options say otherwise; other servers have settings of their own.
    server_hosts: tuple[str, ...] = ("127.0.0.1",)
    """Names or addresses on which it listens; ``*`` stands for all of this machine's."""
    server_port: int = 8000
    """The port at these addresses."""
    server_unix: str = ""
    """Path of a Unix socket on which it listens, in place of addresses."""
    server_processes: int = 1
    """Processes that serve on the same sockets."""
    server_proxies: tuple[str, ...] = ("127.0.0.0/8", "::1", "unix")
    """Addresses and networks of your proxies: from others, ``X-Forwarded-For`` and the like are removed. ``unix``
    stands for whoever may connect to the Unix socket."""
    server_name: str = ""
    """Value of the ``Server`` header; empty: none is sent."""
    server_handshake_headers: tuple[str, ...] = ()
    """Headers sent with the answer to each WebSocket handshake, each as ``Name: value``."""
    server_handshakes: int = 4_000
    """WebSocket handshakes that may be in progress in one process; the next is answered 503."""
    server_body_bytes: int = 2 * 1024 * 1024
    """The largest request body; a larger one is answered 413 before it is read."""
    server_header_s: float = 20.0
    """How long a request's headers may take, and its body beyond 8 KiB/s; after that it is answered 408."""
    server_drain_s: float = 7.0
    """Over how many seconds, at most, clients are sent away before a process ends."""


@cache
def _load() -> ChatSettings:
    given: dict[str, Any] = getattr(settings, "CHAT", {})
    known = {each.name for each in fields(ChatSettings)}
    chosen: dict[str, Any] = {
        name.lower(): tuple(value) if isinstance(value, list) else value
        for name, value in given.items()
        if name.lower() in known
    }
    return ChatSettings(**chosen)


class _Conf:
    """Reads like the settings object; follows ``override_settings(CHAT=…)``."""

    def __getattr__(self, name: str) -> Any:
        return getattr(_load(), name)


conf: ChatSettings = _Conf()  # type: ignore[assignment]


def _forget(*, setting: str, **_: Any) -> None:
    if setting == "CHAT":
        _load.cache_clear()


setting_changed.connect(_forget)
