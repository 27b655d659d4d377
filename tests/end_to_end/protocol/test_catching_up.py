"""Cursors of any age, cuts, pages of history, and the heartbeat (sections 3 and 4)."""

from tests.end_to_end.talk import Talk, talk_as
from tests.rig.site import Site


async def test_a_cursor_of_any_age_gets_the_changes_and_then_live_events(site: Site, ana: Talk, ben: Talk, shared: str):
    first = await ana.post(shared, "before")
    await ben.message("before")
    cursor = {"epoch": first["epoch"], "seq": first["seq"]}
    await ben.close()
    for place in range(5):
        await ana.post(shared, f"while away {place}")
    await ana.call("message.edit", message=first["id"], body="before, edited")
    back = await talk_as(site.ws_url, site.user("ben"))
    assert await back.follow(cursors={shared: cursor}) == {shared: "live"}
    synced = await back.event("synced")
    live = await ana.post(shared, "and live")
    await back.event("message.posted", seq=live["seq"])
    assert synced["seq"] == live["seq"] - 1
    held = {m["number"]: m["body"] for e in back.of_type("changes") for m in e["messages"]}
    held |= {e["message"]["number"]: e["message"]["body"] for e in back.of_type("message.posted", "message.changed")}
    assert held == {
        1: "before, edited",
        **{place + 2: f"while away {place}" for place in range(5)},
        7: "and live",
    }
    await back.close()


async def test_no_cursor_another_epoch_and_a_cursor_ahead_are_reset(ana: Talk, room: str):
    await ana.post(room, "x")
    state = (await ana.call("room.list", scope="mine"))["rooms"]
    epoch = next(each["epoch"] for each in state if each["id"] == room)
    for cursor, reason in [
        (None, "new"),
        ({"epoch": "other", "seq": 1}, "epoch"),
        ({"epoch": epoch, "seq": 99}, "epoch"),
    ]:
        assert await ana.follow(cursors={room: cursor}) == {room: "reset"}
        assert ana.of_type("reset")[-1]["reason"] == reason


async def test_a_removed_member_gets_the_cut_and_nothing_after_it(site: Site, ana: Talk, ben: Talk, shared: str):
    last = await ana.post(shared, "for both")
    await ben.message("for both")
    await ana.call("member.remove", room=shared, user=site.user("ben").id)
    await ana.post(shared, "for ana alone")
    await ben.event("room.removed", room=shared)
    await ana.message("for ana alone")
    await ben.quiet()
    assert ben.of_type("member.left")
    assert [each["message"]["body"] for each in ben.of_type("message.posted")] == ["for both"]
    cursor = {"epoch": last["epoch"], "seq": last["seq"]}
    assert await ben.follow(cursors={shared: cursor}) == {shared: "denied"}
    assert (await ben.refused("history", room=shared))["code"] == "room.not_found"


async def test_history_pages_both_ways_without_gaps(ana: Talk, room: str):
    for place in range(12):
        await ana.post(room, f"{place + 1}")
    newest = await ana.call("history", room=room, limit=5)
    assert [each["number"] for each in newest["messages"]] == [8, 9, 10, 11, 12]
    assert (newest["more_before"], newest["more_after"]) == (True, False)
    older = await ana.call("history", room=room, before=8, limit=5)
    assert [each["number"] for each in older["messages"]] == [3, 4, 5, 6, 7]
    newer = await ana.call("history", room=room, after=7, limit=2)
    assert ([each["number"] for each in newer["messages"]], newer["more_after"]) == ([8, 9], True)
    around = await ana.call("history", room=room, around=6, limit=4)
    assert [each["number"] for each in around["messages"]] == [5, 6, 7, 8]
    assert (await ana.refused("history", room=room, before=1, after=1))["code"] == "command.invalid"
    assert (await ana.refused("history", room=room, limit=101))["code"] == "command.invalid"


async def test_a_heartbeat_tells_the_heads(ana: Talk, room: str):
    await ana.follow(room)
    result = await ana.post(room, "x")
    heads = await ana.event("heads", wait_s=40.0, rooms={room: result["seq"]})
    assert isinstance(heads["rooms_version"], int)
