"""The set-up code proves that a person can read the site's log: anybody else might come to a new site first.

It is asked of everybody. A forwarder of bare TCP makes a stranger's request look exactly like one of this machine.
"""

from allauth.core.internal import ratelimit
from django.http import HttpRequest
from django.urls import reverse
from django.utils.crypto import constant_time_compare, salted_hmac

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""32 characters without I, L, O and U. If I, L or O is typed, it is read as the digit that it looks like."""
LOOKALIKES = str.maketrans("ILO", "110", " -")
CHARS = 12
"""60 bits. At ten thousand guesses a second, more than a site answers, the chance to find it within a year is 1 in 3.6
million. So the right code needs no rate limit, which strangers could exhaust to lock the owner out."""


def code() -> str:
    """Derive the code from ``SECRET_KEY``, so that it is the same in every process and after every restart."""
    digest = salted_hmac("project.accounts.setup_code", "first owner", algorithm="sha256").digest()
    signs = "".join(ALPHABET[byte % len(ALPHABET)] for byte in digest[:CHARS])
    return "-".join(signs[at : at + 4] for at in range(0, CHARS, 4))


def link(address: str = "") -> str:
    """The address of the set-up with the code in it; a path alone without the site's ``address``."""
    return f"{address}{reverse('setup')}?code={code()}"


def is_right(given: str) -> bool:
    typed = given.upper().translate(LOOKALIKES)
    return constant_time_compare(typed, code().replace("-", ""))


def may_go_on(request: HttpRequest) -> bool:
    """Count a wrong guess of this address. False if it is past the limit, or if the cache can't be locked to count."""
    # A link with a code in it is a guess as well.
    return bool(ratelimit.consume(request, app="allauth.account", action="setup_code", limit_get=True))
