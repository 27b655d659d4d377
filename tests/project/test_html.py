"""Every page is valid HTML according to html-validate. Needs `npm ci`; `make check` runs it."""

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from tests.project.test_odd_fields import address_of, things  # noqa: F401
from tests.walk import pages

ROOT = Path(__file__).resolve().parents[2]
TOOL = ROOT / "node_modules" / ".bin" / "html-validate"
TEMPLATES = re.compile(r"<template\b.*?</template>", re.DOTALL)
"""Templates for scripts are still empty. The pages contain the same partials, filled in."""
OTHERS = ("admin/", "accounts/reauthenticate")
"""Pages whose markup is Django's own."""

pytestmark = [pytest.mark.django_db, pytest.mark.slow]


@pytest.fixture
def validator() -> Path:
    if not TOOL.exists():
        (pytest.fail if os.environ.get("CI") else pytest.skip)("html-validate is not installed: npm ci")
    return TOOL


def test_every_page_is_valid_html(olga: Any, things: dict[str, Any], validator: Path, tmp_path: Path) -> None:  # noqa: F811
    owner, visitor = Client(), Client()
    owner.force_login(olga)
    written = {}
    for who, browser in (("owner", owner), ("visitor", visitor)):
        for page in pages():
            if page.route.startswith(OTHERS) or "logout" in page.route:
                continue
            answer = browser.get(address_of(page, things))
            if answer.status_code == 200 and answer.headers["Content-Type"].startswith("text/html"):
                name = re.sub(r"\W+", "-", f"{who}-{page.route}").strip("-") + ".html"
                (tmp_path / name).write_text(TEMPLATES.sub("", answer.content.decode()))
                written[name] = page.route
    assert len(written) > 15, "the premise"
    report = tmp_path / "report.json"
    command = [validator, "--config", ROOT / ".htmlvalidate.json", "--formatter", f"json={report}", tmp_path]
    subprocess.run(command, cwd=ROOT, capture_output=True, timeout=110)
    found = [
        f"{written[Path(result['filePath']).name]}:{each['line']}: {each['ruleId']}: {each['message']}"
        for result in json.loads(report.read_text())
        for each in result["messages"]
    ]
    assert not found, "\n".join(found)
