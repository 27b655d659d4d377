"""Links in mail lead to the site as ``ALLOWED_HOSTS`` names it, whatever host the request named.

Anybody can ask for another's mail, and chooses the ``Host`` header: a pattern such as ``*`` or ``.example.com`` would
let them choose where a link for a new password leads.
"""

from typing import Any
from urllib.parse import urlsplit

from django.conf import settings


def to_this_site(context: dict[str, Any]) -> dict[str, Any]:
    """The context of a mail with the host of each ``…_url`` corrected."""
    return {name: _corrected(value) if name.endswith("_url") and value else value for name, value in context.items()}


def _corrected(url: str) -> str:
    """Return ``url`` at a host that is written out in ``ALLOWED_HOSTS``: its own, or else the first.

    Where there are only patterns, the host stays. Over HTTPS, a port stays if ``CSRF_TRUSTED_ORIGINS`` has it.
    """
    parts = urlsplit(str(url))
    if not parts.netloc:
        return str(url)
    names = [each.lower() for each in settings.ALLOWED_HOSTS if each != "*" and not each.startswith(".")]
    own = parts.netloc.rpartition(":")[0] if parts.port is not None else parts.netloc
    host = own.lower() if own.lower() in names or not names else names[0]
    port = f":{parts.port}" if parts.port is not None and host == own.lower() else ""
    if parts.scheme == "https" and f"https://{host}{port}" not in settings.CSRF_TRUSTED_ORIGINS:
        port = ""
    return parts._replace(netloc=host + port).geturl()
