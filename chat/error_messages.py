"""The sentences of ``wire.errors`` that people read when something is refused, marked for translation.

The wire carries them in English, with a code by which clients can choose their own words. Pages and the admin show
these.
"""

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from chat.wire.errors import ChatError

SENTENCES = {
    "server.error": _("Something went wrong on the server."),
    "server.busy": _("The server has too much to do right now. Try again in a moment."),
    "rate.limited": _("That was too fast. Wait a moment."),
    "room.not_found": _("There is no such room, or you may not see it."),
    "room.forbidden": _("You may not do that in this room."),
    "room.archived": _("This room is archived: it can be read, not written to."),
    "room.invalid": _("The room's name or topic can't be used."),
    "member.not_found": _("There is no such person in this room."),
    "member.last_owner": _("The room would have no owner left. Make somebody else an owner first."),
    "user.not_found": _("There is no such person."),
    "message.not_found": _("There is no such message, or you may not see it."),
    "message.forbidden": _("You may not change this message."),
    "message.empty": _("A message needs some text."),
    "message.too_long": _("The message is too long."),
    "message.invalid_text": _("The message holds characters that can't be stored."),
    "reaction.invalid": _("That is not an emoji. Paste one, or use your keyboard's emoji key."),
    "reaction.too_many": _("This message has as many different reactions as it can hold."),
}
"""By code. Codes that only programs meet have no sentence here."""
MORE = (
    _("A direct room has at most {most} people."),
    _("There is no such person: {users}."),
    _("The name needs {least} to {most} characters."),
    _("The topic needs {least} to {most} characters."),
    _("A message has at most {most} characters."),
    _("You have {most} tokens. Revoke one first."),
    _("{users} left this room. Only an invitation can bring them back."),
)
"""More precise sentences that services use instead."""


def sentence_of(error: ChatError) -> str:
    """The error's sentence in the active language, or in English if no catalogue translates it."""
    sentence = gettext(error.sentence)
    return sentence.format(**error.values) if error.values else sentence
