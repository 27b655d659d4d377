"""Who may send which command, as one table (roles.txt): every command, in rooms of every kind, as every role.

A change of the table is a decision about rights. If it is meant, put in what the failing test prints.
"""

from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from chat.access.policy import SITE
from chat.models import Membership, Room
from chat.runtime import pools
from chat.services import memberships, rooms
from chat.sockets.commands.registry import COMMANDS
from tests.cast import fresh, person, said
from tests.sockets.socket import Socket, socket_of

pytestmark = pytest.mark.usefixtures("socket_process")
TABLE = Path(__file__).with_name("roles.txt")
MEMBERS = {"owner": "owner", "moderator": "moderator", "member": "member", "victim": "member"}
ROLES = ("owner", "moderator", "member", "left", "removed", "outsider")
ROOMS = ("open", "private", "direct", "archived", "missing")
ELSEWHERE = {"auth", "ping", "received", "typing", "unsync", "room.list", "room.create", "presence.set"}
"""Commands that name no room, need no right in one, or have no answer."""
NOWHERE = 987_654_321


@dataclass
class World:
    """Rooms in which everybody has the place that their name says, and is put back into it after each command."""

    people: dict[str, Any]
    rooms: dict[str, Room]

    @classmethod
    def make(cls) -> "World":
        people = {name: person(name) for name in (*ROLES, "victim", "stranger")}
        made = {
            "open": rooms.create(by=people["owner"], name="Open"),
            "private": rooms.create(by=people["owner"], name="Private", kind="private"),
            "archived": rooms.create(by=people["owner"], name="Archived", kind="private"),
        }
        made["direct"] = rooms.open_direct(by=people["owner"], user_ids=[str(people["member"].pk)])
        world = cls(people, made)
        for name, room in made.items():
            said(people["owner"], room, "first")
            if name == "direct":
                continue
            for role in ("left", "removed"):
                memberships.add(by=SITE, room_id=room.pk, user_id=world.key(role))
            memberships.leave(by=people["left"], room_id=room.pk)
            memberships.remove(by=SITE, room_id=room.pk, user_id=world.key("removed"))
        world.put_back()
        return world

    def key(self, name: str) -> str:
        return str(self.people[name].pk)

    def put_back(self) -> None:
        """Give everybody their places and roles, and the rooms their names and kinds."""
        for name, room in self.rooms.items():
            wanted = {"owner": "member", "member": "member"} if name == "direct" else MEMBERS
            row = fresh(room)
            for each in Membership.objects.present().filter(room=row).select_related("user"):
                if each.user.username not in wanted:
                    memberships.remove(by=SITE, room_id=room.pk, user_id=each.user_key)
            if name == "direct":
                Membership.objects.filter(room=row, hidden=True).exists() and rooms.open_direct(
                    by=self.people["owner"], user_ids=[self.key("member")]
                )
                continue
            for who, role in wanted.items():
                memberships.add(by=SITE, room_id=room.pk, user_id=self.key(who), role=role)
                memberships.change_role(by=SITE, room_id=room.pk, user_id=self.key(who), role=role)
            if row.archived != (name == "archived") or row.name != name.title():
                rooms.update(by=SITE, room_id=room.pk, name=name.title(), archived=name == "archived")

    def message(self, room: str, author: str) -> str:
        """A new message of somebody; in an archived room the first one, which is the owner's."""
        if room == "missing":
            return str(NOWHERE)
        row = self.rooms[room]
        if room == "archived" or not Membership.objects.present().filter(room=row, user=self.people[author]).exists():
            return str(row.messages.order_by("number").values_list("pk", flat=True)[0])
        return str(said(self.people[author], fresh(row)).pk)

    def commands(self, role: str, room: str) -> Iterator[tuple[str, str, Callable[[], dict[str, Any]]]]:
        """A row's name, its command and its fields, made when its turn comes."""
        room_id = str(self.rooms[room].pk) if room in self.rooms else str(NOWHERE)
        here = {"room": room_id}
        mine = role if role in MEMBERS else "owner"
        anothers = "member" if role != "member" else "owner"
        yield "follow", "sync", lambda: {"rooms": {room_id: None}}
        yield "read history", "history", lambda: here
        yield "list members", "member.list", lambda: here
        yield "move the read pointer", "read", lambda: {**here, "number": 1}
        yield "post", "message.post", lambda: {**here, "client_id": str(uuid4()), "body": "hi"}
        yield "edit one's own", "message.edit", lambda: {"message": self.message(room, mine), "body": "new"}
        yield "edit another's", "message.edit", lambda: {"message": self.message(room, anothers), "body": "new"}
        yield "delete one's own", "message.delete", lambda: {"message": self.message(room, mine)}
        yield "delete another's", "message.delete", lambda: {"message": self.message(room, anothers)}
        yield "react", "reaction.add", lambda: {"message": self.message(room, "owner"), "emoji": "👍"}
        yield "take a reaction back", "reaction.remove", lambda: {"message": self.message(room, "owner"), "emoji": "👍"}
        yield "rename", "room.update", lambda: {**here, "name": "Other"}
        yield "archive", "room.update", lambda: {**here, "archived": True}
        yield "reopen", "room.update", lambda: {**here, "archived": False}
        yield "add a member", "member.add", lambda: {**here, "user": self.key("stranger")}
        yield "add an owner", "member.add", lambda: {**here, "user": self.key("stranger"), "role": "owner"}
        yield "add who has left", "member.add", lambda: {**here, "user": self.key("left")}
        yield "remove a member", "member.remove", lambda: {**here, "user": self.key("victim")}
        yield "remove a moderator", "member.remove", lambda: {**here, "user": self.key("moderator")}
        yield "remove the owner", "member.remove", lambda: {**here, "user": self.key("owner")}
        yield "give a role", "member.role", lambda: {**here, "user": self.key("victim"), "role": "moderator"}
        yield "make oneself owner", "member.role", lambda: {**here, "user": self.key(role), "role": "owner"}
        yield "join", "room.join", lambda: here
        yield "leave", "room.leave", lambda: here
        yield "write to the victim", "room.direct", lambda: {"users": [self.key("victim")]}
        yield "write to a stranger", "room.direct", lambda: {"users": [self.key("stranger")]}
        yield "write to nobody", "room.direct", lambda: {"users": [str(NOWHERE)]}


