"""Loads pages of history and members, and asks again until one is as new as what the client has seen. Sans I/O."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from chat.client.core.cursor import AHEAD_S, is_past
from chat.client.core.errors import error_from
from chat.client.core.requests import Request, Requests
from chat.client.core.room import Load, RoomCore
from chat.client.core.schedule import Schedule
from chat.wire import protocol
from chat.wire.protocol import HistoryPage, MemberPage, ReplyEvent

PAGE = 100
"""Messages or members asked for at once; what every server allows by default."""
RETRY_S = 0.5
RETRY_CAP_S = 30.0


@dataclass(slots=True)
class Loads:
    rng: Callable[[], float]
    requests: Requests
    schedule: Schedule
    """Cleared when a connection is lost; the next connection restarts what is in ``RoomCore.loads``."""

    watch: Callable[[RoomCore], None]
    """Called when a room's cursor wants a sync."""

    def start(self, room: RoomCore, load: Load, *, is_live: bool) -> None:
        """Ask for a page now or, without a connection, on the next one."""
        room.loads.append(load)
        if is_live:
            self._ask(room, load)

    def restart(self, room: RoomCore) -> None:
        """Ask for the room's pages again on a new connection."""
        for load in room.loads:
            self._ask(room, load)

    def reload(self, room: RoomCore, *, is_live: bool) -> None:
        """After a reset, load the messages and members that the room held before."""
        if room.window:
            newest = protocol.History(ref=1, room=room.id, limit=min(PAGE, room.window))
            self.start(room, Load(newest, lambda _: None, lambda _: None), is_live=is_live)
        if room.had_members:
            self._load_members(room, None, is_live)

    def _load_members(self, room: RoomCore, after: str | None, is_live: bool) -> None:
        command = protocol.ListMembers(ref=1, room=room.id, after=after, limit=PAGE)

        def go_on(page: protocol.MemberPage) -> None:
            if page.more and page.members:
                self._load_members(room, page.members[-1].user.id, is_live)

        self.start(room, Load(command, go_on, lambda _: None), is_live=is_live)

    def _ask(self, room: RoomCore, load: Load) -> None:
        load.held = None
        load.begin(room.cursor.position)
        self.requests.add(Request(load.command, partial(self._answered, room, load)))

    def _ask_later(self, room: RoomCore, load: Load, at: float) -> None:
        self.schedule.add(at, lambda now: self._ask(room, load) if load in room.loads else None)

    def cursor_moved(self, room: RoomCore, now: float) -> None:
        """Take the pages that were ahead of the room's events, if these have come as far."""
        for load, page in [(each, each.held) for each in room.loads]:
            if page is not None:
                self._judge(room, load, page, now)

    def _answered(self, room: RoomCore, load: Load, reply: ReplyEvent, now: float) -> None:
        if load not in room.loads:
            return
        if isinstance(reply.error, protocol.ErrorBody):
            self._refused(room, load, reply.error, now)
        else:
            self._judge(room, load, reply.result, now)

    def _judge(self, room: RoomCore, load: Load, page: HistoryPage | MemberPage, now: float) -> None:
        """Take the page, hold it until the room's events have come as far, or ask for it again.

        Until they have, nobody knows whether what it shows was lost by the database since it was read.
        """
        position, is_new = room.cursor.position, load.held is not page
        load.held = None
        if not load.is_stale(page, position):
            if position is None or room.access in ("denied", "removed") or not is_past(page, position):
                room.put_page(load, page)
                return
            load.held = page
            if is_new:
                self.schedule.add(now + AHEAD_S, lambda at: self._waited(room, load, page, at))
            return
        if position is not None and page.epoch != position.epoch:
            room.cursor.want_sync(now)  # the room has a new epoch, and its reset has to come first
            self.watch(room)
        self._ask_later(room, load, now + self._wait_s(load))

    def _waited(self, room: RoomCore, load: Load, page: HistoryPage | MemberPage, now: float) -> None:
        if load in room.loads and load.held is page:
            room.cursor.want_sync(now)  # whatever keeps the events from coming, the server knows
            self.watch(room)
            self._ask(room, load)

    def _refused(self, room: RoomCore, load: Load, body: protocol.ErrorBody, now: float) -> None:
        error = error_from(body)
        if error.retry:
            asked = (error.retry_after_ms or 0) / 1000
            self._ask_later(room, load, now + asked + self._wait_s(load))
        else:
            room.loads.remove(load)
            load.on_error(error)

    def _wait_s(self, load: Load) -> float:
        load.refusals += 1
        return min(RETRY_CAP_S, RETRY_S * 2.0 ** min(load.refusals - 1, 6)) * (0.5 + self.rng() / 2)
