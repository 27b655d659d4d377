"""Hand-made histories: a small one without a fault, from which each test takes or changes something."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

from torture.checker import Event, History, Violation, check

ROOM = "1"


class Maker:
    """Writes down who posts what, and what everybody is shown, where a server keeps its promise."""

    def __init__(self, *clients: str, **bounds: float):
        self.events: list[Event] = [{"e": "meta", "seed": 1, "scenario": "by hand", "bounds": bounds}]
        self.clients = clients
        self.rows: list[Event] = []
        self.time = 0.0
        for name in clients:
            self.events.append({"e": "client", "client": name, "user": name, "ordered": True})

    def now(self, step: float = 0.1) -> float:
        self.time = round(self.time + step, 3)
        return self.time

    def add(self, kind: str, **fields: Any) -> Event:
        event = {"e": kind, "t": self.now(), **fields}
        self.events.append(event)
        return event

    def say(self, client: str, shown_to: tuple[str, ...] | None = None) -> Event:
        """Post a message, acknowledge it, and show it to everybody, or to some."""
        number = len(self.rows) + 1
        self.add("post", client=client, user=client, room=ROOM, id=f"id-{number}", hash=f"hash-{number}")
        place = {"message": f"m{number}", "number": number, "seq": number}
        self.add("ok", client=client, user=client, room=ROOM, id=f"id-{number}", **place, duplicate=False)
        row = {"e": "row", "room": ROOM, **place, "changed": number, "author": client, "id": f"id-{number}"}
        row |= {"hash": f"hash-{number}", "state": f"state-{number}", "deleted": False}
        self.rows.append(row)
        for each in self.clients if shown_to is None else shown_to:
            self.show(each, number)
        return row

    def show(self, client: str, number: int, **changes: Any) -> Event:
        row = self.rows[number - 1]
        seen = {name: row[name] for name in ("message", "number", "seq", "changed", "author", "id", "state")}
        return self.add("show", **{"client": client, "user": client, "room": ROOM, **seen, **changes})

    def ended(self) -> list[Event]:
        """The whole history, with what the database and the clients hold at its end."""
        head = max((row["changed"] for row in self.rows), default=0)
        room = {"e": "room", "id": ROOM, "epoch": "e", "head": head, "last_number": len(self.rows), "changed": 0}
        views = [
            {
                "e": "view",
                "t": self.now(),
                "client": name,
                "user": name,
                "room": ROOM,
                "is_live": True,
                "first": 1,
                "states": [row["state"] for row in self.rows],
            }
            for name in self.clients
        ]
        return deepcopy([*self.events, {"e": "quiet", "t": self.now(), "seconds": 0.1}, room, *self.rows, *views])


def found_in(events: list[Event]) -> list[Violation]:
    return check(History.from_events(events))


def changed(events: list[Event], which: Callable[[Event], bool], **changes: Any) -> list[Event]:
    """The same events, of which exactly one is different."""
    chosen = [event for event in events if which(event)]
    assert len(chosen) == 1, chosen
    return [{**event, **changes} if event is chosen[0] else event for event in events]


def without(events: list[Event], which: Callable[[Event], bool]) -> list[Event]:
    """The same events but for one."""
    chosen = [event for event in events if which(event)]
    assert len(chosen) == 1, chosen
    return [event for event in events if event is not chosen[0]]


def at(kind: str, **fields: Any) -> Callable[[Event], bool]:
    return lambda event: event["e"] == kind and all(event.get(name) == value for name, value in fields.items())
