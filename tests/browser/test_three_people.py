"""What each of three people sees of the others' actions: rooms, roles, counts, conversations."""

from typing import Any

from playwright.async_api import Page, expect

from tests.browser.conftest import Meet, Person, act, is_live, messages, write
from tests.rig.site import Site

BREAKS = {
    "weberror": (
        "setTimeout(() => { throw new Error('no') })",
        "void Promise.reject(new Error('no'))",
    ),
    "console": (
        "document.body.append(Object.assign(document.createElement('script'), { textContent: '1' }))",
        "document.body.append(Object.assign(document.createElement('style'), { textContent: 'p {}' }))",
        "document.body.setAttribute('style', 'color: red')",
        "document.body.append(Object.assign(new Image(), { src: 'https://example.org/x.png' }))",
        "console.warn('no')",
    ),
}


async def test_an_error_or_a_broken_security_rule_of_any_page_is_heard(meet: Meet, house: Site) -> None:
    """The premise of all browser tests: each of them fails if a page has such an error."""
    ana = await meet("ana", house)
    await ana.open("/rooms/")
    page = await ana.context.new_page()
    await page.goto(house.url)
    for event, breaks in BREAKS.items():
        for code in breaks:
            assert ana.complaints == []
            async with ana.context.expect_event(event):  # type: ignore[call-overload]
                await page.evaluate(code)
            assert len(ana.complaints) == 1, code
            ana.complaints.clear()


def line(page: Page, name: str) -> Any:
    """A room's line in the sidebar, by its whole name."""
    return page.locator(".room-link").filter(has=page.locator(".room-link__name").get_by_text(name, exact=True))


def path_of(page: Page) -> str:
    return page.url.split("?")[0]


async def make_room(page: Page, name: str, *, members: tuple[str, ...] = (), private: bool = False) -> str:
    """Make a room as people do, and return its URL."""
    await page.locator(".sidebar").get_by_role("link", name="New room").click()
    await page.get_by_label("Name").fill(name)
    if private:
        await page.get_by_label("Private: only people you add").check()
    for member in members:
        await page.get_by_role("checkbox", name=member).check()
    await page.get_by_role("button", name="Create").click()
    await expect(page.get_by_role("heading", name=name)).to_be_visible()
    await is_live(page)
    return path_of(page)


async def home_of(person: Person) -> Page:
    page = await person.open()
    await expect(page.locator("[data-part=banner]")).to_have_attribute("data-state", "live", timeout=30_000)
    return page


