"""A database that loses its newest changes, as a fail-over to a standby that lags or a restored copy does."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection

from chat.models import DatabaseRun, Room, RoomRun

TABLES = ("chat_reaction", "chat_mention", "chat_message", "chat_roomrun", "chat_membership", "chat_room")


@contextmanager
def lost() -> Iterator[None]:
    """What is committed inside is gone from the chat's tables afterwards, and the database is served from elsewhere."""
    with connection.cursor() as cursor:
        for table in TABLES:
            cursor.execute(f"CREATE TABLE kept_{table} AS SELECT * FROM {table}")
        yield
        for table in TABLES:
            cursor.execute(f"DELETE FROM {table}")
        for table in reversed(TABLES):
            cursor.execute(f"INSERT INTO {table} SELECT * FROM kept_{table}")
            cursor.execute(f"DROP TABLE kept_{table}")
    serve_elsewhere()


def serve_elsewhere() -> None:
    """Let the database notice that it is served from another place than before, as after a fail-over."""
    DatabaseRun.objects.update(server="elsewhere")


def stretches(room: Room) -> list[tuple[str, int, int]]:
    """The room's runs: id, first seq, last seq."""
    room.refresh_from_db()
    ended = RoomRun.objects.filter(room=room).order_by("first_seq").values_list("run", "first_seq", "last_seq")
    return [*ended, (room.run, room.run_seq, room.head)]
