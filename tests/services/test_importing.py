"""Importing: history from elsewhere enters a room as posts do, once, in order, and open pages see it."""

from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import patch
from uuid import UUID, uuid4

import pytest
from asgiref.sync import sync_to_async
from django.utils import timezone

from chat import api
from chat.access import reads
from chat.access.policy import SITE
from chat.live.hints import RoomEvents
from chat.models import Membership, Mention, Message, Reaction, Room
from chat.services import importing, memberships, messages, reactions, rooms
from chat.services.importing import ImportRefused, PastMessage
from chat.wire.errors import (
    CommandInvalid,
    EmojiInvalid,
    MessageEmpty,
    MessageNotFound,
    RoomArchived,
    RoomNotFound,
)
from chat.wire.protocol import Cursor, MessagePosted
from tests.cast import events_in, fresh, numbers, published, said
from tests.live.conftest import rig  # noqa: F401
from tests.live.rig import LiveRig
from tests.services.log import catch_up, check_log, fresh_state

THEN = datetime(2024, 2, 29, 8, 30, tzinfo=UTC)


def past(author: Any, body: str = "hello", minute: int = 0, **fields: Any) -> PastMessage:
    fields.setdefault("client_id", uuid4())
    return PastMessage(author=author, body=body, created_at=THEN + timedelta(minutes=minute), **fields)


def run_of(count: int, author: Any) -> list[PastMessage]:
    return [past(author, f"line {n}", n, client_id=UUID(int=n + 1)) for n in range(count)]


def test_a_message_enters_with_all_that_it_was(ana: Any, ben: Any, lobby: Room) -> None:
    said(ben, lobby, "before")
    first = past(ana, "Look, @ben: **here**", reactions=[("👍", ben), ("🎉", ana), ("👍", ana), ("👍", ben)])
    edited = past(ben, "fixed", 1, reply_to=first.client_id, edited_at=THEN + timedelta(hours=1))
    gone = past(ana, "oops @ben", 2, deleted_at=THEN + timedelta(minutes=3), reactions=[("👍", ben)])
    nobody = past(None, "from long ago", 3)
    done = api.import_messages(lobby, [first, edited, gone, nobody])

    assert (done.stored, done.repeated) == (4, 0)
    check_log(lobby)
    page = reads.history(ana, lobby.pk)
    one, two, three, four = page.messages[1:]
    assert [each.number for each in page.messages] == [1, 2, 3, 4, 5]
    assert one.html == f'<p>Look, <span class="mention" data-user="{ben.pk}">@ben</span>: <strong>here</strong></p>'
    assert (one.mentions, one.created_at) == ([str(ben.pk)], "2024-02-29T08:30:00.000Z")
    assert [(each.emoji, each.count, each.users) for each in one.reactions] == [
        ("👍", 2, [str(ben.pk), str(ana.pk)]),
        ("🎉", 1, [str(ana.pk)]),
    ]
    assert {key: sorted(mine) for key, mine in page.mine.items()} == {one.id: ["🎉", "👍"]}
    assert two.reply_to is not None
    assert (two.reply_to.id, two.reply_to.number, two.edited_at) == (one.id, 2, "2024-02-29T09:30:00.000Z")
    assert (three.body, three.html, three.mentions, three.reactions) == ("", "", [], [])
    assert three.deleted_at == "2024-02-29T08:33:00.000Z"
    assert (four.author, four.body) == (None, "from long ago")
    assert Mention.objects.filter(room=lobby).count() == 1
    assert Membership.objects.get(room=lobby, user=ana).joined_at == THEN, "who wrote then was here then"
    assert fresh(lobby).last_message_at > THEN, "what is newer stays the room's last message"


def test_reactions_and_edits_go_on_where_the_import_ended(ana: Any, ben: Any, lobby: Room) -> None:
    api.import_messages(lobby, [past(ana, reactions=[("👍", ana)])])
    message = Message.objects.get()
    reactions.add(by=ben, message_id=message.pk, emoji="👍")
    reactions.remove(by=ana, message_id=message.pk, emoji="👍")
    messages.edit(by=ana, message_id=message.pk, body="edited")
    assert fresh(message).reactions == [{"emoji": "👍", "count": 1, "users": [str(ben.pk)]}]
    check_log(lobby)


def test_importing_again_stores_missing_messages_and_changes_nothing_else(ana: Any, lobby: Room) -> None:
    run = run_of(30, ana)
    api.import_messages(lobby, run[:10])
    messages.edit(by=ana, message_id=Message.objects.get(number=3).pk, body="edited here since")
    with published() as hints:
        done = api.import_messages(lobby, [*run, run[29]])
    assert (done.stored, done.repeated) == (20, 11)
    assert [event.message.number for event in events_in(hints, lobby)] == list(range(11, 31))
    assert Message.objects.get(number=3).body == "edited here since"
    with published() as hints:
        assert api.import_messages(lobby, iter(run)).stored == 0
    assert not hints
    check_log(lobby)


def test_imported_messages_stay_unique_when_their_author_is_deleted(ana: Any, cleo: Any, lobby: Room) -> None:
    run = run_of(3, cleo)
    api.import_messages(lobby, run)
    cleo.delete()
    assert api.import_messages(lobby, [past(None, client_id=each.client_id) for each in run]).stored == 0


