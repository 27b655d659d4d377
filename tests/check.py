"""``make check``: everything that can be said about the code without a browser or a server. Runs all, then reports."""

import os
import secrets
import subprocess
import sys
import tempfile

PYTHON = sys.executable
CHECKS = {
    "lint": [PYTHON, "-m", "ruff", "check", "."],
    "format": [PYTHON, "-m", "ruff", "format", "--check", "."],
    "types": [PYTHON, "-m", "mypy"],
    "import ranks": [PYTHON, "-m", "pytest", "-q", "tests/test_layers.py"],
    "migrations": [PYTHON, "manage.py", "makemigrations", "--check", "--dry-run"],
    "deployment": [PYTHON, "manage.py", "check", "--deploy", "--fail-level", "WARNING", "--database", "default"],
}
# What README.md asks of a site on the internet.
PRODUCTION = {
    "HTTPS": "1",
    "ALLOWED_HOSTS": "chat.example.com",
    "CSRF_TRUSTED_ORIGINS": "https://chat.example.com",
    "SECRET_KEY": secrets.token_urlsafe(64),
}


def main() -> None:
    with tempfile.TemporaryDirectory() as home:
        here = {**os.environ, "HEARTH_HOME": home, "ENV_FILE": os.devnull, "DJANGO_SETTINGS_MODULE": "project.settings"}
        failed = []
        for name, command in CHECKS.items():
            print(f"== {name}", flush=True)
            production = PRODUCTION if name == "deployment" else {}
            if subprocess.run(command, env={**here, **production}).returncode:
                failed.append(name)
    if failed:
        sys.exit(f"make check: failed: {', '.join(failed)}")
    print("make check: all is well")


if __name__ == "__main__":
    main()
