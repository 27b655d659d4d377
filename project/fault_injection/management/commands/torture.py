import sys
from importlib import import_module
from typing import Any

from django.core.management.base import BaseCommand, CommandError


class Command(BaseCommand):
    help = "Break a site of its own on purpose, and see whether it keeps its promise. This site is not touched."

    def run_from_argv(self, argv: list[str]) -> None:
        # The options are those of `python -m torture`, and are read there.
        try:
            status = self.handle(*argv[2:])
        except CommandError as error:
            self.stderr.write(str(error), self.style.ERROR)
            sys.exit(error.returncode)
        sys.exit(status)

    def handle(self, *arguments: str, **options: Any) -> Any:
        try:
            # At run time: an installation that only serves has neither torture/ nor what it needs.
            command = import_module("torture.command")
        except ImportError as error:
            raise CommandError(
                f"Not installed here ({error.name} is missing): use a checkout, make torture."
            ) from error
        return command.main(list(arguments))
