"""Who loses a right is shown nothing more; what a client_id has stood for, it stands for ever."""

import asyncio
import json
import time
import uuid
from contextlib import suppress
from typing import Any

from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.end_to_end.talk import Talk, open_talk, talk_as
from tests.rig.site import Person
from torture.raw_socket import RawSocket
from torture.stage import Scenario, Stage

REVALIDATED_WITHIN_S = 60.0
TOO_SLOW = 4008
ENDINGS = {
    "deactivated": "user.is_active = False; user.save()",
    "a new password": "user.set_password('another'); user.save()",
    "tokens revoked": "api.revoke_tokens(user)",
    "signed out": "sign_out(user)",
    "put out of the room": "api.remove_member(private, user)",
    "an open room becomes private": "api.update_room(watched, kind='private')",
}
BY_SESSION = {"a new password", "signed out"}
SCRIPT = """
import json, time
from django.conf import settings
from django.contrib.auth import get_user_model, logout
from django.contrib.sessions.backends.db import SessionStore
from django.http import HttpRequest
from chat import api

def sign_out(user):
    request = HttpRequest()
    request.session, request.user = SessionStore(sessions[str(user.pk)]), user
    logout(request)

private, watched = {private!r}, {watched!r}
sessions = {sessions!r}
times = {{}}
for name, key, code in {endings!r}:
    user = get_user_model().objects.get(pk=key)
    exec(code)
    times[name] = time.time()
print(json.dumps(times))
"""


async def revocation(stage: Stage) -> None:
    """Each way of losing a right, with Redis and without. Without it, re-validation finds out within a minute."""
    await _lose_rights(stage, within_s=2.0, how="with Redis")
    assert stage.redis
    with stage.recorder.fault("Redis is away"):
        await asyncio.to_thread(stage.redis.kill)
        await asyncio.sleep(1)
        await _lose_rights(stage, within_s=REVALIDATED_WITHIN_S + 5, how="without Redis")


async def _lose_rights(stage: Stage, *, within_s: float, how: str) -> None:
    owner, *victims = await stage.people(1 + len(ENDINGS))
    places = dict(zip(ENDINGS, victims, strict=True))
    watcher = places["an open room becomes private"]
    members = [owner, *(each for each in victims if each is not watcher)]
    first = len(stage.rooms)
    await stage.make_rooms(open=1, private=1, members=members)
    watched, private = stage.rooms[first:]
    here = stage.site.processes[0]
    talks = {name: await _sign_in(stage, name, person) for name, person in places.items()}
    for name, talk in talks.items():
        await talk.follow(_room_of(name, watched, private))
    speaker = await talk_as(here.ws_url, owner)
    is_over = asyncio.Event()

    async def speak() -> None:
        while not is_over.is_set():
            for room in (watched, private):
                await speaker.post(room, f"{how} {time.time()}")
            await asyncio.sleep(0.1)

    everybody = [*talks.values(), speaker]
    speaking = asyncio.create_task(speak())
    reading = [asyncio.create_task(_keep_reading(talk)) for talk in everybody]
    for name, talk in talks.items():
        with suppress(AssertionError):
            await talk.event("message.posted", wait_s=10)
        assert talk.of_type("message.posted"), f"the premise: {name} is shown what is said"
        assert await _can_read(stage, name, places[name], _room_of(name, watched, private)), "the premise"
    endings = [(name, int(person.id), ENDINGS[name]) for name, person in places.items()]
    sessions = {person.id: person.session for person in victims}
    printed = await asyncio.to_thread(
        stage.site.python,
        SCRIPT.format(private=int(private), watched=int(watched), sessions=sessions, endings=endings),
    )
    ended_at = json.loads(printed)
    await asyncio.sleep(within_s + 1 - (time.time() - max(ended_at.values())))
    is_over.set()
    await speaking
    for name, talk in talks.items():
        last = max(float(each["message"]["body"].rsplit(" ", 1)[1]) for each in talk.of_type("message.posted"))
        stage.expect(f"{how}, {name}: posted last of what was shown, after the loss", last - ended_at[name],
                     at_most=within_s, unit="s")  # fmt: skip
        read = await _can_read(stage, name, places[name], _room_of(name, watched, private))
        stage.expect(f"{how}, {name}: the history can be read", float(read), at_most=0)
    for task in reading:
        task.cancel()
    for talk in everybody:
        assert talk.code != TOO_SLOW, "the premise: nobody was cut off for another reason"
        await talk.close()


