"""A message is acknowledged only after the database has flushed it to the disk.

The tests watch the system calls of the site and of PostgreSQL: the write that has the message, the flush of that file,
the frame that tells of it. Each test is also run with a setting that gives the guarantee up, and must notice.
"""

import asyncio
import re
import shutil
from pathlib import Path
from uuid import uuid4

import pytest

from tests.conftest import CI
from tests.end_to_end.talk import Talk, talk_as
from tests.rig.factory import SiteFactory
from tests.rig.four import Backend
from tests.rig.postgres import PostgresServer
from tests.rig.site import Site
from tests.rig.system_calls import FLUSHES, SENDS, WRITES, Call, NotPermitted, watched

PEOPLE = ("ana", "ben", "cleo")
BATCHES, PER_PERSON, ALONE = 5, 8, 12
REF = re.compile(r'"ref":(\d+)')


class Told:
    """What the clients were told: for each change a word that only it contains, and where its reply went."""

    def __init__(self) -> None:
        self.replies: dict[str, tuple[int, int]] = {}
        """By that word: the port of the client, and the ref of the reply."""

    async def change(self, talk: Talk, kind: str, **fields: str) -> str:
        """Make a change whose ``…`` is replaced by a word of its own, and return the id in its result."""
        word = uuid4().hex
        # PostgreSQL's log has a header on each page, which may cut one of the three in two.
        filled = {name: value.replace("…", f"{word} {word} {word}") for name, value in fields.items()}
        ref = await talk.send(kind, **filled)
        reply = await talk.reply(ref)
        assert reply["ok"], reply
        self.replies[word] = (talk.socket.local_address[1], ref)
        return str(reply["result"].get("id", ""))

    async def post(self, talk: Talk, room: str) -> str:
        return await self.change(talk, "message.post", room=room, client_id=str(uuid4()), body="…")


async def talk_at_length(site: Site) -> Told:
    """Posts of three people at once, then one by one, edits and a new room among them."""
    told = Told()
    talks = [await talk_as(site.ws_url, site.user(name)) for name in PEOPLE]
    room = (await talks[0].call("room.create", name="Lobby", kind="open"))["room"]["id"]
    for talk in talks[1:]:
        await talk.call("room.join", room=room)
    for talk in talks:
        await talk.follow(room)
    for _ in range(BATCHES):
        await asyncio.gather(*(told.post(talk, room) for talk in talks for _ in range(PER_PERSON)))
    for turn in range(ALONE):
        talk = talks[turn % len(talks)]
        message = await told.post(talk, room)
        if turn % 4 == 0:
            await told.change(talk, "message.edit", message=message, body="…")
    await told.change(talks[0], "room.update", room=room, topic="…")
    for talk in talks:
        await talk.quiet()  # every event has left the server as well
        await talk.close()
    return told


def told_too_early(told: Told, calls: list[Call], port: int, log: str) -> list[str]:
    """Return the changes of which a client was told before the database had flushed them.

    Args:
        port: The server's own.
        log: What the paths of the database's write-ahead log have in common.
    """
    sends = [call for call in calls if call.name in SENDS and call.target.startswith(f"TCP:[127.0.0.1:{port}->")]
    writes = [call for call in calls if call.name in WRITES and log in call.target]
    flushes = [call for call in calls if call.name in FLUSHES and log in call.target]
    early = []
    for word, (client, ref) in told.replies.items():
        written = next((call for call in writes if word in call.data), None)
        flushed = written and next(
            (call for call in flushes if call.target == written.target and call.began > written.ended), None
        )
        replied = next(
            call for call in sends if call.target.endswith(f":{client}]") and str(ref) in REF.findall(call.data)
        )
        heard = next(call for call in sends if word in call.data)
        if flushed is None or min(replied.began, heard.began) < flushed.ended:
            early.append(word)
    return early


@pytest.fixture(scope="module", autouse=True)
def strace() -> None:
    if not shutil.which("strace"):
        (pytest.fail if CI else pytest.skip)("There is no strace to watch system calls with: install strace.")


async def watch(site: Site, folder: Path, postgres: PostgresServer | None = None) -> tuple[Told, list[Call]]:
    calls: list[Call] = []
    pids = [site.processes[0].pid, *(postgres.pids() if postgres else ())]
    try:
        with watched(pids, calls, folder):
            told = await talk_at_length(site)
    except NotPermitted as error:
        pytest.skip(f"strace may not watch other processes here: {error}")
    assert len(told.replies) == BATCHES * PER_PERSON * len(PEOPLE) + ALONE + ALONE // 4 + 1
    return told, calls


async def test_sqlite_has_flushed_a_change_before_anybody_is_told(make_site: SiteFactory, tmp_path: Path) -> None:
    site = make_site()
    told, calls = await watch(site, tmp_path)
    assert told_too_early(told, calls, site.processes[0].port, "db.sqlite3-wal") == []
    flushes = [call for call in calls if call.name in FLUSHES and call.target.endswith("db.sqlite3-wal")]
    assert ALONE < len(flushes) < len(told.replies), "some changes shared a flush"


@pytest.mark.parametrize("synchronous", ["NORMAL", "OFF"])
async def test_sqlite_without_full_is_found_out(make_site: SiteFactory, tmp_path: Path, synchronous: str) -> None:
    site = make_site(env={"TEST_PRAGMAS": f"PRAGMA synchronous={synchronous};"})
    told, calls = await watch(site, tmp_path)
    assert len(told_too_early(told, calls, site.processes[0].port, "db.sqlite3-wal")) > len(told.replies) / 2


async def test_postgresql_has_flushed_a_change_before_anybody_is_told(
    make_site: SiteFactory, tmp_path: Path, postgres: PostgresServer
) -> None:
    site = make_site(Backend("postgresql", "memory"))
    told, calls = await watch(site, tmp_path, postgres)
    assert told_too_early(told, calls, site.processes[0].port, "/pg_wal/") == []
    flushes = [call for call in calls if call.name in FLUSHES and "/pg_wal/" in call.target]
    assert ALONE < len(flushes) < len(told.replies), "some changes shared a flush"


async def test_postgresql_without_synchronous_commit_is_found_out(
    make_site: SiteFactory, tmp_path: Path, postgres: PostgresServer
) -> None:
    site = make_site(Backend("postgresql", "memory"), processes=0)
    postgres.execute(f'ALTER DATABASE "{site.database}" SET synchronous_commit = off')
    site.start()
    told, calls = await watch(site, tmp_path, postgres)
    # Not all of them: the WAL writer flushes several times a second.
    assert told_too_early(told, calls, site.processes[0].port, "/pg_wal/")
