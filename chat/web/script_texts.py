"""Every sentence that the scripts show. They reach the page in its config; ``ui/texts.js`` fills the ``{name}``s."""

from functools import cache

from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _

from chat import error_messages
from chat.access.display_names import DELETED_ACCOUNT

SENTENCES = {
    # Messages
    "unknownAuthor": DELETED_ACCOUNT,
    "inReplyToNumber": _("In reply to message {number}"),
    "quotedDeleted": _("Message deleted"),
    "sending": _("Sending …"),
    "waitingToSend": _("Waiting for the connection"),
    "waitingItsTurn": _("Waiting: too many messages at once"),
    "notSent": _("Not sent: {reason}"),
    "notKeptHere": _("Not kept on this device: closing this page loses it."),
    "reaction": _("{emoji}, {count}"),
    "reactionBy": _("{emoji}, {count}: {names}"),
    "andOthers": _("{names} and others"),
    # The timeline
    "loading": _("Loading messages …"),
    "loadingOlder": _("Loading older messages …"),
    "loadOlderFailed": _("Older messages could not be loaded. Scroll up to try again."),
    "beginning": _("This is where the conversation begins."),
    "noMessages": _("Nobody has written here yet."),
    "newest": _("Newest messages"),
    "newestCount": _("Newest messages: {count}"),
    "today": _("Today"),
    "yesterday": _("Yesterday"),
    "notice.added": _("{names} added by {by}"),
    "notice.joined": _("{names} joined"),
    "notice.left": _("{names} left"),
    "notice.removed": _("{names} removed by {by}"),
    "namesTwo": _("{first} and {second}"),
    "namesThree": _("{first}, {second} and {third}"),
    "namesMany": _("{first}, {second} and {count} others"),
    "typingOne": _("{name} is typing …"),
    "typingTwo": _("{first} and {second} are typing …"),
    "typingMany": _("Several people are typing …"),
    "somebody": _("Somebody"),
    # The message menu
    "reply": _("Reply"),
    "edit": _("Edit"),
    "remove": _("Delete"),
    "copyText": _("Copy text"),
    "copyLink": _("Copy link"),
    "markUnread": _("Mark unread from here"),
    "textCopied": _("Text copied"),
    "linkCopied": _("Link copied"),
    "markedUnread": _("Marked as unread"),
    "copyFailed": _("This browser did not let the page copy that."),
    "confirmRemove": _("Delete this message for everybody?"),
    "confirmLeave": _("Leave {name}?"),
    "confirmHide": _("Hide the conversation? It comes back when somebody writes."),
    "hide": _("Hide"),
    "leave": _("Leave"),
    # The composer
    "replyingTo": _("Replying to {name}"),
    "editing": _("Editing your message"),
    "send": _("Send"),
    "save": _("Save"),
    "charactersLeft": _("Characters left: {count}"),
    "tooLongBy": _("Characters over the limit: {count}"),
    "tooLong": _("A message may have at most {most} characters. This one has {count}."),
    "silent.archived": _("This room is archived: it can be read, not written to."),
    "silent.may_join": _("You are reading this room without being in it."),
    "silent.read_only": _("You may read here, but not write."),
    "silent.nobody_left": _("Nobody else is left in this conversation: it can be read, not written to."),
    "removedFromRoom": _("You are not in this room any more."),
    # Dialogs
    # The connection
    "offline": _("You are offline. You can go on writing; it is sent when you are back."),
    "connecting": _("Connecting …"),
    "reconnecting": _("The connection is lost. You can go on writing; trying again …"),
    "reconnectNow": _("Try now"),
    "stopped.4501": _("You are signed out. What you have written stays in this browser."),
    "stopped.4503": _("Your account was closed."),
    "stopped.4509": _("You are signed out, or have a new password. What you have written stays in this browser."),
    "stopped.4510": _("This page is out of date."),
    "stopped": _("The server has ended the connection."),
    "otherUser": _("Somebody else is signed in now."),
    "signIn": _("Sign in again"),
    "reload": _("Reload"),
    "pageWaits": _("There is no connection. The page can be opened when it is back."),
    "formWaits": _("There is no connection. What you have written stays here: try again when it is back."),
    "notKept": _("This browser keeps nothing for this page: what is not sent yet is lost when you close it."),
    # Lists of rooms
    "unread": _("unread"),
    "mentions": _("mentions"),
    "unreadBelow": _("Unread below: {count}"),
    "unreadElsewhere": _("All rooms. Unread elsewhere: {count}"),
    "unsentElsewhere": _("All rooms. Some messages are not sent."),
    "allRooms": _("All rooms"),
    "members": _("People: {count}"),
    "lastMessage": _("Last message {when}"),
    # What went wrong, by code. A code without a sentence here is told in the server's words.
    "error.unexpected": _("That did not work. Try again."),
    "error.client.disconnected": _("There is no connection right now."),
    "error.client.no_reply": _("The server did not answer."),
    "error.client.starting": _("The page is not ready yet."),
    "error.client.other_user": _("Somebody else is signed in now."),
    **{f"error.{code}": sentence for code, sentence in error_messages.SENTENCES.items()},
}


def script_texts() -> dict[str, str]:
    """The sentences of the scripts in the language in force. They are everybody's: leave them as they are."""
    return _in_language(get_language())


@cache
def _in_language(language: str | None) -> dict[str, str]:
    return {key: str(sentence) for key, sentence in SENTENCES.items()}
