"""State equality: whoever comes back after a while holds exactly what somebody holds who opens the room anew."""

import asyncio
from typing import Any

from chat.wire import protocol
from tests.rig.proxy import Proxy
from torture.python_client import PythonClient
from torture.stage import Scenario, Stage
from torture.workload import Mix

CHANGES = 500
RATE = 150.0
MIX = Mix(edits=15, deletions=8, reactions=25, leaves=4, removals=2)
SETTLED_WITHIN_S = 60.0


async def equality(stage: Stage) -> None:
    await stage.crowd(6, open=1, private=1)
    others = list(stage.clients)
    owner = others[0]
    assert isinstance(owner, PythonClient)
    (person,) = await stage.people(1)
    await asyncio.to_thread(_add, stage, person.id)
    equal, rounds = 0, stage.scaled(10)
    with Proxy(stage.site.processes[0].port) as link:
        away = await stage.python_client(person, url=f"http://127.0.0.1:{link.port}")
        await stage.until_live()
        assert away.chat
        handles = {room: await away.chat.room(room) for room in stage.rooms}
        for handle in handles.values():
            await handle.load_members()
        for number in range(rounds):
            with stage.recorder.fault("one client is away"):
                link.refuse()
                load = stage.workload(RATE, MIX, clients=others)
                load.rng.seed(f"{stage.options.seed}/{number}")
                await load.run(CHANGES * min(1.0, stage.options.size) / RATE)
                await _rename(stage, owner, number)
                link.accept()
                await stage.settle(SETTLED_WITHIN_S)
            fresh = PythonClient(stage.url, stage.player_in_secret(person), token=person.token)
            await fresh.start()
            assert fresh.chat
            held, anew = [], []
            for room in stage.rooms:
                handle = await fresh.chat.room(room, history=100)
                while handle.messages and handle.messages[0].number > 1:
                    await handle.history(before=handle.messages[0].number, limit=100)
                await handle.load_members()
                held.append(_state(handles[room]))
                anew.append(_state(handle))
            await fresh.close()
            equal += held == anew
            if held != anew:
                stage.figures.setdefault("differences", []).append(_difference(held, anew))
    stage.expect("rounds after which the states are equal", equal, at_least=rounds)


def _add(stage: Stage, key: str) -> None:
    stage.site.python(
        "from chat import api; from django.contrib.auth import get_user_model\n"
        f"user = get_user_model().objects.get(pk={int(key)})\n"
        f"for room in {stage.rooms!r}:\n"
        "    api.add_member(int(room), user)"
    )


async def _rename(stage: Stage, owner: PythonClient, number: int) -> None:
    assert owner.chat
    for room in stage.rooms:
        await owner.chat.call(protocol.UpdateRoom(ref=1, room=room, name=f"Room {room}, round {number}"))


def _state(handle: Any) -> dict[str, Any]:
    """Everything that a person sees of a room, and that does not depend on when they look."""
    state = handle.state
    return {
        "messages": {each.number: (each, sorted(handle.timeline.mine(each.number))) for each in handle.messages},
        "members": {each.user.id: (each.role, each.joined_at, each.left_at) for each in handle.members},
        "room": (state.name, state.kind, state.topic, state.archived, state.member_count, state.seq, state.last_number),
        "mine": (state.read, state.unread, state.mentions, state.role),
    }


def _difference(held: list[dict[str, Any]], anew: list[dict[str, Any]]) -> list[str]:
    found = []
    for one, other in zip(held, anew, strict=True):
        for name in one:
            if one[name] == other[name]:
                continue
            if not isinstance(one[name], dict):
                found.append(f"{name}: held {one[name]}, anew {other[name]}")
                continue
            keys = [key for key in {*one[name], *other[name]} if one[name].get(key) != other[name].get(key)]
            key = min(keys, key=str)
            found.append(f"{len(keys)} {name}, first {key}: held {one[name].get(key)}, anew {other[name].get(key)}")
    return found


SCENARIOS = [
    Scenario("equality", "T15: after 500 changes while one was away, their state equals that of a fresh load", equality,
             bounds={"revoke_s": 5.0, "quiet_s": 60.0}),
]  # fmt: skip
