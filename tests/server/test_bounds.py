"""Who is believed to be a proxy."""

import pytest

from chat.server.bounds import Bounds

OURS = Bounds(proxies=("10.0.0.0/8", "::1", "unix"))


@pytest.mark.parametrize("host", ["10.1.2.3", "::1", "::ffff:10.1.2.3", None])
def test_named_addresses_networks_and_the_unix_socket_are_proxies(host: str | None):
    assert OURS.is_proxy(host)


@pytest.mark.parametrize("host", ["192.0.2.1", "::2", "::ffff:192.0.2.1", "", "fe80::1%eth0", "no address"])
def test_others_are_none(host: str):
    assert not OURS.is_proxy(host)


def test_the_unix_socket_is_none_where_it_is_not_named():
    assert not Bounds(proxies=("::1",)).is_proxy(None)
