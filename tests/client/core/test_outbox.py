"""The order in which messages are sent, and which of them stay after a refusal."""

import uuid

import msgspec

from chat.client.core import outbox
from chat.client.core.outbox import Outbox, OutboxItem
from chat.wire import errors, protocol
from tests.client.core.model_room import LIMITS
from tests.client.core.model_server import half


def item(room: str, body: str = "x", user: str = "1") -> OutboxItem:
    return OutboxItem(str(uuid.uuid4()), user, room, body)


def test_one_unanswered_at_a_time_for_each_room() -> None:
    outbox = Outbox(half)
    first, second, other = item("1"), item("1"), item("2")
    for each in (first, second, other):
        outbox.add(each)
    assert outbox.ready("1", (), 0) == [first, other]
    assert outbox.ready("1", (), 0) == []
    outbox.remove(first)
    assert outbox.ready("1", (), 0) == [second]


def test_a_retryable_message_stays_at_the_head_as_long_as_the_server_says() -> None:
    outbox = Outbox(half)
    first, second = item("1"), item("1")
    outbox.add(first)
    outbox.add(second)
    outbox.ready("1", (), 0)
    assert outbox.refused(first, errors.RateLimited(retry_after_ms=4000), 0.0)
    assert outbox.ready("1", (), 3.9) == []
    assert outbox.wake_at(0.0) == 4.25
    assert outbox.ready("1", (), 4.25) == [first]


def test_a_message_that_may_not_be_retried_leaves_the_outbox() -> None:
    outbox = Outbox(half)
    first, second = item("1"), item("1")
    outbox.add(first)
    outbox.add(second)
    outbox.ready("1", (), 0)
    assert not outbox.refused(first, errors.RoomArchived(), 0.0)
    assert outbox.ready("1", (), 0) == [second]


def test_only_the_signed_in_users_messages_leave() -> None:
    outbox = Outbox(half)
    outbox.add(item("1", user="2"))
    assert outbox.ready("1", (), 0) == []


def test_the_largest_frame_that_passes_the_check_is_the_largest_that_may_leave() -> None:
    small = msgspec.structs.replace(LIMITS, frame_bytes=400)
    fits = [size for size in range(1, 400) if passes(item("1", "é" * size), small)]
    command = item("1", "é" * fits[-1]).as_command()
    assert len(protocol.encode(command)) in (399, 400)


def passes(item: OutboxItem, limits: protocol.Limits) -> bool:
    try:
        outbox.check(item, limits)
    except errors.FrameTooLarge:
        return False
    return True


def test_a_post_that_needs_a_feature_waits_for_a_server_that_has_it_and_holds_up_its_own_room_alone() -> None:
    outbox = Outbox(rng=lambda: 0.0)
    with_file = OutboxItem(str(uuid.UUID(int=1)), user="1", room="1", body="look", attachments=("7",))
    behind = OutboxItem(str(uuid.UUID(int=2)), user="1", room="1", body="at that")
    elsewhere = OutboxItem(str(uuid.UUID(int=3)), user="1", room="2", body="hello")
    for item in (with_file, behind, elsewhere):
        outbox.add(item)
    assert outbox.ready("1", (), 0) == [elsewhere]
    assert outbox.pending("1") == (with_file, behind), "nothing has failed, and the order stays"
    assert outbox.ready("1", ("attachments", "of a later server"), 0) == [with_file]
    outbox.remove(with_file)
    assert outbox.ready("1", (), 0) == [behind]
