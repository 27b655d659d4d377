"""The set-up code proves that a person can read the site's log. It is needed where a stranger might come first."""

import ipaddress

from allauth.core import ratelimit
from django.conf import settings
from django.http import HttpRequest
from django.http.request import split_domain_port
from django.utils.crypto import constant_time_compare, salted_hmac

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""32 characters without I, L, O and U. If I, L or O is typed, it is read as the digit that it looks like."""
LOOKALIKES = str.maketrans("ILO", "110", " -")
CHARS = 12
"""60 bits. At ten thousand guesses a second, more than a site answers, the chance to find it within a year is 1 in 3.6
million. So the right code needs no rate limit, which strangers could exhaust to lock the owner out."""
LOCAL_HOSTS = ("localhost", "127.0.0.1", "[::1]")
PROXY_HEADERS = ("HTTP_FORWARDED", "HTTP_X_FORWARDED_", "HTTP_X_REAL_IP", "HTTP_VIA")


def code() -> str:
    """Derive the code from ``SECRET_KEY``, so that it is the same in every process and after every restart."""
    digest = salted_hmac("project.accounts.setup_code", "first owner", algorithm="sha256").digest()
    signs = "".join(ALPHABET[byte % len(ALPHABET)] for byte in digest[:CHARS])
    return "-".join(signs[at : at + 4] for at in range(0, CHARS, 4))


def is_needed(request: HttpRequest) -> bool:
    """Whether ``request`` may come from somebody other than the person who started the site.

    Only a request that surely comes from this machine needs no code: the site listens on loopback without TLS in front,
    the browser asked for a local name (another site's page can't, whatever its name resolves to), and nothing indicates
    a proxy or a tunnel.
    """
    host, _ = split_domain_port(request.get_host())
    return not (
        _is_loopback(settings.HOST)
        and not settings.HTTPS
        and host in LOCAL_HOSTS
        # HOST is not what daphne listens on if it was started with another --bind.
        and _is_loopback(request.META.get("REMOTE_ADDR") or "")
        and not _comes_through_proxy(request)
    )


def _comes_through_proxy(request: HttpRequest) -> bool:
    """Whether anything indicates a proxy. nginx with only ``proxy_pass`` sends a local ``Host`` and no proxy headers,
    but it speaks HTTP/1.0 or closes each connection, which no browser does."""
    spoken = getattr(request, "scope", {}).get("http_version") or request.META.get("SERVER_PROTOCOL", "")
    return (
        any(name.startswith(PROXY_HEADERS) for name in request.META)
        or spoken.endswith("1.0")
        or request.META.get("HTTP_CONNECTION", "").lower() == "close"
    )


def is_right(given: str) -> bool:
    typed = given.upper().translate(LOOKALIKES)
    return constant_time_compare(typed, code().replace("-", ""))


def may_go_on(request: HttpRequest) -> bool:
    """Count a wrong guess of this address. False if it is past the limit, or if the cache can't be locked to count."""
    return bool(ratelimit.consume(request, action="setup_code"))


def _is_loopback(address: str) -> bool:
    if address == "localhost":
        return True
    try:
        return ipaddress.ip_address(address.strip("[]")).is_loopback
    except ValueError:
        return False
