"""Clients of 2026-11-26 go on working: their recorded frames are answered as they were, and today's clients read the
recorded answers (tests/wire/recorded_session.json)."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from asgiref.testing import ApplicationCommunicator

from chat.runtime import pools
from chat.services import tokens
from chat.sockets.consumers import ChatConsumer
from chat.wire import protocol
from tests.sockets.socket import WAIT_S

FILE = Path(__file__).parents[1] / "wire" / "recorded_session.json"
SESSION: list[dict[str, Any]] = json.loads(FILE.read_text())["session"]

pytestmark = pytest.mark.usefixtures("socket_process")


def by_id(value: Any) -> bool:
    """Whether it is a map with ids as keys: today's rooms have ids of their own."""
    return isinstance(value, dict) and bool(value) and all(key.isdecimal() for key in value)


def misfits(then: Any, now: Any, at: str = "") -> Iterator[str]:
    """Where ``now`` lacks what ``then`` had, or has something else in its place. More fields are no misfit."""
    if by_id(then) and by_id(now):
        then, now = list(then.values()), list(now.values())
    if isinstance(then, dict) and isinstance(now, dict):
        for key, value in then.items():
            if key in now:
                yield from misfits(value, now[key], f"{at}.{key}")
            else:
                yield f"{at}.{key} is missing"
    elif isinstance(then, list) and isinstance(now, list):
        if then and now:
            yield from misfits(then[0], now[0], f"{at}[]")
    elif then is not None and now is not None and type(then) is not type(now):
        yield f"{at}: {then!r} was a {type(then).__name__}, {now!r} is none"


async def session_of_today(user: Any, other: Any) -> list[list[dict[str, Any]]]:
    """What the server of today says to the recorded frames, step by step."""
    token = await pools.site.run(tokens.issue, by=user, user=user)
    scope = {
        "type": "websocket",
        "path": "/ws/chat/",
        "headers": [(b"authorization", f"Bearer {token}".encode())],
        "query_string": b"",
        "subprotocols": ["chat.v1"],
    }
    socket = ApplicationCommunicator(ChatConsumer.as_asgi(), scope)
    await socket.send_input({"type": "websocket.connect"})
    await socket.receive_output(WAIT_S)
    names = {"$ben": str(other.pk)}
    heard: list[list[dict[str, Any]]] = []
    for step in SESSION:
        sent = step["client"]
        if sent is not None:
            text = json.dumps(sent)
            for name, value in names.items():
                text = text.replace(name, value)
            await socket.send_input({"type": "websocket.receive", "text": text})
        heard.append(said := [])
        while (sent is None or "ref" in sent) and not ends(said, sent):
            came = json.loads((await socket.receive_output(WAIT_S))["text"])
            said += came if isinstance(came, list) else [came]
        for each in said:
            if each["type"] == "reply" and each["ref"] == 2:
                names |= {"$room": each["result"]["room"]["id"], "$epoch": each["result"]["room"]["epoch"]}
            if each["type"] == "reply" and each["ref"] == 4:
                names["$message"] = each["result"]["id"]
    await socket.send_input({"type": "websocket.disconnect", "code": 1000})
    await socket.wait(WAIT_S)
    return heard


def ends(said: list[dict[str, Any]], sent: dict[str, Any] | None) -> bool:
    if sent is None:
        return any(each["type"] == "hello" for each in said)
    return any(each["type"] == "reply" and each["ref"] == sent["ref"] for each in said)


async def test_the_frames_of_then_are_answered_as_they_were(ana: Any, ben: Any) -> None:
    heard = [each for said in await session_of_today(ana, ben) for each in said]
    recorded = [each for step in SESSION for each in step["server"]]
    assert len(recorded) > 50, "the premise"
    replies = {each["ref"]: each for each in heard if each["type"] == "reply"}
    found = []
    for then in recorded:
        if then["type"] == "reply":
            now = replies[then["ref"]]
            assert (now["ok"], now.get("error", {}).get("code")) == (then["ok"], then.get("error", {}).get("code"))
            found += misfits(then, now, f"reply to {then['ref']}")
        else:
            same = [each for each in heard if each["type"] == then["type"]]
            assert same, then["type"]
            found += min((list(misfits(then, each, then["type"])) for each in same), key=len)
    assert found == []


def test_the_python_client_reads_recorded_frames_of_an_older_server() -> None:
    for step in SESSION:
        if step["server"]:
            events = protocol.decode_events(json.dumps(step["server"]))
            assert len(events) == len(step["server"])


def test_a_missing_field_and_one_of_another_type_are_noticed() -> None:
    then = {"a": 1, "b": [{"c": "x"}], "d": None, "rooms": {"1": "live"}}
    wrong = {"a": "1", "b": [{}], "d": None, "rooms": {"27": 0}}
    right = {"a": 1, "b": [{"c": "y", "more": 1}], "d": 3, "new": True, "rooms": {"27": "reset"}}
    assert list(misfits(then, right)) == []
    assert list(misfits(then, wrong)) == [
        ".a: 1 was a int, '1' is none",
        ".b[].c is missing",
        ".rooms[]: 'live' was a str, 0 is none",
    ]
