"""Reads that cross models: what a person sees of their rooms, a room's history, its members."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from django.db.models import Count, F, QuerySet, Sum
from msgspec import UNSET

from chat.access import display_names, headcounts, lobby, lookup, membership_history, serializers
from chat.access.policy import policy
from chat.conf import conf
from chat.models import Membership, Mention, Message, Reaction, Room
from chat.models.database import snapshot
from chat.models.prepared import Prepared
from chat.wire import protocol
from chat.wire.errors import CommandInvalid

PAGE = 50
"""Things in one page of a list when the caller names no limit."""
PAGE_AT_MOST = 200
"""Things in one page of a list, whatever limit the caller names: with the longest names it stays below 900 KiB."""
SLICE = 50
"""Messages of a page that are read at once: all of an ordinary page. One of the longest messages holds a dozen."""
PAGE_BYTES = 200 * 1024
"""Message text in one page; with the JSON around it a frame stays below 256 KiB."""


_latest_own = Prepared(
    lambda user_key: _own(user_key).order_by(F("room__last_message_at").desc(nulls_last=True), "-room_id"), str
)
_versions = Prepared(
    lambda user_keys: (
        Membership.objects.filter(user_key__in=user_keys)
        .values("user_key")
        .annotate(version=Sum("moves"))
        .values_list("user_key", "version")
    ),
    [str],
)
_unread_mentions = Prepared(
    lambda user_key, room_ids: (
        Mention.objects.filter(
            user_key=user_key,
            room__in=room_ids,
            room__memberships__user_key=user_key,
            number__gt=F("room__memberships__read_number"),
        )
        .values("room")
        .annotate(count=Count("pk"))
        .values_list("room", "count")
    ),
    str,
    [int],
)
_own_emoji = Prepared(
    lambda message_ids, user_key: (
        Reaction.objects.filter(message__in=message_ids, user_key=user_key)
        .order_by("pk")
        .values_list("message_id", "emoji")
    ),
    [int],
    str,
)
_older = Prepared(
    lambda room_id, number: (
        Message.objects.filter(room=room_id, number__lte=number).select_related("author").order_by("-number")
    ),
    int,
    int,
)
_newer = Prepared(
    lambda room_id, number: (
        Message.objects.filter(room=room_id, number__gt=number).select_related("author").order_by("number")
    ),
    int,
    int,
)
_by_key = Prepared(lambda pks: Message.objects.filter(pk__in=pks).select_related("author"), [int])


# A person's rooms ----------------------------------------------------------------------------------------------


def hello(user: Any) -> tuple[list[protocol.RoomState], bool, int]:
    """The person's most recently active rooms, whether there are more, and their ``rooms_version``."""
    with snapshot():
        most = conf.hello_rooms
        rows = _latest_own(str(user.pk), limit=most + 1)
        states = _states(user, _seen(user, rows[:most]), count=headcounts.read)
        return states, len(rows) > most, rooms_version(user)


def own_rooms(
    user: Any, *, after: str | None = None, limit: int | None = None
) -> tuple[list[protocol.RoomState], bool]:
    """A page of the person's rooms by id, and whether there are more. Only the last page may be empty."""
    limit = min(limit or PAGE, PAGE_AT_MOST)
    past, more, entries = _after(after), True, list[lookup.Entry]()
    with snapshot():
        while more and not entries:  # again only if the policy hides a whole page of them
            rows = list(_own(str(user.pk)).filter(room_id__gt=past).order_by("room_id")[: limit + 1])
            more, rows = len(rows) > limit, rows[:limit]
            entries = _seen(user, rows)
            past = rows[-1].room_id if rows else past
        return _states(user, entries, count=headcounts.read), more


def open_rooms(user: Any, *, after: str | None = None, limit: int | None = None) -> tuple[list[protocol.Room], bool]:
    """A page, by id, of the open rooms that the person may see, and whether there are more."""
    found, more = lobby.by_id(user, after=_after(after), most=min(limit or PAGE, PAGE_AT_MOST))
    return [serializers.room(each) for each in found], more


def room_state(user: Any, room_id: int) -> protocol.RoomState:
    """The room as the person sees it.

    Raises:
        RoomNotFound: Missing, or hidden from ``user``.
    """
    with snapshot():
        return state_of(user, lookup.room(user, room_id))


def state_of(user: Any, entry: lookup.Entry) -> protocol.RoomState:
    """The same of a room that was found to be for the person to see, in the same snapshot."""
    return states_of(user, [entry])[0]


def states_of(user: Any, entries: list[lookup.Entry]) -> list[protocol.RoomState]:
    """The same of many rooms, in as many queries."""
    return _states(user, entries, count=headcounts.known)


def rooms_version(user: Any) -> int:
    """Rises with each coming and going of this person: a client that knows another one lists its rooms again."""
    return rooms_versions([str(user.pk)]).get(str(user.pk), 0)


def rooms_versions(user_ids: Iterable[str]) -> dict[str, int]:
    return dict(_versions(list(user_ids)))


