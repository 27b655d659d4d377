"""Settings of the sites that tests start: those of production, without slow password hashing."""

import os
import sys

from project.settings import *

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

ASGI_APPLICATION = os.environ.get("TEST_APPLICATION", "tests.rig.asgi.application")
if ASGI_APPLICATION == "tests.rig.asgi.application":
    sys.modules["uvloop"] = None  # type: ignore[assignment]  # the watchdog looks into plain asyncio

if _templates := os.environ.get("TEST_TEMPLATES"):
    TEMPLATES[0]["DIRS"] = [_templates, *TEMPLATES[0]["DIRS"]]

if _pragmas := os.environ.get("TEST_PRAGMAS"):  # a test shows with them how SQLite loses messages
    DATABASES["default"]["OPTIONS"]["init_command"] += _pragmas
