"""A sync that races with live posts: however the two interleave, the client ends with everything, once."""

import random
from typing import Any

import pytest
from asgiref.sync import sync_to_async

from chat.access import changes
from chat.live import catch_up
from chat.live.hints import ToUser
from chat.models import Message, Room
from chat.runtime import pools
from chat.services import memberships, messages, read_pointers, rooms
from chat.wire.protocol import Cursor
from tests.live.rig import LiveRig, Socket

SEEDS = 500


class Client:
    """The receiving half of protocol.md, section 4, for one room; it trusts nothing and counts everything."""

    def __init__(self, cursor: int, held: dict[int, int]):
        self.cursor = cursor
        self.held = dict(held)

    def take(self, event: dict[str, Any]) -> None:
        if event["type"] == "changes":
            for message in event["messages"]:
                self.merge(message)
        elif event["type"] in ("synced", "reset"):
            self.cursor = event["seq"]
        elif "seq" in event:
            prev = event.get("prev", event["seq"] - 1)
            assert prev <= self.cursor, f"a hole: {prev} > {self.cursor}"
            assert event["seq"] > self.cursor, f"a repeat: {event['seq']} <= {self.cursor}"
            self.cursor = event["seq"]
            if "message" in event:
                self.merge(event["message"])

    def merge(self, message: dict[str, Any]) -> None:
        number, changed = message["number"], message["changed_seq"]
        self.held[number] = max(changed, self.held.get(number, 0))


def post(user: Any, room: Room, count: int) -> None:
    for place in range(count):
        messages.post(by=user, room_id=room.pk, body=f"message {place}")


def edit_something(user: Any, room: Room, dice: random.Random) -> None:
    mine = list(Message.objects.filter(room=room, author=user).values_list("pk", flat=True))
    if mine:
        messages.edit(by=user, message_id=dice.choice(mine), body=f"edited {dice.random()}")


