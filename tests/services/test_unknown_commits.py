"""A commit whose outcome is unknown is found out: everybody gets the right answer, and nothing happens twice."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch
from uuid import uuid4

import pytest
from django.db import OperationalError, connection

from chat.access.policy import SITE
from chat.live.hints import CompareHeads
from chat.models import Membership, Message, Room
from chat.models.database import write
from chat.services import batch, memberships, messages, reactions, read_pointers, rooms
from chat.services.changes import Call, Change
from chat.wire.errors import ChatError, MessageEmpty
from tests.cast import fresh, outcomes_of, person, post_of, posted, published, said, say
from tests.rig.proxy import Proxy
from tests.services.log import check_log


@pytest.fixture(autouse=True)
def _real_commits(transactional_db: None) -> None:
    """The writer has a connection of its own: what it stores must be committed to be seen."""


@contextmanager
def connection_that_dies_after_commit() -> Iterator[list[int]]:
    """The next commit of this thread's connection takes place, and nobody learns of it; the list counts it."""
    deaths: list[int] = []
    commit = connection._commit

    def commit_and_die() -> None:
        commit()
        if not deaths:
            deaths.append(1)
            raise OperationalError("server closed the connection unexpectedly")

    with patch.object(connection, "_commit", commit_and_die):
        yield deaths


@contextmanager
def connection_that_dies_before_commit() -> Iterator[list[int]]:
    deaths: list[int] = []
    commit = connection._commit

    def die_or_commit() -> None:
        if not deaths:
            deaths.append(1)
            raise OperationalError("server closed the connection unexpectedly")
        commit()

    with patch.object(connection, "_commit", die_or_commit):
        yield deaths


@contextmanager
def connection_cut_after_commit() -> Iterator[list[int]]:
    """The same for real: the proxy passes COMMIT on, and cuts when the server has answered."""
    place, options = connection.settings_dict, connection.settings_dict["OPTIONS"]
    port, pool = place["PORT"], options.get("pool")
    connection.close()
    with Proxy(int(port)) as proxy:
        place.update(HOST="127.0.0.1", PORT=str(proxy.port))
        options.pop("pool", None)
        try:
            connection.ensure_connection()
            before = proxy.connections
            proxy.cut_once_sent(b"COMMIT")
            deaths: list[int] = []
            yield deaths
            assert proxy.connections > before, "the connection was cut, and made again"
            deaths.append(1)
        finally:
            connection.close()
            place.update(PORT=port)
            if pool is not None:
                options["pool"] = pool


DEATHS = [connection_that_dies_after_commit, connection_that_dies_before_commit]
if connection.vendor == "postgresql":  # tests/test_on_postgresql.py runs this there
    DEATHS.append(connection_cut_after_commit)


@pytest.mark.parametrize("death", DEATHS)
def test_every_sender_gets_the_right_answer_when_the_connection_dies_at_commit(
    ana: Any, ben: Any, lobby: Room, staff: Room, death: Any
) -> None:
    old = say(ana, lobby, "old", client_id=(repeated := uuid4()))
    posts: list[Change] = [post_of((ana, ben)[n % 2], (lobby, staff)[n % 3 == 0], f"{n}") for n in range(30)]
    posts += [post_of(ana, lobby, "old", client_id=repeated), post_of(ana, lobby, "")]
    with published() as hints, patch.object(batch, "publish", hints.extend), death() as deaths:
        outcomes = outcomes_of(posts)
    assert deaths
    assert CompareHeads() in hints, "who follows elsewhere must look: the first run told nobody"
    assert isinstance(outcomes.pop(), MessageEmpty)
    repeat = outcomes.pop()
    assert (repeat.id, repeat.duplicate) == (old.id, True)
    assert not any(each.duplicate for each in posted(outcomes))
    stored = dict(Message.objects.exclude(pk=old.id).values_list("client_id", "pk"))
    assert stored == {each.client_id: int(answer.id) for each, answer in zip(posts, outcomes, strict=False)}
    assert Message.objects.count() == 31
    for room in (lobby, staff):
        check_log(room)


def test_no_comparison_is_requested_after_a_clean_commit(ana: Any, lobby: Room) -> None:
    with published() as hints, patch.object(batch, "publish", hints.extend):
        outcomes_of([post_of(ana, lobby)])
    assert CompareHeads() not in hints


