"""The ranks of docs/architecture.md: a module imports from its own rank or below, never from above."""

import ast
import re
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "architecture.md"
RANKS = {
    # 0: the wire and the settings
    "chat.wire": 0,
    "chat.conf": 0,
    # 1: tools and tables
    "chat.runtime": 1,
    "chat.rendering": 1,
    "chat.models": 1,
    "chat.error_messages": 1,
    # 2: who may do what, and what they see
    "chat.access": 2,
    "chat.signals": 2,
    # 3: one process's live fan-out
    "chat.live": 3,
    # 4: the only writers
    "chat.services": 4,
    # 5: the ways in, and the owner of the process
    "chat.sockets": 5,
    "chat.web": 5,
    "chat.admin": 5,
    "chat.api": 5,
    "chat.receivers": 5,
    "chat.process": 5,
    # 6: modules that Django or a server loads
    "chat.server": 6,
    "chat.asgi": 6,
    "chat.routing": 6,
    "chat.urls": 6,
    "chat.apps": 6,
    "chat.checks": 6,
    "chat.management": 6,
    "chat.templatetags": 6,
    # Outside the ranks: the Python client, and the migrations, which only Django runs.
    "chat.client": 0,
    "chat.migrations": 1,
}
BESIDE = {"chat.client", "chat.migrations"}
APART = 5
"""The modules of this rank are ways in. They may share the ranks below, but not import each other."""
OWNER = "chat.process"
"""It has this rank too, but is no way in: sockets import it, because their connections live in the process."""
WITHOUT_DJANGO = ("chat.wire", "chat.client")
FILES = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "chat").rglob("*.py"))


@pytest.mark.parametrize("file", FILES)
def test_a_module_imports_nothing_from_above_its_rank(file: str) -> None:
    assert violations(module_name(file), (ROOT / file).read_text()) == []


@pytest.mark.parametrize(
    ("module", "source", "finds"),
    [
        ("chat.conf", "import chat.models", "chat.models is of rank 1, above 0"),
        ("chat.access.lookup", "from chat.services import rooms", "chat.services.rooms is of rank 4, above 2"),
        (
            "chat.live.hub",
            "def f():\n    from chat.sockets.consumers import X",
            "chat.sockets.consumers.X is of rank 5, above 3",
        ),
        ("chat.api", "import project.settings", "chat never imports project.settings"),
        ("chat.client.core.room", "from django.db import models", "chat.client imports no Django"),
        ("chat.client.socket", "from chat.conf import conf", "chat.client imports no Django (chat.conf.conf)"),
        ("chat.models.rooms", "import tests.rig", "chat never imports tests.rig"),
        ("chat.attic", "import chat.wire", "chat.attic has no rank"),
        ("chat.models.rooms", "from .. import services", "a relative import"),
        ("chat.web.rooms", "from chat import api", "chat.api is another way in"),
        (
            "chat.admin.base",
            "from chat.web.script_texts import SENTENCES",
            "chat.web.script_texts.SENTENCES is another way in",
        ),
    ],
)
def test_a_forbidden_import_is_reported(module: str, source: str, finds: str) -> None:
    found = violations(module, source)
    assert len(found) == 1
    assert finds in found[0]


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("chat.services.messages", "from chat.access import lookup\nfrom chat.wire import errors"),
        ("chat.services.messages", "from chat.services import sequence"),
        ("chat.web.rooms", "from chat.web import timeline"),
        ("chat.client.socket", "from chat.client.core import Client\nimport websockets"),
        (
            "chat.models.rooms",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from chat.services import rooms",
        ),
    ],
)
def test_an_import_from_the_same_rank_or_below_is_allowed(module: str, source: str) -> None:
    assert violations(module, source) == []


def test_every_module_has_a_rank_and_every_rank_a_module() -> None:
    found = {path.stem for path in (ROOT / "chat").iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    assert {f"chat.{each}" for each in found - {"__init__", "__pycache__"}} == RANKS.keys()


def test_the_documented_table_of_ranks_matches_the_checked_one() -> None:
    rows = re.findall(r"^\| (\d) \| ([^|]+) \|", PAGE.read_text(), re.MULTILINE)
    assert rows, "the page has its table"
    told = {f"chat.{name}": int(rank) for rank, names in rows for name in re.findall(r"`(\w+)(?:/|\.py)`", names)}
    assert told == {module: rank for module, rank in RANKS.items() if module not in BESIDE}


@pytest.mark.parametrize("type_checking", [False, True], ids=["at run time", "for types"])
def test_no_modules_import_each_other_in_a_circle(type_checking: bool) -> None:
    sources = {module_name(file): (ROOT / file).read_text() for file in FILES}
    known = {
        module: {
            each
            for name in imports(ast.parse(source), types_too=type_checking)
            if (each := name if name in sources else name.rpartition(".")[0]) in sources and each != module
        }
        for module, source in sources.items()
    }
    assert circle_in(known) == []


def test_a_circle_is_found() -> None:
    assert circle_in({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": set()}) == ["b", "c", "b"]


def circle_in(known: dict[str, set[str]]) -> list[str]:
    """Return a circular chain of imports, which ends with the module that it began with, or [] if there is none."""
    done: set[str] = set()

    def walk(module: str, path: list[str]) -> list[str]:
        if module in path:
            return [*path[path.index(module) :], module]
        if module in done:
            return []
        for each in sorted(known[module]):
            if found := walk(each, [*path, module]):
                return found
        done.add(module)
        return []

    for module in sorted(known):
        if found := walk(module, []):
            assert all(after in known[before] for before, after in pairwise(found))
            return found
    return []


def module_name(file: str) -> str:
    return file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def violations(module: str, source: str) -> list[str]:
    """Return one sentence for each import that breaks a rule."""
    own = rank(module)
    if own is None:
        return [f"{module} has no rank: give it one in {Path(__file__).name}."]
    return [problem for name in imports(ast.parse(source)) if (problem := judge(module, own, name))]


def judge(module: str, own: int, name: str) -> str:
    top = name.partition(".")[0]
    package = ".".join(module.split(".")[:2])
    if top in ("", "project", "tests", "bench", "torture"):
        return f"{module}: chat never imports {name}" if top else f"{module}: a relative import"
    if package in WITHOUT_DJANGO and top in ("django", "channels"):
        return f"{module}: {package} imports no Django ({name})"
    if top != "chat":
        return ""
    if package in WITHOUT_DJANGO and not name.startswith(WITHOUT_DJANGO):
        return f"{module}: {package} imports no Django ({name})"
    other = rank(name)
    if other is None:
        return f"{module}: {name} has no rank"
    if own == other == APART and not name.startswith(OWNER) and not f"{name}.".startswith(f"{package}."):
        return f"{module}: {name} is another way in, which it should know nothing of"
    return f"{module}: {name} is of rank {other}, above {own}" if other > own else ""


def rank(module: str) -> int | None:
    if module == "chat":
        return 0
    return RANKS.get(".".join(module.split(".")[:2]))


def imports(tree: ast.AST, *, types_too: bool = False) -> list[str]:
    """Return the full names that a module imports, also in functions. ``types_too`` adds those under TYPE_CHECKING."""
    found: list[str] = []
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test) and not types_too:
            continue
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = "" if node.level else node.module or ""
            found += [f"{base}.{alias.name}" if base else "" for alias in node.names]
        else:
            found += imports(node, types_too=types_too)
    return found
