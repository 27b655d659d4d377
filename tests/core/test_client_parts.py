"""The parts of the client core, rule by rule (docs/protocol.md, sections 2 to 5)."""

import random
import uuid
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat.core.client import outbox
from chat.core.client.actions import Action, Answered, Connect, ConnectionChanged, Disconnect, Send, Tell
from chat.core.client.core import ClientCore
from chat.core.client.cursor import RoomCursor
from chat.core.client.errors import error_from
from chat.core.client.inbox import Inbox
from chat.core.client.link import Link
from chat.core.client.members import Members
from chat.core.client.outbox import Outbox, OutboxItem
from chat.core.client.receipts import Receipts
from chat.core.client.rooms import RoomList
from chat.core.client.sync import chunks
from chat.core.client.timeline import Timeline
from chat.wire import errors, protocol
from chat.wire.protocol import Cursor, HistoryPage
from tests.core.model_server import BEN, LIMITS, ME, ModelRoom


def half() -> float:
    return 0.5


def events(count: int) -> tuple[ModelRoom, list[Any]]:
    room = ModelRoom("1")
    return room, [room.post(BEN, str(each), f"m{each}")[1] for each in range(1, count + 1)]


class TestCursor:
    def cursor(self, seq: int = 0) -> RoomCursor:
        return RoomCursor(half, Cursor("e1", seq))

    def test_what_follows_is_applied_and_what_lies_behind_is_dropped(self) -> None:
        cursor, (_, (one, two)) = self.cursor(), events(2)
        assert cursor.take(one, 0) == [one]
        assert cursor.take(one, 0) == []
        assert cursor.take(two, 0) == [two]
        assert cursor.position == Cursor("e1", 2)

    def test_what_is_ahead_waits_for_what_is_missing(self) -> None:
        cursor, (_, (one, two, three)) = self.cursor(), events(3)
        assert cursor.take(three, 0) == []
        assert cursor.take(two, 0) == []
        assert cursor.take(one, 0) == [one, two, three]
        assert cursor.sync_at is None

    def test_a_repaired_event_follows_its_prev(self) -> None:
        cursor, (_, made) = self.cursor(1), events(5)
        repaired = msgspec.structs.replace(made[4], prev=1)
        assert cursor.take(repaired, 0) == [repaired]
        assert cursor.position == Cursor("e1", 5)

    def test_what_does_not_come_is_synced_after_two_seconds_and_a_jitter_of_three(self) -> None:
        cursor, (_, made) = self.cursor(), events(3)
        cursor.take(made[2], 10.0)
        assert cursor.sync_at == 10 + 2 + 0.5 * 3

    def test_a_head_that_is_ahead_for_so_long_is_synced_too(self) -> None:
        cursor = self.cursor(5)
        cursor.heard(5, 0)
        assert cursor.sync_at is None
        cursor.heard(7, 1.0)
        assert cursor.sync_at == 1 + 3.5

    def test_there_are_never_two_syncs_at_once(self) -> None:
        cursor = self.cursor()
        cursor.want_sync(1.0)
        cursor.sync_started()
        cursor.heard(9, 2.0)
        cursor.want_sync(2.0)
        assert cursor.sync_at is None
        cursor.sync_ended(3.0)
        assert cursor.sync_at == 2.0

    def test_synced_never_moves_it_back(self) -> None:
        cursor, (_, made) = self.cursor(), events(2)
        for each in made:
            cursor.take(each, 0)
        cursor.synced(Cursor("e1", 1), 0)
        assert cursor.position == Cursor("e1", 2)

    def test_a_lost_connection_voids_what_was_held(self) -> None:
        cursor, (_, made) = self.cursor(), events(2)
        cursor.take(made[1], 0)
        cursor.disconnected()
        assert cursor.take(made[0], 0) == [made[0]]
        assert cursor.position == Cursor("e1", 1)

    def test_it_holds_no_more_than_it_may(self) -> None:
        cursor, (_, made) = self.cursor(), events(700)
        for each in made[1:]:
            cursor.take(each, 0)
        assert len(cursor._held) == 500
        assert cursor.sync_at is not None


