"""The reference client (``chat.client``) as a witness: it notes what it is told, shows and holds."""

import asyncio
import uuid
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

from chat.client import (
    ChatClient,
    ChatError,
    ConnectionChanged,
    Message,
    MessageChanged,
    MessagePosted,
    OutboxStore,
    RoomPosition,
    Stopped,
)
from chat.client.core.actions import Action, Failed, Send, Stored, Tell
from chat.client.websocket import TokenSource
from chat.wire import protocol
from torture.players import Player, Recent, Refused
from torture.recorder import state_of

KEEP = 100_000
"""Messages that a client holds in memory for each room: all of them, so that all can be compared with the database."""
COMMAND_WITHIN_S = 30.0


class Witness(ChatClient):
    """A client whose player notes each answer and each catch-up as it comes off the wire."""

    def __init__(
        self,
        url: str,
        player: Player,
        *,
        token: TokenSource,
        outbox: OutboxStore | None = None,
        cursors: dict[str, RoomPosition] | None = None,
    ):
        super().__init__(url, token=token, proxy=None, outbox=outbox, cursors=cursors, keep=KEEP)
        self._player = player
        self._take_frame, self._take_close = self.core.frame, self.core.closed
        self.core.frame = self._frame  # type: ignore[method-assign]
        self.core.closed = self._closed  # type: ignore[method-assign]

    def _do_one(self, action: Action) -> None:
        player = self._player
        if isinstance(action, Stored):
            found = action.result
            player.note_ok(
                action.room,
                action.client_id,
                message=found.id,
                number=found.number,
                seq=found.seq,
                duplicate=found.duplicate,
            )
        elif isinstance(action, Failed):
            player.note_fail(action.room, action.client_id, action.error.code)
        elif isinstance(action, Send) and isinstance(action.command, protocol.Sync):
            player.recorder.note("sync", client=player.name, rooms=list(action.command.rooms))
        elif isinstance(action, Tell) and action.news == ConnectionChanged("live"):
            player.connections += 1
            player.recorder.note("live", client=player.name)
        super()._do_one(action)

    def _frame(self, events: Iterable[protocol.Event], size: int, now: float) -> list[Action]:
        told = list(events)
        for event in told:
            if isinstance(event, protocol.Synced | protocol.Reset):
                self._note(event)
        return self._take_frame(told, size, now)

    def _note(self, event: protocol.Synced | protocol.Reset) -> None:
        player = self._player
        where = {"client": player.name, "room": event.room, "epoch": event.epoch, "seq": event.seq}
        if isinstance(event, protocol.Reset):
            player.recorder.note("reset", **where, reason=event.reason)
        else:
            player.recorder.note("synced", **where)

    def _closed(self, code: int, now: float) -> list[Action]:
        self._player.closed_with[code] += 1
        self._player.recorder.note("closed", client=self._player.name, code=code)
        return self._take_close(code, now)


