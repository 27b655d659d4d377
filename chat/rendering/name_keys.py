"""One key for a name: spellings that people regard as the same name have the same key.

The key is made here and compared as it is, because databases differ: SQLite knows the case of ASCII letters only, and
PostgreSQL's answer depends on the locale it was set up with.
"""

from unicodedata import normalize

CHARS = 150
"""Characters of a key. Longer names that begin with the same ones have the same key."""


def name_key(name: str) -> str:
    """Return the key of ``name``: NFKC, and each character folded to one (Unicode's simple case folding, C and S).

    So ``ß`` stays ``ß`` and is not ``ss``, and the final ``ς`` is ``σ``. The Turkish ``İ`` becomes ``i``, which is its
    small letter; the dotless ``ı`` stays itself, and a plain ``I`` becomes ``i`` as everywhere outside Turkey.

    Source: Unicode Standard, sections 3.13 and 4.2 (CaseFolding.txt).
    """
    if name.isascii():
        return name.lower()[:CHARS]
    folded = "".join(map(_fold, normalize("NFKC", name)))
    return normalize("NFKC", folded)[:CHARS]


def _fold(char: str) -> str:
    if len(folded := char.casefold()) == 1:
        return folded
    # What folds to several characters may have a lower case that is one, as ẞ has.
    return lower if len(lower := char.lower()) == 1 else "i" if char == "İ" else char
