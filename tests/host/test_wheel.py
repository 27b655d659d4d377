"""The wheel: what it contains and what it requires."""

import re
from email.message import Message
from email.parser import Parser
from pathlib import Path
from zipfile import ZipFile

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from tests.host.conftest import ROOT

LEFT_OUT = ("__pycache__",)


def test_the_wheel_contains_the_whole_app_and_nothing_else(wheel: Path) -> None:
    packed = {name for name in ZipFile(wheel).namelist() if ".dist-info/" not in name}
    tree = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "chat").rglob("*")
        if path.is_file() and not any(part in LEFT_OUT for part in path.parts)
    }
    assert packed == tree
    assert {Path(name).suffix for name in packed} >= {".py", ".html", ".js", ".css", ".svg", ".mo"}, "the premise"


def test_a_sites_type_checker_uses_the_apps_annotations(wheel: Path) -> None:
    assert "chat/py.typed" in ZipFile(wheel).namelist()


def test_the_wheel_names_its_licence_and_its_extras(wheel: Path) -> None:
    assert any(name.endswith("LICENSE") for name in ZipFile(wheel).namelist())
    assert set(metadata(wheel).get_all("Provides-Extra", [])) == {"server", "redis", "postgresql", "client"}


@pytest.mark.parametrize("version", ["5.2.17", "5.2.19", "6.0", "6.0.10", "6.1", "6.1.3"])
def test_the_wheel_accepts_every_supported_django(wheel: Path, version: str) -> None:
    assert version in asked(wheel)["django"]
    assert f"Framework :: Django :: {version[:3]}" in metadata(wheel).get_all("Classifier", [])


@pytest.mark.parametrize("version", ["5.2.16", "6.2"])
def test_the_wheel_refuses_a_django_that_is_not_supported(wheel: Path, version: str) -> None:
    assert version not in asked(wheel)["django"]


def test_the_redis_extra_accepts_any_version_of_redis_py(wheel: Path) -> None:
    wanted = asked(wheel, "redis")
    assert "channels-redis" in wanted
    assert wanted.get("redis", SpecifierSet()) == SpecifierSet()


@pytest.mark.parametrize(("python", "django"), [("3.11", 5), ("3.12", 6), ("3.13", 6)])
def test_the_pins_are_in_the_wheels_ranges_with_the_newest_django_for_each_python(
    wheel: Path, python: str, django: int
) -> None:
    lines = re.findall(r"^([\w.-]+==[^\\\n]+)", (ROOT / "requirements.txt").read_text(), re.MULTILINE)
    pins = [Requirement(line.strip()) for line in lines]
    of = {"python_version": python, "python_full_version": f"{python}.9"}
    here = [pin for pin in pins if pin.marker is None or pin.marker.evaluate(of)]
    versions = {canonicalize_name(pin.name): str(pin.specifier).removeprefix("==") for pin in here}
    assert len(versions) == len(here), "each once"
    for name, specifier in (asked(wheel) | asked(wheel, "redis") | asked(wheel, "postgresql")).items():
        assert versions[name] in specifier, name
    assert versions["django"].startswith(f"{django}.")


def metadata(wheel: Path) -> Message:
    files = ZipFile(wheel)
    return Parser().parsestr(
        next(files.read(name).decode() for name in files.namelist() if name.endswith(".dist-info/METADATA"))
    )


def asked(wheel: Path, extra: str = "") -> dict[str, SpecifierSet]:
    """Return the requirements of the wheel, or those that an extra adds."""
    every = [Requirement(line) for line in metadata(wheel).get_all("Requires-Dist", [])]
    wanted = [each for each in every if (each.marker.evaluate({"extra": extra}) if each.marker else not extra)]
    return {canonicalize_name(each.name): each.specifier for each in wanted}