class TestTimeline:
    def test_the_higher_changed_seq_stands(self) -> None:
        room, _ = events(1)
        first = room.messages[0]
        room.edit(1)
        timeline = Timeline()
        timeline.start_after(0)
        assert timeline.merge(room.messages[0])
        assert not timeline.merge(first)
        assert list(timeline) == room.messages

    def test_what_lies_before_the_window_is_dropped(self) -> None:
        room, _ = events(3)
        timeline = Timeline()
        assert not timeline.merge(room.messages[2])
        timeline.start_after(2)
        assert not timeline.merge(room.messages[1])
        assert timeline.merge(room.messages[2])

    def test_a_page_joins_only_where_it_touches(self) -> None:
        room, _ = events(10)
        timeline = Timeline()
        timeline.start_after(8)
        assert not timeline.merge_page(HistoryPage(room.messages[2:5], {}, True, True, "e1", 10))
        assert timeline.merge_page(HistoryPage(room.messages[5:8], {"6": ["👍"]}, True, True, "e1", 10))
        assert [each.number for each in timeline] == [6, 7, 8]
        assert timeline.mine(6) == ("👍",)

    def test_the_oldest_leave_when_there_are_too_many(self) -> None:
        room, _ = events(10)
        timeline = Timeline(keep=4)
        timeline.start_after(0)
        for each in room.messages:
            timeline.merge(each)
            timeline.trim()
        assert [each.number for each in timeline] == [7, 8, 9, 10]
        assert timeline.has_older

    def test_own_reactions_are_read_from_the_first_fifty_people_or_kept(self) -> None:
        room, _ = events(1)
        timeline = Timeline(me="1")
        timeline.start_after(0)
        timeline.merge(room.messages[0], ["🎉"])
        crowd = [protocol.Reaction("🎉", 60, ["9"] * 50), protocol.Reaction("👍", 1, ["1"])]
        timeline.merge(msgspec.structs.replace(room.messages[0], reactions=crowd, changed_seq=2))
        assert timeline.mine(1) == ("🎉", "👍")


def test_of_two_states_of_a_member_the_later_one_stands() -> None:
    room = ModelRoom("1")
    joined, left = room.move(BEN), room.move(BEN)
    members = Members()
    assert members.put(left.member, left.seq)
    assert not members.put(joined.member, joined.seq)
    assert len(members) == 0


class TestInbox:
    def test_messages_come_by_number_whatever_the_order_of_arrival(self) -> None:
        room, _ = events(3)
        inbox = Inbox("1", 0)
        inbox.offer(room.messages[2])
        assert inbox.take() is None
        inbox.offer(room.messages[0])
        inbox.offer(room.messages[1])
        assert [inbox.take().message.number for _ in range(3)] == [1, 2, 3]  # type: ignore[union-attr]
        assert inbox.take() is None

    @given(st.permutations(range(12)), st.integers(1, 12))
    def test_no_order_of_arrival_and_taking_makes_a_hole(self, order: list[int], every: int) -> None:
        room, _ = events(12)
        inbox = Inbox("1", 0)
        taken = []
        for turn, place in enumerate(order):
            inbox.offer(room.messages[place])
            if turn % every == 0 and (news := inbox.take()) is not None:
                taken.append(news)
        while (news := inbox.take()) is not None:
            taken.append(news)
        assert [each.message.number for each in taken] == list(range(1, 13))  # type: ignore[union-attr]

    def test_what_will_not_come_by_itself_is_fetched(self) -> None:
        room, _ = events(400)
        inbox = Inbox("1", 0)
        inbox.expect(400)
        taken = []
        while len(taken) < 400:
            if (news := inbox.take()) is not None:
                taken.append(news.message.number)  # type: ignore[union-attr]
                continue
            after = inbox.fetch_after
            assert after is not None
            page = room.messages[after : after + 100]
            inbox.offer_page(HistoryPage(page, {}, after > 0, after + 100 < 400, "e1", 400))
        assert taken == list(range(1, 401))
        assert inbox.fetch_after is None

    def test_a_change_is_told_once(self) -> None:
        room, _ = events(1)
        inbox = Inbox("1", 0)
        inbox.is_open = True
        inbox.offer(room.messages[0])
        inbox.take()
        room.edit(1)
        for _ in range(2):
            inbox.offer(room.messages[0])
        assert isinstance(inbox.take(), protocol.MessageChanged)
        assert inbox.take() is None

    def test_an_edit_before_its_message_is_taken_is_part_of_it(self) -> None:
        room, _ = events(1)
        inbox = Inbox("1", 0)
        inbox.is_open = True
        inbox.offer(room.messages[0])
        room.edit(1)
        inbox.offer(room.messages[0])
        assert inbox.take().message.body.startswith("edit")  # type: ignore[union-attr]
        assert inbox.take() is None


