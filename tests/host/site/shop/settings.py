"""A shop that existed before the chat, with its own users, databases, URLs and policy."""

import os
from pathlib import Path

HOME = Path(os.environ["SHOP_HOME"])
SECRET_KEY = "a shop of the tests"
ALLOWED_HOSTS = ["127.0.0.1"]
FORCE_SCRIPT_NAME = "/intranet"
ROOT_URLCONF = "shop.urls"
USE_TZ = True

INSTALLED_APPS = [
    "daphne",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "people",
    "shop",
    "chat",
]
ASGI_APPLICATION = "shop.asgi.application"
CHAT = {"POLICY": "shop.policy.OrderPolicy", "SOCKET_PATH": "live/"}

MIDDLEWARE = [
    "shop.middleware.ContentSecurityPolicy",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
]
TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}]

AUTH_USER_MODEL = "people.Person"
LOGIN_URL = "door"
LOGIN_REDIRECT_URL = "orders"

DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
DATABASE_ROUTERS = ["shop.routers.PeopleApart"]
DATABASES = {
    "default": {"ENGINE": "django.db.backends.sqlite3", "NAME": HOME / "goods.sqlite3"},
    "people": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": HOME / "people.sqlite3",
        "OPTIONS": {
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL",
        },
    },
}

STATIC_URL = "static/"
STATIC_ROOT = HOME / "static"
EMAIL_BACKEND = "django.core.mail.backends.filebased.EmailBackend"
EMAIL_FILE_PATH = HOME / "mail"
