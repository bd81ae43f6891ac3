"""Kills that are counted: their victims were alive, and every attempt that came to nothing is one kill's doing.

ledger = Ledger(root)
with ledger.watching():
    ledger.kill("worker", [pid])
    ...
ledger.settle()                      # after the end: fails where a tile was computed more often than kills explain
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import netCDF4

from tests.support.campaigns.campaigns import read_events, wait_for
from tests.support.processes import alive, state_of

SECONDS_A_LOOK = 0.05
HELPERS = ("resource_tracker", "warm_interpreter")


def descendants(root: int) -> dict[int, str]:
    """Return the living processes below one, with their command lines, but for helpers of Python and of the tests."""
    parents, lines = {}, {}
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            state, parent = (entry / "stat").read_text().rpartition(")")[2].split()[:2]
            if state not in "ZX":
                parents[int(entry.name)] = int(parent)
                lines[int(entry.name)] = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
    below = {root}
    while more := {pid for pid, parent in parents.items() if parent in below} - below:
        below |= more
    found = {pid: lines[pid] for pid in below - {root} if pid in lines}
    return {pid: line for pid, line in found.items() if not any(helper in line for helper in HELPERS)}


def freeze(pid: int) -> bool:
    """Stop a process where it is; tell whether it was alive. Only SIGKILL and SIGCONT reach it now."""
    try:
        os.kill(pid, signal.SIGSTOP)
    except ProcessLookupError:
        return False
    return bool(wait_for("a stopped process", lambda: state_of(pid) in "TZX", 30)) and state_of(pid) == "T"


@dataclass
class Kill:
    """One SIGKILL, or several at one moment.

    Attributes:
        whom: `worker`, `parent`, `group`, `rank`, `node` or `driver`.
        hit: processes whose attempts end with it; a supervisor's are those of all its workers.
    """

    whom: str
    hit: frozenset[int]


@dataclass
class Ledger:
    """The kills over one campaign, and the attempts that were claimed in it.

    Attributes:
        root: the campaign.
        kills: so far.
        claims: every claim that was seen: worker's name and process, by (tile, number).
    """

    root: Path
    kills: list[Kill] = field(default_factory=list)
    claims: dict[tuple[int, int], dict[str, Any]] = field(default_factory=dict)

    @contextlib.contextmanager
    def watching(self) -> Iterator[Ledger]:
        """Read every claim before its tile's commit removes it."""
        ended = threading.Event()

        def look() -> None:
            while not ended.wait(SECONDS_A_LOOK):
                self.look()

        thread = threading.Thread(target=look)
        thread.start()
        try:
            yield self
        finally:
            ended.set()
            thread.join()
            self.look()

    def look(self) -> None:
        """Read the claims that are new."""
        for path in self.root.glob("attempts/*/tile_*.claim"):
            tile, number, _ = path.name.removeprefix("tile_").split(".")
            key = int(tile), int(number)
            if key not in self.claims:
                with contextlib.suppress(FileNotFoundError):
                    self.claims[key] = json.loads(path.read_bytes())

    def kill(self, whom: str, victims: Sequence[int], also: Callable[[], Sequence[int]] = tuple) -> bool:
        """Kill processes at one moment; return whether that hit: the first of them was alive.

        Args:
            whom: for the record.
            victims: processes.
            also: asked while the victims are stopped: who else ends with them.
        """
        alive = [pid for pid in victims if freeze(pid)]
        if not alive or alive[0] != victims[0]:
            for pid in alive:
                os.kill(pid, signal.SIGCONT)
            return False
        self.kills.append(Kill(whom, frozenset([*alive, *also()])))
        for pid in alive:
            os.kill(pid, signal.SIGKILL)
        return True

    def holders(self) -> list[int]:
        """Return the processes that compute a tile now."""
        self.look()
        ends = {path.name.removesuffix(".end") for path in self.root.glob("attempts/*/tile_*.end")}
        open_ = [who for (tile, number), who in self.claims.items() if f"tile_{tile:05d}.{number:04d}" not in ends]
        return [who["pid"] for who in open_ if alive(who["pid"])]

    def excuse(self, kind: str) -> None:
        """Take a stop that was asked for as the reason of all attempts that have ended so until now."""
        hit = {self.claims[key]["pid"] for key, event in self._ends().items() if event["class"] == kind}
        assert hit, f"no attempt was {kind}"
        self.kills.append(Kill(kind, frozenset(hit)))

    def _ends(self) -> dict[tuple[int, int], dict[str, Any]]:
        """Return the journalled ends of attempts that came to nothing."""
        self.look()
        events = [event for event in read_events(self.root / "journals") if event["event"] == "ended"]
        return {(event["tile"], event["attempt"]): event for event in events}

    def count(self) -> Counter[str]:
        """Return how many kills hit, by victim."""
        return Counter(kill.whom for kill in self.kills)

    def settle(self) -> int:
        """Compare the attempts of the finished campaign with the kills; return the attempts that came to nothing.

        Every attempt before the one that was committed must have been seen, and one kill explains at most one attempt
        of a tile.
        """
        ends = self._ends()
        blamed: Counter[tuple[int, int]] = Counter()
        for tile, committed in committed_attempts(self.root).items():
            for number in range(1, committed):
                assert (tile, number) in self.claims, f"attempt {number} of tile {tile} was not seen"
                claim, message = self.claims[tile, number], ends.get((tile, number), {}).get("message", "")
                blamed[self._blame(claim, message, f"attempt {number} of tile {tile}"), tile] += 1
        assert max(blamed.values(), default=0) <= 1, f"one kill explains one attempt of a tile: {blamed}"
        return blamed.total()

    def _blame(self, claim: dict[str, Any], message: str, name: str) -> int:
        """Return which kill ended an attempt: that of its worker, else that of the worker's supervisor."""
        # A supervisor claims for a worker that died before it could; the end then names the worker.
        died = re.search(r"worker process (\d+)", message)
        supervisor = re.search(r"-(\d+)-[0-9a-f]{4}(\.|$)", claim["worker"])
        assert supervisor, claim
        suspects = [int(died[1])] if died and not supervisor[2] else [int(claim["pid"])]
        suspects.append(int(supervisor[1]))
        for suspect in suspects:
            for place, kill in enumerate(self.kills):
                if suspect in kill.hit:
                    return place
        raise AssertionError(f"no kill explains {name}, {claim}: {message!r}")


