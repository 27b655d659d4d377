"""The checker against hand-made histories: it is silent about a good one, and names what is wrong with each bad one."""

import json
import re
import subprocess
import sys
from pathlib import Path
from time import process_time

import pytest

from tests.torture.histories import ROOM, Maker, at, changed, found_in, without
from torture.checker import EVENTS, INVARIANTS, Event, History, check


def conversation(**bounds: float) -> Maker:
    maker = Maker("ana", "ben", **bounds)
    for client in ("ana", "ben", "ana", "ben"):
        maker.say(client)
    return maker


def stored_twice() -> list[Event]:
    maker = conversation()
    maker.say("ana")
    maker.rows[-1] |= {"id": "another", "hash": "hash-1"}
    return maker.ended()


def two_acknowledgements() -> list[Event]:
    maker = conversation()
    first = next(filter(at("ok", id="id-1"), maker.events))
    maker.add("ok", **{**first, "t": maker.now(), "message": "m9", "number": 9, "seq": 9})
    return maker.ended()


def refused_and_stored() -> list[Event]:
    maker = conversation()
    maker.add("fail", client="ben", user="ben", room=ROOM, id="id-4", code="server.error")
    return maker.ended()


def a_refusal() -> list[Event]:
    maker = conversation()
    maker.add("post", client="ben", user="ben", room=ROOM, id="refused", hash="x")
    maker.add("fail", client="ben", user="ben", room=ROOM, id="refused", code="server.error")
    return maker.ended()


def a_forgotten_message() -> list[Event]:
    maker = conversation()
    maker.add("post", client="ben", user="ben", room=ROOM, id="forgotten", hash="x")
    return maker.ended()


def an_edit_that_is_not_stored() -> list[Event]:
    maker = conversation()
    maker.add("did", client="ana", op="edit", room=ROOM, message="m1", seq=5)
    return maker.ended()


def a_deletion_that_is_not_stored() -> list[Event]:
    maker = conversation()
    maker.add("did", client="ana", op="delete", room=ROOM, message="m4", seq=4)
    return maker.ended()


def a_shared_seq() -> list[Event]:
    maker = conversation()
    member = {"e": "member", "room": ROOM, "user": "ana", "changed": 3, "present": True}
    return [*maker.ended(), member]


def a_message_out_of_thin_air() -> list[Event]:
    maker = conversation()
    maker.say("ana")
    return without(without(maker.ended(), at("post", id="id-5")), at("ok", id="id-5"))


def shown_and_not_stored() -> list[Event]:
    maker = conversation()
    maker.say("ana", shown_to=("ana",))
    maker.show("ben", 5)
    events = without(without(without(maker.ended(), at("row", number=5)), at("ok", number=5)), at("post", id="id-5"))
    return changed(events, at("room"), head=4, last_number=4)


def a_later_post_stands_before() -> list[Event]:
    maker = Maker("ana", "ben")
    for number, (post, ok) in {2: (0.0, 0.2), 1: (0.5, 0.7)}.items():
        place = {"client": f"c{number}", "user": f"c{number}", "room": ROOM, "id": f"id-{number}"}
        maker.events += [
            {"e": "post", "t": post, **place, "hash": f"hash-{number}"},
            {"e": "ok", "t": ok, **place, "message": f"m{number}", "number": number, "seq": number},
        ]
    return maker.events


def one_senders_order() -> list[Event]:
    maker = Maker("ana")
    for at_s, number in ((0.0, 2), (0.1, 1)):
        place = {"client": "ana", "user": "ana", "room": ROOM, "id": f"id-{number}"}
        maker.events += [
            {"e": "post", "t": at_s, **place, "hash": f"hash-{number}"},
            {"e": "ok", "t": 0.5, **place, "message": f"m{number}", "number": number, "seq": number},
        ]
    return maker.events


def a_short_catch_up() -> list[Event]:
    maker = conversation()
    maker.add("sync", client="ben", rooms=[ROOM])
    maker.add("synced", client="ben", room=ROOM, epoch="e", seq=3)
    return maker.ended()


def shown_to_somebody_put_out() -> list[Event]:
    maker = Maker("ana", "ben", revoke_s=1.0)
    maker.say("ana")
    maker.add("out", user="ben", room=ROOM)
    maker.now(2.0)
    maker.say("ana")
    return maker.ended()


def a_cursor_that_goes_back() -> list[Event]:
    maker = conversation()
    maker.add("at", client="ben", room=ROOM, epoch="e", seq=4)
    maker.add("at", client="ben", room=ROOM, epoch="e", seq=2)
    return maker.ended()


def shown_late() -> list[Event]:
    maker = Maker("ana", "ben", show_s=5.0)
    maker.say("ana", shown_to=("ana",))
    maker.now(6.0)
    maker.show("ben", 1)
    return maker.ended()