def is_member(user_id: str, room_id: int) -> bool:
    """Whether the person with this wire id is in the room now."""
    return Membership.objects.present().filter(room=room_id, user_key=user_id).exists()


def read_state(membership: Membership, last_number: int) -> protocol.ReadResult:
    """The person's read pointer with what is unread past it."""
    return protocol.ReadResult(
        read=membership.read_number,
        unread=max(0, last_number - membership.read_number),
        mentions=Mention.objects.filter(
            user_key=membership.user_key, room_id=membership.room_id, number__gt=membership.read_number
        ).count(),
        rev=membership.rev,
    )


def _own(user_key: str) -> QuerySet[Membership]:
    return Membership.objects.present().filter(user_key=user_key, hidden=False).select_related("room")


def _seen(user: Any, memberships: list[Membership]) -> list[lookup.Entry]:
    """The rooms of these memberships, but for those that a host's policy hides from the member."""
    return [lookup.Entry(each.room, each) for each in memberships if policy().can_see(user, each.room, each)]


def _states(
    user: Any,
    entries: list[lookup.Entry],
    *,
    count: Callable[[Iterable[Room]], dict[int, int]],
) -> list[protocol.RoomState]:
    mentions = _mentions(user, [each.membership for each in entries if each.membership is not None])
    named = display_names.of_direct_rooms(user, [each.room.pk for each in entries if each.room.is_direct])
    shown = [each.room for each in entries if lookup.may_see_presence(user, each)]
    online = count(shown)
    return [
        serializers.room_state(
            each.room,
            each.membership,
            online=online.get(each.room.pk),
            mentions=mentions.get(each.room.pk, 0),
            direct_name=named.get(each.room.pk),
            **_rights(user, each.room, each.membership),
        )
        for each in entries
    ]


def _rights(user: Any, room: Room, membership: Membership | None) -> dict[str, Any]:
    """What the policy lets the person do in the room; left out where it says what their role says."""
    rules = policy()
    may_post = rules.can_post(user, room, membership)
    may_moderate = rules.can_moderate(user, room, membership)
    is_moderator = membership is not None and membership.role != Membership.Role.MEMBER
    return {
        "may_post": UNSET if may_post == (membership is not None) else may_post,
        "may_moderate": UNSET if may_moderate == is_moderator else may_moderate,
        "why_silent": UNSET if may_post and not room.archived else _why_silent(user, room, membership),
    }


def _why_silent(user: Any, room: Room, membership: Membership | None) -> protocol.Silence:
    if room.archived:
        return "archived"
    if room.is_direct and membership is not None and room.is_deserted_for(membership.user_key):
        return "nobody_left"
    if membership is None and room.is_open and policy().can_join(user, room):
        return "may_join"
    return "read_only"


def _mentions(user: Any, memberships: list[Membership]) -> dict[int, int]:
    unread = [each.room_id for each in memberships if each.room.last_number > each.read_number]
    return dict(_unread_mentions(str(user.pk), unread))


def _after(wire_id: str | None) -> int:
    if wire_id is None:
        return 0
    if not (pk := lookup.key(wire_id)):
        raise CommandInvalid("`after` names no room.", field="after")
    return pk


# A room's people -----------------------------------------------------------------------------------------------


def people_of(room_ids: Iterable[int], most: int, most_together: int) -> tuple[dict[int, frozenset[str]], list[int]]:
    """The wire ids of the present members of each room, and the rooms that were left for another call.

    Rooms that are missing, or have more than ``most`` members, are in neither. Past the first room, as many are read
    as have ``most_together`` members.
    """
    rooms = Room.objects.filter(pk__in=list(room_ids), member_count__lte=most).order_by("member_count")
    with snapshot():
        found: dict[int, set[str]] = {}
        left: list[int] = []
        total = 0
        for pk, count in rooms.values_list("pk", "member_count"):
            total += count
            if found and total > most_together:
                left.append(pk)
            else:
                found[pk] = set()
        rows = Membership.objects.present().filter(room__in=list(found)).values_list("room_id", "user_key")
        for room_id, user_key in rows.iterator():
            found[room_id].add(user_key)
    return {room_id: frozenset(people) for room_id, people in found.items()}, left


def members(user: Any, room_id: int, *, after: str | None = None, limit: int | None = None) -> protocol.MemberPage:
    """A page of the room's present members in the order of joining; ``after`` is a user id.

    Raises:
        RoomNotFound: Missing, or not readable for ``user``.
    """
    limit = min(limit or PAGE, PAGE_AT_MOST)
    with snapshot():
        entry = lookup.watched_room(user, room_id)
        rows = Membership.objects.filter(room=entry.room)
        start = 0
        if after is not None and protocol.is_storable(after):
            start = rows.filter(user_key=after).values_list("pk", flat=True).first() or 0
        page = list(rows.filter(left_at=None, pk__gt=start).with_people().order_by("pk")[: limit + 1])
        return protocol.MemberPage(
            members=[serializers.member(each) for each in page[:limit]],
            more=len(page) > limit,
            epoch=entry.room.epoch,
            seq=entry.room.head,
            run=entry.room.run or UNSET,
        )


