"""Check the history of a run against what the database holds at its end. Needs nothing but this file.

``python -m torture.checker HISTORY.jsonl …`` counts the events, prints each violation with the shortest history that
shows it, and exits with 1 if there is one, and with 2 if there is no such file. A history is one JSON object a line,
each with ``e`` (what) and mostly ``t`` (seconds of one monotonic clock); ``EVENTS`` describes them. The checker knows
nothing of how the events came about, so any client and any server can be judged by it. Each invariant takes O(n log
n).
"""

import json
import sys
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Event = dict[str, Any]

EVENTS = {
    "meta": "the run: seed, scenario, and the bounds (`show_s`, `revoke_s`, `quiet_s`) that it is held to",
    "client": "a client: `client`, `user`, and whether it is shown every message in order (`ordered`)",
    "post": "a message is handed to an outbox: `client`, `user`, `room`, `id` (its client_id), `hash` of its body",
    "ok": "it is acknowledged: `id`, `message`, `number`, `seq`",
    "fail": "it is refused for good: `id`, `code`",
    "stop": "the client ended with it: only the next run of the same outbox can send it",
    "did": "another change is acknowledged: `op`, `message`, `seq`",
    "show": "a client shows a message: as `ok`, with `author`, `changed` and the digest of its `state`",
    "change": "a client shows a new state of a message: `message`, `changed`, `state`",
    "sync": "a client asks to be brought up to date: `rooms`",
    "synced": "it is: `room`, `epoch`, `seq`",
    "reset": "it is told to forget a room: `epoch`, `seq`, `reason`",
    "at": "a sample of a client's cursor: `room`, `epoch`, `seq`",
    "live": "a client has a connection from now on",
    "closed": "it has ended, or could not be made: its `code`",
    "out": "a person may not write to a room any more, nor read it unless `may_read`, as from this acknowledgement",
    "in": "and may again, as from this call",
    "fault": "a fault begins or ends (`phase`)",
    "lost": "the database was put back to `heads` (room → `seq` and `number`) between `since` and `t`",
    "memory": "a sample of a server process: `process`, `mib`, `cpu_s`",
    "lag": "how many seconds late the program itself was that wrote this",
    "quiet": "nothing is asked for any more, and it took `seconds` until every client was up to date; null: it was not",
    "outbox": "what a client could not send until the end: `ids`",
    "room": "a room at the end: `id`, `epoch`, `head`, `last_number`, `changed`",
    "row": "a stored message at the end: as `show`, with its `hash` and whether it is `deleted`",
    "member": "a membership at the end: `room`, `user`, `changed`, `present`",
    "view": "what a client holds of a room at the end: `first` number and the `states` from there on; `is_live`",
}


@dataclass(frozen=True)
class Violation:
    """A broken promise. ``evidence``: the fewest events that show it; alone, they fail the same invariant."""

    invariant: str
    text: str
    evidence: list[Event]


Found = Iterator[Violation]


@dataclass
class History:
    """The events of one run by kind, in the order of their times."""

    of: dict[str, list[Event]] = field(default_factory=lambda: defaultdict(list))

    @classmethod
    def from_events(cls, events: Iterable[Event]) -> "History":
        history = cls()
        for event in events:
            history.of[event["e"]].append(event)
        for kind in history.of.values():
            kind.sort(key=lambda each: each.get("t", 0.0))
        return history

    @classmethod
    def read(cls, *paths: Path) -> "History":
        return cls.from_events(json.loads(line) for path in paths for line in path.open() if line.strip())

    @property
    def bounds(self) -> dict[str, float]:
        return {name: value for meta in self.of["meta"] for name, value in meta.get("bounds", {}).items()}

    @property
    def is_ended(self) -> bool:
        """Whether the database was read at the end. Without that, only the events can be compared with each other."""
        return bool(self.of["room"])

    def rooms(self) -> dict[str, Event]:
        return {each["id"]: each for each in self.of["room"]}

    def rows_by_room(self) -> dict[str, list[Event]]:
        rows: dict[str, list[Event]] = defaultdict(list)
        for row in self.of["row"]:
            rows[row["room"]].append(row)
        for each in rows.values():
            each.sort(key=lambda row: row["number"])
        return rows

    def is_void(self, event: Event) -> bool:
        """Whether the database lost this very change by an act outside of the promise: it was put back."""
        return any(
            event["t"] <= lost["t"] and event["seq"] > lost["heads"].get(event["room"], {"seq": 0})["seq"]
            for lost in self.of["lost"]
        )

    def is_in_doubt(self, event: Event) -> bool:
        """Whether what this event shows may be of either history: before and after the database was put back."""
        grace = self.bounds.get("lost_s", 20.0)
        return any(
            lost["since"] <= event["t"] <= lost["t"] + grace
            and event["number"] > lost["heads"].get(event["room"], {"number": 0})["number"]
            for lost in self.of["lost"]
        )

    def era(self, event: Event) -> int:
        """Which of the histories a numbered event is of: each loss begins another past the number that was kept."""
        return sum(
            event.get("t", float("inf")) > lost["t"]
            for lost in self.of["lost"]
            if event["number"] > lost["heads"].get(event["room"], {"number": 0})["number"]
        )


