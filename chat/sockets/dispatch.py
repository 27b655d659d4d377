"""The commands of one socket: bounded, run in the order sent, each answered once."""

import asyncio
import logging
from collections import deque
from typing import Any

from chat.conf import conf
from chat.live.background import BackgroundTasks
from chat.runtime.safe_logging import describe
from chat.services import changes, limits
from chat.services.posting import Post
from chat.services.writer import writer
from chat.sockets.commands.context import (
    Context,
    ImmediateRead,
    ImmediateSignal,
    Read,
    Signal,
    SignInCommand,
    Stream,
    Write,
)
from chat.sockets.commands.registry import COMMANDS
from chat.wire import protocol
from chat.wire.errors import AuthRequired, ChatError, ServerBusy, ServerError

logger = logging.getLogger(__name__)


class Dispatch:
    """Runs commands one after the other, each by the handler that ``COMMANDS`` names."""

    __slots__ = ("_commands", "_connection", "_context", "_is_running", "_is_started", "_tasks", "_writes")

    def __init__(self, context: Context, tasks: BackgroundTasks):
        self._context = context
        self._connection = context.connection
        self._tasks = tasks
        self._commands: deque[tuple[Any, float]] = deque()
        self._writes: set[asyncio.Future[Any]] = set()
        self._is_started = False
        self._is_running = False

    def start(self) -> None:
        """Begin with what has come so far. Until then commands only wait: nobody knows yet whose they are."""
        self._is_started = True
        self._run_soon()

    def put(self, command: Any) -> None:
        """Queue a command, or refuse it with a reply when too many are unanswered.

        Raises:
            CommandInvalid: It has no ref to reply to, and is handled at once.
        """
        handler = COMMANDS[type(command)]
        if isinstance(handler, ImmediateSignal):
            handler.handle(self._context, command)
        elif isinstance(handler, Signal):
            if len(self._commands) < conf.unanswered:  # nobody waits for an answer: signals are shed first
                self._enqueue(command)
        elif isinstance(handler, ImmediateRead) and self._may_answer_now():
            self._reply(command.ref, handler.answer(self._context, command))
        elif self._connection.is_leaving or self._connection.unanswered >= conf.unanswered:
            self.refuse(command.ref, ServerBusy())
        else:
            self._connection.unanswered += 1
            self._enqueue(command)

    def _may_answer_now(self) -> bool:
        """Whether somebody is signed in who reads what is sent: answers must not pile up."""
        connection = self._connection
        return self._is_started and connection.identity is not None and connection.window.has_room

    def refuse(self, ref: int | None, error: ChatError) -> None:
        """Answer what was never queued: as a reply to its ref, or as an ``error`` event where there is none."""
        if ref is not None:
            self._reply(ref, error=error)
        else:
            told = protocol.ErrorEvent(error=protocol.error_body(error))
            self._context.process.hub.send(self._connection, protocol.encode(told))

    def clear(self) -> None:
        """Forget the commands that have not begun."""
        self._commands.clear()

    def _enqueue(self, command: Any) -> None:
        self._commands.append((command, self._context.process.stalls.arrived_at()))
        self._run_soon()

    def _run_soon(self) -> None:
        if self._is_started and not self._is_running and self._commands:
            self._is_running = True
            self._tasks.start(self._run_all())

    async def _run_all(self) -> None:
        try:
            while self._commands:
                command, arrived_at = self._commands.popleft()
                try:
                    await self._run(command, COMMANDS[type(command)], arrived_at)
                except Exception as error:
                    self._failed(command, error)
        finally:
            self._is_running = False

    async def _run(self, command: Any, handler: Any, arrived_at: float) -> None:
        user_id = self._connection.user_id
        if isinstance(handler, SignInCommand):
            if user_id:  # before the sign-in, a wrong token ends the connection
                limits.ask(user_id, command)
            if await handler.handle(self._context, command):
                self._connection.unanswered -= 1
        elif self._connection.identity is None:
            raise AuthRequired
        elif isinstance(handler, Write):
            await self._write(command, handler, arrived_at)
        elif isinstance(handler, Signal):
            await handler.handle(self._context, command)
        elif isinstance(handler, ImmediateRead):
            await self._connection.room_for_page()
            self._answer(command.ref, handler.answer(self._context, command))
        else:
            limits.ask(user_id, command)
            # What this connection has changed must show in what it reads next.
            if self._writes:
                await asyncio.wait(self._writes)
            if isinstance(handler, Stream):
                self._tasks.start(self._stream(command, handler.begin(self._context, command)))
            else:
                await self._read(command, handler)

    async def _write(self, command: Any, handler: Write, arrived_at: float) -> None:
        limits.ask(self._connection.user_id, command)
        change = await handler.prepare(self._context, command)
        stored = writer.submit(
            change,
            per_person=conf.waiting_changes,
            ends_at=arrived_at + changes.kept_s(),
            is_abandoned=self._is_closed if isinstance(change, Post) else changes.never,
        )
        self._writes.add(stored)
        stored.add_done_callback(lambda done: self._stored(command, done))

    def _stored(self, command: Any, done: "asyncio.Future[Any]") -> None:
        self._writes.discard(done)
        if done.cancelled():
            return
        if (error := done.exception()) is not None:
            self._failed(command, error)
        else:
            result = done.result()
            try:
                self._answer(command.ref, {} if result is None else result)
            except Exception as fault:  # a host's name for somebody may hold what nobody can encode
                self._failed(command, fault)

    def _is_closed(self) -> bool:
        """A post of a socket that is gone comes again, from its sender's outbox; other changes do not."""
        return self._connection.is_closed

    async def _read(self, command: Any, handler: Read) -> None:
        await self._connection.room_for_page()
        self._answer(command.ref, await handler.answer(self._context, command))

    async def _stream(self, command: Any, work: Any) -> None:
        try:
            self._answer(command.ref, await work)
        except Exception as error:
            self._failed(command, error)

    def _failed(self, command: Any, error: BaseException) -> None:
        if not isinstance(error, ChatError):
            logger.error("connection %s: %s", self._connection.id, describe(error))
            error = ServerError()
        if not isinstance(COMMANDS[type(command)], Signal):
            self._answer(command.ref, error=error)

    def _answer(self, ref: int, result: Any = None, *, error: ChatError | None = None) -> None:
        self._reply(ref, result, error=error)  # first: it may fail, and is then answered with the error
        self._connection.unanswered -= 1

    def _reply(self, ref: int, result: Any = None, *, error: ChatError | None = None) -> None:
        if error is not None:
            told = protocol.ReplyEvent(ref=ref, ok=False, error=protocol.error_body(error))
        else:
            told = protocol.ReplyEvent(ref=ref, ok=True, result=result)
        self._context.process.hub.send(self._connection, protocol.encode(told))
