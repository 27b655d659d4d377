"""Which spellings of a name are the same name, in every script and on every database."""

from unicodedata import normalize

import pytest

from chat.rendering.name_keys import CHARS, name_key

SAME = [
    ("Ana", "ANA"),
    ("Ärger", "ärger"),
    ("Özgür", "ÖZGÜR"),
    ("josé", normalize("NFD", "JOSÉ")),
    ("γιώργος", "ΓΙΏΡΓΟΣ"),
    ("Дмитрий", "дМИТРИЙ"),
    ("Գևորգ", "գԵՒՈՐԳ".replace("ԵՒ", "և")),
    ("ნინო", "ᲜᲘᲜᲝ"),
    ("ꭰꮳ", "ᎠᏣ"),
    ("İnci", "inci"),
    ("ISIL", "isil"),
    ("ẞ", "ß"),
    ("ｆｕｌｌ", "full"),
    ("ﬁn", "FIN"),
    ("ᾈ", "ᾀ"),
]
APART = [("weiß", "weiss"), ("ısıl", "isil"), ("İnci", "ınci"), ("jose", "josé"), ("ana", "anа")]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_spellings_that_people_take_for_the_same_have_one_key(one: str, other: str) -> None:
    assert one != other
    assert name_key(one) == name_key(other)


@pytest.mark.parametrize(("one", "other"), APART)
def test_other_names_have_other_keys(one: str, other: str) -> None:
    assert name_key(one) != name_key(other)


def test_every_character_has_a_key_that_is_its_own_key_and_fits() -> None:
    for point in (*range(0xD800), *range(0xE000, 0x20000)):
        key = name_key(chr(point))
        assert name_key(key) == key, f"U+{point:04X}"
    assert len(name_key("\ufdfa" * CHARS)) == CHARS
