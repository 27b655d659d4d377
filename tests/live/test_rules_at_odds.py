"""A host's policy whose answers differ: to follow a room takes what reading it takes, and one room costs no other."""

from collections.abc import Iterator
from typing import Any

import pytest
from asgiref.sync import sync_to_async

from chat import api
from chat.access import reads
from chat.access.policy import SITE, Policy
from chat.models import Membership, Room
from chat.services import rooms, tokens
from chat.wire import protocol
from chat.wire.errors import RoomNotFound
from tests.live.rig import LiveRig

UNSEEN: set[int] = set()
UNREAD: set[int] = set()


class AtOdds(Policy):
    """Of rooms that may be followed some are not to be seen; of those that are seen some are not to be read."""

    def can_see(self, user: Any, room: Room, membership: Membership | None) -> bool:
        return room.pk not in UNSEEN and super().can_see(user, room, membership)

    def can_watch(self, user: Any, room: Room, membership: Membership | None) -> bool:
        return room.pk not in UNREAD


@pytest.fixture
def hall(ana: Any, ben: Any, settings: Any) -> Iterator[Room]:
    settings.CHAT = {**settings.CHAT, "POLICY": f"{__name__}.AtOdds"}
    yield Room.objects.get(pk=rooms.create(by=ana, name="Hall", user_ids=[str(ben.pk)], invited_by=SITE).pk)
    UNSEEN.clear()
    UNREAD.clear()


@pytest.mark.parametrize("barred", [UNSEEN, UNREAD], ids=["unseen", "unread"])
@pytest.mark.parametrize("behind", [None, 0, 2], ids=["new", "behind", "at the head"])
async def test_a_sync_denies_that_room_alone(
    rig: LiveRig, ben: Any, hall: Room, lobby: Room, barred: set[int], behind: int | None
) -> None:
    barred.add(hall.pk)
    here, there = str(hall.pk), str(lobby.pk)
    cursor = None if behind is None else protocol.Cursor(epoch=hall.epoch, seq=behind)
    connection, _ = rig.connect(ben)
    assert await rig.catch_up.sync(connection, {here: cursor, there: None}) == {here: "denied", there: "reset"}
    assert set(connection.rooms) == {lobby.pk}
    for read in (reads.history, reads.members):
        with pytest.raises(RoomNotFound):
            await sync_to_async(read)(ben, here)


@pytest.mark.parametrize("barred", [UNSEEN, UNREAD], ids=["unseen", "unread"])
async def test_a_follower_loses_the_room_when_the_host_says_so(
    rig: LiveRig, eve: Any, hall: Room, barred: set[int]
) -> None:
    await sync_to_async(tokens.issue)(by=eve, user=eve)
    token = (await sync_to_async(tokens.active)(user=eve))[0].pk
    connection, socket = rig.connect(eve, token_id=token)
    await rig.catch_up.sync(connection, {str(hall.pk): None})
    assert set(connection.rooms) == {hall.pk}
    barred.add(hall.pk)
    await sync_to_async(api.recheck)(room=hall)
    await socket.until(lambda it: it.of_type("room.removed"))
    assert not connection.rooms
