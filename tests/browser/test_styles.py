"""The style sheets in a host's page: ours do not affect the host's elements, and the host's do not affect ours."""

import re
from pathlib import Path

from playwright.async_api import Browser, Page

import chat

STATIC = Path(chat.__path__[0]) / "static"
LINKED = re.findall(r"static '([^']+)'", (STATIC.parent / "templates/chat/_styles.html").read_text())
OURS = "\n".join((STATIC / name).read_text() for name in LINKED)
# The worst that a host's style sheet may say about bare elements.
THEIRS = """
* { letter-spacing: 1px; box-sizing: content-box; border-radius: 0 }
button, input, textarea, select { inline-size: 100%; margin: 9px; border: 5px solid lime; padding: 20px; color: blue }
button, input, textarea, select { background: pink; text-transform: uppercase; box-shadow: 0 0 9px red }
h1, h2, main h1 { margin: 40px; color: red; font: 60px fantasy; text-align: center }
a { border-bottom: 3px dotted red; color: lime; font-weight: 900 }
ul, ol { padding: 40px; list-style: square } li { float: left; margin: 20px }
p { margin: 2em; color: blue; line-height: 3 }
header, nav, article, section, form { display: block; border: 2px solid red; padding: 30px; background: #fee }
label, span, time { display: block; color: orange } pre, code { background: black; color: lime } table { width: 100% }
"""
CHAT = """
<main><div class="chat"><section class="panel"><h1 class="panel__title">People</h1>
<ul class="row-list">
<li class="row"><span class="avatar avatar--3">AB</span><a class="row__name" href="#">Ana</a></li></ul>
<form class="form"><label class="field"><span class="field__label">Name</span><input class="field__input"></label>
<label class="choice"><input type="checkbox"> Yes</label><button class="button button--primary">Save</button></form>
<article class="message"><header class="message__head"><span class="message__author">Ana</span><time>1</time></header>
<div class="message__body"><p>A <a href="#">link</a>, <code>code</code></p>
<ul><li>one</li></ul><pre><code>x = 1</code></pre>
<table><tr><td>1</td></tr></table></div></article>
<form class="composer"><textarea class="composer__text"></textarea></form></section></div></main>
"""
HOST = (
    "<h1>Theirs</h1><button class='button'>b</button><input><ul class='row-list'><li>x</li></ul><p class='notice'>n</p>"
)
LOOKS = """(within) => [...document.querySelectorAll(within)].flatMap((each) => {
    const style = getComputedStyle(each)
    return [...style].filter((name) => !name.startsWith("--")).map((name) =>
        `${each.tagName}.${each.className} ${name}: ${style.getPropertyValue(name)}`)
})"""


async def looks(page: Page, *, of: str, sheets: tuple[str, ...], body: str) -> list[str]:
    await page.set_content(f"<!doctype html>{body}")
    for sheet in sheets:
        await page.add_style_tag(content=sheet)
    found: list[str] = await page.evaluate(LOOKS, of)
    assert found
    return found


async def test_a_room_looks_the_same_whatever_the_host_says_about_bare_elements(browser: Browser) -> None:
    page = await browser.new_page()
    alone = await looks(page, of=".chat, .chat *", sheets=(OURS,), body=CHAT)
    for order in ((THEIRS, OURS), (OURS, THEIRS)):
        assert await looks(page, of=".chat, .chat *", sheets=order, body=CHAT) == alone


async def test_a_hosts_own_elements_look_as_before(browser: Browser) -> None:
    page = await browser.new_page()
    before = await looks(page, of="html, body, body *", sheets=(), body=HOST)
    assert await looks(page, of="html, body, body *", sheets=(OURS,), body=HOST) == before


async def test_the_chat_follows_the_color_scheme_of_the_page(browser: Browser) -> None:
    page = await browser.new_page(color_scheme="dark")
    grounds = []
    for scheme in ("/* says nothing */", ":root { color-scheme: light dark }"):
        of = ".chat .field__input"
        found = await looks(page, of=of, sheets=(OURS, scheme), body=CHAT)
        grounds.append(next(each for each in found if "background-color" in each))
    assert "rgb(255, 253, 250)" in grounds[0]
    assert "rgb(28, 25, 23)" in grounds[1]
