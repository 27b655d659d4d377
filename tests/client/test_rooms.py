"""A room of the client equals the server's log, and its messages are handed out once each, by number."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from chat.client import FileCursors, MessageChanged, MessagePosted, Overflowed, Reset, Room, TypingChanged
from chat.wire import errors, protocol
from tests.client.core.model_room import BEN
from tests.client.fake_server import FakeServer
from tests.client.waiting import until

Connect = Callable[..., Any]


async def bodies(room: Room, count: int) -> list[str]:
    """The next ``count`` messages that the room hands out."""
    found: list[str] = []
    if count:
        async for event in room.events():
            if isinstance(event, MessagePosted):
                found.append(event.message.body)
                if len(found) == count:
                    break
    return found


async def test_messages_come_from_the_moment_the_room_was_opened(server: FakeServer, connect: Connect) -> None:
    await server.post("before")
    room = await (await connect()).room("1")
    await server.post("after")
    assert await bodies(room, 1) == ["after"]
    assert [each.body for each in room.messages] == ["after"]


async def test_history_joins_the_timeline(server: FakeServer, connect: Connect) -> None:
    for number in range(1, 31):
        await server.post(str(number))
    room = await (await connect()).room("1", history=10)
    assert [each.number for each in room.messages] == list(range(21, 31))
    page = await room.history(before=room.timeline.first, limit=15)
    assert len(page.messages) == 15
    assert [each.number for each in room.messages] == list(range(6, 31))


async def test_missed_messages_come_after_a_broken_connection(server: FakeServer, connect: Connect) -> None:
    room = await (await connect()).room("1")
    await server.post("one")
    await room.until(lambda each: len(each.messages) == 1)
    server.break_connections()
    for body in ("two", "three"):
        server.rooms["1"].post(BEN, body, body)
    assert await bodies(room, 3) == ["one", "two", "three"]


async def test_too_much_missed_is_a_reset_and_still_no_hole(server: FakeServer, connect: Connect) -> None:
    room = await (await connect()).room("1")
    await server.post("0")
    await room.until(lambda each: len(each.messages) == 1)
    server.catch_up = 5
    server.break_connections()
    for number in range(1, 250):
        server.rooms["1"].post(BEN, str(number), str(number))
    reading = asyncio.create_task(bodies(room, 250))
    assert await reading == [str(number) for number in range(250)]


async def test_an_edit_of_a_message_that_was_handed_out_is_told(server: FakeServer, connect: Connect) -> None:
    room = await (await connect()).room("1")
    await server.post("hello")
    assert await bodies(room, 1) == ["hello"]
    await server.publish(server.rooms["1"].edit(1))
    event = await anext(room.events())
    assert isinstance(event, MessageChanged)
    assert room.messages == [event.message]


async def test_a_lagging_room_is_synced(server: FakeServer, connect: Connect) -> None:
    room = await (await connect()).room("1")
    link = server.links[0]
    link.live.clear()
    server.rooms["1"].post(BEN, "missed", "missed")
    await link.send(protocol.Lagging(rooms=["1"]))
    assert await bodies(room, 1) == ["missed"]
    assert sum(each["type"] == "sync" for each in server.commands) == 2


async def test_a_gap_is_synced_after_a_while(
    server: FakeServer, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chat.client.core.cursor.PATIENCE_S", 0.05)
    monkeypatch.setattr("chat.client.core.cursor.JITTER_S", 0.01)
    room = await (await connect()).room("1")
    server.rooms["1"].post(BEN, "lost", "lost")
    await server.post("came")
    assert await bodies(room, 2) == ["lost", "came"]


async def test_heads_reveal_events_that_never_came(
    server: FakeServer, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chat.client.core.cursor.PATIENCE_S", 0.05)
    monkeypatch.setattr("chat.client.core.cursor.JITTER_S", 0.01)
    room = await (await connect()).room("1")
    server.rooms["1"].post(BEN, "lost", "lost")
    await server.links[0].send(protocol.Heads(rooms={"1": 1}, rooms_version=1, server_time=""))
    assert await bodies(room, 1) == ["lost"]


async def test_a_restored_backup_hands_nothing_out_twice(server: FakeServer, connect: Connect) -> None:
    room = await (await connect()).room("1")
    log = server.rooms["1"]
    await server.post("kept")
    log.back_up()
    await server.post("lost")
    assert await bodies(room, 2) == ["kept", "lost"]
    log.restore()
    log.post(BEN, "new", "new")
    server.break_connections()
    news = []
    async for event in room.events():
        news.append(event)
        if isinstance(event, MessagePosted):
            break
    assert [type(each) for each in news] == [Reset, MessagePosted]
    assert news[-1].message.body == "new"


async def test_a_room_that_is_not_there_is_not_found(connect: Connect) -> None:
    with pytest.raises(errors.RoomNotFound):
        await (await connect()).room("99")


async def test_two_tasks_can_not_share_a_rooms_events(connect: Connect) -> None:
    room = await (await connect()).room("1")
    first = asyncio.create_task(anext(room.events()))
    await asyncio.sleep(0)
    with pytest.raises(RuntimeError):
        await anext(room.events())
    first.cancel()


async def test_a_slow_application_loses_no_message_and_hears_of_lost_news(server: FakeServer, connect: Connect) -> None:
    client = await connect(keep=50)
    room = await client.room("1")
    await server.post("first")
    assert await bodies(room, 1) == ["first"]
    for number in range(2, 502):
        await server.post(str(number))
    for _ in range(1500):
        await server.publish(server.rooms["1"].move(BEN))
    await until(lambda: room._core.cursor.position.seq == server.rooms["1"].head)
    assert len(room.messages) == 50
    assert len(room._core.inbox._ahead) <= 256
    seen = []
    async for event in room.events():
        seen.append(event)
        if isinstance(event, MessagePosted) and event.message.number == 501:
            break
    assert Overflowed("1") in seen
    assert [each.message.number for each in seen if isinstance(each, MessagePosted)] == list(range(2, 502))


async def test_typing_reaches_others(server: FakeServer, connect: Connect) -> None:
    ana, ben = await (await connect()).room("1"), await (await connect(token="ben-token")).room("1")
    reading = asyncio.create_task(anext(ben.events()))
    await asyncio.sleep(0)
    ana.typing()
    assert await reading == TypingChanged(room="1", user="1", active=True)


async def test_members_are_loaded_and_kept(server: FakeServer, connect: Connect) -> None:
    server.rooms["1"].move(BEN)
    room = await (await connect()).room("1")
    assert [each.user.name for each in await room.load_members()] == ["ben"]
    await server.publish(server.rooms["1"].move(BEN))
    await room.until(lambda each: len(each.members) == 0)


async def test_a_room_can_be_made_and_listed(server: FakeServer, connect: Connect) -> None:
    client = await connect()
    made = await client.create_room("Second")
    assert (await made.post("first")).number == 1
    assert [each.id for each in await client.list_rooms()] == ["1", "2"]


async def test_all_rooms_are_followed_when_that_is_wanted(server: FakeServer, connect: Connect) -> None:
    client = await connect(follow_all=True)
    await until(lambda: "1" in client.core.followed and client.core.followed["1"].is_live)
    assert list(client.rooms) == ["1"]


class TestCursors:
    async def test_a_bot_goes_on_where_its_last_run_ended(
        self, server: FakeServer, connect: Connect, tmp_path: Path
    ) -> None:
        first = await connect(cursors=FileCursors(tmp_path / "cursors.json"))
        room = await first.room("1")
        for body in ("one", "two", "three"):
            await server.post(body)
        await room.until(lambda each: len(each.messages) == 3)
        assert await bodies(room, 2) == ["one", "two"]
        await first.aclose()
        await server.post("four")
        second = await connect(cursors=FileCursors(tmp_path / "cursors.json"))
        assert await bodies(await second.room("1"), 2) == ["three", "four"]

    async def test_a_long_absence_leaves_no_hole(self, server: FakeServer, connect: Connect) -> None:
        first = await connect()
        await first.room("1")
        cursors = first.cursors
        await first.aclose()
        server.catch_up = 3
        for number in range(120):
            await server.post(str(number))
        second = await connect(cursors=cursors)
        assert await bodies(await second.room("1"), 120) == [str(number) for number in range(120)]

    async def test_a_room_that_is_not_in_hello_leaves_no_hole(self, server: FakeServer, connect: Connect) -> None:
        first = await connect()
        await first.room("1")
        await server.post("waiting")
        await until(lambda: first.core.followed["1"].cursor.position.seq == 1)
        cursors = first.cursors
        await first.aclose()
        hello = server._hello
        server._hello = lambda user: protocol.Hello(  # type: ignore[method-assign]
            **{name: getattr(hello(user), name) for name in hello(user).__struct_fields__ if name != "rooms"}, rooms=[]
        )
        second = await connect(cursors=cursors)
        assert await bodies(await second.room("1"), 1) == ["waiting"]