def key_of(event: Event) -> tuple[str, str, str]:
    """What identifies a message for ever: its author, room and client_id."""
    return event.get("author") or event["user"], event["room"], event["id"]


# The invariants ------------------------------------------------------------------------------------------------------


def i1_stored(history: History) -> Found:
    """I1: What was acknowledged is stored, as it was acknowledged: same message, number, seq and text."""
    if not history.is_ended:
        return
    rows = {key_of(row): row for row in history.of["row"]}
    posts = {key_of(post): post for post in history.of["post"]}
    rooms = history.rooms()
    for ok in history.of["ok"]:
        if history.is_void(ok) or ok["room"] not in rooms:
            continue
        row, post = rows.get(key_of(ok)), posts.get(key_of(ok))
        if row is None:
            yield Violation(
                "I1", "A message was acknowledged and is not stored.", [*_known(post), ok, rooms[ok["room"]]]
            )
        elif any(row[name] != ok[name] for name in ("message", "number", "seq")):
            yield Violation(
                "I1", "A message is stored in another place than was acknowledged.", [ok, row, rooms[ok["room"]]]
            )
        elif post and row["hash"] != post["hash"]:
            yield Violation("I1", "Another text is stored than was posted.", [post, ok, row, rooms[ok["room"]]])
    by_message = {row["message"]: row for row in history.of["row"]}
    for did in history.of["did"]:
        row = by_message.get(did["message"])
        if history.is_void(did) or row is None or "seq" not in did:
            continue
        if row["changed"] < did["seq"] or (did["op"] == "delete" and not row["deleted"]):
            yield Violation(
                "I1", f"An acknowledged {did['op']} is not stored.", [did, row, *_known(rooms.get(row["room"]))]
            )


def i2_once(history: History) -> Found:
    """I2: A message is stored at most once, however often it was sent; one that was refused for good, never."""
    answers: dict[tuple[str, str, str], Event] = {}
    for ok in history.of["ok"]:
        first = answers.setdefault(key_of(ok), ok)
        if first["message"] != ok["message"] and not history.is_void(first):
            yield Violation("I2", "One message was acknowledged as two.", [first, ok])
        elif history.is_void(first):
            answers[key_of(ok)] = ok
    if not history.is_ended:
        return
    posts = {key_of(post): post for post in history.of["post"]}
    written = {post["room"] for post in history.of["post"]}
    by_key: dict[tuple[str, str, str], Event] = {}
    by_text: dict[tuple[str, str, str], Event] = {}
    for row in sorted(history.of["row"], key=lambda each: each["number"]):
        twin = by_key.get(key_of(row)) or by_text.get((row["author"], row["room"], row["hash"]))
        if twin is not None:
            yield Violation(
                "I2",
                "A message is stored twice.",
                [*_known(posts.get(key_of(row)) or posts.get(key_of(twin))), twin, row, *_ended(history, row)],
            )
        elif row["room"] in written and key_of(row) not in posts:
            yield Violation(
                "I2", "A message is stored that nobody posted.", [*history.of["post"][:1], row, *_ended(history, row)]
            )
        by_key[key_of(row)] = by_text[(row["author"], row["room"], row["hash"])] = row
    for fail in history.of["fail"]:
        if (stored := by_key.get(key_of(fail))) is not None:
            yield Violation(
                "I2",
                "A message that was refused for good is stored.",
                [*_known(posts.get(key_of(fail))), fail, stored, *_ended(history, stored)],
            )


