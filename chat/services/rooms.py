"""Making and changing rooms."""

from collections.abc import Iterable
from secrets import token_hex
from typing import Any
from uuid import UUID, uuid4

from django.contrib.auth import get_user_model
from django.contrib.contenttypes.models import ContentType
from django.db import IntegrityError, models
from django.utils.text import slugify

from chat.access import lookup, serializers
from chat.access.policy import policy, rules_for
from chat.conf import conf
from chat.live.hints import CompareRoom
from chat.live.publisher import publish_on_commit
from chat.models import Membership, Room
from chat.models.database import alias, connection, write
from chat.models.rooms import NAME_CHARS, TOPIC_CHARS, direct_key_of, new_epoch
from chat.rendering.visible_text import is_blank, tidied
from chat.services import membership_rows, people, sequence
from chat.wire import protocol
from chat.wire.errors import CommandInvalid, RoomArchived, RoomForbidden, RoomInvalid, RoomNotFound, UserNotFound
from chat.wire.protocol import is_storable

SLUG_CHARS = 60


def create(
    *,
    by: Any,
    name: str,
    kind: str = "open",
    topic: str = "",
    client_id: UUID | None = None,
    user_ids: Iterable[str] = (),
    invited_by: Any = None,
) -> Room:
    """Make an open or private room with ``by`` as its owner and first member, and others beside them.

    Repeating a ``client_id`` returns the first room and changes nothing.

    Args:
        user_ids: The others.
        invited_by: Who vouches for the others; None: ``by`` does. ``SITE`` brings in anybody.

    Raises:
        RoomForbidden: Policy does not let ``by`` make such a room.
        RoomInvalid: A blank or too long name or topic.
        UserNotFound: One of ``user_ids`` is unknown, or not for ``invited_by`` to find.
        RoomNotFound: ``client_id`` made a room that is deleted.
    """
    with write():
        if client_id is not None:
            # The lock makes simultaneous repeats take turns; the constraint backs it. It does not lock the key itself:
            # two people who bring each other into a room would otherwise deadlock.
            no_key = connection().features.has_select_for_no_key_update
            get_user_model()._default_manager.select_for_update(no_key=no_key).filter(pk=by.pk).first()
            if (made := Room.with_deleted.filter(created_by=by, client_id=client_id).first()) is not None:
                if made.deleted_at is not None:
                    raise RoomNotFound  # a late repeat must not revive it
                return made
        _check_kind(kind)
        if not rules_for(by).can_create_room(by, kind):
            raise RoomForbidden
        people.lock_accounts(by, gone=RoomForbidden)
        room = _store(
            name=_clean(name, "name", NAME_CHARS),
            topic=_clean(topic, "topic", TOPIC_CHARS, blank=True),
            kind=kind,
            created_by=by,
            client_id=client_id or uuid4(),
        )
        hints = membership_rows.add(room, [by], role=Membership.Role.OWNER)
        wanted = people.welcome(user_ids, by=invited_by or by)
        if others := [each for each in wanted if each.pk != by.pk]:
            hints += membership_rows.add(room, others, by=by)
        publish_on_commit(hints)
        return room


def open_direct(*, by: Any, user_ids: Iterable[str] = (), invited_by: Any = None) -> Room:
    """The one direct room of ``by`` and the people named, made if there is none. Its people never change.

    The others see it from its first message on.

    Args:
        invited_by: Who vouches for the others; None: ``by`` does. ``SITE`` brings together anybody who is welcome.

    Raises:
        CommandInvalid: Too many people.
        RoomForbidden: Policy does not let ``by`` make a direct room.
        UserNotFound: One of them is unknown or not welcome.
    """
    with write():
        if not policy().can_create_room(by, Room.Kind.DIRECT):
            raise RoomForbidden
        persons = _direct_people(by, user_ids, invited_by or by)
        room, made = Room.objects.get_or_create(
            direct_key=direct_key_of(str(each.pk) for each in persons),
            defaults={"kind": Room.Kind.DIRECT, "slug": f"direct-{token_hex(8)}"},
        )
        room = Room.objects.select_for_update().get(pk=room.pk)
        people.lock_accounts(by, gone=RoomForbidden)
        if made:
            publish_on_commit(membership_rows.add(room, persons, hidden_for=[each for each in persons if each != by]))
        else:
            publish_on_commit(membership_rows.unhide(room, [str(by.pk)]))
        return room


def update(
    *,
    by: Any,
    room_id: int,
    name: str | None = None,
    topic: str | None = None,
    kind: str | None = None,
    archived: bool | None = None,
) -> Room:
    """Rename, describe, open, close, archive or reopen a room. What is None stays; what is the same takes no seq.

    When a room becomes private, people who only watched it lose it at that very seq, and it gets another slug.

    Raises:
        RoomNotFound: Missing, or hidden from ``by``.
        RoomForbidden: ``by`` may not manage it, not open it, or not make a room of this ``kind``; a direct room has no
            name or topic, and stays direct.
        RoomInvalid: A blank or too long name or topic.
        CommandInvalid: ``kind`` is neither open nor private.
        RoomArchived: It is archived, and this does not reopen it.
    """
    with write():
        entry = lookup.room(by, room_id, lock=True)
        room, rules = entry.room, rules_for(by)
        if not rules.can_manage(by, room, entry.membership):
            raise RoomForbidden
        if room.is_direct and (name, topic, kind) != (None, None, None):
            raise RoomForbidden
        changed = _differing(room, _wanted(name, topic, kind, archived))
        # Otherwise somebody who may only make private rooms could make an open one in two steps.
        if "kind" in changed and not rules.can_create_room(by, changed["kind"]):
            raise RoomForbidden
        if changed.get("kind") == Room.Kind.OPEN and not rules.can_open(by, room, entry.membership):
            raise RoomForbidden
        if room.archived and archived is not False and changed and not rules.can_administer(by, room):
            raise RoomArchived
        _apply(room, changed)
        return room


