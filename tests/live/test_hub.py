"""The hub: who follows a room gets its events from there on, in order, once; and nobody pays for somebody else."""

import asyncio
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
from asgiref.sync import sync_to_async
from django.db import OperationalError

from chat.access import changes, reads
from chat.access.identity import Identity
from chat.access.policy import SITE
from chat.live.connection import Chunk, Connection
from chat.live.hints import RoomEvents, RoomTransient, from_layer
from chat.models import Room
from chat.services import memberships, messages, posting, rooms
from chat.wire.feed_event import FeedEvent
from chat.wire.protocol import Cursor
from tests.live.rig import LiveRig, Socket


def cursor(room: Room) -> dict[str, Cursor]:
    return {str(room.pk): Cursor(epoch=room.epoch, seq=room.head)}


def event(seq: int, prev: int | None = None, leaver: str | None = None) -> FeedEvent:
    prev = seq - 1 if prev is None else prev
    return FeedEvent(seq, prev, f'{{"type":"test","seq":{seq}}}'.encode(), leaver)


def seqs(socket: Socket) -> list[int]:
    return [each["seq"] for each in socket.of_type("test")]


async def follow(rig: LiveRig, user: Any, room: Room) -> Socket:
    connection, socket = rig.connect(user)
    assert await rig.catch_up.sync(connection, cursor(room)) == {str(room.pk): "live"}
    return socket


def hint(rig: LiveRig, room: Room, *events: FeedEvent) -> None:
    of_run = [replace(each, run=room.run, run_before=room.run) for each in events]
    rig.hub.take([RoomEvents(room.pk, room.epoch, of_run)])


@pytest.fixture
def quiet_lobby(lobby: Room) -> Room:
    lobby.refresh_from_db()
    return lobby


async def test_events_of_one_tick_leave_in_one_frame(rig: LiveRig, ana: Any, quiet_lobby: Room):
    socket = await follow(rig, ana, quiet_lobby)
    head = quiet_lobby.head
    await socket.until(lambda it: it.of_type("synced"))
    frames = len(socket.frames)
    hint(rig, quiet_lobby, *[event(head + place) for place in (1, 2, 3)])
    await socket.until(lambda it: len(seqs(it)) == 3)
    assert seqs(socket) == [head + 1, head + 2, head + 3]
    assert len(socket.frames) == frames + 1


async def test_every_member_is_sent_the_very_same_encoding(rig: LiveRig, ana: Any, ben: Any, quiet_lobby: Room):
    first, second = await follow(rig, ana, quiet_lobby), await follow(rig, ben, quiet_lobby)
    hint(rig, quiet_lobby, event(quiet_lobby.head + 1))
    await first.until(seqs)
    await second.until(seqs)
    assert first.frames[-1] is second.frames[-1], "encoded once for the process"


async def test_lost_hints_are_found_by_comparing_heads_and_read_once_for_all(
    rig: LiveRig, ana: Any, ben: Any, quiet_lobby: Room, monkeypatch: pytest.MonkeyPatch
):
    sockets = [await follow(rig, user, quiet_lobby) for user in (ana, ben, ana, ben)]
    rig.holds_mail = True

    def talk() -> None:
        for place in range(3):
            messages.post(by=ana, room_id=quiet_lobby.pk, body=f"{place}")
        messages.edit(
            by=ana,
            message_id=messages.post(by=ana, room_id=quiet_lobby.pk, body="typo").id,
            body="no typo",
        )

    await sync_to_async(talk)()
    rig.postbox.clear()
    reads = 0
    read = changes.for_feed

    def counted(room_id: int, cursor: int) -> Any:
        nonlocal reads
        reads += 1
        return read(room_id, cursor)

    monkeypatch.setattr(changes, "for_feed", counted)
    await rig.reconciler.compare_all()
    for socket in sockets:
        await socket.until(lambda it: len(it.of_type("message.posted", "message.changed")) == 4)
        changed = socket.of_type("message.changed")[0]
        assert changed["prev"] == changed["seq"] - 2, "one event for post and edit, linked to what came before"
    assert reads == 1


async def test_a_room_of_another_epoch_is_reset_before_any_event_of_it(rig: LiveRig, ana: Any, quiet_lobby: Room):
    socket = await follow(rig, ana, quiet_lobby)
    old = quiet_lobby.epoch
    await sync_to_async(rooms.renew_epoch)(quiet_lobby.pk, old)
    await sync_to_async(messages.post)(by=ana, room_id=quiet_lobby.pk, body="after the restore")
    await socket.until(lambda it: it.of_type("reset"))
    await rig.reconciler.compare_all()
    assert socket.of_type("reset")[0]["reason"] == "epoch"
    assert socket.of_type("reset")[0]["epoch"] != old
    kinds = [each["type"] for each in socket.events]
    assert "message.posted" not in kinds[: kinds.index("reset")]


