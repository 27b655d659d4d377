"""What the client core asks of the program around it, and what it tells the application (docs/python-client.md)."""

from dataclasses import dataclass
from typing import Any, Literal

from chat.client.core.outbox import OutboxItem
from chat.wire import protocol
from chat.wire.errors import ChatError

ConnectionState = Literal["waiting", "connecting", "live", "stopped"]

StopReason = Literal[
    "closed", "not_signed_in", "banned", "session_ended", "unsupported_protocol", "refused", "other_user"
]


# For the application -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ConnectionChanged:
    """The connection's state has changed. ``reason`` is set when it stopped for good."""

    state: ConnectionState
    reason: StopReason | None = None


@dataclass(frozen=True, slots=True)
class Overflowed:
    """The application was too slow: news other than messages was dropped. The merged state is current; read it again.

    Messages are never dropped: they follow in order, all of them. ``room`` is None for the client's own events.
    """

    room: str | None


RoomNews = (
    protocol.MessagePosted
    | protocol.MessageChanged
    | protocol.RoomChanged
    | protocol.MemberJoined
    | protocol.MemberChanged
    | protocol.MemberLeft
    | protocol.ReadChanged
    | protocol.TypingChanged
    | protocol.Reset
    | protocol.RoomRemoved
    | Overflowed
)

ClientNews = (
    ConnectionChanged
    | Overflowed
    | protocol.RoomAdded
    | protocol.RoomRemoved
    | protocol.Notice
    | protocol.PresenceTold
    | protocol.Drain
    | protocol.ErrorEvent
)


# For the program around the core -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Connect:
    """Open a connection. ``fresh_credentials`` means that the ones used last were refused."""

    fresh_credentials: bool = False


@dataclass(frozen=True, slots=True)
class Disconnect:
    """Close the connection, and ignore whatever it still brings."""


@dataclass(frozen=True, slots=True)
class Send:
    command: protocol.Command


@dataclass(frozen=True, slots=True)
class SignedIn:
    """``hello`` came: this user's outbox may be sent."""

    user: protocol.User


@dataclass(frozen=True, slots=True)
class Answered:
    """A caller's command has its answer: a result of the command's result type, or the error."""

    tag: Any
    result: Any = None
    error: Exception | None = None


@dataclass(frozen=True, slots=True)
class Stored:
    """The message is stored and acknowledged: it leaves the outbox."""

    client_id: str
    room: str
    result: protocol.PostResult


@dataclass(frozen=True, slots=True)
class Failed:
    """The message leaves the outbox without being stored. Where ``error.retry`` is true, the server broke down on it
    again and again; it may be posted once more, with the same ``client_id``."""

    item: OutboxItem
    error: ChatError

    @property
    def client_id(self) -> str:
        return self.item.client_id

    @property
    def room(self) -> str:
        return self.item.room


@dataclass(frozen=True, slots=True)
class RoomNewsReady:
    """Something about the room may have changed: ``take`` may have news, and waiting tasks should look again."""

    room: str


@dataclass(frozen=True, slots=True)
class Tell:
    """News for the application that belongs to no room's stream."""

    news: ClientNews


Action = Connect | Disconnect | Send | SignedIn | Answered | Stored | Failed | RoomNewsReady | Tell


# Errors that arise on this side of the wire --------------------------------------------------------------------


class OutcomeUnknown(ChatError):
    code = "client.outcome_unknown"
    text = "The connection broke before the answer came: the command may have been carried out or not."


class TooManyRequests(ChatError):
    code = "client.too_many_requests"
    text = "Too many commands wait for their answer."
    retry = True


class OutboxFull(ChatError):
    code = "client.outbox_full"
    text = "The outbox holds as many messages as it may."
    retry = True


class Stopped(ChatError):
    code = "client.stopped"
    text = "The client has ended its connection for good."
