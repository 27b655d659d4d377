from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError, CommandParser

from chat.services import tokens


class Command(BaseCommand):
    help = "Print a new bearer token for a person. It is shown once; only its hash is stored."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("username", help="the person's user name")
        parser.add_argument("--name", default="chat_token", help="what the token is for (shown in lists)")

    def handle(self, *args: Any, username: str, name: str, **options: Any) -> None:
        users = get_user_model()
        try:
            user = users._default_manager.get_by_natural_key(username)
        except users.DoesNotExist:
            raise CommandError(f"There is no user {username!r}.") from None
        self.stdout.write(tokens.issue(user=user, name=name))