def committed_attempts(root: Path) -> dict[int, int]:
    """Return the number of the attempt that was committed, by tile."""
    with netCDF4.Dataset(root / "merged.nc") as file:
        return {int(tile): int(number) for tile, number in zip(file["tile"][:], file["attempt"][:], strict=True)}


class RayNodes:
    """A Ray cluster of three nodes on this machine: a head without cores for tasks, and two with two cores each."""

    def __init__(self) -> None:
        from ray.cluster_utils import Cluster

        self.sizes = {"object_store_memory": 80 * 2**20, "include_dashboard": False}
        self.cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, **self.sizes})
        self.lost: list[Any] = []
        for _ in range(2):
            self.cluster.add_node(num_cpus=2, **self.sizes)

    @property
    def words(self) -> list[str]:
        """Options of `phloem run` for this cluster."""
        return ["--engine", "ray", "--set", f'engine.address="{self.cluster.address}"']

    def busy(self, ledger: Ledger) -> list[Any]:
        """Return the nodes on which a tile is computed now."""
        holders = set(ledger.holders())
        return [node for node in self.cluster.worker_nodes if holders & {*descendants(raylet(node))}]

    def kill(self, ledger: Ledger, node: Any) -> bool:
        """Kill a node with all that runs on it, as if its plug had been pulled; return whether that hit."""
        self.lost.append(node)
        below = [*descendants(raylet(node))]
        return ledger.kill("node", [raylet(node), *below], lambda: [*descendants(raylet(node))])

    def replace(self) -> None:
        """Put a new node in the place of each that was killed."""
        while self.lost:
            self.cluster.remove_node(self.lost.pop(), allow_graceful=False)
            self.cluster.add_node(num_cpus=2, **self.sizes)


def raylet(node: Any) -> int:
    """Return the process that is a node's Ray; its workers are below it."""
    (one,) = node.all_processes["raylet"]
    return int(one.process.pid)


def ranks(launcher: int) -> list[int]:
    """Return the ranks of the MPI world that a `phloem run` has started."""
    below = descendants(launcher).items()
    return sorted(pid for pid, line in below if line.startswith(sys.executable) and "-m mpi4py -m phloem" in line)


def worker_processes(supervisor: int) -> list[int]:
    """Return the worker processes below a process, those of its ranks too."""
    return sorted(pid for pid, line in descendants(supervisor).items() if "spawn_main" in line)


def pause(seconds: float, process: subprocess.Popen[str]) -> None:
    """Wait for a time, or until a process has ended."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(seconds)
