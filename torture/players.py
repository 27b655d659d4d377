"""The people of a run: what the workload may ask of a client, whichever implementation it is."""

import random
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Protocol

from torture.recorder import Event, Recorder, hash_of

RECENT = 60
WORDS = [
    "tea",
    "bread",
    "harbour",
    "lantern",
    "*quiet*",
    "river",
    "**stone**",
    "window",
    "paper",
    "`code`",
    "winter",
    "glass",
    "😀",
    "garden",
    "clock",
    "https://example.com",
    "salt",
    "Straße",
    "naïve",
    "東京",
    "ladder",
    "copper",
    "orchard",
]


@dataclass(frozen=True)
class Recent:
    """A message that a client was shown lately, which its person may react to, or edit if it is their own."""

    room: str
    message: str
    author: str | None
    id: str | None


@dataclass
class Player:
    """One person with one client.

    Attributes:
        rooms: The rooms that the client follows.
        away: The rooms that the person is out of at the moment.
    """

    name: str
    user: str
    recorder: Recorder
    rng: random.Random
    rooms: list[str] = field(default_factory=list)
    away: set[str] = field(default_factory=set)
    recent: deque[Recent] = field(default_factory=lambda: deque(maxlen=RECENT))
    closed_with: Counter[int] = field(default_factory=Counter)
    shown: dict[str, int] = field(default_factory=dict)
    """The highest number that was shown, by room."""
    padding: str = ""
    """What every text ends with, to make it long."""
    asked: int = 0
    answered: set[str] = field(default_factory=set)
    connections: int = 0
    said: int = 0

    @property
    def unanswered(self) -> int:
        """How many of their messages have no answer yet."""
        return self.asked - len(self.answered)

    def next_body(self) -> str:
        """Return a text that nobody else posts, now and then a long one."""
        self.said += 1
        words = 400 if self.rng.random() < 0.01 else self.rng.randint(1, 12)
        return f"{self.name}.{self.said} {' '.join(self.rng.choice(WORDS) for _ in range(words))}{self.padding}"

    def note_post(self, room: str, client_id: str, body: str) -> Event:
        self.asked += 1
        return self.recorder.note("post", client=self.name, user=self.user, room=room, id=client_id, hash=hash_of(body))

    def note_ok(self, room: str, client_id: str, *, message: str, number: int, seq: int, duplicate: bool) -> None:
        self.answered.add(client_id)
        self.recorder.note(
            "ok",
            client=self.name,
            user=self.user,
            room=room,
            id=client_id,
            message=message,
            number=number,
            seq=seq,
            duplicate=duplicate,
        )

    def note_fail(self, room: str, client_id: str, code: str) -> None:
        self.answered.add(client_id)
        self.recorder.note("fail", client=self.name, user=self.user, room=room, id=client_id, code=code)

    def note_stop(self, room: str, client_id: str) -> None:
        self.answered.add(client_id)
        self.recorder.note("stop", client=self.name, user=self.user, room=room, id=client_id)

    def note_did(self, op: str, room: str, message: str, seq: int) -> None:
        self.recorder.note("did", client=self.name, op=op, room=room, message=message, seq=seq)

    def note_show(
        self,
        room: str,
        *,
        message: str,
        number: int,
        seq: int,
        changed: int,
        author: str | None,
        id: str | None,
        state: str,
        at: float | None = None,
    ) -> None:
        self.recorder.note(
            "show",
            t=self.recorder.now() if at is None else at,
            client=self.name,
            user=self.user,
            room=room,
            number=number,
            seq=seq,
            changed=changed,
            message=message,
            author=author,
            id=id,
            state=state,
        )
        self.shown[room] = max(number, self.shown.get(room, 0))
        self.recent.append(Recent(room, message, author, id))


class Client(Protocol):
    """What both implementations can do. Every call returns at once or after the server's answer, and raises ``Refused``
    when the server refuses or the outcome is not known."""

    player: Player

    @property
    def is_durable(self) -> bool:
        """Whether its unsent messages outlive it."""

    async def start(self) -> None: ...

    @property
    def is_live(self) -> bool: ...

    def post(self, room: str, body: str | None = None) -> None:
        """Hand a message to the outbox. The history gets to know what becomes of it."""

    async def edit(self, recent: Recent, body: str) -> None: ...

    async def delete(self, recent: Recent) -> None: ...

    async def react(self, recent: Recent, emoji: str, *, on: bool) -> None: ...

    async def join(self, room: str) -> None: ...

    async def leave(self, room: str) -> None: ...

    async def waiting(self) -> dict[str, list[str]]:
        """The client_ids in the outbox, by room."""

    async def heads(self) -> dict[str, tuple[str, int]]:
        """The cursor of each room that is live here."""

    async def close(self) -> None: ...

    async def record_views(self) -> None:
        """Note what the client holds."""


class Refused(Exception):
    """The server refused the change, or nobody knows whether it was made."""
