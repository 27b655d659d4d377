"""Run a command in a fresh clone: find a new enough Python, make .venv, install what is pinned, then run it.

Usage, from the Makefile: ``python3 project/start.py [--dev] [--port] COMMAND …``. ``--dev`` also installs the test
tools, ``--port`` first checks that HOST:PORT is free, and COMMAND is the arguments for the Python of .venv.

This file uses the standard library only, and old Pythons can parse it, so that they can say that they are too old.
"""

from __future__ import print_function

import errno
import hashlib
import os
import shutil
import socket
import subprocess
import sys

OLDEST = (3, 11)
CANDIDATES = ("python3.12", "python3.11", "python3.13", "python3.14")
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
VENV = os.path.join(ROOT, ".venv")
PYTHON = os.path.join(VENV, "bin", "python")


def main(args):
    os.chdir(ROOT)
    use_new_enough_python()
    dev = "--dev" in args
    port = "--port" in args
    command = [arg for arg in args if arg not in ("--dev", "--port")]
    if port:
        check_port(env("HOST", "127.0.0.1"), env("PORT", "8000"))
    requirements = "requirements-dev.txt" if dev else "requirements.txt"
    if not is_installed(requirements):
        make_venv()
        install(requirements)
    os.environ["PYTHONPATH"] = ROOT
    os.execv(PYTHON, [PYTHON] + command)


def use_new_enough_python():
    """Continue in this Python, or start again in a newer one that is on PATH."""
    if sys.version_info >= OLDEST:
        return
    for name in CANDIDATES:
        found = shutil.which(name)
        # A version manager may have put a name on PATH that does not run.
        if found and runs(found, "-c", "import venv"):
            os.execv(found, [found] + sys.argv)
    stop(
        "Hearth needs Python 3.11 or newer, and {} is {}.{}. ".format(sys.executable, *sys.version_info[:2])
        + "Install one, or name it: make PYTHON=/path/to/python3.11 run"
    )


def env(name, default):
    """The variable's value from the environment, or else from .env, as in project/env.py."""
    value = os.environ.get(name, "").strip()
    dotenv = os.environ.get("ENV_FILE", ".env")
    if not value and os.path.exists(dotenv):
        with open(dotenv, encoding="utf-8") as lines:
            for line in lines:
                key, _, given = line.strip().partition("=")
                if key.strip() == name:
                    value = given.strip().strip("\"'")
    return value or default


def check_port(host, port):
    """Stop now, and not after a minute of installing, if the server could not listen."""
    if not (port.isdigit() and 1 <= int(port) <= 65535):
        stop("PORT: {!r} is no port.".format(port))
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    probe = socket.socket(family, socket.SOCK_STREAM)
    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        probe.bind((host, int(port)))
        probe.listen(1)
    except socket.gaierror:
        stop("HOST: {!r} is no address of this machine.".format(host))
    except OSError as error:
        way_out = "Choose another port: make run PORT={}".format(int(port) + 1 if int(port) < 65535 else 8000)
        if error.errno == errno.EADDRNOTAVAIL:
            way_out = "Set HOST to an address of this machine, or to 0.0.0.0 for all of them."
        stop("Can't listen on {}:{}: {}. {}".format(host, port, error.strerror or error, way_out))
    finally:
        probe.close()


def make_venv():
    """Make .venv, or make it again if its Python no longer runs or is too old."""
    is_new_enough = "import sys, pip; sys.exit(sys.version_info < {!r})".format(OLDEST)
    if os.path.exists(PYTHON) and runs(PYTHON, "-c", is_new_enough):
        return
    try:
        import ensurepip  # noqa: F401
        import venv
    except ImportError:
        stop("This Python has no venv module. On Debian and Ubuntu: apt install python3-venv")
    say("Making .venv …")
    try:
        venv.EnvBuilder(clear=True, with_pip=True, symlinks=True).create(VENV)
    except (OSError, subprocess.CalledProcessError) as error:
        stop("Can't make {}: {}. May you write to this folder?".format(VENV, getattr(error, "strerror", None) or error))


def install(requirements):
    """Install exactly what is pinned, and store a digest of the requirements."""
    say("Installing {} (once; about a minute) …".format(requirements))
    pip = [PYTHON, "-m", "pip", "--disable-pip-version-check", "install", "--no-input", "--quiet"]
    pip += ["--require-hashes", "-r", requirements]
    done = subprocess.run(pip, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode:
        log = os.path.join(VENV, "pip.log")
        with open(log, "wb") as file:
            file.write(done.stdout)
        errors = [line for line in done.stdout.decode("utf-8", "replace").splitlines() if "ERROR" in line]
        stop(
            "pip could not install {}: {} Is the network there? All that pip said: {}".format(
                requirements, errors[-1] if errors else "no reason given.", log
            )
        )
    with open(stamp(requirements), "w") as file:
        file.write(fingerprint(requirements))


def is_installed(requirements):
    return os.path.exists(PYTHON) and read(stamp(requirements)) == fingerprint(requirements)


def stamp(requirements):
    return os.path.join(VENV, requirements + ".sha256")


def fingerprint(requirements):
    both = [read(name) for name in ("requirements.txt", requirements)]
    return hashlib.sha256("\n".join(both).encode("utf-8")).hexdigest()


def read(path):
    if not os.path.exists(path):
        return ""
    with open(path, encoding="utf-8") as file:
        return file.read()


def runs(*command):
    """Whether the command succeeds. Its output is dropped."""
    return subprocess.call(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) == 0


def say(line):
    print(line)
    sys.stdout.flush()


def stop(line):
    sys.exit(line)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except KeyboardInterrupt:
        sys.exit(130)