async def test_a_private_room_is_visible_to_its_members_alone_and_they_see_changes_at_once(
    meet: Meet, house: Site
) -> None:
    ana, ben, cleo, eve = [await meet(name, house) for name in ("ana", "ben", "cleo", "eve")]
    in_bens, in_cleos = await home_of(ben), await home_of(cleo)
    in_anas = await home_of(ana)
    address = await make_room(in_anas, "Pantry", members=("ben",), private=True)

    # The room appears for ben by itself; eve sees nothing of it.
    await line(in_bens, "Pantry").get_by_role("link").click()
    await is_live(in_bens)
    await expect(line(in_cleos, "Pantry")).to_have_count(0)
    assert [(await eve.context.request.get(address + page)).status for page in ("", "settings/", "1/")] == [404] * 3
    lobby = await eve.open("/rooms/?q=pantry")
    await expect(lobby.get_by_text("No open room is called that")).to_be_visible()

    # Name, topic, members, roles: the owner's settings page in another tab.
    settings = await ana.open(f"{address}settings/")
    await settings.get_by_label("Name").fill("Cellar")
    await settings.get_by_label("Topic").fill("What is left")
    await settings.get_by_role("button", name="Save").click()
    await expect(in_bens.locator("[data-part=name]")).to_have_text("Cellar")
    await expect(in_bens.locator("[data-part=topic]")).to_have_text("What is left")
    for page in (in_bens, in_anas):
        await expect(line(page, "Cellar")).to_be_visible()
    await settings.get_by_role("checkbox", name="cleo").check()
    await settings.get_by_role("button", name="Add selected").click()
    await line(in_cleos, "Cellar").get_by_role("link").click()
    await is_live(in_cleos)
    await expect(in_bens.locator(".notice-line").last).to_contain_text("cleo")
    await expect(in_bens.locator("[data-part=people]")).to_have_text("People: 3")

    # A moderator may delete other people's messages as soon as he is one.
    await write(in_anas, "Rude words", "Soup")
    await expect(messages(in_bens)).to_have_text(["Rude words", "Soup"])
    await in_bens.locator(".message").first.hover()
    await in_bens.locator(".message").first.get_by_label("Message actions").click()
    menu = in_bens.get_by_role("dialog", name="Message actions")
    await expect(menu.get_by_role("button", name="Reply")).to_be_visible()
    await expect(menu.get_by_role("button", name="Delete")).to_have_count(0)
    await in_bens.keyboard.press("Escape")
    await settings.get_by_label("Role of ben", exact=True).select_option("moderator")
    await settings.get_by_role("button", name="Change the role of ben").click()
    await expect(settings.get_by_text("The role is changed.")).to_be_visible()
    await write(in_anas, "after it")  # events come in order: once this has arrived, so has the role
    await expect(messages(in_bens)).to_have_count(3)
    await act(in_bens, "Rude words", "Delete")
    await in_bens.get_by_role("dialog").get_by_role("button", name="Delete").click()
    for page in (in_anas, in_bens, in_cleos):
        await expect(page.get_by_text("This message was deleted.")).to_be_visible()
        await expect(messages(page)).to_have_text(["Soup", "after it"])

    # A removed member sees nothing of the room on the screen, and nothing at its URL.
    await settings.get_by_role("link", name="Remove cleo").click()
    await settings.get_by_role("button", name="Remove").click()
    await expect(in_cleos.get_by_text("You are not in this room any more.")).to_be_visible()
    await expect(messages(in_cleos)).to_have_count(0)
    await expect(in_cleos.get_by_label("Message", exact=True)).to_be_hidden()
    await expect(line(in_cleos, "Cellar")).to_have_count(0)
    assert "Soup" not in await in_cleos.content()
    assert (await cleo.context.request.get(in_cleos.url)).status == 404
    await expect(in_bens.locator(".notice-line").last).to_have_text("cleo removed by ana")

    # Once open, the room with its history is there for everybody. Made private again, it is at once only for members.
    await settings.get_by_role("link", name="Open to everybody").click()
    await settings.get_by_role("button", name="Open to everybody").click()
    in_eves = await eve.open(address)
    await is_live(in_eves)
    await expect(messages(in_eves)).to_have_text(["Soup", "after it"])
    await settings.get_by_role("link", name="Make it private").click()
    await settings.get_by_role("button", name="Make it private").click()
    await expect(in_eves.locator("[data-part=outside-text]")).to_have_text("You are not in this room any more.")
    await expect(messages(in_eves)).to_have_count(0)

    # Once archived, it can still be read, in open pages and in a new one.
    await settings.get_by_role("link", name="Archive this room").click()
    await settings.get_by_role("button", name="Archive").click()
    for page in (in_anas, in_bens, await ben.open(address)):
        await expect(page.get_by_label("Message", exact=True)).to_be_hidden()
        await expect(page.get_by_text("This room is archived: it can be read, not written to.")).to_be_visible()
        await expect(messages(page)).to_have_text(["Soup", "after it"])
        await expect(page.locator("[data-part=archived]").locator(".room-link__name")).to_have_text("Cellar")
    await settings.get_by_role("button", name="Reopen this room").click()
    await expect(in_bens.get_by_label("Message", exact=True)).to_be_visible()
    await write(in_bens, "Open again")
    await expect(messages(in_anas).last).to_have_text("Open again")


