"""Receivers of Django's own signals, for changes elsewhere in the site that must reach people's sockets at once."""

from typing import Any

from django.apps import apps
from django.contrib.auth import get_user_model
from django.contrib.auth.signals import user_logged_in, user_logged_out
from django.db import connections
from django.db.models import Model
from django.db.models.signals import post_migrate, post_save, pre_delete
from django.dispatch import receiver

from chat.access import fresh_sign_in
from chat.access.identity import digest
from chat.live.hints import Recheck, SessionEnded
from chat.live.publisher import publish, publish_on_commit
from chat.models import Profile
from chat.models.database import alias
from chat.services import memberships, profiles, reactions


@receiver(user_logged_in)
def note_the_sign_in(request: Any, **_: Any) -> None:
    if hasattr(request, "session"):
        fresh_sign_in.note(request)


@receiver(user_logged_out)
def close_sockets_of_the_session(request: Any, user: Any, **_: Any) -> None:
    # Django sends this before it deletes the session, so a look at the database would still find it: the hint names the
    # session whose sockets to close.
    key = getattr(getattr(request, "session", None), "session_key", None)
    if user is not None and key:
        publish([SessionEnded(str(user.pk), digest(key))])


def _models_of_people() -> list[type[Model]]:
    """The user model and its proxies: a signal names the class that the caller has used.

    Without a sender, Django would also call the receivers for each row of every other model, and delete those one by
    one.
    """
    person = get_user_model()._meta.concrete_model
    return [each for each in apps.get_models() if each._meta.concrete_model is person]


def copy_changed_name(instance: Any, created: bool, update_fields: Any, **_: Any) -> None:
    if not created and set(update_fields or ()) != {"last_login"}:
        profiles.update(instance)


def recheck_sockets_of_the_person(instance: Any, created: bool, update_fields: Any, **_: Any) -> None:
    """Check the sockets of a saved user: a deactivated account or a new password ends them.

    Every sign-in saves ``last_login`` alone, which ends none.
    """
    if not created and set(update_fields or ()) != {"last_login"}:
        publish_on_commit([Recheck(str(instance.pk))])


def end_memberships_of_the_person(instance: Any, **_: Any) -> None:
    """End the memberships and reactions of a user who is deleted. Their messages stay, without an author.

    Each ending takes a seq of its own, or open pages and cursors would miss it.
    """
    _take_leave(instance)
    # Rooms are locked before people everywhere, so the person's row is locked only now. Until here, somebody may have
    # added them to a room, where a member without an account would stay for ever. From here on nobody can, so the
    # second pass finds all memberships.
    get_user_model()._base_manager.using(alias()).select_for_update().filter(pk=instance.pk).first()
    _take_leave(instance)
    profiles.remove(instance)
    publish_on_commit([Recheck(str(instance.pk))])


def _take_leave(person: Any) -> None:
    reactions.remove_all(user=person)
    memberships.end_all(user=person)


def fill_profiles(using: str, **_: Any) -> None:
    """Make the profiles of a database that is older than they are: only the policy in force knows people's handles.

    It runs after every ``migrate``, because an earlier one may have been interrupted before it.
    """
    if using == alias() and Profile._meta.db_table in connections[using].introspection.table_names():
        profiles.fill()


post_migrate.connect(fill_profiles, sender=apps.get_app_config("chat"))
for _model in _models_of_people():
    post_save.connect(copy_changed_name, sender=_model)
    post_save.connect(recheck_sockets_of_the_person, sender=_model)
    pre_delete.connect(end_memberships_of_the_person, sender=_model)