async def test_numbers_that_went_back_renew_the_epoch(rig: LiveRig, ana: Any, quiet_lobby: Room):
    socket = await follow(rig, ana, quiet_lobby)
    hint(rig, quiet_lobby, event(quiet_lobby.head + 1))  # committed once, lost by the storage since
    await socket.until(seqs)
    await rig.reconciler.compare_all()
    await socket.until(lambda it: it.of_type("reset"))
    assert socket.of_type("reset")[0]["epoch"] != quiet_lobby.epoch
    assert socket.of_type("reset")[0]["seq"] == quiet_lobby.head


async def test_a_hint_of_a_lost_change_does_not_cause_endless_reads(
    rig: LiveRig, ana: Any, quiet_lobby: Room, monkeypatch: pytest.MonkeyPatch
):
    """Regression: the repair found nothing, was due again at once, and read 800 times a second."""
    socket = await follow(rig, ana, quiet_lobby)
    await rig.quiet()
    reads = 0
    was_read = asyncio.Event()
    read = changes.for_feed

    def counted(room_id: int, cursor: int) -> Any:
        nonlocal reads
        reads += 1
        rig.loop.call_soon_threadsafe(was_read.set)
        return read(room_id, cursor)

    monkeypatch.setattr(changes, "for_feed", counted)
    hint(rig, quiet_lobby, event(quiet_lobby.head + 5))
    await asyncio.wait_for(was_read.wait(), 5)
    await rig.reconciler.compare_all()
    await socket.until(lambda it: it.of_type("reset"))
    assert reads <= 2


async def test_a_leaving_member_gets_the_event_and_nothing_after_it(
    rig: LiveRig, ana: Any, ben: Any, quiet_lobby: Room
):
    staying, leaving = await follow(rig, ana, quiet_lobby), await follow(rig, ben, quiet_lobby)
    head = quiet_lobby.head
    hint(
        rig,
        quiet_lobby,
        event(head + 1),
        event(head + 2, leaver=str(ben.pk)),
        event(head + 3),
    )
    await staying.until(lambda it: len(seqs(it)) == 3)
    assert seqs(leaving) == [head + 1, head + 2]


async def test_a_connection_ahead_of_the_feed_waits_and_gets_each_event_once(rig: LiveRig, ana: Any, quiet_lobby: Room):
    first = await follow(rig, ana, quiet_lobby)
    head = quiet_lobby.head
    connection, socket = rig.connect(ana)
    assert rig.hub.attach(connection, quiet_lobby.pk, replace(quiet_lobby.position, seq=head + 2), b'{"type":"synced"}')
    hint(rig, quiet_lobby, *[event(head + place) for place in (1, 2, 3)])
    await first.until(lambda it: len(seqs(it)) == 3)
    await socket.until(seqs)
    assert seqs(socket) == [head + 3]


async def test_a_removed_person_who_is_back_before_being_told_is_asked_to_sync(
    rig: LiveRig, ana: Any, ben: Any, quiet_lobby: Room
):
    """Regression: the late ``room.removed`` said the newest version and left the person without the room."""
    _, socket = rig.connect(ben)
    await rig.revalidation._say_room_lost(str(ben.pk), quiet_lobby.pk)
    await socket.until(lambda it: it.of_type("lagging", "room.removed"))
    assert not socket.of_type("room.removed")


async def test_a_room_denied_is_a_room_left(rig: LiveRig, ana: Any, ben: Any):
    staff = await sync_to_async(rooms.create)(
        by=ana, name="Staff", kind="private", user_ids=[str(ben.pk)], invited_by=SITE
    )
    await sync_to_async(staff.refresh_from_db)()
    connection, _ = rig.connect(ben)
    await rig.catch_up.sync(connection, cursor(staff))
    rig.holds_mail = True
    await sync_to_async(memberships.remove)(by=SITE, room_id=staff.pk, user_id=str(ben.pk))
    assert await rig.catch_up.sync(connection, {str(staff.pk): None}) == {str(staff.pk): "denied"}
    assert not connection.rooms


async def test_one_socket_that_can_not_be_written_costs_the_others_nothing(
    rig: LiveRig, ana: Any, ben: Any, quiet_lobby: Room
):
    """Regression: an exception in mid-flush left every socket of the process without a frame for good."""
    broken, _ = rig.connect(ben)
    socket = await follow(rig, ana, quiet_lobby)
    broken.out.append(Chunk(["no bytes"]))  # type: ignore[list-item]
    rig.hub.send(broken, b"{}")
    hint(rig, quiet_lobby, event(quiet_lobby.head + 1))
    await socket.until(seqs)


