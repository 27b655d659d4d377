#!/usr/bin/env python
"""Django's command line for the Hearth site."""

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
    try:
        from django.core.management import execute_from_command_line
    except ImportError:
        sys.exit("Django is not installed here: use .venv/bin/python manage.py (make run makes .venv).")
    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
