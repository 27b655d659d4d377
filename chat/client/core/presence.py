"""Who is connected, as the server has told this client. Sans I/O. Without a connection, nothing is known."""

from typing import Literal

from chat.wire import protocol

Status = Literal["online", "away"]


class Presence:
    def __init__(self) -> None:
        self.own: Status = "online"
        """What the application has said of its user. The server forgets it with the connection."""
        self._users: dict[str, str] = {}
        self._online: dict[str, int | None] = {}

    def heard(self, event: protocol.PresenceTold) -> None:
        self._users |= event.users
        self._online |= event.online

    def connection_lost(self) -> None:
        self._users.clear()
        self._online.clear()

    def status_of(self, user_id: str) -> str:
        return self._users.get(user_id, "unknown")

    def online(self, room_id: str) -> int | None:
        return self._online.get(room_id)
