"""Where a request comes from, for limits of those whom nobody knows yet."""

from ipaddress import IPv6Address, ip_address
from typing import Any

from chat.conf import conf


def network_of(scope: Any) -> str:
    """The client's address, or the network of an IPv6 address (/64), of which one client has as many as it likes.

    Empty if it is not known, as behind a Unix socket whose proxy is not named in ``CHAT["TRUSTED_PROXIES"]``.

    Args:
        scope: Of an ASGI request or socket.
    """
    forwarded = b",".join(value for name, value in scope.get("headers", ()) if name == b"x-forwarded-for")
    hops = forwarded.decode("latin1").split(",") if forwarded else []
    is_forwarded = 0 < conf.trusted_proxies <= len(hops)
    address = hops[-conf.trusted_proxies] if is_forwarded else str((scope.get("client") or [""])[0])
    address = _without_port(address.strip())
    try:
        known = ip_address(address)
    except ValueError:
        return address
    if isinstance(known, IPv6Address):
        return str(known.ipv4_mapped) if known.ipv4_mapped else known.packed[:8].hex()
    return str(known)


def _without_port(address: str) -> str:
    """Some proxies write ``192.0.2.1:4711`` and ``[2001:db8::1]:4711``: each connection would be a client by itself."""
    if address.startswith("["):
        return address[1:].partition("]")[0]
    return address.partition(":")[0] if address.count(":") == 1 else address
