"""The shared examples of tests/wire/*.json say what the server's own types say; tests/js reads the same files."""

import json
from pathlib import Path
from typing import Any

import pytest

from chat.wire import protocol
from chat.wire.errors import may_reconnect

HERE = Path(__file__).parent


def cases(name: str) -> list[Any]:
    found = json.loads((HERE / f"{name}.json").read_text())["cases"]
    return [pytest.param(case, id=str(case.get("name", case.get("code")))) for case in found]


@pytest.mark.parametrize("case", cases("events"))
def test_a_server_frame_holds_the_events_that_the_example_says(case: dict[str, Any]) -> None:
    events = protocol.decode_events(json.dumps(case["frame"]))
    assert [event.__struct_config__.tag for event in events] == case["types"]


@pytest.mark.parametrize("case", cases("commands"))
def test_a_command_of_the_example_is_one_that_the_server_takes(case: dict[str, Any]) -> None:
    (command,) = protocol.decode(json.dumps(case["frame"]), max_bytes=64 * 1024)
    assert not isinstance(command, protocol.Rejected), command.error
    assert command.__struct_config__.tag == case["frame"]["type"]


@pytest.mark.parametrize("case", cases("close_codes"))
def test_close_codes_say_whether_to_come_back(case: dict[str, Any]) -> None:
    assert may_reconnect(case["code"]) is case["reconnect"]
