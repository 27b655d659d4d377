"""Check once, when a process starts, whether the site can work: configuration, database, Redis."""

import logging
from typing import Any

import redis
from django.conf import settings
from django.core import checks
from django.db import Error, connection, transaction
from redis.backoff import NoBackoff
from redis.retry import Retry

from project.env import Misconfigured, shown

logger = logging.getLogger(__name__)
tells_of_first_run = True
"""Whether ``verify`` logs the first-run hint. project/serve.py sets it to False, because it prints the hint itself."""


def verify() -> None:
    """Return if this process can serve.

    A Redis that is down is only logged: the chat works without it, if more slowly between processes.

    Raises:
        Misconfigured: The process can't serve; this ends it with one line that names the variable.
    """
    check_configuration()
    check_database()
    for url, error in unreachable_redis():
        logger.error("REDIS_URL: %s does not answer (%s). Going on; it is used as soon as it does.", shown(url), error)
    if tells_of_first_run and (hint := first_run_hint()):
        logger.warning("%s", hint)


def first_run_hint(address: str = "") -> str:
    """How to make the first account: a link with the set-up code. Empty if there is an account already."""
    from project.accounts import setup_code, site  # here, because models need Django to be set up

    try:
        if site.has_accounts():
            return ""
        link = setup_code.link(address)
    except Error:
        return ""  # not migrated yet
    finally:
        connection.close()
    return f"Nobody has an account yet. Make the owner's account: {link}"


def check_configuration() -> None:
    """Raise ``Misconfigured`` with the first error among the chat's system checks; log its warnings."""
    found = [each for each in checks.run_checks(tags=["chat"]) if not each.is_silenced()]
    for each in found:
        if each.is_serious():
            raise Misconfigured("CHAT", f"{each.msg} {each.hint or ''}".strip())
        logger.warning("%s %s", each.msg, each.hint or "")


def check_database() -> None:
    """Raise ``Misconfigured`` if the database can't be used."""
    driver: Any = connection.Database  # type: ignore[attr-defined]
    try:
        if connection.vendor == "sqlite":
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute("SELECT 1")
        else:
            # Connect without the pool, which would wait and then not say what is wrong.
            driver.connect(**connection.get_connection_params()).close()
        for each in checks.run_checks(tags=["chat_database"], databases=["default"]):
            logger.warning("%s %s", each.msg, each.hint or "")
    except Exception as error:
        # Django's cursor raises Django's errors, and the direct connection raises the driver's.
        if not isinstance(error, Error | driver.Error):
            raise
        raise Misconfigured("DATABASE_URL", f"{_where()} can't be used: {_line(error)}.") from None
    finally:
        connection.close()


def unreachable_redis() -> list[tuple[str, str]]:
    """The shards that do not answer, each with the reason.

    Raises:
        Misconfigured: A shard answers but refuses us, which does not resolve itself.
    """
    missing = []
    for url in settings.REDIS_SHARDS:
        client: Any = redis.Redis.from_url(url, socket_timeout=2, socket_connect_timeout=2, retry=Retry(NoBackoff(), 0))
        try:
            client.ping()
        except (redis.AuthenticationError, redis.ResponseError) as error:
            raise Misconfigured("REDIS_URL", f"{shown(url)} refuses us: {_line(error)}.") from None
        except (redis.RedisError, OSError) as error:
            missing.append((url, _line(error)))
        finally:
            client.close()
    return missing


def _where() -> str:
    given = connection.settings_dict
    if connection.vendor == "sqlite":
        return f"the file {given['NAME']}"
    return f"the database {given['NAME']!r} on {given['HOST'] or 'the local socket'}"


def _line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].strip().rstrip(".") if lines else type(error).__name__
