"""The second, independent client: the browser's ES modules in Chromium, as the site's own pages use them."""

import asyncio
import mimetypes
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from playwright.async_api import Error, Page, Route, async_playwright

from tests.rig.browser import CHROMIUM
from tests.rig.site import Person
from torture.players import Player, Recent, Refused
from torture.recorder import state_of

if TYPE_CHECKING:
    from torture.stage import Stage

ARGUMENTS = ["--no-sandbox", "--disable-background-networking"]
ROOT = Path(__file__).resolve().parents[1]
FOLDERS = {"chat": ROOT / "chat" / "static" / "chat", "page": ROOT / "torture" / "page"}
DOCUMENT = "/healthz"
"""A page of the site without a policy that forbids scripts. It must come over the network: to one that does not, the
browser forbids sockets to local addresses."""
SYNC_ASKED_AT_LEAST_S = 1.0
"""A note takes a while to arrive. Of what is asked, the earlier time is the careful one: less was acknowledged then."""


async def open_pages(stage: "Stage", people: Sequence[Person]) -> list["BrowserClient"]:
    """Start a browser with a client for each person, which follows all rooms."""
    playwright = await stage.enter(async_playwright())
    browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
    stage.at_end(browser.close)
    page = await browser.new_page()
    # The scripts come from the site's own origin, so that its socket is one of the site's own pages.
    await page.route(f"{stage.url}/torture/**", _serve)
    clients: dict[str, BrowserClient] = {}

    def told(notes: list[dict[str, Any]]) -> None:
        for each in notes:
            clients[each["name"]].take(each)

    await page.expose_function("tell", told)
    await page.goto(stage.url + DOCUMENT)
    await page.add_script_tag(url="/torture/page/crowd.js", type="module")
    await page.wait_for_function("globalThis.crowd !== undefined")
    for person in people:
        player = stage.player(person, stage.rooms, ordered=False)
        clients[person.name] = BrowserClient(
            page, player, url=stage.url.replace("http", "ws") + "/ws/chat/", token=person.token
        )
    for client in clients.values():
        await client.start()
    return list(clients.values())


async def _serve(route: Route) -> None:
    _, _, folder, *rest = route.request.url.split("://", 1)[1].split("/")
    path = FOLDERS[folder].joinpath(*rest)
    await route.fulfill(path=path, content_type=mimetypes.guess_type(path.name)[0] or "text/javascript")


class BrowserClient:
    """A client in the page. It holds a window of each room, and so is not shown every message."""

    is_durable = True

    def __init__(self, page: Page, player: Player, *, url: str, token: str):
        self.player = player
        self._page, self._url, self._token = page, url, token
        self._is_live = False
        self._handing_in: dict[str, str] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        user = {"id": self.player.user, "name": self.player.name}
        options = {"name": self.player.name, "user": user, "token": self._token}
        await self._do("start", {**options, "url": self._url, "rooms": self.player.rooms})

    async def close(self) -> None:
        self._is_live = False
        with suppress(Error):  # the page is gone already
            await self._do("stop", self.player.name)

    @property
    def is_live(self) -> bool:
        return self._is_live

    def take(self, note: dict[str, Any]) -> None:
        """Write down what the page has told."""
        player, recorder, kind = self.player, self.player.recorder, note["kind"]
        t = round(recorder.now() - note["age"] / 1000, 4)
        who = {"client": player.name, "t": t}
        if kind == "live":
            self._is_live = True
            player.connections += 1
            recorder.note("live", **who)
        elif kind == "closed":
            self._is_live = False
            player.closed_with[note["code"]] += 1
        elif kind == "sync":
            recorder.note("sync", **{**who, "t": t - SYNC_ASKED_AT_LEAST_S}, rooms=note["rooms"])
        elif kind in ("synced", "reset"):
            reason = {"reason": note["reason"]} if kind == "reset" else {}
            recorder.note(kind, **who, room=note["room"], epoch=note["epoch"], seq=note["seq"], **reason)
        elif kind == "ok":
            found = note["result"]
            player.note_ok(
                note["room"],
                note["id"],
                message=found["id"],
                number=found["number"],
                seq=found["seq"],
                duplicate=found["duplicate"],
            )
        elif kind == "fail":
            player.note_fail(note["room"], note["id"], note["code"])
        else:
            self._seen(kind, note["room"], note["message"], t)

    def _seen(self, kind: str, room: str, message: dict[str, Any], t: float) -> None:
        places = {name: message[name] for name in ("number", "seq", "changed")}
        seen = {"message": message["id"], **places, "state": _digest(message)}
        if kind == "show":
            self.player.note_show(room, **seen, author=message["author"], id=message["client_id"], at=t)
        else:
            self.player.recorder.note("change", client=self.player.name, t=t, room=room, **seen)

    # Actions ---------------------------------------------------------------------------------------------------

    def post(self, room: str, body: str | None = None) -> None:
        text = body or self.player.next_body()
        event = self.player.note_post(room, "", text)
        self._handing_in[text] = room
        task = asyncio.ensure_future(self._hand_in(room, text, event))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _hand_in(self, room: str, body: str, event: dict[str, Any]) -> None:
        try:
            event["id"] = await self._do("post", self.player.name, room, body)
        except Error:
            event["e"] = "unsent"  # the client was stopped: nothing was handed in
        finally:
            self._handing_in.pop(body, None)

    async def edit(self, recent: Recent, body: str) -> None:
        result = await self._ask("edit", recent.message, body)
        self.player.note_did("edit", recent.room, recent.message, result["seq"])

    async def delete(self, recent: Recent) -> None:
        result = await self._ask("delete", recent.message)
        self.player.note_did("delete", recent.room, recent.message, result["seq"])

    async def react(self, recent: Recent, emoji: str, *, on: bool) -> None:
        await self._ask("react", recent.room, recent.message, emoji, on)

    async def join(self, room: str) -> None:
        await self._ask("join", room)

    async def leave(self, room: str) -> None:
        await self._ask("leave", room)

    async def _ask(self, name: str, *arguments: Any) -> Any:
        try:
            answer = await self._do(name, self.player.name, *arguments)
        except Error as error:
            raise Refused(str(error)) from error
        if "refused" in answer:
            raise Refused(answer["refused"])
        return answer["result"]

    async def _do(self, name: str, *arguments: Any) -> Any:
        return await self._page.evaluate("([name, ...rest]) => crowd[name](...rest)", [name, *arguments])

    # What it knows ---------------------------------------------------------------------------------------------

    async def waiting(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = await self._do("waiting", self.player.name)
        for room in self._handing_in.values():
            found.setdefault(room, []).append("")
        return found

    async def heads(self) -> dict[str, tuple[str, int]]:
        found = await self._do("heads", self.player.name)
        return {room: (epoch, seq) for room, (epoch, seq) in found.items()}

    async def record_views(self) -> None:
        for view in await self._do("views", self.player.name):
            if view["first"] is not None:
                self.player.recorder.note(
                    "view",
                    client=self.player.name,
                    user=self.player.user,
                    room=view["room"],
                    is_live=view["isLive"],
                    first=view["first"],
                    states=[_digest(each) for each in view["messages"]],
                )


def _digest(message: dict[str, Any]) -> str:
    return state_of(**{**message, "reactions": [(emoji, count) for emoji, count in message["reactions"]]})
