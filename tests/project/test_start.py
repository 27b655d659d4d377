"""``make run``: one line says what a new machine lacks; a site that can work starts, and ends cleanly."""

import ast
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.rig.ports import free_port, listens, wait_until
from tests.rig.postgres import PostgresServer
from tests.rig.redis_server import RedisServer
from tests.rig.site import environment
from tests.rig.templates import Templates

ROOT = Path(__file__).resolve().parents[2]
START = ROOT / "project" / "start.py"
WARM_START_CPU_S = 3.0


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    """The environment of a site that nobody has started yet."""
    fresh = environment(tmp_path, tmp_path / "static", DJANGO_SETTINGS_MODULE="project.settings")
    return {**fresh, "PORT": str(free_port())}


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """Only as much of a checkout as start.py needs before it has installed anything."""
    (tmp_path / "project").mkdir()
    shutil.copy(START, tmp_path / "project")
    (tmp_path / "requirements.txt").write_text("no-such-package==0\n")
    return tmp_path


def run(*command: str, env: dict[str, str] | None = None, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, env=env, cwd=cwd, capture_output=True, text=True, timeout=60)


def assert_one_line(done: subprocess.CompletedProcess[str], *words: str) -> None:
    said = done.stderr.strip()
    assert done.returncode == 1, said
    assert len(said.splitlines()) == 1, said
    for word in words:
        assert word in said


def daphne(env: dict[str, str]) -> list[str]:
    return [sys.executable, "-m", "daphne", "-v", "0", "-p", env["PORT"], "project.asgi:application"]


@pytest.fixture
def started() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """``started(*command, env=…)`` starts a process, which is killed at the end of the test if it still runs."""
    running: list[subprocess.Popen[str]] = []

    def start(*command: str, env: dict[str, str]) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            command,
            env=env,
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            # Shells let what runs in the background ignore Ctrl-C, and a test run there would hand that on.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        running.append(process)
        return process

    yield start
    for process in running:
        process.kill()
        process.communicate()


def test_a_site_starts_prints_its_url_and_ends_with_ctrl_c(
    home: dict[str, str], started: Callable[..., subprocess.Popen[str]]
) -> None:
    process = started(sys.executable, "-m", "project.serve", env=home)
    lines = read_until(process, "Make the owner's account")
    assert f"Hearth is ready: http://127.0.0.1:{home['PORT']} (Ctrl-C ends it)\n" in lines
    assert listens(int(home["PORT"]))
    process.send_signal(signal.SIGINT)
    rest, _ = process.communicate(timeout=30)
    assert process.returncode == 0
    assert "Traceback" not in "".join(lines) + rest


def test_a_second_start_has_nothing_left_to_prepare(
    home: dict[str, str], started: Callable[..., subprocess.Popen[str]]
) -> None:
    assert run(sys.executable, "-m", "project.serve", "--prepare", env=home).returncode == 0
    process = started(sys.executable, "-m", "project.serve", env=home)
    lines = read_until(process, "Make the owner's account")
    assert lines[0].startswith("Hearth is ready")
    assert cpu_s(process.pid) < WARM_START_CPU_S  # not wall time: the machine may be busy with other things


