from collections.abc import Callable
from functools import partial
from typing import Any

from django.apps import AppConfig
from django.db import DEFAULT_DB_ALIAS
from django.utils.translation import gettext_lazy as _


class AccountsConfig(AppConfig):
    name = "project.accounts"
    verbose_name = _("Site and invitations")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Connect the receivers. Sign-ins and password changes succeed even if those of Django and allauth can't write.

        This app comes before theirs in ``INSTALLED_APPS``. So allauth connects the receivers that are replaced here,
        and Django connects none, because its ``dispatch_uid`` is taken.
        """
        from allauth.usersessions import signals
        from django.contrib.auth.models import update_last_login
        from django.contrib.auth.signals import user_logged_in

        from project.accounts import receivers  # noqa: F401 -- they connect themselves

        signals.on_user_logged_in = noted(signals.on_user_logged_in)
        signals.on_password_changed = noted(signals.on_password_changed)
        user_logged_in.connect(noted(update_last_login), dispatch_uid="update_last_login", weak=False)


def noted(receiver: Callable[..., Any]) -> Callable[..., None]:
    from chat.models.best_effort import write_if_possible

    def receive(sender: Any, **given: Any) -> None:
        write_if_possible(partial(receiver, sender, **given), using=DEFAULT_DB_ALIAS)

    return receive
