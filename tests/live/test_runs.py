"""A database that lost its newest changes while people follow a room and go on posting: nobody is left behind."""

import json
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from typing import Any

import pytest
from asgiref.sync import sync_to_async

from chat.access import changes
from chat.models import Room
from chat.services import messages
from chat.wire.protocol import Cursor
from tests.live.rig import LiveRig, Socket
from tests.services.lost_tail import lost, serve_elsewhere


async def follow(rig: LiveRig, user: Any, room: Room) -> Socket:
    await room.arefresh_from_db()
    connection, socket = rig.connect(user)
    at = {str(room.pk): Cursor(room.epoch, room.head, room.run)}
    assert await rig.catch_up.sync(connection, at) == {str(room.pk): "live"}
    return socket


@sync_to_async
def post(by: Any, room: Room, *bodies: str) -> None:
    for body in bodies:
        messages.post(by=by, room_id=room.pk, body=body)


async def lose(rig: LiveRig, by: Any, room: Room, *bodies: str) -> None:
    """Post these, let everybody here see them, and lose them."""

    @sync_to_async
    def posted_and_lost() -> None:
        with lost():
            for body in bodies:
                messages.post(by=by, room_id=room.pk, body=body)

    await posted_and_lost()


def bodies(socket: Socket) -> list[str]:
    return [each["message"]["body"] for each in socket.of_type("message.posted")]


async def test_a_seq_that_is_given_out_twice_resets_the_people_who_saw_the_first(rig: LiveRig, ana: Any, lobby: Room):
    socket = await follow(rig, ana, lobby)
    await lose(rig, ana, lobby, "lost")
    await socket.until(bodies)
    await post(ana, lobby, "stored")
    await socket.until(lambda it: it.of_type("reset"))
    (reset,) = socket.of_type("reset")
    await lobby.arefresh_from_db()
    assert (reset["reason"], reset["seq"], reset["run"]) == ("epoch", lobby.head, lobby.run)
    assert bodies(socket) == ["lost"], "the message that stands comes with the history that the reset asks for"
    await post(ana, lobby, "next")
    await socket.until(lambda it: bodies(it)[1:] == ["next"])


@pytest.mark.parametrize("more", [1, 2, 3])
async def test_lost_hints_hide_no_loss(rig: LiveRig, ana: Any, lobby: Room, more: int):
    """The room has come as far as before, or further, when a process looks at it."""
    socket = await follow(rig, ana, lobby)
    await lose(rig, ana, lobby, "lost")
    await socket.until(bodies)
    rig.holds_mail = True
    await post(ana, lobby, *"abc"[:more])
    rig.deliver(lose=lambda hint: True)
    rig.holds_mail = False
    await rig.reconciler.compare_all()
    await socket.until(lambda it: it.of_type("reset"))
    assert bodies(socket) == ["lost"]


@pytest.mark.parametrize("more", [1, 2, 3])
async def test_a_hint_past_the_numbers_that_were_lost_does_not_join_two_histories(
    rig: LiveRig, ana: Any, lobby: Room, more: int
):
    """Only the last hint comes: by its number alone it would follow what was lost."""
    socket = await follow(rig, ana, lobby)
    await lose(rig, ana, lobby, "lost")
    await socket.until(bodies)
    rig.holds_mail = True
    await post(ana, lobby, *"abcd"[: more + 1])
    rig.postbox = rig.postbox[-1:]
    rig.deliver()
    rig.holds_mail = False
    await socket.until(lambda it: it.of_type("reset"))
    assert bodies(socket) == ["lost"]


async def test_a_late_hint_of_what_was_lost_changes_nothing(rig: LiveRig, ana: Any, lobby: Room):
    socket = await follow(rig, ana, lobby)
    rig.holds_mail = True
    await lose(rig, ana, lobby, "lost", "lost, too")
    late, rig.postbox = rig.postbox, []
    await post(ana, lobby, "stored")
    rig.deliver()
    rig.hub.take(late)
    await rig.reconciler.compare_all()
    await post(ana, lobby, "next")
    rig.deliver()
    await socket.until(lambda it: bodies(it)[-1:] == ["next"])
    assert bodies(socket) == ["stored", "next"]
    assert not socket.of_type("reset")