Make = Callable[[Any, Any, Any, Room, Message], Any]
REPEATABLE: dict[str, Make] = {
    "join": lambda ana, ben, cleo, room, message: memberships.join(by=cleo, room_id=room.pk).pk,
    "leave": lambda ana, ben, cleo, room, message: memberships.leave(by=ben, room_id=room.pk),
    "an owner leaves": lambda ana, ben, cleo, room, message: memberships.leave(by=ana, room_id=room.pk),
    "add": lambda ana, ben, cleo, room, message: (
        memberships.add(by=ana, room_id=room.pk, user_id=str(cleo.pk), role="moderator").user_key
    ),
    "remove": lambda ana, ben, cleo, room, message: memberships.remove(by=ana, room_id=room.pk, user_id=str(ben.pk)),
    "role": lambda ana, ben, cleo, room, message: memberships.change_role(
        by=ana, room_id=room.pk, user_id=str(ben.pk), role="owner"
    ),
    "update": lambda ana, ben, cleo, room, message: rooms.update(by=ana, room_id=room.pk, name="Hall").pk,
    "archive": lambda ana, ben, cleo, room, message: rooms.update(by=ana, room_id=room.pk, archived=True).pk,
    "edit": lambda ana, ben, cleo, room, message: messages.edit(by=ana, message_id=message.pk, body="new"),
    "delete": lambda ana, ben, cleo, room, message: messages.delete(by=ana, message_id=message.pk),
    "react": lambda ana, ben, cleo, room, message: reactions.add(by=ben, message_id=message.pk, emoji="👍"),
    "unreact": lambda ana, ben, cleo, room, message: reactions.remove(by=ana, message_id=message.pk, emoji="🎉"),
    "an owner steps back": lambda ana, ben, cleo, room, message: memberships.change_role(
        by=ana, room_id=room.pk, user_id=str(ana.pk), role="member"
    ),
    "rename and archive": lambda ana, ben, cleo, room, message: (
        rooms.update(by=ana, room_id=room.pk, name="Hall", archived=True).is_open
    ),
    "read": lambda ana, ben, cleo, room, message: read_pointers.move(by=ben, room_id=room.pk, number=1),
    "direct": lambda ana, ben, cleo, room, message: (
        rooms.open_direct(by=ana, user_ids=[str(cleo.pk)]).is_direct and Room.objects.filter(kind="direct").count()
    ),
}


def prepared(ana: Any, ben: Any, cleo: Any, kind: str) -> tuple[Room, Message]:
    room = rooms.create(by=ana, name="Room", kind=kind, user_ids=[str(ben.pk)], invited_by=SITE)
    memberships.add(
        by=SITE, room_id=room.pk, user_id=str(person(f"owner of {room.pk}").pk), role="owner"
    )  # so that ana may step back
    message = said(ana, room)
    reactions.add(by=ana, message_id=message.pk, emoji="🎉")
    return fresh(room), message


def traces(room: Room) -> tuple[Any, ...]:
    """What a change leaves behind, in terms that two rooms can be compared in."""
    row = fresh(room)
    people = Membership.objects.filter(room=room).order_by("joined_seq")
    return (
        (row.head, row.last_number, row.member_count, row.name, row.archived),
        list(people.values_list("joined_seq", "role", "changed_seq", "moves", "rev", "read_number")),
        [(each.changed_seq, each.body, each.reactions) for each in Message.objects.filter(room=room)],
    )


CASES = [(name, kind) for name in REPEATABLE for kind in ("open", "private") if (name, kind) != ("join", "private")]


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_a_change_whose_commit_is_in_doubt_takes_place_once(
    ana: Any, ben: Any, cleo: Any, name: str, kind: str
) -> None:
    change = REPEATABLE[name]
    before = traces(prepared(ana, ben, cleo, kind)[0])
    room, message = prepared(ana, ben, cleo, kind)
    (once,) = outcomes_of([Call(ana, lambda: change(ana, ben, cleo, room, message))])
    wanted = traces(room)
    assert wanted != before or name == "direct", "the change changes something"
    _forget_direct_rooms()
    twin, message = prepared(ana, ben, cleo, kind)
    with connection_that_dies_after_commit() as deaths:
        (twice,) = outcomes_of([Call(ana, lambda: change(ana, ben, cleo, twin, message))])
    assert deaths
    assert traces(twin) == wanted
    assert not isinstance(twice, ChatError)
    if name not in ("join", "update", "archive"):
        assert twice == once
    check_log(twin)


def _forget_direct_rooms() -> None:
    with write():
        direct = Room.objects.filter(kind="direct")
        Membership.objects.filter(room__in=direct).delete()
        direct.delete()


def test_a_room_whose_making_is_in_doubt_is_made_once(ana: Any) -> None:
    client_id = uuid4()
    with connection_that_dies_after_commit() as deaths:
        (room,) = outcomes_of([Call(ana, lambda: rooms.create(by=ana, name="Lobby", client_id=client_id))])
    assert deaths
    assert list(Room.objects.all()) == [room]
