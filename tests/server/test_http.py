"""What ``manage.py serve`` makes of HTTP that is too large, too slow, or not answered by the application."""

import json
import socket
from contextlib import suppress
from typing import Any

import pytest

from tests.rig.site import Site
from tests.server.conftest import answer_to, connected, read_all, request

CLOSE = "Connection: close"


def status(answer: bytes) -> int:
    assert answer.startswith(b"HTTP/1.1 "), answer
    return int(answer.split()[1])


def told(answer: bytes) -> Any:
    """What the application answered, in a body of one chunk."""
    assert status(answer) == 200, answer
    return json.loads(answer.partition(b"\r\n\r\n")[2].split(b"\r\n")[1])


def test_a_body_that_is_announced_too_large_is_answered_before_it_is_read(probe: Site):
    assert status(answer_to(probe, request("POST", "/size", "Content-Length: 100001"))) == 413


def test_a_client_that_sends_a_body_that_is_too_large_reads_the_answer_and_no_reset(probe: Site):
    whole = request("POST", "/size", "Content-Length: 500000", body=b"x" * 500_000)
    assert status(answer_to(probe, whole)) == 413


def test_a_chunked_body_is_too_large_when_it_becomes_so(probe: Site):
    chunks = b"".join(b"%x\r\n%s\r\n" % (1_000, b"x" * 1_000) for _ in range(101))
    assert status(answer_to(probe, request("POST", "/size", "Transfer-Encoding: chunked"), chunks)) == 413


def test_a_body_in_tiny_parts_is_refused_for_the_work_that_it_makes(probe: Site):
    tiny = b"1\r\nx\r\n" * 2_000
    assert status(answer_to(probe, request("POST", "/size", "Transfer-Encoding: chunked"), tiny)) == 400


def test_the_largest_body_is_taken(probe: Site):
    whole = request("POST", "/size", "Content-Length: 100000", CLOSE, body=b"x" * 100_000)
    assert told(answer_to(probe, whole)) == 100_000


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"GET /seen HTTP/1.1\r\n" + b"".join(b"H%d: x\r\n" % n for n in range(200)) + b"\r\n", 431),
        (b"GET /seen HTTP/1.1\r\nBig: " + b"x" * 40_000 + b"\r\n\r\n", 431),
        (b"GET /" + b"x" * 40_000 + b" HTTP/1.1\r\n\r\n", 414),
        (b"NONSENSE\r\n\r\n", 400),
        (b"GET /seen HTTP/1.1\r\nNo colon\r\n\r\n", 400),
        (b"POST /seen HTTP/1.1\r\nContent-Length: " + b"9" * 5_000 + b"\r\n\r\n", 400),
        (b"POST /seen HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nnot hex\r\n", 400),
    ],
)
def test_what_can_not_be_read_is_answered(probe: Site, line: bytes, expected: int):
    assert status(answer_to(probe, line)) == expected


def test_headers_that_do_not_come_in_time_are_answered_408(probe: Site):
    assert status(answer_to(probe, b"GET /seen HTTP/1.1\r\nHost: loc")) == 408


def test_a_body_that_trickles_is_answered_408(probe: Site):
    assert status(answer_to(probe, request("POST", "/size", "Content-Length: 1000"), b"x")) == 408


def test_a_client_that_trickles_its_headers_gains_no_time(probe: Site):
    with connected(probe) as raw:
        raw.settimeout(0.2)
        read = b""
        raw.sendall(b"GET /seen HTTP/1.1\r\n")
        while not read:
            raw.sendall(b"A: b\r\n")  # a reset would be an error here
            with suppress(TimeoutError):
                read = raw.recv(1_000)
        assert status(read) == 408


@pytest.mark.parametrize("path", ["/fail", "/nothing"])
def test_an_application_that_fails_or_says_nothing_is_answered_for_at_once(probe: Site, path: str):
    assert status(answer_to(probe, request("GET", path, CLOSE))) == 500


def test_half_an_answer_ends_with_the_connection_so_that_nobody_takes_it_for_a_whole(probe: Site):
    with connected(probe) as raw:
        raw.sendall(request("GET", "/half"))
        read = b""
        with pytest.raises(ConnectionResetError):
            while True:
                read += raw.recv(1_000) or pytest.fail("a whole answer")
        assert status(read) == 200


def test_what_is_streamed_waits_for_the_client_to_read_it(probe: Site):
    with connected(probe) as raw:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        raw.sendall(request("GET", "/stream", CLOSE))
        sent = told(answer_to(probe, request("GET", "/streamed", CLOSE)))
        assert 0 < sent < 200, "of 400 chunks, far fewer wait"
        assert read_all(raw).count(b"x" * 1_000) >= 400


def test_only_proxies_may_say_where_a_request_comes_from(probe: Site):
    headers = ["X-Forwarded-For: 192.0.2.1", "Forwarded: for=192.0.2.1", "Daphne-Root-Path: /elsewhere", CLOSE]
    by_proxy = told(answer_to(probe, request("GET", "/seen", *headers)))
    assert by_proxy["headers"]["x-forwarded-for"] == "192.0.2.1"
    assert by_proxy["root_path"] == ""


def test_the_server_header_is_as_it_was_asked_for(probe: Site):
    assert b"Server: hearth\r\n" in answer_to(probe, request("GET", "/seen", CLOSE))


def test_requests_follow_each_other_on_one_connection(probe: Site):
    answers = answer_to(
        probe, request("GET", "/seen") + request("POST", "/size", "Content-Length: 3", CLOSE, body=b"abc")
    )
    assert answers.count(b"HTTP/1.1 200 OK") == 2


def test_a_head_request_is_answered_without_any_part_of_the_body(probe: Site):
    answers = answer_to(probe, request("HEAD", "/large") + request("GET", "/size", CLOSE))
    assert answers.count(b"HTTP/1.1 200 OK") == 2
    assert b"xxxx" not in answers
