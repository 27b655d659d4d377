"""Who is over a limit is refused before any work is done for them, and delays nobody."""

import asyncio
import threading
from contextlib import AsyncExitStack
from typing import Any
from unittest.mock import patch
from uuid import uuid4

import pytest

from chat.conf import ChatSettings
from chat.models import Room
from chat.runtime import pools
from chat.services.changes import Call
from chat.services.limits import COSTS, READ_COSTS, SYNC_COSTS
from chat.services.writer import writer
from chat.sockets.commands import messages
from chat.sockets.commands.context import Read, SignInCommand, Stream, Write
from chat.sockets.commands.registry import COMMANDS
from chat.wire import protocol
from tests.cast import numbers, said
from tests.client.waiting import until
from tests.sockets.socket import WAIT_S, socket_of

pytestmark = pytest.mark.usefixtures("socket_process")
NOWHERE = "987654321"
EXAMPLES: dict[str, dict[str, Any]] = {
    "message.post": {"room": NOWHERE, "body": "hi"},
    "message.edit": {"message": NOWHERE, "body": "hi"},
    "message.delete": {"message": NOWHERE},
    "reaction.add": {"message": NOWHERE, "emoji": "👍"},
    "reaction.remove": {"message": NOWHERE, "emoji": "👍"},
    "room.create": {"name": "", "kind": "open"},
    "room.direct": {"users": [NOWHERE]},
    "room.update": {"room": NOWHERE, "name": "x"},
    "room.join": {"room": NOWHERE},
    "room.leave": {"room": NOWHERE},
    "member.add": {"room": NOWHERE, "user": NOWHERE},
    "member.remove": {"room": NOWHERE, "user": NOWHERE},
    "member.role": {"room": NOWHERE, "user": NOWHERE, "role": "member"},
    "read": {"room": NOWHERE, "number": 1},
}


def test_every_command_that_changes_something_has_a_limit() -> None:
    writes = {kind for kind, handler in COMMANDS.items() if isinstance(handler, Write)}
    assert COSTS.keys() == writes
    assert len(EXAMPLES) == len(writes)


@pytest.mark.parametrize("kind", EXAMPLES)
async def test_a_burst_goes_through_and_the_next_is_told_to_wait(ana: Any, ben: Any, settings: Any, kind: str) -> None:
    slow = {"POST_RATE": 0.001, "POST_BURST": 10, "CHANGE_RATE": 0.001, "CHANGE_BURST": 10}
    settings.CHAT = {**settings.CHAT, **slow}
    (cost,) = [COSTS[each] for each in COSTS if each.__struct_config__.tag == kind]  # type: ignore[attr-defined]
    fields = EXAMPLES[kind]

    def command() -> dict[str, Any]:
        return {**fields, "client_id": str(uuid4())} if kind == "message.post" else fields

    async with socket_of(ana) as one, socket_of(ana) as two, socket_of(ben) as bens:
        for place in range(int(10 / cost)):
            assert await (one, two)[place % 2].code_of(kind, **command()) != "rate.limited"
        for each in (one, two):
            assert await each.code_of(kind, **command()) == "rate.limited", "over all of the person's sockets"
        assert await bens.code_of(kind, **command()) != "rate.limited"


READS: dict[str, dict[str, Any]] = {
    "auth": {"token": "wrong"},
    "history": {"room": NOWHERE},
    "member.list": {"room": NOWHERE},
    "room.list": {"scope": "mine"},
    "presence.set": {"status": "away"},
}
SYNC = {"rooms": {NOWHERE: None}}


def test_every_command_that_only_reads_has_a_limit() -> None:
    reads = {kind for kind, handler in COMMANDS.items() if isinstance(handler, Read | Stream | SignInCommand)}
    assert READ_COSTS.keys() | SYNC_COSTS.keys() == reads
    assert READS.keys() | {"sync", "unsync"} == {each.__struct_config__.tag for each in reads}  # type: ignore[attr-defined]


