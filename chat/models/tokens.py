from typing import ClassVar

from django.conf import settings
from django.db import models
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

LABEL_CHARS = 100


class Token(models.Model):
    """A bearer token of one person. Only its hash is stored; the token itself is shown once, when it is made."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, db_index=False, related_name="chat_tokens", verbose_name=_("person")
    )
    name = models.CharField(_("name"), max_length=LABEL_CHARS, blank=True)
    digest = models.CharField(max_length=64, unique=True, editable=False)
    created_at = models.DateTimeField(_("made"), auto_now_add=True)
    expires_at = models.DateTimeField(_("expires"), null=True, blank=True)
    last_used_at = models.DateTimeField(_("last used"), null=True, blank=True, editable=False)
    revoked_at = models.DateTimeField(_("revoked"), null=True, blank=True, editable=False)

    class Meta:
        verbose_name = _("token")
        verbose_name_plural = _("tokens")
        indexes: ClassVar = [models.Index(fields=["user", "id"], name="chat_token_of_user")]

    def __str__(self) -> str:
        return self.name or gettext("token %(number)s") % {"number": self.pk}