class TestLink:
    def link(self, **options: Any) -> Link:
        link = Link(half, **options)
        link.start(0.0)
        assert link.tick(0.0) == "connect"
        return link

    def test_the_back_off_doubles_from_one_second_to_thirty(self) -> None:
        link, now, waits = self.link(), 0.0, []
        for _ in range(8):
            link.lost(now)
            assert link.wake_at is not None
            waits.append(link.wake_at - now)
            now = link.wake_at
            assert link.tick(now) == "connect"
        assert waits == [pytest.approx(each / 2) for each in (1, 2, 4, 8, 16, 30, 30, 30)]

    @pytest.mark.parametrize(("live_s", "wait"), [(9.9, 1.0), (10.0, 0.5)])
    def test_ten_live_seconds_reset_it(self, live_s: float, wait: float) -> None:
        link = self.link()
        link.lost(0.0)
        now = link.wake_at or 0.0
        link.tick(now)
        link.greeted(20, now)
        link.lost(now + live_s)
        assert link.wake_at == pytest.approx(now + live_s + wait)

    def test_two_and_a_half_silent_heartbeats_are_the_end(self) -> None:
        link = self.link()
        link.greeted(20, 0.0)
        link.heard(30.0)
        assert link.tick(50.0) is None
        assert link.wake_at == 80.0
        assert link.tick(80.0) == "give_up"
        assert link.state == "waiting"

    def test_a_drain_says_when(self) -> None:
        link = self.link()
        link.greeted(20, 0.0)
        link.drain(3000, 1.0)
        link.lost(1.5, 4012)
        assert link.wake_at == 4.0

    def test_a_drained_connection_that_is_not_closed_is_given_up(self) -> None:
        link = self.link()
        link.greeted(20, 0.0)
        link.drain(3000, 1.0)
        assert link.tick(4.0) == "give_up"
        assert link.tick(4.0) == "connect"

    def test_fresh_credentials_are_tried_once_until_they_worked(self) -> None:
        link = self.link(can_refresh=True)
        link.lost(0.0, 4501)
        assert link.needs_fresh
        link.tick(100.0)
        link.greeted(20, 100.0)
        link.lost(101.0, 4501)
        assert link.state == "waiting"
        link.tick(200.0)
        link.lost(201.0, 4501)
        assert (link.state, link.reason) == ("stopped", "not_signed_in")


class TestReceipts:
    def receipts(self) -> Receipts:
        receipts = Receipts()
        receipts.took(100, 0.0)
        receipts.greeted(protocol.Flow(frames=4, seconds=10), 0.0)
        return receipts

    def test_after_so_many_frames_the_first_ones_included(self) -> None:
        receipts = self.receipts()
        assert [receipts.took(100, 1.0) for _ in range(7)] == [None, None, 4, None, None, None, 8]

    def test_so_long_after_an_unacknowledged_one(self) -> None:
        receipts = self.receipts()
        assert receipts.due_at == 10
        assert receipts.tick(9.9) is None
        assert receipts.tick(10.0) == 1
        assert receipts.due_at is None
        receipts.took(100, 12.0)
        assert receipts.due_at == 22

    def test_after_256_kib_whatever_the_frames(self) -> None:
        receipts = self.receipts()
        assert receipts.took(256 * 1024 - 101, 1.0) is None
        assert receipts.took(1, 1.0) == 3

    def test_not_at_all_if_it_is_not_wanted(self) -> None:
        receipts = Receipts()
        receipts.greeted(None, 0.0)
        assert [receipts.took(1 << 20, 0.0) for _ in range(100)] == [None] * 100
        assert receipts.due_at is None


