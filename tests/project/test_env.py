"""project/env.py: which values are accepted, and the one line of error for all others."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from project.env import Env, Misconfigured

ROOT = Path(__file__).resolve().parents[2]


def env(tmp_path: Path, **values: str) -> Env:
    return Env(values, tmp_path / ".env")


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("mysql://localhost/chat", "starts with sqlite:/// or postgresql://, not 'mysql'"),
        ("chat.sqlite3", "starts with sqlite:/// or postgresql://"),
        ("sqlite://", "names no file"),
        ("sqlite:///", "names no file"),
        ("sqlite://chat.sqlite3", "names no file"),
        ("sqlite:///:memory:", "gone with the process"),
        ("postgresql://localhost:54x2/chat", "'54x2' is no port"),
        ("postgresql://localhost:70000/chat", "'70000' is no port"),
        ("postgresql://localhost", "names no database"),
        ("postgresql://localhost/chat?colour=red", "colour"),
        ("postgresql://[::1/chat", "can't be read"),
    ],
)
def test_a_wrong_database_url_names_the_variable_and_the_reason(tmp_path: Path, url: str, why: str) -> None:
    with pytest.raises(Misconfigured) as error:
        env(tmp_path, DATABASE_URL=url).database("DATABASE_URL", tmp_path, pool=8)
    assert_one_line(error.value, "DATABASE_URL", why)


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("localhost:6379", "starts with redis://, rediss:// or unix://"),
        ("http://localhost", "not 'http'"),
        ("redis://localhost:63x9", "'63x9' is no port"),
        ("redis://localhost:70000", "'70000' is no port"),
        ("redis://:6379", "names no host"),
        ("redis://localhost/chat", "the database is a number, not 'chat'"),
        ("unix://redis.sock", "names no socket"),
        ("redis://one,redis://two:x", "'x' is no port"),
    ],
)
def test_a_wrong_redis_url_names_the_variable_and_the_reason(tmp_path: Path, url: str, why: str) -> None:
    with pytest.raises(Misconfigured) as error:
        env(tmp_path, REDIS_URL=url).redis_shards("REDIS_URL")
    assert_one_line(error.value, "REDIS_URL", why)


@pytest.mark.parametrize("url", ["postgresql://ana:s3cret@host:x/chat", "mysql://ana:s3cret@host/chat"])
def test_a_password_in_a_wrong_url_is_not_printed(tmp_path: Path, url: str) -> None:
    with pytest.raises(Misconfigured) as error:
        env(tmp_path, DATABASE_URL=url).database("DATABASE_URL", tmp_path, pool=8)
    assert "s3cret" not in str(error.value)


def test_redis_urls_of_every_kind_are_accepted(tmp_path: Path) -> None:
    urls = ["redis://localhost", "rediss://u:p@host:6380/3", "redis://[::1]:6379/0?x=1", "unix:///run/redis.sock"]
    assert env(tmp_path, REDIS_URL=" , ".join(urls)).redis_shards("REDIS_URL") == urls


def test_sqlite_is_durable_and_queues_its_writers(tmp_path: Path) -> None:
    database = env(tmp_path).database("DATABASE_URL", tmp_path, pool=8)
    assert database["NAME"] == tmp_path / "db.sqlite3"
    assert database["OPTIONS"]["transaction_mode"] == "IMMEDIATE"
    assert "journal_mode=WAL" in database["OPTIONS"]["init_command"]
    assert "synchronous=FULL" in database["OPTIONS"]["init_command"]


def test_a_full_sqlite_path_has_four_slashes(tmp_path: Path) -> None:
    database = env(tmp_path, DATABASE_URL="sqlite:////srv/chat.db").database("DATABASE_URL", tmp_path, pool=8)
    assert database["NAME"] == Path("/srv/chat.db")


def test_postgresql_takes_libpq_parameters_and_a_pool(tmp_path: Path) -> None:
    url = "postgresql://ana:p%40ss@db.example:6432/chat?sslmode=require"
    database = env(tmp_path, DATABASE_URL=url).database("DATABASE_URL", tmp_path, pool=3)
    assert {key: database[key] for key in ("NAME", "USER", "PASSWORD", "HOST", "PORT")} == {
        "NAME": "chat",
        "USER": "ana",
        "PASSWORD": "p@ss",
        "HOST": "db.example",
        "PORT": "6432",
    }
    assert database["OPTIONS"]["sslmode"] == "require"
    assert database["OPTIONS"]["pool"]["max_size"] == 3
    assert database["CONN_MAX_AGE"] == 0  # Django refuses a pool with anything else


def test_mail_is_sent_through_the_server_in_the_url(tmp_path: Path) -> None:
    mail = env(tmp_path, EMAIL_URL="smtp://post%40man:p%2Fss@mail.example:2525?tls=1").mail("EMAIL_URL")
    assert {name.removeprefix("EMAIL_"): value for name, value in mail.items() if "BACKEND" not in name} == {
        "HOST": "mail.example",
        "PORT": 2525,
        "HOST_USER": "post@man",
        "HOST_PASSWORD": "p/ss",
        "USE_TLS": True,
        "USE_SSL": False,
        "TIMEOUT": 10,
    }
    ports = {url: env(tmp_path, M=url).mail("M")["EMAIL_PORT"] for url in ("smtp://a", "smtp://a?tls=1", "smtps://a")}
    assert list(ports.values()) == [25, 587, 465]


def test_without_a_url_mail_is_printed(tmp_path: Path) -> None:
    assert env(tmp_path).mail("EMAIL_URL")["EMAIL_BACKEND"].endswith("console.EmailBackend")


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("mail.example", "is no mail URL"),
        ("http://mail.example", "is no mail URL"),
        ("smtp://", "is no mail URL"),
        ("smtp://u:s3cret@mail.example:x", "can't be read"),
        ("smtp://mail.example?ssl=1", "tls=1 or nothing"),
        ("smtp://mail.example?tls=perhaps", "tls=1 or nothing"),
        ("smtps://mail.example?tls=1", "leave tls=1 out"),
    ],
)
def test_a_wrong_mail_url_names_the_variable_and_the_reason(tmp_path: Path, url: str, why: str) -> None:
    with pytest.raises(Misconfigured) as error:
        env(tmp_path, EMAIL_URL=url).mail("EMAIL_URL")
    assert_one_line(error.value, "EMAIL_URL", why)
    assert "s3cret" not in str(error.value)


def test_a_choice_accepts_only_its_words(tmp_path: Path) -> None:
    assert env(tmp_path, A="None").choice("A", "optional", "none") == "none"
    assert env(tmp_path).choice("A", "optional", "none") == "optional"
    with pytest.raises(Misconfigured, match="none of optional, none"):
        env(tmp_path, A="perhaps").choice("A", "optional", "none")


def test_a_secret_is_made_once_and_only_its_owner_may_read_it(tmp_path: Path) -> None:
    file = tmp_path / "key"
    first = env(tmp_path).secret("SECRET_KEY", file)
    assert env(tmp_path).secret("SECRET_KEY", file) == first
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["key"]


def test_an_emptied_key_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "key").touch()
    with pytest.raises(Misconfigured, match="holds no secret"):
        env(tmp_path).secret("SECRET_KEY", tmp_path / "key")


def test_a_folder_that_cannot_be_made_is_one_line_of_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Misconfigured) as error:
        env(tmp_path, HEARTH_HOME="file/var").folder("HEARTH_HOME", "var", tmp_path)
    assert_one_line(error.value, "HEARTH_HOME", "can't write to the folder")


@pytest.mark.parametrize(("name", "value"), [("PORT", "eighty"), ("PORT", "0"), ("PORT", "70000")])
def test_a_number_out_of_range_is_refused(tmp_path: Path, name: str, value: str) -> None:
    with pytest.raises(Misconfigured, match=name):
        env(tmp_path, **{name: value}).integer(name, 8000, least=1, most=65535)


def test_the_environment_wins_over_the_dotenv_file(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("# a comment\nexport A='one'\nB=two\n\nnonsense\n")
    read = env(tmp_path, B="three")
    assert (read.text("A"), read.text("B")) == ("one", "three")


def test_a_misspelt_setting_is_reported_with_the_nearest_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / ".env").write_text("CHAT_HERTBEAT_S=5\n")
    read = env(tmp_path, CHAT_POLL_S="1", CHAT_SERVICE_HOST="10.0.0.7", CHAT_TOKEN="s3cret", OTHER="1")
    read.decimal("CHAT_POLL_S", 3.0)
    read.decimal("CHAT_HEARTBEAT_S", 20.0)
    read.warn_of_strangers("CHAT_", known=["CHAT_TOKEN"])
    said = capsys.readouterr().err.splitlines()
    assert said[0] == "CHAT_HERTBEAT_S: there is no such setting; it changes nothing. Did you mean CHAT_HEARTBEAT_S?"
    assert said[1].startswith("CHAT_SERVICE_HOST: there is no such setting")
    assert len(said) == 2
    assert "10.0.0.7" not in said[1]


def test_the_example_lists_every_variable_with_its_default() -> None:
    from project.settings import env as read

    lines = (ROOT / ".env.example").read_text().splitlines()
    listed = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    wanted = {name: str(default) for name, default in read.asked.items()}
    assert listed == wanted, "Bring .env.example up to date."


def assert_one_line(error: SystemExit, variable: str, why: str) -> None:
    text = str(error.code)
    assert text.startswith(f"{variable}: ")
    assert why in text
    assert "\n" not in text


@pytest.mark.parametrize(
    ("origin", "why"),
    [
        ("chat.example.com", "is no origin: write https://HOST"),
        ("https://one.example.com,two.example.com", "'two.example.com' is no origin"),
        ("https://chat.example.com/", "nothing after it"),
        ("ftp://chat.example.com", "is no origin"),
        ("https://", "is no origin"),
        ("https://chat.example.com:84x3", "'84x3' is no port"),
        ("https://[::1]:70000", "'70000' is no port"),
        ("https://ana:s3cret@chat.example.com", "is no origin"),
    ],
)
def test_a_wrong_origin_names_the_variable_and_the_reason(tmp_path: Path, origin: str, why: str) -> None:
    with pytest.raises(Misconfigured) as error:
        env(tmp_path, CSRF_TRUSTED_ORIGINS=origin).origins("CSRF_TRUSTED_ORIGINS")
    assert_one_line(error.value, "CSRF_TRUSTED_ORIGINS", why)
    assert "s3cret" not in str(error.value)


def test_origins_are_accepted_as_browsers_write_them(tmp_path: Path) -> None:
    origins = ["https://chat.example.com", "http://localhost:8000", "https://*.example.com", "https://[::1]:8443"]
    assert env(tmp_path, CSRF_TRUSTED_ORIGINS=", ".join(origins)).origins("CSRF_TRUSTED_ORIGINS") == origins
    assert env(tmp_path).origins("CSRF_TRUSTED_ORIGINS") == []


def test_the_site_does_not_start_with_an_origin_that_would_have_no_effect(tmp_path: Path) -> None:
    given = {**os.environ, "HEARTH_HOME": str(tmp_path), "CSRF_TRUSTED_ORIGINS": "chat.example.com"}
    ran = subprocess.run(
        [sys.executable, "-c", "import project.settings"], cwd=ROOT, env=given, capture_output=True, text=True
    )
    assert ran.returncode == 1
    assert ran.stderr.startswith("CSRF_TRUSTED_ORIGINS: ")
    assert ran.stderr.count("\n") == 1
