"""Rooms that are taken from their audience without anybody's leaving: deleted, or made private."""

from typing import Any

import pytest
from asgiref.sync import sync_to_async

from chat.live.hints import CompareRoom
from chat.models import Room
from chat.services import deletion, messages, rooms
from chat.wire import protocol
from tests.live.rig import LiveRig, Socket


def cursor(room: Room, seq: int | None = None) -> dict[str, protocol.Cursor | None]:
    return {str(room.pk): protocol.Cursor(epoch=room.epoch, seq=room.head if seq is None else seq)}


async def watch(rig: LiveRig, user: Any, room: Room) -> tuple[Any, Socket]:
    connection, socket = rig.connect(user)
    assert await rig.catch_up.sync(connection, cursor(room)) == {str(room.pk): "live"}
    return connection, socket


def has_lost_it(socket: Socket) -> bool:
    return bool(socket.of_type("room.removed"))


@pytest.fixture
def quiet(lobby: Room) -> Room:
    lobby.refresh_from_db()
    return lobby


@pytest.mark.parametrize("told", [True, False], ids=["told", "the hint is lost"])
async def test_a_deleted_room_leaves_members_and_watchers_at_once(
    rig: LiveRig, ana: Any, ben: Any, eve: Any, quiet: Room, told: bool
) -> None:
    followers = [await watch(rig, user, quiet) for user in (ana, ben, eve)]
    rig.holds_mail = not told
    await sync_to_async(deletion.delete)(room_id=quiet.pk)
    if not told:
        await rig.keeper._compare_all()
    for connection, socket in followers:
        await socket.until(has_lost_it)
        assert not connection.rooms
        assert await rig.catch_up.sync(connection, cursor(quiet)) == {str(quiet.pk): "denied"}
    assert quiet.pk not in rig.hub.rooms


@pytest.mark.parametrize("lost", [(), (CompareRoom,)], ids=["told", "the hint is lost"])
async def test_a_room_made_private_is_cut_from_who_only_watched_before_the_next_word(
    rig: LiveRig, ana: Any, eve: Any, quiet: Room, lost: tuple[type, ...]
) -> None:
    (_, member), (watching, watcher) = [await watch(rig, user, quiet) for user in (ana, eve)]
    rig.holds_mail = True
    await sync_to_async(messages.post)(author=ana, room_id=quiet.pk, body="to all")
    await sync_to_async(rooms.amend)(room_id=quiet.pk, kind="private")
    await sync_to_async(messages.post)(author=ana, room_id=quiet.pk, body="among us")
    rig.holds_mail = False
    rig.deliver(lose=lambda hint: isinstance(hint, lost))
    await watcher.until(has_lost_it)
    assert not watching.rooms
    seen = "".join(watcher.frames)
    assert "to all" in seen
    assert "among us" not in seen
    assert '"private"' not in seen

    # Members are brought past it without having to forget anything.
    await member.until(lambda it: "among us" in "".join(it.frames))
    await member.until(lambda it: it.of_type("synced")[1:])
    assert not member.of_type("reset", "room.removed", "lagging")
    await sync_to_async(messages.post)(author=ana, room_id=quiet.pk, body="and live again")
    await member.until(lambda it: "and live again" in "".join(it.frames))
    assert "live again" not in "".join(watcher.frames)


async def test_who_watched_does_not_get_back_in_by_what_the_feed_remembers(
    rig: LiveRig, ana: Any, eve: Any, quiet: Room
) -> None:
    """A sync whose access was looked at just before the room became private joins a feed that is past that point."""
    watching, watcher = rig.connect(eve)
    before = quiet.head
    await sync_to_async(rooms.amend)(room_id=quiet.pk, kind="private")
    await sync_to_async(messages.post)(author=ana, room_id=quiet.pk, body="among us")
    member, _ = rig.connect(ana)
    assert await rig.catch_up.sync(member, cursor(quiet, before)) == {str(quiet.pk): "live"}
    assert rig.hub.rooms[quiet.pk].feed.head == before + 2, "the feed is past it"
    assert not rig.hub.attach(watching, quiet.pk, quiet.epoch, before, b'{"type":"synced"}')
    assert await rig.catch_up.sync(watching, cursor(quiet, before)) == {str(quiet.pk): "denied"}
    assert "among us" not in "".join(watcher.frames)
