import ipaddress
import time
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from chat.management.unreachable_database import reachable
from project.accounts import site
from project.demo import team, timeline


class Command(BaseCommand):
    help = "Fill the site with a believable team: people, rooms, some thousand messages. Repeated, it adds nothing."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--remove", action="store_true", help="take the demo's rooms and people away again")
        parser.add_argument("--yes", action="store_true", help="also on a site that others can reach")
        parser.add_argument("--scale", choices=timeline.SCALES, default="full", help="how much is said")
        parser.add_argument("--seed", type=int, default=1, help="another number, other small talk")

    def handle(self, *args: Any, **options: Any) -> None:
        with reachable():
            if options["remove"]:
                self._remove()
            else:
                self._fill(yes=options["yes"], scale=options["scale"], seed=options["seed"])

    def _fill(self, *, yes: bool, scale: str, seed: int) -> None:
        if not (is_private() or yes):
            raise CommandError(
                "This site can be reached from elsewhere (HOST, HTTPS), and a demo is a team of strangers in it. "
                "If that is what you want: manage.py demo --yes"
            )
        if not is_private() and not site.has_accounts():
            raise CommandError("Nobody has an account here yet. Sign up as the owner first, in a browser.")
        try:
            owners, password = team.owners()
        except team.NoOwner:
            raise CommandError("Nobody here has all rights, so nobody could see it: make superuser") from None
        if password:
            # Print the password before the rooms are made: it is not shown again, even if the run is interrupted.
            self.stdout.write(f"The site was empty. Its owner is now: {owners[0].get_username()}, password {password}")
        started, stored = time.monotonic(), 0
        for filled in team.fill(team.people(), owners, now=timezone.now(), scale=scale, seed=seed):
            stored += filled.stored
            if filled.stored:
                self._progress(f"{filled.name}: {filled.stored} messages")
        self._progress("")
        if not stored:
            self.stdout.write("The demo is there already; nothing was added.")
        else:
            self.stdout.write(f"{stored} messages in {time.monotonic() - started:.1f} s.")
        who = owners[0].get_username()
        self.stdout.write(f"To look: make run, and sign in as {who}. To take it away again: manage.py demo --remove")

    def _remove(self) -> None:
        count = 0
        for what in team.remove():
            count += 1
            self._progress(what)
        self._progress("")
        self.stdout.write("The demo is gone." if count else "There is no demo here.")

    def _progress(self, line: str) -> None:
        """Show the step: on a terminal in one changing line, elsewhere in a line of its own."""
        if self.stdout.isatty():
            self.stdout.write(f"\r\033[K{line[:70]}", ending="")
            self.stdout.flush()
        elif line:
            self.stdout.write(line)


def is_private() -> bool:
    """Whether only this machine can reach the site, or DEBUG is on."""
    if settings.DEBUG:
        return True
    try:
        is_loopback = ipaddress.ip_address(settings.HOST).is_loopback
    except ValueError:
        is_loopback = settings.HOST == "localhost"
    return is_loopback and not settings.HTTPS
