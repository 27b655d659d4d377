"""Parameters of an address or a form, read without trusting them."""

from django.http import HttpRequest, QueryDict

DIGITS = 6
TICKED_AT_MOST = 100
"""Most people that one form may add. For each of them the room changes once, and everybody in it is told."""


def search_of(fields: QueryDict) -> str:
    return fields.get("q", "").strip()


def page_of(fields: QueryDict) -> int:
    """The number of the page asked for; 1 if there is none, if it is nonsense, or if the search has changed."""
    text = fields.get("page", "")
    is_number = text.isascii() and text.isdigit() and len(text) <= DIGITS
    return max(1, int(text)) if is_number and not _is_new_search(fields) else 1


def asks_for_list(fields: QueryDict) -> bool:
    """Whether a form that holds a list to tick was sent to search it or to turn its page (chat/_person_picker.html).

    The Enter key presses a form's first button, ``enter``. After a change in the search field it means: search.
    """
    action = fields.get("action")
    return "page" in fields or action == "search" or (action == "enter" and _is_new_search(fields))


def users_of(request: HttpRequest) -> list[str]:
    """The ids of the ticked people, each once."""
    fields = request.POST if request.method == "POST" else request.GET
    return list(dict.fromkeys(each for each in fields.getlist("user") if each))


def query(**fields: str | int | list[str]) -> str:
    """``?…`` with the fields that are not empty."""
    made = QueryDict(mutable=True)
    for name, value in fields.items():
        if value:
            made.setlist(name, [str(each) for each in value] if isinstance(value, list) else [str(value)])
    return f"?{made.urlencode()}" if made else ""


def _is_new_search(fields: QueryDict) -> bool:
    return "searched" in fields and fields.get("searched", "").strip() != search_of(fields)
