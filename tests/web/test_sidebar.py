"""The sidebar's order, the same as the scripts' (tests/js/room-sections.test.js)."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from chat.web.sidebar import sections

CASES = json.loads((Path(__file__).parents[1] / "wire/sections.json").read_text())["cases"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_a_persons_rooms_stand_where_the_scripts_put_them(case: dict) -> None:
    found = sections(SimpleNamespace(**room) for room in case["rooms"])  # type: ignore[arg-type]
    assert {name: [room.id for room in rooms] for name, rooms in found.items()} == case["sections"]
