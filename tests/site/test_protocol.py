"""The wire contract, sentence by sentence, against real daphne processes on all four back-ends (docs/protocol.md)."""

import asyncio
import contextlib
import json
from typing import Any
from uuid import uuid4

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.rig.four import BACKENDS
from tests.rig.site import Site
from tests.site.talk import Talk, open_talk, talk_as


@pytest.fixture
async def ana(site: Site) -> Any:
    talk = await talk_as(site.ws_url, site.user("ana"))
    yield talk
    await talk.close()


@pytest.fixture
async def ben(site: Site) -> Any:
    talk = await talk_as(site.ws_url, site.user("ben"))
    yield talk
    await talk.close()


@pytest.fixture
async def eve(site: Site) -> Any:
    """The outsider."""
    talk = await talk_as(site.ws_url, site.user("eve"))
    yield talk
    await talk.close()


@pytest.fixture
async def room(ana: Talk) -> str:
    """A new private room of ana's."""
    made = await ana.call("room.create", name="Staff", kind="private")
    return made["room"]["id"]


@pytest.fixture
async def shared(site: Site, ana: Talk, ben: Talk, room: str) -> str:
    """The same with ben in it, both following."""
    await ana.call("member.add", room=room, user=site.user("ben").id)
    await ana.follow(room)
    await ben.follow(room)
    return room


@pytest.fixture
def site(shared_site: Site) -> Site:
    return shared_site


# Connecting ----------------------------------------------------------------------------------------------------


async def test_hello_says_who_and_what(site: Site, ana: Talk):
    hello = await ana.event("hello")
    assert hello["protocol"] == 1
    assert hello["user"] == {"id": site.user("ana").id, "name": "ana", "avatar": None}
    assert hello["limits"]["frame_bytes"] == 65536
    assert hello["flow"] == {"frames": 64, "seconds": 10, "bytes": 262144}
    assert isinstance(hello["rooms_version"], int)


async def test_the_subprotocol_is_echoed_when_offered(site: Site):
    headers = {"Authorization": f"Bearer {site.token('ana')}"}
    talk = await open_talk(site.ws_url, subprotocols=["chat.v1"], additional_headers=headers)
    assert talk.socket.subprotocol == "chat.v1"
    await talk.close()


async def test_another_version_of_the_protocol_is_refused_visibly(site: Site):
    headers = {"Authorization": f"Bearer {site.token('ana')}"}
    talk = await open_talk(site.ws_url, subprotocols=["chat.v9"], additional_headers=headers)
    assert await talk.closed() == 4510


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "https://127.0.0.1", "http://127.0.0.1:1"])
async def test_a_wrong_origin_is_403_before_the_upgrade(site: Site, origin: str):
    headers = {"Origin": origin, "Cookie": site.session_cookie("ana")}
    with pytest.raises(InvalidStatus) as refused:
        await open_talk(site.ws_url, additional_headers=headers)
    assert refused.value.response.status_code == 403


async def test_a_wrong_origin_does_not_fall_through_to_a_right_token(site: Site):
    headers = {"Origin": "https://evil.example", "Authorization": f"Bearer {site.token('ana')}"}
    with pytest.raises(InvalidStatus):
        await open_talk(site.ws_url, additional_headers=headers)


async def test_a_session_of_the_sites_own_origin_is_signed_in(site: Site):
    talk = await open_talk(site.ws_url, additional_headers={"Origin": site.url, "Cookie": site.session_cookie("ana")})
    assert (await talk.event("hello"))["user"]["name"] == "ana"
    await talk.close()


async def test_a_cookie_without_an_origin_counts_for_nothing(site: Site):
    talk = await open_talk(site.ws_url, additional_headers={"Cookie": site.session_cookie("ana")})
    error = await talk.refused("ping")
    assert error["code"] == "auth.required"
    await talk.close()


async def test_a_wrong_bearer_token_is_refused_before_the_upgrade(site: Site):
    with pytest.raises(InvalidStatus) as refused:
        await open_talk(site.ws_url, additional_headers={"Authorization": "Bearer nonsense"})
    assert refused.value.response.status_code in (401, 403)


async def test_a_first_frame_with_a_token_signs_in(site: Site):
    talk = await open_talk(site.ws_url)
    assert (await talk.call("auth", token=site.token("ana")))["user"]["name"] == "ana"
    await talk.event("hello")
    await talk.close()


@pytest.mark.parametrize("token", ["nonsense", "", None])
async def test_a_first_frame_without_a_right_token_is_4501(site: Site, token: str | None):
    talk = await open_talk(site.ws_url)
    await talk.send("auth", token=token)
    assert await talk.closed() == 4501


