"""What can be seen of a name, and names without what plays tricks on those who read them.

Source: Unicode Technical Report 36 (Security Considerations), sections 2.9 and 3.5.
"""

import re
import unicodedata

UNSEEN = ("Cc", "Cf")
FILLERS = "\u115f\u1160\u2800\u3164\uffa0"
"""Letters and symbols that are drawn as blank space."""
MARKS_AT_MOST = 4
"""Combining marks on one letter. Hebrew, Thai and Vietnamese take three; stacks of them cover the lines around."""
_JOINERS = "\u200c\u200d"
"""They join or part the letters of Persian and of Indian scripts, and the parts of an emoji. Anywhere else they only
make two names look alike."""
_JOINED_SCRIPTS = frozenset(
    (
        *("ARABIC", "BENGALI", "DEVANAGARI", "GUJARATI", "GURMUKHI", "KANNADA", "KHMER", "MALAYALAM", "MONGOLIAN"),
        *("MYANMAR", "ORIYA", "SINHALA", "SYRIAC", "TAMIL", "TELUGU", "TIBETAN"),
    )
)
"""As the first words of Unicode's character names."""
_FLAG = re.compile("\U0001f3f4[\U000e0020-\U000e007e]{1,8}\U000e007f")
"""A flag such as that of Wales, spelt in signs that are unseen elsewhere."""


def is_blank(text: str) -> bool:
    """Whether nothing of ``text`` can be seen: nobody could recognise such a name, or click on it."""
    return all(
        unicodedata.category(each)[0] in "ZM" or unicodedata.category(each) in UNSEEN or each in FILLERS
        for each in text
    )


def tidied(name: str) -> str:
    """``name`` without control characters, direction overrides, zero-width signs and stacks of marks.

    Runs of white space become one space. What letters and emoji need to be drawn stays.
    """
    if name.isascii() and name.isprintable():
        return " ".join(name.split())
    parts = _FLAG.split(name)
    flags = [*_FLAG.findall(name), ""]
    return " ".join("".join(_tidied(part) + flag for part, flag in zip(parts, flags, strict=True)).split())


def _tidied(text: str) -> str:
    kept: list[str] = []
    marks = 0
    for place, char in enumerate(text):
        kind = unicodedata.category(char)
        if kind in ("Mn", "Me"):
            marks += 1
            if marks > MARKS_AT_MOST:
                continue
        elif char in _JOINERS:
            if not (kept and _takes_joiner(kept[-1]) and _takes_joiner(text[place + 1 : place + 2])):
                continue
        elif kind in UNSEEN and not char.isspace():
            continue
        else:
            marks = 0
        kept.append(char)
    return "".join(kept)


def _takes_joiner(char: str) -> bool:
    """Whether a joiner may stand beside ``char``: a letter or mark of a script that has them, or a part of an emoji."""
    if not char or char.isascii():
        return False
    script = unicodedata.name(char, "").partition(" ")[0]
    return script in _JOINED_SCRIPTS or unicodedata.category(char) in ("So", "Sk", "Mn")
