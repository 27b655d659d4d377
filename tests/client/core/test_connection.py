"""A whole client core, driven by hand: pages that race with events, limits, lost connections."""

import random
from collections import Counter
from typing import Any
from uuid import uuid4

import msgspec
import pytest

from chat.client.core.actions import (
    Action,
    Answered,
    Connect,
    ConnectionChanged,
    Disconnect,
    Failed,
    Send,
    Stored,
    Tell,
)
from chat.client.core.client import ClientCore
from chat.client.core.outbox import OutboxItem
from chat.wire import protocol
from chat.wire.errors import ServerError
from chat.wire.protocol import Cursor, HistoryPage
from tests.client.core.model_room import BEN, LIMITS, ME, events


class Conversation:
    """A core that is live in room 1, driven by hand."""

    def __init__(self, *features: str) -> None:
        self.core = ClientCore(rng=random.Random(1).random)
        self.now = 0.0
        self.room, _ = events(10)
        self.core.start(0.0)
        self.hear(
            protocol.Hello(
                protocol=1, user=ME, server="s", heartbeat_s=20, limits=LIMITS, flow=None,
                rooms=[self.room.state()], rooms_version=1, features=list(features),
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


# Pages -------------------------------------------------------------------------------------------------------


def test_events_during_a_load_are_merged_afterwards() -> None:
    talk = Conversation()
    (ask,) = talk.sent(talk.core.load("1", protocol.History(ref=1, room="1"), "tag", 0.0))
    page = talk.newest()
    talk.hear(talk.room.edit(4))
    assert any(isinstance(each, Answered) for each in talk.answer(ask, page))
    assert list(talk.core.followed["1"].timeline) == talk.room.messages


def test_a_page_from_before_the_cursor_is_asked_for_again() -> None:
    talk = Conversation()
    page = talk.newest()
    talk.hear(talk.room.edit(4))
    (ask,) = talk.sent(talk.core.load("1", protocol.History(ref=1, room="1"), "tag", 0.0))
    assert not any(isinstance(each, Answered) for each in talk.answer(ask, page))
    (again,) = talk.sent(talk.core.tick(10.0))
    assert any(isinstance(each, Answered) for each in talk.answer(again, talk.newest()))
    assert list(talk.core.followed["1"].timeline) == talk.room.messages


def test_a_page_of_another_epoch_is_asked_for_again_after_a_sync() -> None:
    talk = Conversation()
    (ask,) = talk.sent(talk.core.load("1", protocol.History(ref=1, room="1"), "tag", 0.0))
    talk.room.epoch = "e2"
    (sync,) = talk.sent(talk.answer(ask, talk.newest()))
    assert isinstance(sync, protocol.Sync)


def test_a_page_of_what_the_database_has_lost_is_never_shown() -> None:
    """Nothing has been written since the loss, so page and cursor name the same run."""
    talk = Conversation()
    talk.hear(protocol.Reset(room="1", epoch="e1", seq=10, reason="epoch", state=talk.room.state(), run="r1"))
    (ask,) = talk.sent(talk.core.load("1", protocol.History(ref=1, room="1"), "tag", 0.0))
    talk.room.back_up()
    talk.room.post(BEN, "lost", "lost")
    lost = talk.newest()
    talk.room.fail_over()
    assert talk.sent(talk.answer(ask, msgspec.structs.replace(lost, seq=11, run="r1"))) == []
    assert 11 not in [each.number for each in talk.core.followed["1"].timeline]
    # The next message gets the same number and seq, in another run.
    talk.now = 1.0
    (posted,) = [talk.room.post(BEN, "kept", "kept")[1]]
    talk.hear(posted)
    (again,) = talk.sent(talk.core.tick(10.0))
    page = msgspec.structs.replace(talk.newest(), run="r2")
    assert any(isinstance(each, Answered) for each in talk.answer(again, page))
    assert [each.body for each in talk.core.followed["1"].timeline][-1] == "kept"


def test_a_page_that_is_ahead_of_the_events_is_taken_once_they_have_come_as_far() -> None:
    talk = Conversation()
    talk.hear(protocol.Reset(room="1", epoch="e1", seq=10, reason="epoch", state=talk.room.state(), run="r1"))
    (ask,) = talk.sent(talk.core.load("1", protocol.History(ref=1, room="1"), "tag", 0.0))
    _, posted = talk.room.post(BEN, "next", "next")
    page = msgspec.structs.replace(talk.newest(), run="r1")
    assert not any(isinstance(each, Answered) for each in talk.answer(ask, page))
    assert any(isinstance(each, Answered) for each in talk.hear(posted))
    assert list(talk.core.followed["1"].timeline) == talk.room.messages


def test_a_page_that_stays_ahead_is_asked_for_again() -> None:
    talk = Conversation()
    talk.hear(protocol.Reset(room="1", epoch="e1", seq=10, reason="epoch", state=talk.room.state(), run="r1"))
    (ask,) = talk.sent(talk.core.load("1", protocol.History(ref=1, room="1"), "tag", 0.0))
    page = msgspec.structs.replace(talk.newest(), seq=12, run="r1")
    talk.answer(ask, page)
    assert talk.sent(talk.core.tick(4.9)) == []
    again = {type(each): each for each in talk.sent(talk.core.tick(5.1))}
    assert again.keys() == {protocol.History, protocol.Sync}, "whatever keeps the events from coming, the server knows"
    page = msgspec.structs.replace(page, seq=10)
    assert any(isinstance(each, Answered) for each in talk.answer(again[protocol.History], page))


def test_a_page_of_a_server_that_names_no_run_is_taken_at_once() -> None:
    talk = Conversation()
    (ask,) = talk.sent(talk.core.load("1", protocol.History(ref=1, room="1"), "tag", 0.0))
    page = msgspec.structs.replace(talk.newest(), seq=12)
    assert any(isinstance(each, Answered) for each in talk.answer(ask, page))


def test_a_reset_makes_older_pages_stale() -> None:
    talk = Conversation()
    (ask,) = talk.sent(talk.core.load("1", protocol.History(ref=1, room="1"), "tag", 0.0))
    page = talk.newest()
    talk.room.edit(2)
    talk.hear(protocol.Reset(room="1", epoch="e1", seq=11, reason="too_far", state=talk.room.state()))
    assert not any(isinstance(each, Answered) for each in talk.answer(ask, page))


# Presence ----------------------------------------------------------------------------------------------------


def test_who_is_connected_is_known_as_it_was_told_last_and_not_without_a_connection() -> None:
    talk = Conversation("presence")
    presence = talk.core.presence
    assert (presence.status_of("2"), presence.online("1")) == ("unknown", None)
    first = protocol.PresenceTold(users={"2": "online", "3": "offline"}, online={"1": 2})
    assert Tell(first) in talk.hear(first)
    talk.hear(protocol.PresenceTold(users={"2": "asleep"}))
    assert [presence.status_of(each) for each in "23"] == ["asleep", "offline"]
    assert presence.online("1") == 2
    talk.core.closed(1006, 1.0)
    assert (presence.status_of("2"), presence.online("1")) == ("unknown", None)


@pytest.mark.parametrize(("features", "told"), [(["presence"], ["away"]), ([], [])])
def test_away_is_said_again_on_a_new_connection_to_a_server_that_knows_it(features: list[str], told: list[str]) -> None:
    talk = Conversation("presence")
    talk.core.set_presence("online", 0.0)
    (said,) = talk.sent(talk.core.set_presence("away", 0.5))
    assert said.status == "away"
    talk.core.closed(1006, 1.0)
    talk.core.tick(100.0)
    talk.core.opened(100.0, token="t")
    hello = protocol.Hello(
        protocol=1, user=ME, server="s", heartbeat_s=20, limits=LIMITS, flow=None,
        rooms=[talk.room.state()], rooms_version=1, features=features,
    )  # fmt: skip
    said = [each.status for each in talk.sent(talk.hear(hello)) if isinstance(each, protocol.SetPresence)]
    assert said == told


def test_what_was_said_last_holds_also_if_it_was_said_between_two_connections() -> None:
    talk = Conversation("presence")
    talk.core.set_presence("away", 0.5)
    talk.core.closed(1006, 1.0)
    assert talk.core.set_presence("online", 2.0) == []
    talk.core.tick(100.0)
    talk.core.opened(100.0, token="t")
    hello = protocol.Hello(
        protocol=1, user=ME, server="s", heartbeat_s=20, limits=LIMITS, flow=None,
        rooms=[talk.room.state()], rooms_version=1, features=["presence"],
    )  # fmt: skip
    assert not any(isinstance(each, protocol.SetPresence) for each in talk.sent(talk.hear(hello)))


def test_a_page_of_a_room_that_one_has_left_is_taken_though_no_event_will_come() -> None:
    talk = Conversation()
    talk.hear(protocol.Reset(room="1", epoch="e1", seq=10, reason="epoch", state=talk.room.state(), run="r1"))
    talk.hear(protocol.RoomRemoved(room="1", rooms_version=2))
    (ask,) = talk.sent(talk.core.load("1", protocol.History(ref=1, room="1"), "tag", 0.0))
    page = msgspec.structs.replace(talk.newest(), seq=12, run="r1")
    assert any(isinstance(each, Answered) for each in talk.answer(ask, page))


# Replies that hold nothing usable ------------------------------------------------------------------------------

HOLLOW: list[dict[str, Any]] = [
    {"ok": True}, {"ok": True, "result": None}, {"ok": True, "result": "x"}, {"ok": True, "result": []}, {},
    {"ok": "yes", "result": {}}, {"ok": False}, {"ok": False, "error": None}, {"ok": False, "error": {}},
    {"ok": False, "error": {"message": "No.", "retry": False}},
]  # fmt: skip
COMMANDS = [
    protocol.Ping(ref=1),
    protocol.ListRooms(ref=1, scope="mine"),
    protocol.CreateRoom(ref=1, name="A", kind="open"),
    protocol.JoinRoom(ref=1, room="1"),
    protocol.LeaveRoom(ref=1, room="1"),
    protocol.AddMember(ref=1, room="1", user="2"),
    protocol.EditMessage(ref=1, message="1", body="x"),
    protocol.AddReaction(ref=1, message="1", emoji="👍"),
    protocol.Read(ref=1, room="1", number=1),
]


def hollow(ref: int, reply: dict[str, Any]) -> list[protocol.Event]:
    """The events of a frame with such a reply, as the client reads them."""
    return protocol.decode_events(msgspec.json.encode([{"type": "reply", "ref": ref, **reply}]))


@pytest.mark.parametrize("reply", HOLLOW, ids=str)
def test_each_command_ends_with_an_error_that_may_be_tried_again(reply: dict[str, Any]) -> None:
    talk = Conversation()
    for command in COMMANDS:
        (sent,) = talk.sent(talk.core.call(command, command, 0.0))
        (answered,) = [each for each in talk.hear(*hollow(sent.ref, reply)) if isinstance(each, Answered)]
        assert isinstance(answered.error, ServerError) and answered.error.retry
        assert answered.tag is command
    assert talk.core.is_live


@pytest.mark.parametrize("reply", [*HOLLOW, {"ok": True, "result": {}}], ids=str)
def test_requests_of_the_client_itself_are_repeated_but_never_in_a_loop(reply: dict[str, Any]) -> None:
    talk = Conversation()
    asked = talk.sent(talk.core.post(OutboxItem(str(uuid4()), ME.id, "1", "hello"), 0.0))
    asked += talk.sent(talk.core.load("1", protocol.History(ref=1, room="1"), "history", 0.0))
    asked += talk.sent(talk.core.load("1", protocol.ListMembers(ref=1, room="1"), "members", 0.0))
    asked += talk.sent(talk.hear(protocol.Lagging(rooms=["1"])))
    asked += talk.sent(talk.hear(protocol.Heads(rooms={}, rooms_version=2, server_time="")))
    count: Counter[type] = Counter()
    for _ in range(600):
        for command in asked:
            count[type(command)] += 1
        heard = [event for command in asked for event in hollow(command.ref, reply)]
        talk.now += 0.1
        done = talk.hear(protocol.Heads(rooms={}, rooms_version=2, server_time=""), *heard)
        done += talk.core.tick(talk.now)
        assert not [each for each in done if isinstance(each, Answered | Stored | Failed | Disconnect)]
        asked = talk.sent(done)
    kinds = {protocol.PostMessage, protocol.History, protocol.ListMembers, protocol.Sync, protocol.ListRooms}
    assert set(count) == kinds
    assert all(2 < number < 30 for number in count.values()), f"asked within a minute: {count}"
    assert len(talk.core.outbox) == 1


def test_a_reply_without_a_ref_is_malformed() -> None:
    with pytest.raises(msgspec.ValidationError):
        protocol.decode_events(b'{"type": "reply", "ref": "1", "ok": true, "result": {}}')


# The connection ----------------------------------------------------------------------------------------------


def test_another_user_is_not_the_same_client() -> None:
    talk = Conversation()
    talk.core.closed(1006, 1.0)
    talk.core.tick(5.0)
    hello = protocol.Hello(
        protocol=1, user=BEN, server="s", heartbeat_s=20, limits=LIMITS, flow=None, rooms=[], rooms_version=1
    )
    talk.now = 5.0
    assert Disconnect() in talk.hear(hello)
    assert talk.core.reason == "other_user"


def test_no_more_than_the_limit_is_unanswered() -> None:
    talk = Conversation()
    sent = []
    for each in range(50):
        sent += talk.sent(talk.core.call(protocol.Ping(ref=1), each, 0.0))
    assert len(sent) == 32
    assert len(talk.sent(talk.answer(sent[0], {}))) == 1
    assert len({each.ref for each in sent}) == 32


def test_a_command_without_an_answer_costs_the_connection() -> None:
    talk = Conversation()
    talk.core.call(protocol.Ping(ref=1), "tag", 0.0)
    for now in range(0, 60, 10):
        talk.now = float(now)
        talk.hear(protocol.Heads(rooms={}, rooms_version=1, server_time=""))
    assert not talk.core.tick(59.9)
    assert Disconnect() in talk.core.tick(60.0)
    assert any(isinstance(each, Connect) for each in talk.core.tick(65.0))


def test_a_server_that_hangs_is_left_15_s_after_a_command_that_it_does_not_answer() -> None:
    talk = Conversation("ping")
    talk.core.call(protocol.ListRooms(ref=1, scope="mine"), "tag", 0.0)
    assert talk.core.wake_at(0.0) == 10.0
    assert not talk.sent(talk.core.tick(9.9))
    (ping,) = talk.sent(talk.core.tick(10.0))
    assert isinstance(ping, protocol.Ping)
    assert not talk.core.tick(14.9)
    assert Disconnect() in talk.core.tick(15.0)


def test_a_server_that_is_only_slow_is_waited_for_and_asked_again() -> None:
    talk = Conversation("ping")
    for each in range(40):  # more than may be unanswered: the ping passes those that wait to be sent
        talk.core.call(protocol.ListRooms(ref=1, scope="mine"), each, 0.0)
    for asked in range(1, 5):
        (ping,) = talk.sent(talk.core.tick(asked * 11.0))
        assert isinstance(ping, protocol.Ping)
        talk.now = asked * 11.0 + 1
        assert Disconnect() not in talk.answer(ping, {"ts": None, "server_time": ""})


def test_a_server_that_does_not_name_pings_is_not_asked() -> None:
    talk = Conversation()
    talk.core.call(protocol.ListRooms(ref=1, scope="mine"), "tag", 0.0)
    assert not talk.core.tick(20.0)


def test_frames_of_an_abandoned_connection_are_ignored() -> None:
    talk = Conversation()
    assert Disconnect() in talk.core.tick(50.0)
    _, event = talk.room.post(BEN, "late", "late")
    assert talk.hear(event) == []


def test_stopping_is_said_once() -> None:
    talk = Conversation()
    assert Tell(ConnectionChanged("stopped", "closed")) in talk.core.stop()
    assert talk.core.stop() == []


def test_rooms_that_lag_are_synced_at_once() -> None:
    talk = Conversation()
    (sync,) = talk.sent(talk.hear(protocol.Lagging(rooms=["1", "unknown"])))
    assert sync.rooms == {"1": Cursor("e1", 10)}


def test_a_connection_whose_reads_are_held_back_wakes_to_send_them() -> None:
    talk = Conversation()
    (ask,) = talk.sent(talk.core.load("1", protocol.History(ref=1, room="1"), "tag", 0.0))
    limited = protocol.ErrorBody("rate.limited", "Slow.", True, 700)
    talk.hear(protocol.ReplyEvent(ref=ask.ref, ok=False, error=limited))
    at = talk.core.wake_at(0.0)
    assert at is not None and 0.7 <= at <= 1.4
    assert [type(each) for each in talk.sent(talk.core.tick(at))] == [protocol.History]
