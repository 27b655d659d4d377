"""Read the documentation: its code blocks, tables, headings and links."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
DOCS = ROOT / "docs"
HEADING = re.compile(r"^#{1,6} +(.+?) *$", re.MULTILINE)
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)|!\[[^\]]*\]\(([^)\s]+)\)")


def page(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def blocks(text: str, language: str) -> list[str]:
    """Return the contents of the fenced blocks that name ``language``."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def without_blocks(text: str) -> str:
    return re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)


def headings(text: str) -> list[str]:
    return [each.replace("`", "") for each in HEADING.findall(without_blocks(text))]


def table(text: str, first: str, second: str) -> list[list[str]]:
    """Return the cells, row by row, of the only table whose first two columns have these headings."""
    tables = re.findall(rf"^\| {first} \| {second} \|.*\n\|[-| ]+\|\n((?:\|.*\n)+)", text, re.MULTILINE)
    assert len(tables) == 1, f"{len(tables)} tables | {first} | {second} |"
    return [[cell.strip() for cell in row.strip("|").split(" | ")] for row in tables[0].splitlines()]


def links(text: str) -> list[str]:
    """Return the targets of all links and pictures, except those on other sites."""
    found = [link or picture for link, picture in LINK.findall(without_blocks(text))]
    return [each for each in found if not re.match(r"[a-z]+:", each)]
