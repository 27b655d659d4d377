"""``make check``: all static checks, without a server or a browser. It runs every check before it reports.

JavaScript and HTML are checked by npm tools that package-lock.json pins. Without Node they are skipped with a message;
with ``CI=true`` that is a failure.
"""

import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PYTHON = sys.executable
CHECKS = {
    "lint": [PYTHON, "-m", "ruff", "check", "."],
    "format": [PYTHON, "-m", "ruff", "format", "--check", "."],
    "types": [PYTHON, "-m", "mypy"],
    "import ranks": [PYTHON, "-m", "pytest", "-q", "tests/test_layers.py"],
    "migrations": [PYTHON, "manage.py", "makemigrations", "--check", "--dry-run"],
    "deployment": [PYTHON, "manage.py", "check", "--deploy", "--fail-level", "WARNING", "--database", "default"],
}
WITH_NODE = {
    "JavaScript": ["npx", "--no-install", "eslint", "."],
    "JavaScript types": ["npx", "--no-install", "tsc", "-p", "."],
    "HTML": [PYTHON, "-m", "pytest", "-q", "tests/project/test_html.py"],
}
# The settings that README.md asks of a site on the internet.
PRODUCTION = {
    "HTTPS": "1",
    "ALLOWED_HOSTS": "chat.example.com",
    "CSRF_TRUSTED_ORIGINS": "https://chat.example.com",
    "SECRET_KEY": secrets.token_urlsafe(64),
}


def main() -> None:
    failed = []
    has_node = bool(shutil.which("node") and shutil.which("npm"))
    with tempfile.TemporaryDirectory() as home:
        here = {**os.environ, "HEARTH_HOME": home, "ENV_FILE": os.devnull, "DJANGO_SETTINGS_MODULE": "project.settings"}
        for name, command in (CHECKS | (WITH_NODE if has_node and is_installed() else {})).items():
            print(f"== {name}", flush=True)
            production = PRODUCTION if name == "deployment" else {}
            if subprocess.run(command, cwd=ROOT, env={**here, **production}).returncode:
                failed.append(name)
    if not has_node:
        print("== JavaScript and HTML are not checked: there is no Node with npm here.")
        if os.environ.get("CI"):
            failed.append("Node")
    if failed:
        sys.exit(f"make check: failed: {', '.join(failed)}")
    print("make check: all is well")


def is_installed() -> bool:
    """Install what package-lock.json pins, unless that was already done, and return whether it is there."""
    lock, done = (ROOT / "package-lock.json").read_text(), ROOT / "node_modules" / ".installed"
    if not done.exists() or done.read_text() != lock:
        print("== npm ci", flush=True)
        subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=ROOT, check=True)
        done.write_text(lock)
    return True


if __name__ == "__main__":
    main()
