"""Settings of tests that run inside pytest's own process. Sites started by tests use tests/rig/settings.py.

The first of the project's modules that pytest imports, so the environment of tests is made here: they must not touch
the developer's var/ nor obey the developer's .env.
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

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # slow hashing is no subject here
# Nothing was collected, so there are no hashed names to look up.
STORAGES = {**STORAGES, "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}}

if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    # A file, as in production: threads share it through WAL. The shared in-memory kind locks whole tables.
    DATABASES["default"]["TEST"] = {"NAME": Path(_home) / "test.sqlite3"}
