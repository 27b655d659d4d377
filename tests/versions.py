"""Run the quick lane with every Python and Django that Hearth supports. ``make full`` includes this.

Each pair has its own environment below var/versions, which is made once: the pins of requirements-dev.txt, and the
newest release of that Django. A Python that this machine lacks is skipped with a message; with ``CI=true`` this fails
the run.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "var" / "versions"
PAIRS = (("3.11", "5.2"), ("3.12", "5.2"), ("3.12", "6.0"), ("3.12", "6.1"), ("3.13", "5.2"), ("3.13", "6.1"))
"""Django 6 needs Python 3.12."""


def main() -> None:
    failed, absent = [], set()
    for python, django in PAIRS:
        name = f"Python {python} with Django {django}"
        if (found := _find(python)) is None:
            print(f"== {name}: there is no python{python} here", flush=True)
            absent.add(f"python{python}")
            continue
        print(f"== {name}", flush=True)
        if subprocess.run(
            [_environment(found, python, django), "-m", "pytest", "-q", "-n", "2", "--quick"], cwd=ROOT
        ).returncode:
            failed.append(name)
    if failed or (absent and os.environ.get("CI")):
        sys.exit(f"versions: failed: {', '.join([*failed, *sorted(absent)])}")
    print("versions: all is well" + (f" without {', '.join(sorted(absent))}" if absent else ""))


def _find(python: str) -> str | None:
    """Return the interpreter of this version, or None. A version manager may put a name on PATH that does not run."""
    for name in (f"python{python}", sys.executable):
        found = shutil.which(name)
        code = f"import sys; sys.exit(sys.version_info[:2] != {tuple(map(int, python.split('.')))})"
        if found and subprocess.run([found, "-c", code], capture_output=True).returncode == 0:
            return found
    return None


def _environment(found: str, python: str, django: str) -> str:
    """Return the interpreter of the pair's environment, which is made on first use."""
    venv = FOLDER / f"{python}-{django}"
    inside = str(venv / "bin" / "python")
    done = venv / "done"
    pins = (ROOT / "requirements-dev.txt").read_text()
    if not done.exists() or done.read_text() != pins:
        subprocess.run([found, "-m", "venv", "--clear", venv], check=True)
        pip = [inside, "-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check"]
        subprocess.run([*pip, "--require-hashes", "-r", ROOT / "requirements-dev.txt"], check=True)
        subprocess.run([*pip, "--no-deps", f"Django~={django}.0"], check=True)
        done.write_text(pins)
    return inside


if __name__ == "__main__":
    main()
