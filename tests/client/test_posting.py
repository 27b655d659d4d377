"""Messages leave in order, arrive once, and are answered, whatever happens to the connection."""

import asyncio
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from chat.client import MemoryOutbox, OutboxFull, OutboxInUse, SqliteOutbox, Stopped
from chat.client.core.outbox import OutboxItem
from chat.wire import errors, protocol
from tests.client.fake_server import ANA, FakeServer
from tests.client.waiting import until

Connect = Callable[..., Any]


async def test_a_post_returns_when_it_is_stored(server: FakeServer, connect: Connect) -> None:
    room = await (await connect()).room("1")
    ack = await room.post("hello")
    assert (ack.number, ack.seq, ack.duplicate) == (1, 1, False)
    assert [each.body for each in server.rooms["1"].messages] == ["hello"]


async def test_a_post_whose_answer_is_lost_is_stored_once(server: FakeServer, connect: Connect) -> None:
    room = await (await connect()).room("1")
    server.kill_after_storing = 2
    ack = await room.post("once")
    assert ack.duplicate
    assert server.connections == 3
    assert [each.body for each in server.rooms["1"].messages] == ["once"]


async def test_posts_of_one_room_keep_their_order_through_broken_connections(
    server: FakeServer, connect: Connect
) -> None:
    room = await (await connect()).room("1")
    server.kill_after_storing = 3
    await asyncio.gather(*[room.post(f"m{i}") for i in range(30)])
    assert server.connections == 4
    assert [each.body for each in server.rooms["1"].messages] == [f"m{i}" for i in range(30)]


async def test_a_post_whose_answer_holds_nothing_usable_goes_again_over_the_same_connection(
    server: FakeServer, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chat.client.core.outbox.FIRST_RETRY_S", 0.01)
    room = await (await connect()).room("1")
    server.hollow = [{"ok": True}, {"ok": True, "result": []}, {"ok": False, "error": {}}, {"ok": True, "result": {}}]
    first, second = await asyncio.gather(room.post("once"), room.post("then"))
    assert (first.duplicate, second.duplicate) == (True, False)
    assert server.connections == 1
    assert [each.body for each in server.rooms["1"].messages] == ["once", "then"]


async def test_posts_wait_for_a_server_that_is_down(server: FakeServer, connect: Connect) -> None:
    client = await connect()
    room = await client.room("1")
    await server.stop()
    post = asyncio.create_task(room.post("later"))
    await room.until(lambda each: len(each.pending) == 1)
    await server.start()
    assert (await post).number == 1
    assert room.pending == ()


async def test_a_refused_post_raises_its_error_and_the_next_one_goes_on(server: FakeServer, connect: Connect) -> None:
    room = await (await connect()).room("1")
    server.refuse = [protocol.ErrorBody("room.archived", "This room is archived.", False)]
    refused, stored = await asyncio.gather(room.post("no"), room.post("yes"), return_exceptions=True)
    assert isinstance(refused, errors.RoomArchived)
    assert isinstance(stored, protocol.PostResult)


async def test_a_post_that_may_succeed_later_stays_at_the_head(server: FakeServer, connect: Connect) -> None:
    room = await (await connect()).room("1")
    server.refuse = [protocol.ErrorBody("server.busy", "Busy.", True, 20), protocol.ErrorBody("rate.limited", "", True)]
    await asyncio.gather(room.post("first"), room.post("second"))
    assert [each.body for each in server.rooms["1"].messages] == ["first", "second"]


async def test_an_error_code_of_a_later_version_is_still_an_error(server: FakeServer, connect: Connect) -> None:
    room = await (await connect()).room("1")
    server.refuse = [protocol.ErrorBody("message.haunted", "Boo.", False)]
    with pytest.raises(errors.ChatError, match="Boo") as caught:
        await room.post("hello")
    assert caught.value.code == "message.haunted"


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ("  \n", errors.MessageEmpty),
        ("a\x00b", errors.MessageInvalidText),
        ("\ud800", errors.MessageInvalidText),
        ("x" * 10_001, errors.MessageTooLong),
        ("é" * 33_000, errors.MessageTooLong),
    ],
)
async def test_a_post_that_no_server_accepts_never_enters_the_outbox(
    server: FakeServer, connect: Connect, body: str, error: type[Exception]
) -> None:
    client = await connect()
    room = await client.room("1")
    with pytest.raises(error):
        await room.post(body)
    assert len(client.core.outbox) == 0
    assert not any(each["type"] == "message.post" for each in server.commands)


