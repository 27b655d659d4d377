"""Rooms that are taken from their audience without anybody's leaving: deleted, or made private."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.db import OperationalError

from chat import api
from chat.access import changes
from chat.access.policy import SITE, Policy
from chat.live import revalidation
from chat.live.hints import CompareRoom
from chat.models import Membership, Room
from chat.runtime import pools
from chat.services import messages, room_deletion, rooms, tokens
from chat.sockets.commands.context import Context
from chat.sockets.commands.sync import sync
from chat.sockets.sign_in import SignIn
from chat.wire import protocol
from tests.client.waiting import until
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
    await sync_to_async(room_deletion.delete)(by=SITE, room_id=quiet.pk)
    if not told:
        await rig.reconciler.compare_all()
    # A member hears that the room is lost before it has been compared.
    await until(lambda: not any(connection.rooms for connection, _ in followers))
    for connection, socket in followers:
        await socket.until(has_lost_it)
        assert await rig.catch_up.sync(connection, cursor(quiet)) == {str(quiet.pk): "denied"}
    assert quiet.pk not in rig.hub.rooms


@pytest.mark.parametrize("lost", [(), (CompareRoom,)], ids=["told", "the hint is lost"])
async def test_a_room_made_private_is_cut_from_watchers_before_its_next_message(
    rig: LiveRig, ana: Any, eve: Any, quiet: Room, lost: tuple[type, ...]
) -> None:
    (_, member), (watching, watcher) = [await watch(rig, user, quiet) for user in (ana, eve)]
    rig.holds_mail = True
    await sync_to_async(messages.post)(by=ana, room_id=quiet.pk, body="to all")
    await sync_to_async(rooms.update)(by=SITE, room_id=quiet.pk, kind="private")
    await sync_to_async(messages.post)(by=ana, room_id=quiet.pk, body="among us")
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
    await sync_to_async(messages.post)(by=ana, room_id=quiet.pk, body="and live again")
    await member.until(lambda it: "and live again" in "".join(it.frames))
    assert "live again" not in "".join(watcher.frames)


async def test_a_watcher_does_not_get_back_in_through_the_events_that_the_feed_holds(
    rig: LiveRig, ana: Any, eve: Any, quiet: Room
) -> None:
    """A sync whose access was looked at just before the room became private joins a feed that is past that point."""
    watching, watcher = rig.connect(eve)
    before = quiet.head
    await sync_to_async(rooms.update)(by=SITE, room_id=quiet.pk, kind="private")
    await sync_to_async(messages.post)(by=ana, room_id=quiet.pk, body="among us")
    member, _ = rig.connect(ana)
    assert await rig.catch_up.sync(member, cursor(quiet, before)) == {str(quiet.pk): "live"}
    assert rig.hub.rooms[quiet.pk].feed.head == before + 2, "the feed is past it"
    assert not rig.hub.attach(watching, quiet.pk, replace(quiet.position, seq=before), b'{"type":"synced"}')
    assert await rig.catch_up.sync(watching, cursor(quiet, before)) == {str(quiet.pk): "denied"}
    assert "among us" not in "".join(watcher.frames)


BARRED: set[tuple[str, int]] = set()
"""(user name, room): whom a rule of the host's keeps out. No event of the chat tells of it."""


class Doorkeeper(Policy):
    def can_see(self, user: Any, room: Room, membership: Membership | None) -> bool:
        if ("", room.pk) in BARRED and user.get_username() == "ben":
            raise AttributeError("a host's policy with a bug")
        return (user.get_username(), room.pk) not in BARRED and super().can_see(user, room, membership)


async def token_of(user: Any) -> int:
    await sync_to_async(tokens.issue)(by=user, user=user)
    return (await sync_to_async(tokens.active)(user=user))[0].pk


@pytest.fixture
def hall(ana: Any, settings: Any) -> Iterator[Room]:
    settings.CHAT = {**settings.CHAT, "POLICY": f"{__name__}.Doorkeeper"}
    yield Room.objects.get(pk=rooms.create(by=ana, name="Hall").pk)
    BARRED.clear()