def i3_gapless(history: History) -> Found:
    """I3: A room's numbers are 1, 2, 3 …; seqs rise with them; no two things share one, and none is past the head."""
    rooms = history.rooms()
    members: dict[str, list[Event]] = defaultdict(list)
    for member in history.of["member"]:
        members[member["room"]].append(member)
    for room_id, rows in history.rows_by_room().items():
        room = rooms[room_id]
        before: Event | None = None
        for row in rows:
            if row["number"] != (before["number"] if before else 0) + 1:
                yield Violation("I3", "A number is missing or was given twice.", [*_known(before), row, room])
                break
            if before and row["seq"] <= before["seq"]:
                yield Violation("I3", "A later message has an earlier seq.", [before, row, room])
                break
            before = row
        if before and before["number"] != room["last_number"]:
            yield Violation("I3", "The room's last number is not that of its last message.", [before, room])
        taken: dict[int, Event] = {}
        for thing in [*rows, *members[room_id]]:
            if (other := taken.setdefault(thing["changed"], thing)) is not thing:
                yield Violation("I3", "Two changes share a seq.", [other, thing, room])
            if thing["changed"] > room["head"]:
                yield Violation("I3", "A change lies past the room's head.", [thing, room])
        if max(room["changed"], *taken) < room["head"]:
            yield Violation("I3", "The room's head belongs to no change.", [taken[max(taken)], room])


def i4_agreement(history: History) -> Found:
    """I4: Whoever saw a place of a timeline saw the same message there, and at each of its seqs the same state."""
    places: dict[tuple[str, int, int], Event] = {}
    states: dict[tuple[str, str, int, int], Event] = {}
    ends = [{**row, "e": "row"} for row in history.of["row"]]
    for event in [*ends, *history.of["ok"], *history.of["show"], *history.of["change"]]:
        if "t" in event and history.is_in_doubt(event):
            continue
        era = history.era(event)
        first = places.setdefault((event["room"], event["number"], era), event)
        if first["message"] != event["message"]:
            yield Violation(
                "I4", "Two messages were seen in one place of a timeline.", [first, event, *_ended(history, event)]
            )
        if event["e"] == "ok":
            continue
        same = states.setdefault((event["room"], event["message"], event["changed"], era), event)
        if same["state"] != event["state"]:
            yield Violation(
                "I4", "One state of a message was seen in two forms.", [same, event, *_ended(history, event)]
            )
    yield from _phantoms(history)
    yield from _views(history)


def _phantoms(history: History) -> Found:
    """Messages that were shown and are not there at the end. Deleted ones are: as tombstones."""
    rooms = history.rooms()
    rows = {(row["room"], row["number"]) for row in history.of["row"]}
    for show in history.of["show"]:
        is_excused = history.is_void(show) or history.is_in_doubt(show)
        if show["room"] in rooms and (show["room"], show["number"]) not in rows and not is_excused:
            yield Violation("I4", "A message was shown that is not stored.", [show, rooms[show["room"]]])


def _views(history: History) -> Found:
    """What clients hold at the end must be what is stored: events and pages together give the present state."""
    rows = history.rows_by_room()
    rooms = history.rooms()
    for view in history.of["view"]:
        if not view["is_live"] or view["room"] not in rooms:
            continue
        of_room = rows.get(view["room"], [])
        stored = of_room[bisect_left(of_room, view["first"], key=lambda row: row["number"]) :]
        held = view["states"]
        if len(held) != len(stored):
            text = f"A client holds {len(held)} messages from number {view['first']} on, and {len(stored)} are stored."
            lacks = stored[len(held) : len(held) + 1]
            yield Violation("I5", text, [_cut(view, None if lacks else len(stored)), *lacks, rooms[view["room"]]])
        for place, (state, row) in enumerate(zip(held, stored, strict=False)):
            if state != row["state"]:
                yield Violation(
                    "I4",
                    "A client holds another state of a message than is stored.",
                    [_cut(view, place), row, rooms[view["room"]]],
                )
                break


