"""Receivers of Django's signals that keep the site's own rows about people right."""

from typing import Any

from django.apps import apps
from django.contrib.auth import get_user_model
from django.db import DEFAULT_DB_ALIAS, connections
from django.db.models.signals import post_migrate, post_save
from django.dispatch import receiver

from project.accounts import skeletons
from project.accounts.models import NameSkeleton


@receiver(post_save, sender=get_user_model())
def keep_the_look_of_the_name(instance: Any, raw: bool, update_fields: Any, **_: Any) -> None:
    if raw:
        return  # a dump that is loaded has its own rows
    if update_fields is None or get_user_model().USERNAME_FIELD in update_fields:
        skeletons.keep(instance)


@receiver(post_migrate, sender=apps.get_app_config("accounts"))
def fill_the_looks_of_names(using: str, **_: Any) -> None:
    """Also for accounts that are older than the table; and after every ``migrate``, as one may be interrupted."""
    if using == DEFAULT_DB_ALIAS and NameSkeleton._meta.db_table in connections[using].introspection.table_names():
        skeletons.fill()
