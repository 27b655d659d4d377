from django.db import models
from django.utils.translation import gettext_lazy as _


class Profile(models.Model):
    """What the chat stores about a person, beside the host's own user table. It is made when they first join a room,
    and deleted with their account."""

    user_key = models.CharField(max_length=64, primary_key=True, editable=False)
    """The person's id on the wire."""
    handle_key = models.CharField(max_length=150, editable=False)
    """The key of what others write after an "@" (``rendering.name_keys``); "" for people who cannot be mentioned."""

    class Meta:
        verbose_name = _("profile")
        verbose_name_plural = _("profiles")
        indexes = (models.Index(fields=["handle_key"], name="chat_profile_called"),)

    def __str__(self) -> str:
        return self.user_key