async def test_joining_from_the_lobby_and_leaving_show_in_a_third_persons_timeline(meet: Meet, house: Site) -> None:
    ana, ben, cleo = [await meet(name, house) for name in ("ana", "ben", "cleo")]
    in_anas = await home_of(ana)
    address = await make_room(in_anas, "Orchard")
    for person in (ben, cleo):
        page = await person.open("/rooms/?q=orchard")
        await page.get_by_role("button", name="Join Orchard").click()
        await is_live(page)
        await expect(line(page, "Orchard")).to_be_visible()
    in_cleos = page
    notices = in_anas.locator(".notice-line")
    await expect(notices.last).to_contain_text("joined")
    await expect(in_anas.locator("[data-part=people]")).to_have_text("People: 3")
    await write(in_cleos, "Apples")
    await expect(messages(in_anas)).to_have_text(["Apples"])

    await in_cleos.get_by_role("button", name="Leave").click()
    await in_cleos.get_by_role("dialog").get_by_role("button", name="Leave").click()
    await expect(in_cleos.get_by_role("heading", level=1, name="Orchard")).to_have_count(0)
    await expect(line(in_cleos, "Orchard")).to_have_count(0)
    await expect(notices.last).to_have_text("cleo left")
    await expect(in_anas.locator("[data-part=people]")).to_have_text("People: 2")
    # It is an open room: its page can still be read, and joined from there.
    await in_cleos.goto(address)
    await expect(messages(in_cleos)).to_have_text(["Apples"])
    await expect(in_cleos.get_by_label("Message", exact=True)).to_be_hidden()
    await in_cleos.get_by_role("button", name="Join this room").click()
    await expect(in_cleos.get_by_label("Message", exact=True)).to_be_visible()
    await write(in_cleos, "Pears")
    await expect(messages(in_anas)).to_have_text(["Apples", "Pears"])
    told = [text for text in await notices.all_inner_texts() if "cleo" in text]
    # Notices of people who join again are merged, as a reloaded page shows them.
    await in_anas.reload()
    await is_live(in_anas)
    assert [text for text in await notices.all_inner_texts() if "cleo" in text] == told


async def test_a_direct_conversation_comes_to_the_other_with_its_first_message_and_back_with_the_next(
    meet: Meet, house: Site
) -> None:
    ana, ben, cleo = [await meet(name, house) for name in ("ana", "ben", "cleo")]
    in_bens, in_cleos = await home_of(ben), await home_of(cleo)
    in_anas = await ana.open("/people/")
    await in_anas.get_by_role("button", name="Write to ben").click()
    await expect(in_anas.get_by_role("heading", level=1, name="ben")).to_be_visible()
    await is_live(in_anas)
    await write(in_anas, "Are you there, @ben?")
    await expect(line(in_bens, "ana").locator(".room-link__count--mention")).to_contain_text("@1")
    await expect(line(in_bens, "ana").locator(".room-link__count").last).to_contain_text("1")
    await line(in_bens, "ana").get_by_role("link").click()
    await is_live(in_bens)
    await write(in_bens, "Yes")
    await expect(messages(in_anas)).to_have_text(["Are you there, @ben?", "Yes"])
    await expect(line(in_bens, "ana").locator(".room-link__count")).to_have_count(0)

    # In a conversation of three, each person sees the names of the two others.
    group = await ana.open("/people/")
    for name in ("ben", "cleo"):
        await group.get_by_role("checkbox", name=name).check()
    await group.get_by_role("button", name="Write to selected").click()
    await is_live(group)
    await write(group, "Lunch?")
    for page, names in ((group, "ben, cleo"), (in_bens, "ana, cleo"), (in_cleos, "ana, ben")):
        await expect(line(page, names)).to_be_visible()
    await line(in_cleos, "ana, ben").get_by_role("link").click()
    await expect(in_cleos.get_by_role("heading", level=1)).to_have_text("ana, ben")
    await is_live(in_cleos)
    await write(in_cleos, "With pleasure")
    await expect(messages(group)).to_have_text(["Lunch?", "With pleasure"])
    await expect(line(in_bens, "ana, cleo").locator(".room-link__count")).to_contain_text("2")

    # A hidden conversation comes back with its next message, history included.
    hidden = await ben.open(f"{path_of(in_bens)}settings/")
    await line(in_bens, "ana, cleo").get_by_role("link").click()  # a page that shows the room would mark it as read
    await is_live(in_bens)
    await hidden.get_by_role("link", name="Hide this conversation").click()
    await hidden.get_by_role("button", name="Hide").click()
    await expect(hidden.get_by_text("The conversation is hidden until its next message.")).to_be_visible()
    for page in (hidden, in_bens):
        await expect(line(page, "ana, cleo")).to_be_visible()
        await expect(line(page, "ana")).to_have_count(0)
    await expect(hidden.locator("[data-part=banner]")).to_have_attribute("data-state", "live")
    await write(in_anas, "One more thing")
    await expect(line(hidden, "ana").locator(".room-link__count")).to_contain_text("1")
    await line(hidden, "ana").get_by_role("link").click()
    await expect(messages(hidden)).to_have_text(["Are you there, @ben?", "Yes", "One more thing"])


