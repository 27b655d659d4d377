from typing import Any

from django.core.management.base import BaseCommand

from chat.management.unreachable_database import reachable
from chat.services import profiles


class Command(BaseCommand):
    help = (
        "Compare the chat profiles of all members, by which mentions find people, with the user table, and correct "
        "them. Needed after names were changed without Django's signals: by SQL or by QuerySet.update()."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        with reachable():
            self.stdout.write(f"Profiles repaired: {profiles.repair()}.")