def test_each_refusal_is_typed_and_nothing_of_its_batch_is_stored(
    ana: Any, ben: Any, lobby: Room, staff: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "BATCH", 10)
    elsewhere = past(ana)
    api.import_messages(staff, [elsewhere])
    good = run_of(14, ana)
    future = PastMessage(client_id=uuid4(), author=ana, body="x", created_at=timezone.now() + timedelta(days=1))
    naive = PastMessage(client_id=uuid4(), author=ana, body="x", created_at=datetime(2024, 1, 1))
    wrong = [
        (past(ana, "  \n"), MessageEmpty),
        (past(ana, reply_to=elsewhere.client_id), MessageNotFound),
        (past(ana, reactions=[("nope", ben)]), EmojiInvalid),
        (past(ana, edited_at=THEN - timedelta(days=1)), CommandInvalid),
        (future, CommandInvalid),
        (naive, CommandInvalid),
    ]
    with published() as hints, pytest.raises(ImportRefused) as refused:
        api.import_messages(lobby, [*good, *(each for each, _ in wrong)])
    kinds = {client_id: type(each) for client_id, each in refused.value.refusals.items()}
    assert kinds == {each.client_id: kind for each, kind in wrong}
    assert numbers(lobby) == list(range(1, 11)), "the batch before it stands"
    assert len([each for each in events_in(hints, lobby) if isinstance(each, MessagePosted)]) == 10
    check_log(lobby)
    assert api.import_messages(lobby, good).stored == 4


def test_a_room_that_is_missing_or_archived_takes_nothing(ana: Any, lobby: Room) -> None:
    with pytest.raises(RoomNotFound):
        api.import_messages(77_777, [past(ana)])
    run = run_of(2, ana)
    api.import_messages(lobby, run)
    rooms.update(by=SITE, room_id=lobby.pk, archived=True)
    assert api.import_messages(lobby, run).repeated == 2, "what is stored is never reported as refused"
    with pytest.raises(ImportRefused) as refused:
        api.import_messages(lobby, [past(ana)])
    assert [type(each) for each in refused.value.refusals.values()] == [RoomArchived]


def test_own_messages_are_read_others_are_not_and_a_hidden_direct_room_comes_back(
    ana: Any, ben: Any, ana_and_ben: Room
) -> None:
    memberships.leave(by=ben, room_id=ana_and_ben.pk)
    api.import_messages(ana_and_ben, run_of(3, ana))
    mine, his = (Membership.objects.of(each).get(room=ana_and_ben) for each in (ana, ben))
    assert (mine.read_number, his.read_number, his.hidden) == (3, 0, False)


@pytest.mark.parametrize("count", [5, 1_200])
def test_clients_that_caught_up_or_load_afresh_hold_the_same(ana: Any, ben: Any, lobby: Room, count: int) -> None:
    follower = fresh_state(ben, lobby)
    with published() as hints:
        api.import_messages(lobby, run_of(count, ana))
    sizes = [len(hint.events) for hint in hints if isinstance(hint, RoomEvents)]
    assert sizes == ([7] if count == 5 else [1, 1, 1]), "a long run is not carried through the channel layer"
    catch_up(ben, lobby, follower)
    assert len(follower.messages) == count
    assert follower.comparable == fresh_state(ben, lobby).comparable
    assert set(Membership.objects.filter(room=lobby).values_list("joined_at", flat=True)) == {THEN}, "all were there"
    check_log(lobby)


async def test_an_open_page_sees_a_long_import_in_order_and_once(
    rig: LiveRig,  # noqa: F811
    ana: Any,
    ben: Any,
    lobby: Room,
) -> None:
    _, socket = await follow(rig, ben, lobby)
    await sync_to_async(api.import_messages)(lobby, run_of(450, ana))
    rig.reconciler.compare_soon = lambda room_ids: pytest.fail("its own hint is enough; no poll is needed")  # type: ignore
    await socket.until(lambda each: len(each.of_type("message.posted")) >= 450)
    seen = [each["message"]["number"] for each in socket.of_type("message.posted")]
    assert seen == list(range(1, 451))


async def follow(hub_rig: LiveRig, user: Any, room: Room) -> Any:
    connection, socket = hub_rig.connect(user)
    await hub_rig.catch_up.sync(connection, {str(room.pk): Cursor(epoch=room.epoch, seq=room.head)})
    return connection, socket


def test_a_batch_costs_the_same_queries_whatever_its_size(
    ana: Any, ben: Any, lobby: Room, django_assert_max_num_queries: Any
) -> None:
    run = [past(ana, f"@ben {n}", n, reactions=[("👍", ben)]) for n in range(200)]
    with django_assert_max_num_queries(24):
        api.import_messages(lobby, run)
    assert Reaction.objects.count() == Mention.objects.count() == 200


def test_a_failure_in_the_middle_leaves_nothing_of_the_batch(ana: Any, lobby: Room) -> None:
    before = fresh(lobby)
    with patch.object(importing, "store_mentions", side_effect=RuntimeError), pytest.raises(RuntimeError):
        api.import_messages(lobby, run_of(3, ana))
    assert (fresh(lobby).head, numbers(lobby)) == (before.head, [])
