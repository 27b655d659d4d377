"""How often one person may ask for pages, and act by forms. Asked before anything is read or rendered."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template import TemplateDoesNotExist
from django.utils.translation import gettext as _

from chat.services import limits

View = Callable[..., HttpResponse]


def limited(view: View) -> View:
    """Answer a signed-in person who asks too often with 429 and ``Retry-After``: by the site's ``429.html``, or by a
    line of text where it has none."""

    @wraps(view)
    def wrapped(request: HttpRequest, *args: Any, **options: Any) -> HttpResponse:
        if request.user.is_authenticated:
            is_act = request.method not in ("GET", "HEAD")
            if wait_s := limits.page_wait_s(str(request.user.pk), is_act=is_act):
                return _too_many(request, wait_s)
        return view(request, *args, **options)

    return wrapped


def _too_many(request: HttpRequest, wait_s: float) -> HttpResponse:
    try:
        answer = render(request, "429.html", status=429)
    except TemplateDoesNotExist:
        answer = HttpResponse(
            _("That was too fast. Wait a moment."), status=429, content_type="text/plain; charset=utf-8"
        )
    answer["Retry-After"] = str(int(wait_s) + 1)
    return answer
