"""Settings of the sites that tests start: those of production, without slow password hashing."""

import os

from project.settings import *

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

if _templates := os.environ.get("TEST_TEMPLATES"):
    TEMPLATES[0]["DIRS"] = [_templates, *TEMPLATES[0]["DIRS"]]

if _pragmas := os.environ.get("TEST_PRAGMAS"):  # a test shows with them how SQLite loses messages
    DATABASES["default"]["OPTIONS"]["init_command"] += _pragmas
