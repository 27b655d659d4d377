"""What a server accepts, and from whom."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Network = IPv4Network | IPv6Network


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """Sizes in bytes, times in seconds.

    Args:
        proxies: Addresses and networks whose word on a client (``X-Forwarded-For`` and the like) is taken; ``unix``
            stands for whoever may connect to the Unix socket. From others, these headers are removed.
        handshakes: Sockets that may be opening at once; the next is answered 503.
        body_bytes: The largest body; a larger one is answered 413 before it is read.
        header_s: How long the headers may take.
        body_rate: The bytes a second that a body must have on average, once ``header_s`` is over.
        idle_s: How long a connection without a request is kept.
    """

    proxies: tuple[str, ...] = ("127.0.0.0/8", "::1", "unix")
    handshakes: int = 4_000
    body_bytes: int = 2 * 1024 * 1024
    header_bytes: int = 32 * 1024
    headers: int = 100
    header_s: float = 20.0
    body_rate: float = 8 * 1024.0
    idle_s: float = 60.0

    def is_proxy(self, host: str | None) -> bool:
        """Whether the peer with this address is a named proxy.

        Args:
            host: None for a peer on a Unix socket.
        """
        if host is None:
            return "unix" in self.proxies
        try:
            address = ip_address(host.partition("%")[0])
        except ValueError:
            return False
        if isinstance(address, IPv6Address) and address.ipv4_mapped:
            address = address.ipv4_mapped
        return any(address in each for each in self._networks)

    @cached_property
    def _networks(self) -> list[Network]:
        return networks(each for each in self.proxies if each != "unix")


def networks(names: Iterable[str]) -> list[Network]:
    """The networks with these names, such as ``10.0.0.0/8`` or ``::1``.

    Raises:
        ValueError: One of them is none.
    """
    return [ip_network(each) for each in names]
