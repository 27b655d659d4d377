"""Names as they are shown: nothing unseen, nothing that turns or covers the text around it, and every script whole."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat.rendering.visible_text import MARKS_AT_MOST, is_blank, tidied


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("invoice\u202egnp.exe", "invoicegnp.exe"),
        ("\u2066ana\u2069", "ana"),
        ("a\u200bn\u200ca\ufeff\u2060\u00ad", "ana"),
        ("ana\u200d", "ana"),
        ("an\u200fa\u061c", "ana"),
        ("ana\ue007f\U000e0061\U000e007f", "ana\ue007f"),
        ("Z" + "\u0336" * 30 + "o", "Z" + "\u0336" * MARKS_AT_MOST + "o"),
        ("a\tb\n c\u3000d", "a b c d"),
        ("a\x07b", "ab"),
        ("  ", ""),
        ("\u202e\u200b", ""),
    ],
)
def test_what_plays_tricks_is_left_out(given: str, shown: str) -> None:
    assert tidied(given) == shown


@pytest.mark.parametrize(
    "name",
    [
        "Zoë Müller",
        "می‌خواهم",
        "क्‍ष",
        "ශ්‍රී ලංකා",
        "שָׁלוֹם",
        "Nguyễn".encode().decode(),
        unicodedata.normalize("NFD", "Nguyễn Ái"),
        "ที่นี่",
        "👩‍💻 team",
        "👨‍👩‍👧",
        "❤️‍🔥",
        "🏳️‍🌈",
        "👍🏽",
        "🏴\U000e0067\U000e0062\U000e0077\U000e006c\U000e0073\U000e007f Cymru",
        "🏴\U000e0067\U000e0062\U000e007f",
        "李雷",
        "c++ & <b>",
    ],
)
def test_every_script_and_every_emoji_stays_whole(name: str) -> None:
    assert tidied(name) == name


@given(st.text(max_size=60))
def test_what_is_tidy_stays_as_it_is_and_holds_nothing_unseen(text: str) -> None:
    shown = tidied(text)
    assert tidied(shown) == shown
    assert not any(
        unicodedata.bidirectional(each) in ("RLO", "LRO", "RLE", "LRE", "PDF", "RLI", "LRI") for each in shown
    )
    assert is_blank(shown) or any(not is_blank(each) for each in shown)
