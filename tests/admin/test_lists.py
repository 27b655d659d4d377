"""Lists are bounded and say so: no page counts a whole table, or skips through it row by row."""

import re
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from chat.admin import lists
from chat.models import Room
from chat.services import rooms, tokens
from tests.admin.pages import url
from tests.cast import say

KINDS = ("message", "membership", "room", "token")


@pytest.fixture
def five(ana: Any, ben: Any, lobby: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    """Five rows or more of each kind, on pages of two, of which only the first two can be opened."""
    for number in range(5):
        say(ana if number else ben, lobby, f"word {number}")
        rooms.create(by=ana, name=f"Room {number}")
        tokens.issue(by=ana, user=ana, name=f"token {number}")
    monkeypatch.setattr("chat.admin.base.ChatAdmin.list_per_page", 2)
    monkeypatch.setattr(lists, "LISTED_AT_MOST", 4)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("number", [2, 3, 99_999, 10**30])
def test_the_last_page_says_that_there_are_more_rows_and_answers_later_numbers_too(
    olga: Client, five: None, kind: str, number: int
) -> None:
    with CaptureQueriesContext(connection) as captured:
        page = olga.get(f"{url(kind, 'changelist')}?p={number}")
    assert page.status_code == 200
    shown = page.context["cl"]
    assert (shown.page_num, len(shown.result_list)) == (2, 2)
    text = page.content.decode()
    assert "4+" in text
    assert "The list ends after 4 entries. Filter or search to find others." in text
    # Django 5.2 and 6.1 mark it differently.
    assert re.findall(r'(?:class="this-page"|aria-current="page")>(\d+)', text) == ["2"]
    read = [each["sql"] for each in captured if f'FROM "chat_{kind}"' in each["sql"] and "LIMIT" in each["sql"]]
    bounds = [int(each) for sql in read for each in re.findall(r"(?:LIMIT|OFFSET) (\d+)", sql)]
    assert bounds == [5, 2, 2], "the count, then the page"


@pytest.mark.parametrize("kind", KINDS)
def test_a_complete_list_does_not_say_that_it_ends_early(
    olga: Client, five: None, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lists, "LISTED_AT_MOST", 100)
    page = olga.get(f"{url(kind, 'changelist')}?p=99999")
    shown = page.context["cl"]
    assert shown.page_num == shown.paginator.num_pages > 2
    assert "The list ends" not in page.content.decode()


def test_a_row_past_the_end_of_the_list_is_found_by_a_filter_or_a_number(olga: Client, five: None, lobby: Room) -> None:
    for query in ("q=%231&room=lobby", "person=ben&room=lobby", "person=ben"):
        page = olga.get(f"{url('message', 'changelist')}?{query}")
        assert [each.number for each in page.context["cl"].result_list] == [1]


@pytest.mark.parametrize("number", [0, -1])
def test_a_page_number_below_one_shows_the_first_page(olga: Client, five: None, number: int) -> None:
    page = olga.get(f"{url('message', 'changelist')}?p={number}")
    assert page.context["cl"].page_num == 1
    assert [each.number for each in page.context["cl"].result_list] == [5, 4]
