"""What a command handler is given, and the kinds of handlers that there are."""

from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from chat.live.connection import Connection
from chat.process import Process
from chat.services.changes import Change
from chat.sockets.sign_in import SignIn


@dataclass(frozen=True, slots=True)
class Context:
    connection: Connection
    process: Process
    sign_in: SignIn

    @property
    def user(self) -> Any:
        return self.connection.user


@dataclass(frozen=True, slots=True)
class Write:
    """Prepares a change for the writer, whose result becomes the reply. It awaits nothing but rendering.

    Each kind of write has a limit for each person (``services/limits.py``), asked before anything else.
    """

    prepare: Callable[[Context, Any], Awaitable[Change]]


@dataclass(frozen=True, slots=True)
class Read:
    """Answers once this connection's own changes have been stored.

    ``Read``s and ``Stream``s have limits for each person, which they share (``services/limits.py``).
    """

    answer: Callable[[Context, Any], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Stream:
    """Begins like a ``Read``, then goes on beside later commands: the client sets its pace."""

    begin: Callable[[Context, Any], Coroutine[Any, Any, Any]]


@dataclass(frozen=True, slots=True)
class Signal:
    """Runs in its turn and has no reply."""

    handle: Callable[[Context, Any], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class ImmediateSignal:
    """Takes effect when its frame is read, ahead of commands that wait, and has no reply."""

    handle: Callable[[Context, Any], None]


@dataclass(frozen=True, slots=True)
class ImmediateRead:
    """Answers when its frame is read, past commands and changes that wait; in its turn if the client does not read."""

    answer: Callable[[Context, Any], Any]


@dataclass(frozen=True, slots=True)
class SignInCommand:
    """May come before anybody is signed in. It replies by itself, and says whether it did."""

    handle: Callable[[Context, Any], Awaitable[bool]]


Handler = Write | Read | Stream | Signal | ImmediateSignal | ImmediateRead | SignInCommand
