"""Read or lock the site's one row of settings."""

from django.contrib.auth import get_user_model

from project.accounts.models import SiteSettings

DEFAULT_NAME = "Hearth"


def current() -> SiteSettings:
    """The settings as they are now, or the defaults if there is no row."""
    return SiteSettings.objects.filter(pk=1).first() or SiteSettings(pk=1)


def locked() -> SiteSettings:
    """The row, locked for this transaction. Everything that makes or ends accounts locks it, and so takes turns."""
    # A migration creates the row, but it is gone after ``manage.py flush``.
    SiteSettings.objects.get_or_create(pk=1)
    return SiteSettings.objects.select_for_update().get(pk=1)


def name() -> str:
    """The name of the site."""
    return SiteSettings.objects.filter(pk=1).values_list("name", flat=True).first() or DEFAULT_NAME


def has_accounts() -> bool:
    """Whether anybody has an account; until then the first visitor becomes the owner."""
    return bool(get_user_model()._default_manager.exists())
