"""The rows of a timeline are printed as the template has them, from what was kept or anew."""

from pathlib import Path
from typing import Any

import pytest
from django.template import Context, engines
from django.template.engine import Engine
from django.utils import translation

from chat.templatetags import chat_timeline
from chat.web.timeline import prototypes

PAGE = "{% load chat_timeline %}{% timeline_rows rows %}"
PLAIN = '{% for row in rows %}{% include "chat/_timeline_row.html" %}{% endfor %}'
MESSAGE = {
    "kind": "message",
    "key": "m1",
    "id": "1",
    "number": 1,
    "classes": "message",
    "author": "ana",
    "href": "/rooms/1/1/",
    "html": "<p>hello</p>",
    "time": "10:00",
    "has_menu": True,
    "reactions": [{"emoji": "👍", "count": 1, "is_mine": False, "label": "👍 1"}],
}


@pytest.fixture(autouse=True)
def nothing_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chat_timeline, "_printed", chat_timeline._Printed())


def printed(rows: list[dict[str, Any]], source: str = PAGE, engine: Any = None, **more: Any) -> str:
    engine = engine or engines["django"].engine
    return str(engine.from_string(source).render(Context({"rows": rows, **more})))


@pytest.mark.parametrize(
    "row",
    [
        MESSAGE,
        {**MESSAGE, "is_target": True},
        {**MESSAGE, "html": "<p>other</p>"},
        {**MESSAGE, "reactions": [{**MESSAGE["reactions"][0], "is_mine": True}]},  # type: ignore[index]
        {"kind": "day", "key": "d", "text": "Monday"},
        {"kind": "unread", "key": "u"},
    ],
)
@pytest.mark.parametrize("embed", [True, False])
def test_a_row_looks_the_same_whether_it_was_kept_or_not(row: dict[str, Any], embed: bool):
    plain = printed([row], PLAIN, embed=embed)
    assert plain.strip()
    for _ in range(2):
        assert printed([MESSAGE, row], embed=embed).endswith(plain)


def test_each_language_has_lines_of_its_own():
    with translation.override("en"):
        assert "Message actions" in printed([MESSAGE])
    with translation.override("de"):
        assert "Message actions" not in printed([MESSAGE])


def test_templates_of_a_host_see_the_whole_page_each_time(tmp_path: Path):
    (tmp_path / "chat").mkdir()
    (tmp_path / "chat" / "_message.html").write_text("{{ row.author }} for {{ reader }}")
    ours = Path(chat_timeline.__file__).parent.parent / "templates"
    libraries = {"chat_timeline": "chat.templatetags.chat_timeline", "i18n": "django.templatetags.i18n"}
    engine = Engine(dirs=[tmp_path, ours], libraries=libraries)
    assert "ana for ben" in printed([MESSAGE], engine=engine, reader="ben")
    assert "ana for cleo" in printed([MESSAGE], engine=engine, reader="cleo")


def test_the_templates_of_scripts_are_printed_once_a_language_and_are_those_of_the_partials():
    for language in ("en", "de"):
        with translation.override(language):
            plain = printed([], '{% include "chat/_templates.html" %}', prototypes=prototypes())
            for _ in range(2):
                assert printed([], "{% load chat_timeline %}{% script_templates %}") == plain
    assert len(chat_timeline._printed._lines) == 2


def test_templates_of_scripts_with_a_partial_of_a_host_are_printed_anew(tmp_path: Path):
    (tmp_path / "chat").mkdir()
    (tmp_path / "chat" / "_alert.html").write_text("for {{ reader }}")
    ours = Path(chat_timeline.__file__).parent.parent / "templates"
    libraries = {"chat_timeline": "chat.templatetags.chat_timeline", "i18n": "django.templatetags.i18n"}
    engine = Engine(dirs=[tmp_path, ours], libraries={**libraries, **engines["django"].engine.libraries})
    for reader in ("ben", "cleo"):
        source = "{% load chat_timeline %}{% script_templates %}"
        assert f"for {reader}" in printed([], source, engine, reader=reader)


def test_what_is_kept_is_bounded(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(chat_timeline, "KEPT", 3)
    for number in range(5):
        printed([{**MESSAGE, "number": number}])
    assert len(chat_timeline._printed._lines) == 3
