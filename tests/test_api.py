# ruff: noqa: F811
"""chat.api, as a site's own code uses it: in transactions, threads, coroutines, and other processes."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any
from unittest.mock import patch
from uuid import uuid4

import msgspec
import pytest
from django.db import OperationalError, connections, transaction

from chat import api
from chat.live import publisher
from chat.live.hints import Hint, Recheck, RoomTransient, ToEverybody, ToUser
from chat.models import Message, Room
from chat.runtime import pools
from chat.services import messages, posting, rooms
from chat.services.writer import Writer
from chat.wire.errors import (
    ChatError,
    CommandInvalid,
    EmojiInvalid,
    MessageEmpty,
    MessageNotFound,
    RoomForbidden,
    RoomNotFound,
)
from tests.cast import (  # noqa: F401  (fixtures)
    ana,
    ana_and_ben,
    ben,
    cleo,
    eve,
    events_in,
    fresh,
    lobby,
    make_person,
    numbers,
    published,
    said,
    staff,
)

# One call each ---------------------------------------------------------------------------------------------------


def test_every_call_works_over_the_life_of_a_room(ana: Any, ben: Any, cleo: Any) -> None:
    room = api.create_room("Project", ana, topic="News", members=[ben])
    first = api.post(room, ana, "hello")
    message = Message.objects.get(pk=first.id)
    reply = api.post(room.pk, ben, "hi", reply_to=message)
    assert api.post(str(room.pk), ben, "again", reply_to=reply.id).number == 3
    assert api.edit(message, ana, "hello, all") > reply.seq
    assert api.react(first.id, ben, "👍").mine == ["👍"]
    assert api.unreact(int(first.id), ben, "👍").mine == []
    api.delete(message, ana)
    api.add_member(room, cleo, role="moderator")
    api.add_member(room, cleo)
    api.remove_member(room, cleo)
    api.remove_member(room, cleo)
    api.archive_room(room)
    with pytest.raises(ChatError):
        api.post(room, ana, "too late")
    api.archive_room(room, archived=False)
    assert api.open_direct(ana, [ben]) == api.open_direct(ben, [ana])
    assert api.room_for(ana) == api.room_for(ana)
    assert fresh(room).member_count == 2
    assert numbers(room) == [1, 2, 3]


def test_a_room_made_for_an_object_has_it_as_its_subject(ana: Any, lobby: Room) -> None:
    room = api.room_for(ana, name="About Ana")
    assert fresh(room).subject == ana
    assert lobby.subject is None
    ana.delete()
    assert fresh(room).subject is None


def test_posting_is_idempotent_and_not_rate_limited(ana: Any, lobby: Room, settings: Any) -> None:
    settings.CHAT = {**settings.CHAT, "POST_RATE": 0.001, "POST_BURST": 1}
    client_id = uuid4()
    for n in range(5):
        assert api.post(lobby, ana, "once", client_id=client_id).duplicate is (n > 0)
        api.post(lobby, ana, "each time")
    assert len(numbers(lobby)) == 6


@pytest.mark.parametrize("room", [None, "", 0, -1, "x", 987654321, object()])
def test_an_argument_that_is_no_room_raises_room_not_found(ana: Any, room: Any) -> None:
    for act in (
        lambda: api.post(room, ana, "hi"),
        lambda: api.add_member(room, ana),
        lambda: api.remove_member(room, ana),
        lambda: api.archive_room(room),
    ):
        with pytest.raises(RoomNotFound):
            act()


def test_bad_input_is_refused_with_its_reason(ana: Any, eve: Any, lobby: Room, ana_and_ben: Room) -> None:
    message = said(ana, lobby)
    refused: list[tuple[type[ChatError], Callable[[], Any]]] = [
        (MessageEmpty, lambda: api.post(lobby, ana, " ")),
        (MessageNotFound, lambda: api.post(lobby, ana, "hi", reply_to=987654321)),
        (MessageNotFound, lambda: api.edit("x", ana, "hi")),
        (MessageNotFound, lambda: api.delete(0, ana)),
        (EmojiInvalid, lambda: api.react(message, ana, ":+1:")),
        (RoomForbidden, lambda: api.post(lobby, eve, "hi")),
        (RoomForbidden, lambda: api.add_member(ana_and_ben, eve)),
        (CommandInvalid, lambda: api.create_room("Room", ana, kind="direct")),
        (CommandInvalid, lambda: api.room_for(type(ana)())),
        (CommandInvalid, lambda: api.add_member(lobby, eve, role="king")),
    ]
    for error, act in refused:
        with pytest.raises(error):
            act()


def test_a_refused_post_tells_the_site_the_reason_in_a_note(
    transactional_db: None, ana: Any, eve: Any, staff: Room
) -> None:
    for post in (lambda: api.post(staff, eve, "hi"), lambda: asyncio.run(api.apost(staff, eve, "hi"))):
        with unused_lanes(), pytest.raises(RoomNotFound) as caught:
            post()
        assert caught.value.__notes__ == [
            f"User {eve.pk} is no member of room {staff.pk}, and the policy does not let them in."
        ]
        assert "member" not in caught.value.message, "that is what goes to clients"
    with transaction.atomic():
        with pytest.raises(RoomNotFound):
            api.post(staff, eve, "hi")
        assert api.post(staff, ana, "hi").number == 1, "the caller's transaction goes on"
    with pytest.raises(RoomNotFound) as missing:
        api.post(987654321, eve, "hi")
    assert not hasattr(missing.value, "__notes__")


# Transactions ----------------------------------------------------------------------------------------------------


def everything(ana: Any, ben: Any, lobby: Room) -> None:
    posted = api.post(lobby, ana, "hello")
    api.edit(posted.id, ana, "hello!")
    api.react(posted.id, ben, "👍")
    api.remove_member(lobby, ben)
    api.create_room("Another", ana)
    api.notify({"a": 1}, room=lobby)
    api.recheck([ana])
    api.recheck(room=lobby)


def test_nothing_is_published_when_the_callers_transaction_rolls_back(
    transactional_db: None, ana: Any, ben: Any, lobby: Room
) -> None:
    with published() as hints, transaction.atomic():
        everything(ana, ben, lobby)
        transaction.set_rollback(True)
    assert not hints
    assert not Message.objects.exists()
    assert fresh(lobby).head == lobby.head
    assert api.post(lobby, ana, "next").number == 1


def test_everything_is_published_in_order_when_the_callers_transaction_commits(
    transactional_db: None, ana: Any, ben: Any, lobby: Room
) -> None:
    with published() as hints:
        with transaction.atomic():
            everything(ana, ben, lobby)
            assert not hints, "nobody may hear of what may yet be taken back"
        told = list(hints)
    head = lobby.head
    assert [each.seq for each in events_in(told, lobby)] == [head + 1, head + 2, head + 3, head + 4]
    assert any(isinstance(each, RoomTransient) for each in told)
    assert Recheck(str(ana.pk)) in told


def test_hints_of_a_rolled_back_inner_block_are_not_published(transactional_db: None, ana: Any, lobby: Room) -> None:
    with published() as hints, transaction.atomic():
        api.post(lobby, ana, "kept")
        with transaction.atomic():
            api.post(lobby, ana, "taken back")
            transaction.set_rollback(True)
        api.post(lobby, ana, "kept too")
    assert [(each.message.number, each.message.body) for each in events_in(hints, lobby)] == [
        (1, "kept"),
        (2, "kept too"),
    ]
    assert numbers(lobby) == [1, 2]


# Threads, coroutines, processes ----------------------------------------------------------------------------------


class Listener:
    """Acts as a hub on an event loop in its own thread, as under daphne. ``heard`` holds the hints that it received."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.heard: list[Hint] = []
        self._came = threading.Condition()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)

    def __enter__(self) -> "Listener":
        self._thread.start()
        publisher.register(self.loop, self._take)
        return self

    def __exit__(self, *_: object) -> None:
        publisher.unregister(self.loop)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(10)
        self.loop.close()

    def _take(self, hints: list[Hint]) -> None:
        with self._came:
            self.heard += hints
            self._came.notify_all()

    def hears(self, condition: Callable[[list[Hint]], bool]) -> bool:
        with self._came:
            return self._came.wait_for(lambda: condition(self.heard), 10)


