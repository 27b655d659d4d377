"""The rig itself: servers die and come back as tests tell them to, and misbehaving ones are noticed."""

import asyncio
import http.client
import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import psycopg
import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.rig import leash, system_calls
from tests.rig.forkserver import ROOT, ForkServer, forks
from tests.rig.four import BACKENDS, Backend, is_whole_suite, missing
from tests.rig.ports import listens, wait_until
from tests.rig.postgres import PostgresServer
from tests.rig.proxy import Proxy
from tests.rig.redis_server import RedisServer
from tests.rig.site import Site, SiteProcess

MakeSite = Callable[..., Site]


def status(process: SiteProcess, path: str, cookie: str = "") -> int:
    connection = http.client.HTTPConnection("127.0.0.1", process.port, timeout=10)
    try:
        connection.request("GET", path, headers={"Cookie": cookie} if cookie else {})
        return connection.getresponse().status
    finally:
        connection.close()


def test_a_site_serves_on_each_back_end_and_knows_its_people(site: Site) -> None:
    assert status(site.processes[0], "/admin/", site.session_cookie("olga")) == 200
    assert status(site.processes[0], "/admin/", site.session_cookie("ana")) == 302
    assert site.python("from django.contrib.auth.models import User; print(User.objects.count())").strip() == "6"
    assert site.complaints() == ""


def test_two_sites_do_not_share_their_people(make_site: MakeSite) -> None:
    one, other = make_site(processes=0), make_site(processes=0)
    one.add_people("frida", "gus")
    assert {"frida", "gus"} <= set(one.people)
    count = "from django.contrib.auth.models import User; print(User.objects.count())"
    assert (one.python(count).strip(), other.python(count).strip()) == ("8", "6")


def test_a_killed_process_comes_back_on_its_port(make_site: MakeSite) -> None:
    process, other = make_site(processes=2).processes
    first = process.pid
    process.kill()
    with pytest.raises(ConnectionRefusedError):
        status(process, "/accounts/login/")
    assert status(other, "/accounts/login/") == 200
    process.restart()
    assert process.pid != first
    assert status(process, "/accounts/login/") == 200


def test_a_process_ends_when_asked_to(make_site: MakeSite) -> None:
    process = make_site().processes[0]
    process.terminate()
    assert not process.is_running


DATABASE_CALL = """from django.contrib.auth.models import User
    try: User.objects.count()
    except Exception: pass"""


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        ("x = sum(i * i for i in range(8_000_000))", "a step took"),
        ("import time; time.sleep(0.6)", "a step waits"),
        (DATABASE_CALL, "a database call"),
    ],
)
def test_the_watchdog_reports_code_that_holds_up_the_loop(
    tmp_path: Path, make_site: MakeSite, body: str, complaint: str
) -> None:
    site = make_site(processes=0)
    code = f"""
import asyncio
import logging
from tests.rig.watchdog import Watchdog
async def bad():
    {body}
async def main():
    await asyncio.sleep(0.01)
    await bad()
    await asyncio.sleep(0.01)
logging.basicConfig(filename={str(tmp_path / "log")!r}, force=True)
Watchdog().install()
asyncio.run(main())
"""
    site.python(code)
    log = (tmp_path / "log").read_text()
    assert f"WATCHDOG {complaint}" in log
    assert "in bad" in log


def test_the_watchdog_is_silent_about_a_loop_that_only_waits(tmp_path: Path, make_site: MakeSite) -> None:
    code = f"""
import asyncio
import logging
import time
from tests.rig.watchdog import Watchdog
async def main():
    await asyncio.sleep(0.5)
    await asyncio.to_thread(time.sleep, 0.5)
logging.basicConfig(filename={str(tmp_path / "log")!r}, force=True)
Watchdog().install()
asyncio.run(main())
"""
    make_site(processes=0).python(code)
    assert (tmp_path / "log").read_text() == ""