def _wanted(name: str | None, topic: str | None, kind: str | None, archived: bool | None) -> dict[str, Any]:
    wanted: dict[str, Any] = {}
    if name is not None:
        wanted["name"] = _clean(name, "name", NAME_CHARS)
    if topic is not None:
        wanted["topic"] = _clean(topic, "topic", TOPIC_CHARS, blank=True)
    if kind is not None:
        _check_kind(kind)
        wanted["kind"] = kind
    if archived is not None:
        wanted["archived"] = archived
    return wanted


def _differing(room: Room, wanted: dict[str, Any]) -> dict[str, Any]:
    return {field: value for field, value in wanted.items() if getattr(room, field) != value}


def _apply(room: Room, changed: dict[str, Any]) -> None:
    if changed:
        for field, value in changed.items():
            setattr(room, field, value)
        fields = list(changed)
        if "kind" in changed and not room.is_open:
            # Everybody knows the old slug, which would go on telling that the room exists.
            room.slug = _unguessable_slug(room.name)
            fields.append("slug")
        announce_change(room, *fields)


def announce_change(room: Room, *fields: str) -> None:
    """Store changed ``fields`` of a locked room as its next durable change, and tell it."""
    room.changed_seq = sequence.next_seq(room)
    is_closed = "kind" in fields and not room.is_open
    if is_closed:
        room.private_seq = room.changed_seq
    sequence.save_numbers(room, "changed_seq", "private_seq", *fields)
    changed = protocol.RoomChanged(room=str(room.pk), seq=room.changed_seq, state=serializers.room(room))
    told = sequence.events_of(room, [changed])
    # An event would carry the feeds past the point where the room became private, and with them the people who only
    # watch. Instead, each process reads the database and asks the policy about each of its clients.
    publish_on_commit([CompareRoom(room.pk) if is_closed else told])


def room_for(subject: models.Model, *, by: Any, name: str = "", kind: str = "private") -> Room:
    """The one room on a model instance of the host's, made without an owner if there is none.

    Args:
        name: For a new room; the instance's own text when blank.

    Raises:
        RoomForbidden: ``by`` does not act for the site.
        CommandInvalid: The instance is not saved yet, or ``kind`` is neither open nor private.
    """
    if not rules_for(by).can_administer(by, None):
        raise RoomForbidden
    if subject.pk is None:
        raise CommandInvalid("Save the object first: a room is made for its key.")
    _check_kind(kind)
    # From the database that the room refers to: the subject itself may live in another one.
    kinds = ContentType.objects.db_manager(alias())
    about = {"subject_type": kinds.get_for_model(subject), "subject_id": str(subject.pk)}
    with write():
        room = Room.objects.filter(**about).first()
        if room is None:
            title = _clean(name or str(subject)[:NAME_CHARS], "name", NAME_CHARS)
            try:
                with write():
                    room = _store(name=title, kind=kind, **about)
            except IntegrityError:  # another process has just made it
                room = Room.objects.get(**about)
        return room


def renew_epoch(room_id: int, epoch: str, *, waits_are_bounded: bool = True) -> None:
    """Begin a new numbering, because its numbers went back, unless another process has begun one already."""
    with write(waits_are_bounded=waits_are_bounded):
        Room.objects.filter(pk=room_id, epoch=epoch).update(epoch=new_epoch())


def renew_all_epochs() -> int:
    """Begin a new numbering in every room after rows were put back, and return how many rooms there are.

    Every client is told to forget what it holds, because it may have seen what the backup lacks.
    """
    count = 0
    for room_id, epoch in Room.objects.values_list("pk", "epoch").iterator():
        renew_epoch(room_id, epoch, waits_are_bounded=False)
        count += 1
    return count


def _direct_people(by: Any, user_ids: Iterable[str], invited_by: Any) -> list[Any]:
    wanted = [each for each in dict.fromkeys(user_ids) if each != str(by.pk)]
    if len(wanted) >= conf.direct_people:
        most = {"most": conf.direct_people}
        raise CommandInvalid("A direct room has at most {most} people.", values=most, field="users")
    others = people.welcome(wanted, by=invited_by)
    if not all(policy().is_welcome(each) for each in others):
        raise UserNotFound
    return [by, *others]


def _check_kind(kind: str) -> None:
    if kind not in (Room.Kind.OPEN, Room.Kind.PRIVATE):
        raise CommandInvalid("kind is open or private.", field="kind")


def _clean(text: str, field: str, most: int, *, blank: bool = False) -> str:
    shown = tidied(text)
    if not is_storable(text) or len(shown) > most or (is_blank(shown) and not blank):
        values = {"least": 0 if blank else 1, "most": most}
        raise RoomInvalid(f"The {field} needs {{least}} to {{most}} characters.", values=values, field=field)
    return shown


def _store(*, name: str, kind: str, **fields: Any) -> Room:
    """Store a new room. An open one gets the plain slug of its name unless another room has it."""
    slug = _plain_slug(name) if kind == Room.Kind.OPEN else _unguessable_slug(name)
    try:
        with write():
            return Room.objects.create(name=name, kind=kind, slug=slug, **fields)
    except IntegrityError:
        return Room.objects.create(name=name, kind=kind, slug=_unguessable_slug(name), **fields)


def _plain_slug(name: str) -> str:
    return slugify(name, allow_unicode=True)[:SLUG_CHARS] or "room"


def _unguessable_slug(name: str) -> str:
    """The slug of a private room. A plain one could be found out: making an open room tells whether it is taken."""
    return f"{_plain_slug(name)}-{token_hex(4)}"
