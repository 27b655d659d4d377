from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class ChatConfig(AppConfig):
    name = "chat"
    verbose_name = _("Chat")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        # Both modules register their functions on import, which needs loaded models.
        from chat import (
            checks,  # noqa: F401
            receivers,  # noqa: F401
        )
