"""A disk that loses at a power cut what nobody has flushed, as a file system of one folder (FUSE).

    disk = Disk()
    disk.plug_in()
    (disk.path / "a.txt").write_text("…")
    disk.cut_power()
    disk.plug_in()  # a.txt is empty, or gone

Everything written is kept in the memory of a process of its own. An fsync of a file puts its bytes into the folder that
stands for the platter, an fsync of the directory its names. So a power cut is the end of that process. It speaks the
kernel's protocol itself (<linux/fuse.h>): it takes no library, only root.
"""

import errno
import os
import random
import shutil
import signal
import stat
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from types import FrameType

from tests.rig import leash

SECTOR = 512
"""What a disk writes as a whole, in bytes."""
MAX_WRITE = 128 * 1024
FOR_EVER_S = 3600  # the kernel may keep names and attributes: nobody changes them behind its back
ROOT_ID = 1
HEADER, REPLY, ATTRIBUTES = struct.Struct("<IIQQIIIHH"), struct.Struct("<IiQ"), struct.Struct("<6Q10I")
PENDING = ".pending-"


class NotPermitted(Exception):
    """This machine does not let us mount a file system."""


class Disk:
    """What is flushed lies in ``platter``; programs see the disk at ``path`` while it is plugged in."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="hearth-disk-"))
        self.platter = self._folder / "platter"
        self.path = self._folder / "disk"
        self.platter.mkdir()
        self.path.mkdir()
        self._process: subprocess.Popen[bytes] | None = None

    def plug_in(self) -> None:
        """Mount it.

        Raises:
            NotPermitted: There is no FUSE here, or it is not ours to use.
        """
        try:
            channel = os.open("/dev/fuse", os.O_RDWR)
        except OSError as error:
            raise NotPermitted(str(error)) from None
        try:
            options = f"fd={channel},rootmode=40000,user_id={os.getuid()},group_id={os.getgid()}"
            mount = ["mount", "-i", "-t", "fuse", "-o", options, "hearth", str(self.path)]
            mounted = subprocess.run(mount, pass_fds=[channel], capture_output=True, text=True)
            if mounted.returncode:
                raise NotPermitted(mounted.stderr.strip())
            command = [sys.executable, "-m", "tests.rig.disk", str(channel), str(self.platter)]
            self._process = subprocess.Popen(command, pass_fds=[channel], cwd=Path(__file__).parents[2])
            leash.hold(self._process.pid)
        finally:
            os.close(channel)

    def cut_power(self, *, keeps_half: bool = False) -> None:
        """End it at once. What was not flushed is lost: all of it, or about every second sector."""
        assert self._process
        self._process.send_signal(signal.SIGTERM if keeps_half else signal.SIGKILL)
        self._process.wait(timeout=10)
        self._process = None
        subprocess.run(["umount", "--lazy", str(self.path)], check=True)

    def remove(self) -> None:
        if self._process:
            self.cut_power()
        shutil.rmtree(self._folder)


@contextmanager
def small_disk(megabytes: int) -> Iterator[Path]:
    """A folder in memory with so much room; ``fill`` takes all that is left.

    Raises:
        NotPermitted: It can't be mounted.
    """
    folder = Path(tempfile.mkdtemp(prefix="hearth-disk-"))
    options = f"size={megabytes}m,mode=0755"
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "hearth", str(folder)], capture_output=True, text=True
    )
    try:
        if mounted.returncode:
            raise NotPermitted(mounted.stderr.strip())
        yield folder
    finally:
        if not mounted.returncode:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)
        folder.rmdir()


@contextmanager
def filled(disk: Path) -> Iterator[None]:
    """No room is left there until the block ends."""
    filling = disk / "filling"
    with filling.open("wb", buffering=0) as file, suppress(OSError):
        while file.write(bytes(64 * 1024)):
            pass
    yield
    filling.unlink()


class _File:
    def __init__(self, stored_at: Path):
        self.stored_at = stored_at
        """Under its name, or under one of its own until the directory is flushed."""
        self.data = bytearray(stored_at.read_bytes())
        self.unflushed: set[int] = set()
        """Numbers of sectors."""
        self.mode = stat.S_IFREG | 0o600
        self.changed_at = int(time.time())

    def write(self, offset: int, data: bytes) -> None:
        if offset > len(self.data):
            self.resize(offset)
        self.data[offset : offset + len(data)] = data
        self._touch(offset, offset + len(data))

    def resize(self, size: int) -> None:
        before = len(self.data)
        self.data[size:] = bytes(max(0, size - before))
        self._touch(min(size, before), max(size, before))

    def _touch(self, start: int, end: int) -> None:
        self.unflushed.update(range(start // SECTOR, -(-end // SECTOR)))
        self.changed_at = int(time.time())

    def flush(self, sectors: set[int] | None = None) -> None:
        """Store the sectors, or all that are not stored yet."""
        with self.stored_at.open("r+b") as file:
            for sector in sorted(self.unflushed if sectors is None else sectors):
                file.seek(sector * SECTOR)
                file.write(self.data[sector * SECTOR : (sector + 1) * SECTOR])
            file.truncate(len(self.data))
        self.unflushed.clear()


class _FileSystem:
    """Answers the kernel. Handlers take the id of a node and the rest of the request, and return the reply's body."""

    def __init__(self, channel: int, platter: Path):
        self._channel = channel
        self._platter = platter
        self._ids = count(ROOT_ID + 1)
        self._files: dict[int, _File] = {}
        self._names: dict[str, int] = {}
        for path in platter.iterdir():
            if path.name.startswith(PENDING):
                path.unlink()  # no name led to it when the power went
            else:
                node = self._names[path.name] = next(self._ids)
                self._files[node] = _File(path)
        self._handlers: dict[int, Callable[[int, bytes], bytes]] = {
            1: self._lookup,
            3: lambda node, _: struct.pack("<Q2I", FOR_EVER_S, 0, 0) + self._attributes(node),
            4: self._set_attributes,
            10: self._unlink,
            14: lambda _node, _body: struct.pack("<Q2I", 0, 0, 0),  # open
            15: self._read,
            16: self._write,
            17: lambda _node, _body: struct.pack(
                "<5Q10I", 10**6, 10**6, 10**6, 10**6, 10**6, 4096, 255, 4096, *[0] * 7
            ),
            18: lambda _node, _body: b"",  # release
            20: self._flush,
            26: self._begin,
            27: lambda _node, _body: struct.pack("<Q2I", 0, 0, 0),  # open the directory
            28: self._list,
            29: lambda _node, _body: b"",  # release the directory
            30: self._flush_names,
            35: self._create,
        }
        self._unanswered = (2, 36, 42)  # forget, interrupt, forget many

    def serve(self) -> None:
        while True:
            try:
                request = os.read(self._channel, MAX_WRITE + 4096)
            except OSError as error:
                if error.errno in (errno.EINTR, errno.ENOENT):  # ENOENT: the request was interrupted
                    continue
                return  # ENODEV: it was unmounted
            _length, operation, number, node, *_ = HEADER.unpack_from(request)
            if operation in self._unanswered:
                continue
            try:
                handler = self._handlers.get(operation)
                reply, code = (handler(node, request[HEADER.size :]), 0) if handler else (b"", errno.ENOSYS)
            except OSError as error:
                reply, code = b"", error.errno or errno.EIO
            os.write(self._channel, REPLY.pack(REPLY.size + len(reply), -code, number) + reply)

    def keep_half(self) -> None:
        """Store about half of what nobody has flushed, as a disk may have done by itself."""
        chance = random.Random(1)
        for name, node in self._names.items():
            file = self._files[node]
            file.flush({each for each in sorted(file.unflushed) if chance.random() < 0.5})
            if file.stored_at.name != name and chance.random() < 0.5:
                file.stored_at.rename(self._platter / name)

    def _begin(self, _node: int, _body: bytes) -> bytes:
        big_writes = 1 << 5
        return struct.pack("<4I2H2I2HI7I", 7, 31, MAX_WRITE, big_writes, 16, 12, MAX_WRITE, 1, 32, 0, *[0] * 8)

    def _lookup(self, _node: int, body: bytes) -> bytes:
        return self._entry(self._named(body))

    def _named(self, name: bytes) -> int:
        if (node := self._names.get(_text(name))) is None:
            raise OSError(errno.ENOENT, "")
        return node

    def _entry(self, node: int) -> bytes:
        return struct.pack("<4Q2I", node, 0, FOR_EVER_S, FOR_EVER_S, 0, 0) + self._attributes(node)

    def _attributes(self, node: int) -> bytes:
        file = self._files.get(node)
        size, at, mode = (len(file.data), file.changed_at, file.mode) if file else (0, 0, stat.S_IFDIR | 0o700)
        times, owner = (at, at, at, 0, 0, 0), (os.getuid(), os.getgid())
        return ATTRIBUTES.pack(node, size, -(-size // 512), *times, mode, 1, *owner, 0, 4096, 0)

    def _set_attributes(self, node: int, body: bytes) -> bytes:
        valid, _padding, _handle, size = struct.unpack_from("<IIQQ", body)
        has_mode, has_size = 1, 8
        if valid & has_size:
            self._files[node].resize(size)
        if valid & has_mode and node in self._files:
            (mode,) = struct.unpack_from("<I", body, 68)
            self._files[node].mode = stat.S_IFREG | stat.S_IMODE(mode)
        return struct.pack("<Q2I", FOR_EVER_S, 0, 0) + self._attributes(node)

    def _create(self, _node: int, body: bytes) -> bytes:
        node = next(self._ids)
        self._nameless(node).touch()
        self._names[_text(body[16:])] = node
        self._files[node] = _File(self._nameless(node))
        return self._entry(node) + struct.pack("<Q2I", 0, 0, 0)

    def _unlink(self, _node: int, body: bytes) -> bytes:
        self._named(body)
        del self._names[_text(body)]  # the file itself stays for those who have it open
        return b""

    def _read(self, node: int, body: bytes) -> bytes:
        _handle, offset, size = struct.unpack_from("<QQI", body)
        return bytes(self._files[node].data[offset : offset + size])

    def _write(self, node: int, body: bytes) -> bytes:
        _handle, offset, size = struct.unpack_from("<QQI", body)
        self._files[node].write(offset, body[40 : 40 + size])
        return struct.pack("<2I", size, 0)

    def _flush(self, node: int, _body: bytes) -> bytes:
        self._files[node].flush()
        return b""

    def _flush_names(self, _node: int, _body: bytes) -> bytes:
        named = set(self._names.values())
        for node, file in self._files.items():
            if node not in named and not file.stored_at.name.startswith(PENDING):
                file.stored_at = file.stored_at.rename(self._nameless(node))
        for name, node in self._names.items():
            file = self._files[node]
            file.stored_at = file.stored_at.rename(self._platter / name)
        return b""

    def _nameless(self, node: int) -> Path:
        return self._platter / f"{PENDING}{node}"

    def _list(self, _node: int, body: bytes) -> bytes:
        _handle, offset, size = struct.unpack_from("<QQI", body)
        listed = b""
        for place, (name, node) in enumerate(list(self._names.items())[offset:], offset + 1):
            encoded = os.fsencode(name)
            entry = struct.pack("<QQII", node, place, len(encoded), stat.S_IFREG >> 12) + encoded
            entry += bytes(-len(entry) % 8)
            if len(listed) + len(entry) > size:
                break
            listed += entry
        return listed


def _text(name: bytes) -> str:
    return os.fsdecode(name.partition(b"\0")[0])


def main(channel: int, platter: Path) -> None:
    system = _FileSystem(channel, platter)

    def end(_signal: int, _frame: FrameType | None) -> None:
        system.keep_half()
        os._exit(0)

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the tests, which unmount first
    system.serve()


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
