"""The window of messages that a client holds."""

import msgspec

from chat.client.core.timeline import Timeline
from chat.wire import protocol
from chat.wire.protocol import HistoryPage
from tests.client.core.model_room import events


def test_the_higher_changed_seq_stands() -> None:
    room, _ = events(1)
    first = room.messages[0]
    room.edit(1)
    timeline = Timeline()
    timeline.start_after(0)
    assert timeline.merge(room.messages[0])
    assert not timeline.merge(first)
    assert list(timeline) == room.messages


def test_messages_before_the_window_are_dropped() -> None:
    room, _ = events(3)
    timeline = Timeline()
    assert not timeline.merge(room.messages[2])
    timeline.start_after(2)
    assert not timeline.merge(room.messages[1])
    assert timeline.merge(room.messages[2])


def test_a_page_joins_only_where_it_touches() -> None:
    room, _ = events(10)
    timeline = Timeline()
    timeline.start_after(8)
    assert not timeline.merge_page(HistoryPage(room.messages[2:5], {}, True, True, "e1", 10))
    assert timeline.merge_page(HistoryPage(room.messages[5:8], {"6": ["👍"]}, True, True, "e1", 10))
    assert [each.number for each in timeline] == [6, 7, 8]
    assert timeline.mine(6) == ("👍",)


def test_the_oldest_leave_when_there_are_too_many() -> None:
    room, _ = events(10)
    timeline = Timeline(keep=4)
    timeline.start_after(0)
    for each in room.messages:
        timeline.merge(each)
        timeline.trim()
    assert [each.number for each in timeline] == [7, 8, 9, 10]


def test_own_reactions_are_read_from_the_first_fifty_people_or_kept() -> None:
    room, _ = events(1)
    timeline = Timeline(me="1")
    timeline.start_after(0)
    timeline.merge(room.messages[0], ["🎉"])
    crowd = [protocol.Reaction("🎉", 60, ["9"] * 50), protocol.Reaction("👍", 1, ["1"])]
    timeline.merge(msgspec.structs.replace(room.messages[0], reactions=crowd, changed_seq=2))
    assert timeline.mine(1) == ("🎉", "👍")
