"""What stands in deploy/ goes with the code: options, variables and names exist, and two files say the same."""

import re
import shlex
from pathlib import Path

import pytest

from tests.docs.pages import ROOT, page

DEPLOY = ROOT / "deploy"
KNOWN = set(re.findall(r"^#? ?([A-Z][A-Z0-9_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))
OF_OTHERS = {"POSTGRES_USER", "POSTGRES_PASSWORD", "POSTGRES_DB"}


def test_the_unit_serves_with_options_that_there_are() -> None:
    from chat.management.commands.serve import Command  # here, because it needs settings

    unit = (DEPLOY / "systemd/hearth@.service").read_text()
    (started,) = re.findall(r"^ExecStart=\S+ manage\.py serve (.*)$", unit, re.MULTILINE)
    options = Command().create_parser("manage.py", "serve").parse_args(shlex.split(started))
    assert options.processes == 2


@pytest.mark.parametrize("name", ["systemd/hearth.env.example", "compose.env.example"])
def test_the_variables_are_those_of_the_site(name: str) -> None:
    named = re.findall(r"^([A-Z0-9_]+)=", (DEPLOY / name).read_text(), re.MULTILINE)
    assert named
    assert set(named) - OF_OTHERS <= KNOWN


def test_the_proxy_of_the_compose_file_is_the_other_one_with_other_names() -> None:
    def lines(file: Path) -> list[str]:
        words = r"^# .*$|server_name \S+|ssl_certificate\S* .*|^    server \S+.*"
        return [line for each in file.read_text().splitlines() if (line := re.sub(words, "", each).strip())]

    assert lines(DEPLOY / "nginx/compose.conf") == lines(DEPLOY / "nginx/hearth.conf")


def test_files_that_the_page_names_are_there() -> None:
    for name in re.findall(r"deploy/([\w@./-]+[\w])", page("deploy/README.md")):
        if name not in ("certificates", "compose.env"):
            assert list(DEPLOY.glob(f"{name}*")), name
