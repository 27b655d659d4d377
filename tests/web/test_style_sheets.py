"""The style sheets say nothing of what no page has: a rule that is left behind would be copied, and kept for ever."""

import re
from pathlib import Path

import chat

APP = Path(chat.__path__[0])
SITE = APP.parent / "project"
SHEETS = sorted((APP / "static/chat/css").glob("*.css"))
GENERATED = "code.css"
COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
CLASS = re.compile(r"\.([a-z][\w-]*)")
DECLARATIONS = re.compile(r"[\w-]+:[^;{}]*;")
"""Values may hold what looks like a class: 0.5em, calc(.5rem)."""


def test_every_class_of_the_sheets_is_on_some_page() -> None:
    used = words_of_pages()
    assert {"message__body", "sidebar__link"} <= used, "the pages were not read"
    unused = {
        f"{sheet.name}: {name}"
        for sheet in SHEETS
        if sheet.name != GENERATED
        for name in classes_of(sheet.read_text())
        if name not in used and not made_of_parts(name, used)
    }
    assert unused == set()


def test_a_class_that_no_page_has_would_be_found() -> None:
    found = classes_of(".chat { .lonely:hover, .message--stored { inset: .5em; background: url(a.svg); } }")
    assert found == {"chat", "lonely", "message--stored"}
    assert not made_of_parts("lonely", words_of_pages())
    assert made_of_parts("message--stored", {"message--"})


def classes_of(sheet: str) -> set[str]:
    return set(CLASS.findall(DECLARATIONS.sub("", COMMENT.sub("", sheet))))


def made_of_parts(name: str, used: set[str]) -> bool:
    """Whether a page puts the class together, as in ``avatar--{{ colour }}`` or ``message--${state}``."""
    return "--" in name and f"{name.partition('--')[0]}--" in used


def words_of_pages() -> set[str]:
    files = [each for top in (APP, SITE) for each in (*top.rglob("*.html"), *top.rglob("*.js"), *top.rglob("*.py"))]
    return {word for each in files for word in re.findall(r"[a-z][\w-]*", each.read_text(encoding="utf-8"))}