async def test_no_token_within_the_time_limit_is_4401(site: Site):
    talk = await open_talk(site.ws_url)
    assert await talk.closed() == 4401


async def test_a_token_in_the_query_string_counts_for_nothing(site: Site):
    talk = await open_talk(f"{site.ws_url}?token={site.token('ana')}")
    assert (await talk.refused("ping"))["code"] == "auth.required"
    await talk.close()


async def test_auth_on_a_live_socket_renews_it_for_the_same_person_only(site: Site, ana: Talk):
    assert (await ana.call("auth", token=site.token("ana")))["user"]["name"] == "ana"
    assert (await ana.refused("auth", token=site.token("ben")))["code"] == "auth.invalid"
    await ana.call("auth", token=None)
    assert len(ana.of_type("hello")) >= 2


# Frames --------------------------------------------------------------------------------------------------------


async def test_an_array_of_commands_is_handled_in_order(ana: Talk):
    await ana.socket.send(json.dumps([{"type": "ping", "ref": 91, "ts": 1}, {"type": "ping", "ref": 92, "ts": "x"}]))
    assert (await ana.reply(91))["result"]["ts"] == 1
    assert (await ana.reply(92))["result"]["ts"] == "x"


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        ("nonsense", "frame.not_json"),
        ("[" * 5000, "frame.not_json"),
        ('"text"', "frame.not_json"),
        ('{"type":"ping"}', "command.invalid"),
        ('{"type":"ping","ref":0}', "command.invalid"),
        ('{"type":"ping","ref":1e30}', "command.invalid"),
        ('{"type":"ping","ref":1,"ts":' + "[" * 3000 + "]" * 3000 + "}", "frame.not_json"),
        ('{"type":"ping","ref":1,"ts":"' + "x" * 70_000 + '"}', "frame.too_large"),
    ],
)
async def test_a_bad_frame_gets_a_typed_error_and_the_socket_lives(ana: Talk, frame: str, code: str):
    await ana.socket.send(frame)
    error = await ana.event("error")
    assert error["error"]["code"] == code
    assert error["error"]["retry"] is False
    await ana.quiet()


async def test_a_bad_command_is_answered_under_its_ref_and_names_the_field(ana: Talk):
    error = await ana.refused("message.post", room="1", client_id="no uuid", body="x")
    assert (error["code"], error["field"]) == ("command.invalid", "client_id")
    assert (await ana.refused("nonsense"))["code"] == "command.unknown"
    assert (await ana.refused("ping", nonsense=1))["code"] == "command.invalid"
    assert (await ana.refused("presence.set", status="online"))["code"] == "command.unknown"


async def test_twenty_bad_frames_in_ten_seconds_close_the_socket(ana: Talk):
    for _ in range(20):
        await ana.socket.send("nonsense")
    assert await ana.closed() == 4029


async def test_many_bad_commands_in_one_frame_are_one_bad_frame(ana: Talk):
    await ana.socket.send(json.dumps([{"type": "nonsense", "ref": ref} for ref in range(100, 150)]))
    assert (await ana.reply(149))["error"]["code"] == "command.unknown"
    await ana.quiet()
    assert ana.code is None


async def test_a_command_behind_much_typing_is_answered(ana: Talk):
    typing = {"type": "typing", "room": "1", "active": False}
    await ana.socket.send(json.dumps([typing] * 90 + [{"type": "ping", "ref": 777}]))
    assert (await ana.reply(777))["ok"]


async def test_a_flood_of_frames_closes_the_socket(ana: Talk):
    frame = '{"type":"typing","room":"1","active":true}'
    with contextlib.suppress(ConnectionClosed):
        for place in range(20_000):
            await ana.socket.send(frame)
            if place % 200 == 0:
                await asyncio.sleep(0)  # lets the close frame in
    assert await ana.closed() == 4029


async def test_a_command_past_the_32nd_unanswered_one_is_busy(ana: Talk):
    await ana.socket.send(json.dumps([{"type": "ping", "ref": ref} for ref in range(100, 160)]))
    replies = [await ana.reply(ref) for ref in range(100, 160)]
    assert [each["ok"] for each in replies[:32]] == [True] * 32
    refused = [each["error"] for each in replies[32:]]
    assert {each["code"] for each in refused} == {"server.busy"}
    assert all(each["retry"] for each in refused)
    await ana.quiet()


# Posting -------------------------------------------------------------------------------------------------------


async def test_a_post_is_answered_and_seen_by_all(ana: Talk, ben: Talk, shared: str):
    result = await ana.post(shared, "hello *there*")
    seen = await ben.message("hello *there*")
    mine = await ana.message("hello *there*")
    assert seen == mine, "a numbered event is the same for everybody"
    assert (seen["seq"], seen["message"]["id"]) == (result["seq"], result["id"])
    assert seen["message"]["html"] == "<p>hello <em>there</em></p>"
    assert result["number"] == 1
    assert result["duplicate"] is False