async def test_the_frame_limit_counts_utf8_bytes(server: FakeServer, connect: Connect) -> None:
    server.limits = protocol.Limits(1000, 10_000, 500, 100, 1000, 32)
    room = await (await connect()).room("1")
    await room.post("x" * 700)
    with pytest.raises(errors.FrameTooLarge):
        await room.post("é" * 700)


async def test_a_cancelled_post_is_sent_all_the_same(server: FakeServer, connect: Connect) -> None:
    client = await connect()
    room = await client.room("1")
    server.is_mute = True
    post = asyncio.create_task(room.post("said"))
    await until(lambda: any(each["type"] == "message.post" for each in server.muted))
    post.cancel()
    server.is_mute = False
    server.break_connections()
    assert (await room.post("next")).number == 2
    assert [each.body for each in server.rooms["1"].messages] == ["said", "next"]


async def test_repeating_a_client_id_waits_for_the_same_message(server: FakeServer, connect: Connect) -> None:
    room = await (await connect()).room("1")
    client_id = "6f1c1c1e-58a6-4b0e-8a34-6a4c4d7a1d11"
    first, second = await asyncio.gather(
        room.post("hello", client_id=client_id), room.post("hello", client_id=client_id)
    )
    assert first == second
    assert len(server.rooms["1"].messages) == 1


class TestSqliteOutbox:
    async def test_a_message_outlives_the_process(self, server: FakeServer, connect: Connect, tmp_path: Path) -> None:
        client = await connect(outbox=SqliteOutbox(tmp_path / "outbox"))
        room = await client.room("1")
        server.is_mute = True
        posts = [asyncio.create_task(room.post(body)) for body in ("one", "two")]
        await room.until(lambda each: len(each.pending) == 2)
        await client.aclose()
        for post in posts:
            with pytest.raises(Stopped):
                await post
        server.is_mute = False
        again = await connect(outbox=SqliteOutbox(tmp_path / "outbox"))
        assert (await (await again.room("1")).post("three")).number == 3
        assert [each.body for each in server.rooms["1"].messages] == ["one", "two", "three"]

    async def test_acknowledged_messages_leave_it(self, connect: Connect, tmp_path: Path) -> None:
        client = await connect(outbox=SqliteOutbox(tmp_path / "outbox"))
        room = await client.room("1")
        await asyncio.gather(*(room.post(str(each)) for each in range(10)))
        await client.aclose()
        outbox = SqliteOutbox(tmp_path / "outbox")
        await outbox.open(client._target.url)
        assert await outbox.load(ANA.id) == []
        await outbox.close()

    async def test_only_one_process_sends(self, server: FakeServer, connect: Connect, tmp_path: Path) -> None:
        await connect(outbox=SqliteOutbox(tmp_path / "outbox"))
        with pytest.raises(OutboxInUse):
            await connect(outbox=SqliteOutbox(tmp_path / "outbox"))

    async def test_another_users_messages_stay_where_they_are(self, connect: Connect, tmp_path: Path) -> None:
        outbox = SqliteOutbox(tmp_path / "outbox")
        client = await connect(outbox=outbox)
        room = await client.room("1")
        item = outbox_item("ben's", user="2", room="1")
        await outbox.add(item)
        await room.post("ana's")
        assert await outbox.load("2") == [item]
        assert [each.body for each in room.messages] == ["ana's"]


def outbox_item(body: str, *, user: str, room: str) -> Any:
    return OutboxItem("6f1c1c1e-58a6-4b0e-8a34-6a4c4d7a1d12", user, room, body)


async def test_the_memory_outbox_keeps_what_the_other_one_keeps(tmp_path: Path) -> None:
    for outbox in (MemoryOutbox(), SqliteOutbox(tmp_path / "outbox")):
        await outbox.open("ws://site/ws/chat/")
        item = outbox_item("kept", user="1", room="1")
        await outbox.add(item)
        await outbox.add(item)
        assert await outbox.load("1") == [item]
        await outbox.remove([item.client_id, "unknown"])
        assert await outbox.load("1") == []
        await outbox.close()