class TestOutbox:
    def item(self, room: str, body: str = "x", user: str = "1") -> OutboxItem:
        return OutboxItem(str(uuid.uuid4()), user, room, body)

    def test_one_unanswered_at_a_time_for_each_room(self) -> None:
        outbox = Outbox(half)
        first, second, other = self.item("1"), self.item("1"), self.item("2")
        for each in (first, second, other):
            outbox.add(each)
        assert outbox.ready("1", 0) == [first, other]
        assert outbox.ready("1", 0) == []
        outbox.remove(first)
        assert outbox.ready("1", 0) == [second]

    def test_what_may_be_retried_stays_at_the_head_as_long_as_it_is_told(self) -> None:
        outbox = Outbox(half)
        first, second = self.item("1"), self.item("1")
        outbox.add(first)
        outbox.add(second)
        outbox.ready("1", 0)
        assert outbox.refused(first, errors.RateLimited(retry_after_ms=4000), 0.0)
        assert outbox.ready("1", 3.9) == []
        assert outbox.wake_at(0.0) == 4.25
        assert outbox.ready("1", 4.25) == [first]

    def test_what_may_not_is_out(self) -> None:
        outbox = Outbox(half)
        first, second = self.item("1"), self.item("1")
        outbox.add(first)
        outbox.add(second)
        outbox.ready("1", 0)
        assert not outbox.refused(first, errors.RoomArchived(), 0.0)
        assert outbox.ready("1", 0) == [second]

    def test_only_the_signed_in_users_messages_leave(self) -> None:
        outbox = Outbox(half)
        outbox.add(self.item("1", user="2"))
        assert outbox.ready("1", 0) == []

    def test_the_largest_frame_that_passes_the_check_is_the_largest_that_may_leave(self) -> None:
        small = msgspec.structs.replace(LIMITS, frame_bytes=400)
        fits = [size for size in range(1, 400) if _passes(self.item("1", "é" * size), small)]
        command = self.item("1", "é" * fits[-1]).as_command()
        assert len(protocol.encode(command)) in (399, 400)


def _passes(item: OutboxItem, limits: protocol.Limits) -> bool:
    try:
        outbox.check(item, limits)
    except errors.FrameTooLarge:
        return False
    return True


