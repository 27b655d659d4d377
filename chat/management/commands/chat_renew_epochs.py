from typing import Any

from django.core.management.base import BaseCommand

from chat.management.unreachable_database import reachable
from chat.services import rooms


class Command(BaseCommand):
    help = "Begin a new run of numbers in every room. Run it after restoring a backup, before the processes start."

    def handle(self, *args: Any, **options: Any) -> None:
        with reachable():
            self.stdout.write(f"{rooms.renew_all_epochs()} rooms have a new epoch.")
