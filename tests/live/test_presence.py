"""Whose presence a connection is told of, when, and in which words."""

import asyncio
from typing import Any
from unittest.mock import patch

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth import get_user_model

from chat.access.policy import SITE, Policy
from chat.live import presence
from chat.live.connection import Connection
from chat.live.hints import PresenceChanged
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
    assert told(eves)[str(ben.pk)] == "offline"


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
    assert online(anas, lobby) == 2
    rig.hub.close(connection)
    await seconds(rig, round(LINGER_S) + 1)
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