async def test_a_right_that_a_hosts_policy_revokes_is_cut_at_that_event(
    rig: LiveRig, ana: Any, ben: Any, eve: Any, quiet: Room, hall: Room
) -> None:
    """Of the people named where they follow the room, of these people anywhere, of everybody who follows the room."""
    connections, sockets = {}, {}
    for name, user in (("ana", ana), ("ben", ben), ("eve", eve)):
        connections[name], sockets[name] = rig.connect(user, token_id=await token_of(user))
        await rig.catch_up.sync(connections[name], {**cursor(quiet), **cursor(hall)})

    def lost() -> set[tuple[str, int]]:
        # Who is a member still is asked to sync, and that is denied.
        return {
            (name, int(room))
            for name, socket in sockets.items()
            for each in socket.of_type("room.removed", "lagging")
            for room in each.get("rooms", [each.get("room")])
        }

    async def told(*pairs: tuple[str, int]) -> None:
        for name, room in pairs:
            await sockets[name].until(lambda _, name=name, room=room: (name, room) in lost())
        assert lost() == set(pairs)

    at_the_hall, in_the_lobby = ("eve", hall.pk), ("eve", quiet.pk)
    BARRED.update({at_the_hall, ("ben", hall.pk)})
    await sync_to_async(api.recheck)([eve, ana], room=hall)
    await told(at_the_hall)
    BARRED.update({in_the_lobby, ("ben", quiet.pk)})
    await sync_to_async(api.recheck)([eve])
    await told(at_the_hall, in_the_lobby)
    await sync_to_async(api.recheck)(room=quiet)
    await told(at_the_hall, in_the_lobby, ("ben", quiet.pk), ("ben", hall.pk))
    assert [len(connections[name].rooms) for name in ("ana", "ben", "eve")] == [2, 0, 0]


async def test_a_policy_that_fails_on_one_person_lets_nobody_else_stay(
    rig: LiveRig, ana: Any, ben: Any, eve: Any, quiet: Room, hall: Room
) -> None:
    connections = {}
    for name, user in (("ben", ben), ("ana", ana), ("eve", eve)):
        connections[name], _ = rig.connect(user, token_id=await token_of(user))
        await rig.catch_up.sync(connections[name], {**cursor(quiet), **cursor(hall)})
    BARRED.update({("eve", hall.pk), ("", hall.pk)})
    await rig.revalidation.everybody()
    assert set(connections["eve"].rooms) == {quiet.pk}
    assert set(connections["ana"].rooms) == {quiet.pk, hall.pk}


async def test_a_person_whose_right_ends_during_a_catch_up_loses_the_room(
    rig: LiveRig, eve: Any, quiet: Room, hall: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, review = pools.readers.run_for, rig.revalidation._review_rooms
    connection, socket = rig.connect(eve, token_id=await token_of(eve))
    was_reviewed = asyncio.Event()

    async def reviewed(user_ids: list[str]) -> None:
        await review(user_ids)
        was_reviewed.set()

    async def read_then_bar(person: Any, work: Any, *arguments: Any, **keywords: Any) -> Any:
        result = await read(person, work, *arguments, **keywords)
        if work is changes.standings:
            BARRED.add(("eve", hall.pk))
            await sync_to_async(api.recheck)(room=hall)
            await was_reviewed.wait()
        return result

    monkeypatch.setattr(rig.revalidation, "_review_rooms", reviewed)
    monkeypatch.setattr(pools.readers, "run_for", read_then_bar)
    command = protocol.Sync(ref=1, rooms=cursor(hall))
    context = Context(connection, rig.process, SignIn(connection, rig.process, ""))
    assert await sync(context, command) == {"rooms": {str(hall.pk): "live"}}
    await socket.until(has_lost_it)
    assert not connection.rooms


async def test_a_person_who_cannot_be_told_of_a_lost_room_is_asked_to_sync(
    rig: LiveRig, ana: Any, quiet: Room, monkeypatch: pytest.MonkeyPatch
):
    """They are cut from it already, and nothing else would ever tell them."""
    _connection, socket = rig.connect(ana)

    def unreachable(user_id: str, room_id: int) -> None:
        raise OperationalError("the connection is closed")

    monkeypatch.setattr(revalidation, "_standing_of", unreachable)
    rig.revalidation.room_lost(str(ana.pk), quiet.pk)
    await socket.until(lambda it: it.of_type("lagging"))
    assert socket.of_type("lagging")[0]["rooms"] == [str(quiet.pk)]
