"""What a folder's file system can do of what the files of a campaign rest on: tried, not looked up by its name."""

from __future__ import annotations

import errno
import fcntl
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

MOUNTS = Path("/proc/self/mounts")

NETWORK = frozenset(
    {"nfs", "nfs4", "lustre", "gpfs", "beegfs", "cifs", "smb3", "ceph", "glusterfs", "fuse.glusterfs", "fuse.sshfs",
     "afs", "panfs", "orangefs", "pvfs2", "wekafs", "dvs", "9p", "fuse.ceph", "virtiofs", "fuse.juicefs"}
)  # fmt: skip
"""Types of file systems that other machines see too."""

MEMORY = frozenset({"tmpfs", "ramfs"})
"""Types of file systems whose content is gone when the machine is switched off."""

_WHOLE = 1_000_000_000
_GRAINS = (1, 100, 1_000, 1_000_000, 10_000_000)
"""Units in ns in which file systems keep the fractions of a second."""


@dataclass(frozen=True)
class Mount:
    """Where a folder's file system hangs.

    Attributes:
        kind: type, such as ext4 or nfs4.
        source: device, or server and path.
        point: folder on which it is mounted.
        read_only: whether it is mounted so.
    """

    kind: str
    source: str
    point: str
    read_only: bool

    @property
    def is_network(self) -> bool:
        """Whether other machines see it too, as far as its type tells."""
        return self.kind in NETWORK

    @property
    def is_memory(self) -> bool:
        """Whether it lies in the memory of this machine."""
        return self.kind in MEMORY


@dataclass(frozen=True)
class Fault:
    """Why a trait is absent.

    Attributes:
        text: what was said.
        code: errno, 0 where nothing was refused that should have been, or something else happened than was asked for.
    """

    text: str
    code: int = 0


@dataclass(frozen=True)
class Traits:
    """What a file system did when it was asked to.

    Attributes:
        exclusive_creation: a file that is to be new is refused where one is (claims of tiles).
        hard_links: a file gets a second name, and only where there is none (commits of tiles).
        renames: a name passes from one file to another at once (all other writes).
        syncs: files and folders can be made durable.
        locks: a lock of one open file keeps another away (an ingest's folder).
        grain: seconds by which times of change differ at least.
        ahead: seconds by which its clock is ahead of this machine's.
        faults: what failed, by the name of the trait.
    """

    exclusive_creation: bool
    hard_links: bool
    renames: bool
    syncs: bool
    locks: bool
    grain: float
    ahead: float
    faults: dict[str, Fault]


def mount_of(folder: Path, table: Path = MOUNTS) -> Mount | None:
    """Return the mount that a folder lies on; None where the system does not tell.

    Args:
        folder: that exists.
        table: in the form of /proc/mounts; of several mounts on one point the last counts.
    """
    try:
        lines = table.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return None
    place = folder.resolve()
    best: Mount | None = None
    for fields in (line.split(" ") for line in lines):
        if len(fields) < 4:
            continue
        point = _unescaped(fields[1])
        if place.is_relative_to(point) and (best is None or len(point) >= len(best.point)):
            best = Mount(fields[2], _unescaped(fields[0]), point, "ro" in fields[3].split(","))
    return best


def _unescaped(text: str) -> str:
    for octal, plain in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        text = text.replace(octal, plain)
    return text


def try_folder(folder: Path) -> Traits:
    """Try what campaigns need in a folder, in a folder of its own inside, which is removed.

    Raises:
        OSError: nothing can be written there at all.
    """
    faults: dict[str, Fault] = {}

    def does(name: str, trial: Callable[[Path], None], inside: Path) -> bool:
        try:
            trial(inside)
        except OSError as error:
            faults[name] = Fault(error.strerror or str(error), error.errno or 0)
        except _WrongError as error:
            faults[name] = Fault(str(error))
        return name not in faults

    with tempfile.TemporaryDirectory(prefix=".phloem-doctor-", dir=folder) as made:
        inside = Path(made)
        (inside / "first").write_bytes(b"first")
        before = time.time()
        (inside / "stamp").touch()
        ahead = (inside / "stamp").stat().st_mtime - before
        return Traits(
            exclusive_creation=does("exclusive_creation", _create_exclusively, inside),
            hard_links=does("hard_links", _link, inside),
            renames=does("renames", _rename, inside),
            syncs=does("syncs", _sync, inside),
            locks=does("locks", _lock, inside),
            grain=_grain(inside / "stamp"),
            ahead=ahead,
            faults=faults,
        )


class _WrongError(Exception):
    """Something was not refused, or did not do what it said."""


def _create_exclusively(inside: Path) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    os.close(os.open(inside / "claim", flags, 0o666))
    try:
        os.close(os.open(inside / "claim", flags, 0o666))
    except FileExistsError:
        return
    raise _WrongError("a second exclusive creation was not refused")


def _link(inside: Path) -> None:
    os.link(inside / "first", inside / "second")
    if not os.path.samefile(inside / "first", inside / "second"):
        raise _WrongError("a link made a copy")
    try:
        os.link(inside / "first", inside / "second")
    except FileExistsError:
        return
    raise _WrongError("a link over another file was not refused")


def _rename(inside: Path) -> None:
    (inside / "old").write_bytes(b"old")
    (inside / "new").write_bytes(b"new")
    with (inside / "old").open("rb") as reader:
        os.replace(inside / "new", inside / "old")
        if reader.read() != b"old":
            raise _WrongError("a rename changed a file that was being read")
    if (inside / "old").read_bytes() != b"new" or (inside / "new").exists():
        raise _WrongError("a rename did not take the other file's place")


def _sync(inside: Path) -> None:
    for path, flags in ((inside / "first", os.O_WRONLY), (inside, os.O_RDONLY)):
        descriptor = os.open(path, flags)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _lock(inside: Path) -> None:
    with (inside / "first").open("rb") as one, (inside / "first").open("rb") as two:
        fcntl.flock(one, fcntl.LOCK_EX | fcntl.LOCK_NB)
        try:
            fcntl.flock(two, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
                return
            raise
    raise _WrongError("a second lock was not refused")


def _grain(path: Path) -> float:
    """Seconds that the times of a file are multiples of: the coarsest unit that keeps a given time."""
    given = (1_700_000_001 * _WHOLE) + 123_456_789
    os.utime(path, ns=(given, given))
    kept = path.stat().st_mtime_ns
    if kept % _WHOLE == 0:
        return 1.0 if kept // _WHOLE % 2 else 2.0
    return max(grain for grain in _GRAINS if kept % grain == 0) / _WHOLE
