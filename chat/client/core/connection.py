"""A client's connection and what comes over it: everything that happens without the application asking. Sans I/O.

Times are seconds of any monotonic clock, passed in (docs/protocol.md, sections 4 and 5).
"""

from collections.abc import Callable, Iterable
from typing import Any

from chat.client.core.actions import (
    Action,
    Connect,
    ConnectionChanged,
    ConnectionState,
    Disconnect,
    Failed,
    RoomNewsReady,
    Send,
    SignedIn,
    Stopped,
    StopReason,
    Stored,
    Tell,
)
from chat.client.core.cursor import RoomCursor
from chat.client.core.flow_control import FlowControl
from chat.client.core.inbox import Inbox
from chat.client.core.outbox import Outbox
from chat.client.core.page_loads import Loads
from chat.client.core.posting import Posting
from chat.client.core.presence import Presence
from chat.client.core.probe import Probe
from chat.client.core.reconnecting import Link
from chat.client.core.requests import OnReply, Request, Requests
from chat.client.core.results import usable
from chat.client.core.room import RoomCore
from chat.client.core.room_listing import Listing
from chat.client.core.rooms import RoomList
from chat.client.core.schedule import Schedule
from chat.client.core.sync import Syncs
from chat.client.core.timeline import Timeline
from chat.wire import protocol
from chat.wire.errors import RoomNotFound

COOKIE_HELLO_S = 2.0
"""A good session cookie brings ``hello`` at once. After this time the client sends ``auth`` without a token, so that
the server closes with 4501 if nobody is signed in."""


