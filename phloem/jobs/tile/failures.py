"""Failed attempts: their classes, their bearing on the next attempt, and the stop of a campaign that fails alike."""

from __future__ import annotations

import errno
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from phloem.endings import FREE, LOSSES, LOST_MACHINES, Ending
from phloem.errors import InputError
from phloem.hpc.tasks import Outcome
from phloem.io.campaign.attempts import Numbers, list_attempts, unforgiven_ends
from phloem.io.campaign.paths import CampaignPaths
from phloem.io.files.atomic import write_atomically
from phloem.jobs.config.engine import FailuresSection
from phloem.sharding.lanes.device_texts import device_failure

ALIKE_SHARE = 0.05
"""A campaign goes on while fewer of the tiles begun fail alike: among very many some poison is sure (docs/scale.md)."""

FILE_SYSTEM_ERRORS = frozenset(
    {errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.ENOTCONN, errno.EREMOTEIO, errno.ENODEV}
)
"""Errors of a file system that is away; none is the tile's fault, and most are over in minutes."""

CLASS_OF_ERROR = {
    "MemoryError": Ending.OUT_OF_MEMORY,
    "InputError": Ending.BAD_INPUT,
    "WorkerLost": Ending.WORKER_LOST,
    "NodeLost": Ending.NODE_LOST,
    "DeviceLost": Ending.DEVICE_LOST,
    "Hang": Ending.HANG,
}
"""What exceptions mean, by the name of their class; any other is a bug."""

ISOLATE_AFTER = {Ending.BUG: 1, Ending.HANG: 1, Ending.OUT_OF_MEMORY: 2, Ending.WORKER_LOST: 2}
"""So often a tile fails before its units are computed apart from each other, to find the one that does it."""

MENDS = {
    Ending.WORKER_LOST: "see the log of the worker and the memory of the machine, then phloem retry {root}",
    Ending.NODE_LOST: "see the host with your administrators (engine.exclude leaves it out), then phloem retry {root}",
    Ending.DEVICE_LOST: "see the GPU with your administrators (nvidia-smi -q; dmesg: Xid), then phloem retry {root}",
    Ending.OUT_OF_MEMORY: "fewer engine.workers or more memory a worker, then phloem retry {root}",
    Ending.FILE_SYSTEM: "see the file system with your administrators, then phloem retry {root}",
    Ending.HANG: "see the traceback and the file system, then phloem retry {root}",
    Ending.BUG: "report the traceback, then phloem retry {root}",
    Ending.BAD_INPUT: "put the input right, then phloem retry {root}",
}
"""The command that mends a class of failures."""


@dataclass(frozen=True)
class TileFailures:
    """The failed attempts of one tile since they were last forgiven.

    Attributes:
        classes: how often by class; losses since the last checkpoint only.
        message: of the last one.
        hosts: where its workers were lost.
        seconds: spent in all its ended attempts.
    """

    classes: Counter[Ending] = field(default_factory=Counter)
    message: str = ""
    hosts: tuple[str, ...] = ()
    seconds: float = 0.0

    def exhausted(self, budgets: FailuresSection) -> bool:
        """Tell whether the tile is to be left alone until `phloem retry`."""
        return any(count >= budgets.budget(name) for name, count in self.classes.items())

    @property
    def isolate(self) -> bool:
        """Whether the next attempt computes the units apart from each other."""
        return any(self.classes[name] >= count for name, count in ISOLATE_AFTER.items())

    @property
    def halvings(self) -> int:
        """How often the lanes in flight are to be halved."""
        return self.classes[Ending.OUT_OF_MEMORY]


def tile_failures(paths: CampaignPaths, tile: int, numbers: Numbers) -> TileFailures:
    """Return what is known of a tile's failed attempts."""
    classes: Counter[Ending] = Counter()
    message, hosts, seconds = "", [], 0.0
    for end in unforgiven_ends(paths, tile, numbers):
        seconds += float(end.get("seconds", 0.0))
        if end.get("saved"):
            for name in LOSSES:
                del classes[name]
        kind = _ending(end["class"])
        if kind == Ending.COMMITTED or kind in FREE:
            continue
        if kind in LOSSES:
            hosts.append(str(end.get("host", "")))
            if end.get("saved"):
                continue
        classes[kind] += 1
        message = str(end.get("message", ""))
    return TileFailures(classes, message, tuple(hosts), seconds)


def _ending(text: str) -> Ending:
    """Return how an attempt ended by the text in its file, which has no checksum: where bits flipped, it was lost."""
    try:
        return Ending(text)
    except ValueError:
        return Ending.WORKER_LOST


def classify(error: BaseException | Outcome) -> Ending:
    """Return the failure class of an exception, or of how an engine says that a task ended."""
    if isinstance(error, OSError) and error.errno in FILE_SYSTEM_ERRORS:
        return Ending.FILE_SYSTEM
    if isinstance(error, Outcome):
        name, text = error.error, error.message
    else:
        name, text = ("InputError" if isinstance(error, InputError) else type(error).__name__), str(error)
    if name in CLASS_OF_ERROR:
        return CLASS_OF_ERROR[name]
    return device_failure(text) or Ending.BUG


def tells_of_tile(kind: Ending, saved: bool) -> bool:
    """Tell whether a failure may be the tile's own: no machine's loss is, nor one after a checkpoint."""
    return kind not in LOST_MACHINES and not (kind in LOSSES and saved)


def signature(kind: Ending, message: str) -> str:
    """Return what two failures alike have in common: class and first line, numbers and names in quotes left out."""
    first = message.strip().splitlines()[0] if message.strip() else ""
    return f"{kind}: " + re.sub(r"'[^']*'|\"[^\"]*\"|\d+", "#", first)[:120]


def keep_traceback(paths: CampaignPaths, tile: int, kind: Ending, message: str, trace: str) -> None:
    """Keep the traceback of a tile's failed attempt, in place of that of the one before."""
    text = f"{signature(kind, message)}\n{message}\n\n{trace}"
    write_atomically(paths.traceback(tile), text.encode(errors="replace"))


def forget_tracebacks(paths: CampaignPaths) -> None:
    """Remove the tracebacks of all tiles, also of those whose losses count no more: none fails alike then."""
    for path in paths.failures_dir.glob("tile_*.txt"):
        path.unlink(missing_ok=True)


def failing_alike(paths: CampaignPaths) -> tuple[str, int]:
    """Return the commonest signature among the failed tiles, and how many tiles have it."""
    counts: Counter[str] = Counter()
    for path in paths.failures_dir.glob("tile_*.txt"):
        try:
            counts[path.read_text(errors="replace").partition("\n")[0]] += 1
        except OSError:
            continue
    return counts.most_common(1)[0] if counts else ("", 0)


def stop_if_alike(paths: CampaignPaths, budgets: FailuresSection, done: int) -> str:
    """Stop the campaign where too many tiles failed alike (see `FailuresSection`); return why, or nothing."""
    alike, count = failing_alike(paths)
    if count < budgets.max_failures or count <= done:
        return ""
    if count <= ALIKE_SHARE * max(len(list_attempts(paths)), done):
        return ""
    why = f"{count} tiles failed alike ({alike})"
    write_atomically(paths.stop, why.encode())
    return why


def stopped(paths: CampaignPaths) -> str:
    """Return why the campaign was stopped, empty where it was not."""
    try:
        return paths.stop.read_text()
    except FileNotFoundError:
        return ""


def describe_classes(classes: Mapping[Ending, int]) -> str:
    """Return counts for people: bug 2x, hang 1x."""
    return ", ".join(f"{name} {count}x" for name, count in classes.items())
