"""Take screenshots of every page in every state, on phones and desktops, in light and dark.

    python -m tests.browser.screenshots FOLDER [PART_OF_A_NAME …]

makes FOLDER/<state>-<width>-<light|dark>.png, for all states or for those whose names contain one of the parts.
This is no test: somebody has to look at the pictures.
"""

import asyncio
import os
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NoReturn

from playwright.async_api import Browser, Page, async_playwright, expect

from tests.browser import states
from tests.browser.conftest import is_live
from tests.rig.browser import CHROMIUM
from tests.rig.factory import SiteFactory
from tests.rig.site import Site
from tests.rig.templates import Templates

PHONES, DESKTOPS = {320: 640, 390: 844}, {768: 1024, 1280: 800, 2560: 1300}
SCHEMES = ("light", "dark")

Act = Callable[[Page], Awaitable[None]]


@dataclass(frozen=True)
class State:
    """One page to photograph, after ``act`` was done on it. ``{name}`` in a path is the id of a room of states.py."""

    name: str
    path: str
    who: str | None = "ana"
    act: Act | None = None
    waits: bool = True


class Studio:
    """One site, filled; a fresh browser context for each state."""

    def __init__(self, browser: Browser, site: Site, rooms: dict[str, int], folder: Path, wanted: list[str]):
        self.browser = browser
        self.site = site
        self.rooms = rooms
        self.folder = folder
        self.wanted = wanted

    async def take(self, state: State) -> None:
        if self.wanted and not any(part in state.name for part in self.wanted):
            return
        for is_phone, sizes in ((True, PHONES), (False, DESKTOPS)):
            async with self.page(state.who, sizes, is_phone) as page:
                await page.goto(self.site.url + state.path.format(**self.rooms))
                if state.waits and await page.locator("chat-room").count():
                    await is_live(page)
                if state.act:
                    await state.act(page)
                await self.shoot(page, state.name, sizes)

    async def shoot(self, page: Page, name: str, sizes: dict[int, int]) -> None:
        for width, height in sizes.items():
            await page.set_viewport_size({"width": width, "height": height})
            for scheme in SCHEMES:
                await page.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # type: ignore[arg-type]
                await page.screenshot(path=self.folder / f"{name}-{width}-{scheme}.png")

    @asynccontextmanager
    async def page(self, who: str | None, sizes: dict[int, int], is_phone: bool) -> AsyncIterator[Page]:
        width, height = list(sizes.items())[-1 if is_phone else 1]
        context = await self.browser.new_context(
            viewport={"width": width, "height": height}, has_touch=is_phone, is_mobile=is_phone
        )
        if who:
            cookie = {"name": "sessionid", "value": self.site.user(who).session, "url": self.site.url}
            await context.add_cookies([cookie])  # type: ignore[list-item]
        yield await context.new_page()
        await context.close()

    # What people do before the picture is taken

    async def menu(self, page: Page) -> None:
        message = page.locator(".message", has=page.locator(".message__menu")).last
        await message.hover()
        await message.locator(".message__menu").click()
        await expect(page.locator(".menu")).to_be_visible()

    async def reply(self, page: Page) -> None:
        await self.menu(page)
        await page.locator(".menu__item").first.click()
        await page.get_by_label("Message", exact=True).fill("Here is an answer of\ntwo lines")

    async def confirm(self, page: Page) -> None:
        message = page.locator(".message--own", has=page.locator(".message__menu")).last
        await message.scroll_into_view_if_needed()
        await message.hover()
        await message.locator(".message__menu").click()
        await page.locator(".menu__item--danger").click()
        await expect(page.locator(".dialog[open]")).to_be_visible()

    async def mention(self, page: Page) -> None:
        await page.get_by_label("Message", exact=True).press_sequentially("@")
        await expect(page.locator(".completion__option").first).to_be_visible()

    async def keys(self, page: Page) -> None:
        await page.get_by_role("log").press("?")
        await expect(page.locator(".dialog[open]")).to_be_visible()

    async def older(self, page: Page) -> None:
        await page.get_by_role("log").hover()
        await page.get_by_role("log").evaluate("log => { log.scrollTop = log.scrollHeight }")
        await page.get_by_role("log").evaluate("log => { log.scrollTop -= 1500 }")
        await expect(page.locator(".to-newest")).to_be_visible()

    async def type_wrong(self, page: Page) -> None:
        await page.locator("[name=login]").fill("nobody")
        await page.locator("[name=password]").fill("wrong")
        await page.locator("form.form [type=submit]").click()
        await expect(page.locator(".notice--error")).to_be_visible()

    async def wait_for_banner(self, page: Page) -> None:
        await expect(page.locator(".banner")).to_be_visible()

    async def offline(self) -> None:
        """A message written while the server is down, and one that is refused once it is back."""
        if self.wanted and not any(part in "room-offline room-failed" for part in self.wanted):
            return
        server, room = self.site.processes[0], self.rooms["empty"]
        for is_phone, sizes in ((True, PHONES), (False, DESKTOPS)):
            async with self.page("ben", sizes, is_phone) as page:
                await page.goto(f"{self.site.url}/rooms/{room}/")
                await is_live(page)
                server.kill()
                for words in ("Is anybody there?", "I'll go on writing."):
                    await page.get_by_label("Message", exact=True).fill(words)
                    await page.locator(".composer__send").click()
                await expect(page.locator(".banner")).to_be_visible()
                await self.shoot(page, "room-offline", sizes)
                await asyncio.to_thread(self.site.python, f"from chat import api; api.archive_room({room})")
                await asyncio.to_thread(server.start)
                await is_live(page)
                await expect(page.locator(".message__failure").last).to_be_visible(timeout=30_000)
                await self.shoot(page, "room-failed", sizes)
            await asyncio.to_thread(self.site.python, f"from chat import api; api.archive_room({room}, archived=False)")

    async def removed(self) -> None:
        """Somebody is removed from a room that they have open."""
        if self.wanted and not any(part in "room-removed" for part in self.wanted):
            return
        code = "from django.contrib.auth import get_user_model as users; from chat import api; "
        dan = f"{self.rooms['empty']}, users().objects.get(username='dan')"
        for is_phone, sizes in ((True, PHONES), (False, DESKTOPS)):
            await asyncio.to_thread(self.site.python, f"{code} api.add_member({dan})")
            async with self.page("dan", sizes, is_phone) as page:
                await page.goto(f"{self.site.url}/rooms/{self.rooms['empty']}/")
                await is_live(page)
                await asyncio.to_thread(self.site.python, f"{code} api.remove_member({dan})")
                await expect(page.locator(".composer")).to_be_hidden()
                await self.shoot(page, "room-removed", sizes)

    async def set_up(self, empty: Site) -> None:
        """The first run of a site without accounts."""
        if self.wanted and not any(part in "set-up" for part in self.wanted):
            return
        sizes = {**PHONES, **DESKTOPS}
        page = await self.browser.new_page()
        await page.goto(empty.url)
        await self.shoot(page, "set-up-1-owner", sizes)
        answers = {"username": "ana", "name": "Ana", "email": "ana@example.org", "password": "hearth and home 9"}
        for field in await page.locator("form.form .field__input").all():
            name = await field.get_attribute("name") or ""
            await field.fill(next((value for key, value in answers.items() if key in name), "Ana"))
        for step in ("set-up-2-rooms", "set-up-3-access"):
            await page.locator("form.form [type=submit]").last.click()
            await self.shoot(page, step, sizes)
        await page.close()

    def all_states(self) -> list[State]:
        room = partial(State, path="/rooms/{kitchen}/")
        return [
            State("home", "/"),
            State("home-nobody", "/", who="eve"),
            State("lobby", "/rooms/"),
            State("new-room", "/new/"),
            State("people", "/people/"),
            State("tokens", "/settings/tokens/"),
            State("room", "/rooms/{kitchen}/"),
            room("room-menu", act=self.menu),
            room("room-reply", act=self.reply),
            room("room-confirm", act=self.confirm),
            room("room-mention", act=self.mention),
            room("room-keys", act=self.keys),
            State("room-busy", "/rooms/{busy}/"),
            State("room-older", "/rooms/{busy}/", act=self.older),
            State("room-permalink", "/rooms/{busy}/40/"),
            State("room-long", "/rooms/{long}/"),
            State("room-rtl", "/rooms/{rtl}/"),
            State("room-empty", "/rooms/{empty}/"),
            State("room-archived", "/rooms/{archived}/"),
            State("room-outside", "/rooms/{garden}/"),
            State("room-direct", "/rooms/{direct}/"),
            State("room-settings", "/rooms/{kitchen}/settings/"),
            State("sign-in", "/accounts/login/", who=None),
            State("sign-in-wrong", "/accounts/login/", who=None, act=self.type_wrong),
            State("sign-up", "/accounts/signup/", who=None),
            State("password-reset", "/accounts/password/reset/", who=None),
            State("profile", "/settings/", who="olga"),
            State("e-mail", "/accounts/email/", who="olga"),
            State("password", "/accounts/password/change/", who="olga"),
            State("sessions", "/settings/sessions/", who="olga"),
            State("invitations", "/settings/invitations/", who="olga"),
            State("site", "/settings/site/", who="olga"),
            State("delete-account", "/settings/delete/", who="olga"),
            State("not-found", "/rooms/999999/"),
        ]


async def main(folder: Path, wanted: list[str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    home = Path(tempfile.mkdtemp(prefix="hearth-shots-"))
    sites = SiteFactory(home, Templates(home), _none, _none)
    try:
        site = sites()
        empty = sites(processes=0)
        empty.manage("flush", "--no-input")
        empty.start()
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
            studio = Studio(browser, site, states.fill(site), folder, wanted)
            takes = [partial(studio.take, state) for state in studio.all_states()]
            for work in (*takes, studio.removed, studio.offline, partial(studio.set_up, empty)):
                try:
                    await work()
                except Exception as error:  # a broken page must not prevent the pictures of the others
                    print(f"{getattr(work, 'args', work)}: {str(error)[:400]}", file=sys.stderr)
            await browser.close()
    finally:
        sites.stop()
        shutil.rmtree(home, ignore_errors=True)


def _none() -> NoReturn:
    raise AssertionError("SQLite and one process are enough for pictures.")


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2:]))
