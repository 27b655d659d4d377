"""chat/checks.py: a system check reports each known mistake in the configuration before it does harm."""

from collections.abc import Callable
from typing import Any

import pytest
from django.apps import apps
from django.core.checks import run_checks
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from django.db import connection
from django.test import override_settings

from chat import checks
from tests.rig.four import Backend
from tests.rig.postgres import PostgresServer
from tests.rig.site import Site

CORE = "channels_redis.core.RedisChannelLayer"


def found(tag: str = "chat", **kwargs: Any) -> list[str]:
    return [str(message.id) for message in run_checks(tags=[tag], **kwargs)]


def test_the_site_itself_is_clean() -> None:
    assert found() == []


@pytest.mark.parametrize(
    ("chat", "problem"),
    [
        ([], "chat.E001"),
        ({"BODY_CHAR": 5}, "chat.E002"),
        ({"BODY_CHARS": "5"}, "chat.E003"),
        ({"BODY_CHARS": True}, "chat.E003"),
        ({"BODY_CHARS": 5.5}, "chat.E003"),
        ({"BODY_CHARS": -1}, "chat.E003"),
        ({"QUERY_TOKEN": 1}, "chat.E003"),
        ({"ORIGINS": "https://a.example"}, "chat.E003"),
        ({"ORIGINS": ["*"]}, "chat.E004"),
        ({"ORIGINS": ["https://*"]}, "chat.E004"),
        ({"POLICY": "no.such.Policy"}, "chat.E007"),
        ({"POLICY": "chat.models.Room"}, "chat.E007"),
    ],
)
def test_a_wrong_chat_setting_is_an_error(chat: Any, problem: str) -> None:
    with override_settings(CHAT=chat):
        assert found() == [problem]


def test_good_chat_settings_pass() -> None:
    good = {"BODY_CHARS": 5, "POLL_S": 1, "ORIGINS": ["https://*.example.com"], "QUERY_TOKEN": True}
    with override_settings(CHAT=good):
        assert found() == []


@pytest.mark.parametrize(
    ("hosts", "problems"),
    [
        (None, ["chat.E005"]),
        ([("localhost", 6379)], ["chat.E005"]),
        (["redis://localhost"], ["chat.E005"]),
        ([{"address": "redis://localhost"}], ["chat.E005"]),
        ([{"address": "redis://localhost", "socket_timeout": None}], []),
    ],
)
def test_the_core_layer_must_set_its_socket_timeout_explicitly(hosts: Any, problems: list[str]) -> None:
    layer = {"BACKEND": CORE, "CONFIG": {"hosts": hosts} if hosts else {}}
    with override_settings(CHANNEL_LAYERS={"default": layer}):
        assert found() == problems


def test_the_core_layer_is_fine_with_an_older_redis_client(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chat.checks.version", lambda _: "7.4.0")
    with override_settings(CHANNEL_LAYERS={"default": {"BACKEND": CORE}}):
        assert found() == []


@pytest.mark.skipif(connection.vendor != "sqlite", reason="about SQLite")
@pytest.mark.parametrize("mode", [None, "DEFERRED"])
def test_deferred_sqlite_transactions_are_a_warning(monkeypatch: pytest.MonkeyPatch, mode: str | None) -> None:
    monkeypatch.setitem(connection.settings_dict["OPTIONS"], "transaction_mode", mode)
    assert found() == ["chat.W004"]


class PeopleApart:
    """Keeps users, and everything that refers to them, in a database other than the chat's."""

    def db_for_write(self, model: Any, **hints: Any) -> str | None:
        return "people" if model._meta.app_label == "auth" else None

    def allow_migrate(self, db: str, app_label: str, **hints: Any) -> bool | None:
        return None if app_label == "chat" else db == "people"


class ReadsFromACopy:
    def db_for_read(self, model: Any, **hints: Any) -> str:
        return "copy"

    def db_for_write(self, model: Any, **hints: Any) -> str:
        return "default"


@pytest.mark.parametrize(
    ("router", "problems"),
    [
        (PeopleApart, ["chat.E008", "chat.E009", "chat.E009"]),
        (ReadsFromACopy, ["chat.E012"]),
    ],
)
def test_a_router_that_separates_tables_that_belong_together_is_an_error(
    router: type[Any], problems: list[str]
) -> None:
    with override_settings(DATABASE_ROUTERS=[router()]):
        assert found() == problems


@pytest.mark.urls("tests.no_urls")
def test_a_site_without_the_chats_urls_is_an_error() -> None:
    assert found() == ["chat.E010"]


def test_a_site_without_djangos_template_engine_is_an_error() -> None:
    with override_settings(TEMPLATES=[]):
        assert found() == ["chat.E011"]


@pytest.mark.parametrize(
    ("application", "more_apps", "problems"),
    [
        (None, [], ["chat.W005"]),
        ("", [], ["chat.W005"]),
        ("shop.asgi.application", [], []),
        (None, ["daphne"], []),
        (None, ["daphne.apps.DaphneConfig"], []),
    ],
)
def test_a_site_without_any_sign_of_asgi_is_a_warning(
    settings: Any, application: str | None, more_apps: list[str], problems: list[str]
) -> None:
    assert not apps.is_installed("daphne"), "the premise: this site is served by daphne's command line"
    settings.INSTALLED_APPS = [*more_apps, *settings.INSTALLED_APPS]
    settings.ASGI_APPLICATION = application
    if application is None:
        del settings.ASGI_APPLICATION
    assert found() == problems


def test_a_site_whose_asgi_server_needs_no_setting_can_silence_the_warning(settings: Any) -> None:
    del settings.ASGI_APPLICATION
    with pytest.raises(SystemCheckError, match=r"chat\.W005"):
        call_command("check", tags=["chat"], fail_level="WARNING")
    settings.SILENCED_SYSTEM_CHECKS = [*settings.SILENCED_SYSTEM_CHECKS, "chat.W005"]
    call_command("check", tags=["chat"], fail_level="WARNING")


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(connection.vendor != "sqlite", reason="about SQLite")
def test_sqlite_that_does_not_wait_for_the_disk_is_a_warning() -> None:
    assert found("chat_database", databases=["default"]) == []
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA synchronous=NORMAL")
    assert found("chat_database", databases=["default"]) == ["chat.W002"]
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA synchronous=FULL")


ASK_THE_DATABASE = """
from django.core.checks import run_checks
print([message.id for message in run_checks(tags=["chat_database"], databases=["default"])])
"""


def test_postgresql_that_does_not_wait_for_the_disk_is_a_warning(
    make_site: Callable[..., Site], postgres: PostgresServer
) -> None:
    site = make_site(Backend("postgresql", "memory"), processes=0)
    assert site.python(ASK_THE_DATABASE) == "[]\n"
    name = site.environment["DATABASE_URL"].rpartition("/")[2]
    postgres.execute(f'ALTER DATABASE "{name}" SET synchronous_commit = off')
    assert site.python(ASK_THE_DATABASE) == "['chat.W003']\n"


def test_a_low_limit_of_open_files_is_warned_of(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(checks.resource, "getrlimit", lambda which: (1_024, 1_024))
    assert [each.id for each in checks.files_are_enough(None)] == ["chat.W006"]
    monkeypatch.setattr(checks.resource, "getrlimit", lambda which: (1_024, 65_535))
    assert checks.files_are_enough(None) == []
