"""The pages are consistent: every link has a target, and everything that the code refers to exists."""

import re
import tomllib
from pathlib import Path

import pytest
from django.core.management import BaseCommand

from chat.conf import ChatSettings
from tests.docs.pages import ROOT, headings, links, page

PAGES = sorted(
    each.relative_to(ROOT).as_posix()
    for each in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("bench/*.md"), *ROOT.glob("deploy/*.md")]
)
SOURCES = [
    each
    for folder in ("chat", "project", "tests", "bench")
    for each in (ROOT / folder).rglob("*")
    if each.suffix in (".py", ".js", ".html") and ROOT / "tests/docs" not in each.parents
]
NAMED_SECTION = re.compile(r'docs/(architecture|protocol)\.md(?:, section \d)?, (?:point \d, )?"([^"]+)"')
NUMBERED_SECTION = re.compile(r"docs/protocol\.md, sections? (\d)(?: and (\d))?")


@pytest.mark.parametrize("name", PAGES)
def test_every_link_of_a_page_has_a_target(name: str) -> None:
    for link in links(page(name)):
        path, _, anchor = link.partition("#")
        target = (ROOT / name).parent / path if path else ROOT / name
        assert target.exists(), f"{name} links to {link}"
        if anchor:
            assert anchor in [slug(each) for each in headings(target.read_text())], f"{name} links to {link}"


def slug(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def test_the_sections_that_the_code_names_exist() -> None:
    found = [
        (source, *match.groups()) for source in SOURCES for match in NAMED_SECTION.finditer(words(source.read_text()))
    ]
    assert ("architecture", "Catching up") in [(name, section) for _, name, section in found], "The premise."
    for source, name, section in found:
        text = page(f"docs/{name}.md")
        assert section in headings(text) or f"**{section}.**" in text, f"{source} refers to {section!r} of {name}.md"


def test_the_numbered_sections_that_the_code_names_exist() -> None:
    numbers = {
        number
        for source in SOURCES
        for match in NUMBERED_SECTION.finditer(words(source.read_text()))
        for number in match.groups()
        if number
    }
    assert numbers >= {"1", "3", "4", "5"}, "The premise."
    assert numbers <= {each[0] for each in headings(page("docs/protocol.md")) if each[1:2] == "."}


def words(source: str) -> str:
    """Return the text on one line, without the characters that begin a line of a comment."""
    return re.sub(r"\s*\n\s*(?://|#|\*)?\s*", " ", source)


def test_files_that_the_pages_name_exist() -> None:
    named = [
        (name, path)
        for name in PAGES
        for path in re.findall(r"`((?:chat|tests|project|bench|docs)/[\w./-]+)`", page(name))
    ]
    assert len(named) > 10, "The premise."
    missing = [f"{name}: {path}" for name, path in named if not Path(ROOT, path.rstrip("/")).exists()]
    assert missing == []


def test_settings_that_the_pages_name_exist() -> None:
    known = {each.upper() for each in ChatSettings.__dataclass_fields__}
    known.add("TOKEN")  # CHAT_TOKEN: the variable that the Python client's terminal reads its token from
    for name in PAGES:
        named = set(re.findall(r'CHAT\["([A-Z_]+)"\]', page(name))) | set(re.findall(r"\bCHAT_([A-Z_]+)", page(name)))
        assert named <= known, name


def test_variables_that_the_pages_set_exist() -> None:
    example = page(".env.example")
    for name in ("README.md", "SECURITY.md", "docs/operations.md"):
        for variable in re.findall(r"^(?:Environment=)?([A-Z][A-Z_]+)=", page(name), re.MULTILINE):
            assert re.search(rf"^{variable}=", example, re.MULTILINE), f"{name}: {variable}"


def test_the_changelog_mentions_this_version() -> None:
    version = tomllib.loads(page("pyproject.toml"))["project"]["version"]
    assert version in page("CHANGELOG.md")


def test_the_operators_page_shows_the_flags_for_stock_daphne() -> None:
    from tests.rig.daphne import daphne_flags  # here, because it needs settings

    shown = page("docs/operations.md")
    for flag in daphne_flags("127.0.0.1", 8000):
        assert flag in shown, flag


def test_the_operators_page_shows_every_option_and_setting_of_the_server() -> None:
    from chat.management.commands.serve import Command  # here, because it needs settings

    parser, plain = Command().create_parser("manage.py", "serve"), BaseCommand().create_parser("manage.py", "none")
    options = {each for each in parser._option_string_actions if each not in plain._option_string_actions}
    settings = {f"CHAT_{each.upper()}" for each in ChatSettings.__annotations__ if each.startswith("server_")}
    shown = page("docs/operations.md")
    hidden = {"--parent", "CHAT_SERVER_HOSTS", "CHAT_SERVER_PORT"}  # used by itself; HOST and PORT
    for name in (options | settings) - hidden:
        assert f"`{name}" in shown, name