@pytest.mark.parametrize("kind", READS)
async def test_reads_have_one_limit_together_over_all_sockets(ana: Any, ben: Any, settings: Any, kind: str) -> None:
    settings.CHAT = {**settings.CHAT, "READ_RATE": 0.001, "READ_BURST": 6}
    async with socket_of(ana) as one, socket_of(ana) as two, socket_of(ben) as bens:
        assert await two.code_of("ping") == ""
        for _ in range(6):
            await one.call("history", room=NOWHERE)
        with patch.object(pools.readers, "run_for", side_effect=AssertionError("read")):
            assert await two.code_of(kind, **READS[kind]) == "rate.limited"
        assert await bens.code_of(kind, **READS[kind]) != "rate.limited"
        assert await two.code_of("ping") == ""
        assert await two.code_of("sync", **SYNC) == "", "reads without end keep no page from being live"


async def test_an_auth_without_a_token_looks_nothing_up_and_counts_for_little(ana: Any, settings: Any) -> None:
    settings.CHAT = {**settings.CHAT, "READ_RATE": 0.001, "READ_BURST": 6}
    async with socket_of(ana) as socket:
        for _ in range(6):
            assert await socket.code_of("auth", token=None) != "rate.limited"
        assert await socket.code_of("auth", token=None) == "rate.limited"


async def test_syncs_have_a_limit_over_all_sockets_and_following_less_has_none(
    ana: Any, ben: Any, settings: Any
) -> None:
    settings.CHAT = {**settings.CHAT, "SYNC_RATE": 0.001, "SYNC_BURST": 12}
    async with socket_of(ana) as one, socket_of(ana) as two, socket_of(ben) as bens:
        assert await two.code_of("ping") == ""
        for _ in range(2):
            assert await one.code_of("sync", **SYNC) == ""
        with patch.object(pools.readers, "run_for", side_effect=AssertionError("read")):
            assert await two.code_of("sync", **SYNC) == "rate.limited"
        assert await bens.code_of("sync", **SYNC) == ""
        assert await two.code_of("unsync", rooms=[NOWHERE]) == ""
        assert await two.code_of("history", room=NOWHERE) == "room.not_found"


async def test_each_room_of_a_sync_counts(ana: Any, settings: Any) -> None:
    settings.CHAT = {**settings.CHAT, "SYNC_RATE": 0.001, "SYNC_BURST": 50}
    async with socket_of(ana) as socket:
        assert await socket.code_of("sync", rooms=dict.fromkeys(map(str, range(900_000, 900_040)))) == ""
        assert await socket.code_of("sync", rooms={NOWHERE: None}) == "rate.limited"


def test_twenty_pages_with_two_hundred_rooms_may_sync_at_once() -> None:
    at_once = ChatSettings()
    cost = SYNC_COSTS[protocol.Sync] + 200
    assert at_once.sockets_per_user * cost <= at_once.sync_burst


async def test_over_the_limit_nothing_is_rendered_or_queued(ana: Any, lobby: Room, settings: Any) -> None:
    settings.CHAT = {**settings.CHAT, "POST_RATE": 0.001, "POST_BURST": 1, "CHANGE_RATE": 0.001, "CHANGE_BURST": 2}
    message = await pools.site.run(said, ana, lobby)
    async with socket_of(ana) as socket:
        post = {"room": str(lobby.pk), "body": "**bold**"}
        edit = {"message": str(message.pk), "body": "**bolder**"}
        assert (await socket.call("message.post", client_id=str(uuid4()), **post))["number"] == 2
        assert "seq" in await socket.call("message.edit", **edit)
        with (
            patch.object(pools.render, "run_for", side_effect=AssertionError("rendered")),
            patch.object(writer, "submit", side_effect=AssertionError("queued")),
        ):
            assert await socket.code_of("message.post", client_id=str(uuid4()), **post) == "rate.limited"
            assert await socket.code_of("message.edit", **edit) == "rate.limited"
    assert await pools.site.run(numbers, lobby) == [1, 2]