def read_until(process: subprocess.Popen[str], words: str) -> list[str]:
    assert process.stdout
    lines: list[str] = []
    for line in iter(process.stdout.readline, ""):
        lines.append(line)
        if words in line:
            return lines
    raise AssertionError("".join(lines))


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_the_first_run_hint_is_gone_once_somebody_has_an_account(home: dict[str, str]) -> None:
    ask = "import django; django.setup(); from project.startup import first_run_hint as h; print(h())"
    assert run(sys.executable, "-m", "project.serve", "--prepare", env=home).returncode == 0
    hint = run(sys.executable, "-c", ask, env=home).stdout
    assert re.search(r"/setup/\?code=\w{4}-\w{4}-\w{4}\n\Z", hint), hint
    made = run(
        sys.executable, "manage.py", "createsuperuser", "--no-input", "--username", "ana", "--email", "a@example.com",
        env={**home, "DJANGO_SUPERUSER_PASSWORD": "a-long-one-57"},
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    assert run(sys.executable, "-c", ask, env=home).stdout == "\n"


@pytest.mark.parametrize(
    ("variable", "value", "why"),
    [
        ("DATABASE_URL", "mysql://localhost/chat", "starts with"),
        ("DATABASE_URL", "postgresql://localhost:x/chat", "is no port"),
        ("DATABASE_URL", "postgresql://localhost", "names no database"),
        ("DATABASE_URL", "postgresql://127.0.0.1:1/chat", "Connection refused"),
        ("DATABASE_URL", "sqlite:////proc/none/chat.sqlite3", "unable to open database file"),
        ("REDIS_URL", "http://localhost", "starts with redis://"),
        ("REDIS_URL", "redis://127.0.0.1:x", "is no port"),
        ("HEARTH_HOME", "/proc/none", "can't write to the folder"),
        ("LOG_LEVEL", "LOUD", "is none of"),
        ("DEBUG", "perhaps", "neither 1 nor 0"),
        ("CHAT_BODY_CHARS", "many", "is not a number"),
    ],
)
def test_a_wrong_variable_stops_every_command_with_one_line(
    home: dict[str, str], variable: str, value: str, why: str
) -> None:
    assert_one_line(run(*daphne(home), env={**home, variable: value}), variable, why)
    assert_one_line(run(sys.executable, "-m", "project.serve", env={**home, variable: value}), variable, why)


def test_an_unknown_postgresql_database_is_named(home: dict[str, str], postgres: PostgresServer) -> None:
    done = run(*daphne(home), env={**home, "DATABASE_URL": postgres.url("nowhere")})
    assert_one_line(done, "DATABASE_URL", "'nowhere'", "does not exist")


def test_make_run_refuses_a_redis_that_does_not_answer(home: dict[str, str]) -> None:
    done = run(sys.executable, "-m", "project.serve", env={**home, "REDIS_URL": f"redis://127.0.0.1:{free_port()}"})
    assert_one_line(done, "REDIS_URL", "does not answer", "refused")


def test_daphne_says_that_redis_is_down_and_serves_anyway(
    home: dict[str, str], templates: Templates, tmp_path: Path, started: Callable[..., subprocess.Popen[str]]
) -> None:
    url, _ = templates.copy_of_sqlite(tmp_path)
    env = {**home, "DATABASE_URL": url, "REDIS_URL": f"redis://127.0.0.1:{free_port()}"}
    process = started(*daphne(env), env=env)
    assert "REDIS_URL" in read_until(process, "does not answer")[-1]
    wait_until(lambda: listens(int(env["PORT"])), "daphne listens", 30)


def test_a_redis_that_refuses_the_password_stops_the_start(home: dict[str, str], redis_server: RedisServer) -> None:
    redis_server.client().config_set("requirepass", "s3cret")
    wrong = f"redis://:wr0ng@127.0.0.1:{redis_server.port}"
    done = run(*daphne(home), env={**home, "REDIS_URL": wrong})
    assert_one_line(done, "REDIS_URL", "refuses us")
    assert "wr0ng" not in done.stderr


def test_a_taken_port_is_reported_before_anything_is_installed(clone: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        env = {**os.environ, "PORT": str(port)}
        done = run(sys.executable, "project/start.py", "--port", "-c", "1", env=env, cwd=clone)
    assert_one_line(done, f"127.0.0.1:{port}", "make run PORT=")
    assert not (clone / ".venv").exists()


def test_old_pythons_can_parse_start_py() -> None:
    ast.parse(START.read_text(), feature_version=(3, 6))


PRETEND_OLD = "import runpy, sys; sys.version_info = (3, 8, 0); sys.argv = ['project/start.py', '-c', '1']; "


def test_an_old_python_says_so_in_one_line(clone: Path) -> None:
    code = PRETEND_OLD + "runpy.run_path('project/start.py', run_name='__main__')"
    done = run(sys.executable, "-c", code, env={"PATH": str(clone)}, cwd=clone)
    assert_one_line(done, "needs Python 3.11 or newer", "3.8")


def test_an_old_python_hands_over_to_a_newer_one_on_the_path(clone: Path) -> None:
    newer = clone / "python3.11"
    newer.write_text('#!/bin/sh\n[ "$1" = -c ] || echo "newer: $*"\n')
    newer.chmod(0o755)
    code = PRETEND_OLD + "runpy.run_path('project/start.py', run_name='__main__')"
    done = run(sys.executable, "-c", code, env={"PATH": f"{clone}:/bin:/usr/bin"}, cwd=clone)
    assert done.stdout == "newer: project/start.py -c 1\n"


def test_a_python_without_venv_says_what_to_install(clone: Path) -> None:
    code = (
        "import runpy, sys; sys.modules['ensurepip'] = None; sys.argv = ['project/start.py', '-c', '1']; "
        "runpy.run_path('project/start.py', run_name='__main__')"
    )
    assert_one_line(run(sys.executable, "-c", code, cwd=clone), "apt install python3-venv")


def test_a_venv_that_cannot_be_made_is_one_line_of_error(clone: Path) -> None:
    (clone / ".venv").write_text("in the way")
    done = run(sys.executable, "project/start.py", "-c", "1", cwd=clone)
    assert_one_line(done, "Can't make", ".venv")


def test_a_pip_that_finds_nothing_is_one_line_of_error_and_leaves_its_log(clone: Path) -> None:
    env = {**os.environ, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": ""}
    done = run(sys.executable, "project/start.py", "-c", "1", env=env, cwd=clone)
    assert_one_line(done, "pip could not install requirements.txt", "network")
    assert "no-such-package" in (clone / ".venv" / "pip.log").read_text()
    # A failed installation does not count as done the next time.
    assert run(sys.executable, "project/start.py", "-c", "1", env=env, cwd=clone).returncode == 1


def test_requirements_are_pinned_exactly() -> None:
    """Each pin has the hash of every file that pip may use, so that a package index cannot deliver another file."""
    for name in ("requirements.txt", "requirements-dev.txt"):
        lines = (ROOT / name).read_text().replace("\\\n", "").splitlines()
        for line in lines[1:]:
            assert re.fullmatch(r"[\w.-]+==[\w.]+( ; .+?)?(\s+--hash=sha256:[0-9a-f]{64})+", line), line
        assert len(lines) > 40


def test_tests_use_the_same_pinned_versions_as_the_site() -> None:
    pins = {
        name: set(re.findall(r"^([\w.-]+==[\w.]+)", (ROOT / name).read_text(), re.MULTILINE))
        for name in ("requirements.txt", "requirements-dev.txt")
    }
    assert pins["requirements.txt"] < pins["requirements-dev.txt"]
