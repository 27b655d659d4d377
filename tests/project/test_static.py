"""Hashed static files: a page's modules refer to each other by their hashed names."""

import gzip
import re
from pathlib import Path

import pytest
from django.core.files.base import ContentFile

from project.static import HashedStatic
from tests.rig.site import ROOT
from tests.rig.templates import Templates

IMPORT = re.compile(r"""(?:^\s*(?:import|export)\s[^'"`;()]*?|\bimport\()["'](\.[^"']+)["']""", re.MULTILINE)
HASHED = re.compile(r"\.[0-9a-f]{8}\.js$")


def collected(folder: Path, **files: str) -> HashedStatic:
    storage = HashedStatic(location=folder, base_url="/static/")
    for name, text in files.items():
        storage.save(f"{name}.js", ContentFile(text.encode()))
    for name, _, processed in storage.post_process({f"{name}.js": (storage, f"{name}.js") for name in files}):
        assert not isinstance(processed, Exception), (name, processed)
    return storage


def hashed(storage: HashedStatic, name: str) -> str:
    return Path(storage.path(storage.stored_name(f"{name}.js"))).read_text()


@pytest.mark.parametrize(
    "line",
    [
        'import { b } from "./b.js"',
        "import { b } from './b.js';",
        'import b, {\n  c,\n  d\n} from "./b.js"',
        'import * as b from "./b.js"',
        'import "./b.js"',
        'export { b } from "./b.js"',
        'export * from "./b.js"',
        'import{b}from"./b.js"',
        'import*as b from"./b.js"',
        'const b = await import("./b.js")',
    ],
)
def test_each_form_of_import_is_rewritten(tmp_path: Path, line: str) -> None:
    storage = collected(tmp_path, a=f'// one\n{line}\nconst x = "./b.js"\n', b="export const b = 1\n")
    text = hashed(storage, "a")
    assert re.search(r'"\./b\.[0-9a-f]{8}\.js"', text), text
    assert 'const x = "./b.js"' in text


def test_a_change_in_one_module_renames_all_modules_that_depend_on_it(tmp_path: Path) -> None:
    chain = {f"m{n}": f'import "./m{n + 1}.js"\n' for n in range(9)}
    before = collected(tmp_path / "before", **chain, m9="export const x = 1\n")
    after = collected(tmp_path / "after", **chain, m9="export const x = 2\n")
    assert before.stored_name("m0.js") != after.stored_name("m0.js")


def test_no_module_of_ours_refers_to_an_unhashed_one(templates: Templates) -> None:
    modules = [path for path in (templates.static_root() / "chat").rglob("*.js") if HASHED.search(path.name)]
    assert modules
    for module in modules:
        for target in IMPORT.findall(module.read_text()):
            assert HASHED.search(target), f"{module.name} imports {target}"
            assert (module.parent / target).exists()


def test_all_scripts_of_the_chat_are_at_most_58_kilobytes_on_the_wire(templates: Templates) -> None:
    modules = [path for path in (templates.static_root() / "chat").rglob("*.js") if HASHED.search(path.name)]
    assert len(modules) > 20
    assert sum(len(gzip.compress(module.read_bytes(), 9)) for module in modules) <= 58 * 1024


def test_our_scripts_are_served_without_comments_and_spaces_but_mean_the_same(tmp_path: Path) -> None:
    storage = HashedStatic(location=tmp_path, base_url="/static/")
    source = """// why
const a = `x // ${1} z` // so,

/**
 * doc
 */
class B {
  #c
  /** d */
  #d = [
    1,
  ]
}
const e = (f) => ({ g: "h = i , j", k: f ? 'l : m' : `${ f } = n` })
let w = x - -y + +z - 1 !== !a
const o = /p = q/.test("r = s") && [
  t / u, v,
]
"""
    served = """const a = `x // ${1} z` // so,
class B{#c
#d=[1,]}
const e=(f)=>({g:"h = i , j",k:f?'l : m':`${ f } = n`})
let w=x - -y + +z-1!==!a
const o = /p = q/.test("r = s") && [
t / u, v,
]
"""
    storage.save("chat/js/a.js", ContentFile(source.encode()))
    text = Path(storage.path("chat/js/a.js")).read_text()
    assert text == served


def test_no_module_of_ours_has_a_multi_line_string_that_removing_comments_could_damage() -> None:
    modules = list((ROOT / "chat/static").rglob("*.js"))
    assert modules
    for module in modules:
        for line in module.read_text().splitlines():
            assert line.count("`") % 2 == 0, f"{module.name}: {line}"
