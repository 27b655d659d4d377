"""Rooms, members, read pointers, and what crosses processes (sections 2 and 3)."""

import json
from uuid import uuid4

import pytest

from tests.end_to_end.talk import Talk, talk_as
from tests.rig.four import BACKENDS
from tests.rig.site import Site


async def test_joining_and_leaving_an_open_room(site: Site, ana: Talk, ben: Talk):
    room = (await ana.call("room.create", name="Lobby", kind="open", topic="all of us"))["room"]["id"]
    await ana.follow(room)
    listed = await ben.call("room.list", scope="open")
    assert room in [each["id"] for each in listed["rooms"]]
    joined = await ben.call("room.join", room=room)
    assert joined["room"]["role"] == "member"
    assert (await ana.event("member.joined", room=room))["member"]["user"]["name"] == "ben"
    await ben.event("room.added")
    await ben.call("room.leave", room=room)
    await ben.call("room.leave", room=room)
    await ana.event("member.left", room=room)
    await ben.event("room.removed", room=room)


async def test_there_is_one_direct_room_of_two_people(site: Site, ana: Talk, ben: Talk):
    one = (await ana.call("room.direct", users=[site.user("ben").id]))["room"]
    other = (await ben.call("room.direct", users=[site.user("ana").id]))["room"]
    assert one["id"] == other["id"]
    assert (one["name"], other["name"]) == ("ben", "ana")
    assert (await ana.refused("room.direct", users=["999999"]))["code"] == "user.not_found"


async def test_a_direct_room_appears_with_its_first_message(site: Site, ana: Talk):
    cleo = await talk_as(site.ws_url, site.user("cleo"))
    room = (await ana.call("room.direct", users=[site.user("cleo").id]))["room"]["id"]
    await cleo.quiet()
    assert not cleo.of_type("room.added")
    await ana.post(room, "psst")
    added = await cleo.event("room.added")
    assert (added["state"]["id"], added["state"]["unread"]) == (room, 1)
    await cleo.close()


async def test_a_read_pointer_moves_on_all_devices_and_never_back_unless_forced(
    site: Site, ana: Talk, ben: Talk, shared: str
):
    other_device = await talk_as(site.ws_url, site.user("ben"))
    for place in range(4):
        await ana.post(shared, f"@ben {place}")
    read = await ben.call("read", room=shared, number=3)
    assert (read["read"], read["unread"], read["mentions"]) == (3, 1, 1)
    assert (await other_device.event("read.changed", rev=read["rev"]))["read"] == 3
    assert await ben.call("read", room=shared, number=1) == read
    forced = await ben.call("read", room=shared, number=1, force=True)
    assert (forced["read"], forced["unread"]) == (1, 3)
    assert forced["rev"] > read["rev"]
    await ben.quiet()
    assert not ben.of_type("read.changed"), "the device that asked has its reply"
    await other_device.close()


async def test_an_archived_room_takes_nothing_and_shows_everything(ana: Talk, ben: Talk, shared: str):
    await ana.post(shared, "kept")
    await ana.call("room.update", room=shared, archived=True)
    assert (await ben.event("room.changed", room=shared))["state"]["archived"] is True
    error = await ben.refused("message.post", room=shared, client_id=str(uuid4()), body="x")
    assert error["code"] == "room.archived"
    assert len((await ben.call("history", room=shared))["messages"]) == 1


async def test_typing_reaches_the_others_and_not_oneself(site: Site, ana: Talk, ben: Talk, shared: str):
    await ana.socket.send(json.dumps({"type": "typing", "room": shared, "active": True}))
    typing = await ben.event("typing", room=shared)
    assert (typing["user"], typing["active"]) == (site.user("ana").id, True)
    await ana.quiet()
    assert not ana.of_type("typing")


async def test_a_hint_does_not_come_back_to_the_process_it_came_from(ana: Talk, ben: Talk, shared: str):
    for place in range(3):
        await ana.socket.send(json.dumps({"type": "typing", "room": shared, "active": bool(place % 2)}))
    await ana.post(shared, "an echo would have been here by now")
    await ben.message("an echo would have been here by now")
    await ben.quiet()
    assert len(ben.of_type("typing")) == 3


async def test_unsync_ends_an_earlier_sync(ana: Talk, ben: Talk, shared: str):
    await ben.socket.send(
        json.dumps(
            [
                {"type": "sync", "ref": 501, "rooms": {shared: None}},
                {"type": "unsync", "ref": 502, "rooms": [shared]},
            ]
        )
    )
    await ben.reply(502)
    await ana.post(shared, "not wanted")
    await ana.message("not wanted")
    await ben.quiet()
    assert not ben.of_type("message.posted")


@pytest.mark.parametrize("backend", [each for each in BACKENDS if each.layer == "redis"], ids=str, indirect=True)
async def test_a_notice_of_another_process_reaches_its_person(site: Site, ana: Talk):
    site.python(
        "from chat import api; from django.contrib.auth.models import User\n"
        "api.notify({'hint': 1}, users=[User.objects.get(username='ana')])"
    )
    assert (await ana.event("notice"))["payload"] == {"hint": 1}


async def test_a_post_from_another_process_arrives_within_the_poll(site: Site, ana: Talk, room: str):
    await ana.follow(room)
    site.python(
        "from chat import api; from django.contrib.auth.models import User\n"
        f"api.post({room}, User.objects.get(username='ana'), 'from a shell')"
    )
    await ana.message("from a shell")
