from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError, CommandParser

from chat.access.policy import SITE
from chat.management.unreachable_database import reachable
from chat.services import tokens
from chat.wire.errors import UserNotFound
from chat.wire.protocol import rfc3339


class Command(BaseCommand):
    help = "Print a new bearer token for a person; or list, or revoke, those that they have."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("username", help="the person's user name")
        parser.add_argument("--name", default="chat_token", help="what the new token is for (shown in lists)")
        instead = parser.add_mutually_exclusive_group()
        instead.add_argument(
            "--list", action="store_true", help="list the person's tokens: number, made, last used, name"
        )
        instead.add_argument("--revoke", type=int, metavar="NUMBER", help="end a token, and the sockets it opened")

    def handle(self, *args: Any, **options: Any) -> None:
        with reachable():
            self._handle(**options)

    def _handle(self, *, username: str, name: str, revoke: int | None, **options: Any) -> None:
        users = get_user_model()
        try:
            user = users._default_manager.get_by_natural_key(username)
        except users.DoesNotExist:
            raise CommandError(f"There is no user {username!r}.") from None
        if options["list"]:
            for token in tokens.active(user=user):
                used = rfc3339(token.last_used_at) if token.last_used_at else "never used"
                self.stdout.write(f"{token.pk}\t{rfc3339(token.created_at)}\t{used}\t{token.name}")
        elif revoke is not None:
            if not tokens.revoke(by=SITE, user=user, token_id=revoke):
                raise CommandError(f"{username} has no token {revoke}.")
            self.stdout.write(f"Token {revoke} is revoked.")
        else:
            # Only its hash is stored, so the token can be seen this once.
            try:
                self.stdout.write(tokens.issue(by=SITE, user=user, name=name))
            except UserNotFound:
                raise CommandError(f"{username} was changed at this moment. Try again.") from None
            except tokens.TokenRefused as refused:
                raise CommandError(f"{username}: {refused}") from None
