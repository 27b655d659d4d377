from typing import Any

from django.core.management.base import BaseCommand

from chat.management.unreachable_database import reachable
from chat.services import profiles


class Command(BaseCommand):
    help = (
        "Copy people's names anew into their chat profiles, by which mentions find them. For names that were changed "
        "without Django's signals: by SQL or by QuerySet.update()."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        with reachable():
            self.stdout.write(f"{profiles.repair()} profiles were wrong or missing, and are right now.")
