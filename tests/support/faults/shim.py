"""Processes whose file-system calls are counted and broken: builds `shim.c`, says what to break, reads its log."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent

KINDS = (
    *("look", "open", "create", "read", "write", "sync", "close"),
    *("release", "folder", "rename", "link", "unlink", "mkdir", "truncate"),
)
"""Kinds of calls as in shim.c. look: open for reading; open: for writing; create: with O_CREAT; close and release: of
what was open for writing and for reading; sync and folder: fsync of a file and of a folder."""

CHANGES = tuple(kind for kind in KINDS if kind != "read")
"""All that is counted where processes are killed: a kill at a read is a kill at the call beside it."""

GROWTH = ("create", "write", "sync", "close", "rename", "link", "mkdir", "truncate")
"""What can fail on a full disk or an exhausted quota; `close` and `sync` where space is promised before it is found."""

NAMING = ("open", "create", "rename", "link", "unlink", "mkdir")
"""What a folder can refuse that must not be written to."""


@dataclass(frozen=True)
class Fault:
    """What is to happen to a process; see shim.c.

    Attributes:
        mode: none, before, after, half, fail, short or delay.
        first: number of the first broken call, from 1.
        last: number of the last one.
        code: errno of failing calls.
        broken: kinds of calls that are broken.
        counted: kinds of calls that are counted.
        low, high: delay in milliseconds.
    """

    mode: str = "none"
    first: int = 1
    last: int = 0
    code: int = 0
    broken: tuple[str, ...] = KINDS
    counted: tuple[str, ...] = CHANGES
    low: int = 0
    high: int = 0

    def environment(self, root: Path, log: Path) -> dict[str, str]:
        """Return the variables that the shim reads."""
        numbers = {
            "SHIM_FIRST": self.first,
            "SHIM_LAST": self.last or self.first,
            "SHIM_CODE": self.code,
            "SHIM_BROKEN": sum(1 << KINDS.index(kind) for kind in self.broken),
            "SHIM_COUNTED": sum(1 << KINDS.index(kind) for kind in self.counted),
            "SHIM_LOW": self.low,
            "SHIM_HIGH": self.high,
        }
        texts = {name: str(value) for name, value in numbers.items()}
        return texts | {"SHIM_ROOT": str(root), "SHIM_LOG": str(log), "SHIM_MODE": self.mode}


FOREVER = 1 << 40
"""As the last call of a fault: it never ends by itself."""


@dataclass(frozen=True)
class Call:
    """One call that the shim saw, or one that it broke."""

    pid: int
    number: int
    kind: str
    path: str

    def __str__(self) -> str:
        return f"call {self.number} ({self.kind} {self.path})"


@dataclass(frozen=True)
class Outcome:
    """How a case ended.

    Attributes:
        signal: that killed it, or 0.
        error: class of what was raised, or "" where the operation was completed.
        message: its text.
        value: what the operation returned.
        waits: how often it was told that the disk is full.
        calls: all calls counted, of all processes, in their order.
        faults: those that were broken.
    """

    signal: int
    error: str
    message: str
    value: Any
    waits: int
    calls: tuple[Call, ...]
    faults: tuple[Call, ...]


def read_log(log: Path) -> tuple[tuple[Call, ...], tuple[Call, ...]]:
    """Return the calls and the faults that the shim wrote down."""
    calls: list[Call] = []
    faults: list[Call] = []
    for line in log.read_text().splitlines() if log.exists() else []:
        pid, *words = line.split(" ")
        seen = calls
        if words[0] == "fault":
            seen, words = faults, words[2:]
        seen.append(Call(int(pid), int(words[0]), words[1], " ".join(words[2:])))
    return tuple(calls), tuple(faults)


def build(folder: Path, text: Path = HERE / "shim.c") -> Path | None:
    """Compile the shim, or another one, into a folder; None where this machine has no C compiler."""
    compiler = next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))), None)
    if compiler is None or not sys.platform.startswith("linux"):
        return None
    library = folder / "shim.so"
    command = [compiler, "-O1", "-U_FORTIFY_SOURCE", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC"]
    subprocess.run([*command, "-o", str(library), str(text)], check=True)
    return library


class Driver:
    """A process that has imported everything and forks a child, under the shim, for each case."""

    def __init__(self, library: Path, folder: Path) -> None:
        self.folder = folder
        environment = {**os.environ, "LD_PRELOAD": str(library), "OPENBLAS_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.faults.driver", str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            text=True,
        )
        assert self._answer() == "ready"

    def _answer(self) -> Any:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, "the driver died"
        return json.loads(line)

    def run(self, operation: str, root: Path, fault: Fault = Fault(), frees: int = 0) -> Outcome:
        """Run an operation of `operations.py` on a campaign, in a child with a fault.

        Args:
            operation: its name.
            root: the campaign.
            fault: what to break.
            frees: how often it is told that the disk is full until there is room; 0: it is not told but fails.
        """
        return self.run_together([operation], root, fault, frees)[0]

    def run_together(self, operations: list[str], root: Path, fault: Fault, frees: int = 0) -> list[Outcome]:
        """Run several operations at once, each in its own child; `calls` and `faults` are then of all of them."""
        assert self.process.stdin is not None
        log = self.folder / "log"
        log.unlink(missing_ok=True)
        variables = fault.environment(root, log)
        cases = [{"operation": name, "root": str(root), "variables": variables, "frees": frees} for name in operations]
        self.process.stdin.write(json.dumps(cases) + "\n")
        self.process.stdin.flush()
        answers = self._answer()
        calls, faults = read_log(log)
        return [Outcome(calls=calls, faults=faults, **answer) for answer in answers]

    def close(self) -> None:
        """End the process."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        assert self.process.wait(60) == 0
