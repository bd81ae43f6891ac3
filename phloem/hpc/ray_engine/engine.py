"""The Ray engine: tasks in the workers of a Ray cluster, or of a Ray of its own on this machine."""

from __future__ import annotations

import importlib.util
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from phloem.hpc.ray_engine.driver import GRACE_SECONDS, Message, RaySettings, end_session
from phloem.hpc.tasks import STOP_SIGNALS, Device, Engine, EngineError, Outcome, StopFlag, Task, Waiting, loss_of_all
from phloem.hpc.usable_cores import usable_cores

POLL_SECONDS = 0.5
SHUTDOWN_SECONDS = 15.0
"""How long Ray may take to shut down after its last task; measured: 2."""

BATCH = 100
"""Tasks sent between two looks at what came back."""

FRUITLESS_DRIVERS = 3
"""So many drivers in a row that died before a task began are the end of a run."""

QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_enable_metrics_collection": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}
LOOPBACK = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
"""Ray's switch for machines that are no cluster. Without it Ray listens on every interface, even when it is told that
its node is 127.0.0.1."""

LONGEST_FOLDER = 40
"""Ray's sockets lie 66 characters below its folder, and a socket's name has at most 107."""


@dataclass
class RayEngine(Engine):
    """Runs tasks in Ray workers. Ray itself tries a task again whose worker or node died, `worker_retries` times.

    A task with GPUs has a process of its own, as Ray's are that ask for one.

    Signals to the campaign's process (SIGTERM, SIGINT, SIGUSR1, SIGUSR2) set the flag: running tasks are asked to keep
    their state and stop, waiting ones do not start. Ray runs below a driver process of its own
    (`ray_engine.driver`), never in the campaign's.

    Attributes:
        workers: tasks at once; 0 for as many as the cluster, or this machine, has cores for.
        environment: variables set in each worker before it imports anything.
        on_report: called with (task key, message) for each report of a task.
        flag: set by a stop signal.
        address: of a running cluster's head, `host:port`, or `auto` on one of its nodes; empty for a Ray on this
            machine that listens on loopback only and ends with the run.
        worker_retries: how often a task is tried again after its worker or node died.
        node_seconds: how long the cluster may be without any node that is large enough for a task.
        cpus_per_task: cores that a task is given.
        gpus_per_task: devices that a task is given.
        shunned: devices that were lost; workers that do nothing else keep them from other tasks.
    """

    workers: int
    environment: Mapping[str, str] = field(default_factory=dict)
    on_report: Callable[[int, Any], None] = lambda key, message: None
    flag: StopFlag = field(default_factory=StopFlag)
    address: str = ""
    worker_retries: int = 3
    node_seconds: float = 60.0
    cpus_per_task: float = 1
    gpus_per_task: float = 0
    shunned: list[Device] = field(default_factory=list, init=False)
    _fruitless: int = field(default=0, init=False)

    def run(self, tasks: Iterable[Task]) -> Iterator[Outcome]:
        """Run the tasks, in order as workers come free, and yield each outcome as it comes.

        Tasks are taken from `tasks` as there is room for them.

        Raises:
            EngineError: Ray is not installed, does not start, or no node has what a task asks for.
        """
        if importlib.util.find_spec("ray") is None:
            raise EngineError("the ray engine needs the package ray: pip install 'phloem[ray]'")
        if self.address.startswith("ray://"):
            raise EngineError(f"{self.address}: start phloem on a node of the cluster, with --address auto")
        waiting = Waiting(tasks)
        before = self.flag.install()
        try:
            while not self.flag and waiting:
                for task in reversed((yield from self._session(waiting))):
                    waiting.put_back(task)
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _session(self, waiting: Waiting) -> Generator[Outcome, None, list[Task]]:
        """Run tasks through one driver until none waits, the flag is set, or the driver dies.

        Returns:
            Tasks that were taken and had not begun when the driver died.
        """
        folder = _private_folder()
        try:
            driver = _Link(self._settings(folder))
            try:
                return (yield from self._serve(driver, waiting))
            finally:
                driver.close()
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _settings(self, folder: Path) -> RaySettings:
        return RaySettings(
            self.address,
            self.workers or (0 if self.address else usable_cores()),
            {**self.environment, "PYTHONPATH": _import_path(self.environment.get("PYTHONPATH", ""))},
            self.worker_retries,
            self.node_seconds if self.address else 0.0,
            self.cpus_per_task,
            self.gpus_per_task,
            str(folder),
        )

    def _serve(self, driver: _Link, waiting: Waiting) -> Generator[Outcome, None, list[Task]]:
        running: dict[int, Task] = {}
        begun: set[int] = set()
        limit, stop_sent, useful = 0, False, False
        try:
            while running or (waiting and not self.flag):
                if self.flag and not stop_sent:
                    stop_sent = True
                    driver.send("stop")
                room = 0 if self.flag else min(BATCH, limit - len(running))
                for _ in range(room):
                    if not waiting:
                        break
                    task = waiting.pop()
                    running[task.key] = task
                    driver.send("task", task)
                for kind, key, content in driver.receive(0 if room == BATCH else POLL_SECONDS):
                    if kind == "limit":
                        limit = content
                    elif kind == "begun":
                        begun.add(key)
                        useful = True
                    elif kind == "report":
                        self.on_report(key, content)
                    elif kind == "error":
                        raise EngineError(content)
                    elif kind == "spent":
                        self.devices_left = False
                        self.flag.name = self.flag.name or loss_of_all(self.shunned)
                    else:
                        del running[key]
                        begun.discard(key)
                        if content is not None:
                            if content.device is not None:
                                self.shunned.append(content.device)
                            yield content
        except _DriverDied as death:
            self._fruitless = 0 if useful else self._fruitless + 1
            if not limit or self._fruitless == FRUITLESS_DRIVERS:
                raise EngineError(f"Ray began no task: {death}") from None
            for key in begun:
                yield Outcome(key, "lost", error="NodeLost", message=str(death))
        return [task for key, task in running.items() if key not in begun]


