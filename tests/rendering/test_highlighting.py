"""Code colours: the text survives, the style sheet is in step, hostile code costs no more than a long honest one."""

import time
from html import unescape
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import chat
from chat.rendering import highlighting, markdown

LEXERS = sorted(set(highlighting.LANGUAGES.values()))
CODE = st.lists(
    st.sampled_from([*"(){}[]<>\"'`/*#$&|;:=.,@!%\\-+ \n\t", "a", "1", "é", "def ", "class ", "//", '"""', "${", "<a "])
)


@given(st.one_of(CODE.map("".join), st.text(max_size=60)), st.sampled_from(LEXERS))
@settings(max_examples=300, deadline=None)
def test_colours_leave_the_text_as_it_was(code, lexer):
    html = highlighting.spans(code, lexer)
    for name in highlighting.classes():
        html = html.replace(f'<span class="{name}">', "")
    assert (
        unescape(html.replace("</span>", "")).replace("\r", "\n") == unescape(code.replace("\r", "\n")) or "&" in code
    )


@pytest.mark.parametrize("lexer", LEXERS)
def test_each_language_gets_colours(lexer):
    samples = {"json": '{"a": 1}', "html": "<b>x</b>", "xml": "<b>x</b>", "css": "a { color: red }", "diff": "+a\n-b"}
    code = samples.get(lexer, '# a = "x"\nif (x) { return "s"; } // 1\nselect 1;\n[a]\nkey: 1\n"s"\n')
    assert "<span" in highlighting.spans(code, lexer)


@pytest.mark.alone
@pytest.mark.parametrize("lexer", LEXERS)
@pytest.mark.parametrize(
    "unit",
    [
        "\n",
        " ",
        "\t",
        "a ",
        "a\n",
        "a?",
        "a.",
        "x y z\n",
        '"\\',
        "'",
        "(",
        "{",
        "/*",
        "<a",
        "<!--",
        "&",
        "$(",
        "=",
        "A<",
        "- ",
    ],
)
def test_hostile_code_is_bounded(lexer, unit):
    honest = "".join(f'value_{n} = compute("text {n}", {n}) + other[{n}]; // note\n' for n in range(80))
    least = _cpu_s(honest[: markdown.HIGHLIGHT_CHARS], lexer)
    assert _cpu_s("a" + (unit * markdown.HIGHLIGHT_CHARS)[: markdown.HIGHLIGHT_CHARS], lexer) < 10 * least + 0.1


def test_code_with_endless_blanks_or_lines_gets_no_colours():
    for code in ("if" + "\n" * 100, "x = 1;" * 200, "a b " * 200):
        assert "<span" not in highlighting.spans(code, "c")


def test_the_static_style_sheet_matches_the_generated_one():
    sheet = Path(chat.__path__[0]) / "static/chat/css/code.css"
    assert sheet.read_text() == markdown.highlight_css(), (
        "write markdown.highlight_css() to chat/static/chat/css/code.css"
    )


def test_every_class_has_a_colour_by_day_and_by_night():
    sheet = markdown.highlight_css()
    for name in highlighting.classes():
        (rule,) = [line for line in sheet.splitlines() if f"code .{name} " in line.replace(",", " ")]
        assert "color: light-dark(" in rule


def _cpu_s(code: str, lexer: str) -> float:
    """The less of two runs in seconds of this thread's CPU time."""
    best = float("inf")
    for _ in range(2):
        started = time.thread_time()
        highlighting.spans(code, lexer)
        best = min(best, time.thread_time() - started)
    return best
