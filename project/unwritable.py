"""The error page for a database that is unavailable at the moment."""

import sys

from django.db import Error
from django.http import HttpRequest, HttpResponse
from django.template import loader
from django.views.defaults import server_error

from chat.models.database_errors import is_unavailable

RETRY_AFTER_S = 10


def answer(request: HttpRequest) -> HttpResponse:
    """The site's ``handler500``. It answers 503 instead if the database is temporarily unavailable."""
    error = sys.exception()
    if not isinstance(error, Error) or not is_unavailable(error):
        return server_error(request)
    # Render without the request: its context processors would read the database.
    page = loader.get_template("503.html").render({"was_sent": request.method == "POST"})
    return HttpResponse(page, status=503, headers={"Retry-After": str(RETRY_AFTER_S)})
