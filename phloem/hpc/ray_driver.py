"""The Ray driver: a process of its own between a campaign and Ray, so that nothing which happens to Ray ends the campaign.

It leads a session of its own, which signals to the campaign's process group do not reach, and learns of a stop through
its pipe. When the campaign is gone, even by SIGKILL, the pipe ends: the driver asks the tasks to keep their state, waits
for them, and shuts Ray down.
"""

from __future__ import annotations

import math
import os
import pickle
import queue
import shutil
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from phloem.hpc.ray_worker import BEGUN, Mailbox, attempt
from phloem.hpc.tasks import Outcome, Task

POLL_SECONDS = 0.1
NODES_SECONDS = 1.0
"""Time between two looks at the nodes."""

ANSWER_SECONDS = 5.0
"""How long one question to Ray may take."""

GRACE_SECONDS = 25.0
"""How long running tasks may take to stop once nobody waits for them."""

CALLS_A_SECOND = 2000
"""What a mailbox answers without effort; with more workers than that each asks less often than twice a second."""

OBJECT_STORE_BYTES = 100 * 2**20

Message = tuple[str, int, Any]


@dataclass(frozen=True)
class Settings:
    """What the driver is told of the engine; see `RayEngine`."""

    address: str
    workers: int
    environment: Mapping[str, str]
    worker_retries: int
    node_seconds: float
    cpus_per_task: float
    gpus_per_task: float
    folder: str

    def demand(self) -> dict[str, float]:
        """Return what one task asks of its node."""
        wanted = {"CPU": self.cpus_per_task, "GPU": self.gpus_per_task}
        return {name: amount for name, amount in wanted.items() if amount}

    def slots(self, resources: Mapping[str, float]) -> int:
        """Return how many tasks fit on a node at once."""
        fits = [resources.get(name, 0.0) / amount for name, amount in self.demand().items()]
        return int(min(fits) + 1e-6) if fits else self.workers or 1


def losses(error: Exception, key: int, settings: Settings) -> Outcome:
    """Return the outcome of a task for which Ray has an exception instead of a result."""
    from ray import exceptions

    tries = f"in each of {settings.worker_retries + 1} attempts" if settings.worker_retries else "once"
    said = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    if isinstance(error, exceptions.OutOfMemoryError):
        return Outcome(key, "lost", error="WorkerLost", message=f"worker killed by Ray {tries}: out of memory: {said}")
    if isinstance(error, exceptions.WorkerCrashedError):
        return Outcome(key, "lost", error="WorkerLost", message=f"worker process died {tries}; Ray: {said}")
    if isinstance(error, exceptions.RayTaskError):
        cause = type(error.cause).__name__ if error.cause is not None else "RayTaskError"
        return Outcome(key, "failed", value=str(error), error=cause, message=str(error.cause or said))
    if isinstance(error, exceptions.RuntimeEnvSetupError | exceptions.TaskUnschedulableError):
        return Outcome(key, "failed", error=type(error).__name__, message=said)
    return Outcome(key, "lost", error="NodeLost", message=f"its node or its result was lost {tries}; Ray: {said}")


