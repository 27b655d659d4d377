from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class AccountsConfig(AppConfig):
    name = "project.accounts"
    verbose_name = _("Site and invitations")
    default_auto_field = "django.db.models.BigAutoField"