def _room_of(name: str, watched: str, private: str) -> str:
    """The room that this person loses: an open one that they only watch, or a private one that they are in."""
    return watched if name == "an open room becomes private" else private


async def _keep_reading(talk: Talk) -> None:
    """Say what has been read, as the server asks for it: it closes the connections of those who seem not to read."""
    while talk.code is None:
        await asyncio.sleep(1)
        with suppress(ConnectionClosed):
            await talk.socket.send(json.dumps({"type": "received", "frames": talk.frames}))


async def _sign_in(stage: Stage, name: str, person: Person) -> Talk:
    """By a session's cookie where that is what ends; otherwise by a token. On the process that the change is not in."""
    process = stage.site.processes[1]
    if name not in BY_SESSION:
        return await talk_as(process.ws_url, person)
    talk = await open_talk(process.ws_url, additional_headers={"Origin": process.url, "Cookie": person.cookie})
    await talk.event("hello")
    return talk


async def _can_read(stage: Stage, name: str, person: Person, room: str) -> bool:
    """Whether the person, who comes back with what let them in before, is given the room's history."""
    try:
        talk = await asyncio.wait_for(_sign_in(stage, name, person), 25)
    except (InvalidStatus, AssertionError, TimeoutError):
        return False  # not let in at all
    reply: dict[str, Any] = await talk.reply(await talk.send("history", room=room))
    await talk.close()
    return bool(reply["ok"])


async def client_ids(stage: Stage) -> None:
    """Everything that may happen between a post and its repeat, and many repeats at once on two processes."""
    people = await stage.people(3)
    await stage.make_rooms(open=2, private=1)
    one, two, private = stage.rooms
    owner = await talk_as(stage.site.processes[0].ws_url, people[0])
    here = await talk_as(stage.site.processes[0].ws_url, people[1])
    there = await talk_as(stage.site.processes[1].ws_url, people[1])
    wrong: list[str] = []
    id = str(uuid.uuid4())

    async def post(talk: Talk, room: str, body: str, client_id: str) -> dict[str, Any]:
        return await talk.reply(await talk.send("message.post", room=room, client_id=client_id, body=body))

    async def repeats(what: str, room: str, body: str, first: dict[str, Any], client_id: str) -> None:
        for talk in (here, there):
            again = await post(talk, room, body, client_id)
            expected = {**first["result"], "duplicate": True}
            if not again["ok"] or again["result"] != expected:
                wrong.append(f"{what}: {again}")

    first = await post(here, one, "one", id)
    await repeats("at once", one, "one", first, id)
    await repeats("in another form", one, "one", first, id.upper())
    other_room = await post(here, two, "one", id)
    if not other_room["ok"] or other_room["result"]["duplicate"]:
        wrong.append(f"another room: {other_room}")
    conflict = await post(there, one, "two", id)
    if conflict["ok"] or conflict["error"]["code"] != "message.client_id_conflict":
        wrong.append(f"another text: {conflict}")
    message = first["result"]["id"]
    await here.call("message.edit", message=message, body="edited")
    await repeats("after an edit", one, "one", first, id)
    await here.call("message.delete", message=message)
    await repeats("after a deletion", one, "one", first, id)
    await here.call("room.leave", room=one)
    await repeats("after leaving", one, "one", first, id)
    secret_id = str(uuid.uuid4())
    secret = await post(here, private, "secret", secret_id)
    await owner.call("member.remove", room=private, user=people[1].id)
    await repeats("after being put out", private, "secret", secret, secret_id)
    await owner.call("room.update", room=two, archived=True)
    await repeats("after archiving", two, "one", other_room, id)
    await here.call("room.join", room=one)
    for number in range(stage.scaled(40)):
        racing = str(uuid.uuid4())
        replies = await asyncio.gather(*(post(talk, one, f"race {number}", racing) for talk in (here, there, here)))
        if len({each["result"]["id"] if each["ok"] else str(each) for each in replies}) != 1:
            wrong.append(f"a race: {replies}")
    stage.figures["wrong answers"] = wrong[:5]
    stage.expect("wrong answers to repeats", len(wrong), at_most=0)
    for talk in (owner, here, there):
        await talk.close()


