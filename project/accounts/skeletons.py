"""User names that look the same. Two of which a reader would take one for the other are not both given.

Source: Unicode Technical Standard 39 (Security Mechanisms), section 4; the data are those of confusable_homoglyphs.
"""

from functools import cache
from itertools import islice
from typing import Any
from unicodedata import normalize

from confusable_homoglyphs.utils import load
from django.contrib.auth import get_user_model
from django.db import transaction
from django.db.models import Exists, OuterRef

from chat.rendering.name_keys import name_key
from project.accounts.models import NameSkeleton

PEOPLE_PER_QUERY = 200
LONGEST = 150
DIRECTION = "\u200e"
"""The data put it around letters that are written from right to left."""


def skeletons(name: str) -> set[str]:
    """What ``name`` looks like. Names that have one in common look the same, or are the same but for letter case.

    As it is spelt, with a mark before it: "Ian" looks like "lan", and so is taken from it, but not from "Lan". Without
    regard to case: only letters of other alphabets are replaced, so that "ΟΡΕ" in Greek is "ope".
    """
    foreign = "".join(each if each.isascii() else _skeleton(each) for each in normalize("NFD", name))
    return {f"={_skeleton(name)}"[:LONGEST], name_key(foreign), name_key(_skeleton(name_key(name)))}


def is_taken(name: str, *, besides: Any = None) -> bool:
    """Whether another person than ``besides`` has a user name that is or looks the same."""
    found = NameSkeleton.objects.filter(skeleton__in=skeletons(name))
    return (found if besides is None else found.exclude(user_id=besides.pk)).exists()


def keep(person: Any) -> None:
    """Store what the user name of ``person`` looks like. Harmless when repeated."""
    wanted = skeletons(person.get_username())
    with transaction.atomic():
        rows = NameSkeleton.objects.filter(user=person)
        if set(rows.values_list("skeleton", flat=True)) != wanted:
            rows.delete()
            NameSkeleton.objects.bulk_create(_rows(person), ignore_conflicts=True)


def fill() -> None:
    """Do the same for all who have none: accounts of an older version, or made without Django's signals."""
    people = get_user_model()._base_manager.exclude(Exists(NameSkeleton.objects.filter(user=OuterRef("pk"))))
    without = people.order_by("pk").iterator(PEOPLE_PER_QUERY)
    while some := list(islice(without, PEOPLE_PER_QUERY)):
        NameSkeleton.objects.bulk_create([row for each in some for row in _rows(each)], ignore_conflicts=True)


def _rows(person: Any) -> list[NameSkeleton]:
    return [NameSkeleton(user=person, skeleton=each) for each in sorted(skeletons(person.get_username()))]


def _skeleton(name: str) -> str:
    prototypes = _prototypes()
    return normalize("NFKC", "".join(prototypes.get(each, each) for each in normalize("NFD", name)))


@cache
def _prototypes() -> dict[str, str]:
    """What each character looks like. The data list pairs both ways; a prototype is the one that many look like."""
    alike = {
        text.strip(DIRECTION): [each["c"].strip(DIRECTION) for each in others]
        for text, others in load("confusables.json").items()
    }
    return {
        char: others[0]
        for char, others in alike.items()
        if len(char) == len(others) == 1 and _is_prototype(others[0], of=char, alike=alike)
    }


def _is_prototype(text: str, *, of: str, alike: dict[str, list[str]]) -> bool:
    return len(text) > 1 or len(alike[text]) > 1 or text < of
