"""The pages for 400, 403 and 404: Django's own, rendered in the thread of their request.

Under ASGI, Django renders the page for what a view raised in a thread of asyncio's executor, where nothing closes
connections. So each such page took a second connection, which its thread kept, and after a restart of PostgreSQL kept
as a dead one: from then on these pages failed.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.views import defaults

Page = Callable[[HttpRequest, Exception], HttpResponse]


def ErrorPageMiddleware(get_response: Callable[[HttpRequest], Any]) -> Callable[[HttpRequest], Any]:  # noqa: N802
    """Render the page that the handlers below left to us. It is sync, so it runs in the thread of the request."""

    def answer(request: HttpRequest) -> Any:
        request.renders_error_pages = True  # type: ignore[attr-defined]
        response = get_response(request)
        request.renders_error_pages = False  # type: ignore[attr-defined]
        if page := getattr(response, "error_page", None):
            rendered = page()
            response.content, response["Content-Type"] = rendered.content, rendered["Content-Type"]
        return response

    return answer


def _answer(page: Page, status: int, request: HttpRequest, exception: Exception) -> HttpResponse:
    if not getattr(request, "renders_error_pages", False):
        return page(request, exception)  # an outer middleware raised, in the thread of the request
    response = HttpResponse(status=status)
    response.error_page = partial(page, request, exception)  # type: ignore[attr-defined]
    return response


bad_request = partial(_answer, defaults.bad_request, 400)
permission_denied = partial(_answer, defaults.permission_denied, 403)
page_not_found = partial(_answer, defaults.page_not_found, 404)