async def test_a_new_run_that_lost_nothing_goes_on_without_a_read_and_is_named(
    rig: LiveRig, ana: Any, ben: Any, lobby: Room, monkeypatch: pytest.MonkeyPatch
):
    socket = await follow(rig, ana, lobby)
    monkeypatch.setattr(changes, "positions", None)
    monkeypatch.setattr(changes, "for_feed", None)
    for at in range(3):
        await sync_to_async(serve_elsewhere)()
        await post(ana, lobby, f"{at}")
        await post(ana, lobby, f"{at} again")
    await socket.until(lambda it: len(bodies(it)) == 6)
    assert ["run" in each for each in socket.of_type("message.posted")] == [True, False] * 3
    assert not socket.of_type("reset")


async def test_a_client_that_was_away_meanwhile_is_reset_only_if_it_saw_what_was_lost(
    rig: LiveRig, ana: Any, ben: Any, lobby: Room
):
    await post(ana, lobby, "kept")
    await lobby.arefresh_from_db()
    kept = Cursor(lobby.epoch, lobby.head, lobby.run)
    await lose(rig, ana, lobby, "lost")
    saw_it = Cursor(lobby.epoch, lobby.head + 1, lobby.run)
    await post(ana, lobby, "a", "b")
    outcomes = []
    for cursor in (kept, saw_it):
        connection, _socket = rig.connect(ben)
        outcomes.append((await rig.catch_up.sync(connection, {str(lobby.pk): cursor}))[str(lobby.pk)])
    assert outcomes == ["live", "reset"]


async def test_what_hello_said_of_a_change_that_is_lost_by_the_time_of_the_sync_is_void(
    rig: LiveRig, ana: Any, ben: Any, lobby: Room
):
    await lobby.arefresh_from_db()
    kept = Cursor(lobby.epoch, lobby.head, lobby.run)
    connection, socket = rig.connect(ben)
    await lose(rig, ana, lobby, "lost")
    connection.greeted = {lobby.pk: replace(lobby.position, seq=lobby.head + 1)}
    assert await rig.catch_up.sync(connection, {str(lobby.pk): kept}) == {str(lobby.pk): "reset"}
    assert not connection.greeted
    connection.greeted = {lobby.pk: lobby.position}
    assert await rig.catch_up.sync(connection, {str(lobby.pk): kept}) == {str(lobby.pk): "live"}
    await post(ana, lobby, "a run that began after the greeting")
    await socket.until(lambda it: bodies(it)[-1:] == ["a run that began after the greeting"])


async def test_a_loss_between_two_pages_of_a_catch_up_is_a_reset(
    rig: LiveRig, ana: Any, lobby: Room, monkeypatch: pytest.MonkeyPatch
):
    await lobby.arefresh_from_db()
    start = Cursor(lobby.epoch, lobby.head, lobby.run)
    monkeypatch.setattr(changes, "PAGE_THINGS", 2)
    read = changes.page
    reads = 0

    def page(user: Any, room_id: int, cursor: int) -> Any:
        nonlocal reads
        reads += 1
        if reads == 2:
            # What the first page brought is gone, and other changes have its numbers.
            for row in lost_and_others:
                row()
        return read(user, room_id, cursor)

    context = lost()
    lost_and_others = [
        lambda: context.__exit__(None, None, None),
        lambda: [messages.post(by=ana, room_id=lobby.pk, body=f"{each}") for each in range(5)],
    ]
    await sync_to_async(context.__enter__)()
    await post(ana, lobby, *"abcd")
    monkeypatch.setattr(changes, "page", page)
    connection, socket = rig.connect(ana)
    assert await rig.catch_up.sync(connection, {str(lobby.pk): start}) == {str(lobby.pk): "reset"}
    assert socket.of_type("changes") and reads == 2