class PythonClient:
    """Follows the player's rooms, and notes every message in the order in which an application gets them."""

    def __init__(
        self, url: str, player: Player, *, token: TokenSource, outbox: Callable[[], OutboxStore] | None = None
    ):
        self.player = player
        self._url, self._token, self._outbox = url, token, outbox
        self._positions: dict[str, RoomPosition] = {}
        self._tasks: list[asyncio.Task[Any]] = []
        self._posts: set[asyncio.Task[Any]] = set()
        self._unanswered: dict[str, str] = {}
        """Client id → room of messages whose call has not returned. They may not have come to the outbox yet."""
        self.chat: Witness | None = None

    async def start(self) -> None:
        self.chat = Witness(
            self._url,
            self.player,
            token=self._token,
            outbox=self._outbox() if self._outbox else None,
            cursors=self._positions or None,
        )
        await self.chat.__aenter__()
        self._tasks = [asyncio.create_task(self._read(self.chat, room)) for room in self.player.rooms]

    async def close(self) -> None:
        """End the client as its process would end: what it has shown and not yet sent is kept for the next start."""
        if self.chat is None:
            return
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._positions = self.chat.cursors
        with suppress(TimeoutError):
            await asyncio.wait_for(self.chat.aclose(), 5)
        self.chat = None

    @property
    def is_durable(self) -> bool:
        """Whether its unsent messages outlive it."""
        return self._outbox is not None

    @property
    def is_live(self) -> bool:
        return self.chat is not None and self.chat.state == "live"

    # Actions ---------------------------------------------------------------------------------------------------

    def post(self, room: str, body: str | None = None) -> None:
        if self.chat is None:
            return
        text, client_id = (
            body or self.player.next_body(),
            str(uuid.UUID(int=self.player.rng.getrandbits(128), version=4)),
        )
        self.player.note_post(room, client_id, text)
        self._unanswered[client_id] = room
        task = asyncio.ensure_future(self._hand_in(self.chat, room, text, client_id))
        self._posts.add(task)
        task.add_done_callback(self._posts.discard)

    async def _hand_in(self, chat: Witness, room: str, body: str, client_id: str) -> None:
        try:
            await chat.post(room, body, client_id=client_id)
        except Stopped:
            self.player.note_stop(room, client_id)
        except ChatError:
            pass  # noted where it comes off the wire
        finally:
            self._unanswered.pop(client_id, None)

    async def edit(self, recent: Recent, body: str) -> None:
        result = await self._call(protocol.EditMessage(ref=1, message=recent.message, body=body))
        self.player.note_did("edit", recent.room, recent.message, result.seq)

    async def delete(self, recent: Recent) -> None:
        result = await self._call(protocol.DeleteMessage(ref=1, message=recent.message))
        self.player.note_did("delete", recent.room, recent.message, result.seq)

    async def react(self, recent: Recent, emoji: str, *, on: bool) -> None:
        kind = protocol.AddReaction if on else protocol.RemoveReaction
        result = await self._call(kind(ref=1, message=recent.message, emoji=emoji))
        self.player.note_did("reaction", recent.room, recent.message, result.seq)

    async def join(self, room: str) -> None:
        await self._call(protocol.JoinRoom(ref=1, room=room))

    async def leave(self, room: str) -> None:
        await self._call(protocol.LeaveRoom(ref=1, room=room))

    async def add(self, room: str, user: str) -> None:
        await self._call(protocol.AddMember(ref=1, room=room, user=user))

    async def remove(self, room: str, user: str) -> None:
        await self._call(protocol.RemoveMember(ref=1, room=room, user=user))

    async def _call(self, command: protocol.Command) -> Any:
        if self.chat is None:
            raise Refused
        try:
            async with asyncio.timeout(COMMAND_WITHIN_S):
                return await self.chat.call(command)
        except (ChatError, TimeoutError) as error:
            raise Refused(str(error)) from error

    # What it knows ---------------------------------------------------------------------------------------------

    async def waiting(self) -> dict[str, list[str]]:
        if self.chat is None:
            return {}
        found: dict[str, list[str]] = {}
        for client_id, room in self._unanswered.items():
            found.setdefault(room, []).append(client_id)
        for room in self.player.rooms:
            for item in self.chat.core.outbox.pending(room):
                if item.client_id not in self._unanswered:
                    found.setdefault(room, []).append(item.client_id)
        return found

    async def heads(self) -> dict[str, tuple[str, int]]:
        if self.chat is None:
            return {}
        cores = self.chat.core.followed.values()
        return {
            core.id: (core.cursor.position.epoch, core.cursor.position.seq)
            for core in cores
            if core.is_live and core.cursor.position and not core.loads
        }

    def sample(self) -> None:
        """Note where the cursors stand."""
        for core in self.chat.core.followed.values() if self.chat else ():
            if (at := core.cursor.position) is not None:
                self.player.recorder.note("at", client=self.player.name, room=core.id, epoch=at.epoch, seq=at.seq)

    async def record_views(self) -> None:
        for core in self.chat.core.followed.values() if self.chat else ():
            messages = list(core.timeline)
            self.player.recorder.note(
                "view",
                client=self.player.name,
                user=self.player.user,
                room=core.id,
                is_live=core.is_live,
                first=core.timeline.first or core.timeline.last + 1,
                states=[state_of_message(each) for each in messages],
            )

    # Reading ---------------------------------------------------------------------------------------------------

    async def _read(self, chat: Witness, room: str) -> None:
        """Show what comes, through every loss of the room and every return to it."""
        while True:
            try:
                handle = await chat.room(room)
                async for event in handle.events():
                    if isinstance(event, MessagePosted):
                        self._show(room, event.message)
                    elif isinstance(event, MessageChanged):
                        self._change(room, event.message)
            except Stopped:
                return
            except ChatError:
                pass  # the person is out of the room for now
            await asyncio.sleep(0.1)

    def _show(self, room: str, message: Message) -> None:
        self.player.note_show(
            room,
            message=message.id,
            number=message.number,
            seq=message.seq,
            changed=message.changed_seq,
            author=message.author.id if message.author else None,
            id=message.client_id,
            state=state_of_message(message),
        )

    def _change(self, room: str, message: Message) -> None:
        self.player.recorder.note(
            "change",
            client=self.player.name,
            room=room,
            number=message.number,
            seq=message.seq,
            message=message.id,
            changed=message.changed_seq,
            state=state_of_message(message),
        )


def state_of_message(message: Message) -> str:
    return state_of(
        id=message.id,
        number=message.number,
        seq=message.seq,
        changed=message.changed_seq,
        author=message.author.id if message.author else None,
        client_id=message.client_id,
        body=message.body,
        reply_to=message.reply_to.number if message.reply_to else None,
        reactions=[(each.emoji, each.count) for each in message.reactions],
        is_deleted=message.deleted_at is not None,
    )
