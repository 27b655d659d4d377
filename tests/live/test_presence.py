"""Whose presence a connection is told of, when, and in which words."""

import asyncio
from typing import Any
from unittest.mock import patch

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth import get_user_model
from django.db import OperationalError

from chat.access.policy import SITE, Policy
from chat.live import presence
from chat.live.connection import Connection
from chat.live.hints import PresenceAsked, PresenceChanged, PresenceState
from chat.live.presence_book import LINGER_S
from chat.models import Room
from chat.services import memberships, rooms
from chat.wire import protocol
from tests.live.rig import LiveRig, Socket

pytestmark = pytest.mark.django_db(transaction=True)


class HiddenPolicy(Policy):
    def can_see_presence(self, user: Any, room: Room, membership: Any) -> bool:
        return False


class BrokenPolicy(Policy):
    is_broken = False

    def can_see_presence(self, user: Any, room: Room, membership: Any) -> bool:
        if self.is_broken and user.get_username() == "ben":
            raise RuntimeError("broken")
        return True


async def join(rig: LiveRig, user: Any, *room_ids: int) -> tuple[Connection, Socket]:
    """Connect and follow the rooms."""
    connection, socket = rig.connect(user)
    await follow(rig, connection, *room_ids)
    return connection, socket


async def follow(rig: LiveRig, connection: Connection, *room_ids: int) -> None:
    await rig.catch_up.sync(connection, {str(each): None for each in room_ids})


async def seconds(rig: LiveRig, count: int = 1) -> None:
    """Let so many seconds pass."""
    await settled(rig)
    before = rig.process.presence._now
    rig.process.presence._now = lambda: before() + count
    await rig.process.presence.second()
    await settled(rig)
    await rig.process.presence.read()
    await rig.process.presence.second()
    await settled(rig)


async def settled(rig: LiveRig) -> None:
    """Return when hints have been taken, reads made and frames sent."""
    for _ in range(5):
        await asyncio.sleep(0)
    await rig.quiet()


def told(socket: Socket) -> dict[str, str]:
    """What was said last of each person."""
    known: dict[str, str] = {}
    for event in socket.of_type("presence"):
        known |= event["users"]
    return known


def online(socket: Socket, room: Room) -> int | None:
    counts: dict[str, int | None] = {}
    for event in socket.of_type("presence"):
        counts |= event["online"]
    return counts[str(room.pk)]


async def test_whoever_follows_a_room_is_told_who_of_its_members_is_connected_and_what_changes(
    rig: LiveRig, ana: Any, ben: Any, lobby: Room
) -> None:
    _, anas = await join(rig, ana, lobby.pk)
    await seconds(rig)
    assert told(anas) == {str(ana.pk): "online", str(ben.pk): "offline"}
    assert online(anas, lobby) == 1
    connection, bens = await join(rig, ben, lobby.pk)
    await seconds(rig)
    assert told(anas) == told(bens) == {str(ana.pk): "online", str(ben.pk): "online"}
    assert online(anas, lobby) == online(bens, lobby) == 2
    rig.hub.close(connection)
    await seconds(rig)
    assert told(anas)[str(ben.pk)] == "online", "it may be a reload"
    await seconds(rig, round(LINGER_S) + 1)
    assert told(anas)[str(ben.pk)] == "offline" and online(anas, lobby) == 1


async def test_in_a_second_without_news_nothing_is_said(rig: LiveRig, ana: Any, lobby: Room) -> None:
    _, anas = await join(rig, ana, lobby.pk)
    await seconds(rig)
    frames = len(anas.frames)
    for _ in range(5):
        await seconds(rig)
    assert len(anas.frames) == frames


async def test_a_person_is_away_when_all_their_tabs_are_and_gone_with_the_last(
    rig: LiveRig, ana: Any, ben: Any, lobby: Room
) -> None:
    _, anas = await join(rig, ana, lobby.pk)
    tabs = [rig.connect(ben)[0] for _ in range(3)]
    acts = [
        ("online", lambda: None),
        ("online", lambda: away(rig, tabs[0])),
        ("online", lambda: away(rig, tabs[1])),
        ("away", lambda: away(rig, tabs[2])),
        ("away", lambda: rig.hub.close(tabs[0])),
        ("online", lambda: tabs.append(rig.connect(ben)[0])),
        ("away", lambda: rig.hub.close(tabs[3])),
        ("away", lambda: rig.hub.close(tabs[1])),
        ("offline", lambda: rig.hub.close(tabs[2])),
    ]
    for expected, act in acts:
        act()
        await seconds(rig, round(LINGER_S) + 1)
        await seconds(rig, round(LINGER_S) + 1)
        assert told(anas)[str(ben.pk)] == expected