class TestRoomList:
    def hello(self, version: int, *rooms: str, more: bool = False) -> protocol.Hello:
        states = [ModelRoom(room).state() for room in rooms]
        return protocol.Hello(
            protocol=1, user=ME, server="s", heartbeat_s=20, limits=LIMITS, flow=None, rooms=states,
            rooms_version=version, more=more,
        )  # fmt: skip

    def test_events_in_order_keep_it_right(self) -> None:
        rooms = RoomList(half)
        rooms.greeted(self.hello(3, "1"), 0.0, wants_all=False)
        assert rooms.added(protocol.RoomAdded(state=ModelRoom("2").state(), rooms_version=4), 0.0)
        assert rooms.removed(protocol.RoomRemoved(room="1", rooms_version=5), 0.0)
        rooms.heard(5, 1.0)
        assert list(rooms.states) == ["2"]
        assert rooms.list_at is None

    def test_a_version_that_is_ahead_is_listed_after_a_while(self) -> None:
        rooms = RoomList(half)
        rooms.greeted(self.hello(3, "1"), 0.0, wants_all=False)
        rooms.heard(4, 1.0)
        assert rooms.list_at == 4.5
        rooms.listing_started()
        assert rooms.listed([ModelRoom("2").state()], False, 6.0) == ([ModelRoom("2").state()], ["1"])
        assert rooms.list_at is None

    def test_what_moves_while_it_is_listed_is_listed_again(self) -> None:
        rooms = RoomList(half)
        rooms.greeted(self.hello(3, "1"), 0.0, wants_all=False)
        rooms.heard(4, 1.0)
        rooms.listing_started()
        assert rooms.removed(protocol.RoomRemoved(room="1", rooms_version=5), 2.0)
        rooms.heard(6, 2.0)
        assert rooms.listed([ModelRoom("1").state()], False, 6.0) is None or rooms.list_at is not None

    def test_what_a_new_connection_does_not_name_is_gone(self) -> None:
        rooms = RoomList(half)
        rooms.greeted(self.hello(3, "1", "2"), 0.0, wants_all=False)
        added, gone = rooms.greeted(self.hello(5, "2", "3"), 0.0, wants_all=False)
        assert ([each.id for each in added], gone) == (["3"], ["1"])

    def test_what_a_cut_off_hello_does_not_name_may_still_be_there(self) -> None:
        rooms = RoomList(half)
        rooms.greeted(self.hello(3, "1", "2"), 0.0, wants_all=True)
        assert rooms.greeted(self.hello(3, "2", more=True), 7.0, wants_all=True) == ([], [])
        assert rooms.list_at == 7.0


def test_many_rooms_are_synced_in_commands_that_fit() -> None:
    rooms: dict[str, Cursor | None] = {f"{each:064}": Cursor("e" * 64, 2**53 - 1) for each in range(1200)}
    parts = chunks(rooms, LIMITS)
    assert {room for part in parts for room in part} == set(rooms)
    for part in parts:
        assert len(part) <= 500
        assert len(protocol.encode(protocol.Sync(ref=protocol.MAX_INT, rooms=part))) <= LIMITS.frame_bytes


def test_the_servers_word_on_retry_counts() -> None:
    known = error_from(protocol.ErrorBody("room.archived", "Closed.", False))
    assert type(known) is errors.RoomArchived
    other = error_from(protocol.ErrorBody("room.archived", "Later.", True, 5))
    assert isinstance(other, errors.RoomArchived)
    assert (other.retry, other.retry_after_ms) == (True, 5)
    later = error_from(protocol.ErrorBody("room.haunted", "Boo.", False))
    assert (later.code, later.retry) == ("room.haunted", False)


class Conversation:
    """A core that is live in room 1, spoken to by hand."""

    def __init__(self) -> None:
        self.core = ClientCore(rng=random.Random(1).random)
        self.now = 0.0
        self.room, _ = events(10)
        self.core.start(0.0)
        self.hear(
            protocol.Hello(
                protocol=1, user=ME, server="s", heartbeat_s=20, limits=LIMITS, flow=None,
                rooms=[self.room.state()], rooms_version=1,
            )
        )  # fmt: skip
        (sync,) = self.sent(self.core.follow("1", 0.0))
        self.hear(protocol.Reset(room="1", epoch="e1", seq=10, reason="new", state=self.room.state()))
        self.answer(sync, {"rooms": {"1": "reset"}})

    def hear(self, *heard: Any) -> list[Action]:
        return self.core.frame(heard, 100, self.now)

    def answer(self, command: Any, result: Any) -> list[Action]:
        return self.hear(protocol.ReplyEvent(ref=command.ref, ok=True, result=msgspec.to_builtins(result)))

    @staticmethod
    def sent(actions: list[Action]) -> list[Any]:
        return [each.command for each in actions if isinstance(each, Send)]

    def newest(self) -> HistoryPage:
        return HistoryPage(list(self.room.messages), {}, False, False, self.room.epoch, self.room.head)


