"""What ``pip install`` brings."""

from pathlib import Path
from zipfile import ZipFile

from tests.host.conftest import ROOT

LEFT_OUT = ("__pycache__",)


def test_the_wheel_holds_the_app_whole_and_nothing_else(wheel: Path) -> None:
    packed = {name for name in ZipFile(wheel).namelist() if ".dist-info/" not in name}
    tree = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "chat").rglob("*")
        if path.is_file() and not any(part in LEFT_OUT for part in path.parts)
    }
    assert packed == tree
    assert {Path(name).suffix for name in packed} >= {".py", ".html", ".js", ".css", ".svg", ".mo"}, "the premise"


def test_the_wheel_names_its_licence_and_its_extras(wheel: Path) -> None:
    files = ZipFile(wheel)
    metadata = next(files.read(name).decode() for name in files.namelist() if name.endswith(".dist-info/METADATA"))
    assert any(name.endswith("LICENSE") for name in files.namelist())
    for extra in ("server", "redis", "postgresql", "client"):
        assert f"Provides-Extra: {extra}" in metadata
