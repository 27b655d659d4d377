"""Reactions: one emoji each, counted in the message itself."""

from typing import Any

import pytest

from chat.access.policy import SITE
from chat.live.hints import CompareRoom
from chat.models import Reaction, Room
from chat.services import memberships, messages, reactions, rooms
from chat.wire.errors import EmojiInvalid, MessageForbidden, MessageNotFound, RoomArchived, TooManyReactions
from tests.cast import events_in, fresh, published, said
from tests.services.log import check_log

EMOJI = {
    "plain": "👍",
    "with presentation": "❤️",
    "without presentation": "❤",
    "skin tone": "👍🏽",
    "flag": "🇩🇪",
    "flag of a region": "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
    "rainbow flag": "🏳️‍🌈",
    "key cap": "1️⃣",
    "key cap of a sign": "#️⃣",
    "key cap without presentation": "9⃣",
    "family": "👨‍👩‍👧‍👦",
    "kiss in two skin tones": "👩🏻‍❤️‍💋‍👨🏿",
    "profession": "🧑🏾‍🚀",
    "copyright": "©️",
    "trade mark": "™️",
    "information": "ℹ️",
    "double exclamation": "‼️",
    "wavy dash": "〰️",
    "congratulations": "㊗️",
    "circled M": "Ⓜ️",
    "arrow": "↔️",
    "plus": "➕",
    "small square": "◾",
    "mahjong": "🀄",
    "parking": "🅿️",
    "newest": "🫩",
}
NO_EMOJI = {
    "empty": "",
    "letter": "a",
    "digit": "1",
    "hash": "#",
    "markup": "<b>",
    "space": " ",
    "emoji and letter": "👍a",
    "emoji and space": "👍 ",
    "two": "👍👍",
    "thirty-three": "👍" * 33,
    "half a flag": "🇩",
    "three halves": "🇩🇪🇩",
    "override": "\u202e",
    "emoji and override": "👍\u202e",
    "override between": "👍\u202e👍",
    "zero width space": "👍\u200b",
    "joiner alone": "\u200d",
    "joiner at the end": "👍\u200d",
    "presentation alone": "\ufe0f",
    "skin tone alone": "\u20e3",
    "cyrillic": "д",
    "cjk": "日",
    "nul": "👍\x00",
    "surrogate": "\ud83d",
    "tags without an end": "🏴\U000e0067",
    "far too long": "👨" + "\u200d👨" * 40,
}


@pytest.mark.parametrize("name", EMOJI)
def test_this_is_an_emoji(name: str) -> None:
    assert reactions.is_emoji(EMOJI[name])


@pytest.mark.parametrize("name", NO_EMOJI)
def test_this_is_no_emoji(name: str) -> None:
    assert not reactions.is_emoji(NO_EMOJI[name])


@pytest.mark.parametrize("emoji", EMOJI.values())
def test_every_emoji_can_be_stored_and_taken_back(ana: Any, lobby: Room, emoji: str) -> None:
    message = said(ana, lobby)
    assert reactions.add(by=ana, message_id=message.pk, emoji=emoji).mine == [emoji]
    assert reactions.remove(by=ana, message_id=message.pk, emoji=emoji).mine == []


def test_a_refused_emoji_leaves_no_trace(ana: Any, lobby: Room) -> None:
    message = said(ana, lobby)
    with pytest.raises(EmojiInvalid):
        reactions.add(by=ana, message_id=message.pk, emoji="<b>")
    assert fresh(message) == message
    assert not Reaction.objects.exists()


def test_reacting_and_taking_back_twice_are_one_change_each(ana: Any, ben: Any, lobby: Room) -> None:
    message = said(ana, lobby)
    act = {"by": ben, "message_id": message.pk, "emoji": "👍"}
    with published() as hints:
        results = [reactions.add(**act), reactions.add(**act), reactions.remove(**act), reactions.remove(**act)]
    first = message.seq + 1
    assert [(each.seq, each.mine) for each in results] == [
        *((first, ["👍"]), (first, ["👍"]), (first + 1, []), (first + 1, [])),
    ]
    assert [each.message.changed_seq for each in events_in(hints, lobby)] == [first, first + 1]
    assert [len(each.message.reactions) for each in events_in(hints, lobby)] == [1, 0]
    check_log(lobby)


