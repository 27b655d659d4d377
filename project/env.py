"""Read typed values with defaults from the environment for project/settings.py, or end with one line of error.

``.env`` in the root of the checkout is read too. The environment overrides it.
"""

import os
import re
import secrets
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import parse_qsl, unquote, urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

T = TypeVar("T")
LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
TRUE, FALSE = {"1", "true", "yes", "on"}, {"", "0", "false", "no", "off"}
# ``*.`` matches all subdomains.
ORIGIN = re.compile(r"https?://((\*\.)?[^\s/:@?#*\[\]]+|\[[0-9a-fA-F:.]+\])(:[^/:@?#]+)?")
PASSWORD_IN_URL = re.compile(r"(://[^:/@]*:)[^@]*@")


class Misconfigured(SystemExit):
    """A variable can't be used. This ends the process with status 1 and one line, whatever command is running."""

    def __init__(self, variable: str, why: str):
        super().__init__(f"{variable}: {why}")


def shown(url: str) -> str:
    """``url`` without its password, for messages."""
    return PASSWORD_IN_URL.sub(r"\1***@", url)


class Env:
    """The process environment, which overrides ``.env``. ``asked`` holds all names that were read, with defaults.

    Args:
        dotenv: A file of ``NAME=value`` lines, which need not exist.
    """

    def __init__(self, environ: Mapping[str, str], dotenv: Path):
        self._values = {**_dotenv(dotenv), **environ}
        self.asked: dict[str, str] = {}

    def text(self, name: str, default: str = "") -> str:
        """The value, stripped of white space. An empty value counts as not set."""
        self.asked[name] = default
        return self._values.get(name, "").strip() or default

    def warn_of_strangers(self, prefix: str, *, known: Sequence[str] = ()) -> None:
        """Warn on stderr of each variable with this prefix that is not read, and suggest what was meant.

        This is not an error: for a service called CHAT, Kubernetes sets CHAT_SERVICE_HOST and similar variables.

        Args:
            known: Variables that are read elsewhere.
        """
        names = [*self.asked, *known]
        for name in sorted(each for each in self._values if each.startswith(prefix) and each not in names):
            meant = get_close_matches(name, names, 1, 0.5)
            hint = f" Did you mean {meant[0]}?" if meant else ""
            print(f"{name}: there is no such setting; it changes nothing.{hint}", file=sys.stderr)

    def flag(self, name: str, default: bool = False) -> bool:
        value = self.text(name, "1" if default else "0").lower()
        if value not in TRUE | FALSE:
            raise Misconfigured(name, f"{value!r} is neither 1 nor 0.")
        return value in TRUE

    def integer(self, name: str, default: int, *, least: int = 0, most: int = 2**31) -> int:
        return self._number(name, default, int, least, most)

    def decimal(self, name: str, default: float, *, least: float = 0, most: float = 2**31) -> float:
        return self._number(name, default, float, least, most)

    def _number(self, name: str, default: T, kind: Callable[[str], T], least: Any, most: Any) -> T:
        value = self.text(name, str(default))
        try:
            number: Any = kind(value)
        except ValueError:
            raise Misconfigured(name, f"{value!r} is not a number.") from None
        if not least <= number <= most:
            raise Misconfigured(name, f"{value} is not between {least} and {most}.")
        return number  # type: ignore[no-any-return]

    def words(self, name: str, default: str = "") -> list[str]:
        """The values of a comma-separated list."""
        return [word.strip() for word in self.text(name, default).split(",") if word.strip()]

    def origins(self, name: str) -> list[str]:
        """The values of a comma-separated list of origins, such as https://chat.example.com:8443."""
        for origin in (origins := self.words(name)):
            if not ORIGIN.fullmatch(origin):
                why = "is no origin: write https://HOST or http://HOST:PORT, and nothing after it."
                raise Misconfigured(name, f"{shown(origin)!r} {why}")
            _check_port(name, origin, origin.partition("://")[2].rpartition("]")[2].partition(":")[2])
        return origins

    def level(self, name: str, default: str) -> str:
        """The name of a logging level."""
        value = self.text(name, default).upper()
        if value not in LEVELS:
            raise Misconfigured(name, f"{value!r} is none of {', '.join(LEVELS)}.")
        return value

    def zone(self, name: str, default: str) -> str:
        """The name of a time zone, such as Europe/Berlin."""
        value = self.text(name, default)
        try:
            ZoneInfo(value)
        except (ValueError, OSError, ZoneInfoNotFoundError):
            raise Misconfigured(name, f"{value!r} is no time zone that this machine knows.") from None
        return value

    def folder(self, name: str, default: str, base: Path) -> Path:
        """A writable folder, relative to ``base``. It is made if it does not exist."""
        path = base / Path(self.text(name, default)).expanduser()
        try:
            path.mkdir(parents=True, exist_ok=True)
            probe = path / f".writable-{os.getpid()}-{secrets.token_hex(4)}"
            probe.touch()
            probe.unlink()
        except OSError as error:
            why = "a file has that name" if isinstance(error, FileExistsError) else error.strerror
            raise Misconfigured(name, f"can't write to the folder {path}: {why}. Name another one.") from None
        return path.resolve()

    def secret(self, name: str, file: Path) -> str:
        """The value; or else a secret that is generated once and kept in ``file``, which only its owner can read."""
        if given := self.text(name):
            return given
        made = file.with_name(f".{file.name}-{os.getpid()}-{secrets.token_hex(4)}")
        try:
            if not file.exists():
                made.touch(mode=0o600)
                made.write_text(secrets.token_urlsafe(64))
                with suppress(FileExistsError):
                    os.link(made, file)  # processes that start at the same time all use the key of the first
                made.unlink()
            secret = file.read_text().strip()
        except OSError as error:
            raise Misconfigured(name, f"not set, and its file {file} can't be used: {error.strerror}.") from None
        if len(secret) < 50:
            raise Misconfigured(name, f"not set, and its file {file} holds no secret. Remove it to get a new one.")
        return secret

    def options(self, prefix: str, defaults: Any, *, without: Collection[str] = ()) -> dict[str, Any]:
        """Read ``PREFIX_FIELD`` for each field of the dataclass instance ``defaults``; return those that differ.

        The keys are the field names in capitals.

        Args:
            without: Fields that are not read.
        """
        given = {}
        for name in (field.name.upper() for field in fields(defaults) if field.name not in without):
            default = getattr(defaults, name.lower())
            readers: dict[type, Callable[..., Any]] = {
                bool: self.flag, int: self.integer, float: self.decimal, str: self.text, tuple: self.words
            }  # fmt: skip
            read = readers[type(default)]
            value = read(prefix + name, ",".join(default) if isinstance(default, tuple) else default)
            if value != default:
                given[name] = tuple(value) if isinstance(value, list) else value
        return given

    def database(self, name: str, home: Path, *, pool: int) -> dict[str, Any]:
        """An entry of ``DATABASES``, from a URL.

        ``sqlite:///chat.sqlite3`` is relative to ``home``, ``sqlite:////srv/chat.sqlite3`` is absolute;
        ``postgresql://user:password@host:5432/name?sslmode=require`` takes every parameter that libpq knows.
        """
        url = self.text(name, "sqlite:///db.sqlite3")
        scheme = url.partition("://")[0]
        if scheme == "sqlite":
            return _sqlite(name, url, home)
        if scheme in ("postgresql", "postgres"):
            return _postgresql(name, url, pool)
        raise Misconfigured(
            name, f"{shown(url)!r} is no database URL: it starts with sqlite:/// or postgresql://, not {scheme!r}."
        )

    def choice(self, name: str, default: str, *others: str) -> str:
        """The value, which must be ``default`` or one of ``others``."""
        value = self.text(name, default).lower()
        if value not in (default, *others):
            raise Misconfigured(name, f"{value!r} is none of {', '.join((default, *others))}.")
        return value

    def mail(self, name: str) -> dict[str, Any]:
        """Django's ``EMAIL_…`` settings, from a URL. Without one, mail is printed to the console.

        ``smtp://user:password@host:587?tls=1`` switches to TLS once connected, ``smtps://…`` speaks it from the start.
        """
        if not (url := self.text(name)):
            return {"EMAIL_BACKEND": "django.core.mail.backends.console.EmailBackend"}
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError:
            raise Misconfigured(name, f"{shown(url)!r} can't be read.") from None
        if parts.scheme not in ("smtp", "smtps") or not host:
            raise Misconfigured(name, f"{shown(url)!r} is no mail URL: write smtp://USER:PASSWORD@HOST:587?tls=1.")
        given = dict(parse_qsl(parts.query))
        if set(given) - {"tls"} or given.get("tls", "").lower() not in TRUE | FALSE:
            raise Misconfigured(name, f"{shown(url)!r}: after the question mark stands tls=1 or nothing.")
        tls = given.get("tls", "").lower() in TRUE
        if tls and parts.scheme == "smtps":
            raise Misconfigured(name, f"{shown(url)!r}: smtps:// speaks TLS from the start; leave tls=1 out.")
        return {
            "EMAIL_BACKEND": "django.core.mail.backends.smtp.EmailBackend",
            "EMAIL_HOST": host,
            "EMAIL_PORT": port or (465 if parts.scheme == "smtps" else 587 if tls else 25),
            "EMAIL_HOST_USER": unquote(parts.username or ""),
            "EMAIL_HOST_PASSWORD": unquote(parts.password or ""),
            "EMAIL_USE_TLS": tls,
            "EMAIL_USE_SSL": parts.scheme == "smtps",
            # A mail server that hangs must not block a worker thread for ever.
            "EMAIL_TIMEOUT": 10,
        }

    def redis_shards(self, name: str) -> list[str]:
        """The URLs of a comma-separated list of Redis servers. It is empty on a site without Redis."""
        for url in (urls := self.words(name)):
            _check_redis(name, url)
        return urls