class _DriverDied(Exception):  # noqa: N818
    """The driver process ended without being asked to."""


class _Link:
    """The driver process and the pipe to it."""

    def __init__(self, settings: RaySettings) -> None:
        self._log = Path(settings.folder, "driver.log")
        self._pipe, theirs = multiprocessing.Pipe()
        variables = {**os.environ, **QUIET, **({} if settings.address else LOOPBACK)}
        variables.pop("RAY_ADDRESS", None)
        variables["PYTHONPATH"] = settings.environment["PYTHONPATH"]
        variables["RAY_task_oom_retries"] = str(settings.worker_retries)
        # The driver and what it starts are born with the stop signals blocked: a batch system that signals every
        # process of a job would otherwise end Ray before the tasks have kept their state.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
        try:
            with self._log.open("wb") as log:
                self._process = subprocess.Popen(
                    [sys.executable, "-c", f"from phloem.hpc.ray_engine.driver import main; main({theirs.fileno()})"],
                    env=variables,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    pass_fds=[theirs.fileno()],
                    start_new_session=True,
                )
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        theirs.close()
        self.send("settings", settings)

    def send(self, kind: str, content: Any = None) -> None:
        """Send a message.

        Raises:
            _DriverDied: there is nobody to read it.
        """
        try:
            self._pipe.send((kind, content))
        except OSError:
            raise self._death() from None

    def receive(self, seconds: float) -> Iterator[Message]:
        """Yield the messages that have come, after waiting at most `seconds` for the first.

        Raises:
            _DriverDied: there will be no more.
        """
        while True:
            try:
                if not self._pipe.poll(seconds):
                    return
                message = self._pipe.recv()
            except (EOFError, OSError):
                raise self._death() from None
            yield message
            seconds = 0

    def close(self) -> None:
        """End the driver: tasks that still run are asked to stop; of what it has started nothing is left."""
        self._pipe.close()
        try:
            self._process.wait(GRACE_SECONDS + SHUTDOWN_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        end_session(self._process.pid)

    def _death(self) -> _DriverDied:
        self._process.wait()
        lines = self._log.read_text(errors="replace").strip().splitlines() or ["it said nothing"]
        return _DriverDied(f"the Ray driver ended with status {self._process.returncode}: {lines[-1]}")


def _import_path(wanted: str) -> str:
    """Return the PYTHONPATH of workers: what the user wants, and what this process imports from beside Python's own.

    Ray hands on only the folder of the script that was started.
    """
    own = tuple(sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib"))
    ours = [os.path.abspath(path) for path in sys.path if os.path.isdir(path or ".")]
    return os.pathsep.join([*filter(None, [wanted]), *(path for path in ours if not path.startswith(own))])


def _private_folder() -> Path:
    """Make a folder for Ray's files, readable by this user only, in the folder for temporary files."""
    folder = tempfile.mkdtemp(prefix="phloem-ray-")
    if len(folder) > LONGEST_FOLDER:
        os.rmdir(folder)
        folder = tempfile.mkdtemp(prefix="phloem-ray-", dir="/tmp")
    return Path(folder)