async def test_counts_rise_while_one_is_elsewhere_and_fall_on_every_device_once_one_of_them_has_read(
    meet: Meet, house: Site
) -> None:
    ana, laptop, phone = [await meet(name, house) for name in ("ana", "ben", "ben")]
    in_anas, on_laptop = await home_of(ana), await home_of(laptop)
    address = await make_room(in_anas, "Bakery", members=("ben",), private=True)
    await make_room(in_anas, "Dairy", members=("ben",), private=True)
    await line(on_laptop, "Dairy").get_by_role("link").click()
    on_phone = await phone.open("/rooms/")
    for page in (on_laptop, on_phone):
        await expect(page.locator("[data-part=banner]")).to_have_attribute("data-state", "live", timeout=30_000)
    await in_anas.goto(address)
    await is_live(in_anas)
    await write(in_anas, "Bread", "For @ben", "and @ben again")
    for page in (on_laptop, on_phone):
        counts = line(page, "Bakery").locator(".room-link__count")
        await expect(counts).to_have_text(["@2, mentions: 2", "3, unread: 3"])
    # The counts that the server prints are the same.
    await on_phone.reload()
    await expect(line(on_phone, "Bakery").locator(".room-link__count")).to_have_text(
        ["@2, mentions: 2", "3, unread: 3"]
    )
    await line(on_phone, "Bakery").get_by_role("link").click()
    await expect(messages(on_phone)).to_have_count(3)
    for page in (on_phone, on_laptop):
        await expect(line(page, "Bakery").locator(".room-link__count")).to_have_count(0)
    # A message that arrives while the room is open on one device is read there, and so on the other.
    await write(in_anas, "Cake, @ben")
    await expect(messages(on_phone)).to_have_count(4)
    await expect(line(on_laptop, "Bakery").locator(".room-link__count")).to_have_count(0)
    # A room marked unread there is unread everywhere.
    await act(on_phone, "and @ben again", "Mark unread from here")
    for page in (on_phone, on_laptop):
        await expect(line(page, "Bakery").locator(".room-link__count")).to_have_text(
            ["@2, mentions: 2", "2, unread: 2"]
        )


async def test_a_refused_addition_says_so_in_sight_and_a_done_one_at_the_top_of_the_page(
    meet: Meet, house: Site
) -> None:
    ana, ben = await meet("ana", house), await meet("ben", house)
    address = await make_room(await home_of(ana), "Loft", members=("ben",), private=True)
    bens = await ben.open(f"{address}settings/?confirm=leave")
    await bens.get_by_role("button", name="Leave").click()
    settings = await ana.open(f"{address}settings/")
    await settings.set_viewport_size({"width": 390, "height": 844})
    await settings.get_by_role("checkbox", name="ben").check()
    await settings.get_by_role("button", name="Add selected").click()
    await expect(settings.get_by_role("alert")).to_be_in_viewport()
    await expect(settings.get_by_text("Send ben this link.")).to_be_in_viewport()
    assert ana.complaints.pop().endswith("403 (Forbidden)")
    await settings.get_by_role("checkbox", name="ben").uncheck()
    await settings.get_by_role("checkbox", name="cleo").check()
    await settings.get_by_role("button", name="Add selected").click()
    await expect(settings.get_by_role("status").get_by_text("Added to the room.")).to_be_in_viewport()
