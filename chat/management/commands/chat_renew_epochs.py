from typing import Any

from django.core.management.base import BaseCommand

from chat.management.unreachable_database import reachable
from chat.services import rooms


class Command(BaseCommand):
    help = "Begin a new numbering in every room: all clients start over. For rows that were put back by hand."

    def handle(self, *args: Any, **options: Any) -> None:
        with reachable():
            self.stdout.write(f"{rooms.renew_all_epochs()} rooms have a new epoch.")
