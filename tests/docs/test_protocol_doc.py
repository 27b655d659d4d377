"""docs/protocol.md agrees with the server's own types: every example decodes, every table is complete."""

import json
import re
from typing import Any

import msgspec
import pytest

from chat.conf import ChatSettings
from chat.sockets.hello import RECEIVED_BYTES
from chat.wire import errors, protocol, schema
from chat.wire.errors import Close
from chat.wire.results import RESULTS
from tests.docs.pages import blocks, page, table

PAGE = page("docs/protocol.md")
CONVERSATIONS = blocks(PAGE, "wire")
DEFAULTS = ChatSettings()
BY_CODE = {each.code: each for each in schema.all_errors()}
TO_THE_ROOM = (*protocol.RoomEvent.__args__, protocol.TypingChanged, protocol.Notice)


def frames(conversation: str) -> list[tuple[str, str]]:
    """Return each frame with the arrow before it. A frame may be folded over several lines."""
    parts = re.split(r"^([→←⇇×]) ", conversation, flags=re.MULTILINE)
    assert parts[0] == "", f"A line without an arrow: {parts[0]}"
    return list(zip(parts[1::2], [each.strip() for each in parts[2::2]], strict=True))


@pytest.mark.parametrize("conversation", CONVERSATIONS)
def test_the_examples_decode_as_frames_of_client_and_server(conversation: str) -> None:
    asked: dict[int, protocol.Command | protocol.Rejected] = {}
    refusals: list[protocol.Rejected] = []
    for arrow, text in frames(conversation):
        if arrow == "→":
            for command in protocol.decode(text, max_bytes=DEFAULTS.frame_bytes):
                if isinstance(command, protocol.Rejected):
                    refusals.append(command)
                elif hasattr(command, "ref"):
                    asked[command.ref] = command
        elif arrow == "×":
            assert int(text) in list(Close)
        else:
            check_server_frame(json.loads(text), arrow, asked, refusals)
    assert not refusals, f"The server refuses a command, and the example doesn't say so: {refusals}"


def check_server_frame(
    frame: Any,
    arrow: str,
    asked: dict[int, protocol.Command | protocol.Rejected],
    refusals: list[protocol.Rejected],
) -> None:
    for each in frame if isinstance(frame, list) else [frame]:
        (event,) = protocol.decode_events(json.dumps(each))
        assert json.loads(protocol.encode(event)) == each, "Not all fields, or unknown ones."
        assert arrow == "←" or isinstance(event, TO_THE_ROOM)
        if isinstance(event, protocol.ReplyEvent) and event.ok:
            check_result(asked.pop(event.ref), event.result)
        elif isinstance(event, protocol.ReplyEvent | protocol.ErrorEvent):
            check_error(event, each["error"], asked, refusals)


def check_result(command: Any, result: Any) -> None:
    kind: Any = RESULTS[type(command)]
    if isinstance(command, protocol.ListRooms):
        kind = dict[str, Any]
    assert msgspec.to_builtins(msgspec.convert(result, kind)) == result


def check_error(event: Any, told: Any, asked: dict[int, Any], refusals: list[protocol.Rejected]) -> None:
    ref = getattr(event, "ref", None)
    if ref in asked:
        del asked[ref]
        assert told["code"] in BY_CODE
        assert told["message"] == BY_CODE[told["code"]].text
    else:
        refused = refusals.pop(0)
        assert (refused.ref, msgspec.to_builtins(protocol.error_body(refused.error))) == (ref, told)
    assert told["retry"] is BY_CODE[told["code"]].retry


def test_the_examples_show_each_thing_a_client_has_to_handle() -> None:
    shown = " ".join(CONVERSATIONS)
    for needed in ('"duplicate": true', '"prev"', '"changes"', '"synced"', '"reset"', '"lagging"', '"error"', "×"):
        assert needed in shown


def test_a_wrong_example_is_noticed() -> None:
    with pytest.raises(AssertionError):
        test_the_examples_decode_as_frames_of_client_and_server('→ {"type": "ping", "reff": 1}\n')
    with pytest.raises(AssertionError):
        test_the_examples_decode_as_frames_of_client_and_server('← {"type": "lagging", "rooms": [], "why": 1}\n')


def test_the_tables_name_every_command_and_event() -> None:
    assert tags("commands") == {schema.tag(each) for each in protocol.Command.__args__} | {"presence.set"}
    assert tags("events") == {schema.tag(each) for each in protocol.Event.__args__} | {"presence"}


def tags(which: str) -> set[str]:
    rows = table(PAGE, "type", {"commands": "fields", "events": "carries"}[which])
    return {name for row in rows for name in re.findall(r"`([^`]+)`", row[0])}


def test_the_error_table_is_complete() -> None:
    rows = [(row[0].strip("`"), row[1]) for row in table(PAGE, "code", "retry")]
    assert rows == [(each.code, "yes" if each.retry else "no") for each in schema.all_errors()]


def test_the_close_codes_are_those_of_the_server() -> None:
    rows = {row[0]: row[2] for row in table(PAGE, "code", "meaning")}
    assert {int(code) for code in rows if code.isdigit()} == set(Close)
    for code, reconnect in rows.items():
        assert reconnect.startswith("yes") is errors.may_reconnect(int(code[:4]))


def test_limits_and_flow_are_named_with_their_defaults() -> None:
    rows = {row[0].strip("`"): row[1] for row in table(PAGE, "field", "default")}
    fields = [f"limits.{each.name}" for each in msgspec.structs.fields(protocol.Limits)]
    fields += [f"flow.{each.name}" for each in msgspec.structs.fields(protocol.Flow)]
    assert [name for name in rows if "." in name] == fields
    defaults = {
        "frame_bytes": DEFAULTS.frame_bytes,
        "body_chars": DEFAULTS.body_chars,
        "sync_rooms": DEFAULTS.sync_rooms,
        "history": DEFAULTS.history_messages,
        "catch_up": DEFAULTS.catch_up,
        "unanswered": DEFAULTS.unanswered,
        "deadline_s": DEFAULTS.deadline_s,
        "frames": DEFAULTS.received_frames,
        "seconds": DEFAULTS.received_s,
        "bytes": RECEIVED_BYTES,
    }
    assert {name.partition(".")[2]: int(rows[name]) for name in fields} == defaults
    assert int(rows["rooms"]) == DEFAULTS.hello_rooms
