"""``manage.py chat_token``: the token is shown once, works, is listed without itself, and can be ended."""

import os
import subprocess
import sys
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command

from chat.access import identity
from chat.models import Token
from tests.rig.ports import free_port

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def ana(db: None) -> Any:
    return get_user_model().objects.create_user("ana")


def run(*arguments: str) -> str:
    out = StringIO()
    call_command("chat_token", *arguments, stdout=out)
    return out.getvalue().strip()


def test_a_new_token_signs_its_person_in_and_is_stored_as_a_hash_only(ana: Any):
    token = run("ana")
    who = identity.from_token(token)
    assert who is not None
    assert who.user == ana
    stored = Token.objects.get()
    assert token not in (stored.digest, stored.name)


def test_tokens_are_listed_without_the_token_itself(ana: Any):
    token = run("ana", "--name", "bot")
    listed = run("ana", "--list")
    assert listed.endswith("never used\tbot")
    assert token not in listed


def test_a_revoked_token_signs_nobody_in_and_leaves_the_list(ana: Any):
    token = run("ana")
    run("ana", "--revoke", str(Token.objects.get().pk))
    assert identity.from_token(token) is None
    assert run("ana", "--list") == ""


def test_one_can_not_revoke_somebody_elses_token(ana: Any):
    get_user_model().objects.create_user("eve")
    token = run("ana")
    with pytest.raises(CommandError):
        run("eve", "--revoke", str(Token.objects.get().pk))
    assert identity.from_token(token) is not None


def test_an_unknown_person_is_said(db: None):
    with pytest.raises(CommandError, match="no user"):
        run("nobody")


@pytest.mark.slow
def test_a_database_that_is_away_is_one_line():
    environment = {**os.environ, "DATABASE_URL": f"postgresql://ana:s3cret@127.0.0.1:{free_port()}/chat"}
    command = [sys.executable, "manage.py", "chat_token", "ana"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("CommandError: The database can't be used: ")
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert "s3cret" not in done.stderr
