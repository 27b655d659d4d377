"""Rows → wire objects. The only place where a row's fields meet the protocol's."""

from typing import Any, cast

from msgspec import UNSET, UnsetType

from chat.access.display_names import DirectName
from chat.access.policy import policy
from chat.models import Membership, Message, Room
from chat.wire import protocol
from chat.wire.protocol import rfc3339

REACTION_USERS = 50
"""People listed by id for one emoji; further ones are only counted."""


def user(person: Any) -> protocol.User:
    rules = policy()
    return protocol.User(id=str(person.pk), name=rules.name_of(person), avatar=rules.avatar_of(person))


def member(membership: Membership, person: Any = None) -> protocol.Member:
    """``person``: the membership's user where the caller has it already."""
    person = person or membership.user
    return protocol.Member(
        user=user(person) if person is not None else protocol.User(id=membership.user_key, name="", avatar=None),
        role=_role(membership),
        joined_at=rfc3339(membership.joined_at),
        left_at=rfc3339(membership.left_at) if membership.left_at else None,
        handle=(policy().handle_of(person) if person is not None else None) or UNSET,
        by=user(membership.moved_by) if membership.moved_by is not None else UNSET,
    )


def _role(membership: Membership) -> protocol.Role:
    return cast("protocol.Role", membership.role)  # a constraint of the field's choices


def room(row: Room) -> protocol.Room:
    return protocol.Room(**_shared(row))


def room_state(
    row: Room,
    membership: Membership | None,
    *,
    mentions: int = 0,
    online: int | None = None,
    direct_name: DirectName | None = None,
    may_post: bool | UnsetType = UNSET,
    may_moderate: bool | UnsetType = UNSET,
    why_silent: protocol.Silence | UnsetType = UNSET,
) -> protocol.RoomState:
    """The room as one person sees it.

    Args:
        online: How many members are connected; None where it is not known, or not for them to see.
        may_post: Whether they may write, where the policy does not go by who is a member.
        may_moderate: Whether they may moderate, where the policy does not go by the role.
        why_silent: Why they may not write now.
        membership: Their present membership; None for who only watches: nothing is unread then.
        direct_name: The other people's names, which stand for the name of a direct room.
    """
    read = membership.read_number if membership else row.last_number
    shared = _shared(row)
    if direct_name is not None:
        shared["name"] = direct_name.text
    return protocol.RoomState(
        **shared,
        epoch=row.epoch,
        seq=row.head,
        last_number=row.last_number,
        read=read,
        unread=max(0, row.last_number - read),
        mentions=mentions,
        rev=membership.rev if membership else 0,
        role=_role(membership) if membership else None,
        notify="all",
        online=online,
        may_post=may_post,
        may_moderate=may_moderate,
        why_silent=why_silent,
        gone=(direct_name.gone if direct_name else 0) or UNSET,
        run=row.run or UNSET,
    )


def _shared(row: Room) -> dict[str, Any]:
    return {
        "id": str(row.pk),
        "slug": row.slug,
        "name": row.name,
        "kind": row.kind,
        "topic": row.topic,
        "archived": row.archived,
        "member_count": row.member_count,
        "last_message_at": rfc3339(row.last_message_at) if row.last_message_at else None,
    }


def message(row: Message) -> protocol.Message:
    return protocol.Message(
        id=str(row.pk),
        room=str(row.room_id),
        number=row.number,
        seq=row.seq,
        changed_seq=row.changed_seq,
        author=user(row.author) if row.author is not None else None,
        client_id=str(row.client_id),
        body=row.body,
        html=row.html,
        kind=row.kind,
        reply_to=protocol.Reply(str(row.reply_to_id), row.reply_number)
        if row.reply_to_id and row.reply_number
        else None,
        attachments=[],
        reactions=[protocol.Reaction(each["emoji"], each["count"], each["users"]) for each in row.reactions],
        mentions=row.mentions,
        created_at=rfc3339(row.created_at),
        edited_at=rfc3339(row.edited_at) if row.edited_at else None,
        deleted_at=rfc3339(row.deleted_at) if row.deleted_at else None,
    )
