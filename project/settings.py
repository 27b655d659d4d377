"""The settings of the Hearth site. The first block reads what differs between sites from the environment.

``.env.example`` lists every variable with its default. project/env.py does the reading.
"""

import os
from pathlib import Path
from typing import Any

from csp.constants import NONE, SELF
from django.utils.translation import gettext_lazy as _

from chat.conf import ChatSettings
from project import home
from project.env import Env
from project.logs import Repeats, refusal_in_one_line

BASE_DIR = Path(__file__).resolve().parent.parent
env = Env(os.environ, BASE_DIR / os.environ.get("ENV_FILE", ".env"))

HOME = env.folder("HEARTH_HOME", "var", BASE_DIR)
HOST = env.text("HOST", "127.0.0.1")
PORT = env.integer("PORT", 8000, least=1, most=65535)
DEBUG = env.flag("DEBUG")
SECRET_KEY = env.secret("SECRET_KEY", HOME / "key")
SECRET_KEY_FALLBACKS = env.words("SECRET_KEY_FALLBACKS")
ALLOWED_HOSTS = env.words("ALLOWED_HOSTS", "localhost,127.0.0.1,[::1]")
CSRF_TRUSTED_ORIGINS = env.origins("CSRF_TRUSTED_ORIGINS")
HTTPS = env.flag("HTTPS")
HSTS_SECONDS = env.integer("HSTS_SECONDS", 30 * 24 * 3600)
DATABASE = env.database("DATABASE_URL", HOME, pool=env.integer("DATABASE_POOL", 8, least=1))
REDIS_SHARDS = env.redis_shards("REDIS_URL")
REDIS_PREFIX = env.text("REDIS_PREFIX", "hearth")
EMAIL_VERIFICATION = env.choice("EMAIL_VERIFICATION", "optional", "mandatory", "none")
MAIL = env.mail("EMAIL_URL")
MAIL_IS_SET_UP = bool(env.text("EMAIL_URL", ""))
DEFAULT_FROM_EMAIL = SERVER_EMAIL = env.text("EMAIL_FROM", "Hearth <hearth@localhost>")
TRUSTED_PROXIES = env.integer("TRUSTED_PROXIES", 0, most=10)
STATIC_ROOT = env.folder("STATIC_ROOT", "static", HOME)
SQLITE = DATABASE["NAME"] if DATABASE["ENGINE"].endswith("sqlite3") else None
HOME_IS_OURS = home.close(HOME, default=BASE_DIR / "var", database=SQLITE)
STATIC_IS_PRIVATE = HOME_IS_OURS and STATIC_ROOT.is_relative_to(HOME)
LOG_LEVEL = env.level("LOG_LEVEL", "INFO")
TIME_ZONE = env.zone("TIME_ZONE", "UTC")
POLICY = "project.policy.SitePolicy"
CHAT = {
    "POLICY": POLICY,
    "TRUSTED_PROXIES": TRUSTED_PROXIES,
    "SERVER_HOSTS": (HOST,),
    "SERVER_PORT": PORT,
    # Every setting of chat/conf.py can be set as CHAT_BODY_CHARS and so on.
    **env.options(
        "CHAT_",
        ChatSettings(policy=POLICY, trusted_proxies=TRUSTED_PROXIES),
        without=("server_hosts", "server_port"),  # HOST and PORT
    ),
}
env.warn_of_strangers("CHAT_", known=["CHAT_TOKEN"])  # the Python client reads CHAT_TOKEN

DATABASES = {"default": DATABASE}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

CHANNEL_LAYERS: dict[str, Any] = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}
if REDIS_SHARDS:
    # The pub/sub layer, never the core one, which drops messages past 100 in a process and lets group memberships
    # expire. Without these time-outs, a Redis that hangs would cost 5 s (redis-py's default) for each publish, one
    # after the other.
    CHANNEL_LAYERS["default"] = {
        "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
        "CONFIG": {
            "hosts": [{"address": url, "socket_timeout": 1, "socket_connect_timeout": 1} for url in REDIS_SHARDS],
            "prefix": REDIS_PREFIX,
        },
    }

# The cache for rate limits. It is in the database, so that processes share their counts and need no Redis.
CACHES = {
    "default": {
        "BACKEND": "project.accounts.counting.CountingCache",
        "LOCATION": "accounts_cacheentry",
        # Past this number, entries are culled even if they have not expired. A much higher one would make writes slow,
        # because each counts the entries.
        "OPTIONS": {"MAX_ENTRIES": 20_000},
    }
}

INSTALLED_APPS = [
    "chat",
    "project.accounts",
    "project.demo",
    "project.fault_injection",
    "allauth",
    "allauth.account",
    "allauth.usersessions",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
]
MIDDLEWARE = [
    "project.health.HealthMiddleware",  # before everything that checks the host, the scheme or the session
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.middleware.gzip.GZipMiddleware",  # files are compressed when they are collected
    "csp.middleware.CSPMiddleware",
    "project.accounts.middleware.SessionCookieMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "project.accounts.middleware.ReadOnlyMiddleware",
    "chat.web.limited.limited",  # before all that reads the database for a page
    "django.contrib.messages.middleware.MessageMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "project.accounts.middleware.LastSeenMiddleware",
    "project.accounts.middleware.PrivateMiddleware",
    "project.accounts.middleware.FirstRunMiddleware",
    "chat.web.time_zone.in_readers_zone",  # for account pages and the admin; the chat's pages do it themselves
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "project.error_pages.ErrorPageMiddleware",  # last, so that the others see the whole page
]
ROOT_URLCONF = "project.urls"
ASGI_APPLICATION = "project.asgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "project" / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "project.accounts.context.site",
            ],
        },
    }
]

LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "chat:home"
LOGOUT_REDIRECT_URL = LOGIN_URL
# Only one: a wrong password is checked by each of them, and costs a hash each time.
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
ACCOUNT_ADAPTER = "project.accounts.adapter.AccountAdapter"
ACCOUNT_USER_DISPLAY = "project.accounts.adapter.display_name"
ACCOUNT_FORMS = {
    "login": "project.accounts.forms.LoginForm",
    "signup": "project.accounts.forms.SignupForm",
    "change_password": "project.accounts.forms.ChangePasswordForm",
    "add_email": "project.accounts.forms.AddEmailForm",
    "reset_password": "project.accounts.forms.ResetPasswordForm",
    "reset_password_from_key": "project.accounts.forms.ResetPasswordKeyForm",
    "user_token": "project.accounts.forms.UserTokenForm",
    "set_password": "project.accounts.forms.SetPasswordForm",
    "reauthenticate": "project.accounts.forms.ReauthenticateForm",
}
ACCOUNT_LOGIN_METHODS = {"username", "email"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "email*", "password1*"]
ACCOUNT_USERNAME_VALIDATORS = "project.accounts.usernames.VALIDATORS"
ACCOUNT_EMAIL_VERIFICATION = EMAIL_VERIFICATION
ACCOUNT_LOGIN_ON_EMAIL_CONFIRMATION = True  # only in the browser that signed up
ACCOUNT_EMAIL_NOTIFICATIONS = True
ACCOUNT_MAX_EMAIL_ADDRESSES = 5
ACCOUNT_DEFAULT_HTTP_PROTOCOL = "https" if HTTPS else "http"
ACCOUNT_REAUTHENTICATION_REQUIRED = True  # an open browser must not be enough to take over the account by e-mail
ACCOUNT_SESSION_REMEMBER = True
ACCOUNT_LOGOUT_REDIRECT_URL = LOGIN_URL
# Failed sign-ins are counted for a name and an address together, so that a stranger does not lock anybody out. The
# limit for a name alone is for guesses from many addresses, and far above what one address may do. Browsers that
# the person has used before have a limit of their own instead. See AccountAdapter.
ACCOUNT_RATE_LIMITS = {
    "setup_code": "10/5m/ip",
    "login_failed": "10/m/ip,5/5m/key,20/h/key",
    "login_failed_anywhere": "200/h/key",
    "login_failed_known": "5/5m/key,20/h/key",
    "reset_password": "20/m/ip",  # with allauth's limit for the address, strangers could keep its owner from the page
    "mail_by_anybody": "3/15m/key",
}
ALLAUTH_TRUSTED_PROXY_COUNT = TRUSTED_PROXIES
USERSESSIONS_ADAPTER = "project.accounts.adapter.SessionsAdapter"
USERSESSIONS_TRACK_ACTIVITY = True
globals().update(MAIL)
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]

LANGUAGE_CODE = "en"
LANGUAGES = [("en", _("English")), ("de", _("German"))]
LOCALE_PATHS = [BASE_DIR / "project" / "locale"]
USE_TZ = True
FORMAT_MODULE_PATH = "project.formats"

STATIC_URL = "/static/"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage" if DEBUG else "project.static.HashedStatic"
    },
}
# The longest message takes a fifth of this, even if all of it is percent-encoded.
DATA_UPLOAD_MAX_MEMORY_SIZE = 512 * 1024
FILE_UPLOAD_DIRECTORY_PERMISSIONS, FILE_UPLOAD_PERMISSIONS = (0o700, 0o600) if STATIC_IS_PRIVATE else (0o755, 0o644)
WHITENOISE_USE_FINDERS = WHITENOISE_AUTOREFRESH = DEBUG

# Pages load only our own files, and data: images. 'self' includes the WebSocket at the same host, port and scheme.
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "connect-src": [SELF],
        "form-action": [SELF],
        "object-src": [NONE],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
    }
}
X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "same-origin"
SESSION_ENGINE = "project.accounts.sessions"
SESSION_COOKIE_NAME = "__Host-sessionid" if HTTPS else "sessionid"  # other subdomains can't set a __Host- cookie
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_SSL_REDIRECT = HTTPS
SECURE_HSTS_SECONDS = HSTS_SECONDS if HTTPS else 0
# With HTTPS=1, TLS ends at our own proxy, which overwrites this header of the client.
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if HTTPS else None
# We can't know whether the domain's other hosts use TLS, nor whether it should be on the browsers' preload list.
SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W021"]

REPEATING = ("channels_redis.pubsub", "chat.live.layer_subscriber", "chat.live.layer_sender", "chat.models.best_effort")
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "{asctime} {levelname} {name}: {message}", "style": "{"}},
    "filters": {
        "refusals": {"()": "django.utils.log.CallbackFilter", "callback": refusal_in_one_line},
        "repeats": {"()": Repeats},
    },
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": LOG_LEVEL},
    "loggers": {
        "django": {"handlers": [], "propagate": True},
        "django.request": {"filters": ["refusals"]},
        # These log the same line each second, in every process, while Redis is down or the database is read-only.
        **{name: {"filters": ["repeats"]} for name in REPEATING},
        # Scanners that try host names would fill the log with tracebacks.
        "django.security.DisallowedHost": {"level": "CRITICAL"},
        # At INFO, daphne repeats what start-up prints, and lists extras that are not installed.
        "daphne": {"level": "WARNING" if LOG_LEVEL == "INFO" else LOG_LEVEL},
    },
}
