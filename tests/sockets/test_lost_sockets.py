"""What becomes of changes whose socket ends before they are stored."""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any
from uuid import uuid4

import pytest

from chat.models import Message, Room
from chat.runtime import pools
from chat.services.changes import Call
from chat.services.writer import writer
from tests.cast import fresh, numbers, said
from tests.client.waiting import until
from tests.sockets.socket import WAIT_S, Socket, socket_of

pytestmark = pytest.mark.usefixtures("socket_process")


@asynccontextmanager
async def busy_writer(person: Any, *sockets: Socket) -> AsyncIterator[None]:
    """The writer stores nothing until the end of the block."""
    for each in sockets:  # to sign in takes reading the database
        assert await each.code_of("ping") == ""
    entered, opened = threading.Event(), threading.Event()

    def hold() -> None:
        entered.set()
        assert opened.wait(WAIT_S)

    held = writer.submit(Call(person, hold))
    try:
        assert await asyncio.to_thread(entered.wait, WAIT_S)
        yield
    finally:
        opened.set()
        await held


def waiting_for(person: Any) -> int:
    return writer._waiting._counts[str(person.pk)]


async def post(socket: Socket, room: Room) -> int:
    return await socket.send("message.post", room=str(room.pk), client_id=str(uuid4()), body="hi")


async def test_a_post_ends_with_its_socket_because_its_sender_sends_it_again(ana: Any, ben: Any, lobby: Room) -> None:
    async with socket_of(ben) as bens, AsyncExitStack() as anas_socket:
        anas = await anas_socket.enter_async_context(socket_of(ana))
        async with busy_writer(ben, anas, bens):
            await post(anas, lobby)
            await until(lambda: waiting_for(ana) == 1)
            await anas_socket.aclose()
            ref = await post(bens, lobby)
            await until(lambda: waiting_for(ben) == 2)
        assert (await bens.reply(ref))["number"] == 1
    await until(lambda: waiting_for(ana) == 0)
    assert await pools.site.run(numbers, lobby) == [1]


async def test_any_other_change_outlives_its_socket_because_nobody_sends_it_again(
    ana: Any, ben: Any, lobby: Room
) -> None:
    message: Message = await pools.site.run(said, ana, lobby)
    async with AsyncExitStack() as anas_socket:
        anas = await anas_socket.enter_async_context(socket_of(ana))
        async with busy_writer(ben, anas):
            await anas.send("message.edit", message=str(message.pk), body="better")
            await until(lambda: waiting_for(ana) == 1)
            await anas_socket.aclose()
    await until(lambda: waiting_for(ana) == 0)
    assert (await pools.site.run(fresh, message)).body == "better"


async def test_a_change_that_waits_too_long_is_answered_busy_on_a_live_socket(
    ana: Any, ben: Any, lobby: Room, settings: Any
) -> None:
    settings.CHAT = {**settings.CHAT, "DEADLINE_S": 1.0, "IDLE_TRANSACTION_S": 0.1}
    async with socket_of(ana) as anas:
        async with busy_writer(ben, anas):
            refs = [await post(anas, lobby), await anas.send("room.leave", room=str(lobby.pk))]
            await until(lambda: waiting_for(ana) == 2)
            await until(lambda: writer.oldest_waiting_s() > 1.1)
        answers = [await anas.reply(ref) for ref in refs]
    assert [(each["code"], each["retry"]) for each in answers] == [("server.busy", True)] * 2
    assert await pools.site.run(numbers, lobby) == []


async def test_hello_announces_the_deadline(ana: Any, lobby: Room, settings: Any) -> None:
    settings.CHAT = {**settings.CHAT, "DEADLINE_S": 12.5}
    async with socket_of(ana) as anas:
        assert (await anas.event("hello"))["limits"]["deadline_s"] == 12.5
