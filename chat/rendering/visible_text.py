"""What can be seen of a text."""

import unicodedata

UNSEEN = ("Cc", "Cf")
FILLERS = "\u115f\u1160\u2800\u3164\uffa0"
"""Letters and signs that are drawn as nothing."""


def is_blank(text: str) -> bool:
    """Whether nothing of it can be seen: nobody could tell such a name, or click on it."""
    return all(
        unicodedata.category(each)[0] in "ZM" or unicodedata.category(each) in UNSEEN or each in FILLERS
        for each in text
    )
