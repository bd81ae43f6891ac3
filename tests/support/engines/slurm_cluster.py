"""A real SLURM cluster on this machine, and ways to break it.

    cluster = SlurmCluster.start()
    cluster.enter()                      # SLURM_CONF: sbatch, squeue and phloem now speak to it
    node = cluster.node_of("12_3")
    cluster.lose_node(node)              # as if its plug had been pulled
    cluster.restart_node(node)
    cluster.stop_controller(); cluster.start_controller()
    cluster.stop()

Each way to break something returns or raises in a manner that lets a test count the fault. Nothing here waits for a
fixed time: `wait_for` looks again and again, and fails with what SLURM says.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pytest

HERE = Path(__file__).parent
CANNOT_INSTALL = 77
Found = TypeVar("Found")


class NoSlurm(Exception):  # noqa: N818
    """SLURM is not installed here and cannot be."""


@dataclass
class SlurmCluster:
    """Nodes `n1`, `n2`, ..., all in the partitions `main` (the default) and `urgent` (preempts `main`), in `folder`."""

    folder: Path
    nodes: int
    cpus: int
    _before: dict[str, str | None] = field(default_factory=dict)

    @classmethod
    def start(
        cls,
        nodes: int = 3,
        cpus: int = 4,
        array_size: int = 11,
        accounting: bool = False,
        machines: bool = False,
        gpus: int = 0,
    ) -> SlurmCluster:
        """Start a cluster and wait until all nodes are idle (1 to 2 s; with accounting 5 to 10 s).

        Args:
            nodes: how many.
            cpus: of each node, whatever this machine has.
            array_size: SLURM's MaxArraySize.
            accounting: with slurmdbd and a database, so that `sacct` answers.
            machines: the processes of one node are not seen on another, as between machines, where that is allowed.
            gpus: of each node, whatever this machine has: SLURM counts them, and tells a job of its own.

        Raises:
            NoSlurm: it is not installed and cannot be.
        """
        # a short path: slurmstepd's sockets lie below it, and a socket's path may have 107 characters
        folder = Path(tempfile.mkdtemp(prefix="phloem-slurm-"))
        command = [HERE / "slurm_up.sh", folder, "--nodes", str(nodes), "--cpus", str(cpus)]
        command += ["--array-size", str(array_size), "--gpus", str(gpus)]
        command += ["--accounting"] * accounting + ["--machines"] * machines
        done = subprocess.run(command, capture_output=True, text=True)
        cluster = cls(folder, nodes, cpus)
        if done.returncode:
            cluster.stop()
            if done.returncode == CANNOT_INSTALL:
                raise NoSlurm(done.stderr.strip())
            raise RuntimeError(f"the SLURM cluster did not start:\n{done.stdout}{done.stderr}")
        return cluster

    @property
    def environment(self) -> dict[str, str]:
        """The variables of this process, and those that make SLURM's commands speak to this cluster."""
        return {**os.environ, "SLURM_CONF": f"{self.folder}/slurm.conf", "PATH": f"{os.environ['PATH']}:/usr/sbin"}

    def enter(self) -> None:
        """Make this process and those that it starts speak to this cluster, until `leave`."""
        for key in ("SLURM_CONF", "PATH"):
            self._before[key] = os.environ.get(key)
            os.environ[key] = self.environment[key]

    def leave(self) -> None:
        """Undo `enter`."""
        while self._before:
            key, value = self._before.popitem()
            if value is None:
                del os.environ[key]
            else:
                os.environ[key] = value

    def stop(self) -> None:
        """End all jobs and daemons and remove the folder; may be called in any state of the cluster."""
        subprocess.run([HERE / "slurm_down.sh", self.folder], check=True, capture_output=True)
        self.leave()
        shutil.rmtree(self.folder)

    def say(self, *command: str | Path, check: bool = True) -> str:
        """Run one of SLURM's commands and return what it prints; fail with what it said."""
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=60)
        if check and done.returncode:
            raise AssertionError(f"{command}: status {done.returncode}: {done.stderr}{done.stdout}")
        return done.stdout.strip()

    def squeue(self, *options: str) -> dict[str, str]:
        """Return the state of every task of every job that the controller remembers, by its id."""
        text = self.say("squeue", "-h", "-r", "-t", "all", "-o", "%i|%T", *options)
        return dict(line.split("|") for line in text.splitlines())

    def node_of(self, task: str) -> str:
        """Return the node that a running task is on, or a finished one was on."""
        return self.say("squeue", "-h", "-r", "-t", "all", "-j", task, "-o", "%N")

    def node_states(self) -> dict[str, str]:
        """Return sinfo's state of each node, such as `idle`, `mixed`, `down`; `*`: does not answer."""
        return dict(line.split("|") for line in self.say("sinfo", "-h", "-N", "-o", "%N|%T").splitlines())

    def wait_for(self, true: Callable[[], Found], what: str, seconds: float = 90) -> Found:
        """Look until something is true and return it; fail with the queue and the nodes after `seconds`."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if found := true():
                return found
            time.sleep(0.1)
        says = [self.say(*words, check=False) for words in (("squeue", "-t", "all"), ("sinfo", "-N", "-l"))]
        raise AssertionError("\n".join([f"waited in vain for {what}", *says]))

    def wait_until_empty(self, seconds: float = 90) -> None:
        """Wait until no job waits or runs."""
        self.wait_for(lambda: not self.say("squeue", "-h"), "an empty queue", seconds)

    def send(self, task: str, name: str) -> None:
        """Send a signal to a task's batch shell, as SLURM does before the walltime with `--signal=B:`."""
        self.say("scancel", "--batch", f"--signal={name}", task)

    def node_processes(self, node: str) -> set[int]:
        """Return the processes that would be gone with the node: its slurmd, the keepers of its steps, its jobs.

        A slurmstepd outlives its slurmd; that its log is the node's tells which node it belongs to.
        """
        conf = f"SLURM_CONF={self.folder}/slurm.conf".encode()
        log = f"{self.folder}/log/slurmd-{node}.log"
        found = set()
        for process in Path("/proc").glob("[0-9]*"):
            try:
                variables = (process / "environ").read_bytes().split(b"\0")
                if conf not in variables:
                    continue
                of_job = f"SLURMD_NODENAME={node}".encode() in variables
                if of_job or any(_target(link) == log for link in (process / "fd").iterdir()):
                    found.add(int(process.name))
            except OSError:
                continue
        return found

    def task_processes(self, task: str) -> dict[int, str]:
        """Return the processes of a running task, seen from outside of its node, each with its command line."""
        job, _, index = task.partition("_")
        mine = {f"SLURM_CONF={self.folder}/slurm.conf"}
        mine |= {f"SLURM_ARRAY_JOB_ID={job}", f"SLURM_ARRAY_TASK_ID={index}"} if index else {f"SLURM_JOB_ID={job}"}
        found = {}
        for process in Path("/proc").glob("[0-9]*"):
            try:
                if mine <= set((process / "environ").read_text(errors="replace").split("\0")):
                    found[int(process.name)] = (process / "cmdline").read_text(errors="replace").replace("\0", " ")
            except OSError:
                continue
        return found

    def kill_node(self, node: str) -> set[int]:
        """Kill everything on a node at once; SLURM sees it after about 25 s. Return the processes killed."""
        killed: set[int] = set()
        while alive := self.node_processes(node) - killed:
            for pid in alive:
                _kill(pid, signal.SIGKILL)
            killed |= alive
        assert killed, f"node {node} was dead already"
        return killed

    def lose_node(self, node: str) -> set[int]:
        """Kill a node and tell the controller at once, which saves the 25 s: its jobs end as NODE_FAIL.

        Telling it with the node alive would be no model of a loss: the node would come back by itself.
        """
        killed = self.kill_node(node)
        self.say("scontrol", "update", f"NodeName={node}", "State=DOWN", "Reason=lost")
        return killed

    def preempt(self, node: str, seconds: int = 3600) -> str:
        """Take a whole node away from the jobs on it, for so long; they are requeued. Return the job that took it."""
        words = ["--parsable", "--partition=urgent", f"--nodelist={node}", "--exclusive", "--output=/dev/null"]
        job = self.say("sbatch", *words, f"--wrap=sleep {seconds}")
        self.wait_for(lambda: self.squeue("-j", job) == {job: "RUNNING"}, f"job {job} on {node}")
        return job

    def restart_node(self, node: str) -> None:
        """Start a killed node's slurmd again and wait until the node takes jobs."""
        self._daemon(node, self.folder / "start_node", node)
        self.wait_for(lambda: self.node_states()[node] in ("idle", "mixed", "allocated"), f"node {node}")

    def stop_controller(self, how: signal.Signals = signal.SIGTERM) -> None:
        """End slurmctld (SIGTERM saves its state, SIGKILL is a crash) and wait until it is gone."""
        pid = self._controller()
        assert _comm(pid) == "slurmctld", "the controller was down already"
        _kill(pid, how)
        self.wait_for(lambda: _comm(pid) != "slurmctld", "the controller's end")

    def start_controller(self) -> None:
        """Start slurmctld from its saved state, unless it runs, and wait until it answers."""
        if _comm(self._controller()) == "slurmctld":
            return
        self._daemon("slurmctld", "slurmctld", "-D")
        self.wait_for(lambda: "is UP" in self.say("scontrol", "ping", check=False), "the controller")

    @contextmanager
    def frozen_controller(self) -> Iterator[None]:
        """Stop slurmctld without ending it: connections are taken and nothing is answered."""
        _kill(self._controller(), signal.SIGSTOP)
        try:
            yield
        finally:
            _kill(self._controller(), signal.SIGCONT)

    def _controller(self) -> int:
        return int((self.folder / "run/slurmctld.pid").read_text())

    def _daemon(self, name: str, *command: str | Path) -> None:
        with (self.folder / f"log/{name}.out").open("a") as log:
            pid = subprocess.Popen(
                command, env=self.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            ).pid
        (self.folder / f"run/{name}.pid").write_text(f"{pid}\n")
        with (self.folder / "pids").open("a") as pids:
            pids.write(f"{pid}\n")


@contextmanager
def entered_cluster(**options: Any) -> Iterator[SlurmCluster]:
    """Start a cluster and have this process ask it, until the tests that need it are over; without SLURM they skip.

    Args:
        options: of `SlurmCluster.start`.
    """
    try:
        cluster = SlurmCluster.start(**options)
    except NoSlurm as missing:
        pytest.skip(f"no SLURM here: {missing}")
    cluster.enter()
    try:
        yield cluster
    finally:
        cluster.stop()


def _target(link: Path) -> str:
    try:
        return os.readlink(link)
    except OSError:
        return ""


def _comm(pid: int) -> str:
    """Return a process's name; empty if it has ended, also if nobody has waited for it yet."""
    try:
        name, _, rest = (Path("/proc") / str(pid) / "stat").read_text().partition("(")[2].rpartition(")")
    except OSError:
        return ""
    return "" if rest.split()[0] == "Z" else name


def _kill(pid: int, how: signal.Signals) -> None:
    try:
        os.kill(pid, how)
    except ProcessLookupError:
        return
