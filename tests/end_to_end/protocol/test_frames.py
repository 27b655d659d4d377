"""Frames, the limits on them, and what is said of bad ones (sections 1 and 5)."""

import asyncio
import contextlib
import json

import pytest
from websockets.exceptions import ConnectionClosed

from tests.end_to_end.talk import Talk


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
    assert (await ana.refused("presence.set", status="asleep"))["field"] == "status"


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
            if place % 20 == 0:
                await asyncio.sleep(0)  # lets the close frame in
    assert await ana.closed() == 4029


async def test_a_command_past_the_32nd_unanswered_one_is_busy(ana: Talk):
    await ana.socket.send(json.dumps([{"type": "room.list", "ref": ref, "scope": "mine"} for ref in range(100, 160)]))
    replies = [await ana.reply(ref) for ref in range(100, 160)]
    assert [each["ok"] for each in replies[:32]] == [True] * 32
    refused = [each["error"] for each in replies[32:]]
    assert {each["code"] for each in refused} == {"server.busy"}
    assert all(each["retry"] for each in refused)
    await ana.quiet()


async def test_a_ping_is_answered_however_many_commands_are_unanswered(ana: Talk):
    busy = [{"type": "room.list", "ref": ref, "scope": "mine"} for ref in range(100, 160)]
    await ana.socket.send(json.dumps([*busy, {"type": "ping", "ref": 200}]))
    assert (await ana.reply(200))["ok"]
    await ana.reply(131)
    came = list(ana.replies)
    assert came.index(200) < came.index(131), "it passed the commands that wait"
