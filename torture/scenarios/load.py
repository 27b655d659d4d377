"""Much at once: one hot room, readers that do not read, floods, liars, and everybody coming back together."""

import asyncio
import json
import subprocess
import sys
import uuid
from functools import partial

from tests.end_to_end.talk import talk_as
from tests.rig.proxy import Proxy
from torture import flooder
from torture.raw_socket import RawSocket
from torture.recorder import hash_of
from torture.stage import Scenario, Stage, percentile
from torture.workload import POSTS_ONLY

IN_FLIGHT = 24
"""Posts of one socket that wait for their answer; the server allows 32."""


async def hot_room(stage: Stage) -> None:
    people = await stage.people(10)
    await stage.make_rooms(open=1, private=0)
    room = stage.rooms[0]
    for process, person in zip(stage.site.processes, people[8:], strict=True):
        await stage.python_client(person, url=process.url)
    await stage.until_live()
    stage.watch()
    each = max(1, stage.scaled(10_000) // 8)

    async def send(place: int) -> None:
        person = people[place]
        talk = await talk_as(stage.site.processes[place % 2].ws_url, person)
        free = asyncio.Semaphore(IN_FLIGHT)

        async def answered(ref: int, id: str, who: dict[str, str]) -> None:
            reply = await talk.reply(ref)
            found = reply.get("result", {})
            if reply["ok"]:
                places = {"message": found["id"], "number": found["number"], "seq": found["seq"]}
                stage.recorder.note("ok", **who, room=room, id=id, **places, duplicate=found["duplicate"])
            else:
                stage.recorder.note("fail", **who, room=room, id=id, code=reply["error"]["code"])
            free.release()

        who = {"client": f"sender {place}", "user": person.id}
        waiting = []
        for number in range(each):
            await free.acquire()
            id, body = str(uuid.uuid4()), f"{place}.{number}"
            stage.recorder.note("post", **who, room=room, id=id, hash=hash_of(body))
            ref = await talk.send("message.post", room=room, client_id=id, body=body)
            waiting.append(asyncio.create_task(answered(ref, id, who)))
        await asyncio.gather(*waiting)
        await talk.close()

    began = stage.recorder.now()
    await asyncio.gather(*(send(place) for place in range(8)))
    seconds = stage.recorder.now() - began
    stage.figures["messages a second"] = round(8 * each / seconds)
    stage.expect("everybody is up to date", await stage.settle(60), at_most=30, unit="s")
    stage.expect("messages that failed", stage.count("fail"), at_most=0)
    stage.expect("times that a locked database was noticed", stage.site.log().count("database is locked"), at_most=0)
    took = percentile(stage.acks(), 0.99)
    stage.expect("acknowledgement, p99", took and 1000 * took, at_most=500, unit="ms")


async def slow_readers(stage: Stage) -> None:
    """Some stop reading and go on pinging; two are on a link that is dead for a while, and catch up exactly. The others
    notice nothing."""
    await stage.crowd(8, open=1, private=0)
    process = stage.site.processes[0]
    healthy = {each.player.name for each in stage.clients}
    sleepers = await stage.people(2)
    link = await asyncio.to_thread(Proxy(process.port).__enter__)
    stage.at_end(partial(asyncio.to_thread, link.__exit__, None, None, None))
    for person in sleepers:
        await stage.python_client(person, url=f"http://127.0.0.1:{link.port}")
    await stage.until_live()
    bad = await stage.people(stage.scaled(20))
    calm_s, slow_s = 8.0, max(20.0, stage.seconds(45))
    for client in stage.clients:
        client.player.padding = " " + "0123456789 " * 600
    load = stage.workload(60, POSTS_ONLY, clients=[each for each in stage.clients if each.player.name in healthy])
    await load.run(calm_s)
    calm = stage.recorder.now()
    before, rss = percentile(stage.showings(until=calm, clients=healthy), 0.99), stage.rss_mib(process)
    sockets = [await RawSocket.open(process, person, is_slow=True) for person in bad]
    for each in sockets:
        each.send({"type": "sync", "ref": 1, "rooms": dict.fromkeys(stage.rooms)})
    await asyncio.sleep(1)
    ended: dict[int, float] = {}

    async def say_nothing_but_ping(place: int, slow: RawSocket) -> None:
        slow.stop_reading()
        since = stage.recorder.now()
        while stage.recorder.now() - since < slow_s + 30:
            if not slow.is_open:
                ended[place] = stage.recorder.now() - since
                return
            if place % 2:
                slow.send({"type": "ping", "ref": 2 + int(stage.recorder.now())})
            await asyncio.sleep(1)

    pinging = [asyncio.create_task(say_nothing_but_ping(*each)) for each in enumerate(sockets)]
    peak = rss
    with stage.recorder.fault("readers do not read"):
        busy = asyncio.create_task(load.run(slow_s))
        link.pause()
        waking = asyncio.get_running_loop().call_later(slow_s / 2, link.resume)
        while not busy.done():
            peak = max(peak, stage.rss_mib(process))
            await asyncio.sleep(0.5)
        await busy
        waking.cancel()
        link.resume()
    during = percentile(stage.showings(since=calm, clients=healthy), 0.99)
    await asyncio.gather(*pinging)
    for slow in sockets:
        slow.abort()
    stage.figures["shown, p99 before and during, in ms"] = [round(1000 * (each or 0), 1) for each in (before, during)]
    stage.expect("readers that were let go of", len(ended), at_least=len(sockets))
    stage.expect("until the last one was let go of", max(ended.values(), default=None), at_most=slow_s + 20, unit="s")
    stage.expect("memory that the server grew by", peak - rss, at_most=60, unit="MiB")
    limit = max(1.5 * (before or 0), (before or 0) + 0.25)
    stage.expect("shown to the others, p99", during, at_most=limit, unit="s")
    stage.expect("everybody is up to date", await stage.settle(60), at_most=30, unit="s")


async def flood(stage: Stage) -> None:
    """One sends frames as fast as it can, five send the largest frames without end."""
    await stage.crowd(8, open=1, private=0)
    process = stage.site.processes[0]
    bad = await stage.people(6)
    seconds = max(6.0, stage.seconds(30))
    await stage.workload(20, POSTS_ONLY).run(8)
    calm = stage.recorder.now()
    before, rss = percentile(stage.acks(until=calm), 0.99), stage.rss_mib(process)
    command = [sys.executable, "-I", flooder.__file__, str(process.port), str(seconds), *(each.token for each in bad)]
    peak = rss
    with stage.recorder.fault("flood"):
        attack = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
        load = asyncio.create_task(stage.workload(20, POSTS_ONLY).run(seconds))
        while not load.done():
            peak = max(peak, stage.rss_mib(process))
            await asyncio.sleep(0.5)
        printed, _ = await asyncio.wait_for(attack.communicate(), 30)
    lasted = json.loads(printed)
    during = percentile(stage.acks(since=calm), 0.99)
    stage.figures["attacks"] = len(lasted)
    stage.figures["acknowledgement, p99 before and during, in ms"] = [
        round(1000 * (x or 0), 1) for x in (before, during)
    ]
    stage.expect("longest time until an offender was cut off", max(lasted, default=None), at_most=2.5, unit="s")
    stage.expect("memory that the server grew by", peak - rss, at_most=100, unit="MiB")
    stage.expect(
        "acknowledgement of the others, p99", during, at_most=max(2 * (before or 0), (before or 0) + 0.25), unit="s"
    )
    stage.expect("everybody is up to date", await stage.settle(30), at_most=10, unit="s")


async def liar(stage: Stage) -> None:
    """Some read nothing, claim to have received everything, and ask for one large page after the other."""
    await stage.crowd(4, open=1, private=0)
    process, room = stage.site.processes[0], stage.rooms[0]
    for number in range(100):
        stage.clients[0].post(room, f"{number} " + "<" * 1200 + "x<" * 4000)
    assert await stage.settle(60) is not None, "the premise: the pages are large"
    bad = await stage.people(4)
    rss = peak = stage.rss_mib(process)
    seconds = max(8.0, stage.seconds(20))

    async def lie(place: int) -> float:
        slow = await RawSocket.open(process, bad[place], is_slow=True)
        await asyncio.sleep(0.5)
        slow.stop_reading()
        began = stage.recorder.now()
        asked = 0
        while stage.recorder.now() - began < seconds and slow.is_open:
            asked += 1
            slow.send(
                {"type": "history", "ref": asked, "room": room, "limit": 100},
                {"type": "received", "frames": max(1, asked - 5)},
            )
            await asyncio.sleep(0.1)
        slow.abort()
        return stage.recorder.now() - began

    with stage.recorder.fault("liars"):
        lies = asyncio.gather(*(lie(place) for place in range(len(bad))))
        while not lies.done():
            peak = max(peak, stage.rss_mib(process))
            await asyncio.sleep(0.2)
        stage.expect("longest time until a liar was cut off", max(await lies), at_most=8, unit="s")
    stage.expect("memory that the server grew by", peak - rss, at_most=100, unit="MiB")
    stage.expect("everybody is up to date", await stage.settle(30), at_most=10, unit="s")


async def herd(stage: Stage) -> None:
    """All servers die at once, and everybody comes back."""
    count = stage.scaled(1000)
    people = await stage.people(count)
    await stage.make_rooms(open=2, private=0)
    stage.figures["sockets"] = count
    for person in people:
        await stage.python_client(person)
        await asyncio.sleep(0.004)
    await stage.until_live(180)
    stage.watch()
    await stage.workload(5, POSTS_ONLY, clients=stage.clients[:20]).run(5)
    await stage.settle(60)
    tries = sum(sum(each.player.closed_with.values()) for each in stage.clients)
    with stage.recorder.fault("all servers killed"):
        for process in stage.site.processes:
            process.kill()
        for client in stage.clients[:20]:
            client.post(stage.rooms[0])
        await asyncio.sleep(1)
        for process in stage.site.processes:
            await asyncio.to_thread(process.launch)
        for process in stage.site.processes:
            await asyncio.to_thread(process.wait)
        settled = await stage.settle(120)
    stage.expect("everybody is back and up to date", settled, at_most=45, unit="s")
    failed = sum(sum(each.player.closed_with.values()) for each in stage.clients) - tries
    stage.figures["connections that ended or could not be made"] = failed


SCENARIOS = [
    Scenario("hot-room", "T12: eight sockets on two processes pipeline 10,000 messages into one room", hot_room,
             has_links=False),
    Scenario("slow-readers", "T7: twenty clients stop reading in a room with half a megabyte a second", slow_readers,
             processes=1, has_redis=False, has_links=False),
    Scenario("flood", "T8: one client sends frames without end, five send the largest", flood,
             processes=1, has_redis=False, has_links=False, env={"CHAT_FLOOD_PAUSE_S": "10"}),
    Scenario("liar", "clients that read nothing claim to have received everything", liar,
             processes=1, has_redis=False, has_links=False),
    Scenario("herd", "T9: all servers die with 1,000 sockets, which come back at once", herd, has_links=False),
]  # fmt: skip
