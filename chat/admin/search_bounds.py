"""Limits on searches in the admin: SQLite takes no LIKE of 50,000 bytes, PostgreSQL no U+0000."""

from typing import Any

from django.contrib import admin
from django.contrib.admin import helpers
from django.core.exceptions import BadRequest, ValidationError
from django.db import DataError
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse

FIELD_CHARS = 1_000
"""Longest search, filter or other parameter in a list's URL. More words than fit would be too many for one query."""


class BoundedAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Answers a search that the database can't run with 400. The host's own models may use it too."""

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        for _name, values in request.GET.lists():
            for value in values:
                _check(str(value))
        for key in request.POST.getlist(helpers.ACTION_CHECKBOX_NAME):
            try:
                self.opts.pk.run_validators(self.opts.pk.to_python(key))
            except ValidationError:
                raise BadRequest("A row that can't be.") from None
        try:
            return super().changelist_view(request, extra_context)
        except (OverflowError, DataError):  # a number in the URL is too large
            raise BadRequest("Out of range.") from None

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        _check(search_term)  # autocomplete fields get here without `changelist_view`
        return super().get_search_results(request, queryset, search_term)


def _check(text: str) -> None:
    if len(text) > FIELD_CHARS or "\x00" in text:
        raise BadRequest("A field of the address can't be looked for.")