class ClientConnection:
    """The state of one signed-in client, driven by the server and by the clock.

    Each method that reports something returns the actions to carry out, in order.
    """

    def __init__(
        self,
        *,
        rng: Callable[[], float],
        follow_all: bool = False,
        can_refresh: bool = False,
        keep: int = 1000,
        news_at_most: int = 1000,
    ):
        self.me: protocol.User | None = None
        self.limits: protocol.Limits | None = None
        self.followed: dict[str, RoomCore] = {}
        self._actions: list[Action] = []
        self._rng = rng
        self._follow_all = follow_all
        self._keep = keep
        self._news_at_most = news_at_most
        self._link = Link(rng, can_refresh)
        self._schedule = Schedule()
        self._requests = Requests(rng)
        self._flow = FlowControl()
        self._probe = Probe()
        self._rooms = RoomList(rng)
        self._syncs = Syncs(rng, self._requests, self._sync_answered)
        self._loads = Loads(rng, self._requests, self._schedule, self._syncs.watch)
        self._features: frozenset[str] = frozenset()
        self.presence = Presence()
        self._posting = Posting(Outbox(rng), self._requests, self._answer_post)
        self._listing = Listing(rng, self._rooms, self._requests, self._list_changed)
        self._changed: dict[str, None] = {}
        self._is_greeted = False

    # State -----------------------------------------------------------------------------------------------------

    @property
    def outbox(self) -> Outbox:
        return self._posting.outbox

    @property
    def state(self) -> ConnectionState:
        return self._link.state

    @property
    def reason(self) -> StopReason | None:
        """Why the connection stopped for good."""
        return self._link.reason

    @property
    def rooms(self) -> dict[str, protocol.RoomState]:
        """The user's rooms by id, as the server last described them."""
        live = {room: core.state for room, core in self.followed.items() if core.state and room in self._rooms.states}
        return self._rooms.states | live

    @property
    def is_live(self) -> bool:
        return self._link.state == "live"

    @property
    def _probed(self) -> float | None:
        """Since when an answer is missing. An older server answers ``ping`` in its turn, which proves nothing."""
        return self._requests.oldest_at if "ping" in self._features else None

    def wake_at(self, now: float) -> float | None:
        """Return when to call ``tick``; None means not before something else happens."""
        alarms = [self._link.wake_at]
        if self._link.is_up:
            alarms += [self._schedule.wake_at]
        if self.is_live:
            alarms += [
                self._probe.wake_at(self._probed),
                self._flow.due_at,
                self._syncs.wake_at,
                self._requests.overdue_at,
                self._requests.send_at,
                self._rooms.list_at,
            ]
            if len(self.outbox):
                alarms.append(self.outbox.wake_at(now))
        return min((at for at in alarms if at is not None), default=None)

    # The connection --------------------------------------------------------------------------------------------

    def start(self, now: float) -> list[Action]:
        """Connect as soon as possible, and stay connected."""
        self._link.start(now)
        return self.tick(now)

    def opened(self, now: float, *, token: str | None = None, by_cookie: bool = False) -> list[Action]:
        """The connection is open. ``token`` goes into the first frame, if no header carried it."""
        self._link.heard(now)
        if token is not None:
            self._authenticate(token)
        elif by_cookie:
            self._schedule.add(now + COOKIE_HELLO_S, lambda _: None if self._is_greeted else self._authenticate(None))
        return self._flush(now)

    def frame(self, events: Iterable[protocol.Event], size: int, now: float) -> list[Action]:
        """A frame of ``size`` bytes came."""
        if not self._link.is_up:
            return []
        self._link.heard(now)
        self._probe.heard(now)
        if (frames := self._flow.took(size, now)) is not None:
            self._actions.append(Send(protocol.Received(frames=frames)))
        self._dispatch(events, now)
        return self._flush(now)

    def closed(self, code: int, now: float) -> list[Action]:
        """The connection ended, or could not be made. ``code`` is 1006 if there is no close code."""
        if not self._link.is_up:
            return []
        self._link.lost(now, code)
        self._connection_lost(now)
        return self._flush(now)

    def refused(self, status: int, now: float) -> list[Action]:
        """The handshake was answered with the HTTP status ``status``."""
        if not self._link.is_up:
            return []
        self._link.refused(status, now)
        self._connection_lost(now)
        return self._flush(now)

    def stop(self, reason: StopReason = "closed") -> list[Action]:
        """End for good. What is in the outbox stays there; every other command fails."""
        if self._link.state != "stopped":
            self._give_up(reason)
        return self._take_actions()

    def tick(self, now: float) -> list[Action]:
        """Do what is due."""
        self._link_tick(now)
        if self._link.is_up:
            self._schedule.run(now)
        if self.is_live:
            overdue = self._requests.overdue_at
            if (overdue is not None and overdue <= now) or self._probe.is_hung(now):
                self._drop_connection(now)
            elif self._probe.asks(self._probed, now):
                self._actions.append(Send(protocol.Ping(ref=self._requests.next_ref())))
            elif (frames := self._flow.tick(now)) is not None:
                self._actions.append(Send(protocol.Received(frames=frames)))
        return self._flush(now)

    # Events ----------------------------------------------------------------------------------------------------

    def _dispatch(self, events: Iterable[protocol.Event], now: float) -> None:
        for event in events:
            self._handle(event, now)
            if not self._link.is_up:
                return  # the connection was given up: the rest of what it brought does not count

    def _handle(self, event: protocol.Event, now: float) -> None:
        if isinstance(event, protocol.ReplyEvent):
            if (request := self._requests.take(event.ref)) is not None:
                self._requests.answer(request, usable(request.command, event), now)
        elif isinstance(event, protocol.Hello):
            self._greeted(event, now)
        elif isinstance(event, protocol.Heads):
            self._heads(event, now)
        elif isinstance(event, protocol.Lagging):
            for room in self._followed(event.rooms):
                room.cursor.want_sync(now)
                self._touch(room, now)
        elif isinstance(event, protocol.RoomAdded):
            if self._rooms.added(event, now):
                self._room_added(event.state, now)
        elif isinstance(event, protocol.RoomRemoved):
            if self._rooms.removed(event, now):
                self._room_gone(event.room)
        elif isinstance(event, protocol.Drain):
            self._link.drain(event.reconnect_in_ms, now)
            self._actions.append(Tell(event))
        elif isinstance(event, protocol.PresenceTold):
            self.presence.heard(event)
            self._actions.append(Tell(event))
        elif isinstance(event, protocol.Notice | protocol.ErrorEvent):
            self._actions.append(Tell(event))
        else:
            self._room_event(event, now)

    def _room_event(self, event: Any, now: float) -> None:
        if isinstance(event, protocol.ReadChanged):
            self._rooms.read(event)
        for room in self._followed([event.room]):
            room.handle(event, now)
            self._touch(room, now)
            if isinstance(event, protocol.Reset):
                self._loads.reload(room, is_live=self.is_live)

    def _greeted(self, hello: protocol.Hello, now: float) -> None:
        if hello.protocol != protocol.VERSION:
            self._give_up("unsupported_protocol")
            return
        if self.me is not None and self.me.id != hello.user.id:
            # The outbox, the read pointers and the user's own reactions belong to one person.
            self._give_up("other_user")
            return
        self.me, self.limits, self._features = hello.user, hello.limits, frozenset(hello.features)
        self._requests.limit = max(1, hello.limits.unanswered)
        self._link.greeted(hello.heartbeat_s, now)
        self._flow.greeted(hello.flow, now)
        is_renewal, self._is_greeted = self._is_greeted, True
        added, gone = self._rooms.greeted(hello, now, wants_all=self._follow_all)
        self._list_changed(added, gone, now)
        if not is_renewal:
            for room in self.followed.values():
                if room.access != "removed" or room.id in self._rooms.states:
                    self._sync(room, now)
                    self._loads.restart(room)
            self._actions += [SignedIn(hello.user), Tell(ConnectionChanged("live"))]
            if self.presence.own != "online":
                self._tell_presence()

    def _tell_presence(self) -> None:
        if "presence" in self._features:
            self._request(protocol.SetPresence(ref=1, status=self.presence.own))

    def _heads(self, event: protocol.Heads, now: float) -> None:
        self._rooms.heard(event.rooms_version, now)
        for room in self._followed(event.rooms):
            room.cursor.heard(event.rooms[room.id], now)
            self._syncs.watch(room)

    def _followed(self, ids: Iterable[str]) -> list[RoomCore]:
        return [self.followed[room] for room in ids if room in self.followed]

    def _touch(self, room: RoomCore, now: float) -> None:
        self._changed[room.id] = None
        self._loads.cursor_moved(room, now)
        self._syncs.watch(room)

    def _sync(self, room: RoomCore, now: float) -> None:
        assert self.me is not None
        room.connected(self.me.id, self._rooms.states.get(room.id))
        room.cursor.want_sync(now)
        self._syncs.watch(room)

    def _sync_answered(self, room: RoomCore) -> None:
        self._changed[room.id] = None
        if room.access == "denied":
            room.give_up_loads(RoomNotFound())

    # The list of rooms -----------------------------------------------------------------------------------------

    def _list_changed(self, added: list[protocol.RoomState], gone: list[str], now: float) -> None:
        for state in added:
            self._room_added(state, now)
        for room in gone:
            self._room_gone(room)

    def _room_added(self, state: protocol.RoomState, now: float) -> None:
        self._actions.append(Tell(protocol.RoomAdded(state=state, rooms_version=self._rooms.version)))
        room = self.followed.get(state.id)
        if room is None and self._follow_all:
            room = self._new_room(state.id)
            room.is_followed = True
        if room is not None and room.access in ("unknown", "denied", "removed") and not room.cursor.is_syncing:
            room.access = "unknown"
            self._sync(room, now)

    def _room_gone(self, room_id: str) -> None:
        event = protocol.RoomRemoved(room=room_id, rooms_version=self._rooms.version)
        self._actions.append(Tell(event))
        for room in self._followed([room_id]):
            room.removed(event)
            room.give_up_loads(RoomNotFound())
            self._changed[room.id] = None
            self._syncs.watch(room)

    # Internal --------------------------------------------------------------------------------------------------

    def _new_room(self, room_id: str, cursor: protocol.Cursor | None = None, number: int | None = None) -> RoomCore:
        self.followed[room_id] = RoomCore(
            id=room_id,
            cursor=RoomCursor(self._rng, position=cursor),
            inbox=Inbox(room_id, number, cursor.epoch if cursor else None, self._news_at_most),
            timeline=Timeline(self._keep),
        )
        return self.followed[room_id]

    def _answer_post(self, answer: Stored | Failed) -> None:
        self._actions.append(answer)
        self._pending_changed(answer.room)

    def _pending_changed(self, room_id: str) -> None:
        if room_id in self.followed:
            self._changed[room_id] = None

    def _request(self, command: protocol.Command, on_reply: OnReply = lambda _reply, _now: None) -> None:
        self._requests.add(Request(command, on_reply))

    def _authenticate(self, token: str | None) -> None:
        """Send ``auth``. Its reply can be ignored: ``hello`` follows on success, a close code on refusal."""
        self._actions.append(Send(protocol.Auth(ref=self._requests.next_ref(), token=token)))

    def _link_tick(self, now: float) -> None:
        step = self._link.tick(now)
        if step == "connect":
            self._flow = FlowControl()
            self._probe = Probe()
            self._is_greeted = False
            self._actions += [Tell(ConnectionChanged("connecting")), Connect(self._link.needs_fresh)]
        elif step == "give_up":
            self._actions.append(Disconnect())
            self._connection_lost(now)

    def _drop_connection(self, now: float) -> None:
        self._link.lost(now)
        self._actions.append(Disconnect())
        self._connection_lost(now)

    def _connection_lost(self, now: float) -> None:
        self._schedule.clear()
        self._syncs.connection_lost()
        self._requests.connection_lost()
        self.outbox.disconnected(now)
        self.presence.connection_lost()
        for room in self.followed.values():
            room.disconnected()
            self._changed[room.id] = None
        self._is_greeted = False
        if self._link.state == "stopped":
            self._stopped()
        else:
            self._actions.append(Tell(ConnectionChanged(self._link.state)))

    def _give_up(self, reason: StopReason) -> None:
        was_up = self._link.is_up
        self._link.stop(reason)
        if was_up:
            self._actions.append(Disconnect())
        self._connection_lost(0.0)  # nothing is sent any more, so the time does not matter

    def _stopped(self) -> None:
        """Fail the requests and page loads that still wait: there will never be another connection."""
        self._actions.append(Tell(ConnectionChanged("stopped", self._link.reason)))
        self._requests.stop()
        for room in self.followed.values():
            room.give_up_loads(Stopped())

    def _flush(self, now: float) -> list[Action]:
        """Start what can start now, and return all actions to carry out."""
        if self.is_live and self.limits is not None and self.me is not None:
            self._syncs.run(self.limits, now)
            self._listing.run(now)
            self._posting.run(self.me.id, self.limits, self._features, now)
            self._actions += [Send(command) for command in self._requests.sendable(now)]
        return self._take_actions()

    def _take_actions(self) -> list[Action]:
        actions, self._actions = self._actions, []
        if self._changed:
            actions += [RoomNewsReady(room) for room in self._changed]
            self._changed = {}
        return actions
