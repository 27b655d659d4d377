"""The code that shows that whoever sets up the site can read its log. Asked for where strangers may come first."""

import ipaddress

from allauth.core import ratelimit
from django.conf import settings
from django.http import HttpRequest
from django.http.request import split_domain_port
from django.utils.crypto import constant_time_compare, salted_hmac

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""32 signs without I, L, O and U; those typed all the same are read as what they look like."""
LOOKALIKES = str.maketrans("ILO", "110", " -")
CHARS = 12
"""60 bits. Ten thousand guesses a second, more than a site answers, find it within a year once in 3.6 million times. So
no limit has to stand before the right code, which strangers could use up and lock the owner out."""
LOCAL_HOSTS = ("localhost", "127.0.0.1", "[::1]")
PROXY_HEADERS = ("HTTP_FORWARDED", "HTTP_X_FORWARDED_", "HTTP_X_REAL_IP", "HTTP_VIA")


def code() -> str:
    """Derived from ``SECRET_KEY``, so every process and every restart names the same one."""
    digest = salted_hmac("project.accounts.setup_code", "first owner", algorithm="sha256").digest()
    signs = "".join(ALPHABET[byte % len(ALPHABET)] for byte in digest[:CHARS])
    return "-".join(signs[at : at + 4] for at in range(0, CHARS, 4))


def is_needed(request: HttpRequest) -> bool:
    """Whether ``request`` may come from somebody other than who started the site.

    Only what surely comes from this machine goes without: the site listens on loopback, without TLS in front, the
    browser asked for a local name (a page of somebody else's can't, whatever its name resolves to), and nothing
    tells of a proxy or a tunnel.
    """
    host, _ = split_domain_port(request.get_host())
    return not (
        _is_loopback(settings.HOST)
        and not settings.HTTPS
        and host in LOCAL_HOSTS
        # HOST says nothing of a daphne that was started with a --bind of its own.
        and _is_loopback(request.META.get("REMOTE_ADDR") or "")
        and not _comes_through_proxy(request)
    )


def _comes_through_proxy(request: HttpRequest) -> bool:
    """Whether anything tells of one. nginx told no more than ``proxy_pass`` sends a local ``Host`` and no header of a
    proxy's; but it speaks HTTP/1.0, or closes each connection, which no browser does."""
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
    """Count one wrong guess of this address. Without an answer of the cache it was one too many."""
    return bool(ratelimit.consume(request, action="setup_code"))


def _is_loopback(address: str) -> bool:
    if address == "localhost":
        return True
    try:
        return ipaddress.ip_address(address.strip("[]")).is_loopback
    except ValueError:
        return False
