"""The lines of the first paint, against the examples that bind timeline_rows.py and timeline-rows.js together."""

import json
from pathlib import Path
from typing import Any

import pytest
from msgspec import UNSET

from chat.web.page_config import page_config
from chat.web.timeline import MANY_UNREAD
from chat.web.timeline_rows import Day, Line, Notice, Row, Unread, colour_of, excerpt_of, initials_of, rows
from chat.wire.protocol import Member, Message, Reply, User

EXAMPLES = json.loads((Path(__file__).parents[1] / "wire/timeline_rows.json").read_text())


def user(name: str | None) -> User | None:
    return User(id=name, name=name, avatar=None) if name else None


def at(moment: str) -> str:
    return f"2026-11-{moment}:00.000Z"


def message(number: int, author: str | None, moment: str, more: dict[str, Any] | None = None) -> Message:
    reply_to = (more or {}).get("reply_to")
    return Message(
        id=f"m{number}",
        room="1",
        number=number,
        seq=number,
        changed_seq=number,
        author=user(author),
        client_id=f"c{number}",
        body="",
        html="",
        kind="text",
        reply_to=Reply(f"m{reply_to}", reply_to) if reply_to else None,
        attachments=[],
        reactions=[],
        mentions=[],
        created_at=at(moment),
        edited_at=None,
        deleted_at=None,
    )


def member(name: str, joined: str, left: str | None, by: str | None = None) -> Member:
    person = user(name)
    assert person
    left_at = at(left) if left else None
    return Member(user=person, role="member", joined_at=at(joined), left_at=left_at, by=user(by) or UNSET)


def seen(row: Row) -> list[Any]:
    match row:
        case Day():
            return ["day", row.day]
        case Unread():
            return ["unread"]
        case Notice():
            return [f"{row.what} by {row.by.name}" if row.by else row.what, *(each.name for each in row.users)]
        case Line():
            special = [
                "own" if row.own else "",
                "continues" if row.continues else "",
                f"quotes {row.quoted.number}" if row.quoted else "",
                " ".join(["mine", *row.mine]) if row.mine else "",
            ]
            return [row.message.number, " ".join(filter(None, special))]


@pytest.mark.parametrize("example", EXAMPLES["rows"], ids=lambda example: example["name"])
def test_the_lines_of_a_page(example: dict[str, Any]) -> None:
    made = rows(
        [message(*each) for each in example.get("messages", [])],
        more_before=example.get("more_before", False),
        more_after=example.get("more_after", False),
        day_of=lambda moment: moment[:10],
        me="ana",
        mine=example.get("mine", {}),
        members=[member(*each) for each in example.get("members", [])],
        quoted=[message(*each) for each in example.get("quoted", [])],
        unread_from=example.get("unread_from"),
    )
    assert [seen(row) for row in made] == example["rows"]
    assert len({row.key for row in made}) == len(made), "two lines share a key"


def test_scripts_get_the_numbers_that_the_first_paint_went_by(rf: Any, ana: Any) -> None:
    request = rf.get("/")
    request.user = ana
    told = page_config(request)["timeline"]
    assert told.pop("manyUnread") == MANY_UNREAD
    assert told == EXAMPLES["config"]


def test_colours_initials_and_excerpts() -> None:
    assert [[user_id, colour_of(user_id)] for user_id, _ in EXAMPLES["colours"]] == EXAMPLES["colours"]
    assert [[name, initials_of(name)] for name, _ in EXAMPLES["initials"]] == EXAMPLES["initials"]
    assert [[body, excerpt_of(body)] for body, _ in EXAMPLES["excerpts"]] == EXAMPLES["excerpts"]
    assert (len(excerpt_of("x" * 140)), excerpt_of("👋" * 141)) == (140, "👋" * 140 + "…")