async def test_plain_text_waits_for_no_renderer_whatever_space_is_around_it(ana: Any, lobby: Room) -> None:
    post = {"room": str(lobby.pk), "body": " a line, and the next\nof it \n\n"}
    async with socket_of(ana) as socket:
        with patch.object(pools.render, "run_for", side_effect=AssertionError("rendered")):
            assert (await socket.call("message.post", client_id=str(uuid4()), **post))["number"] == 1


async def test_a_repeat_that_finds_the_limit_used_up_is_answered_after_the_wait_it_is_told(
    ana: Any, lobby: Room, settings: Any
) -> None:
    settings.CHAT = {**settings.CHAT, "POST_RATE": 5.0, "POST_BURST": 1}
    post = {"room": str(lobby.pk), "client_id": str(uuid4()), "body": "once"}
    async with socket_of(ana) as socket:
        first = await socket.call("message.post", **post)
        refusal = await socket.call("message.post", **post)
        assert (refusal["code"], refusal["retry"]) == ("rate.limited", True)
        await asyncio.sleep(refusal["retry_after_ms"] / 1000)
        again = await socket.call("message.post", **post)
    assert again == {**first, "duplicate": True}
    assert await pools.site.run(numbers, lobby) == [1]


async def test_one_person_waits_for_the_writer_with_so_many_changes_over_all_sockets(
    ana: Any, ben: Any, lobby: Room, settings: Any
) -> None:
    settings.CHAT = {**settings.CHAT, "WAITING_CHANGES": 3}
    entered, opened = threading.Event(), threading.Event()

    def hold() -> None:
        entered.set()
        assert opened.wait(WAIT_S)

    def post() -> dict[str, Any]:
        return {"room": str(lobby.pk), "client_id": str(uuid4()), "body": "hi"}

    async with socket_of(ana) as one, socket_of(ana) as two, socket_of(ben) as bens:
        for each in (one, two, bens):
            assert await each.code_of("ping") == ""
        held = writer.submit(Call(ben, hold))
        try:
            assert await asyncio.to_thread(entered.wait, WAIT_S)
            waiting = [(each, await each.send("message.post", **post())) for each in (one, two, one)]
            await until(lambda: writer._waiting._counts[str(ana.pk)] == len(waiting))
            for each in (one, two):
                assert await each.code_of("message.post", **post()) == "server.busy"
            waiting.append((bens, await bens.send("message.post", **post())))
            opened.set()
            assert {(await each.reply(ref))["number"] for each, ref in waiting} == {1, 2, 3, 4}
            assert (await one.call("message.post", **post()))["number"] == 5, "what was answered waits no more"
        finally:
            opened.set()
            await held


async def test_one_person_has_so_many_texts_rendered_at_once_over_all_sockets(ana: Any, ben: Any, lobby: Room) -> None:
    entered, opened = threading.Event(), threading.Event()

    def hold() -> None:
        entered.set()
        assert opened.wait(WAIT_S)

    def post() -> dict[str, Any]:
        return {"room": str(lobby.pk), "client_id": str(uuid4()), "body": "**bold**"}

    async with AsyncExitStack() as sockets:
        anas = [await sockets.enter_async_context(socket_of(ana)) for _ in range(messages.RENDERED_AT_ONCE + 1)]
        bens = await sockets.enter_async_context(socket_of(ben))
        for each in (*anas, bens):
            assert await each.code_of("ping") == ""
        held = asyncio.create_task(pools.render.run(hold))
        try:
            assert await asyncio.to_thread(entered.wait, WAIT_S)
            *granted, last = anas
            waiting = [(each, await each.send("message.post", **post())) for each in granted]
            await until(lambda: messages._rendering[str(ana.pk)] == len(waiting))
            assert await last.code_of("message.post", **post()) == "server.busy"
            waiting.append((bens, await bens.send("message.post", **post())))
        finally:
            opened.set()
            await held
        assert {(await each.reply(ref))["number"] for each, ref in waiting} == {1, 2, 3, 4, 5}
        assert (await last.call("message.post", **post()))["number"] == 6
    assert not messages._rendering
