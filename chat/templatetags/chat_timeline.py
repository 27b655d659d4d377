"""The rows of a timeline, and the templates that scripts clone. Printing fifty messages takes longer than all else of a
page, and most readers of a room see the same lines: what was printed is kept."""

import re
from collections import OrderedDict
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path
from threading import Lock
from typing import Any

from django import template
from django.template import Context
from django.urls import get_script_prefix, get_urlconf
from django.utils.safestring import SafeString
from django.utils.translation import get_language

from chat.web.timeline import prototypes

register = template.Library()
OUR_TEMPLATES = Path(__file__).resolve().parent.parent / "templates"
ROW, MESSAGE, TEMPLATES = "chat/_timeline_row.html", "chat/_message.html", "chat/_templates.html"
INCLUDED = re.compile(r'{% include "([^"]+)"')
KEPT = 4_000
"""Messages that are kept as they were printed: a few megabytes."""


class _Printed:
    """The last ``KEPT`` lines, by what they were printed from."""

    def __init__(self) -> None:
        self._lines: OrderedDict[bytes, SafeString] = OrderedDict()
        self._lock = Lock()

    def get(self, key: bytes) -> SafeString | None:
        with self._lock:
            if (line := self._lines.get(key)) is not None:
                self._lines.move_to_end(key)
            return line

    def keep(self, key: bytes, line: SafeString) -> None:
        with self._lock:
            self._lines[key] = line
            while len(self._lines) > KEPT:
                self._lines.popitem(last=False)


_printed = _Printed()


@register.simple_tag(takes_context=True)
def timeline_rows(context: Context, rows: list[dict[str, Any]]) -> SafeString:
    """Print rows with ``chat/_timeline_row.html``.

    A message is printed from its row and ``embed`` alone, and kept. Where a host has templates of its own for it, it is
    printed anew each time, with everything that the page's context has.
    """
    engine = context.template.engine  # type: ignore[union-attr]
    printer = engine.get_template(ROW)
    are_kept = not engine.debug and all(_is_ours(engine.get_template(each).origin.name) for each in (ROW, MESSAGE))
    parts = []
    for row in rows:
        if are_kept and row["kind"] == "message":
            parts.append(_message(context, printer, row))
        else:
            with context.push(row=row):
                parts.append(printer.render(context))
    return SafeString("".join(parts))


@register.simple_tag(takes_context=True)
def script_templates(context: Context) -> SafeString:
    """Print ``chat/_templates.html``: once in a language, unless a host has one of our partials as its own."""
    engine = context.template.engine  # type: ignore[union-attr]
    printer = engine.get_template(TEMPLATES)
    if engine.debug or not _are_all_ours(engine):
        with context.push(prototypes=prototypes()):
            return printer.render(context)
    key = repr((get_language(), get_script_prefix(), get_urlconf())).encode()  # they hold addresses
    if (printed := _printed.get(key)) is None:
        printed = printer.render(context.new({"prototypes": prototypes()}))
        _printed.keep(key, printed)
    return printed


@lru_cache(maxsize=8)
def _are_all_ours(engine: Any) -> bool:
    return all(_is_ours(engine.get_template(each).origin.name) for each in _with_included(TEMPLATES))


def _with_included(name: str) -> set[str]:
    """The names of one of our templates and of all that it includes."""
    names = INCLUDED.findall((OUR_TEMPLATES / name).read_text(encoding="utf-8"))
    return {name}.union(*map(_with_included, names))


def _message(context: Context, printer: Any, row: dict[str, Any]) -> SafeString:
    needed = {"row": row, "embed": bool(context.get("embed"))}
    key = blake2b(repr((get_language(), needed)).encode("utf-8", "surrogatepass"), digest_size=16).digest()
    if (line := _printed.get(key)) is None:
        line = printer.render(context.new(needed))
        _printed.keep(key, line)
    return line


@lru_cache(maxsize=64)
def _is_ours(path: str) -> bool:
    return Path(path).is_relative_to(OUR_TEMPLATES)