def i5_order(history: History) -> Found:
    """I5: A client is shown every message once and in order, from the first one on, and all of them in the end."""
    ordered = {each["client"] for each in history.of["client"] if each["ordered"]}
    last: dict[tuple[str, str], Event] = {}
    told = sorted([*history.of["show"], *history.of["reset"]], key=lambda each: each["t"])
    went_back: dict[tuple[str, str], Event] = {}
    for event in told:
        place = (event["client"], event["room"])
        if event["client"] not in ordered:
            continue
        if event["e"] == "reset":
            if event["reason"] == "epoch":
                went_back[place] = event
            continue
        before = last.get(place)
        last[place] = event
        if before is None:
            continue
        reset = went_back.pop(place, None)
        if event["number"] != before["number"] + 1 and not (reset and event["number"] <= before["number"]):
            what = "skipped" if event["number"] > before["number"] else "shown again"
            clients = [each for each in history.of["client"] if each["client"] == event["client"]]
            yield Violation("I5", f"A message was {what}.", [*clients, before, *_known(reset), event])
    yield from _ends(history, last)


def _ends(history: History, last: dict[tuple[str, str], Event]) -> Found:
    rooms = history.rooms()
    live = {(view["client"], view["room"]): view for view in history.of["view"] if view["is_live"]}
    for place, show in last.items():
        room = rooms.get(place[1])
        if room and place in live and show["number"] != room["last_number"]:
            clients = [each for each in history.of["client"] if each["client"] == place[0]]
            text = f"A client was shown messages up to number {show['number']} of {room['last_number']}."
            yield Violation("I5", text, [*clients, show, _cut(live[place], None), room])


def i6_real_time(history: History) -> Found:
    """I6: A message that was posted after another one's acknowledgement stands after it (a linearizable append)."""
    posts = {key_of(post): post for post in history.of["post"]}
    places: dict[tuple[str, int], list[tuple[int, Event, Event]]] = defaultdict(list)
    for ok in history.of["ok"]:
        if (post := posts.get(key_of(ok))) is not None and not history.is_void(ok):
            places[(ok["room"], 0)].append((ok["number"], post, ok))
    for acknowledged in places.values():
        acknowledged.sort(key=lambda each: each[0])
        latest: tuple[Event, Event] | None = None
        for _, post, ok in acknowledged:
            if latest and latest[0]["t"] > ok["t"]:
                yield Violation(
                    "I6", "A message stands before one that was acknowledged before it was posted.", [*latest, post, ok]
                )
            if latest is None or post["t"] > latest[0]["t"]:
                latest = (post, ok)


def i7_sender_order(history: History) -> Found:
    """I7: What one client posts to a room stands there in the order in which it was posted."""
    acknowledged = {key_of(ok): ok for ok in history.of["ok"] if not history.is_void(ok)}
    before: dict[tuple[str, str], tuple[Event, Event]] = {}
    for post in history.of["post"]:
        if (ok := acknowledged.get(key_of(post))) is None:
            continue
        place = (post["client"], post["room"])
        earlier = before.get(place)
        if earlier and earlier[1]["number"] >= ok["number"]:
            yield Violation("I7", "Two messages of one sender are in the wrong order.", [*earlier, post, ok])
        before[place] = (post, ok)


def i8_resume_covers_acknowledged(history: History) -> Found:
    """I8: Who asks to be brought up to date is brought at least to what anybody was acknowledged before."""
    heads: dict[str, tuple[list[float], list[Event]]] = {}
    for ok in history.of["ok"]:
        if history.is_void(ok):
            continue
        times, highest = heads.setdefault(ok["room"], ([], []))
        if not highest or ok["seq"] > highest[-1]["seq"]:
            times.append(ok["t"])
            highest.append(ok)
    asked: dict[tuple[str, str], Event] = {}
    told = [*history.of["sync"], *history.of["synced"], *history.of["reset"]]
    for event in sorted(told, key=lambda each: each["t"]):
        if event["e"] == "sync":
            asked.update({(event["client"], room): event for room in event["rooms"]})
            continue
        sync = asked.pop((event["client"], event["room"]), None)
        if sync is None or event["room"] not in heads or history.is_void({**event, "seq": float("inf")}):
            continue
        times, highest = heads[event["room"]]
        known = bisect_left(times, sync["t"])
        if known and highest[known - 1]["seq"] > event["seq"]:
            yield Violation(
                "I8",
                "A catch-up ended before what had been acknowledged.",
                [highest[known - 1], {**sync, "rooms": [event["room"]]}, event],
            )


