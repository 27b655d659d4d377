"""What ``manage.py check`` says about a chat that can't work, or that could lose what it acknowledged.

Tag ``chat`` reads settings alone. Tag ``chat_database`` asks the database; Django runs it for ``check --database`` and
``migrate``.
"""

import resource
from collections.abc import Sequence
from dataclasses import fields
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from django.apps import AppConfig, apps
from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.contenttypes.models import ContentType
from django.core.checks import CheckMessage, Error, Warning, register
from django.db import connections, router
from django.db.models import Model
from django.template import TemplateDoesNotExist
from django.template.loader import get_template
from django.urls import NoReverseMatch, reverse
from django.utils.module_loading import import_string

from chat.access.policy import Policy
from chat.conf import ChatSettings

CORE_LAYER = "channels_redis.core.RedisChannelLayer"
DURABLE = ("fsync", "full_page_writes", "synchronous_commit")
SYNCHRONOUS_FULL = 2
FILES = 4_096


@register("chat")
def known_settings(app_configs: Sequence[AppConfig] | None, **_: Any) -> list[CheckMessage]:
    """Every key of ``CHAT`` exists and its value has the type of the default."""
    given = getattr(settings, "CHAT", {})
    if not isinstance(given, dict):
        return [Error("CHAT is not a dictionary.", id="chat.E001")]
    defaults = ChatSettings()
    known = {field.name.upper(): getattr(defaults, field.name) for field in fields(ChatSettings)}
    found: list[CheckMessage] = []
    for name, value in given.items():
        if name not in known:
            found.append(Error(f"CHAT has no setting {name!r}.", hint="chat/conf.py lists them all.", id="chat.E002"))
        elif problem := _type_problem(value, known[name]):
            found.append(Error(f"CHAT[{name!r}] is {value!r}: {problem}", id="chat.E003"))
    return found


def _type_problem(value: Any, default: Any) -> str:
    if isinstance(default, bool):
        return "" if isinstance(value, bool) else "it must be True or False."
    if isinstance(default, tuple):
        good = isinstance(value, list | tuple) and all(isinstance(each, str) for each in value)
        return "" if good else "it must be a list of strings."
    if isinstance(default, str):
        return "" if isinstance(value, str) else "it must be a string."
    kinds = int if isinstance(default, int) else (int, float)
    if isinstance(value, bool) or not isinstance(value, kinds):
        return f"it must be {'a whole number' if kinds is int else 'a number'}."
    return "it can't be negative." if value < 0 else ""


@register("chat")
def origins_are_named(app_configs: Sequence[AppConfig] | None, **_: Any) -> list[CheckMessage]:
    """Otherwise the pages of any site could open a socket with the visitor's cookie."""
    given = getattr(settings, "CHAT", {})
    origins = given.get("ORIGINS", ()) if isinstance(given, dict) else ()
    if settings.DEBUG or not any(each == "*" or each.endswith("://*") for each in origins if isinstance(each, str)):
        return []
    hint = 'Name full origins, such as "https://chat.example.com" or "https://*.example.com".'
    return [Error("CHAT['ORIGINS'] lets pages of every site in.", hint=hint, id="chat.E004")]


@register("chat")
def layer_can_wait(app_configs: Sequence[AppConfig] | None, **_: Any) -> list[CheckMessage]:
    """Channels' core Redis layer blocks for 5 s in a read that redis-py 8 aborts after 5 s, which ends the consumer."""
    alias = (getattr(settings, "CHAT", None) or {}).get("CHANNEL_LAYER", ChatSettings.channel_layer)
    layer = getattr(settings, "CHANNEL_LAYERS", {}).get(alias, {})
    if layer.get("BACKEND") != CORE_LAYER or _redis_major() < 8:
        return []
    hosts = layer.get("CONFIG", {}).get("hosts") or [None]
    if all(isinstance(host, dict) and "socket_timeout" in host for host in hosts):
        return []
    hint = (
        "Use channels_redis.pubsub.RedisPubSubChannelLayer (it also keeps its groups when Redis restarts); or give "
        'each host as {"address": URL, "socket_timeout": None}; or install redis<8.'
    )
    text = f"CHANNEL_LAYERS[{alias!r}] is the core Redis layer: with redis-py 8 its reads fail every 5 seconds."
    return [Error(text, hint=hint, id="chat.E005")]


