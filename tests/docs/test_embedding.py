"""docs/embedding.md: the code that it tells a site to write works as described."""

import os
import subprocess
import sys
from pathlib import Path

from tests.docs.pages import ROOT, blocks, page

SETTINGS = """
SECRET_KEY = "of a test"
INSTALLED_APPS = [
    "daphne",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "shop.apps.ShopConfig",
    "chat",
]
ASGI_APPLICATION = "shop.asgi.application"
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "shop.sqlite3"}}
ROOT_URLCONF = "shop.urls"
STATIC_URL = "static/"
TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}]
USE_TZ = True
"""
FILES = {
    "__init__.py": "",
    "settings.py": SETTINGS,
    "urls.py": 'from django.urls import include, path\n\nurlpatterns = [path("talk/", include("chat.urls"))]\n',
    "apps.py": """
from django.apps import AppConfig


class ShopConfig(AppConfig):
    name = "shop"

    def ready(self):
        from shop import mails
""",
}
BEFORE = """
from django.core.mail import send_mail


def addresses_of(room):
    return ["ana@shop.example"]


"""


def test_the_recipe_for_a_sites_own_tests_runs_unchanged(tmp_path: Path) -> None:
    recipes = blocks(page("docs/embedding.md"), "python")
    (receiver,) = [each for each in recipes if "@receiver(message_posted)" in each]
    (recipe,) = [each for each in recipes if "wait_until_told" in each]
    site = tmp_path / "shop"
    site.mkdir()
    for name, text in {**FILES, "mails.py": BEFORE + receiver, "tests.py": recipe}.items():
        (site / name).write_text(text)
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "DJANGO_SETTINGS_MODULE": "shop.settings"}
    command = [sys.executable, "-m", "django", "test", "--pythonpath", tmp_path]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Ran 1 test" in done.stderr, "the premise"
