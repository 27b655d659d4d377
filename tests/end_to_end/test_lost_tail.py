"""A database that lost its newest changes, and nobody said so: no `chat_renew_epochs`, and people go on posting.

Whoever saw what was lost is told to start over. Whoever lost nothing is not.
"""

import asyncio
import shutil
from typing import Any

import pytest

from tests.end_to_end.talk import Talk, talk_as
from tests.rig.factory import SiteFactory
from tests.rig.four import Backend
from tests.rig.ports import wait_until
from tests.rig.postgres import PostgresServer
from tests.rig.proxy import Proxy
from tests.rig.site import Site


async def cursor_of(site: Site, name: str, room: str) -> dict[str, Any]:
    """The cursor that a client holds which has seen all there is."""
    talk = await talk_as(site.ws_url, site.user(name))
    await talk.follow(room)
    reset = await talk.event("reset", room=room)
    await talk.close()
    assert reset["run"]
    return {each: reset[each] for each in ("epoch", "seq", "run")}


async def outcome(site: Site, name: str, room: str, cursor: dict[str, Any]) -> str:
    talk = await talk_as(site.ws_url, site.user(name))
    answer = (await talk.follow(cursors={room: cursor}))[room]
    if answer == "reset":
        assert (await talk.event("reset", room=room))["reason"] == "epoch"
    await talk.close()
    return answer


async def stored(talk: Talk, room: str, body: str) -> None:
    """Post until it is acknowledged, as a client does."""
    client_id = f"00000000-0000-4000-8000-{abs(hash(body)) % 10**12:012}"
    async with asyncio.timeout(60):
        while True:
            reply = await talk.reply(await talk.send("message.post", room=room, client_id=client_id, body=body))
            if reply["ok"]:
                return
            assert reply["error"]["retry"], reply
            await asyncio.sleep(0.1)


async def everything(talk: Talk, room: str) -> list[str]:
    return [each["body"] for each in (await talk.call("history", room=room))["messages"]]


async def rooms_and_talks(site: Site) -> tuple[str, list[Talk]]:
    talks = [await talk_as(site.processes[-at].ws_url, site.user(name)) for at, name in enumerate(("ana", "ben"))]
    room = (await talks[0].call("room.create", name="Lobby", kind="open"))["room"]["id"]
    await talks[1].call("room.join", room=room)
    for each in talks:
        await each.follow(room)
    return room, talks


@pytest.mark.parametrize("lost", [1, 4])
async def test_a_fail_over_that_lost_a_short_tail_is_told_to_everybody_who_saw_it(
    make_site: SiteFactory, postgres: PostgresServer, lost: int
) -> None:
    """The database is replaced by an older copy beneath two running processes."""
    site = make_site(Backend("postgresql", "redis"), processes=2)
    site.add_people("ana", "ben")
    room, talks = await rooms_and_talks(site)
    await talks[0].post(room, "kept")
    await talks[1].message("kept")
    kept = await cursor_of(site, "ana", room)
    name = site.database
    postgres.copy(name, f"{name}_copy")
    for at in range(lost):
        await stored(talks[0], room, f"lost {at}")
    for each in talks:
        await each.message(f"lost {lost - 1}")
    saw = await cursor_of(site, "ben", room)
    greeted = await talk_as(site.ws_url, site.user("ana"))  # by a `hello` that speaks of what is about to be lost
    postgres.replace(name, f"{name}_copy", kept_as=f"{name}_old")
    after = [f"after {at}" for at in range(lost + 2)]
    for body in after:
        await stored(talks[1], room, body)
    for each in talks:
        await each.event("reset", room=room, reason="epoch")
        assert await everything(each, room) == ["kept", *after]
    assert [await outcome(site, "ana", room, cursor) for cursor in (kept, saw)] == ["live", "reset"]
    assert await greeted.follow(cursors={room: kept}) == {room: "reset"}
    postgres.drop(f"{name}_old")


async def test_a_file_that_is_put_back_by_cp_is_told_to_everybody_who_saw_more(make_site: SiteFactory) -> None:
    site = make_site(Backend("sqlite", "memory"))
    site.add_people("ana", "ben")
    room, talks = await rooms_and_talks(site)
    await talks[0].post(room, "kept")
    kept = await cursor_of(site, "ana", room)
    site.processes[0].stop()
    file, copy = site.folder / "db.sqlite3", site.folder / "copy"
    shutil.copyfile(file, copy)
    site.processes[0].start()
    talk = await talk_as(site.ws_url, site.user("ana"))
    for at in range(3):
        await talk.post(room, f"lost {at}")
    saw = await cursor_of(site, "ben", room)
    site.processes[0].stop()
    shutil.copyfile(copy, file)
    site.processes[0].start()
    # The page's own process is not the first to write: the file is the same to all of them.
    site.python(
        "from chat import api\n"
        "from django.contrib.auth import get_user_model\n"
        f"api.post({room}, get_user_model().objects.get(username='ana'), 'after 0')"
    )
    talk = await talk_as(site.ws_url, site.user("ana"))
    for at in range(1, 5):
        await talk.post(room, f"after {at}")
    assert [await outcome(site, "ana", room, cursor) for cursor in (kept, saw)] == ["live", "reset"]


async def test_a_standby_that_lags_and_is_promoted_is_told_to_everybody_who_saw_more(
    make_site: SiteFactory,
) -> None:
    primary = PostgresServer()
    primary.start()
    try:
        with Proxy(primary.port) as proxy:
            site = make_site(Backend("postgresql", "memory"), postgres=primary, database_port=proxy.port)
            site.add_people("ana", "ben")
            room, talks = await rooms_and_talks(site)
            await talks[0].post(room, "kept")
            standby = PostgresServer(standby_of=primary)
            standby.start()
            try:
                wait_until(lambda: standby.has_all_of(primary), "the standby has come up", 30)
                kept = await cursor_of(site, "ana", room)
                standby.fall_behind()
                await talks[0].post(room, "lost")
                await talks[1].message("lost")
                saw = await cursor_of(site, "ben", room)
                proxy.refuse()
                primary.kill()
                standby.promote()
                proxy.target_port = standby.port
                proxy.accept()
                for at in range(3):
                    await stored(talks[1], room, f"after {at}")
                for each in talks:
                    await each.event("reset", room=room, reason="epoch")
                    assert await everything(each, room) == ["kept", "after 0", "after 1", "after 2"]
                assert [await outcome(site, "ana", room, cursor) for cursor in (kept, saw)] == ["live", "reset"]
                site.stop()
            finally:
                standby.remove()
    finally:
        primary.remove()


async def test_a_restart_of_the_database_that_lost_nothing_resets_nobody(
    make_site: SiteFactory, postgres: PostgresServer
) -> None:
    site = make_site(Backend("postgresql", "memory"))
    site.add_people("ana", "ben")
    room, talks = await rooms_and_talks(site)
    await talks[0].post(room, "before")
    cursors = [await cursor_of(site, "ana", room)]
    for at in range(2):
        postgres.restart()
        await stored(talks[1], room, f"after {at}")
        cursors.append(await cursor_of(site, "ana", room))
    assert len({each["run"] for each in cursors}) == 3
    for each in talks:
        await each.message("after 1")
        assert [reset["reason"] for reset in each.of_type("reset")] == ["new"]
    assert {await outcome(site, "ana", room, cursor) for cursor in cursors} == {"live"}
