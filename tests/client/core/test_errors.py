"""The server's refusals as exceptions."""

from chat.client.core.errors import error_from
from chat.wire import errors, protocol


def test_the_servers_word_on_retry_counts() -> None:
    known = error_from(protocol.ErrorBody("room.archived", "Closed.", False))
    assert type(known) is errors.RoomArchived
    other = error_from(protocol.ErrorBody("room.archived", "Later.", True, 5))
    assert isinstance(other, errors.RoomArchived)
    assert (other.retry, other.retry_after_ms) == (True, 5)
    later = error_from(protocol.ErrorBody("room.haunted", "Boo.", False))
    assert (later.code, later.retry) == ("room.haunted", False)
