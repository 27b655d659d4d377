"""The one row of settings: read as it is now, or locked."""

from django.contrib.auth import get_user_model

from project.accounts.models import SiteSettings

DEFAULT_NAME = "Hearth"


def current() -> SiteSettings:
    """The settings as they are now; those of a new site where nobody has changed any."""
    return SiteSettings.objects.filter(pk=1).first() or SiteSettings(pk=1)


def locked() -> SiteSettings:
    """The row, for this transaction alone. Whatever makes or ends accounts holds it, so that they take turns."""
    # The migration makes it; an emptied database (flush) has none.
    SiteSettings.objects.get_or_create(pk=1)
    return SiteSettings.objects.select_for_update().get(pk=1)


def name() -> str:
    """What the site calls itself."""
    return SiteSettings.objects.filter(pk=1).values_list("name", flat=True).first() or DEFAULT_NAME


def has_accounts() -> bool:
    """Whether anybody has an account; until then the first visitor becomes the owner."""
    return bool(get_user_model()._default_manager.exists())