async def test_nothing_is_sent_before_hello_and_nothing_of_then_is_lost(rig: LiveRig, ana: Any):
    connection, socket = rig.connect(ana)
    await socket.until(lambda it: it.events)
    connection.is_greeted = False
    rig.hub.send(connection, b'{"type":"room.added"}')
    rig.hub.greet(connection, [b'{"type":"hello"}'])
    await socket.until(lambda it: len(it.events) == 3)
    assert [each["type"] for each in socket.events] == ["hello", "hello", "room.added"]


async def test_a_closed_connection_is_not_attached(rig: LiveRig, ana: Any, quiet_lobby: Room):
    connection, _ = rig.connect(ana)
    rig.hub.close(connection)
    assert rig.hub.attach(connection, quiet_lobby.pk, quiet_lobby.position, b"{}")
    assert quiet_lobby.pk not in rig.hub.rooms or not rig.hub.rooms[quiet_lobby.pk].members


async def test_a_closed_connection_leaves_nothing_behind(rig: LiveRig, ana: Any, quiet_lobby: Room):
    connection, _ = rig.connect(ana)
    await rig.catch_up.sync(connection, cursor(quiet_lobby))
    rig.heartbeat.add(connection)
    rig.hub.close(connection)
    rig.heartbeat.remove(connection)
    assert not rig.hub.connections
    assert not rig.hub.users
    assert not rig.hub.rooms[quiet_lobby.pk].members
    assert not any(rig.heartbeat._groups)


async def test_a_catch_up_waiting_for_room_ends_with_its_socket(rig: LiveRig, ana: Any):
    connection, _ = rig.connect(ana)
    for _ in range(connection.window.frames):
        connection.window.sending(1, 0.0)
    waiting = asyncio.create_task(connection.room_for_page())
    await asyncio.sleep(0)
    assert not waiting.done()
    rig.hub.close(connection)
    async with asyncio.timeout(5):
        await waiting


async def test_a_sync_of_a_busy_ring_is_paced_by_the_client(rig: LiveRig, ana: Any, quiet_lobby: Room):
    """Regression: a ring of large events was sent in one go, and the client closed for not having taken it in."""
    await follow(rig, ana, quiet_lobby)
    body = "x" * 9_000
    for _ in range(3):
        posts = [posting.Post(ana, quiet_lobby.pk, uuid4(), body) for _ in range(60)]
        await sync_to_async(posting.post_many)(posts)
    connection, socket = rig.connect(ana)
    caught_up = asyncio.create_task(rig.catch_up.sync(connection, cursor(quiet_lobby)))
    taken = 0
    while not caught_up.done():
        assert connection.window.unacknowledged_bytes < connection.window.size
        if len(socket.frames) > taken:
            taken = len(socket.frames)
            connection.received(taken, rig.loop.time())
        socket.changed.clear()
        news = asyncio.create_task(socket.changed.wait())
        await asyncio.wait([news, caught_up], return_when=asyncio.FIRST_COMPLETED)
        news.cancel()
    assert await caught_up == {str(quiet_lobby.pk): "live"}
    assert socket.code is None


async def test_a_person_may_have_so_many_sockets_and_no_more(rig: LiveRig, ana: Any, settings: Any):
    settings.CHAT = {**settings.CHAT, "SOCKETS_PER_USER": 2}
    rig.connect(ana)
    rig.connect(ana)
    third = Connection(Socket().send, close=lambda code: None)
    third.sign_in(Identity(ana))
    assert not rig.hub.open(third)


async def test_typing_is_not_sent_to_a_full_window(rig: LiveRig, ana: Any, ben: Any, quiet_lobby: Room):
    full, socket = rig.connect(ben)
    await rig.catch_up.sync(full, cursor(quiet_lobby))
    other = await follow(rig, ana, quiet_lobby)
    await socket.until(lambda it: it.of_type("synced"))
    for _ in range(full.window.frames):
        full.window.sending(1, rig.loop.time())
    rig.hub.take([RoomTransient(quiet_lobby.pk, b'{"type":"typing"}')])
    await other.until(lambda it: it.of_type("typing"))
    assert not socket.of_type("typing", "lagging")


