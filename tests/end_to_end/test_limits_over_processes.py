"""What a person uses of a limit in one process counts in the others."""

import asyncio
from uuid import uuid4

import pytest

from tests.end_to_end.talk import Talk, talk_as
from tests.rig.factory import SiteFactory
from tests.rig.four import BACKENDS

BURST = 5
WITH_REDIS = [each for each in BACKENDS if each.layer == "redis"]


async def is_granted(talk: Talk, room: str) -> bool:
    reply = await talk.reply(await talk.send("message.post", room=room, client_id=str(uuid4()), body="hi"))
    assert reply["ok"] or reply["error"]["code"] == "rate.limited"
    return bool(reply["ok"])


@pytest.mark.parametrize("backend", WITH_REDIS, ids=str)
async def test_who_has_used_their_burst_in_one_process_is_soon_refused_in_another(
    make_site: SiteFactory, backend: object
) -> None:
    site = make_site(backend, processes=2, env={"CHAT_POST_RATE": "0.001", "CHAT_POST_BURST": str(BURST)})  # type: ignore[arg-type]
    here, there = [await talk_as(process.ws_url, site.user("ana")) for process in site.processes]
    room = (await here.call("room.create", name="Room", kind="private"))["room"]["id"]
    assert [await is_granted(here, room) for _ in range(BURST + 1)] == [True] * BURST + [False]
    granted = 0
    while await is_granted(there, room):
        granted += 1
        assert granted < BURST, "it was told nothing"
        await asyncio.sleep(2)  # twice as long as processes take to tell each other
    await here.close()
    await there.close()