def test_servers_end_with_a_session_that_was_killed(tmp_path: Path) -> None:
    code = f"""
import os, signal
from pathlib import Path
from tests.rig.redis_server import RedisServer
server = RedisServer(Path({str(tmp_path)!r}))
server.start()
print(server.port, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=30)
    port = int(done.stdout)
    wait_until(lambda: not listens(port), "the orphan is gone", 10)


FRESH = """
import json, os, signal, sys, threading
print(json.dumps({
    "arguments": sys.argv,
    "environment": dict(os.environ),
    "folder": os.getcwd(),
    "ctrl-c": signal.getsignal(signal.SIGINT) is signal.default_int_handler,
    "child": signal.getsignal(signal.SIGCHLD) == signal.SIG_DFL,
    "wakeup": signal.set_wakeup_fd(-1),
    "files": sorted(int(each) for each in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{each}")),
    "input": sys.stdin.read(),
    "threads": threading.active_count(),
    "loop": "twisted.internet.reactor" in sys.modules,
}))
"""


def test_a_fork_is_as_a_fresh_python(tmp_path: Path, make_site: MakeSite) -> None:
    with (tmp_path / "out").open("wb") as out:
        first = forks().start("-c", "import signal; signal.pause()", env={}, stdout=out, stderr=out)
    leash.hold(first.pid)
    for server in (forks(), ForkServer.of_site(make_site(processes=0).environment, tmp_path / "log")):
        found = json.loads(server.run("-c", FRESH, "a", "b c", env={"HOME": "/home/ana", "EMPTY": ""}))
        assert found["arguments"] == ["-c", "a", "b c"]
        assert found["environment"] == {"HOME": "/home/ana", "EMPTY": ""}
        assert found["folder"] == str(ROOT)
        assert found["files"] == [0, 1, 2]
        assert (found["ctrl-c"], found["child"], found["wakeup"]) == (True, True, -1)
        assert (found["input"], found["threads"], found["loop"]) == ("", 1, False)
    first.send_signal(signal.SIGTERM)
    assert first.wait(10) == -signal.SIGTERM


@pytest.mark.parametrize(
    ("code", "status", "complaint"),
    [
        ("", 0, ""),
        ("raise SystemExit(7)", 7, ""),
        ("raise SystemExit('DATABASE_URL: no.')", 1, "DATABASE_URL: no.\n"),
        ("1 / 0", 1, "ZeroDivisionError: division by zero\n"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGTERM)", -15, ""),
        ("import atexit; atexit.register(print, 'bye', file=__import__('sys').stderr)", 0, "bye\n"),
    ],
)
def test_a_fork_ends_as_any_python_does(tmp_path: Path, code: str, status: int, complaint: str) -> None:
    with (tmp_path / "err").open("wb") as err:
        process = forks().start("-c", code, env={}, stdout=err, stderr=err)
    assert process.wait(10) == status
    assert (tmp_path / "err").read_text().endswith(complaint)


def test_the_settings_are_read_in_each_fork_and_not_before_it() -> None:
    code = "from django.conf import settings; assert not settings.configured; print(settings.CSRF_COOKIE_NAME)"
    done = forks().run("-c", code, env={"DJANGO_SETTINGS_MODULE": "django.conf.global_settings"})
    assert done == "csrftoken\n"


def test_the_fork_server_ends_with_a_session_that_was_killed() -> None:
    code = """
import os, signal
from tests.rig.forkserver import forks
print(forks().run("-c", "import os; print(os.getppid())", env={}), flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=30)
    server = Path("/proc") / done.stdout.strip()
    # Its parent has gone, so it may stay a zombie for a while.
    wait_until(
        lambda: not server.exists() or (server / "stat").read_text().rpartition(")")[2].split()[0] == "Z", "gone", 10
    )


def test_a_killed_redis_forgets_its_data_and_keeps_its_port(redis_server: RedisServer) -> None:
    redis_server.client().set("a", "b")
    redis_server.kill()
    with pytest.raises(redis.ConnectionError):
        redis_server.client().ping()
    redis_server.start()
    assert redis_server.client().get("a") is None


def test_a_paused_redis_does_not_answer_until_it_is_resumed(redis_server: RedisServer) -> None:
    redis_server.pause()
    with pytest.raises(redis.TimeoutError):
        redis.Redis.from_url(redis_server.url, socket_timeout=0.2, retry=Retry(NoBackoff(), 0)).ping()
    redis_server.resume()
    assert redis_server.client().ping()


def test_postgresql_keeps_committed_data_through_a_crash(postgres: PostgresServer) -> None:
    name = postgres.create()
    postgres.execute("CREATE TABLE kept (id int)", name)
    postgres.restart()
    postgres.execute("INSERT INTO kept VALUES (1)", name)
    postgres.drop(name)


def test_a_row_is_stored_when_a_proxy_cuts_the_connection_after_its_commit(postgres: PostgresServer) -> None:
    name = postgres.create()
    postgres.execute("CREATE TABLE kept (id int)", name)
    with Proxy(postgres.port) as proxy:
        connection = psycopg.connect(postgres.url(name, proxy.port))
        connection.execute("INSERT INTO kept VALUES (1)")
        proxy.cut_once_sent(b"COMMIT")
        with pytest.raises(psycopg.OperationalError):
            connection.commit()
    with psycopg.connect(postgres.url(name)) as direct:
        assert direct.execute("SELECT count(*) FROM kept").fetchone() == (1,)
    postgres.drop(name)


def test_a_proxy_can_cut_a_connection_before_commit_arrives(postgres: PostgresServer) -> None:
    name = postgres.create()
    postgres.execute("CREATE TABLE kept (id int)", name)
    with Proxy(postgres.port) as proxy:
        connection = psycopg.connect(postgres.url(name, proxy.port))
        connection.execute("INSERT INTO kept VALUES (1)")
        proxy.cut_before(b"COMMIT")
        with pytest.raises(psycopg.OperationalError):
            connection.commit()
    with psycopg.connect(postgres.url(name)) as direct:
        assert direct.execute("SELECT count(*) FROM kept").fetchone() == (0,)
    postgres.drop(name)


def test_a_proxy_can_pause_or_refuse_and_then_works_again(redis_server: RedisServer) -> None:
    with Proxy(redis_server.port) as proxy:
        client: Any = redis.Redis(port=proxy.port, socket_timeout=0.2, retry=Retry(NoBackoff(), 0))
        assert client.ping()
        proxy.pause()
        with pytest.raises(redis.TimeoutError):
            client.ping()
        proxy.resume()
        assert client.ping()
        proxy.refuse()
        with pytest.raises(redis.ConnectionError):
            client.ping()
        proxy.accept()
        assert client.ping()


def test_a_proxy_cuts_in_the_middle_of_an_answer(redis_server: RedisServer) -> None:
    with Proxy(redis_server.port) as proxy, socket.create_connection(("127.0.0.1", proxy.port), timeout=5) as client:
        proxy.cut_after(4)
        client.sendall(b"PING\r\n")
        received = b""
        while chunk := client.recv(100):
            received += chunk
        assert received == b"+PON"


async def test_the_browser_opens_a_page(browser: Any, make_site: MakeSite) -> None:
    site = await asyncio.to_thread(make_site)
    page = await browser.new_page()
    started = time.monotonic()
    await page.goto(f"{site.url}/accounts/login/")
    assert await page.locator("input[name=login]").is_visible()
    assert time.monotonic() - started < 30


def test_a_back_end_without_tests_is_noticed(request: pytest.FixtureRequest) -> None:
    class Session:
        items: ClassVar = [item for item in request.session.items if "sqlite-redis" not in item.name]
        config = request.config

    assert "sqlite-redis" in missing(Session)  # type: ignore[arg-type]


def test_a_run_of_some_files_is_not_the_whole_suite(request: pytest.FixtureRequest) -> None:
    class Option:
        keyword = markexpr = ""
        quick = False

    class Config:
        rootpath = request.config.rootpath
        option = Option

    class Session:
        config = Config

    for args, whole in ([["tests"], True], [["tests/rig"], False], [["tests", "tests/rig/test_rig.py::a"], False]):
        Config.args = args  # type: ignore[attr-defined]
        assert is_whole_suite(Session) is whole  # type: ignore[arg-type]


def test_there_are_four_back_ends() -> None:
    assert len({str(backend) for backend in BACKENDS}) == 4
    assert Backend("sqlite", "memory") in BACKENDS


def test_a_call_lasts_until_its_end_was_noted(tmp_path: Path) -> None:
    noted = tmp_path / "strace.txt"
    noted.write_text(
        '11 pwrite64(3</x/a\\76b-wal>, "\\0\\"w\\"\\n", 5, 0) = 5\n'
        "11 fdatasync(3</x/a\\76b-wal> <unfinished ...>\n"
        '12 sendto(7<TCP:[127.0.0.1:80->127.0.0.1:5]>, "told", 4, 0, NULL, 0) = 4\n'
        '12 write(8</x/log>, "full", 4) = -1 ENOSPC (No space left on device)\n'
        "11 <... fdatasync resumed>) = 0\n"
        "12 +++ exited with 0 +++\n"
    )
    calls = system_calls.read(noted)
    assert [(call.name, call.target, call.began, call.ended) for call in calls] == [
        ("pwrite64", "/x/a\\76b-wal", 0, 0),
        ("fdatasync", "/x/a\\76b-wal", 1, 4),
        ("sendto", "TCP:[127.0.0.1:80->127.0.0.1:5]", 2, 2),
    ]
    assert '\0"w"\n' in calls[0].data