def outcome(kind: str, room_id: str, answer: Any) -> str:
    if kind == "sync":
        return str(answer["rooms"][room_id]).replace("reset", "yes")
    return str(answer.get("code") or "yes")


async def test_who_may_do_what_is_as_decided(settings: Any) -> None:
    rates = {f"{kind}_{each}": 10**5 for kind in ("POST", "CHANGE") for each in ("RATE", "BURST")}
    settings.CHAT = {**settings.CHAT, **rates, "WINDOW_FRAMES": 100_000}  # these sockets acknowledge nothing
    world = await pools.site.run(World.make)
    cells: dict[tuple[str, str], list[str]] = {}
    kinds: set[str] = set()
    async with AsyncExitStack() as stack:
        sockets: dict[str, Socket] = {
            role: await stack.enter_async_context(socket_of(world.people[role])) for role in ROLES
        }
        for room in ROOMS:
            for role in ROLES:
                for name, kind, fields in world.commands(role, room):
                    if kind == "room.direct" and room != "missing":
                        continue
                    kinds.add(kind)
                    made = await pools.site.run(fields)
                    answer = await sockets[role].call(kind, **made)
                    room_id = next(iter(made.get("rooms", {"": None})))
                    cells.setdefault((name, room), []).append(result := outcome(kind, room_id, answer))
                    if kind == "sync":
                        await sockets[role].call("unsync", rooms=[room_id])
                    if result == "yes" and kind.startswith(("room.", "member.")):
                        await pools.site.run(world.put_back)
    table = "\n".join(written(cells)) + "\n"
    assert table == TABLE.read_text(), f"\n{table}"
    assert kinds | ELSEWHERE == {each.__struct_config__.tag for each in COMMANDS}  # type: ignore[attr-defined]


def written(cells: dict[tuple[str, str], list[str]]) -> Iterator[str]:
    columns = [24, 9, *[max(len(each) for row in cells.values() for each in row)] * len(ROLES)]
    names = [*dict.fromkeys(name for name, _ in cells)]
    rows = [[*each, *cells[each]] for each in sorted(cells, key=lambda at: names.index(at[0]))]
    for row in [["", "", *ROLES], *rows]:
        yield " ".join(each.ljust(to) for each, to in zip(row, columns, strict=True)).rstrip()
