"""Which browser tests and ``torture`` drive."""

import os
import shutil

BROWSERS = ("chromium-headless-shell", "chromium")
"""The first of these that is installed is used. The shell draws no window and costs a quarter less CPU time."""
CHROMIUM = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, BROWSERS)), "/usr/bin/chromium")
