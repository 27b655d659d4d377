"""The one owner of the live half of a process: hub, catch-up, reconciler, heartbeat, re-validation, presence, layer
subscription.

daphne tells applications neither when it starts nor when it stops, so the first connection of an event loop makes all
of this. Modules of lower rank do not know this one: the hub asks its ``owner`` for what it cannot do itself.
"""

import asyncio
from itertools import chain, repeat

from chat.conf import conf
from chat.live import publisher
from chat.live.background import BackgroundTasks
from chat.live.catch_up import CatchUp
from chat.live.connection import Connection
from chat.live.draining import Draining
from chat.live.heartbeat import Heartbeat
from chat.live.hints import PresenceAsked, PresenceChanged, PresenceState, RatesTaken
from chat.live.hub import Hub
from chat.live.layer_subscriber import LayerSubscription
from chat.live.presence import Presence
from chat.live.reconciler import Reconciler
from chat.live.revalidation import Revalidation
from chat.live.rooms import LiveRoom
from chat.live.stalls import Stalls
from chat.runtime import elapsed, pools
from chat.services import limits, profiles, rooms

PROFILES_S = 3600.0
"""How often missing profiles are looked for: in a rolling update, processes of an older version add members without
making any."""
_processes: dict[asyncio.AbstractEventLoop, "Process"] = {}


class Process:
    """What the sockets of one event loop share. It is the ``HubOwner`` of its hub."""

    def __init__(self, loop: asyncio.AbstractEventLoop):
        self._subscription = LayerSubscription()
        self.background = BackgroundTasks(loop)
        self.hub = Hub(loop, owner=self, groups=self._subscription)
        self.catch_up = CatchUp(self.hub, self.background)
        self.heartbeat = Heartbeat(self.hub)
        self.reconciler = Reconciler(self.hub, self.catch_up, self.background, rooms.renew_epoch)
        self.presence = Presence(self.hub, lambda: self._subscription.all_heard_at)
        self.revalidation = Revalidation(self.hub, self.background)
        self.stalls = Stalls(elapsed.now)

    def start(self) -> None:
        """Take hints from this process and from the channel layer, and start the repeating tasks."""
        publisher.register(self.hub.loop, self.hub.take)
        if publisher.reaches_other_processes():
            self.background.start(self._subscription.run(self.hub))
        self.background.repeat(lambda: conf.poll_s, self.reconciler.compare_all)
        self.background.repeat(lambda: 1.0, self.stalls.beat)
        self.background.repeat(lambda: 1.0, self.heartbeat.second)
        self.background.repeat(lambda: 1.0, _tell_rates)
        self.background.repeat(lambda: 1.0, self.presence.second)
        self.background.repeat(lambda: 1.0, self.presence.read)
        self.background.repeat(lambda: conf.revalidate_s, self.revalidation.everybody)
        pauses = chain((0.0,), repeat(PROFILES_S))
        self.background.repeat(lambda: next(pauses), _fill_profiles)

    # What the hub asks of its owner ------------------------------------------------------------------------------

    def repair_soon(self, room: LiveRoom) -> None:
        self.reconciler.repair_soon(room)

    def compare_soon(self, room_ids: list[int]) -> None:
        self.reconciler.compare_soon(room_ids)

    def recheck_soon(self, user_ids: set[str]) -> None:
        self.revalidation.recheck_soon(user_ids)

    def room_lost(self, user_id: str, room_id: int) -> None:
        self.revalidation.room_lost(user_id, room_id)

    def rates_taken(self, taken: list[tuple[str, str, float]]) -> None:
        limits.take_elsewhere(taken)

    def connected(self, connection: Connection) -> None:
        self.presence.connected(connection)

    def disconnected(self, connection: Connection) -> None:
        self.presence.disconnected(connection)

    def followed(self, connection: Connection, room_id: int) -> None:
        self.presence.followed(connection, room_id)

    def people_moved(self, room_id: int) -> None:
        self.presence.people_moved(room_id)

    def moved(self, user_id: str, room_id: int) -> None:
        self.presence.moved(user_id, room_id)

    def rights_read(self, user_id: str, rights: dict[int, bool]) -> None:
        self.presence.rights_read(user_id, rights)

    def presence_heard(self, hint: PresenceChanged | PresenceState | PresenceAsked) -> None:
        self.presence.heard(hint)


async def _tell_rates() -> None:
    if taken := limits.taken():
        publisher.publish_elsewhere([RatesTaken(taken)])


async def _fill_profiles() -> None:
    await pools.site.run(profiles.fill)


async def drain(spread_s: float) -> None:
    """Send the clients of the running loop elsewhere, over ``spread_s`` seconds at most; return when they have gone."""
    if (process := _processes.get(asyncio.get_running_loop())) is not None:
        await Draining(process.hub, spread_s=spread_s).run()


def current() -> Process:
    """Return the ``Process`` of the running event loop, made and started on first use."""
    loop = asyncio.get_running_loop()
    process = _processes.get(loop)
    if process is None:
        process = _processes[loop] = Process(loop)
        process.start()
    return process
