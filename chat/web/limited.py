"""How often one person may ask for pages, and act by forms. Asked before anything is read or rendered."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template import TemplateDoesNotExist

from chat.services import limits
from chat.web import fair_pages

View = Callable[..., HttpResponse]


def limited(view: View) -> View:
    """Answer a signed-in person who asks too often with 429 and ``Retry-After``: by the site's ``429.html``, or by a
    line of text where it has none, or where the person goes on.

    The chat's own views have it. A site that has it among its middleware, after the one that authenticates, limits all
    its pages; a request for a page of the chat is counted once all the same.
    """

    @wraps(view)
    def wrapped(request: HttpRequest, *args: Any, **options: Any) -> HttpResponse:
        if not request.user.is_authenticated:
            fair_pages.tell(request, None)
        elif not getattr(request, "chat_is_counted", False):
            is_act = request.method not in ("GET", "HEAD")
            user_id = str(request.user.pk)
            wait_s = limits.page_wait_s(user_id, is_act=is_act)
            fair_pages.tell(request, user_id, refused_for_s=wait_s)
            if wait_s:
                return _too_many(request, user_id, wait_s)
            request.chat_is_counted = True  # type: ignore[attr-defined]
        return view(request, *args, **options)

    return wrapped


def _too_many(request: HttpRequest, user_id: str, wait_s: float) -> HttpResponse:
    answer = _page(request) if limits.may_be_shown_refusal(user_id) else None
    if answer is None:
        answer = HttpResponse(fair_pages.TOO_FAST, status=429, content_type="text/plain; charset=utf-8")
    answer["Retry-After"] = str(int(wait_s) + 1)
    return answer


def _page(request: HttpRequest) -> HttpResponse | None:
    try:
        return render(request, "429.html", status=429)
    except TemplateDoesNotExist:
        return None