def skipped() -> list[Event]:
    maker = Maker("ana", "ben")
    maker.say("ana")
    maker.say("ana", shown_to=("ana",))
    maker.say("ana")
    return maker.ended()


def good() -> list[Event]:
    return conversation().ended()


BAD = {
    "acknowledged and not stored": ("I1", lambda: without(good(), at("row", number=4))),
    "stored in another place": ("I1", lambda: changed(good(), at("ok", number=2), number=3)),
    "another text is stored": ("I1", lambda: changed(good(), at("row", number=2), hash="other")),
    "an edit that is not stored": ("I1", an_edit_that_is_not_stored),
    "a deletion that is not stored": ("I1", a_deletion_that_is_not_stored),
    "stored twice": ("I2", stored_twice),
    "acknowledged as two messages": ("I2", two_acknowledgements),
    "refused for good and stored": ("I2", refused_and_stored),
    "stored and posted by nobody": ("I2", a_message_out_of_thin_air),
    "a number is missing": ("I3", lambda: changed(good(), at("row", number=4), number=5)),
    "a seq that goes back": ("I3", lambda: changed(good(), at("row", number=4), seq=2)),
    "two things with one seq": ("I3", a_shared_seq),
    "a change past the head": ("I3", lambda: changed(good(), at("room"), head=3)),
    "a head of no change": ("I3", lambda: changed(good(), at("room"), head=9)),
    "a last number of no message": ("I3", lambda: changed(good(), at("room"), last_number=3)),
    "two messages in one place": ("I4", lambda: changed(good(), at("show", client="ben", number=2), message="m7")),
    "two forms of one state": ("I4", lambda: changed(good(), at("show", client="ben", number=2), state="?")),
    "shown and not stored": ("I4", shown_and_not_stored),
    "a client holds an old state": (
        "I4",
        lambda: changed(good(), at("view", client="ben"), states=["state-1", "old", "state-3", "state-4"]),
    ),
    "a client holds too little": ("I5", lambda: changed(good(), at("view", client="ben"), states=["state-1"])),
    "a client holds too much": (
        "I5",
        lambda: changed(good(), at("view", client="ben"), states=[f"state-{n}" for n in range(1, 6)]),
    ),
    "skipped": ("I5", skipped),
    "shown twice": (
        "I5",
        lambda: changed(good(), at("show", client="ben", number=2), number=1, message="m1", state="state-1"),
    ),
    "not shown to the end": ("I5", lambda: without(good(), at("show", client="ben", number=4))),
    "a later post stands before": ("I6", a_later_post_stands_before),
    "one sender's order": ("I7", one_senders_order),
    "a catch-up that ends too early": ("I8", a_short_catch_up),
    "shown to somebody put out": ("I9", shown_to_somebody_put_out),
    "a cursor goes back": ("I10", a_cursor_that_goes_back),
    "a head before what was acknowledged": ("I10", lambda: changed(good(), at("room"), head=3)),
    "shown late": ("I11", shown_late),
    "not up to date in the end": ("I11", lambda: changed(good(), at("quiet"), seconds=None)),
    "up to date too late": ("I11", lambda: changed(conversation(quiet_s=3.0).ended(), at("quiet"), seconds=4.0)),
    "left in an outbox": (
        "I11",
        lambda: [*good(), {"e": "outbox", "t": 9.0, "client": "ben", "room": ROOM, "ids": ["x"]}],
    ),
    "a valid message is refused": ("I11", a_refusal),
    "a forgotten message": ("I11", a_forgotten_message),
}


def test_a_good_history_has_no_violation() -> None:
    events = good()
    assert {event["e"] for event in events} >= {"post", "ok", "show", "row", "view", "room"}, "the premise"
    assert found_in(events) == []


@pytest.mark.parametrize("name", BAD)
def test_a_violation_is_found(name: str) -> None:
    invariant, make = BAD[name]
    assert invariant in {each.invariant for each in found_in(make())}


@pytest.mark.parametrize("name", BAD)
def test_the_evidence_alone_shows_the_violation(name: str) -> None:
    _, make = BAD[name]
    for violation in found_in(make()):
        again = {each.invariant for each in found_in(violation.evidence)}
        assert violation.invariant in again, violation
        assert len(violation.evidence) <= 7


def test_every_invariant_has_a_violation_here_and_says_what_it_means() -> None:
    assert {invariant for invariant, _ in BAD.values()} == set(INVARIANTS)
    for name, invariant in INVARIANTS.items():
        assert (invariant.__doc__ or "").startswith(f"{name}: ")


# What is no violation ------------------------------------------------------------------------------------------------


