"""What people do while a run goes on: they post, edit, delete, react, leave and come back, at a given rate."""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from torture.players import Client, Recent, Refused
from torture.python_client import PythonClient
from torture.recorder import Recorder

EMOJI = ("👍", "🎉", "❤️")
LAST_TRIES_S = 90.0
PATIENCE = 30
"""Messages without an answer after which somebody stops writing more. Otherwise a slow machine would only measure how
long its own queue is."""


@dataclass(frozen=True)
class Mix:
    """Of 100 actions, how many are what. The rest are posts."""

    edits: float = 8
    deletions: float = 4
    reactions: float = 12
    leaves: float = 3
    removals: float = 1.5


POSTS_ONLY = Mix(0, 0, 0, 0, 0)


@dataclass
class Workload:
    """Random actions of random people.

    Args:
        clients: Who acts. ``owner``, who is one of them, also puts people out of private rooms and lets them in again.
        rate: Actions a second, of all people together.
    """

    clients: Sequence[Client]
    owner: PythonClient | None
    open_rooms: Sequence[str]
    private_rooms: Sequence[str]
    recorder: Recorder
    rng: random.Random
    rate: float
    mix: Mix = field(default_factory=Mix)
    counts: Counter[str] = field(default_factory=Counter)
    _running: set[asyncio.Task[None]] = field(default_factory=set)

    async def run(self, seconds: float) -> None:
        """Act for this long, and return when every action has come to its end."""
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        due = loop.time()
        while loop.time() < until:
            self._act()
            due += self.rng.expovariate(self.rate)
            await asyncio.sleep(max(0.0, due - loop.time()))
        if self._running:
            await asyncio.wait(self._running, timeout=LAST_TRIES_S)

    def _act(self) -> None:
        client = self.rng.choice(self.clients)
        rooms = [room for room in client.player.rooms if room not in client.player.away]
        if not rooms:
            return
        room = self.rng.choice(rooms)
        dice = self.rng.random() * 100
        mix = self.mix
        for share, action in (
            (mix.edits, self._edit),
            (mix.deletions, self._delete),
            (mix.reactions, self._react),
            (mix.leaves, self._leave),
            (mix.removals, self._remove),
        ):
            if dice < share:
                action(client)
                return
            dice -= share
        if client.player.unanswered >= PATIENCE:
            self.counts["posts left out"] += 1
            return
        self.counts["posts"] += 1
        client.post(room)

    # One action each -------------------------------------------------------------------------------------------

    def _edit(self, client: Client) -> None:
        if (recent := self._recent(client, own=True)) is not None:
            self._start("edits", client.edit(recent, f"{client.player.next_body()} (edited)"))

    def _delete(self, client: Client) -> None:
        if (recent := self._recent(client, own=True)) is not None:
            self._start("deletions", client.delete(recent))

    def _react(self, client: Client) -> None:
        if (recent := self._recent(client, own=False)) is not None:
            self._start("reactions", client.react(recent, self.rng.choice(EMOJI), on=self.rng.random() < 0.7))

    def _leave(self, client: Client) -> None:
        rooms = [room for room in client.player.rooms if room in self.open_rooms and room not in client.player.away]
        if rooms and (self.owner is None or client is not self.owner):
            self._start("leaves", self._leave_and_return(client, self.rng.choice(rooms)))

    def _remove(self, client: Client) -> None:
        rooms = [room for room in client.player.rooms if room in self.private_rooms and room not in client.player.away]
        if rooms and self.owner is not None and client is not self.owner:
            self._start("removals", self._remove_and_add(self.owner, client, self.rng.choice(rooms)))

    def _recent(self, client: Client, *, own: bool) -> Recent | None:
        player = client.player
        found = [
            each for each in player.recent if each.room not in player.away and (not own or each.author == player.user)
        ]
        return self.rng.choice(found) if found else None

    async def _leave_and_return(self, client: Client, room: str) -> None:
        player = client.player
        player.away.add(room)
        while (await client.waiting()).get(room):
            await asyncio.sleep(0.1)  # what is in the outbox may still be posted
        self.recorder.note("out", user=player.user, room=room, may_read=True)
        with suppress(Refused):
            await client.leave(room)
        await asyncio.sleep(self.rng.uniform(0.2, 1.5))
        await _until_done(lambda: client.join(room))
        player.away.discard(room)

    async def _remove_and_add(self, owner: PythonClient, client: Client, room: str) -> None:
        player = client.player
        player.away.add(room)
        while (await client.waiting()).get(room):
            await asyncio.sleep(0.1)
        try:
            await owner.remove(room, player.user)
        except Refused:
            # It may still happen, and later: a frozen process does what it was asked once it wakes up.
            self.recorder.note("out", user=player.user, room=room, may_read=True)
        else:
            self.recorder.note("out", user=player.user, room=room)
            await asyncio.sleep(self.rng.uniform(1, 5))
        self.recorder.note("in", user=player.user, room=room)
        await _until_done(lambda: owner.add(room, player.user))
        player.away.discard(room)

    def _start(self, name: str, action: Awaitable[None]) -> None:
        async def carry_out() -> None:
            try:
                await action
                self.counts[name] += 1
            except Refused:
                self.counts[f"{name} refused or unknown"] += 1

        task = asyncio.ensure_future(carry_out())
        self._running.add(task)
        task.add_done_callback(self._running.discard)


async def _until_done(attempt: Callable[[], Awaitable[None]]) -> None:
    """Repeat a change that is harmless to repeat, until the server has confirmed it."""
    while True:
        try:
            await attempt()
        except Refused:
            await asyncio.sleep(0.5)
        else:
            return
