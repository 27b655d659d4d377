"""Whether there is anything to see in a text."""

import unicodedata

UNSEEN = ("Cc", "Cf")
FILLERS = "\u115f\u1160\u2800\u3164\uffa0"
"""Letters and symbols that are drawn as blank space."""


def is_blank(text: str) -> bool:
    """Whether nothing of ``text`` can be seen: nobody could recognise such a name, or click on it."""
    return all(
        unicodedata.category(each)[0] in "ZM" or unicodedata.category(each) in UNSEEN or each in FILLERS
        for each in text
    )