def _dotenv(file: Path) -> dict[str, str]:
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise Misconfigured(".env", f"can't be read: {error}.") from None
    pairs = (line.removeprefix("export ").split("=", 1) for line in map(str.strip, lines) if line and line[0] != "#")
    return {pair[0].strip(): _unquoted(pair[1].strip()) for pair in pairs if len(pair) == 2}


def _unquoted(value: str) -> str:
    return value[1:-1] if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'" else value


def _sqlite(name: str, url: str, home: Path) -> dict[str, Any]:
    path = unquote(url.removeprefix("sqlite://"))
    if not path.startswith("/") or path == "/":
        raise Misconfigured(name, f"{url!r} names no file: write sqlite:///FILE or sqlite:////FULL/PATH.")
    if path == "/:memory:":
        raise Misconfigured(name, "a database in memory is gone with the process. Name a file.")
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": home / path[1:],
        "OPTIONS": {
            # Without IMMEDIATE, transactions that read and then write fail at once with "database is locked". With
            # FULL, acknowledged messages survive a power cut; with NORMAL, only a crash of the process.
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;",
        },
    }


def _postgresql(name: str, url: str, pool: int) -> dict[str, Any]:
    from psycopg import ProgrammingError  # here, because a site on SQLite need not load libpq
    from psycopg.conninfo import conninfo_to_dict

    try:
        given = {key: str(value) for key, value in conninfo_to_dict(url).items() if value is not None}
    except ProgrammingError as error:
        raise Misconfigured(name, f"{shown(url)!r} can't be read: {' '.join(shown(str(error)).split())}.") from None
    for port in filter(None, given.get("port", "").split(",")):
        _check_port(name, url, port)
    if not given.get("dbname"):
        raise Misconfigured(name, f"{shown(url)!r} names no database: write postgresql://…/NAME.")
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": given.pop("dbname"),
        "USER": given.pop("user", ""),
        "PASSWORD": given.pop("password", ""),
        "HOST": given.pop("host", ""),
        "PORT": given.pop("port", ""),
        # Without a pool, each transaction would open a connection, and throughput would be 5 times lower. With the
        # default time-out a thread would wait 30 s for the pool; here it is 5 s. With a pool, Django requires
        # CONN_MAX_AGE = 0, and health checks replace connections that a restart of the server has ended.
        "CONN_MAX_AGE": 0,
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": {
            # A server that vanishes without closing its connections must not block a thread until TCP gives up.
            "connect_timeout": "5",
            "tcp_user_timeout": "10000",
            "keepalives_idle": "10",
            "keepalives_interval": "5",
            "keepalives_count": "3",
            **given,
            "pool": {"min_size": 1, "max_size": pool, "timeout": 5, "max_lifetime": 1800, "reconnect_timeout": 2},
        },
    }


def _check_redis(name: str, url: str) -> None:
    scheme, _, rest = url.partition("://")
    if scheme not in ("redis", "rediss", "unix"):
        raise Misconfigured(
            name, f"{shown(url)!r} is no Redis URL: it starts with redis://, rediss:// or unix://, not {scheme!r}."
        )
    if scheme == "unix":
        if not rest.partition("@")[2].startswith("/") and not rest.startswith("/"):
            raise Misconfigured(name, f"{shown(url)!r} names no socket: write unix:///run/redis.sock.")
        return
    address = rest.rpartition("@")[2].partition("?")[0]
    host, _, database = address.partition("/")
    _check_port(name, url, host.rpartition(":")[2] if ":" in host.rpartition("]")[2] else "")
    if not urlsplit(url).hostname:
        raise Misconfigured(name, f"{shown(url)!r} names no host.")
    if database and not database.isdigit():
        raise Misconfigured(name, f"{shown(url)!r}: the database is a number, not {database!r}.")


def _check_port(name: str, url: str, port: str) -> None:
    if port and not (port.isdigit() and 1 <= int(port) <= 65535):
        raise Misconfigured(name, f"{shown(url)!r}: {port!r} is no port.")
