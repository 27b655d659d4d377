"""What runs in pytest's own process runs on SQLite; here the same tests run once more, on PostgreSQL."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.rig.postgres import PostgresServer

ROOT = Path(__file__).resolve().parent.parent
GROUPS = {
    "services": ("tests/services",),
    "models, access, hub and races": (
        "tests/models",
        "tests/access",
        "tests/live/test_hub.py",
        "tests/project/accounts/test_races.py",
        "tests/project/test_odd_fields.py",
        "tests/project/test_unwritable.py",
        "tests/web/test_odd_addresses.py",
    ),
}


@pytest.mark.timeout(400)
@pytest.mark.parametrize("tests", GROUPS.values(), ids=GROUPS)
def test_what_passes_on_sqlite_passes_on_postgresql(postgres: PostgresServer, tests: tuple[str, ...]):
    url = postgres.url(postgres.create())
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            *tests,
        ],
        cwd=ROOT,
        env={**os.environ, "DATABASE_URL": url},
        capture_output=True,
        text=True,
        timeout=380,
    )
    print(done.stdout[-3000:])
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    summary = done.stdout.strip().splitlines()[-1]
    assert "passed" in summary
    assert "skipped" not in summary, "on PostgreSQL nothing has a reason to be left out"
