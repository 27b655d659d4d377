"""Posting, editing and deleting one message: what is stored, told and refused."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from chat.access.policy import SITE
from chat.models import Membership, Mention, Message, Room
from chat.models.database import write
from chat.services import memberships, messages, rooms
from chat.services.message_bodies import render
from chat.wire.errors import (
    ChatError,
    MessageEmpty,
    MessageForbidden,
    MessageInvalidText,
    MessageNotFound,
    MessageTooLong,
    RoomArchived,
    RoomForbidden,
    RoomNotFound,
)
from chat.wire.protocol import PostResult
from tests.cast import events_in, fresh, outcomes_of, post_of, published, said, say
from tests.services.log import check_log

# Posting ---------------------------------------------------------------------------------------------------------


def test_a_clock_that_was_ahead_leaves_no_last_message_in_the_future(ana: Any, lobby: Room) -> None:
    with write():
        Room.objects.filter(pk=lobby.pk).update(last_message_at=timezone.now() + timedelta(days=30))
    result = say(ana, lobby, "the clock is right again")
    assert fresh(lobby).last_message_at == Message.objects.get(pk=result.id).created_at


def test_a_post_takes_the_next_number_and_seq_and_is_told(ana: Any, lobby: Room) -> None:
    with published() as hints:
        result = say(ana, lobby, "  **hi**  ")
    row = Message.objects.get(pk=result.id)
    assert (result.number, result.seq, result.duplicate) == (1, lobby.head + 1, False)
    assert (row.body, row.author, row.changed_seq) == ("**hi**", ana, result.seq)
    assert row.html == "<p><strong>hi</strong></p>"
    (event,) = events_in(hints, lobby)
    assert (event.seq, event.message.id, event.message.html) == (result.seq, result.id, row.html)
    assert fresh(lobby).last_message_at == row.created_at
    check_log(lobby)


def test_an_authors_post_moves_their_own_read_pointer_and_nobody_elses(ana: Any, ben: Any, lobby: Room) -> None:
    say(ana, lobby)
    say(ana, lobby)
    read = dict(Membership.objects.filter(room=lobby).values_list("user", "read_number"))
    assert read == {ana.pk: 2, ben.pk: 0}


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ("", MessageEmpty),
        (" \n\t ", MessageEmpty),
        ("x" * 10_001, MessageTooLong),
        ("a\x00b", MessageInvalidText),
        ("a\ud800b", MessageInvalidText),
    ],
)
def test_an_invalid_body_is_refused_on_posting_and_on_editing(
    ana: Any, lobby: Room, body: str, error: type[ChatError]
) -> None:
    message = said(ana, lobby)
    before = fresh(lobby).head
    with pytest.raises(error):
        say(ana, lobby, body)
    with pytest.raises(error):
        messages.edit(by=ana, message_id=message.pk, body=body)
    assert fresh(lobby).head == before


def test_a_body_of_the_greatest_length_is_stored_whole(ana: Any, lobby: Room) -> None:
    assert said(ana, lobby, "é" * 10_000).body == "é" * 10_000


def test_a_refused_post_tells_only_the_reason_that_its_author_may_know(
    ana: Any, eve: Any, lobby: Room, staff: Room
) -> None:
    with pytest.raises(RoomForbidden):
        say(eve, lobby)  # open: she sees it
    with pytest.raises(RoomNotFound):
        say(eve, staff)
    rooms.update(by=ana, room_id=lobby.pk, archived=True)
    with pytest.raises(RoomArchived):
        say(ana, lobby)


def test_a_person_deactivated_a_moment_ago_cannot_post(ben: Any, lobby: Room) -> None:
    stale = fresh(ben)
    ben.is_active = False
    ben.save()
    assert stale.is_active
    with pytest.raises(RoomNotFound):
        say(stale, lobby)


def test_a_reply_names_a_message_of_the_same_room(ana: Any, lobby: Room, staff: Room) -> None:
    first, elsewhere = said(ana, lobby), said(ana, staff)
    reply = said(ana, lobby, "yes", reply_to=first.pk)
    assert (reply.reply_to_id, reply.reply_number) == (first.pk, first.number)
    for wrong in (elsewhere.pk, 0, 10**18):
        with pytest.raises(MessageNotFound):
            say(ana, lobby, reply_to=wrong)


def test_a_mention_counts_for_members_alone(ana: Any, ben: Any, eve: Any, lobby: Room) -> None:
    message = said(ana, lobby, "@Ben and @eve, look")
    assert message.mentions == [str(ben.pk)]
    assert list(Mention.objects.values_list("user", "number")) == [(ben.pk, message.number)]
    messages.edit(by=ana, message_id=message.pk, body="nobody")
    assert not Mention.objects.exists()


# Editing and deleting --------------------------------------------------------------------------------------------


def test_an_edit_keeps_number_and_birth_seq(ana: Any, lobby: Room) -> None:
    message = said(ana, lobby, "one")
    with published() as hints:
        seq = messages.edit(by=ana, message_id=message.pk, body=" two ")
    after = fresh(message)
    assert (after.body, after.number, after.seq, after.changed_seq) == ("two", 1, message.seq, seq)
    assert after.edited_at
    assert [(each.seq, each.message.body) for each in events_in(hints, lobby)] == [(seq, "two")]


def test_the_same_text_and_a_second_deletion_change_nothing(ana: Any, lobby: Room) -> None:
    message = said(ana, lobby, "one")
    with published() as hints:
        assert messages.edit(by=ana, message_id=message.pk, body="one ") == message.seq
    assert not hints
    seq = messages.delete(by=ana, message_id=message.pk)
    with published() as hints:
        assert messages.delete(by=ana, message_id=message.pk) == seq
    assert not hints
    with pytest.raises(MessageNotFound):
        messages.edit(by=ana, message_id=message.pk, body="two")


def test_a_deleted_message_is_an_empty_tombstone(ana: Any, ben: Any, lobby: Room) -> None:
    message = said(ana, lobby, "@ben")
    messages.delete(by=ana, message_id=message.pk)
    after = fresh(message)
    assert (after.body, after.html, after.mentions, after.reactions) == ("", "", [], [])
    assert after.deleted_at
    assert after.author == ana
    assert not Mention.objects.exists()


def test_own_messages_are_edited_and_moderators_delete(ana: Any, ben: Any, eve: Any, lobby: Room) -> None:
    bens, anas = said(ben, lobby), said(ana, lobby)
    for who, message in ((ana, bens), (ben, anas), (eve, bens)):
        with pytest.raises(MessageForbidden):
            messages.edit(by=who, message_id=message.pk, body="x")
    for who in (ben, eve):
        with pytest.raises(MessageForbidden):
            messages.delete(by=who, message_id=anas.pk)
    messages.delete(by=ana, message_id=bens.pk)


def test_a_former_member_cannot_edit_or_delete(ben: Any, lobby: Room) -> None:
    message = said(ben, lobby)
    memberships.leave(by=ben, room_id=lobby.pk)
    with pytest.raises(MessageForbidden):
        messages.edit(by=ben, message_id=message.pk, body="x")
    with pytest.raises(MessageForbidden):
        messages.delete(by=ben, message_id=message.pk)


def test_nothing_in_an_archived_room_changes(ana: Any, lobby: Room) -> None:
    message = said(ana, lobby)
    rooms.update(by=SITE, room_id=lobby.pk, archived=True)
    with pytest.raises(RoomArchived):
        messages.edit(by=ana, message_id=message.pk, body="x")
    with pytest.raises(RoomArchived):
        messages.delete(by=ana, message_id=message.pk)


# On behalf of the site -------------------------------------------------------------------------------------------


def test_the_site_rewrites_and_removes_in_an_archived_room_too(ana: Any, ben: Any, lobby: Room) -> None:
    message = said(ana, lobby, "soop")
    rooms.update(by=SITE, room_id=lobby.pk, archived=True)
    with published() as hints:
        for _ in range(2):
            messages.edit(by=SITE, message_id=message.pk, body=" **soup** @ben ")
        for _ in range(2):
            messages.delete(by=SITE, message_id=message.pk)
    edited, removed = events_in(hints, lobby)
    assert (edited.message.body, edited.message.mentions) == ("**soup** @ben", [str(ben.pk)])
    assert "<strong>" in edited.message.html
    assert (removed.message.body, removed.message.mentions, bool(removed.message.deleted_at)) == ("", [], True)
    assert not Mention.objects.exists()
    check_log(lobby)


def test_the_site_cannot_post_an_invalid_body_either(ana: Any, lobby: Room) -> None:
    message = said(ana, lobby)
    with pytest.raises(MessageEmpty):
        messages.edit(by=SITE, message_id=message.pk, body=" ")
    messages.delete(by=SITE, message_id=message.pk)
    with pytest.raises(MessageNotFound):
        messages.edit(by=SITE, message_id=message.pk, body="back")
    for act in (
        lambda: messages.edit(by=SITE, message_id=0, body="y"),
        lambda: messages.delete(by=SITE, message_id=987654),
    ):
        with pytest.raises(MessageNotFound):
            act()


def test_a_message_that_names_somebody_whose_account_has_just_gone_is_stored(ana: Any, ben: Any, lobby: Room) -> None:
    post = post_of(ana, lobby, "@ben are you there?")
    post.rendered = render(lobby, post.body)
    assert post.rendered.mentions == [str(ben.pk)]
    ben.delete()
    (outcome,) = outcomes_of([post])
    assert isinstance(outcome, PostResult), outcome
    connection.check_constraints()
    assert not Mention.objects.exists()
