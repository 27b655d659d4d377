"""Settings of tests that run inside pytest's own process. Sites started by tests use tests/rig/settings.py.

pytest imports this module before any other of the project, so it prepares the environment: tests must neither touch the
developer's var/ nor obey their .env.
"""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

_home = tempfile.mkdtemp(prefix="hearth-test-")
atexit.register(shutil.rmtree, _home, ignore_errors=True)
os.environ.update(HEARTH_HOME=_home, ENV_FILE=os.devnull)
for _name in ("STATIC_ROOT", "DEBUG", "HTTPS", "DJANGO_ALLOW_ASYNC_UNSAFE"):
    os.environ.pop(_name, None)

from project.settings import *  # noqa: E402

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # no test needs slow hashing
# Nothing was collected, so there are no hashed names to look up.
STORAGES = {**STORAGES, "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}}

# Tests of other subjects do not run into these limits: keys of people, by which they count, come again in each test.
_raised = ("READ", "SYNC", "PAGE", "FRAME", "SOCKET")
CHAT = {
    **CHAT,
    "TOKENS_PER_USER": 10**5,
    **{f"{each}_RATE": 1e5 for each in _raised},
    **{f"{each}_BURST": 10**5 for each in _raised},
}

if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    # Use a file, as in production: threads share it through WAL. A shared in-memory database locks whole tables.
    DATABASES["default"]["TEST"] = {"NAME": Path(_home) / "test.sqlite3"}