# A room's timeline ---------------------------------------------------------------------------------------------


def history(
    user: Any,
    room_id: int,
    *,
    before: int | None = None,
    after: int | None = None,
    around: int | None = None,
    limit: int | None = None,
) -> protocol.HistoryPage:
    """A page of the timeline, oldest first: before, after or around a message number; the newest when none is given.

    A page holds fewer messages than ``limit`` where these are long.

    Raises:
        CommandInvalid: More than one of ``before``, ``after`` and ``around``, or too high a limit.
        RoomNotFound: Missing, or not readable for ``user``.
    """
    if sum(bound is not None for bound in (before, after, around)) > 1:
        raise CommandInvalid("Give at most one of before, after and around.", field="before")
    if limit is not None and limit > conf.history_messages:
        raise CommandInvalid(f"limit may be at most {conf.history_messages}.", field="limit")
    limit = limit or max(1, conf.history_messages // 2)
    with snapshot():
        entry = lookup.watched_room(user, room_id)
        if after is not None:
            page = _bounded(_first(_newer, room_id, after, limit))
        elif around is not None:
            older = _bounded(_first(_older, room_id, around, (limit + 1) // 2), PAGE_BYTES // 2)
            newer = _bounded(_first(_newer, room_id, around, limit // 2), PAGE_BYTES // 2)
            page = older[::-1] + newer
        else:
            newest = before - 1 if before is not None else entry.room.last_number
            page = _bounded(_first(_older, room_id, newest, limit))[::-1]
        return _history_page(user, entry.room, page, before, after)


def _history_page(
    user: Any, room: Room, page: list[Message], before: int | None, after: int | None
) -> protocol.HistoryPage:
    # Numbers have no gaps, so what lies outside a page is arithmetic. An empty page lies beyond one of the ends.
    if page:
        first, last = page[0].number, page[-1].number
    elif after is not None:
        first, last = min(after, room.last_number) + 1, room.last_number
    else:
        first, last = 1, (before or 1) - 1
    more_before, more_after = first > 1, last < room.last_number
    moved = membership_history.beside(room, page, more_before=more_before, more_after=more_after)
    return protocol.HistoryPage(
        messages=[serializers.message(each) for each in page],
        mine=own_reactions(user, page),
        more_before=more_before,
        more_after=more_after,
        epoch=room.epoch,
        seq=room.head,
        members=[serializers.member(each) for each in moved],
        quoted=[serializers.message(each) for each in _quoted(room, page)],
        run=room.run or UNSET,
    )


def _quoted(room: Room, page: list[Message]) -> list[Message]:
    """What the page's messages reply to without its being there. Where room is short, the oldest are left out."""
    shown = {each.pk for each in page}
    wanted = {each.reply_to_id for each in page if each.reply_to_id} - shown
    if not wanted:
        return []
    # By key alone: asked for the room and its order too, SQLite would walk the whole timeline.
    rows = sorted(
        (each for each in _by_key(list(wanted)) if each.room_id == room.pk), key=lambda each: each.number, reverse=True
    )
    return _bounded(rows, PAGE_BYTES - sum(map(size_of, page)), at_least=0)[::-1]


def own_reactions(user: Any, messages: Iterable[Message]) -> dict[str, list[str]]:
    """The person's own emoji by message id; messages without any are left out, and without reactions not asked for."""
    wanted = [each.pk for each in messages if each.reactions]
    if not wanted:
        return {}
    mine: dict[str, list[str]] = defaultdict(list)
    for message_id, emoji in _own_emoji(wanted, str(user.pk)):
        mine[str(message_id)].append(emoji)
    return dict(mine)


def size_of(message: Message) -> int:
    """About how many bytes the message takes in a frame."""
    characters = len(message.body) + len(message.html)
    reactions = sum(80 + 16 * len(each["users"]) for each in message.reactions)
    return 600 + reactions + (characters if message.body.isascii() else 3 * characters)


def _first(rows: Prepared[Message], room_id: int, number: int, most: int) -> Iterator[Message]:
    """The room's messages from ``number`` on, in one query if they are few and two if they are many: where messages are
    long, a page holds few of them, and the others need not be read."""
    first = rows(room_id, number, limit=min(most, SLICE))
    yield from first
    if len(first) == SLICE < most:
        last = first[-1].number
        yield from rows(room_id, last if last > number else last - 1, limit=most - SLICE)


def _bounded(rows: Iterable[Message], most_bytes: int = PAGE_BYTES, *, at_least: int = 1) -> list[Message]:
    """As many as fit into one page, and no fewer than ``at_least``."""
    page: list[Message] = []
    size = 0
    for row in rows:
        size += size_of(row)
        if len(page) >= at_least and size > most_bytes:
            break
        page.append(row)
    return page