def in_a_thread(work: Callable[[], Any]) -> Any:
    results: list[Any] = []

    def run() -> None:
        results.append(work())
        connections.close_all()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(30)
    return results[0]


def test_a_post_from_a_thread_without_a_loop_reaches_the_hub(transactional_db: None, ana: Any, lobby: Room) -> None:
    with Listener() as listener:
        result = in_a_thread(lambda: api.post(lobby, ana, "from a thread"))
        assert listener.hears(lambda heard: [each.seq for each in events_in(heard, lobby)] == [result.seq])


def test_a_notice_reaches_the_people_it_names() -> None:
    """``api.notify`` chooses the hint for each audience, and the hub sends a hint to everybody in its audience."""

    class People:
        def __init__(self, pk: int):
            self.pk = pk

    def audiences(**options: Any) -> list[Hint]:
        hints: list[Hint] = []
        with patch.object(api, "publish_on_commit", hints.extend):
            api.notify({"n": 1}, **options)
        return hints

    encoded = msgspec.json.encode({"type": "notice", "payload": {"n": 1}})
    assert audiences(users=[People(1), People(2)]) == [ToUser("1", encoded), ToUser("2", encoded)]
    assert audiences(room=7) == audiences(room="7") == audiences(room=Room(pk=7)) == [RoomTransient(7, encoded)]
    assert audiences(everyone=True) == [ToEverybody(encoded)]
    assert audiences(users=[]) == []


