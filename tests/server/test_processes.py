"""``manage.py serve`` where it listens, and with several processes on the same sockets."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.rig.factory import SiteFactory
from tests.rig.forkserver import ROOT
from tests.rig.ports import free_port, listens, wait_until
from tests.rig.site import Site
from tests.server.conftest import PROBE, read_all, request
from tests.server.test_http import CLOSE, status

START_S = 60.0
Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def site(make_site: SiteFactory) -> Site:
    return make_site(processes=0)


@pytest.fixture
def start(site: Site) -> Iterator[Start]:
    """``start(*options)`` runs ``manage.py serve`` on the probe, and ends it with the test."""
    started: list[subprocess.Popen[str]] = []

    def run(
        *options: str, through: Sequence[str] = (), env: dict[str, str] | None = None, **more: Any
    ) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [*through, sys.executable, "manage.py", "serve", *options],
            cwd=ROOT,
            env={**site.environment, "TEST_APPLICATION": PROBE.replace(":", "."), **(env or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            **more,
        )
        started.append(process)
        return process

    yield run
    for each in started:
        if each.poll() is None:
            each.terminate()
        each.communicate(timeout=30)


def answer(family: socket.AddressFamily, address: Any) -> int:
    with socket.socket(family) as raw:
        raw.settimeout(20)
        raw.connect(address)
        raw.sendall(request("GET", "/seen", CLOSE))
        return status(read_all(raw))


def accepts(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as raw:
        try:
            raw.connect(str(path))
        except (FileNotFoundError, ConnectionRefusedError):
            return False
        return True


def children(process: subprocess.Popen[str]) -> set[int]:
    return {int(each) for each in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()}


def test_it_listens_on_every_address_that_is_named(start: Start):
    port = free_port()
    start("--host", "127.0.0.1", "--host", "::1", "--port", str(port))
    wait_until(lambda: listens(port), "it listens", START_S)
    assert answer(socket.AF_INET, ("127.0.0.1", port)) == 200
    assert answer(socket.AF_INET6, ("::1", port)) == 200


def test_a_unix_socket_is_for_its_owner_and_group_and_goes_with_the_server(start: Start, tmp_path: Path):
    path = tmp_path / "chat.sock"
    process = start("--unix", str(path))
    wait_until(lambda: accepts(path), "it listens", START_S)
    assert path.stat().st_mode & 0o777 == 0o660
    assert answer(socket.AF_UNIX, str(path)) == 200
    process.terminate()
    process.wait(timeout=20)
    assert not path.exists()


def test_a_unix_socket_that_a_killed_server_left_is_replaced(start: Start, tmp_path: Path):
    path = tmp_path / "chat.sock"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    start("--unix", str(path))
    wait_until(lambda: accepts(path), "it listens", START_S)
    assert answer(socket.AF_UNIX, str(path)) == 200


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--host", "no.such.host.invalid"], "no.such.host.invalid"),
        (["--unix", "/no/such/folder/chat.sock"], "/no/such/folder/chat.sock"),
        (["--proxy", "10.0.0.0/99"], "10.0.0.0/99"),
        (["--handshake-header", "no colon"], "no colon"),
        (["--processes", "0"], "--processes"),
        (["--fd", "99"], "descriptor 99"),
    ],
)
def test_what_can_not_be_is_said_in_one_line(start: Start, options: list[str], words: str):
    process = start(*options)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert words in said
    assert len(said.splitlines()) == 1, said


def test_an_address_in_use_is_said(start: Start):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        process = start("--port", str(taken.getsockname()[1]))
        said, _ = process.communicate(timeout=60)
    assert "in use" in said
    assert process.returncode == 1


def test_sockets_that_systemd_has_opened_are_served(start: Start):
    with socket.socket() as opened:
        opened.bind(("127.0.0.1", 0))
        opened.listen()
        port = opened.getsockname()[1]
        # As sd_listen_fds(3) has it: the sockets from descriptor 3 on, for the process with this number.
        shell = f'exec 3<&{opened.fileno()}; export LISTEN_FDS=1 LISTEN_PID=$$; exec "$@"'
        start("--host", "192.0.2.1", through=["bash", "-c", shell, "bash"], pass_fds=[opened.fileno()])
        assert answer(socket.AF_INET, ("127.0.0.1", port)) == 200


def test_systemd_is_told_when_it_serves(start: Start, tmp_path: Path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
        told.bind(str(tmp_path / "notify"))
        told.settimeout(START_S)
        start("--port", str(free_port()), "--processes", "2", env={"NOTIFY_SOCKET": str(tmp_path / "notify")})
        assert told.recv(100) == b"READY=1"


@pytest.fixture
def two(start: Start) -> tuple[subprocess.Popen[str], int]:
    """Two processes that serve, and their port."""
    port = free_port()
    process = start("--port", str(port), "--processes", "2")
    assert answered(port) == 200
    wait_until(lambda: len(children(process)) == 2, "two processes", START_S)
    return process, port


def answered(port: int) -> int:
    wait_until(lambda: listens(port), "it listens", START_S)
    return answer(socket.AF_INET, ("127.0.0.1", port))


def test_a_process_that_dies_is_started_again(two: tuple[subprocess.Popen[str], int]):
    parent, port = two
    before = children(parent)
    os.kill(min(before), signal.SIGKILL)
    wait_until(lambda: len(children(parent)) == 2 and children(parent) != before, "there are two again", START_S)
    assert answered(port) == 200


def test_sighup_renews_the_processes_and_every_request_is_answered(two: tuple[subprocess.Popen[str], int]):
    parent, port = two
    before = children(parent)
    parent.send_signal(signal.SIGHUP)
    answers = []

    def are_renewed() -> bool:
        answers.append(answered(port))
        return len(children(parent)) == 2 and not children(parent) & before

    wait_until(are_renewed, "both are new", START_S)
    assert set(answers) == {200}


def test_they_end_with_the_parent_which_waits_for_them(two: tuple[subprocess.Popen[str], int]):
    parent, port = two
    before = children(parent)
    parent.terminate()
    assert parent.wait(timeout=30) == 0
    assert not any(is_running(each) for each in before)
    assert not listens(port)


def test_they_end_when_the_parent_is_killed(two: tuple[subprocess.Popen[str], int]):
    parent, _ = two
    before = children(parent)
    parent.kill()
    wait_until(lambda: not any(is_running(each) for each in before), "they are gone", 30)


def test_processes_that_can_not_begin_end_the_parent(start: Start):
    process = start("--port", str(free_port()), "--processes", "2", env={"TEST_APPLICATION": "no.such.application"})
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "no.such" in said or "No module named 'no'" in said


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
