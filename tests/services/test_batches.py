"""Many posts at once: a refused one costs its neighbours nothing, and costs are flat."""

from collections.abc import Callable
from typing import Any
from unittest.mock import patch

import pytest
from django.db import DatabaseError, connection
from django.test.utils import CaptureQueriesContext

from chat.models import Message, Room
from chat.services import messages, posting
from chat.services.message_bodies import Rendered
from chat.services.posting import Post
from chat.wire.errors import (
    ChatError,
    MessageEmpty,
    MessageNotFound,
    RoomNotFound,
    ServerError,
)
from tests.cast import events_in, fresh, numbers, outcomes_of, post_of, published, said
from tests.services.log import check_log


def test_one_refused_post_among_200_fails_alone_and_leaves_no_gap(
    ana: Any, ben: Any, eve: Any, lobby: Room, staff: Room
) -> None:
    posts = [post_of((ana, ben)[n % 2], (lobby, staff)[n // 2 % 2], f"{n}") for n in range(200)]
    posts[70] = post_of(ana, lobby, "   ")
    posts[80] = post_of(eve, staff)
    posts[90] = post_of(ana, lobby, reply_to=77777777)
    outcomes = posting.post_many(posts)
    kinds = {place: type(each) for place, each in enumerate(outcomes) if isinstance(each, ChatError)}
    assert kinds == {70: MessageEmpty, 80: RoomNotFound, 90: MessageNotFound}
    stored = [each for each in outcomes if isinstance(each, messages.PostResult)]
    assert not any(each.duplicate for each in stored)
    bodies = dict(Message.objects.values_list("pk", "body"))
    assert all(bodies[int(each.id)] == posts[n].body for n, each in enumerate(outcomes) if n not in kinds)
    for room in (lobby, staff):
        check_log(room)
    assert len(numbers(lobby)) + len(numbers(staff)) == 197


def spoil(bad: Post) -> Any:
    """Past validation, make the post a row that the database itself refuses: U+0000 on PostgreSQL, a broken
    constraint on SQLite, which takes U+0000."""
    accept = posting._Batch._accept

    def spoilt(batch: Any, request: Post) -> Message:
        message = accept(batch, request)
        if request is bad:
            if connection.vendor == "postgresql":
                message.body = "a\x00b"
            else:
                message.changed_seq = 0
        return message

    return patch.object(posting._Batch, "_accept", spoilt)


def test_a_row_that_the_database_refuses_rolls_the_whole_transaction_back(ana: Any, lobby: Room) -> None:
    posts = [post_of(ana, lobby, f"{n}") for n in range(20)]
    with spoil(posts[7]), published() as hints, pytest.raises((DatabaseError, ValueError)):
        posting.post_many(posts)
    assert not hints
    assert not numbers(lobby)
    after = fresh(lobby)
    assert (after.head, after.last_number, after.last_message_at) == (lobby.head, 0, None)


def test_a_row_that_the_database_refuses_among_200_fails_alone_and_leaves_no_gap(
    transactional_db: None, ana: Any, lobby: Room
) -> None:
    posts = [post_of(ana, lobby, f"{n}") for n in range(200)]
    with spoil(posts[7]), published() as hints:
        outcomes = outcomes_of(list(posts))
    assert [n for n, each in enumerate(outcomes) if isinstance(each, Exception)] == [7]
    assert isinstance(outcomes[7], ServerError)
    assert not any(each.duplicate for n, each in enumerate(outcomes) if n != 7)
    assert list(Message.objects.order_by("number").values_list("body", flat=True)) == [
        *(str(n) for n in range(200) if n != 7),
    ]
    assert [each.message.body for each in events_in(hints, lobby)] == [str(n) for n in range(200) if n != 7]
    check_log(lobby)


def test_a_batch_keeps_the_order_of_each_room(ana: Any, ben: Any, lobby: Room, staff: Room) -> None:
    posts = [post_of((ana, ben)[n % 2], (lobby, staff)[n % 3 == 0], f"{n}") for n in range(30)]
    with published() as hints:
        posting.post_many(posts)
    for room, wanted in ((lobby, range(30)), (staff, range(0, 30, 3))):
        bodies = [str(n) for n in wanted if (n % 3 == 0) == (room == staff)]
        assert list(Message.objects.filter(room=room).order_by("number").values_list("body", flat=True)) == bodies
        assert [each.message.body for each in events_in(hints, room)] == bodies


def queries_of(work: Callable[[], Any]) -> list[str]:
    with CaptureQueriesContext(connection) as captured:
        work()
    return [each["sql"] for each in captured.captured_queries if "SAVEPOINT" not in each["sql"].upper()]


POST_QUERIES = 7
"""Lock the rooms, find stored posts, memberships, the run; insert; the room's numbers; the authors' read pointers."""


def test_a_batch_of_100_costs_as_many_queries_as_a_batch_of_one(ana: Any, ben: Any, lobby: Room) -> None:
    one = queries_of(lambda: posting.post_many([post_of(ana, lobby)]))
    hundred = queries_of(lambda: posting.post_many([post_of((ana, ben)[n % 2], lobby, f"{n}") for n in range(100)]))
    assert len(one) == POST_QUERIES, one
    # SQLite takes at most so many values in one statement, and gets more than one INSERT.
    inserts = sum(each.startswith("INSERT") for each in hundred)
    assert inserts <= (1 if connection.vendor == "postgresql" else 4)
    assert len(hundred) - inserts == len(one) - 1, hundred


def test_several_rooms_replies_and_names_cost_a_query_or_two_each(ana: Any, lobby: Room, staff: Room) -> None:
    first = said(ana, lobby)
    plain = queries_of(lambda: posting.post_many([post_of(ana, lobby)]))
    rich = [
        *(post_of(ana, lobby, f"{n}", reply_to=first.pk) for n in range(10)),
        *(post_of(ana, staff, f"{n}") for n in range(10)),
    ]
    assert len(queries_of(lambda: posting.post_many(rich))) == len(plain) + 1  # the messages replied to
    names = Rendered("<p>ben</p>", [str(ana.pk)])
    assert len(queries_of(lambda: posting.post_many([post_of(ana, lobby, rendered=names)]))) == len(plain) + 2


def test_nothing_is_asked_of_the_database_twice_for_a_repeat(
    ana: Any, lobby: Room, django_assert_num_queries: Any
) -> None:
    request = post_of(ana, lobby)
    posting.post_many([request])
    with django_assert_num_queries(5):  # a savepoint and its release, the rooms, the stored ones, the memberships
        posting.post_many([post_of(ana, lobby, client_id=request.client_id)])