POISON = {
    "a bracket in a link": "example.com[http://http://foo.com]",
    "another one": "ls8h.com[http://p://",
    "10,000 umlauts": "ü" * 10_000,
    "10,000 emoji": "😀" * 10_000,
    "deep quotes": ">" * 9_999 + "x",
    "a deep list": "\n".join(" " * (2 * depth) + "- x" for depth in range(95)),
    "brackets, stars and backticks": "[" * 3_000 + "*" * 3_000 + "`" * 3_000,
    "code": "```python\n" + "(" * 9_000 + "\n```",
    "links": "http://" * 1_400,
    "invisible": "\u202e\u2066\ufeff\u200b",
}
FRAMES: dict[str, bytes] = {
    "a lone surrogate": b'{"type":"message.post","ref":1,"room":"1","client_id":"x","body":"x\\ud800y"}',
    "deep nesting": b'{"type":"ping","ref":1,"ts":' + b"[" * 30_000 + b"]" * 30_000 + b"}",
    "NaN": b'{"type":"ping","ref":1,"ts":NaN}',
    "a huge number": b'{"type":"ping","ref":99999999999999999999999}',
    "a huge id": b'{"type":"room.join","ref":1,"room":"999999999999999999999999999"}',
    "1,000 commands": b"[" + b",".join(b'{"type":"ping","ref":%d}' % ref for ref in range(1, 1001)) + b"]",
}


async def poison(stage: Stage) -> None:
    """Texts and frames that break programs: each gets its answer, and neither its sender nor anybody else waits."""
    await stage.crowd(6, open=1, private=0)
    load = asyncio.create_task(stage.workload(20).run(stage.seconds(20)))
    (poisoner,) = await stage.people(1)
    unanswered, slowest = [], 0.0
    for name, frame in FRAMES.items():
        raw = await RawSocket.open(stage.site.processes[0], poisoner)
        await raw.read_some()
        raw.send_text(frame)
        try:
            answer = await asyncio.wait_for(raw.read_some(), 6)
        except TimeoutError:
            answer = b""
        if not answer:
            unanswered.append(name)
        raw.abort()
    for body in POISON.values():
        sender = stage.rng.choice(stage.clients)
        began = stage.recorder.now()
        sender.post(stage.rooms[0], body)
        sender.post(stage.rooms[0])
        while (await sender.waiting()) and stage.recorder.now() - began < 20:
            await asyncio.sleep(0.02)
        slowest = max(slowest, stage.recorder.now() - began)
    await load
    stage.figures["frames without an answer"] = unanswered
    stage.expect("frames without an answer", len(unanswered), at_most=0)
    stage.expect("the longest that a text kept its sender waiting", slowest, at_most=5, unit="s")
    stage.expect("everybody is up to date", await stage.settle(30), at_most=10, unit="s")


SCENARIOS = [
    Scenario("revocation", "T11: six ways to lose a right, with Redis and without", revocation),
    Scenario("client-ids", "a message is repeated after everything that may have happened to it", client_ids),
    Scenario("poison", "texts and frames that break programs", poison),
]
