"""Posting, editing, deleting, reacting (sections 2 and 4)."""

from typing import Any
from uuid import uuid4

import pytest

from tests.end_to_end.talk import Talk
from tests.rig.site import Site


async def test_a_post_is_answered_and_seen_by_all(ana: Talk, ben: Talk, shared: str):
    result = await ana.post(shared, "hello *there*")
    seen = await ben.message("hello *there*")
    mine = await ana.message("hello *there*")
    assert seen == mine, "a numbered event is the same for everybody"
    assert (seen["seq"], seen["message"]["id"]) == (result["seq"], result["id"])
    assert seen["message"]["html"] == "<p>hello <em>there</em></p>"
    assert result["number"] == 1
    assert result["duplicate"] is False


async def test_a_repeat_posts_nothing_and_gets_the_first_answer(ana: Talk, ben: Talk, shared: str):
    client_id = str(uuid4())
    first = await ana.call("message.post", room=shared, client_id=client_id, body="once")
    again = await ana.call("message.post", room=shared, client_id=client_id, body="once")
    assert again == {**first, "duplicate": True}
    conflict = await ana.refused("message.post", room=shared, client_id=client_id, body="twice")
    assert conflict["code"] == "message.client_id_conflict"
    await ben.message("once")
    await ben.quiet()
    assert len(ben.of_type("message.posted")) == 1


async def test_a_repeat_is_answered_after_leaving(site: Site, ana: Talk, ben: Talk, shared: str):
    client_id = str(uuid4())
    first = await ben.call("message.post", room=shared, client_id=client_id, body="parting words")
    await ben.call("room.leave", room=shared)
    again = await ben.call("message.post", room=shared, client_id=client_id, body="parting words")
    assert again == {**first, "duplicate": True}
    assert (await ben.refused("message.post", room=shared, client_id=str(uuid4()), body="x"))[
        "code"
    ] == "room.not_found"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("", "message.empty"),
        (" \n\t ", "message.empty"),
        ("x" * 10_001, "message.too_long"),
        ("a\u0000b", "message.invalid_text"),
        ("a\ud800b", "message.invalid_text"),
    ],
    ids=["empty", "blank", "too long", "U+0000", "lone surrogate"],
)
async def test_a_body_that_can_not_be_stored_is_refused_with_its_own_error(ana: Talk, room: str, body: str, code: str):
    assert (await ana.refused("message.post", room=room, client_id=str(uuid4()), body=body))["code"] == code
    assert (await ana.post(room, "x" * 10_000))["number"] == 1, "no number was left unused"


async def test_pipelined_posts_keep_their_order(ana: Talk, ben: Talk, shared: str):
    refs = [
        await ana.send(
            "message.post", room=shared, client_id=str(uuid4()), body=f"{place} **bold**" if place % 3 else f"{place}"
        )
        for place in range(30)
    ]
    numbers = [(await ana.reply(ref))["result"]["number"] for ref in refs]
    assert numbers == list(range(1, 31))
    await ben.event("message.posted", seq=(await ana.reply(refs[-1]))["result"]["seq"])
    assert [each["message"]["number"] for each in ben.of_type("message.posted")] == numbers


async def test_an_outsider_can_not_tell_a_private_room_from_a_missing_one(eve: Talk, room: str):
    commands: list[tuple[str, dict[str, Any]]] = [
        ("message.post", {"client_id": str(uuid4()), "body": "x"}),
        ("history", {}),
        ("member.list", {}),
        ("room.join", {}),
        ("room.leave", {}),
        ("room.update", {"name": "mine"}),
        ("member.add", {"user": "1"}),
        ("member.remove", {"user": "1"}),
        ("member.role", {"user": "1", "role": "owner"}),
        ("read", {"number": 1}),
    ]
    for kind, fields in commands:
        hidden = await eve.refused(kind, room=room, **fields)
        missing = await eve.refused(kind, room="999999999", **fields)
        assert hidden == missing, kind
        assert hidden["code"] == "room.not_found"
    assert await eve.follow(room, "999999999") == {room: "denied", "999999999": "denied"}


async def test_an_outsider_can_not_tell_a_hidden_message_from_a_missing_one(ana: Talk, eve: Talk, room: str):
    message = (await ana.post(room, "secret"))["id"]
    for kind, fields in [
        ("message.edit", {"body": "x"}),
        ("message.delete", {}),
        ("reaction.add", {"emoji": "👍"}),
        ("reaction.remove", {"emoji": "👍"}),
    ]:
        hidden = await eve.refused(kind, message=message, **fields)
        assert hidden == await eve.refused(kind, message="999999999", **fields)
        assert hidden["code"] == "message.not_found"


async def test_edits_reactions_and_deletions_are_seen_in_order(ana: Talk, ben: Talk, shared: str):
    message = (await ana.post(shared, "first"))["id"]
    edited = await ana.call("message.edit", message=message, body="second")
    reacted = await ben.call("reaction.add", message=message, emoji="👍")
    assert reacted["mine"] == ["👍"]
    assert await ben.call("reaction.add", message=message, emoji="👍") == reacted, "repeating changes nothing"
    deleted = await ana.call("message.delete", message=message)
    assert await ana.call("message.delete", message=message) == deleted
    last = await ben.event("message.changed", seq=deleted["seq"])
    changes = ben.of_type("message.changed")
    assert [each["seq"] for each in changes] == [edited["seq"], reacted["seq"], deleted["seq"]]
    assert changes[1]["message"]["reactions"][0]["count"] == 1
    gone = last["message"]
    assert (gone["body"], gone["html"], gone["reactions"], gone["mentions"]) == ("", "", [], [])
    assert gone["deleted_at"]
    assert gone["number"] == 1
