"""Runs every tests/js/*.test.js in Chromium: the modules without a page, as the browser reads them. Each claim is
reported by itself."""

from pathlib import Path

import pytest
from playwright.async_api import Browser

FILES = sorted(path.name for path in Path(__file__).parent.glob("*.test.js"))


@pytest.mark.parametrize("name", FILES)
async def test_the_claims_of(name: str, browser: Browser, modules_url: str, subtests: pytest.Subtests) -> None:
    page = await browser.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    await page.goto(modules_url)
    results = await page.evaluate(
        "async (file) => { await import(file); return (await import('/tests/runner.js')).run() }", f"/tests/{name}"
    )
    assert results, f"{name} makes no claims"
    for each in results:
        with subtests.test(each["name"]):
            assert not each["error"], each["error"]
    assert not complaints, "\n\n".join(complaints)