def i9_authorization(history: History) -> Found:
    """I9: Who was put out of a room is shown nothing that was posted there later, until they may come in again."""
    bound = history.bounds.get("revoke_s", 2.0)
    posts = {key_of(post): post for post in history.of["post"]}
    outs: dict[tuple[str, str], list[tuple[float, float, Event]]] = defaultdict(list)
    for event in sorted([*history.of["out"], *history.of["in"]], key=lambda each: each["t"]):
        if event.get("may_read"):
            continue
        spans = outs[(event["user"], event["room"])]
        if event["e"] == "out":
            spans.append((event["t"], float("inf"), event))
        elif spans and spans[-1][1] == float("inf"):
            spans[-1] = (spans[-1][0], event["t"], spans[-1][2])
    for show in history.of["show"]:
        spans = outs[(show["user"], show["room"])]
        place = bisect_right(spans, show["t"], key=lambda each: each[0]) - 1
        if place < 0:
            continue
        since, until, out = spans[place]
        post = posts.get(key_of(show))
        if post and since + bound < show["t"] < until and post["t"] > since + bound:
            yield Violation(
                "I9", "A message was shown to somebody who had been put out of the room.", [out, post, show]
            )


def i10_no_way_back(history: History) -> Found:
    """I10: A client's cursor never goes back, and never changes its epoch, unless a reset tells it to."""
    last: dict[tuple[str, str], Event] = {}
    for event in sorted([*history.of["at"], *history.of["reset"]], key=lambda each: each["t"]):
        place = (event["client"], event["room"])
        before = last.get(place)
        last[place] = event
        if event["e"] == "reset" or before is None:
            continue
        if event["epoch"] != before["epoch"] or event["seq"] < before["seq"]:
            yield Violation("I10", "A cursor went back without a reset.", [before, event])
    rooms = history.rooms()
    for ok in history.of["ok"]:
        if (room := rooms.get(ok["room"])) and ok["seq"] > room["head"] and not history.is_void(ok):
            yield Violation("I10", "A room's head lies before an acknowledged change.", [ok, room])


def i11_liveness(history: History) -> Found:
    """I11: Without a fault, an acknowledged message is shown soon; after the last fault, everybody is soon up to date;
    and no message is refused for good unless its sender may not post."""
    yield from _late(history)
    yield from _refused(history)
    limit = history.bounds.get("quiet_s")
    for quiet in history.of["quiet"]:
        if quiet["seconds"] is None or (limit is not None and quiet["seconds"] > limit):
            yield Violation(
                "I11", "Not everybody was up to date in time after the last fault.", [*history.of["meta"][:1], quiet]
            )
    for outbox in history.of["outbox"]:
        if outbox["ids"]:
            yield Violation("I11", "Messages are still in an outbox.", [outbox])
    if history.of["quiet"]:
        yield from _forgotten(history)


def _forgotten(history: History) -> Found:
    waiting = {id for outbox in history.of["outbox"] for id in outbox["ids"]}
    answered = {key_of(each) for kind in ("ok", "fail", "stop") for each in history.of[kind]}
    for post in history.of["post"]:
        if key_of(post) not in answered and post["id"] not in waiting:
            text = "A message is neither acknowledged, nor refused, nor in its outbox any more."
            yield Violation("I11", text, [post, *history.of["quiet"][:1]])


def _late(history: History) -> Found:
    bound = history.bounds.get("show_s")
    if bound is None:
        return
    excused = _excused_until(history)
    acknowledged = {key_of(ok): ok for ok in history.of["ok"]}
    ordered = {each["client"] for each in history.of["client"] if each["ordered"]}
    caught_up: dict[tuple[str, str], float] = {}
    events = [*history.of["show"], *history.of["synced"], *history.of["reset"], *history.of["live"]]
    for event in sorted(events, key=lambda each: each["t"]):
        if event["e"] == "live":
            caught_up[(event["client"], "")] = event["t"]
        elif event["e"] != "show":
            caught_up[(event["client"], event["room"])] = event["t"]
        elif event["client"] in ordered and (ok := acknowledged.get(key_of(event))) is not None:
            since = max(caught_up.get((event["client"], each), 0.0) for each in ("", event["room"]))
            if event["t"] - ok["t"] > bound and ok["t"] > since and not excused(ok["t"], event["t"]):
                clients = [each for each in history.of["client"] if each["client"] == event["client"]]
                text = f"A message was shown {event['t'] - ok['t']:.1f} s after its acknowledgement, without a fault."
                yield Violation("I11", text, [*history.of["meta"][:1], *clients, ok, event])


