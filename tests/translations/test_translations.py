"""The catalogues hold every text of the sources, whole and as they were compiled; and pages obey the browser."""

import gettext
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.utils.translation import override

from chat import error_messages
from chat.web.script_texts import SENTENCES, script_texts
from chat.wire.errors import ChatError, CommandInvalid, RoomInvalid
from tests.conftest import CI

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ("xgettext", "msgmerge", "msguniq", "msgattrib", "msgfmt")
CATALOGUES = [
    (app, path.parents[1].name) for app in ("chat", "project") for path in (ROOT / app).glob("locale/*/*/django.po")
]
PLACEHOLDER = re.compile(r"%\(\w+\)[sd]|%[sd]|\{\w+\}")
TOLD_TO_PROGRAMS = ("frame.", "command.", "auth.", "sync.", "message.client_id_conflict", "attachment.")
"""Codes that nobody meets on a page."""

in_catalogues = pytest.mark.parametrize(("app", "language"), CATALOGUES)


@pytest.fixture(autouse=True)
def _english() -> Iterator[None]:
    """Requests leave their language behind."""
    with override("en"):
        yield


@pytest.fixture
def tools() -> None:
    missing = [each for each in TOOLS if not shutil.which(each)]
    if missing:
        words = f"The package gettext is not installed: {', '.join(missing)}."
        pytest.fail(words) if CI else pytest.skip(words)


def folder_of(app: str, language: str) -> Path:
    return ROOT / app / "locale" / language / "LC_MESSAGES"


def texts_of(compiled: Path) -> dict[Any, str]:
    """Translations by what they translate; a pair of text and number for each plural form."""
    with compiled.open("rb") as file:
        found = dict(gettext.GNUTranslations(file)._catalog)  # type: ignore[attr-defined]
    found.pop("")  # the date in it is of no account
    return found


def run(*command: str | Path, folder: Path) -> str:
    # Without settings: nothing but the folder that it stands in says what a catalogue is of.
    plain = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
    done = subprocess.run(command, cwd=folder, env=plain, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_both_parts_are_there_in_german() -> None:
    assert {("chat", "de"), ("project", "de")} <= set(CATALOGUES)


@in_catalogues
def test_every_text_of_the_sources_is_translated_and_none_is_left_over(
    app: str, language: str, tools: None, tmp_path: Path
) -> None:
    copy = tmp_path / app
    shutil.copytree(ROOT / app, copy, ignore=shutil.ignore_patterns("static", "__pycache__", "*.mo"))
    command = ("-P", "-m", "django", "makemessages", "-l", language, "--no-location", "--no-wrap")
    run(sys.executable, *command, folder=copy)
    renewed = copy / "locale" / language / "LC_MESSAGES" / "django.po"
    for which in ("--untranslated", "--only-fuzzy", "--only-obsolete"):
        entries = run("msgattrib", which, "--no-wrap", renewed, folder=copy).partition("\n\n")[2]
        assert entries == "", f"Renew the catalogue (docs/architecture.md). {which[2:]}:\n{entries}"
    run("msgfmt", "-o", "renewed.mo", renewed, folder=copy)
    assert set(texts_of(copy / "renewed.mo")) == set(texts_of(folder_of(app, language) / "django.mo"))


@in_catalogues
def test_the_compiled_catalogues_match_their_sources(app: str, language: str, tools: None, tmp_path: Path) -> None:
    folder = folder_of(app, language)
    run("msgfmt", "--check-format", "-o", tmp_path / "django.mo", folder / "django.po", folder=tmp_path)
    assert texts_of(tmp_path / "django.mo") == texts_of(folder / "django.mo")


@in_catalogues
def test_a_translation_has_the_placeholders_of_its_text(app: str, language: str) -> None:
    wrong = []
    for text, translation in texts_of(folder_of(app, language) / "django.mo").items():
        wanted, found = (sorted(PLACEHOLDER.findall(each)) for each in (key_of(text), translation))
        wrong += [f"{text!r}: {translation!r}"] if wanted != found else []
    assert wrong == []


def key_of(text: Any) -> str:
    return str(text[0] if isinstance(text, tuple) else text)


# Refusals ------------------------------------------------------------------------------------------------------------


def kinds(kind: type[ChatError] = ChatError) -> list[type[ChatError]]:
    """Those of the product; a test may have made more."""
    below = [each for each in kind.__subclasses__() if each.__module__ == ChatError.__module__]
    return [kind, *(each for one in below for each in kinds(one))]


@pytest.mark.parametrize("kind", [each for each in kinds() if not each.code.startswith(TOLD_TO_PROGRAMS)])
def test_a_refusal_that_people_meet_is_told_in_their_language(kind: type[ChatError]) -> None:
    assert str(error_messages.SENTENCES[kind.code]) == kind.text
    with override("de"):
        assert error_messages.sentence_of(kind()) not in (kind.text, "")
        assert script_texts()[f"error.{kind.code}"] == error_messages.sentence_of(kind())


def test_numbers_in_a_refusal_are_filled_in_after_it_was_translated() -> None:
    refusal = RoomInvalid("The name needs {least} to {most} characters.", values={"least": 1, "most": 100})
    assert refusal.message == "The name needs 1 to 100 characters."
    with override("de"):
        assert error_messages.sentence_of(refusal) == "Der Name braucht 1 bis 100 Zeichen."
        assert error_messages.sentence_of(CommandInvalid("Nobody translates {this}.")) == "Nobody translates {this}."


# Pages ---------------------------------------------------------------------------------------------------------------


@pytest.fixture
def an_account(django_user_model: Any, db: None) -> None:
    django_user_model.objects.create_user("ana")  # without one, every page leads to the first run


@pytest.mark.parametrize(
    ("wanted", "language", "direction"),
    [("de-AT,de;q=0.9,en;q=0.5", "de", "ltr"), ("en-GB", "en", "ltr"), ("fr", "en", "ltr"), ("ar", "ar", "rtl")],
)
def test_a_page_is_in_the_browsers_language_and_runs_its_way(
    wanted: str, language: str, direction: str, an_account: None, settings: Any
) -> None:
    settings.LANGUAGES = [*settings.LANGUAGES, ("ar", "Arabic")]
    page = Client(headers={"accept-language": wanted}).get("/accounts/login/").content.decode()
    assert f'<html lang="{language}" dir="{direction}">' in page
    assert (">Anmelden</h1>" in page) == (language == "de")


def test_the_scripts_get_their_sentences_in_german() -> None:
    with override("de"):
        german = script_texts()
    assert german.keys() == SENTENCES.keys()
    assert german["typingOne"] == "{name} schreibt …"