@pytest.mark.parametrize(
    "options",
    [{}, {"users": [], "everyone": True}, {"room": 1, "everyone": True}, {"users": [], "room": 1}, {"everyone": False}],
)
def test_a_notice_has_exactly_one_audience(options: dict[str, Any]) -> None:
    with pytest.raises(CommandInvalid):
        api.notify("hi", **options)


def test_a_notice_that_is_too_long_or_for_no_room_is_refused() -> None:
    with pytest.raises(CommandInvalid):
        api.notify("x" * 40_000, everyone=True)
    for room in ("x", 0, ""):
        with pytest.raises(RoomNotFound):
            api.notify("hi", room=room)


def test_many_posts_from_coroutines_share_transactions(transactional_db: None, ana: Any, lobby: Room) -> None:
    made = Writer()

    async def talk() -> list[Any]:
        posts = (api.apost(lobby, ana, f"{n}") for n in range(40))
        refused = api.apost(lobby, ana, " ")
        return await asyncio.gather(*posts, refused, return_exceptions=True)

    try:
        with patch.object(api, "writer", made), patch.object(messages, "post_many", wraps=posting.post_many) as runs:
            *results, refused = asyncio.run(talk())
    finally:
        made.stop()
    assert [each.number for each in results] == list(range(1, 41))
    assert isinstance(refused, MessageEmpty)
    assert runs.call_count < 20


def test_every_coroutine_does_the_same_as_its_blocking_twin(
    transactional_db: None, ana: Any, ben: Any, cleo: Any
) -> None:
    async def talk() -> tuple[Room, Room]:
        room = await api.acreate_room("Project", ana, kind="open", members=[ben])
        posted = await api.apost(room, ana, "hello")
        await api.aedit(posted.id, ana, "hello!")
        await api.adelete(posted.id, ana)
        await api.aadd_member(room, cleo, role="moderator")
        await api.aremove_member(room, ben)
        await api.anotify({"a": 1}, users=[ana])
        return room, await api.aroom_for(ana, name="Ana")

    with unused_lanes(), published() as hints:
        room, about = asyncio.run(talk())
    assert fresh(room).member_count == 2
    assert about.name == "Ana"
    assert Message.objects.get().deleted_at
    assert [type(each).__name__ for each in events_in(hints, room)] == [
        *("MemberJoined", "MemberJoined", "MessagePosted", "MessageChanged", "MessageChanged"),
        *("MemberJoined", "MemberLeft"),
    ]


def test_a_room_is_made_once_even_if_the_connection_dies_after_the_commit(transactional_db: None, ana: Any) -> None:
    """A pool retries work whose connection has died, which once made two rooms from one call."""
    create, runs = rooms.create, []

    def die_after_commit(**options: Any) -> Room:
        runs.append(create(**options))
        if len(runs) == 1:
            raise OperationalError("server closed the connection unexpectedly")
        return runs[-1]

    with unused_lanes(), patch.object(rooms, "create", die_after_commit):
        room = asyncio.run(api.acreate_room("Project", ana))
    assert len(runs) == 2
    assert list(Room.objects.all()) == [room]


