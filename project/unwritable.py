"""What a person is told when what they sent can't be stored."""

import sys

from django.db import Error, InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.template import loader
from django.views.defaults import server_error

RETRY_AFTER_S = 10
SQLITE_CODES = {3, 5, 6, 8, 10, 13, 14}
"""SQLITE_PERM, BUSY, LOCKED, READONLY, IOERR, FULL, CANTOPEN."""
SQLSTATES = ("08", "25006", "25P03", "40", "53", "55P03", "57", "58")
"""How PostgreSQL's codes begin for: no connection, read-only, ended while idle, deadlock, disk or memory full, locked,
shutting down, failed input or output."""


def answer(request: HttpRequest) -> HttpResponse:
    """The page for an unexpected error (``handler500``): 503 where it is the database's and will pass."""
    if not is_unwritable(sys.exception()):
        return server_error(request)
    page = loader.get_template("503.html").render()  # without a request: it reads no database
    return HttpResponse(page, status=503, headers={"Retry-After": str(RETRY_AFTER_S)})


def is_unwritable(error: BaseException | None) -> bool:
    """Whether the database can't be written, or can't be reached, for a reason that is not in the code."""
    if not isinstance(error, Error):
        return False
    cause = error.__cause__
    if (code := getattr(cause, "sqlite_errorcode", None)) is not None:
        return (code & 0xFF) in SQLITE_CODES
    if (state := getattr(cause, "sqlstate", None)) is not None:
        return bool(state.startswith(SQLSTATES))
    return isinstance(error, OperationalError | InterfaceError)  # not even connected