@register("chat")
def policy_can_be_used(app_configs: Sequence[AppConfig] | None, **_: Any) -> list[CheckMessage]:
    """A policy that can't be imported would otherwise be noticed only as an error on the first page."""
    path = (getattr(settings, "CHAT", None) or {}).get("POLICY", ChatSettings.policy)
    try:
        policy = import_string(path)
    except (ImportError, AttributeError) as error:
        return [Error(f"CHAT['POLICY'] names {path!r}, which can't be imported: {error}", id="chat.E007")]
    if isinstance(policy, type) and issubclass(policy, Policy):
        return []
    hint = "Derive it from chat.access.policy.Policy."
    return [Error(f"CHAT['POLICY'] names {path!r}, which is no policy.", hint=hint, id="chat.E007")]


def _redis_major() -> int:
    try:
        return int(version("redis").split(".")[0])
    except PackageNotFoundError:
        return 0


@register("chat")
def sqlite_is_set_up(app_configs: Sequence[AppConfig] | None, **_: Any) -> list[CheckMessage]:
    """The chat's own transactions wait for SQLite's write lock when they begin; those of the site may not.

    WAL and FULL are checked in the database itself (``database_keeps_commits``).
    """
    connection = connections[_alias()]
    if connection.vendor != "sqlite":
        return []
    mode = (connection.settings_dict.get("OPTIONS", {}).get("transaction_mode") or "DEFERRED").upper()
    if mode in ("IMMEDIATE", "EXCLUSIVE"):
        return []
    text = f"SQLite transactions are {mode}: where your own code reads and then writes in one, it fails with “locked”."
    hint = f"Set DATABASES[{connection.alias!r}]['OPTIONS']['transaction_mode'] = 'IMMEDIATE'."
    return [Warning(text, hint=hint, id="chat.W004")]


@register("chat")
def people_are_in_the_same_database(app_configs: Sequence[AppConfig] | None, **_: Any) -> list[CheckMessage]:
    """Rooms and messages have foreign keys to people and to content types, which can't point into another database."""
    alias = _alias()
    found: list[CheckMessage] = []
    if (of_people := router.db_for_write(get_user_model())) != alias:
        text = f"The chat's tables are in the database {alias!r} and the people in {of_people!r}."
        found.append(Error(text, hint="Let your DATABASE_ROUTERS put both into one.", id="chat.E008"))
    if (of_reads := router.db_for_read(apps.get_model("chat", "Room"))) != alias:
        text = (
            f"The chat would be read from {of_reads!r} and written to {alias!r}: what was just stored would be missing."
        )
        found.append(Error(text, hint="Let db_for_read and db_for_write name one database for it.", id="chat.E012"))
    models: list[type[Model]] = [get_user_model(), ContentType, *apps.get_app_config("chat").get_models()]
    for model in models:
        if not router.allow_migrate_model(alias, model):
            text = f"Your DATABASE_ROUTERS keep {model._meta.label} out of {alias!r}, where the chat's tables are."
            found.append(Error(text, hint="Let allow_migrate say yes or None to it.", id="chat.E009"))
    return found


@register("chat")
def pages_have_addresses(app_configs: Sequence[AppConfig] | None, **_: Any) -> list[CheckMessage]:
    """Every page with a room on it links to the chat's own pages."""
    if not getattr(settings, "ROOT_URLCONF", None):
        return []
    try:
        reverse("chat:home")
    except NoReverseMatch:
        hint = 'Add path("chat/", include("chat.urls")), under any prefix, to your URLs.'
        return [Error("The chat's pages have no address.", hint=hint, id="chat.E010")]
    return []


