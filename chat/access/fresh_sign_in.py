"""Whether a session began so recently that its person need not give their password again.

A browser that somebody left open must not be enough for what outlives its session, such as a token.
"""

import time

from django.http import HttpRequest

SESSION_KEY = "chat_signed_in_at"
FRESH_S = 300
"""How long a sign-in, or a password that was asked for again, counts as fresh."""


def note(request: HttpRequest) -> None:
    """Keep in the session that its person has just signed in, or given their password again."""
    request.session[SESSION_KEY] = int(time.time())


def is_fresh(request: HttpRequest) -> bool:
    since: float = request.session.get(SESSION_KEY, 0)
    return 0 <= time.time() - since < FRESH_S