@pytest.mark.timeout(300)
@pytest.mark.parametrize("others_are_live", [True, False], ids=["feed exists", "feed is new"])
@pytest.mark.slow
async def test_a_sync_racing_with_live_posts_leaves_no_hole_and_no_repeat(
    rig: LiveRig, ana: Any, ben: Any, lobby: Room, monkeypatch: pytest.MonkeyPatch, others_are_live: bool
):
    """A barrier between each read and what follows from it: posts commit there, and their hints come before the
    attachment, after it, or not at all until the heads are compared."""
    rig.holds_mail = True
    read = pools.readers.run_for
    dice = random.Random()
    raced = 0

    async def read_then_race(person: Any, work: Any, *arguments: Any, **keywords: Any) -> Any:
        nonlocal raced
        result = await read(person, work, *arguments, **keywords)
        if work in racing and dice.random() < 0.7:
            raced += 1
            await sync_to_async(post)(ana, lobby, dice.randrange(1, 3))
            if dice.random() < 0.3:
                await sync_to_async(edit_something)(ana, lobby, dice)
            if dice.random() < 0.5:
                rig.deliver(lose=lambda hint: dice.random() < 0.2)
        return result

    racing = {changes.standings, catch_up._read_page, changes.is_more_than, changes.reset_states}
    monkeypatch.setattr(pools.readers, "run_for", read_then_race)
    await sync_to_async(post)(ana, lobby, 8)
    for seed in range(SEEDS // 2):
        dice.seed(seed)
        await sync_to_async(lobby.refresh_from_db)()
        if others_are_live and lobby.pk not in rig.hub.rooms:
            other, _ = rig.connect(ana)
            await rig.catch_up.sync(other, {str(lobby.pk): Cursor(epoch=lobby.epoch, seq=lobby.head)})
        start = max(0, lobby.head - dice.randrange(12))
        held = dict(
            await sync_to_async(
                lambda at=start: list(
                    Message.objects.filter(room=lobby, seq__lte=at).values_list("number", "changed_seq")
                )
            )()
        )
        client = Client(start, held)
        connection, socket = rig.connect(ben)
        outcome = await rig.catch_up.sync(connection, {str(lobby.pk): Cursor(epoch=lobby.epoch, seq=start)})
        assert outcome == {str(lobby.pk): "live"}, seed
        await sync_to_async(post)(ana, lobby, dice.randrange(2))
        rig.deliver(lose=lambda hint: dice.random() < 0.3)
        await rig.reconciler.compare_all()
        await sync_to_async(lobby.refresh_from_db)()
        taken = 0

        def is_complete(socket: Socket, client: Client = client, head: int = lobby.head) -> bool:
            nonlocal taken
            for event in socket.events[taken:]:
                client.take(event)
            taken = len(socket.events)
            return client.cursor == head

        await socket.until(is_complete)
        stored = await sync_to_async(
            lambda: dict(Message.objects.filter(room=lobby).values_list("number", "changed_seq"))
        )()
        assert client.held == stored, seed
        rig.hub.close(connection)
        if not others_are_live:
            rig.hub.drop_room(rig.hub.rooms[lobby.pk])
    assert raced > SEEDS // 4, "the barrier must have been used"


async def test_the_first_reads_of_rooms_are_their_persons_one_at_a_time_and_apart_from_their_others(
    rig: LiveRig, ana: Any, ben: Any, lobby: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As nobody's, those of a person who asks for many rooms came before the single read of everybody else."""
    readers: list[Any] = []
    read = pools.readers.run_for

    async def noted(person: Any, work: Any, *arguments: Any, **keywords: Any) -> Any:
        if work is catch_up._read_page:
            readers.append(person)
        return await read(person, work, *arguments, **keywords)

    monkeypatch.setattr(pools.readers, "run_for", noted)
    second = await sync_to_async(rooms.create)(by=ana, name="Second", kind=Room.Kind.OPEN)
    for room in (lobby, second):
        await sync_to_async(post)(ana, room, 3)
        await sync_to_async(room.refresh_from_db)()
    connection, _ = rig.connect(ana)
    outcomes = await rig.catch_up.sync(
        connection, {str(each.pk): Cursor(epoch=each.epoch, seq=each.head - 1) for each in (lobby, second)}
    )
    assert set(outcomes.values()) == {"live"}
    assert readers == [("first", connection.user_id)] * 2


async def test_a_person_removed_between_read_and_attach_gets_nothing_after_the_cut(
    rig: LiveRig, ana: Any, ben: Any, lobby: Room, monkeypatch: pytest.MonkeyPatch
):
    other, _ = rig.connect(ana)
    await rig.catch_up.sync(other, {str(lobby.pk): None})
    read = pools.readers.run_for

    async def read_then_remove(person: Any, work: Any, *arguments: Any, **keywords: Any) -> Any:
        result = await read(person, work, *arguments, **keywords)
        if work is changes.reset_states:
            monkeypatch.setattr(pools.readers, "run_for", read)

            def remove_and_post() -> None:
                memberships.remove(by=ana, room_id=lobby.pk, user_id=str(ben.pk))
                messages.post(by=ana, room_id=lobby.pk, body="not for ben")

            await sync_to_async(remove_and_post)()
        return result

    connection, socket = rig.connect(ben)
    monkeypatch.setattr(pools.readers, "run_for", read_then_remove)
    await rig.catch_up.sync(connection, {str(lobby.pk): None})
    await socket.until(lambda it: it.events and it.of_type("member.left") and it.events[-1]["type"] == "room.removed")
    assert not socket.of_type("message.posted")
    assert lobby.pk not in connection.rooms


async def test_the_states_of_many_new_rooms_are_read_together_and_a_room_that_is_lost_meanwhile_is_cut(
    rig: LiveRig, ana: Any, ben: Any, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(catch_up, "STATES_AT_ONCE", 4)

    def make_rooms() -> list[Room]:
        made = [rooms.create(by=ana, name=f"Room {place}", kind="private") for place in range(6)]
        for room in made:
            memberships.add(by=ana, room_id=room.pk, user_id=str(ben.pk))
        return made

    made = await sync_to_async(make_rooms)()
    lost, posted_in = made[2], made[3]
    rig.holds_mail = True
    other, _ = rig.connect(ana)
    await rig.catch_up.sync(other, {str(room.pk): None for room in made})
    read, reads = pools.readers.run_for, list[int]()

    async def read_then_remove(person: Any, work: Any, *arguments: Any, **keywords: Any) -> Any:
        result = await read(person, work, *arguments, **keywords)
        if work is changes.reset_states:
            reads.append(len(result))
            if len(reads) == 1:
                await sync_to_async(memberships.remove)(by=ana, room_id=lost.pk, user_id=str(ben.pk))
                for room in (lost, posted_in):
                    await sync_to_async(post)(ana, room, 1)
        return result

    connection, socket = rig.connect(ben)
    monkeypatch.setattr(pools.readers, "run_for", read_then_remove)
    outcomes = await rig.catch_up.sync(connection, {str(room.pk): None for room in made})
    assert reads == [4, 2]
    assert outcomes == {str(room.pk): "reset" for room in made}
    rig.deliver()
    await socket.until(lambda it: it.of_type("message.posted") and it.of_type("member.left"))
    assert lost.pk not in connection.rooms
    assert [each["room"] for each in socket.of_type("room.removed")] == [str(lost.pk)]
    assert [each["room"] for each in socket.of_type("message.posted")] == [str(posted_in.pk)]


async def test_a_reset_that_was_read_ahead_is_no_older_than_the_read_pointer_that_its_person_was_told(
    rig: LiveRig, ana: Any, ben: Any, monkeypatch: pytest.MonkeyPatch
):
    def make_rooms() -> list[Room]:
        made = [rooms.create(by=ana, name=f"Room {place}", kind="private") for place in range(3)]
        for room in made:
            memberships.add(by=ana, room_id=room.pk, user_id=str(ben.pk))
            post(ana, room, 2)
        return made

    made = await sync_to_async(make_rooms)()
    last = made[-1]
    connection, socket = rig.connect(ben)
    attach = rig.hub.attach

    def attach_and_move(to: Any, room_id: int, *rest: Any, **options: Any) -> bool:
        if room_id == made[0].pk:
            rig.hub.take([ToUser(connection.user_id, told)])
        return attach(to, room_id, *rest, **options)

    read = pools.readers.run_for

    async def read_then_move(person: Any, work: Any, *arguments: Any, **keywords: Any) -> Any:
        result = await read(person, work, *arguments, **keywords)
        if work is changes.reset_states and last.pk in result and not moved:
            moved.append(await sync_to_async(read_pointers.move)(by=ben, room_id=last.pk, number=2))
        return result

    moved: list[Any] = []
    told = b'{"type":"read.changed"}'
    monkeypatch.setattr(rig.hub, "attach", attach_and_move)
    monkeypatch.setattr(pools.readers, "run_for", read_then_move)
    await rig.catch_up.sync(connection, {str(room.pk): None for room in made})
    await socket.until(lambda it: len(it.of_type("reset")) == 3)
    assert [each["state"]["read"] for each in socket.of_type("reset")] == [0, 0, 2]


async def test_the_member_count_is_the_same_live_and_after_catching_up(
    rig: LiveRig, ana: Any, ben: Any, eve: Any, lobby: Room
):
    """Things changed several times come once: nobody can count by adding and taking away."""
    before = {str(lobby.pk): Cursor(epoch=lobby.epoch, seq=lobby.head)}
    follower, live = rig.connect(ana)
    await rig.catch_up.sync(follower, before)

    def come_and_go() -> int:
        memberships.join(by=eve, room_id=lobby.pk)
        memberships.change_role(by=ana, room_id=lobby.pk, user_id=str(eve.pk), role="moderator")
        memberships.leave(by=ben, room_id=lobby.pk)
        memberships.join(by=ben, room_id=lobby.pk)
        return Room.objects.get(pk=lobby.pk).member_count

    assert await sync_to_async(come_and_go)() == 3
    await live.until(lambda it: len(it.of_type("member.joined")) == 2)
    counts = [each["member_count"] for each in live.events if each["type"].startswith("member.")]
    assert counts == [3, 3, 2, 3]

    rig.holds_mail = True

    def go_and_be_changed() -> None:
        memberships.leave(by=ben, room_id=lobby.pk)
        memberships.join(by=ben, room_id=lobby.pk)
        memberships.change_role(by=ana, room_id=lobby.pk, user_id=str(ben.pk), role="moderator")
        memberships.leave(by=eve, room_id=lobby.pk)

    await sync_to_async(go_and_be_changed)()
    rig.postbox.clear()
    seen = len(live.events)
    await rig.reconciler.compare_all()
    await live.until(lambda it: it.events[-1]["type"] == "member.left" and len(it.events) > seen)
    repaired = [(each["type"], each["member_count"]) for each in live.events[seen:]]
    assert repaired == [("member.changed", 2), ("member.left", 2)]

    connection, socket = rig.connect(ana)
    rig.hub.drop_room(rig.hub.rooms[lobby.pk])  # nothing in memory: it reads
    await rig.catch_up.sync(connection, before)
    await socket.until(lambda it: it.of_type("synced"))
    (page,) = socket.of_type("changes")
    assert (len(page["members"]), page["state"]["member_count"]) == (2, 2)
