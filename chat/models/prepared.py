"""Query sets whose SQL is made once. Django makes it anew for each call, which takes up to a millisecond: more than
everything else that a sign-in or a post does.

What is kept is Django's own compiler; rows become objects in Django's own way. ``tests/models/test_prepared.py`` holds
each prepared query to the answer of the plain one, on both databases.
"""

from collections.abc import Callable, Sequence
from copy import copy
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Generic, NamedTuple, TypeVar
from uuid import UUID

from django.core.exceptions import EmptyResultSet, FullResultSet
from django.db import connections, models, transaction
from django.db.models import QuerySet
from django.db.models.sql.compiler import SQLCompiler

from chat.models.database import alias

Row = TypeVar("Row")
Kind = type[int] | type[str] | type[UUID] | type[datetime]
_FIELDS: dict[type, Any] = {UUID: models.UUIDField(), datetime: models.DateTimeField()}
"""How values become parameters where databases differ in it."""
LONGEST = 1_024
"""Longer lists are asked for plainly: databases bound the number of parameters."""
MADE_AT_MOST = 200
"""Statements of one query that are kept: a client chooses how many messages of a history it wants."""
_MARK = 9_100_000_000_000_000_000


class Prepared(Generic[Row]):
    """A query set that is called with its values, and returns its rows. Collections may be of any kind.

    Args:
        make: Makes the query set from one value for each of ``kinds``. It is called with made-up values, and must not
            look at them.
        kinds: The type of each value; in a list, for those of which there may be many (``__in``).
    """

    def __init__(self, make: Callable[..., QuerySet[Any, Row]], *kinds: Kind | list[Kind]):
        self._make = make
        self._kinds = kinds
        self._made: dict[Any, _Statement | None] = {}
        PREPARED.append(self)

    def __call__(self, *values: Any, limit: int | None = None) -> list[Row]:
        """The rows for these values, ``limit`` at most. Without any value where there may be many, there are none."""
        if limit == 0:
            return []
        lists = [
            list(value) if isinstance(kind, list) else [value] for kind, value in zip(self._kinds, values, strict=True)
        ]
        if not all(lists):
            return []
        using = alias()
        if max(map(len, lists), default=0) > LONGEST:
            return list(self.plain(*values, limit=limit).using(using))
        # Lists are filled up to powers of two, so that there are not as many statements as lengths.
        sizes = tuple(1 << (len(each) - 1).bit_length() for each in lists)
        key = using, connections[using].vendor, sizes, limit
        if key in self._made:
            statement = self._made[key]
        else:
            if len(self._made) >= MADE_AT_MOST:
                self._made.clear()
            statement = self._made[key] = self._compiled(using, sizes, limit)
        if statement is None:
            return list(self.plain(*values, limit=limit).using(using))
        flat: list[Any] = []
        for each, size in zip(lists, sizes, strict=True):
            flat += each
            flat += each[-1:] * (size - len(each))
        return statement.run(flat)

    def plain(self, *values: Any, limit: int | None = None) -> QuerySet[Any, Row]:
        """The query set itself."""
        rows = self._make(*values)
        return rows if limit is None else rows[:limit]

    def _compiled(self, using: str, sizes: Sequence[int], limit: int | None) -> "_Statement | None":
        """None where this Django binds the values in a way that is not understood here."""
        marks: list[Any] = []
        given: list[Any] = []
        for kind, size in zip(self._kinds, sizes, strict=True):
            of = kind[0] if isinstance(kind, list) else kind
            made = [_mark(of, len(marks) + place) for place in range(size)]
            given.append(made if isinstance(kind, list) else made[0])
            marks += made
        rows = self.plain(*given, limit=limit).using(using)
        return _Statement.of(rows, using, marks)


PREPARED: list[Prepared[Any]] = []
"""All of them, for the tests."""


def _mark(kind: type, place: int) -> Any:
    """A value that is nothing else's."""
    if kind is int:
        return _MARK + place
    if kind is UUID:
        return UUID(int=_MARK + place)
    if kind is datetime:
        return datetime(1903, 1, 1, tzinfo=UTC) + timedelta(seconds=place)
    return f"\x01{place}\x02"


class _Parameter(NamedTuple):
    """The place of a value, or a constant. ``kind``: the type of what is bound."""

    place: int | None
    kind: type
    constant: Any

    def bind(self, value: Any) -> Any:
        return value if type(value) is self.kind else self.kind(value)


class _Statement:
    """SQL with its parameters: constants, or places of values."""

    def __init__(
        self,
        rows: QuerySet[Any, Any],
        using: str,
        compiler: SQLCompiler,
        sql: str,
        parameters: list[_Parameter],
        fields: list[Any],
    ):
        self._rows = rows
        self._using = using
        self._compiler = compiler
        self._sql = sql
        self._parameters = parameters
        self._fields = fields

    @classmethod
    def of(cls, rows: QuerySet[Any, Any], using: str, marks: list[Any]) -> "_Statement | None":
        connection = connections[using]
        compiler = rows.query.get_compiler(using)
        try:
            sql, given = compiler.as_sql()
        except (EmptyResultSet, FullResultSet):
            return None
        compiler.connection = None  # it would be kept open after its thread has ended
        fields = [_FIELDS.get(type(each)) for each in marks]
        bound = [
            field.get_db_prep_value(each, connection) if field else each
            for field, each in zip(fields, marks, strict=True)
        ]
        places = {(_kind(each), each): place for place, each in enumerate(bound)}
        # psycopg is told the size of some integers by their type (``Int8``).
        parameters = [_Parameter(places.get((_kind(each), each)), type(each), each) for each in given]
        if {each.place for each in parameters} - {None} != set(range(len(marks))):
            return None
        return cls(rows, using, compiler, sql, parameters, fields)

    def run(self, values: list[Any]) -> list[Any]:
        connection = connections[self._using]
        locks = self._rows.query.select_for_update and connection.features.has_select_for_update
        if locks and connection.get_autocommit():  # Django looks when it makes the SQL
            raise transaction.TransactionManagementError("select_for_update cannot be used outside of a transaction.")
        bound = [
            field.get_db_prep_value(each, connection) if field else each
            for field, each in zip(self._fields, values, strict=True)
        ]
        parameters = [
            each.constant if each.place is None else each.bind(bound[each.place]) for each in self._parameters
        ]
        # Django's iterables ask the query for a compiler, and that for the result.
        compiler: Any = copy(self._compiler)
        compiler.connection = connection
        compiler.execute_sql = partial(_fetched, connection, self._sql, parameters)
        rows: Any = self._rows._clone()  # type: ignore[attr-defined]
        rows.query.get_compiler = lambda *args, **kwargs: compiler
        found: list[Any] = list(rows._iterable_class(rows))
        return found


def _kind(value: Any) -> type:
    return int if isinstance(value, int) and not isinstance(value, bool) else type(value)


def _fetched(connection: Any, sql: str, parameters: list[Any], *args: Any, **kwargs: Any) -> list[list[Any]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return [cursor.fetchall()]