def away(rig: LiveRig, connection: Connection) -> None:
    connection.status = "away"
    rig.process.presence.own_changed(connection.user_id)


async def test_nobody_is_told_of_people_in_rooms_that_they_only_watch_left_or_never_saw(
    rig: LiveRig, ana: Any, ben: Any, eve: Any, lobby: Room
) -> None:
    _, eves = await join(rig, eve, lobby.pk)
    _, bens = await join(rig, ben, lobby.pk)
    await seconds(rig)
    assert told(eves) == {} and eves.of_type("presence") == []
    await sync_to_async(memberships.join)(by=eve, room_id=lobby.pk)
    await seconds(rig)
    assert told(eves)[str(ana.pk)] == "offline" and told(eves)[str(ben.pk)] == "online"
    assert told(bens)[str(eve.pk)] == "online", "a new member is shown to those who were there"
    await sync_to_async(memberships.leave)(by=eve, room_id=lobby.pk)
    await seconds(rig)
    before = len(eves.of_type("presence"))
    rig.connect(ana)
    await seconds(rig)
    assert told(bens)[str(ana.pk)] == "online"
    assert len(eves.of_type("presence")) == before


async def test_news_that_wait_for_a_slow_reader_are_not_told_once_the_room_is_lost(
    rig: LiveRig, ana: Any, ben: Any, eve: Any
) -> None:
    make = sync_to_async(rooms.create)
    room = await make(by=ana, name="Private", kind="private", user_ids=[str(ben.pk), str(eve.pk)], invited_by=SITE)
    connection, eves = await join(rig, eve, room.pk)
    await seconds(rig)
    full = patch.object(type(connection.window), "has_room", property(lambda window: window is not connection.window))
    with full:
        rig.connect(ben)
        await seconds(rig)
    await sync_to_async(memberships.remove)(by=ana, room_id=room.pk, user_id=str(eve.pk))
    await seconds(rig)
    of_ben = [each["users"].get(str(ben.pk)) for each in eves.of_type("presence")]
    assert of_ben == ["offline", "unknown"], "what was said before does not stand for ever, and nothing else is said"
    assert online(eves, room) is None


async def test_a_slow_reader_is_told_the_present_state_once_it_has_caught_up(
    rig: LiveRig, ana: Any, ben: Any, lobby: Room
) -> None:
    connection, anas = await join(rig, ana, lobby.pk)
    await seconds(rig)
    with patch.object(type(connection.window), "has_room", property(lambda window: False)):
        bens = rig.connect(ben)[0]
        await seconds(rig)
        rig.hub.close(bens)
        await seconds(rig, round(LINGER_S) + 1)
        away(rig, rig.connect(ben)[0])
        await seconds(rig)
        assert told(anas)[str(ben.pk)] == "offline"
    await seconds(rig)
    assert [each["users"].get(str(ben.pk)) for each in anas.of_type("presence")][-1] == "away"


@pytest.mark.parametrize("policy", ["HiddenPolicy", "BrokenPolicy"])
async def test_a_policy_may_hide_who_is_there_and_if_it_fails_it_hides_them_from_that_person_alone(
    rig: LiveRig, ana: Any, ben: Any, lobby: Room, settings: Any, monkeypatch: pytest.MonkeyPatch, policy: str
) -> None:
    settings.CHAT = {**settings.CHAT, "POLICY": f"{__name__}.{policy}"}
    _, anas = await join(rig, ana, lobby.pk)
    _, bens = await join(rig, ben, lobby.pk)
    monkeypatch.setattr(BrokenPolicy, "is_broken", True)
    await seconds(rig)
    assert bens.of_type("presence") == []
    assert (anas.of_type("presence") == []) == (policy == "HiddenPolicy")