async def test_the_heart_beats_on_while_the_database_is_away(rig: LiveRig, ana: Any, monkeypatch: pytest.MonkeyPatch):
    connection, socket = rig.connect(ana)
    rig.heartbeat.add(connection)

    def away(user_ids: Any) -> Any:
        raise OperationalError

    monkeypatch.setattr(reads, "rooms_versions", away)
    for _ in rig.heartbeat._groups:
        await rig.heartbeat.second()
    await socket.until(lambda it: it.of_type("heads"))


def test_a_hint_of_another_shape_is_refused():
    good = RoomTransient(1, b"{}").to_layer()
    assert from_layer(dict(good)) == RoomTransient(1, b"{}")
    for bad in ({**good, "encoded": "text"}, {**good, "more": 1}, {"type": "nonsense"}, {}):
        with pytest.raises((KeyError, TypeError)):
            from_layer(bad)


async def test_a_herd_that_comes_back_after_a_restart_reads_each_room_once(
    rig: LiveRig, ana: Any, ben: Any, quiet_lobby: Room, monkeypatch: pytest.MonkeyPatch
):
    def talk() -> None:
        for place in range(5):
            messages.post(by=ana, room_id=quiet_lobby.pk, body=f"{place}")

    await sync_to_async(talk)()
    reads = 0
    read = changes.page

    def counted(user: Any, room_id: int, cursor: int) -> Any:
        nonlocal reads
        reads += 1
        return read(user, room_id, cursor)

    monkeypatch.setattr(changes, "page", counted)
    herd = [rig.connect(user) for user in (ana, ben) * 8]
    outcomes = await asyncio.gather(*[rig.catch_up.sync(connection, cursor(quiet_lobby)) for connection, _ in herd])
    assert outcomes == [{str(quiet_lobby.pk): "live"}] * len(herd)
    for _, socket in herd:
        await socket.until(lambda it: it.of_type("synced"))
        shown = [m["number"] for e in socket.of_type("changes") for m in e["messages"]]
        shown += [each["message"]["number"] for each in socket.of_type("message.posted")]
        assert shown == [1, 2, 3, 4, 5]
    assert reads == 1


async def test_a_change_between_the_reading_and_the_first_follower_is_found_at_once(
    rig: LiveRig, ana: Any, ben: Any, quiet_lobby: Room
):
    """Its hint finds no feed to go to."""
    at = quiet_lobby.position
    await sync_to_async(messages.post)(by=ben, room_id=quiet_lobby.pk, body="in between")
    connection, socket = rig.connect(ana)
    assert rig.hub.attach(connection, quiet_lobby.pk, at, b'{"type":"synced"}')
    await socket.until(lambda it: it.of_type("message.posted"))


async def test_what_is_asked_for_during_a_comparison_is_compared_after_it(
    rig: LiveRig, ana: Any, quiet_lobby: Room, monkeypatch: pytest.MonkeyPatch
):
    await follow(rig, ana, quiet_lobby)
    await rig.quiet()
    read, reads_begun = changes.positions, 0

    def positions(held: Any) -> Any:
        nonlocal reads_begun
        reads_begun += 1
        found = read(held)
        if reads_begun == 1:
            rig.loop.call_soon_threadsafe(rig.reconciler.compare_soon, [quiet_lobby.pk])
        return found

    monkeypatch.setattr(changes, "positions", positions)
    rig.reconciler.compare_soon([quiet_lobby.pk])
    await rig.quiet()
    assert reads_begun == 2


async def test_a_room_whose_epoch_cannot_be_renewed_does_not_hold_up_the_others(
    rig: LiveRig, ana: Any, quiet_lobby: Room, monkeypatch: pytest.MonkeyPatch
):
    other = await sync_to_async(rooms.create)(by=ana, name="Other")
    await other.arefresh_from_db()
    await follow(rig, ana, quiet_lobby)
    socket = await follow(rig, ana, other)
    await rig.quiet()

    def read_only(room_id: int, epoch: str) -> None:
        raise OperationalError("cannot execute UPDATE in a read-only transaction")

    monkeypatch.setattr(rig.reconciler, "_renew_epoch", read_only)
    rig.holds_mail = True
    await sync_to_async(messages.post)(by=ana, room_id=other.pk, body="lost hint")
    rig.deliver(lose=lambda hint: True)
    rig.hub.rooms[quiet_lobby.pk].feed.expect(quiet_lobby.head + 9, rig.loop.time())
    await rig.reconciler.compare_all()
    await socket.until(lambda it: it.of_type("message.posted"))


async def test_a_connection_that_ends_lets_nobody_wait_for_its_syncs(rig: LiveRig, ana: Any, quiet_lobby: Room):
    connection, _socket = rig.connect(ana)
    connection.syncing["1"] = done = rig.loop.create_future()
    rig.hub.close(connection)
    await asyncio.wait_for(done, 5)