@pytest.mark.slow
async def test_twenty_clients_post_a_hundred_messages_each(server: FakeServer, connect: Connect) -> None:
    clients = [await connect() for _ in range(20)]
    rooms = [await client.room("1") for client in clients]

    async def post_all(number: int) -> None:
        for each in range(100):
            await rooms[number].post(f"{number}:{each}")

    async def read_all(number: int) -> list[int]:
        numbers = []
        async for event in rooms[number].events():
            if isinstance(event, protocol.MessagePosted):
                numbers.append(event.message.number)
            if len(numbers) == 2000:
                return numbers
        return numbers

    readers = [asyncio.create_task(read_all(number)) for number in range(20)]
    posters = [asyncio.create_task(post_all(number)) for number in range(20)]
    for _ in range(3):
        enough = len(server.rooms["1"].messages) + 300
        await until(lambda enough=enough: len(server.rooms["1"].messages) >= enough)  # type: ignore[misc]
        server.break_connections()
    await asyncio.gather(*posters)
    assert await asyncio.gather(*readers) == [list(range(1, 2001))] * 20


class FullOutbox(MemoryOutbox):
    """A disk that is full until ``is_full`` says otherwise."""

    is_full = True

    async def add(self, item: OutboxItem) -> None:
        await asyncio.sleep(0)
        if self.is_full:
            raise OSError("No space left on device")
        await super().add(item)


async def test_a_post_that_the_outbox_could_not_take_is_sent_by_its_repeat(
    server: FakeServer, connect: Connect
) -> None:
    outbox = FullOutbox()
    room = await (await connect(outbox=outbox)).room("1")
    client_id = str(uuid.uuid4())
    outcomes = await asyncio.gather(
        *[room.post("at last", client_id=client_id) for _ in range(2)], return_exceptions=True
    )
    assert [type(each) for each in outcomes] == [OSError, OSError]
    assert server.rooms["1"].messages == []
    outbox.is_full = False
    assert (await room.post("at last", client_id=client_id)).number == 1


async def test_a_caller_that_gives_up_stops_neither_the_message_nor_another_caller(
    server: FakeServer, connect: Connect
) -> None:
    client = await connect()
    room = await client.room("1")
    await server.stop()
    client_id = str(uuid.uuid4())
    first, second = (asyncio.create_task(room.post("once", client_id=client_id)) for _ in range(2))
    await room.until(lambda each: len(each.pending) == 1)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    third = asyncio.create_task(room.post("once", client_id=client_id))
    await server.start()
    assert [(await second).number, (await third).number] == [1, 1]
    assert [each.body for each in server.rooms["1"].messages] == ["once"]


async def test_a_post_that_finds_the_outbox_full_after_all_is_not_sent_by_the_next_run(
    connect: Connect,
) -> None:
    outbox = MemoryOutbox()
    client = await connect(outbox=outbox)
    client.core._outbox_at_most = 1
    room = await client.room("1")
    results = await asyncio.gather(*(room.post(body) for body in ("a", "b", "c")), return_exceptions=True)
    refused = [each for each in results if isinstance(each, OutboxFull)]
    assert refused and len(refused) + sum(isinstance(each, protocol.PostResult) for each in results) == 3
    await client.aclose()
    assert await outbox.load(ANA.id) == []


async def test_an_outbox_that_could_not_be_written_once_is_emptied_later(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    outbox = MemoryOutbox()
    client = await connect(outbox=outbox)
    room = await client.room("1")
    remove = outbox.remove
    failures = 0

    async def full_once(client_ids: list[str]) -> None:
        nonlocal failures
        failures += 1
        if failures == 1:
            raise OSError("No space left on device")
        await remove(client_ids)

    monkeypatch.setattr(outbox, "remove", full_once)
    for body in ("a", "b"):
        await room.post(body)
    await client.aclose()
    assert failures > 1
    assert await outbox.load(ANA.id) == []
