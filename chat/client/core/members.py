"""A room's members as a client knows them: loaded in pages, kept current by events. Sans I/O.

A member has no ``changed_seq`` on the wire. The newer of two states is therefore the one that came with the higher seq:
that of an event, of the ``synced`` that ended a catch-up, or of the snapshot of a page.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from chat.wire.protocol import Member, MemberPage


@dataclass(slots=True)
class Members:
    """The present members by user id; all of them once ``is_loaded``."""

    is_loaded: bool = False
    _present: dict[str, Member] = field(default_factory=dict)
    _put_at: dict[str, int] = field(default_factory=dict)

    def __iter__(self) -> Iterator[Member]:
        return iter(list(self._present.values()))

    def __len__(self) -> int:
        return len(self._present)

    def get(self, user_id: str) -> Member | None:
        return self._present.get(user_id)

    def put(self, member: Member, seq: int) -> bool:
        """Take a member's state as of ``seq``; False if a later one is known."""
        if seq < self._put_at.get(member.user.id, 0):
            return False
        self._put_at[member.user.id] = seq
        if member.left_at is None:
            self._present[member.user.id] = member
        else:
            self._present.pop(member.user.id, None)
        return True

    def put_page(self, page: MemberPage) -> None:
        for member in page.members:
            self.put(member, page.seq)
        self.is_loaded = self.is_loaded or not page.more

    def clear(self) -> None:
        self._present.clear()
        self._put_at.clear()
        self.is_loaded = False
