"""What a client may call is a table, and the table is whole."""

from typing import get_args

from chat.sockets.commands.registry import COMMANDS
from chat.wire.commands import Command


def test_every_command_of_the_protocol_has_its_handler() -> None:
    assert COMMANDS.keys() == set(get_args(Command))
    assert len(COMMANDS) == 24