@register("chat")
def templates_can_be_read(app_configs: Sequence[AppConfig] | None, **_: Any) -> list[CheckMessage]:
    """A site whose own pages use another template language needs Django's as well."""
    try:
        get_template("chat/base.html")
    except TemplateDoesNotExist:
        hint = "In TEMPLATES, have DjangoTemplates with APP_DIRS, beside what your own pages use."
        return [Error("The chat's pages are Django templates, and no engine finds them.", hint=hint, id="chat.E011")]
    return []


@register("chat")
def socket_has_a_server(app_configs: Sequence[AppConfig] | None, **_: Any) -> list[CheckMessage]:
    """Without a socket the pages work but are not live, and nothing else says why. One of the two settings is enough;
    in production, uvicorn and granian need neither.
    """
    if getattr(settings, "ASGI_APPLICATION", None) or apps.is_installed("daphne"):
        return []
    text = (
        "Without ASGI_APPLICATION and without daphne in INSTALLED_APPS, runserver serves no sockets: no page is live."
    )
    hint = (
        'Put "daphne" before "django.contrib.staticfiles" in INSTALLED_APPS and set ASGI_APPLICATION, such as '
        '"shop.asgi.application". If you never use runserver and your ASGI server needs neither: '
        'SILENCED_SYSTEM_CHECKS = ["chat.W005"].'
    )
    return [Warning(text, hint=hint, id="chat.W005")]


@register("chat", deploy=True)
def files_are_enough(app_configs: Sequence[AppConfig] | None, **_: Any) -> list[CheckMessage]:
    """Each connection is an open file; ``manage.py serve`` takes as many as it may."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if most == resource.RLIM_INFINITY or most >= FILES:
        return []
    text = f"A process may have {most} files open, and each connection is one."
    return [Warning(text, hint="In systemd's unit: LimitNOFILE=65535.", id="chat.W006")]


@register("chat_database", "database")
def database_keeps_commits(
    app_configs: Sequence[AppConfig] | None, databases: Sequence[str] | None = None, **_: Any
) -> list[CheckMessage]:
    """An acknowledged message survives a power cut only if the database waits for the disk."""
    alias = _alias()
    if alias not in (databases or ()):
        return []
    vendor = connections[alias].vendor
    if vendor == "sqlite":
        return _sqlite_durability(alias)
    return _postgresql_durability(alias) if vendor == "postgresql" else []


def _sqlite_durability(alias: str) -> list[CheckMessage]:
    with connections[alias].cursor() as cursor:
        journal = str(cursor.execute("PRAGMA journal_mode").fetchone()[0]).lower()
        synchronous = int(cursor.execute("PRAGMA synchronous").fetchone()[0])
    hint = "In OPTIONS: 'init_command': 'PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;'."
    found: list[CheckMessage] = []
    if journal not in ("wal", "memory"):
        text = f"SQLite's journal_mode is {journal}, not wal: readers and the writer wait for each other."
        found.append(Warning(text, hint=hint, id="chat.W001"))
    if synchronous < SYNCHRONOUS_FULL:
        text = "SQLite's synchronous is below FULL: a power cut may lose messages that were acknowledged."
        found.append(Warning(text, hint=hint, id="chat.W002"))
    return found


def _postgresql_durability(alias: str) -> list[CheckMessage]:
    with connections[alias].cursor() as cursor:
        cursor.execute("SELECT name, setting FROM pg_settings WHERE name = ANY(%s)", [list(DURABLE)])
        off = sorted(name for name, setting in cursor.fetchall() if setting == "off")
    return [
        Warning(
            f"PostgreSQL runs with {name}=off: a crash may lose messages that were acknowledged.",
            hint=f"Set {name} = on in postgresql.conf.",
            id="chat.W003",
        )
        for name in off
    ]


def _alias() -> str:
    return router.db_for_write(apps.get_model("chat", "Room"))
