"""The power is cut while people write: what was acknowledged is there afterwards, in one order, once.

SQLite's file lies on a disk that loses what was not flushed (tests/rig/disk.py). tests/end_to_end/
test_acknowledged_is_on_disk.py shows for PostgreSQL as well that the flush comes first.
"""

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from uuid import UUID, uuid4

import pytest

from tests.end_to_end.talk import Talk, talk_as
from tests.rig.disk import Disk, NotPermitted
from tests.rig.factory import SiteFactory
from tests.rig.site import Site, copy_sqlite

PEOPLE = ("ana", "ben", "cleo")
UNANSWERED = 6
"""How many posts of each person are under way."""
ENOUGH = 150


@pytest.fixture
def disk() -> Iterator[Disk]:
    disk = Disk()
    try:
        yield disk
    finally:
        disk.remove()


@pytest.fixture
def site(make_site: SiteFactory, disk: Disk, request: pytest.FixtureRequest) -> Site:
    """A site that is yet to be started, with its database on the disk; a test may give SQLite other settings."""
    site = make_site(processes=0, env={"TEST_PRAGMAS": request.param})
    copy_sqlite(site.folder / "db.sqlite3", disk.platter / "db.sqlite3")
    site.environment["DATABASE_URL"] = f"sqlite:///{disk.path}/db.sqlite3"
    try:
        disk.plug_in()
    except NotPermitted as error:
        pytest.skip(f"No file system can be mounted here: {error}")
    return site


class Writer:
    """Posts without a pause, and knows afterwards what was acknowledged."""

    def __init__(self, talk: Talk, room: str):
        self._talk = talk
        self._room = room
        self._sent: dict[int, str] = {}

    def acknowledged(self) -> set[str]:
        return {self._sent[ref] for ref, reply in self._talk.replies.items() if ref in self._sent and reply["ok"]}

    async def write(self, answers: "asyncio.Queue[None]") -> None:
        while True:
            client_id = str(uuid4())
            ref = await self._talk.send("message.post", room=self._room, client_id=client_id, body=client_id)
            self._sent[ref] = client_id
            await self._talk.reply(ref)
            answers.put_nowait(None)


async def write_until_cut(site: Site, disk: Disk, room: str, *, keeps_half: bool = False) -> set[str]:
    """Cut the power of site and disk while people post to the room; return the client_ids that were acknowledged."""
    talks = [await talk_as(site.ws_url, site.user(name)) for name in PEOPLE]
    writers = [Writer(talk, room) for talk in talks for _ in range(UNANSWERED)]
    for talk in talks:
        await talk.call("room.join", room=room)
    answers: asyncio.Queue[None] = asyncio.Queue()
    tasks = [asyncio.create_task(writer.write(answers)) for writer in writers]
    async with asyncio.timeout(30):
        for _ in range(ENOUGH):
            await answers.get()
    if keeps_half:  # what the site says while its disk is gone is heard as well
        await asyncio.to_thread(disk.cut_power, keeps_half=True)
    await asyncio.to_thread(site.processes[0].kill)
    if not keeps_half:
        await asyncio.to_thread(disk.cut_power)
    for talk in talks:
        await talk.closed()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return set().union(*(writer.acknowledged() for writer in writers))


async def new_room(site: Site) -> str:
    talk = await talk_as(site.ws_url, site.user("olga"))
    room = (await talk.call("room.create", name="Lobby", kind="open"))["room"]["id"]
    await talk.close()
    return str(room)


def stored(disk: Disk) -> list[tuple[str, int]]:
    """The client_ids and numbers of all messages, in order."""
    with closing(sqlite3.connect(disk.path / "db.sqlite3")) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        rows = database.execute("SELECT client_id, number FROM chat_message ORDER BY number").fetchall()
    return [(str(UUID(client_id)), number) for client_id, number in rows]


@pytest.mark.parametrize("site", ["PRAGMA wal_autocheckpoint = 40;"], indirect=True, ids=["FULL"])
async def test_what_was_acknowledged_is_there_after_each_power_cut(site: Site, disk: Disk) -> None:
    size = (disk.platter / "db.sqlite3").stat().st_size
    site.start()
    room = await new_room(site)
    acknowledged: set[str] = set()
    for keeps_half in (False, True):
        acknowledged |= await write_until_cut(site, disk, room, keeps_half=keeps_half)
        disk.plug_in()
        messages = stored(disk)
        assert acknowledged <= {client_id for client_id, _ in messages}
        assert [number for _, number in messages] == list(range(1, len(messages) + 1))
        await asyncio.to_thread(site.processes[0].restart)
    assert len(acknowledged) >= 2 * ENOUGH
    assert (disk.platter / "db.sqlite3").stat().st_size > size, "the log was copied into the database meanwhile"
    talk = await talk_as(site.ws_url, site.user("ana"))
    history = await talk.call("history", room=room)
    assert history["messages"][-1]["client_id"] == messages[-1][0]
    assert (await talk.post(room, "after it"))["number"] == len(messages) + 1
    await talk.close()


@pytest.mark.parametrize("site", [f"PRAGMA synchronous = {word};" for word in ("OFF", "NORMAL")], indirect=True)
async def test_without_full_messages_are_lost(site: Site, disk: Disk) -> None:
    site.start()
    acknowledged = await write_until_cut(site, disk, await new_room(site))
    disk.plug_in()
    assert acknowledged - {client_id for client_id, _ in stored(disk)}
