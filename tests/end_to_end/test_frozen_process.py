"""One process that stands still, or a room that somebody keeps locked, stops nobody else; and what was refused for good
in the meantime is never stored afterwards."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any
from uuid import uuid4

import psycopg

from tests.end_to_end.talk import Talk, talk_as
from tests.rig.factory import SiteFactory
from tests.rig.four import Backend
from tests.rig.site import Site

KEPT_S = 1.0
IMPATIENT = {"CHAT_DEADLINE_S": "3.5", "CHAT_IDLE_TRANSACTION_S": "0.5"}
"""So that a change is tried for ``KEPT_S``: 3.5 s less 0.5 s less the 2 s of a COMMIT."""


@contextmanager
def locked(site: Site, room: str) -> Iterator[psycopg.Connection[Any]]:
    """Somebody else holds the room's lock."""
    with psycopg.connect(site.environment["DATABASE_URL"]) as connection:
        connection.execute("SELECT 1 FROM chat_room WHERE id = %s FOR UPDATE", [room])
        yield connection
        connection.rollback()


@asynccontextmanager
async def talks(site: Site, *names: str, process: int = 0) -> AsyncIterator[list[Talk]]:
    made = [await talk_as(site.processes[process].ws_url, site.user(name)) for name in names]
    yield made
    for each in made:
        await each.close()


async def room_of(talk: Talk, *others: Talk) -> str:
    room: str = (await talk.call("room.create", name="Lobby", kind="open"))["room"]["id"]
    for each in others:
        await each.call("room.join", room=room)
    return room


async def test_a_post_that_waited_behind_a_lock_when_its_socket_ended_is_not_stored_later(
    make_site: SiteFactory,
) -> None:
    """Its sender goes on elsewhere, is refused there for good, and is told so."""
    site = make_site(Backend("postgresql", "redis"), processes=2)
    site.add_people("ana", "ben")
    async with talks(site, "ana", "ben") as (ana, ben), talks(site, "ana", process=1) as (elsewhere,):
        room, other = await room_of(ana, ben), await room_of(ana, ben)
        post = {"room": room, "client_id": str(uuid4()), "body": "ghost"}
        with locked(site, room):
            await ana.send("message.post", **post)
            await ben.post(other, "the writer has seen both")
            await ana.close()
        await elsewhere.call("room.leave", room=room)
        reply = await elsewhere.reply(await elsewhere.send("message.post", **post))
        assert reply["error"]["code"] == "room.forbidden"
        await ben.post(room, "and goes on")
        bodies = [each["body"] for each in (await ben.call("history", room=room))["messages"]]
    assert bodies == ["and goes on"]


async def test_a_post_that_lay_before_a_frozen_process_is_not_stored_when_it_thaws(make_site: SiteFactory) -> None:
    site = make_site(Backend("postgresql", "redis"), processes=2, env=IMPATIENT)
    site.add_people("ana", "ben")
    frozen = site.processes[0]
    async with talks(site, "ana") as (ana,), talks(site, "ben", process=1) as (ben,):
        room = await room_of(ana, ben)
        frozen.pause()
        refs = [await ana.send("message.post", room=room, client_id=str(uuid4()), body="old") for _ in range(3)]
        # The time is what is tested: the process must count it although it stood still.
        await asyncio.sleep(3.0 + KEPT_S)
        frozen.resume()
        assert [(await ana.reply(ref))["error"]["code"] for ref in refs] == ["server.busy"] * 3
        await ben.post(room, "new")
        bodies = [each["body"] for each in (await ben.call("history", room=room))["messages"]]
    assert bodies == ["new"]


async def test_a_locked_room_holds_up_nobody_in_another_room(make_site: SiteFactory) -> None:
    site = make_site(Backend("postgresql", "memory"))
    site.add_people("ana", "ben")
    async with talks(site, "ana", "ben") as (ana, ben):
        room, other = await room_of(ana, ben), await room_of(ana, ben)
        with locked(site, room):
            refs = [
                await ana.send("message.post", room=each, client_id=str(uuid4()), body=body)
                for each, body in ((room, "1"), (other, "2"), (room, "3"))
            ]
            async with asyncio.timeout(2):
                for n in range(10):
                    await ben.post(other, f"ben {n}")
            assert not ana.replies.keys() & set(refs), "her later post waits behind the first"
        assert [(await ana.reply(ref))["ok"] for ref in refs] == [True] * 3
        bodies = [each["body"] for each in (await ben.call("history", room=room))["messages"]]
    assert bodies == ["1", "3"]
