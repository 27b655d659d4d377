"""What a command handler is given, and the two kinds of handlers."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from chat.live.connection import Connection
from chat.process import Process
from chat.services.writer import Change


@dataclass(frozen=True)
class Context:
    connection: Connection
    process: Process

    @property
    def user(self) -> Any:
        return self.connection.user


Write = Callable[[Context, Any], Awaitable[Change]]
"""Prepares a change for the writer, whose result is the reply's. Awaits nothing but rendering."""
Read = Callable[[Context, Any], Awaitable[Any]]
"""Answers from the database, after this connection's own changes have been stored."""