async def test_a_repeat_posts_nothing_and_gets_the_first_answer(ana: Talk, ben: Talk, shared: str):
    client_id = str(uuid4())
    first = await ana.call("message.post", room=shared, client_id=client_id, body="once")
    again = await ana.call("message.post", room=shared, client_id=client_id, body="once")
    assert again == {**first, "duplicate": True}
    conflict = await ana.refused("message.post", room=shared, client_id=client_id, body="twice")
    assert conflict["code"] == "message.client_id_conflict"
    await ben.message("once")
    await ben.quiet()
    assert len(ben.of_type("message.posted")) == 1


async def test_a_repeat_is_answered_after_leaving(site: Site, ana: Talk, ben: Talk, shared: str):
    client_id = str(uuid4())
    first = await ben.call("message.post", room=shared, client_id=client_id, body="parting words")
    await ben.call("room.leave", room=shared)
    again = await ben.call("message.post", room=shared, client_id=client_id, body="parting words")
    assert again == {**first, "duplicate": True}
    assert (await ben.refused("message.post", room=shared, client_id=str(uuid4()), body="x"))[
        "code"
    ] == "room.not_found"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("", "message.empty"),
        (" \n\t ", "message.empty"),
        ("x" * 10_001, "message.too_long"),
        ("a\u0000b", "message.invalid_text"),
        ("a\ud800b", "message.invalid_text"),
    ],
    ids=["empty", "blank", "too long", "U+0000", "lone surrogate"],
)
async def test_a_body_that_can_not_be_stored_is_refused_with_its_own_error(ana: Talk, room: str, body: str, code: str):
    assert (await ana.refused("message.post", room=room, client_id=str(uuid4()), body=body))["code"] == code
    assert (await ana.post(room, "x" * 10_000))["number"] == 1, "no number was left unused"


async def test_pipelined_posts_keep_their_order(ana: Talk, ben: Talk, shared: str):
    refs = [
        await ana.send(
            "message.post", room=shared, client_id=str(uuid4()), body=f"{place} **bold**" if place % 3 else f"{place}"
        )
        for place in range(30)
    ]
    numbers = [(await ana.reply(ref))["result"]["number"] for ref in refs]
    assert numbers == list(range(1, 31))
    await ben.event("message.posted", seq=(await ana.reply(refs[-1]))["result"]["seq"])
    assert [each["message"]["number"] for each in ben.of_type("message.posted")] == numbers


async def test_an_outsider_can_not_tell_a_private_room_from_a_missing_one(eve: Talk, room: str):
    commands: list[tuple[str, dict[str, Any]]] = [
        ("message.post", {"client_id": str(uuid4()), "body": "x"}),
        ("history", {}),
        ("member.list", {}),
        ("room.join", {}),
        ("room.leave", {}),
        ("room.update", {"name": "mine"}),
        ("member.add", {"user": "1"}),
        ("member.remove", {"user": "1"}),
        ("member.role", {"user": "1", "role": "owner"}),
        ("read", {"number": 1}),
    ]
    for kind, fields in commands:
        hidden = await eve.refused(kind, room=room, **fields)
        missing = await eve.refused(kind, room="999999999", **fields)
        assert hidden == missing, kind
        assert hidden["code"] == "room.not_found"
    assert await eve.follow(room, "999999999") == {room: "denied", "999999999": "denied"}


async def test_an_outsider_can_not_tell_a_hidden_message_from_a_missing_one(ana: Talk, eve: Talk, room: str):
    message = (await ana.post(room, "secret"))["id"]
    for kind, fields in [
        ("message.edit", {"body": "x"}),
        ("message.delete", {}),
        ("reaction.add", {"emoji": "👍"}),
        ("reaction.remove", {"emoji": "👍"}),
    ]:
        hidden = await eve.refused(kind, message=message, **fields)
        assert hidden == await eve.refused(kind, message="999999999", **fields)
        assert hidden["code"] == "message.not_found"


async def test_edits_reactions_and_deletions_are_seen_in_order(ana: Talk, ben: Talk, shared: str):
    message = (await ana.post(shared, "first"))["id"]
    edited = await ana.call("message.edit", message=message, body="second")
    reacted = await ben.call("reaction.add", message=message, emoji="👍")
    assert reacted["mine"] == ["👍"]
    assert await ben.call("reaction.add", message=message, emoji="👍") == reacted, "repeating changes nothing"
    deleted = await ana.call("message.delete", message=message)
    assert await ana.call("message.delete", message=message) == deleted
    last = await ben.event("message.changed", seq=deleted["seq"])
    changes = ben.of_type("message.changed")
    assert [each["seq"] for each in changes] == [edited["seq"], reacted["seq"], deleted["seq"]]
    assert changes[1]["message"]["reactions"][0]["count"] == 1
    gone = last["message"]
    assert (gone["body"], gone["html"], gone["reactions"], gone["mentions"]) == ("", "", [], [])
    assert gone["deleted_at"]
    assert gone["number"] == 1


