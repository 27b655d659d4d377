"""What a site tidies up by itself, once a day in each process: sessions and counts that have ended, and what SQLite
plans its queries by."""

import logging
import random
import threading
import time

from allauth.usersessions.models import UserSession
from django.contrib.sessions.models import Session
from django.db import Error, connection
from django.utils import timezone

from chat.runtime.safe_logging import describe
from project.accounts.models import CacheEntry

logger = logging.getLogger(__name__)

FIRST_AFTER_S, EVERY_S = 600.0, 24 * 3600.0
"""Not when a process starts: many start at once then. Each waits up to twice as long, so that they take turns."""
AT_ONCE, PAUSE_S = 500, 0.2
"""Rows that are deleted in one transaction, and the pause after it: on SQLite, nobody else writes meanwhile."""


def start() -> None:
    """Tidy up for as long as the process lives, in a thread that does not keep it alive."""
    threading.Thread(target=_run, name="housekeeping", daemon=True).start()


def _run() -> None:
    wait_s = FIRST_AFTER_S
    while True:
        time.sleep(wait_s * random.uniform(1, 2))  # noqa: S311
        try:
            tidy()
        except Error as error:
            logger.warning("Tidying up will be tried again: %s", describe(error))
        finally:
            connection.close()
        wait_s = EVERY_S / 2


def tidy() -> None:
    """Delete what has ended, a little at a time. Harmless when several processes do it at once."""
    while keys := list(Session.objects.filter(expire_date__lt=timezone.now()).values_list("pk", flat=True)[:AT_ONCE]):
        UserSession.objects.filter(session_key__in=keys).delete()
        Session.objects.filter(pk__in=keys).delete()
        time.sleep(PAUSE_S)
    while keys := list(CacheEntry.objects.filter(expires__lt=timezone.now()).values_list("pk", flat=True)[:AT_ONCE]):
        CacheEntry.objects.filter(pk__in=keys).delete()
        time.sleep(PAUSE_S)
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA optimize")