class Driver:
    """Takes tasks from a pipe, has Ray run them, and sends outcomes and reports back.

    Messages are (kind, key, content). In: `task`, `stop`. Out: `limit` (how many tasks may be in flight), `report`,
    `outcome` (content None: stopped before it began) and `error` (the engine cannot go on).
    """

    def __init__(self, pipe: Connection, settings: Settings) -> None:
        self.settings = settings
        self._pipe = pipe
        self._inbox: queue.SimpleQueue[tuple[str, Task | None]] = queue.SimpleQueue()
        self._running: dict[Any, Task] = {}
        self._begun: set[int] = set()
        self._letter: Any = None
        self._stopping = False
        self._deadline = math.inf
        self._limit = 0
        self._looked = -math.inf
        self._fitting = time.monotonic()

    def run(self) -> None:
        """Connect, and serve until the pipe ends and no task runs."""
        import ray

        self._connect()
        self._mailbox = self._open_mailbox()
        self._attempt = ray.remote(
            num_cpus=self.settings.cpus_per_task,
            num_gpus=self.settings.gpus_per_task,
            max_retries=self.settings.worker_retries,
            retry_exceptions=False,
        )(attempt)
        threading.Thread(target=self._listen, daemon=True).start()
        while self._running and time.monotonic() < self._deadline or self._deadline == math.inf:
            self._look_at_nodes()
            self._read_inbox()
            self._settle()

    def _connect(self) -> None:
        import ray

        local: dict[str, Any] = {}
        if not self.settings.address:
            cpus = math.ceil(self.settings.workers * self.settings.cpus_per_task)
            local = {"num_cpus": cpus, "include_dashboard": False, "object_store_memory": OBJECT_STORE_BYTES}
            local |= {"_temp_dir": self.settings.folder, "_node_ip_address": "127.0.0.1"}
        ray.init(
            address=self.settings.address or "local",
            log_to_driver=False,
            logging_level="ERROR",
            runtime_env={"env_vars": dict(self.settings.environment)},
            **local,
        )

    def _open_mailbox(self) -> Any:
        """Start the mailbox on this node: what loses it loses the driver too."""
        import ray
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=True)
        return ray.remote(num_cpus=0, max_restarts=-1, scheduling_strategy=here)(Mailbox).remote()

    def _listen(self) -> None:
        """Read the pipe to its end, so that the campaign can always write."""
        try:
            while True:
                self._inbox.put(self._pipe.recv())
        except (EOFError, OSError):
            self._inbox.put(("end", None))

    def _say(self, kind: str, key: int, content: Any) -> None:
        try:
            self._pipe.send((kind, key, content))
        except OSError:
            self._end()

    def _end(self) -> None:
        self._deadline = min(self._deadline, time.monotonic() + GRACE_SECONDS)
        self._stop()

    def _stop(self) -> None:
        """Ask every task to stop. What Ray has not begun is cancelled; what has begun only hears of it."""
        import ray

        if self._stopping:
            return
        self._stopping = True
        self._collect()
        for reference, task in self._running.items():
            if task.key not in self._begun:
                ray.cancel(reference)

    def _read_inbox(self) -> None:
        period = max(0.5, self._limit / CALLS_A_SECOND)
        while not self._inbox.empty():
            kind, task = self._inbox.get()
            if task is None:
                self._end() if kind == "end" else self._stop()
            elif self._stopping:
                self._say("outcome", task.key, None)
            else:
                self._running[self._attempt.remote(task, self._mailbox, period)] = task

    def _settle(self) -> None:
        """Wait a little, then pass on reports, and the outcomes of what has ended after them."""
        import ray

        if not self._running:
            time.sleep(POLL_SECONDS / 5)
            return
        ready, _ = ray.wait(list(self._running), num_returns=1, timeout=POLL_SECONDS)
        if ready:
            ready, _ = ray.wait(list(self._running), num_returns=len(self._running), timeout=0)
        self._collect()
        for reference in ready:
            key = self._running[reference].key
            try:
                outcome = ray.get(reference, timeout=ANSWER_SECONDS)
            except ray.exceptions.GetTimeoutError:
                continue
            except ray.exceptions.TaskCancelledError:
                outcome = None
            except ray.exceptions.RayError as error:
                outcome = losses(error, key, self.settings)
            if outcome is None and (key in self._begun or not self._stopping):
                outcome = Outcome(key, "stopped", message="stopped as it began")
            del self._running[reference]
            self._begun.discard(key)
            self._say("outcome", key, outcome)

    def _collect(self) -> None:
        """Empty the mailbox, and tell it whether workers should stop."""
        import ray

        self._letter = self._letter or self._mailbox.collect.remote(self._stopping)
        try:
            letters = ray.get(self._letter, timeout=ANSWER_SECONDS)
        except ray.exceptions.GetTimeoutError:
            return
        except ray.exceptions.RayActorError:
            letters = []
        self._letter = None
        for kind, key, content in letters:
            if kind == BEGUN:
                self._begun.add(key)
            else:
                self._say(kind, key, content)

    def _look_at_nodes(self) -> None:
        """Tell the campaign how many tasks the nodes hold; give up when none has held one for too long."""
        import ray

        if time.monotonic() - self._looked < NODES_SECONDS:
            return
        self._looked = time.monotonic()
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        slots = sum(map(self.settings.slots, nodes))
        if slots:
            self._fitting = time.monotonic()
        elif time.monotonic() - self._fitting >= self.settings.node_seconds and self._deadline == math.inf:
            self._say("error", 0, self._lack(nodes))
            self._end()
            self._deadline = time.monotonic()
        limit = min(self.settings.workers, slots) if self.settings.workers else slots
        limit = max(1, 2 * slots if limit == slots else limit)
        if limit != self._limit:
            self._limit = limit
            self._say("limit", 0, limit)

    def _lack(self, nodes: list[Mapping[str, float]]) -> str:
        """Say which resource no node has enough of."""
        most = {name: max((node.get(name, 0.0) for node in nodes), default=0.0) for name in self.settings.demand()}
        short = [
            f"{amount:g} {name}, where no node has more than {most[name]:g}"
            for name, amount in self.settings.demand().items()
            if most[name] < amount
        ]
        wanted = "; ".join(short) or " and ".join(f"{a:g} {name}" for name, a in self.settings.demand().items())
        return f"no node of the Ray cluster ({len(nodes)} alive) can run a task: it asks for {wanted}"


def main(descriptor: int) -> None:
    """Serve as the driver of the engine at the other end of an inherited pipe."""
    pipe: Connection = Connection(descriptor)
    _, settings = pipe.recv()
    try:
        import ray

        try:
            Driver(pipe, settings).run()
        finally:
            ray.shutdown()
            shutil.rmtree(settings.folder, ignore_errors=True)
    except Exception as error:
        pipe.send(("error", 0, f"{type(error).__name__}: {error}"))
        raise
    finally:
        pipe.close()
