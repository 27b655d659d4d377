"""What happens to people elsewhere in the site and matters to their sockets at once."""

from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.signals import user_logged_out
from django.db.models.signals import post_save, pre_delete
from django.dispatch import receiver

from chat.access.identity import digest
from chat.live.hints import Recheck, SessionEnded
from chat.live.publisher import publish, publish_on_commit
from chat.models.database import alias
from chat.services import memberships, reactions


@receiver(user_logged_out)
def close_sockets_of_the_session(request: Any, user: Any, **_: Any) -> None:
    # Sent before Django deletes the session, so the sockets are closed by name and not by a look at the database.
    key = getattr(getattr(request, "session", None), "session_key", None)
    if user is not None and key:
        publish([SessionEnded(str(user.pk), digest(key))])


@receiver(post_save, sender=get_user_model())
def recheck_sockets_of_the_person(instance: Any, created: bool, update_fields: Any, **_: Any) -> None:
    """A deactivated account or a new password ends sockets. Each sign-in saves ``last_login``, which does not."""
    if not created and set(update_fields or ()) != {"last_login"}:
        publish_on_commit([Recheck(str(instance.pk))])


@receiver(pre_delete, sender=get_user_model())
def end_memberships_of_the_person(instance: Any, **_: Any) -> None:
    """Messages stay, without an author. Memberships and reactions must end with a seq of their own, or open pages and
    cursors would miss that."""
    _take_leave(instance)
    # Everywhere, rooms are locked before people. Once the person's row is locked too, nobody can bring them into a
    # room. Somebody may have done so until now, and a member without an account would stay for ever: hence twice.
    get_user_model()._base_manager.using(alias()).select_for_update().filter(pk=instance.pk).first()
    _take_leave(instance)
    publish_on_commit([Recheck(str(instance.pk))])


def _take_leave(person: Any) -> None:
    reactions.remove_all(user=person)
    memberships.end_all(user=person)