# Catching up ---------------------------------------------------------------------------------------------------


async def test_a_cursor_of_any_age_gets_what_changed_and_then_live(site: Site, ana: Talk, ben: Talk, shared: str):
    first = await ana.post(shared, "before")
    await ben.message("before")
    cursor = {"epoch": first["epoch"], "seq": first["seq"]}
    await ben.close()
    for place in range(5):
        await ana.post(shared, f"while away {place}")
    await ana.call("message.edit", message=first["id"], body="before, edited")
    back = await talk_as(site.ws_url, site.user("ben"))
    assert await back.follow(cursors={shared: cursor}) == {shared: "live"}
    synced = await back.event("synced")
    live = await ana.post(shared, "and live")
    await back.event("message.posted", seq=live["seq"])
    assert synced["seq"] == live["seq"] - 1
    held = {m["number"]: m["body"] for e in back.of_type("changes") for m in e["messages"]}
    held |= {e["message"]["number"]: e["message"]["body"] for e in back.of_type("message.posted", "message.changed")}
    assert held == {
        1: "before, edited",
        **{place + 2: f"while away {place}" for place in range(5)},
        7: "and live",
    }
    await back.close()


async def test_no_cursor_another_epoch_and_a_cursor_ahead_are_reset(ana: Talk, room: str):
    await ana.post(room, "x")
    state = (await ana.call("room.list", scope="mine"))["rooms"]
    epoch = next(each["epoch"] for each in state if each["id"] == room)
    for cursor, reason in [
        (None, "new"),
        ({"epoch": "other", "seq": 1}, "epoch"),
        ({"epoch": epoch, "seq": 99}, "epoch"),
    ]:
        assert await ana.follow(cursors={room: cursor}) == {room: "reset"}
        assert ana.of_type("reset")[-1]["reason"] == reason


async def test_a_removed_member_gets_the_cut_and_nothing_after_it(site: Site, ana: Talk, ben: Talk, shared: str):
    last = await ana.post(shared, "for both")
    await ben.message("for both")
    await ana.call("member.remove", room=shared, user=site.user("ben").id)
    await ana.post(shared, "for ana alone")
    await ben.event("room.removed", room=shared)
    await ana.message("for ana alone")
    await ben.quiet()
    assert ben.of_type("member.left")
    assert [each["message"]["body"] for each in ben.of_type("message.posted")] == ["for both"]
    cursor = {"epoch": last["epoch"], "seq": last["seq"]}
    assert await ben.follow(cursors={shared: cursor}) == {shared: "denied"}
    assert (await ben.refused("history", room=shared))["code"] == "room.not_found"


async def test_history_pages_both_ways_without_gaps(ana: Talk, room: str):
    for place in range(12):
        await ana.post(room, f"{place + 1}")
    newest = await ana.call("history", room=room, limit=5)
    assert [each["number"] for each in newest["messages"]] == [8, 9, 10, 11, 12]
    assert (newest["more_before"], newest["more_after"]) == (True, False)
    older = await ana.call("history", room=room, before=8, limit=5)
    assert [each["number"] for each in older["messages"]] == [3, 4, 5, 6, 7]
    newer = await ana.call("history", room=room, after=7, limit=2)
    assert ([each["number"] for each in newer["messages"]], newer["more_after"]) == ([8, 9], True)
    around = await ana.call("history", room=room, around=6, limit=4)
    assert [each["number"] for each in around["messages"]] == [5, 6, 7, 8]
    assert (await ana.refused("history", room=room, before=1, after=1))["code"] == "command.invalid"
    assert (await ana.refused("history", room=room, limit=101))["code"] == "command.invalid"


# Rooms, members, pointers --------------------------------------------------------------------------------------


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


async def test_unsync_ends_what_a_sync_before_it_began(ana: Talk, ben: Talk, shared: str):
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
    await ana.message("from a shell", wait_s=6.0)


# The socket's life ---------------------------------------------------------------------------------------------


async def test_a_heartbeat_tells_the_heads(ana: Talk, room: str):
    await ana.follow(room)
    result = await ana.post(room, "x")
    heads = await ana.event("heads", wait_s=25.0, rooms={room: result["seq"]})
    assert isinstance(heads["rooms_version"], int)
