"""The terminal client, as a person or a script uses it."""

import asyncio
import os
import sys
from pathlib import Path

from tests.client.fake_server import FakeServer

ENVIRONMENT = {**os.environ, "CHAT_TOKEN": "ana-token", "PYTHONIOENCODING": "utf-8"}


async def run(server: FakeServer, *arguments: str, stdin: str = "") -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "chat.client", server.url, *arguments,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        cwd=Path(__file__).resolve().parents[2], env=ENVIRONMENT,
    )  # fmt: skip
    out, err = await asyncio.wait_for(process.communicate(stdin.encode()), 30)
    return process.returncode or 0, out.decode(), err.decode()


async def test_lines_on_standard_input_are_messages(server: FakeServer) -> None:
    await server.post("welcome \x1b[31mred")
    status, out, err = await run(server, "--room", "1", stdin="hello\n\nhow are you?\n")
    assert status == 0, err
    assert [each.body for each in server.rooms["1"].messages][1:] == ["hello", "how are you?"]
    assert "ben: welcome �[31mred" in out


async def test_rooms_are_listed_without_a_room(server: FakeServer) -> None:
    status, out, _ = await run(server)
    assert (status, out.split()[0]) == (0, "1")


async def test_a_refusal_is_said_and_is_the_exit_status(server: FakeServer) -> None:
    server.close_next_with = [4501]
    status, _, err = await run(server, "--room", "1")
    assert status == 1
    assert "not_signed_in" in err


async def test_a_room_that_is_not_there_is_said(server: FakeServer) -> None:
    status, _, err = await run(server, "--room", "99")
    assert status == 1
    assert "room.not_found" in err


async def test_a_refused_message_is_said(server: FakeServer) -> None:
    _, _, err = await run(server, "--room", "1", stdin="x" * 10_001 + "\n/quit\n")
    assert "not sent" in err