async def test_a_large_room_tells_how_many_are_there_and_names_nobody(
    rig: LiveRig, ana: Any, ben: Any, lobby: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(presence, "NAMED_AT_MOST", 1)
    _, anas = await join(rig, ana, lobby.pk)
    await seconds(rig)
    assert told(anas) == {} and online(anas, lobby) == 1
    connection = rig.connect(ben)[0]
    await seconds(rig)
    assert online(anas, lobby) == 1, "everybody in it is told: not each second"
    await seconds(rig, round(presence.COUNT_S))
    assert online(anas, lobby) == 2
    rig.hub.close(connection)
    await seconds(rig, round(LINGER_S + presence.COUNT_S))
    assert online(anas, lobby) == 1
    await sync_to_async(memberships.leave)(by=ben, room_id=lobby.pk)
    await seconds(rig)
    assert told(anas) == {str(ana.pk): "online"}, "now it is a small one"


async def test_a_connection_watches_a_bounded_number_of_people_those_of_small_rooms_first(
    rig: LiveRig, ana: Any, ben: Any, lobby: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(presence, "WATCHED_AT_MOST", 4)
    crowd = [await sync_to_async(get_user_model().objects.create_user)(f"p{number}") for number in range(8)]
    make, keys = sync_to_async(rooms.create), [str(each.pk) for each in crowd]
    large = await make(by=ana, name="Large", kind="private", user_ids=keys, invited_by=SITE)
    connection, anas = await join(rig, ana, large.pk, lobby.pk)
    await seconds(rig)
    assert len(told(anas)) == 4 and {str(ana.pk), str(ben.pk)} <= told(anas).keys()
    assert online(anas, large) == 1
    rig.hub.detach(connection, large.pk)
    rig.hub.detach(connection, lobby.pk)
    direct = await sync_to_async(rooms.open_direct)(by=ana, user_ids=[str(crowd[7].pk)])
    await follow(rig, connection, direct.pk)
    await seconds(rig)
    assert told(anas)[str(crowd[7].pk)] == "offline", "people of rooms that it no longer follows make place"


async def test_people_of_another_process_are_told_like_those_here(
    rig: LiveRig, ana: Any, ben: Any, lobby: Room
) -> None:
    _, anas = await join(rig, ana, lobby.pk)
    await seconds(rig)
    book = rig.process.presence._book
    book._is_shared = True
    book.layer_is(True, rig.process.presence._now())
    rig.hub.take([PresenceChanged("there", {str(ben.pk): "away"})])
    with patch.object(rig.process.presence, "_exchange"):
        await seconds(rig)
        await seconds(rig, 5)
        assert told(anas)[str(ben.pk)] == "away" and online(anas, lobby) == 2
        book.layer_is(False, rig.process.presence._now())
        await seconds(rig)
        assert told(anas) == {str(ana.pk): "online", str(ben.pk): "unknown"}
        assert online(anas, lobby) is None


async def test_a_state_of_a_room_says_how_many_are_there(rig: LiveRig, ana: Any, ben: Any, lobby: Room) -> None:
    await join(rig, ana, lobby.pk)
    await seconds(rig)
    _, bens = await join(rig, ben, lobby.pk)
    await settled(rig)
    (reset,) = bens.of_type("reset")
    assert protocol.convert_result(reset["state"], protocol.RoomState).online == 1


# What a reader of the code found ------------------------------------------------------------------------------------


async def test_counts_stay_right_whatever_happens_while_members_are_read(
    rig: LiveRig, ana: Any, ben: Any, lobby: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, anas = await join(rig, ana, lobby.pk)
    await seconds(rig)
    other = await sync_to_async(rooms.open_direct)(by=ana, user_ids=[str(ben.pk)])
    read = presence.reads.people_of
    came: list[Connection] = []

    def while_ben_comes(*arguments: Any) -> Any:
        found = read(*arguments)
        rig.loop.call_soon_threadsafe(lambda: came.append(rig.connect(ben)[0]))
        return found

    monkeypatch.setattr(presence.reads, "people_of", while_ben_comes)
    await follow(rig, next(iter(rig.hub.users[str(ana.pk)])), other.pk)
    await seconds(rig)
    monkeypatch.setattr(presence.reads, "people_of", read)
    await seconds(rig)
    assert online(anas, lobby) == online(anas, other) == 2
    for each in came:
        rig.hub.close(each)
    await seconds(rig, round(LINGER_S) + 1)
    assert online(anas, lobby) == online(anas, other) == 1


async def test_a_room_that_could_not_be_read_at_once_is_told_once_it_is(
    rig: LiveRig, ana: Any, ben: Any, lobby: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    with patch.object(presence.reads, "people_of", side_effect=OperationalError):
        _, anas = await join(rig, ana, lobby.pk)
        await seconds(rig)
        assert anas.of_type("presence") == []
    await seconds(rig)
    assert told(anas)[str(ben.pk)] == "offline" and online(anas, lobby) == 1


async def test_rooms_with_many_members_together_are_read_in_parts(
    rig: LiveRig, ana: Any, ben: Any, lobby: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(presence, "KEYS_PER_READ", 3)
    made = [lobby.pk]
    for number in range(4):
        keys = [str(ben.pk)]
        room = await sync_to_async(rooms.create)(
            by=ana, name=f"{number}", kind="private", user_ids=keys, invited_by=SITE
        )
        made.append(room.pk)
    _, anas = await join(rig, ana, *made)
    await seconds(rig)
    assert {int(room_id) for event in anas.of_type("presence") for room_id in event["online"]} == set(made)


async def test_a_room_that_is_too_large_to_count_is_not_known(
    rig: LiveRig, ana: Any, ben: Any, lobby: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, anas = await join(rig, ana, lobby.pk)
    await seconds(rig)
    monkeypatch.setattr(presence, "COUNTED_AT_MOST", 1)
    rig.process.presence.people_moved(lobby.pk)
    await seconds(rig)
    assert rig.process.presence.count(lobby.pk) is None
    assert online(anas, lobby) is None and set(told(anas).values()) == {"unknown"}, "the last word does not stand"


async def test_the_ids_of_members_that_are_kept_are_bounded(
    rig: LiveRig, ana: Any, ben: Any, lobby: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(presence, "NAMED_AT_MOST", 1)
    monkeypatch.setattr(presence, "KEPT_AT_MOST", 3)
    make = sync_to_async(rooms.create)
    other = await make(by=ana, name="Other", kind="private", user_ids=[str(ben.pk)], invited_by=SITE)
    await join(rig, ana, lobby.pk, other.pk)
    await seconds(rig)
    assert sorted((rig.process.presence.count(each.pk) or 0) for each in (lobby, other)) == [0, 1]


async def test_who_comes_and_goes_all_the_time_does_not_have_a_large_room_read_each_second(
    rig: LiveRig, ana: Any, lobby: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(presence._Room, "pause_s", 30.0)
    await join(rig, ana, lobby.pk)
    await seconds(rig)
    with patch.object(presence.reads, "people_of", wraps=presence.reads.people_of) as read:
        for _ in range(10):
            rig.process.presence.people_moved(lobby.pk)
            await seconds(rig)
        assert read.call_count == 0
        await seconds(rig, 30)
        assert read.call_count == 1


async def test_who_joins_while_the_members_are_read_is_not_missed(
    rig: LiveRig, ana: Any, eve: Any, lobby: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = presence.reads.people_of

    def while_eve_joins(*arguments: Any) -> Any:
        found = read(*arguments)
        memberships.join(by=eve, room_id=lobby.pk)
        return found

    monkeypatch.setattr(presence.reads, "people_of", while_eve_joins)
    _, anas = await join(rig, ana, lobby.pk)
    await seconds(rig)
    monkeypatch.setattr(presence.reads, "people_of", read)
    await seconds(rig)
    assert told(anas)[str(eve.pk)] == "offline"


async def test_people_of_a_room_that_grows_too_large_to_name_them_are_said_to_be_unknown(
    rig: LiveRig, ana: Any, ben: Any, eve: Any, lobby: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, anas = await join(rig, ana, lobby.pk)
    await seconds(rig)
    monkeypatch.setattr(presence, "NAMED_AT_MOST", 2)
    await sync_to_async(memberships.join)(by=eve, room_id=lobby.pk)
    await seconds(rig)
    assert set(told(anas).values()) == {"unknown"} and online(anas, lobby) == 1


async def test_whoever_lets_go_of_a_room_is_told_that_its_people_are_unknown(
    rig: LiveRig, ana: Any, ben: Any, lobby: Room
) -> None:
    connection, anas = await join(rig, ana, lobby.pk)
    await seconds(rig)
    rig.hub.detach(connection, lobby.pk)
    await seconds(rig, round(presence.LOST_ROOMS_S))
    assert set(told(anas).values()) == {"unknown"} and online(anas, lobby) is None


async def test_an_answer_that_comes_before_the_next_second_counts(
    rig: LiveRig, ana: Any, ben: Any, lobby: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process has asked the others whom they have; its question comes back, and the answer after it."""
    monkeypatch.setattr(presence, "reaches_other_processes", lambda: True)
    monkeypatch.setattr(presence, "publish_elsewhere", lambda hints: None)
    rig.process.presence = presence.Presence(rig.hub, lambda: rig.process.presence._now())
    _, anas = await join(rig, ana, lobby.pk)
    rig.hub.take([PresenceAsked(rig.hub.incarnation), PresenceState("there", 0, 1, {str(ben.pk): "online"})])
    for _ in range(10):
        await seconds(rig)
    assert told(anas)[str(ben.pk)] == "online" and online(anas, lobby) == 2
