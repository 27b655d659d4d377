"""The log: rooms, who is in them, what was said. Fields, constraints and query sets; who may is decided elsewhere."""

from chat.models.memberships import Membership
from chat.models.messages import Mention, Message, Reaction
from chat.models.rooms import Room
from chat.models.tokens import Token

__all__ = ["Membership", "Mention", "Message", "Reaction", "Room", "Token"]
