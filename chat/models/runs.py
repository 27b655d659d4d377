"""Runs: how a database that has lost its newest changes is told from one that has not.

See docs/architecture.md, "Numbers that go back".
A fail-over to a standby that lags, or a restored copy, gives the same seqs out a second time. So each stretch of
numbers carries the id of a *run*, which no two histories share: a reader whose run ended below its seq has seen what
the database no longer has. Kafka's log has the same under the name of leader epochs (KIP-101).
"""

import os
import threading
from secrets import token_hex
from typing import Any, ClassVar

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import F, Q, Value
from django.db.models.expressions import RawSQL

from chat.models.database import connection, transaction_memory
from chat.models.prepared import Prepared
from chat.models.rooms import Room

RUNS_PER_ROOM = 100
"""Ended runs that are kept of a room. A cursor of an older one is answered with a reset."""
_RUN_BYTES = 8
_THE_ROW = 1


class DatabaseRun(models.Model):
    """The present run of the database, in one row.

    ``server`` is where the run began. A database that is served from elsewhere has been restored or has failed over.
    """

    id = models.PositiveSmallIntegerField(primary_key=True, default=_THE_ROW, editable=False)
    run = models.CharField(max_length=16, editable=False)
    server = models.CharField(max_length=100, editable=False)

    class Meta:
        default_permissions = ()
        verbose_name = "run of the database"

    def __str__(self) -> str:
        return self.run


class RoomRun(models.Model):
    """A run that has ended in a room, with the seqs that the room was given in it. ``Room.run`` is the present one."""

    room = models.ForeignKey(Room, models.CASCADE, db_index=False, related_name="+", editable=False)
    run = models.CharField(max_length=16, editable=False)
    first_seq = models.BigIntegerField(editable=False)
    last_seq = models.BigIntegerField(editable=False)

    class Meta:
        default_permissions = ()
        verbose_name = "run of a room"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["room", "last_seq"], name="chat_room_run_once"),
            models.CheckConstraint(condition=Q(first_seq__lte=F("last_seq")), name="chat_room_run_seqs"),
        ]

    def __str__(self) -> str:
        return f"{self.run}: {self.first_seq}-{self.last_seq}"


_of_thread = threading.local()
_before: dict[str, str] = {}
"""By SQLite file: the run that was there when this process came. SQLite does not say where it is served from, so a
process never continues such a run: the file may have been put back while no process ran."""
os.register_at_fork(after_in_child=_before.clear)


def renew_on_connect() -> None:
    """Let the running thread, which keeps its connection, begin a new run with each new one.

    What broke the connection may have been a fail-over that ``DatabaseRun.server`` does not show.
    """
    _of_thread.renews = True


def current_run() -> str:
    """The run that changes of the open ``write()`` belong to. A new one begins if the database may have lost changes.

    The first call of a transaction takes one query, and two more when a run begins. Nobody waits for the row: a
    transaction that finds it locked uses a run of its own, which costs its rooms one more stretch and is as right.
    """
    memory = transaction_memory()
    if "run" not in memory:
        memory["run"] = _find_or_begin(connection())
    return str(memory["run"])


def _find_or_begin(db: BaseDatabaseWrapper) -> str:
    if not (found := _present()):  # the tables were emptied
        DatabaseRun.objects.using(db.alias).bulk_create([DatabaseRun()], ignore_conflicts=True)
        found = _present()
    ((run, server, here),) = found
    is_from_before = _is_from_before(db, run)
    if run and server == here and not is_from_before:
        return str(run)
    run = token_hex(_RUN_BYTES)
    rows = DatabaseRun.objects.using(db.alias).filter(pk=_THE_ROW)
    if rows.select_for_update(skip_locked=db.features.has_select_for_update_skip_locked).first():
        rows.update(run=run, server=here)
    return run


def _server(db: BaseDatabaseWrapper) -> Any:
    """An expression that changes when the database is served from elsewhere.

    PostgreSQL: another server, one that was started again, another database of it (a dump that was read back), or
    another table (one that was read back into the same database).
    """
    if db.vendor != "postgresql":
        return Value("")
    table = db.ops.quote_name(Room._meta.db_table)
    return RawSQL(
        "concat_ws(' ', extract(epoch FROM pg_postmaster_start_time()),"
        " (SELECT oid FROM pg_database WHERE datname = current_database()), pg_relation_filenode(%s::regclass))",
        [table],
    )


_present = Prepared(
    lambda: (
        DatabaseRun.objects.filter(pk=_THE_ROW)
        .annotate(here=_server(connection()))
        .values_list("run", "server", "here")
    )
)


def _is_from_before(db: BaseDatabaseWrapper, run: str) -> bool:
    """Whether this process, or this thread's connection, is younger than the run."""
    if db.vendor == "sqlite":
        return _before.setdefault(str(db.settings_dict["NAME"]), run) == run
    if not getattr(_of_thread, "renews", False) or db.settings_dict.get("OPTIONS", {}).get("pool"):
        return False
    if getattr(_of_thread, "connection", None) is not db.connection:
        _of_thread.connection, _of_thread.before = db.connection, run
    return bool(_of_thread.before == run)
