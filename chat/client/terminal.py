"""A chat in the terminal: ``python -m chat.client URL --room ID --token …``. Lines in are messages, lines out are news.

Plain lines on standard input and output, so that it works over ssh, in a pipe and with a screen reader. What was typed
is sent before the program ends.
"""

import argparse
import asyncio
import os
import sys
import threading
from collections.abc import AsyncIterator
from typing import TextIO

from chat.client.client import ChatClient
from chat.client.core.actions import ConnectionChanged, Failed, Overflowed, RoomNews, Stopped
from chat.client.outbox_store import OutboxInUse, OutboxStore, SqliteOutbox
from chat.client.room import Room
from chat.wire import protocol
from chat.wire.errors import ChatError

HELP = "/history shows older messages · /members who is here · /rooms your rooms · /quit ends"
GONE = "(deleted account)"
LAST_WORDS_S = 10.0
"""How long the program waits, at the end of its input, for the last messages to be stored."""


def main(arguments: list[str]) -> int:
    """Run until the input ends. Return the exit status: 0, or 1 if the server refused us, 2 for wrong arguments."""
    options = _parser().parse_args(arguments)
    token = options.token or os.environ.get("CHAT_TOKEN")
    if not token:
        _parser().error("give --token, or set CHAT_TOKEN (manage.py chat_token USERNAME prints one)")
    try:
        return asyncio.run(_run(options, token))
    except KeyboardInterrupt:
        return 0
    except (OutboxInUse, ValueError) as error:
        print(error, file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m chat.client", description=__doc__.splitlines()[0])
    parser.add_argument("url", help="the site, as in http://127.0.0.1:8000")
    parser.add_argument("--room", help="id of the room; without it your rooms are listed")
    parser.add_argument("--token", help="bearer token; CHAT_TOKEN of the environment unless given, and safer there")
    parser.add_argument("--outbox", metavar="FILE", help="keep unsent messages in this file beyond the program's end")
    parser.add_argument(
        "--history", type=int, default=20, metavar="N", help="messages shown at the start (%(default)s)"
    )
    return parser


async def _run(options: argparse.Namespace, token: str) -> int:
    outbox: OutboxStore | None = SqliteOutbox(options.outbox) if options.outbox else None
    async with ChatClient(options.url, token=token, outbox=outbox) as client:
        try:
            watching = asyncio.create_task(_watch(client))
            if options.room is None:
                await _print_rooms(client)
                return 0
            room = await client.room(options.room, history=options.history)
            await Terminal(client, room).run()
            watching.cancel()
        except Stopped as error:
            print(error, file=sys.stderr)
            return 1
        except ChatError as error:
            print(f"{error} ({error.code})", file=sys.stderr)
            return 1
    return 0


class Terminal:
    """One person in one room."""

    def __init__(self, client: ChatClient, room: Room):
        self._client = client
        self._room = room
        self._posts: set[asyncio.Task[None]] = set()
        self._shown_first = 1

    async def run(self) -> None:
        """Run until the input ends or the person loses the room."""
        name = self._room.state.name if self._room.state else self._room.id
        print(f"-- {name} · {HELP}")
        for message in self._room.messages:
            print(_line(message))
        self._shown_first = self._room.timeline.first or 1
        showing = asyncio.create_task(self._show())
        typing = asyncio.create_task(self._obey_all())
        done, _ = await asyncio.wait({showing, typing}, return_when=asyncio.FIRST_COMPLETED)
        if typing in done and self._posts:
            await asyncio.wait(self._posts, timeout=LAST_WORDS_S)
            if self._posts:
                print(f"-- {len(self._posts)} message(s) not yet stored", file=sys.stderr)
        await asyncio.sleep(0)  # `_show` prints the person's own last messages
        for task in (showing, typing, *self._posts):
            task.cancel()
        for task in done:
            task.result()

    async def _show(self) -> None:
        async for event in self._room.events():
            if (line := _news_line(event)) is not None:
                print(line, flush=True)
        print("-- this room is closed to you")

    async def _obey_all(self) -> None:
        async for line in _lines(sys.stdin):
            if line == "/quit":
                return
            await self._obey(line)

    async def _obey(self, line: str) -> None:
        if line == "/history":
            page = await self._room.history(before=self._shown_first)
            for message in page.messages:
                print(_line(message))
            self._shown_first = page.messages[0].number if page.messages else 1
        elif line == "/members":
            print("-- " + ", ".join(member.user.name for member in await self._room.load_members()))
        elif line == "/rooms":
            await _print_rooms(self._client)
        elif line.startswith("/"):
            print(f"-- {HELP}")
        elif line.strip():
            # Not awaited: the outbox keeps the order, and the person can go on typing without a connection.
            task = asyncio.create_task(self._post(line))
            self._posts.add(task)
            task.add_done_callback(self._posts.discard)

    async def _post(self, body: str) -> None:
        try:
            await self._room.post(body)
        except ChatError as error:
            print(f"-- not sent: {error} [{body[:40]}]", file=sys.stderr)


async def _watch(client: ChatClient) -> None:
    """Print when the connection is made or lost, and when a message of an earlier run is refused."""
    was_live = False
    async for event in client.events():
        if isinstance(event, ConnectionChanged):
            if event.state == "live":
                print("-- connected", file=sys.stderr, flush=True)
            elif was_live and event.state == "waiting":
                print("-- connection lost; trying again", file=sys.stderr, flush=True)
            was_live = event.state == "live"
        elif isinstance(event, Failed):
            print(f"-- not sent: {event.error}", file=sys.stderr, flush=True)


async def _print_rooms(client: ChatClient) -> None:
    for state in await client.list_rooms():
        print(f"{state.id:>6}  {state.name}  ({state.unread} unread)")


async def _lines(stream: TextIO) -> AsyncIterator[str]:
    """The lines of ``stream``, read by a thread: files and consoles can't be awaited on every system."""
    loop = asyncio.get_running_loop()
    # Bounded, so that the thread does not read a large file faster than the loop takes its lines.
    queue: asyncio.Queue[str | None] = asyncio.Queue(100)

    def read() -> None:
        try:
            for line in stream:
                asyncio.run_coroutine_threadsafe(queue.put(line.rstrip("\r\n")), loop).result()
            asyncio.run_coroutine_threadsafe(queue.put(None), loop).result()
        except (RuntimeError, asyncio.CancelledError):
            pass  # the loop has ended: nobody listens any more

    threading.Thread(target=read, daemon=True).start()
    while (line := await queue.get()) is not None:
        yield line


def _line(message: protocol.Message) -> str:
    author = message.author.name if message.author else GONE
    body = "(deleted)" if message.deleted_at else message.body
    return f"{message.created_at[11:16]} {_plain(author)}: {_plain(body)}"


def _news_line(event: RoomNews) -> str | None:
    if isinstance(event, protocol.MessagePosted):
        return _line(event.message)
    if isinstance(event, protocol.MessageChanged) and (event.message.edited_at or event.message.deleted_at):
        return f"-- changed: {_line(event.message)}"
    if isinstance(event, protocol.MemberJoined | protocol.MemberLeft):
        verb = "joined" if isinstance(event, protocol.MemberJoined) else "left"
        return f"-- {_plain(event.member.user.name) or GONE} {verb}"
    if isinstance(event, protocol.RoomChanged):
        return f"-- the room is now {_plain(event.state.name)}: {_plain(event.state.topic)}"
    if isinstance(event, Overflowed | protocol.Reset):
        return "-- (changes were skipped)"
    return None


def _plain(text: str) -> str:
    """Replace control characters: what other people write must not control this terminal."""
    return "".join(each if each.isprintable() or each == "\n" else "�" for each in text)
