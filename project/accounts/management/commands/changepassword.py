"""``manage.py changepassword``: Django's command, which here also revokes the person's tokens."""

import getpass
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.management.commands import changepassword
from django.core.management.base import CommandParser

from chat import api


class Command(changepassword.Command):
    help = "Change somebody's password, and revoke their tokens."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--keep-tokens", action="store_true", help="leave the person's tokens as they are")

    def handle(self, *args: Any, **options: Any) -> str:
        options["username"] = options["username"] or getpass.getuser()
        said = str(super().handle(*args, **options))
        if not options["keep_tokens"]:
            api.revoke_tokens(get_user_model()._default_manager.get_by_natural_key(options["username"]))
        return said