@sync_to_async
def edit(by: Any, room: Room, number: int, body: str) -> None:
    messages.edit(by=by, message_id=room.messages.get(number=number).pk, body=body)


async def lose_between_pages(
    monkeypatch: pytest.MonkeyPatch, ana: Any, lobby: Room, reader: str, then: Callable[[], Any] = lambda: None
) -> None:
    """Of three messages, the oldest is edited twice. The first page of two ends before its last edit, and that one is
    lost before the next page is read: the edit before it now lies where the first page has been."""
    await edit(ana, lobby, 1, "edited")
    await edit(ana, lobby, 2, "new")
    await edit(ana, lobby, 3, "new")
    context = lost()
    await sync_to_async(context.__enter__)()
    await edit(ana, lobby, 1, "lost")
    monkeypatch.setattr(changes, "PAGE_THINGS", 2)
    read = getattr(changes, reader)
    reads = count(1)

    def page(*arguments: Any) -> Any:
        if next(reads) == 2:
            context.__exit__(None, None, None)
            then()
        return read(*arguments)

    monkeypatch.setattr(changes, reader, page)


@pytest.mark.parametrize("more", [0, 1, 3])
async def test_a_loss_between_two_pages_that_takes_a_change_back_into_the_first_is_a_reset(
    rig: LiveRig, ana: Any, lobby: Room, monkeypatch: pytest.MonkeyPatch, more: int
):
    await post(ana, lobby, *"abc")
    await lobby.arefresh_from_db()
    start = Cursor(lobby.epoch, lobby.head, lobby.run)
    bodies = "xyz"[:more]
    await lose_between_pages(
        monkeypatch, ana, lobby, "page", lambda: [messages.post(by=ana, room_id=lobby.pk, body=each) for each in bodies]
    )
    connection, _ = rig.connect(ana)
    assert await rig.catch_up.sync(connection, {str(lobby.pk): start}) == {str(lobby.pk): "reset"}


async def test_a_feed_that_reads_two_pages_with_a_loss_between_them_resets_its_followers(
    rig: LiveRig, ana: Any, lobby: Room, monkeypatch: pytest.MonkeyPatch
):
    await post(ana, lobby, *"abc")
    socket = await follow(rig, ana, lobby)
    rig.holds_mail = True
    await lose_between_pages(
        monkeypatch, ana, lobby, "for_feed", lambda: messages.post(by=ana, room_id=lobby.pk, body="stored")
    )
    rig.postbox.clear()
    await rig.reconciler.compare_all()
    await socket.until(lambda it: it.of_type("reset"))
    await lobby.arefresh_from_db()
    assert socket.of_type("reset")[0]["seq"] == lobby.head


async def test_what_is_read_for_a_feed_says_how_far_the_reading_goes(
    rig: LiveRig, ana: Any, lobby: Room, monkeypatch: pytest.MonkeyPatch
):
    """A client that has only a part of it must not take that for all that there was."""
    await post(ana, lobby, *"abc")
    await lobby.arefresh_from_db()
    before = lobby.head
    for number in (1, 2, 3):
        await edit(ana, lobby, number, "new")

    def reading() -> list[tuple[int, int | None]]:
        page = changes.for_feed(lobby.pk, before)
        assert page is not None
        events = [json.loads(each.encoded) for each in changes.as_events(page, before)]
        return [(each["seq"], each.get("upto")) for each in events]

    whole = [(before + 1, before + 3), (before + 2, before + 3), (before + 3, None)]
    assert await sync_to_async(reading)() == whole
    monkeypatch.setattr(changes, "PAGE_THINGS", 2)
    assert await sync_to_async(reading)() == whole[:2]
