"""Lists that do not slow down as tables grow: bounded counts and pages, and filters with a text field."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.core.paginator import EmptyPage, Paginator
from django.db import DataError
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.functional import cached_property
from django.utils.translation import gettext_lazy as _

from chat.access import lookup
from chat.admin.search_bounds import BoundedAdmin
from chat.models import Room

LISTED_AT_MOST = 10_000
"""Rows that can be reached. For each page, the database counts them, and skips row by row those before the page."""
SCANNED_AT_MOST = 50_000
"""The newest rows, which a filter or a search without an index looks at. They take about 30 ms."""


class AtLeast(int):
    """A count that stopped at its limit, shown as "10000+"."""

    def __str__(self) -> str:
        return f"{int(self)}+"


class BoundedPaginator(Paginator):  # type: ignore[type-arg]
    """Its last page ends with the 10,000th row. A page number past the last page means the last page."""

    @cached_property
    def count(self) -> int:
        rows: Any = self.object_list
        found = rows.order_by()[: LISTED_AT_MOST + 1].count()
        return found if found <= LISTED_AT_MOST else AtLeast(LISTED_AT_MOST)

    def validate_number(self, number: Any) -> int:
        try:
            return super().validate_number(number)
        except EmptyPage:
            return 1 if int(number) < 1 else self.num_pages


class BoundedChangeList(ChangeList):
    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        self.page_num = self.paginator.validate_number(self.page_num)  # the page that is shown

    @property
    def ends_after(self) -> int | None:
        """How many rows are listed if there are more; otherwise None."""
        return int(self.result_count) if isinstance(self.result_count, AtLeast) else None


class BoundedListAdmin(BoundedAdmin):
    """Its list does not slow down as the table grows, and says where it ends."""

    paginator = BoundedPaginator
    show_full_result_count = False
    change_list_template = "chat/admin/change_list.html"

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return BoundedChangeList


def newest(queryset: QuerySet[Any]) -> QuerySet[Any]:
    """The rows of ``queryset`` among the newest 50,000 of the table, for conditions without an index."""
    top = queryset.model._default_manager.order_by("-pk").values_list("pk", flat=True).first() or 0
    return queryset.filter(pk__gt=top - SCANNED_AT_MOST)


def room_called(text: str) -> Room | None:
    """The room with this id or short name."""
    text = text.strip().replace("\x00", "")
    return Room.objects.filter(pk=lookup.key(text)).first() or Room.objects.filter(slug=text).first()


def person_called(text: str) -> Model | None:
    """The person with this id or user name."""
    text = text.strip().replace("\x00", "")
    people = get_user_model()._default_manager
    by_name = people.filter(**{f"{get_user_model().USERNAME_FIELD}__iexact": text})
    try:
        return people.filter(pk=text).first() or by_name.first()
    except (ValueError, OverflowError, ValidationError, DataError):  # the text can't be a key
        return by_name.first()


class TypedFilter(admin.SimpleListFilter):
    """A filter with a text field, because a list of all rooms or people could be endless."""

    template = "chat/admin/typed_filter.html"
    hint: Any = ""
    field: str

    def __init__(self, request: Any, params: Any, model: Any, model_admin: Any):
        super().__init__(request, params, model, model_admin)
        own = (self.parameter_name, "p", "e")
        self.others = [(name, value) for name, value in request.GET.items() if name not in own]

    def lookups(self, request: Any, model_admin: Any) -> Any:
        return ()

    def has_output(self) -> bool:
        return True

    def find(self, text: str) -> Model | None:
        raise NotImplementedError

    def queryset(self, request: Any, queryset: QuerySet[Any]) -> QuerySet[Any]:
        text = self.value()
        if not text:
            return queryset
        found = self.find(text)
        return queryset.filter(**{self.field: found}) if found else queryset.none()

    def choices(self, changelist: Any) -> Iterator[Any]:
        yield {
            "value": self.value() or "",
            "others": self.others,
            "clear": changelist.get_query_string(remove=[self.parameter_name]),
        }


class RoomFilter(TypedFilter):
    title = _("room")
    parameter_name = "room"
    hint = _("Id or short name")
    field = "room"

    def find(self, text: str) -> Model | None:
        return room_called(text)


class PersonFilter(TypedFilter):
    title = _("person")
    parameter_name = "person"
    hint = _("Id or user name")
    field = "user"

    def find(self, text: str) -> Model | None:
        return person_called(text)


class AuthorFilter(PersonFilter):
    title = _("author")
    field = "author"


def short_moment(at: datetime) -> str:
    """A date and time for a narrow column, with the year only if it is not this one."""
    at = timezone.localtime(at)
    return date_format(at, "j M H:i" if at.year == timezone.localdate().year else "j M Y H:i")


def excerpt(text: str, characters: int = 80) -> str:
    """The beginning of a text on one line."""
    line = " ".join(text[: 2 * characters].split())
    return line if len(line) <= characters else line[: characters - 1] + "…"
