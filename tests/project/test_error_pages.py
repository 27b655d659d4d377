"""The pages for what is not found, on a running site."""

import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.rig.factory import SiteFactory
from tests.rig.four import Backend
from tests.rig.ports import wait_until
from tests.rig.postgres import PostgresServer
from tests.rig.site import Site

AT_ONCE = 8


def status(site: Site, path: str) -> int:
    request = urllib.request.Request(site.url + path, headers={"Cookie": site.session_cookie("ana")})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_they_need_no_connection_past_that_of_their_request(make_site: SiteFactory, postgres: PostgresServer) -> None:
    """Regression: they took a second one, which a thread kept, past the end of that connection, too."""
    site = make_site(Backend("postgresql", "memory"))
    site.add_people("ana")
    with ThreadPoolExecutor(AT_ONCE) as threads:
        assert set(threads.map(lambda _: status(site, "/nowhere/"), range(AT_ONCE))) == {404}
    postgres.end_connections(site.database)
    wait_until(lambda: status(site, "/rooms/") == 200, "the pool is renewed", 30)
    assert [status(site, "/nowhere/") for _ in range(2 * AT_ONCE)] == [404] * 2 * AT_ONCE


def test_they_are_whole_pages(make_site: SiteFactory) -> None:
    site = make_site()
    for path, expected in (("/nowhere/", 404), ("/rooms/999999/", 404), ("/admin/chat/message/add/", 403)):
        name = "olga" if expected == 403 else "ana"
        request = urllib.request.Request(site.url + path, headers={"Cookie": site.session_cookie(name)})
        with pytest.raises(urllib.error.HTTPError) as raised:
            urllib.request.urlopen(request, timeout=30)
        page = raised.value.read()
        assert raised.value.code == expected
        assert int(raised.value.headers["Content-Length"]) == len(page)
        assert raised.value.headers["Content-Type"].startswith("text/html")
        assert b"To the chat" in page and page.rstrip().endswith(b"</html>")
