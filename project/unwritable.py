"""What a person is told when the database can't do right now what they asked for."""

import sys

from django.db import Error
from django.http import HttpRequest, HttpResponse
from django.template import loader
from django.views.defaults import server_error

from chat.models.database_errors import is_unavailable

RETRY_AFTER_S = 10


def answer(request: HttpRequest) -> HttpResponse:
    """The page for an unexpected error (``handler500``): 503 where it is the database's and will pass."""
    error = sys.exception()
    if not isinstance(error, Error) or not is_unavailable(error):
        return server_error(request)
    # Without the request, for what a page asks of it comes from the database.
    page = loader.get_template("503.html").render({"was_sent": request.method == "POST"})
    return HttpResponse(page, status=503, headers={"Retry-After": str(RETRY_AFTER_S)})