def test_a_message_whose_answer_never_came_may_be_stored_or_not() -> None:
    maker = conversation()
    maker.say("ana")
    events = without(maker.ended(), at("ok", id="id-5"))
    assert (
        found_in([*events, {"e": "stop", "t": 9.0, "client": "ana", "user": "ana", "room": ROOM, "id": "id-5"}]) == []
    )


def test_what_a_fault_holds_up_is_not_late() -> None:
    events = shown_late()
    assert "I11" in {each.invariant for each in found_in(events)}, "the premise"
    begin, end = (
        {"e": "fault", "t": t, "name": "frozen", "phase": phase, "n": 1} for t, phase in ((0.3, "begin"), (4.0, "end"))
    )
    assert found_in([*events, begin, end]) == []


def test_a_client_that_came_back_is_not_shown_late() -> None:
    events = shown_late()
    assert found_in([*events, {"e": "live", "t": 5.0, "client": "ben"}]) == []


def test_what_a_client_is_shown_after_it_was_let_in_again_is_no_breach() -> None:
    events = shown_to_somebody_put_out()
    (out,) = filter(at("out"), events)
    back = {"e": "in", "t": out["t"] + 0.5, "user": "ben", "room": ROOM}
    assert found_in([*events, back]) == []


def test_a_cursor_may_go_back_with_a_reset() -> None:
    events = a_cursor_that_goes_back()
    last = max(filter(at("at"), events), key=lambda each: each["t"])
    reset = {
        "e": "reset",
        "t": last["t"] - 0.05,
        "client": "ben",
        "room": ROOM,
        "epoch": "e",
        "seq": 2,
        "reason": "epoch",
    }
    assert "I10" not in {each.invariant for each in found_in([*events, reset])}


def test_acknowledged_messages_that_a_restored_database_lost_are_no_violation() -> None:
    maker = conversation()
    lost = [*maker.rows[2:]]
    maker.rows = maker.rows[:2]
    since = maker.now()
    maker.add("lost", since=since, heads={ROOM: {"seq": 2, "number": 2}})
    for name in ("ana", "ben"):
        maker.add("reset", client=name, room=ROOM, epoch="e", seq=2, reason="epoch")
    maker.say("ben")
    maker.rows[-1] |= {"message": "m5", "id": "id-5", "hash": "hash-5", "state": "state-5"}
    renamed = [
        {**event, "id": "id-5", "message": "m5", "state": "state-5", "hash": "hash-5"}
        if event.get("t", 0) > since and event["e"] in ("post", "ok", "show")
        else event
        for event in maker.events
    ]
    maker.events = renamed
    assert lost
    assert found_in(maker.ended()) == []
    assert "I1" in {each.invariant for each in found_in(without(maker.ended(), at("lost")))}, "the premise"


# Alone ---------------------------------------------------------------------------------------------------------------


def run_checker(*paths: Path) -> "subprocess.CompletedProcess[str]":
    # In a folder without the project, and without its packages: the file is enough.
    file = Path(__file__).parents[2] / "torture" / "checker.py"
    command = [sys.executable, "-I", str(file), *map(str, paths)]
    return subprocess.run(command, capture_output=True, text=True, cwd=paths[0].parent if paths else None, timeout=60)


@pytest.mark.parametrize(
    ("make", "status", "says"), [(good, 0, "No violation."), (skipped, 1, "I5: A message was skipped.")]
)
def test_the_checker_needs_nothing_but_its_file(tmp_path: Path, make: object, status: int, says: str) -> None:
    path = tmp_path / "history.jsonl"
    path.write_text("".join(json.dumps(event) + "\n" for event in make()))  # type: ignore[operator]
    done = run_checker(path)
    assert (done.returncode, done.stderr) == (status, "")
    assert says in done.stdout


def test_without_a_history_the_checker_names_its_invariants() -> None:
    done = run_checker()
    assert done.returncode == 2
    assert all(name in done.stdout for name in INVARIANTS)


def test_every_kind_of_event_that_is_read_is_described() -> None:
    source = (Path(__file__).parents[2] / "torture" / "checker.py").read_text()
    assert set(re.findall(r'of\["(\w+)"\]', source)) <= EVENTS.keys()
    assert set(History.from_events(good()).of) <= EVENTS.keys()


def test_ten_times_the_history_takes_little_more_than_ten_times_as_long() -> None:
    def seconds(messages: int) -> float:
        maker = Maker("ana", "ben", show_s=5.0)
        for number in range(messages):
            maker.say(("ana", "ben")[number % 2])
        history = History.from_events(maker.ended())
        start = process_time()
        assert check(history) == []
        return process_time() - start

    seconds(200)
    small = min(seconds(500) for _ in range(3))
    large = min(seconds(5000) for _ in range(3))
    # n log n would be 14 times as much; n² a hundred times.
    assert large < 30 * small