def _excused_until(history: History) -> Callable[[float, float], bool]:
    """Return whether any part of a stretch of time lies in a fault or shortly after one."""
    after = history.bounds.get("recover_s", 15.0)
    spans: list[tuple[float, float]] = []
    open_since: dict[Any, float] = {}
    for fault in history.of["fault"]:
        if fault["phase"] == "begin":
            open_since[fault["n"]] = fault["t"]
        else:
            spans.append((open_since.pop(fault["n"], fault["t"]), fault["t"] + after))
    spans += [(since, float("inf")) for since in open_since.values()]
    spans.sort()
    reach: list[float] = []
    for _, until in spans:
        reach.append(max(until, reach[-1] if reach else until))

    def is_excused(since: float, until: float) -> bool:
        place = bisect_right(spans, until, key=lambda each: each[0]) - 1
        return place >= 0 and reach[place] >= since

    return is_excused


def _refused(history: History) -> Found:
    barred = {(out["user"], out["room"]) for out in history.of["out"]}
    posts = {key_of(post): post for post in history.of["post"]}
    for fail in history.of["fail"]:
        if (fail["user"], fail["room"]) not in barred:
            yield Violation(
                "I11",
                f"A valid message was refused for good ({fail['code']}).",
                [*_known(posts.get(key_of(fail))), fail],
            )


INVARIANTS: dict[str, Callable[[History], Found]] = {
    "I1": i1_stored,
    "I2": i2_once,
    "I3": i3_gapless,
    "I4": i4_agreement,
    "I5": i5_order,
    "I6": i6_real_time,
    "I7": i7_sender_order,
    "I8": i8_resume_covers_acknowledged,
    "I9": i9_authorization,
    "I10": i10_no_way_back,
    "I11": i11_liveness,
}


def check(history: History) -> list[Violation]:
    """Return every violation, those with the least evidence first."""
    found = [violation for invariant in INVARIANTS.values() for violation in invariant(history)]
    return sorted(found, key=lambda each: len(each.evidence))


# Evidence ------------------------------------------------------------------------------------------------------------


def _known(event: Event | None) -> list[Event]:
    return [event] if event else []


def _ended(history: History, event: Event) -> list[Event]:
    """The room's line, without which a history counts as one whose database was not read."""
    return _known(history.rooms().get(event["room"]))


def _cut(view: Event, place: int | None) -> Event:
    """A client's view with no more states than are needed: only the one at ``place``; None: none of them."""
    states = view["states"]
    if place is None:
        return {**view, "first": view["first"] + len(states), "states": []}
    return {**view, "first": view["first"] + place, "states": states[place : place + 1]}


# The command line ----------------------------------------------------------------------------------------------------


def described(violation: Violation) -> str:
    lines = [json.dumps(each, ensure_ascii=False) for each in violation.evidence]
    return "\n".join([f"{violation.invariant}: {violation.text}", *(f"    {line}" for line in lines)])


def told(violations: list[Violation], most: int = 5) -> str:
    """Return the violations as text: how many of each invariant, and the shortest histories that show them."""
    if not violations:
        return "No violation."
    counts: dict[str, int] = defaultdict(int)
    for each in violations:
        counts[each.invariant] += 1
    summary = ", ".join(f"{name} × {count}" for name, count in sorted(counts.items()))
    shortest: dict[tuple[str, str], Violation] = {}
    for each in violations:
        shortest.setdefault((each.invariant, each.text), each)
    shown = [shortest[key] for key in sorted(shortest, key=lambda key: int(key[0][1:]))][:most]
    more = [f"… and {len(shortest) - len(shown)} more kinds of them"] if len(shortest) > len(shown) else []
    return "\n".join([f"{len(violations)} violations: {summary}", *map(described, shown), *more])


def main(paths: list[str]) -> int:
    if not paths or any(each.startswith("-") for each in paths):
        names = "\n".join(
            f"  {name:4} {' '.join((each.__doc__ or name).split()).partition(': ')[2]}"
            for name, each in INVARIANTS.items()
        )
        print(f"usage: python -m torture.checker HISTORY.jsonl …\n\nThe invariants:\n{names}")
        return 2
    try:
        history = History.read(*map(Path, paths))
    except (OSError, ValueError, KeyError) as error:
        print(f"That is no history that can be read: {error}", file=sys.stderr)
        return 2
    violations = check(history)
    counts = {kind: len(events) for kind, events in history.of.items() if events}
    print("  ".join(f"{kind} {count}" for kind, count in counts.items()))
    print(told(violations))
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