class unused_lanes:  # noqa: N801  (used like a function)
    """Replaces the readers and the writer with new ones, whose threads and connections end with the block."""

    def __enter__(self) -> None:
        self._readers, self._writer = pools.Pool("test", lambda: 1), Writer()
        self._patches = [
            patch.object(pools, "readers", self._readers),
            patch.object(api, "writer", self._writer),
        ]
        for each in self._patches:
            each.start()

    def __exit__(self, *_: object) -> None:
        for each in self._patches:
            each.stop()
        self._writer.stop()
        asyncio.run(self._readers.run(pools.close_connections))
        if self._readers._pool:
            self._readers._pool.shutdown()


POST = """
from django.contrib.auth import get_user_model
from chat import api
from chat.models import Room
ana = get_user_model().objects.get(username="ana")
room = Room.objects.get(name="Lobby")
print(api.post(room, ana, "from a task").seq)
api.notify({"from": "a task"}, everyone=True)
"""


FORK = """
import asyncio
import os
from django.contrib.auth import get_user_model
from django.db import connections
from chat import api
from chat.models import Room
ana = get_user_model().objects.get(username="ana")
room = Room.objects.get(name="Lobby")

async def everything(text):
    async with asyncio.timeout(10):
        seq = (await api.apost(room, ana, text)).seq
        await api.anotify(text, everyone=True)
        return seq

asyncio.run(everything("from a parent"))  # so writer, pools and publisher are at work
connections.close_all()
if child := os.fork():
    raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
api.post(room, ana, "from a child")
seq = asyncio.run(everything("from a task"))
api.notify({"from": "a task"}, everyone=True)
print(seq)
"""


async def test_a_post_from_another_process_reaches_the_sockets_of_a_site(make_site: Any, backend: Any) -> None:
    """A hint announces it if the channel layer connects processes; otherwise the site finds it by comparing heads. The
    same holds for a process forked from a busy one, as by Celery or ``gunicorn --preload``."""
    from websockets.asyncio.client import connect

    site = await asyncio.to_thread(make_site, backend)
    make = "from chat import api; from django.contrib.auth import get_user_model as m; "
    made = await asyncio.to_thread(
        site.python, make + 'print(api.create_room("Lobby", m().objects.get(username="ana"), kind="open").pk)'
    )
    room = made.strip()
    headers = {"Authorization": f"Bearer {site.token('ben')}"}
    async with asyncio.timeout(60), connect(site.ws_url, additional_headers=headers) as socket:
        inbox = Inbox(socket)
        await inbox.until("hello")
        await socket.send(msgspec.json.encode({"type": "sync", "ref": 1, "rooms": {room: None}}).decode())
        await inbox.until("reply")
        # Django's PostgreSQL connections do not survive a fork, so forking is tested on SQLite only.
        is_forked = backend.database == "sqlite"
        seq = int(await asyncio.to_thread(site.python, FORK if is_forked else POST))
        said = ["from a parent", "from a child", "from a task"] if is_forked else ["from a task"]
        heard = [await inbox.until("message.posted") for _ in said]
        assert [each["message"]["body"] for each in heard] == said
        assert heard[-1]["seq"] == seq
        if backend.layer == "redis":
            notices = ["from a parent", "from a task", {"from": "a task"}] if is_forked else [{"from": "a task"}]
            assert [(await inbox.until("notice"))["payload"] for _ in notices] == notices


class Inbox:
    """The events of a raw socket, in order."""

    def __init__(self, socket: Any):
        self._socket = socket
        self._events: list[dict[str, Any]] = []

    async def until(self, kind: str) -> dict[str, Any]:
        """Return the next event of this type that no earlier call has returned."""
        while True:
            for place, each in enumerate(self._events):
                if each["type"] == kind:
                    return self._events.pop(place)
            decoded = msgspec.json.decode(await self._socket.recv())
            self._events += decoded if isinstance(decoded, list) else [decoded]