def test_the_summary_counts_all_and_names_the_first(
    ana: Any, ben: Any, lobby: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reactions, "REACTION_USERS", 1)
    message = said(ana, lobby)
    for who, emoji in ((ben, "👍"), (ana, "🎉"), (ana, "👍")):
        reactions.add(by=who, message_id=message.pk, emoji=emoji)
    thumbs = {"emoji": "👍", "count": 2, "users": [str(ben.pk)]}
    assert fresh(message).reactions == [thumbs, {"emoji": "🎉", "count": 1, "users": [str(ana.pk)]}]
    reactions.remove(by=ben, message_id=message.pk, emoji="👍")
    assert fresh(message).reactions[0] == {"emoji": "👍", "count": 1, "users": [str(ana.pk)]}


def test_a_message_carries_so_many_different_emoji(ana: Any, ben: Any, lobby: Room, settings: Any) -> None:
    settings.CHAT = {**settings.CHAT, "REACTIONS_PER_MESSAGE": 2}
    message = said(ana, lobby)
    for emoji in "👍🎉":
        reactions.add(by=ana, message_id=message.pk, emoji=emoji)
    with pytest.raises(TooManyReactions):
        reactions.add(by=ana, message_id=message.pk, emoji="😀")
    reactions.add(by=ben, message_id=message.pk, emoji="👍")


def test_members_react_to_existing_messages(ana: Any, eve: Any, lobby: Room, staff: Room) -> None:
    message, secret = said(ana, lobby), said(ana, staff)
    for work in (reactions.add, reactions.remove):
        with pytest.raises(MessageForbidden):
            work(by=eve, message_id=message.pk, emoji="👍")
        with pytest.raises(MessageNotFound):
            work(by=eve, message_id=secret.pk, emoji="👍")
    messages.delete(by=ana, message_id=secret.pk)
    with pytest.raises(MessageNotFound):
        reactions.add(by=ana, message_id=secret.pk, emoji="👍")
    rooms.update(by=SITE, room_id=lobby.pk, archived=True)
    with pytest.raises(RoomArchived):
        reactions.add(by=ana, message_id=message.pk, emoji="👍")


def test_a_former_members_reactions_stay_and_cannot_be_changed(ana: Any, ben: Any, lobby: Room) -> None:
    message = said(ana, lobby)
    reactions.add(by=ben, message_id=message.pk, emoji="👍")
    memberships.leave(by=ben, room_id=lobby.pk)
    with pytest.raises(MessageForbidden):
        reactions.remove(by=ben, message_id=message.pk, emoji="👍")
    assert fresh(message).reactions[0]["count"] == 1


@pytest.mark.parametrize("told_at_most", [20, 1], ids=["told", "to be read"])
def test_a_deleted_accounts_reactions_go_with_a_seq(
    ana: Any, ben: Any, cleo: Any, lobby: Room, staff: Room, monkeypatch: pytest.MonkeyPatch, told_at_most: int
) -> None:
    monkeypatch.setattr(reactions, "TOLD_AT_MOST", told_at_most)
    monkeypatch.setattr(reactions, "MESSAGES_AT_ONCE", 2)
    said_there = [said(ana, room) for room in (lobby, lobby, lobby, staff)]
    for message in said_there:
        reactions.add(by=ana, message_id=message.pk, emoji="👍")
        for emoji in ("👍", "🎉"):
            reactions.add(by=ben, message_id=message.pk, emoji=emoji)
    with published() as hints:
        reactions.remove_all(user=ben)
    for message in said_there:
        assert fresh(message).reactions == [{"emoji": "👍", "count": 1, "users": [str(ana.pk)]}]
    assert not Reaction.objects.filter(user=ben).exists()
    told = [each for room in (lobby, staff) for each in events_in(hints, room)]
    assert len(told) == (4 if told_at_most > 1 else 2)
    assert (CompareRoom(lobby.pk) in hints) == (told_at_most == 1)
    assert all(reaction.users == [str(ana.pk)] for each in told for reaction in each.message.reactions)
    for room in (lobby, staff):
        check_log(room)