class TestHistory:
    def test_what_happens_while_it_is_under_way_is_merged_afterwards(self) -> None:
        talk = Conversation()
        (ask,) = talk.sent(talk.core.load("1", protocol.History(ref=1, room="1"), "tag", 0.0))
        page = talk.newest()
        talk.hear(talk.room.edit(4))
        assert any(isinstance(each, Answered) for each in talk.answer(ask, page))
        assert list(talk.core.followed["1"].timeline) == talk.room.messages

    def test_a_page_from_before_the_cursor_is_asked_for_again(self) -> None:
        talk = Conversation()
        page = talk.newest()
        talk.hear(talk.room.edit(4))
        (ask,) = talk.sent(talk.core.load("1", protocol.History(ref=1, room="1"), "tag", 0.0))
        assert not any(isinstance(each, Answered) for each in talk.answer(ask, page))
        (again,) = talk.sent(talk.core.tick(10.0))
        assert any(isinstance(each, Answered) for each in talk.answer(again, talk.newest()))
        assert list(talk.core.followed["1"].timeline) == talk.room.messages

    def test_a_page_of_another_epoch_is_asked_for_again_after_a_sync(self) -> None:
        talk = Conversation()
        (ask,) = talk.sent(talk.core.load("1", protocol.History(ref=1, room="1"), "tag", 0.0))
        talk.room.epoch = "e2"
        (sync,) = talk.sent(talk.answer(ask, talk.newest()))
        assert isinstance(sync, protocol.Sync)

    def test_a_reset_makes_older_pages_stale(self) -> None:
        talk = Conversation()
        (ask,) = talk.sent(talk.core.load("1", protocol.History(ref=1, room="1"), "tag", 0.0))
        page = talk.newest()
        talk.room.edit(2)
        talk.hear(protocol.Reset(room="1", epoch="e1", seq=11, reason="too_far", state=talk.room.state()))
        assert not any(isinstance(each, Answered) for each in talk.answer(ask, page))


class TestConnection:
    def test_another_user_is_not_the_same_client(self) -> None:
        talk = Conversation()
        talk.core.closed(1006, 1.0)
        talk.core.tick(5.0)
        hello = protocol.Hello(
            protocol=1, user=BEN, server="s", heartbeat_s=20, limits=LIMITS, flow=None, rooms=[], rooms_version=1
        )
        talk.now = 5.0
        assert Disconnect() in talk.hear(hello)
        assert talk.core.reason == "other_user"

    def test_no_more_than_the_limit_is_unanswered(self) -> None:
        talk = Conversation()
        sent = []
        for each in range(50):
            sent += talk.sent(talk.core.call(protocol.Ping(ref=1), each, 0.0))
        assert len(sent) == 32
        assert len(talk.sent(talk.answer(sent[0], {}))) == 1
        assert len({each.ref for each in sent}) == 32

    def test_a_command_without_an_answer_costs_the_connection(self) -> None:
        talk = Conversation()
        talk.core.call(protocol.Ping(ref=1), "tag", 0.0)
        for now in range(0, 60, 10):
            talk.now = float(now)
            talk.hear(protocol.Heads(rooms={}, rooms_version=1, server_time=""))
        assert not talk.core.tick(59.9)
        assert Disconnect() in talk.core.tick(60.0)
        assert any(isinstance(each, Connect) for each in talk.core.tick(65.0))

    def test_what_an_abandoned_connection_still_brings_is_ignored(self) -> None:
        talk = Conversation()
        assert Disconnect() in talk.core.tick(50.0)
        _, event = talk.room.post(BEN, "late", "late")
        assert talk.hear(event) == []

    def test_stopping_is_said_once(self) -> None:
        talk = Conversation()
        assert Tell(ConnectionChanged("stopped", "closed")) in talk.core.stop()
        assert talk.core.stop() == []

    def test_rooms_that_lag_are_synced_at_once(self) -> None:
        talk = Conversation()
        (sync,) = talk.sent(talk.hear(protocol.Lagging(rooms=["1", "unknown"])))
        assert sync.rooms == {"1": Cursor("e1", 10)}
