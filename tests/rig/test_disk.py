"""The disk that loses what was not flushed."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.rig.disk import SECTOR, Disk, NotPermitted

SECTORS = 64


@pytest.fixture
def disk() -> Iterator[Disk]:
    disk = Disk()
    try:
        disk.plug_in()
        yield disk
    except NotPermitted as error:
        pytest.skip(f"No file system can be mounted here: {error}")
    finally:
        disk.remove()


def flush(path: Path) -> None:
    opened = os.open(path, os.O_RDONLY)
    os.fsync(opened)
    os.close(opened)


def test_what_was_flushed_stays_and_the_rest_is_lost(disk: Disk) -> None:
    kept, nameless = disk.path / "kept", disk.path / "nameless"
    kept.write_bytes(b"flushed")
    flush(kept)
    flush(disk.path)
    with kept.open("ab") as more:
        more.write(b", not flushed")
    nameless.write_bytes(b"flushed in a directory that was not")
    flush(nameless)
    assert kept.read_bytes() == b"flushed, not flushed"
    assert sorted(each.name for each in disk.path.iterdir()) == ["kept", "nameless"]
    disk.cut_power()
    disk.plug_in()
    assert [(each.name, each.read_bytes()) for each in disk.path.iterdir()] == [("kept", b"flushed")]


def test_a_file_that_was_deleted_comes_back_unless_its_directory_was_flushed(disk: Disk) -> None:
    for name in ("back", "gone"):
        (disk.path / name).write_bytes(name.encode())
        flush(disk.path / name)
    flush(disk.path)
    (disk.path / "gone").unlink()
    flush(disk.path)
    (disk.path / "back").unlink()
    disk.cut_power()
    disk.plug_in()
    assert [(each.name, each.read_bytes()) for each in disk.path.iterdir()] == [("back", b"back")]


def test_a_disk_may_have_stored_some_of_what_nobody_flushed(disk: Disk) -> None:
    file = disk.path / "file"
    file.write_bytes(b"old" * SECTOR * SECTORS)
    flush(file)
    flush(disk.path)
    with file.open("r+b") as opened:
        opened.write(b"new" * SECTOR * SECTORS)
    disk.cut_power(keeps_half=True)
    disk.plug_in()
    stored = file.read_bytes()
    assert len(stored) == 3 * SECTOR * SECTORS
    is_new = [stored[at : at + 3] in (b"new", b"ewn", b"wne") for at in range(0, len(stored), SECTOR)]
    assert SECTORS < sum(is_new) < 2 * SECTORS
