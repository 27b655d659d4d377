"""Looks again at who is still signed in, and which live rooms each person may still follow.

What ends with an event (a sign-out, a revoked token, a removal) is announced and acted on at once. This module finds
the rest within ``revalidate_s``: hints that were lost, and answers of a host's policy that changed without an event.
"""

import asyncio
import logging
from collections.abc import Iterable
from dataclasses import replace

from chat.access import identity, lookup, reads
from chat.live.background import BackgroundTasks
from chat.live.connection import Connection
from chat.live.hub import Hub
from chat.models.database import snapshot
from chat.runtime import pools
from chat.runtime.safe_logging import describe
from chat.wire import protocol

logger = logging.getLogger(__name__)

PEOPLE_PER_QUERY = 50


class Revalidation:
    """Closes connections whose session, token or account has ended, and takes away rooms that policy denies now."""

    def __init__(self, hub: Hub, background: BackgroundTasks):
        self._hub = hub
        self._background = background

    async def everybody(self) -> None:
        """Look at all people who are connected here."""
        await self._revalidate(list(self._hub.users))

    def recheck_soon(self, user_ids: Iterable[str]) -> None:
        """Look at these people now: something of theirs has ended, or a host's policy has changed its answer."""
        self._background.start(self._recheck(list(user_ids)))

    def room_lost(self, user_id: str, room_id: int) -> None:
        """Tell a person's connections that they no longer follow a room, where no event of the room has said so."""
        self._background.start(self._say_room_lost(user_id, room_id))

    async def _recheck(self, user_ids: list[str]) -> None:
        syncing = {each: _syncs_of(self._hub.users.get(each, ())) for each in user_ids}
        await self._revalidate(user_ids)
        for user_id, under_way in syncing.items():
            if under_way:
                self._background.start(self._review_after(under_way, user_id))

    async def _review_after(self, under_way: set[asyncio.Future[None]], user_id: str) -> None:
        """Review a person's rooms once their syncs are done: a sync follows a room on the strength of an old answer."""
        await asyncio.wait(under_way)
        await self._try_review(user_id)

    async def _revalidate(self, user_ids: list[str]) -> None:
        for start in range(0, len(user_ids), PEOPLE_PER_QUERY):
            try:
                await self._revalidate_some(user_ids[start : start + PEOPLE_PER_QUERY])
            except Exception as error:
                # The others are looked at all the same. These come round again within ``revalidate_s``.
                logger.warning("re-validation: %s", describe(error))

    async def _revalidate_some(self, user_ids: list[str]) -> None:
        connections = [each for user_id in user_ids for each in self._hub.users.get(user_id, ())]
        identities = [each.identity for each in connections if each.identity]
        check = await pools.auth.run(identity.check, identities)
        for connection in connections:
            if connection.identity is None:
                continue
            if (code := check.ended.get(connection.identity)) is not None:
                connection.close(code)
            else:
                fresh = check.people.get(connection.identity.user.pk, connection.identity.user)
                connection.identity = replace(connection.identity, user=fresh)
        await self._review_some(user_ids)

    async def _review_some(self, user_ids: list[str]) -> None:
        try:
            await self._review_rooms(user_ids)
        except Exception as error:
            # A host's policy may fail on one of them. The others are looked at all the same.
            logger.info("rooms of %d people: %s", len(user_ids), type(error).__name__)
            for user_id in user_ids:
                await self._try_review(user_id)

    async def _try_review(self, user_id: str) -> None:
        try:
            await self._review_rooms([user_id])
        except Exception as error:
            logger.warning("rooms of user %s: %s", user_id, type(error).__name__)

    async def _review_rooms(self, user_ids: Iterable[str]) -> None:
        """Take away the live rooms that these people may not follow any more."""
        live = {user_id: self._live_rooms(user_id) for user_id in user_ids}
        asked = [user_id for user_id, rooms in live.items() if rooms]
        if not asked:
            return
        wanted = [(self._open(user_id)[0].user, live[user_id]) for user_id in asked]
        granted = await pools.auth.run(lookup.watched_by_each, wanted)
        for user_id, kept in zip(asked, granted, strict=True):
            self._hub.owner.rights_read(user_id, kept)
            for room_id in live[user_id] - kept.keys():
                for connection in self._open(user_id):
                    self._hub.detach(connection, room_id)
                await self._say_room_lost(user_id, room_id)

    def _open(self, user_id: str) -> list[Connection]:
        return [each for each in self._hub.users.get(user_id, ()) if not each.is_closed]

    def _live_rooms(self, user_id: str) -> set[int]:
        return {room_id for each in self._open(user_id) for room_id in each.rooms}

    async def _say_room_lost(self, user_id: str, room_id: int) -> None:
        told: protocol.Lagging | protocol.RoomRemoved
        try:
            is_member, version = await pools.readers.run(_standing_of, user_id, room_id)
        except Exception as error:
            # They follow the room no more, so nothing would ever tell them: let their clients ask.
            logger.warning("room %s of user %s: %s", room_id, user_id, type(error).__name__)
            is_member, version = True, 0
        if is_member:  # they are back in it: their clients sync
            told = protocol.Lagging(rooms=[str(room_id)])
        else:
            told = protocol.RoomRemoved(room=str(room_id), rooms_version=version)
        encoded = protocol.encode(told)
        for connection in self._hub.users.get(user_id, ()):
            if room_id not in connection.rooms:
                self._hub.send(connection, encoded)


def _syncs_of(connections: Iterable[Connection]) -> set[asyncio.Future[None]]:
    return {done for each in connections for done in each.syncing.values()}


def _standing_of(user_id: str, room_id: int) -> tuple[bool, int]:
    """Whether the person is a member now, and their ``rooms_version``."""
    with snapshot():
        return reads.is_member(user_id, room_id), reads.rooms_versions([user_id]).get(user_id, 0)
