"""A person's rooms as the sidebar shows them; static/chat/js/room-sections.js does the same when it is live."""

from collections.abc import Iterable
from unicodedata import category, normalize

from chat.wire.protocol import RoomState


def sections(rooms: Iterable[RoomState]) -> dict[str, list[RoomState]]:
    """Rooms by name, so that each stays in its place; direct ones by their last message; archived ones apart."""
    parts: dict[str, list[RoomState]] = {"rooms": [], "direct": [], "archived": []}
    for room in sorted(rooms, key=lambda room: (_plain(room.name), room.name, int(room.id))):
        parts["archived" if room.archived else "direct" if room.kind == "direct" else "rooms"].append(room)
    parts["direct"].sort(key=lambda room: room.last_message_at or "", reverse=True)
    return parts


def _plain(name: str) -> str:
    return "".join(each for each in normalize("NFKD", name) if category(each) != "Mn").lower()
