from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class DemoConfig(AppConfig):
    """``make demo`` fills the site with a believable team (project/demo/team.py)."""

    name = "project.demo"
    verbose_name = _("Demo")
