"""The log: rooms, members, messages. Fields, constraints and query sets; permissions are decided in ``access``."""

from chat.models.memberships import Membership
from chat.models.messages import Mention, Message, Reaction
from chat.models.profiles import Profile
from chat.models.rooms import Room
from chat.models.runs import DatabaseRun, RoomRun
from chat.models.tokens import Token

__all__ = ["DatabaseRun", "Membership", "Mention", "Message", "Profile", "Reaction", "Room", "RoomRun", "Token"]
