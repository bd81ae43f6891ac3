"""The Ray driver: a process of its own between campaign and Ray, so that what happens to Ray cannot end the campaign.

Ray ends the workers of a killed driver within 0.1 s, and they keep no state; and a driver whose cluster is gone is
ended by Ray. So the campaign's own process is none. This one leads its own session, which signals to the campaign's
process group do not reach, and learns of a stop through its pipe. When the campaign is gone, even by SIGKILL, the pipe
ends: the driver asks the tasks to keep their state, waits for them, and shuts Ray down.
"""

from __future__ import annotations

import contextlib
import logging
import math
import os
import queue
import shutil
import signal
import sys
import threading
import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

import psutil

from phloem.hpc.gpus import visible_gpus
from phloem.hpc.ray_engine.worker import HERE, LOST, SILENCE_SECONDS, Mailbox, attempt
from phloem.hpc.tasks import Outcome, Task

POLL_SECONDS = 0.1
NODES_SECONDS = 1.0
"""Time between two looks at the nodes."""

ANSWER_SECONDS = 1.0
"""How long one question to Ray may take before the loop goes on without the answer; it is asked for again."""

ENDED = (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)
"""What is left of a process that has ended and only waits to be reaped."""

GRACE_SECONDS = 25.0
"""How long running tasks may take to stop once nobody waits for them."""

CALLS_A_SECOND = 2000
"""What a mailbox answers without effort; with more workers than that each asks less often than twice a second."""

OBJECT_STORE_BYTES = 100 * 2**20

Message = tuple[str, int, Any]


@dataclass(frozen=True)
class RaySettings:
    """Settings that the engine hands to its driver; see `RayEngine`."""

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


def outcome_of(error: Exception, key: int, retries: int) -> Outcome:
    """Return the outcome of a task for which Ray has an exception instead of a result."""
    from ray import exceptions

    tries = f"in each of {retries + 1} attempts" if retries else "once"
    why = (str(error).strip() or type(error).__name__).splitlines()[0]
    if isinstance(error, exceptions.OutOfMemoryError):
        return Outcome(key, "lost", error="WorkerLost", message=f"out of memory: worker killed by Ray {tries}: {why}")
    if isinstance(error, exceptions.WorkerCrashedError):
        return Outcome(key, "lost", error="WorkerLost", message=f"its worker process died {tries}: {why}")
    if isinstance(error, exceptions.NodeDiedError | exceptions.ObjectLostError):
        return Outcome(key, "lost", error="NodeLost", message=f"its node was lost {tries}: {why}")
    cause = getattr(error, "cause", None) or error
    return Outcome(key, "failed", value=str(error), error=type(cause).__name__, message=str(cause))


class NodeGone(Exception):  # noqa: N818
    """Ray on the driver's own node has died; it takes a new driver, and where Ray is local a new Ray, to go on."""


class Driver:
    """Takes tasks from a pipe, has Ray run them, and sends outcomes and reports back.

    Messages in are (kind, content): `task`, `stop`. Messages out are (kind, key, content): `limit` (how many tasks may
    be in flight), `begun`, `report`, `outcome` (content None: stopped before it began), `spent` (no device is left) and
    `error` (the engine cannot go on).
    """

    def __init__(self, pipe: Connection, settings: RaySettings) -> None:
        self.settings = settings
        self._pipe = pipe
        self._inbox: queue.SimpleQueue[tuple[str, Task | None]] = queue.SimpleQueue()
        self._running: dict[Any, Task] = {}
        self._keepers: list[Any] = []
        self._heard: dict[int, float] = {}
        self._letter: Any = None
        self._stopping = False
        self._deadline = math.inf
        self._limit = 0
        self._counted_at = -math.inf
        self._fitting = time.monotonic()

    def run(self) -> None:
        """Connect, and serve until the pipe ends and no task runs."""
        import ray

        self._connect()
        self._node = ray.get_runtime_context().get_node_id()
        self._mailbox = self._open_mailbox()
        self._attempt = ray.remote(
            num_cpus=self.settings.cpus_per_task,
            num_gpus=self.settings.gpus_per_task,
            max_retries=self.settings.worker_retries,
            retry_exceptions=False,
        )(attempt)
        threading.Thread(target=self._listen, daemon=True).start()
        while self._deadline == math.inf or (self._running and time.monotonic() < self._deadline):
            self._count_slots()
            self._read_inbox()
            self._pass_on_outcomes()

    def _connect(self) -> None:
        import ray

        local: dict[str, Any] = {}
        if not self.settings.address:
            cpus = math.ceil(self.settings.workers * self.settings.cpus_per_task)
            local = {"num_cpus": cpus, "include_dashboard": False, "object_store_memory": OBJECT_STORE_BYTES}
            local |= {"num_gpus": len(visible_gpus())} if self.settings.gpus_per_task else {}
            local |= {"_temp_dir": self.settings.folder, "_node_ip_address": "127.0.0.1"}
        ray.init(
            address=self.settings.address or "local",
            log_to_driver=False,
            logging_level=logging.ERROR,
            runtime_env={"env_vars": dict(self.settings.environment)},
            **local,
        )

    def _open_mailbox(self) -> Any:
        """Start the mailbox on this node: what loses it loses the driver too."""
        import ray
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        here = NodeAffinitySchedulingStrategy(self._node, soft=True)
        return ray.remote(num_cpus=0, max_restarts=-1)(Mailbox).options(scheduling_strategy=here).remote()

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
        if self._stopping:
            return
        self._stopping = True
        self._collect()
        self._heard = dict.fromkeys(self._heard, time.monotonic())
        self._cancel_silent()

    def _cancel_silent(self) -> None:
        """Cancel what no worker speaks for: not begun, or waiting for another try after its worker died."""
        import ray

        for reference, task in self._running.items():
            if time.monotonic() - self._heard.get(task.key, -math.inf) > SILENCE_SECONDS:
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

    def _pass_on_outcomes(self) -> None:
        """Wait a little, then pass on reports, and the outcomes of what has ended after them."""
        import ray

        if not self._running:
            time.sleep(POLL_SECONDS / 5)
            return
        ready, _ = ray.wait(list(self._running), num_returns=1, timeout=POLL_SECONDS)
        if ready:
            ready, _ = ray.wait(list(self._running), num_returns=len(self._running), timeout=0)
        self._collect()
        if self._stopping:
            self._cancel_silent()
        for reference in ready:
            key = self._running[reference].key
            try:
                outcome = ray.get(reference, timeout=ANSWER_SECONDS)
            except ray.exceptions.GetTimeoutError:
                continue
            except ray.exceptions.TaskCancelledError:
                outcome = None
            except ray.exceptions.LocalRayletDiedError as error:
                raise NodeGone(str(error)) from None
            except ray.exceptions.RayError as error:
                outcome = outcome_of(error, key, self.settings.worker_retries)
            if outcome is None and (key in self._heard or not self._stopping):
                outcome = Outcome(key, "stopped", message="stopped by Ray")
            del self._running[reference]
            self._heard.pop(key, None)
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
            if kind == HERE:
                if key not in self._heard:
                    self._say("begun", key, None)
                self._heard[key] = time.monotonic()
            elif kind == LOST:
                self._keep_device(key, content)
            else:
                self._say(kind, key, content)

    def _keep_device(self, key: int, outcome: Outcome) -> None:
        """Pass on the outcome of a task whose device is lost; its worker keeps the device from other tasks."""
        reference = next((one for one, task in self._running.items() if task.key == key), None)
        if reference is None:
            return
        del self._running[reference]
        self._heard.pop(key, None)
        self._keepers.append(reference)
        self._say("outcome", key, outcome)
        self._counted_at = -math.inf

    def _count_slots(self) -> None:
        """Tell the campaign how many tasks the nodes hold; give up when none has held one for too long."""
        import ray

        if time.monotonic() - self._counted_at < NODES_SECONDS:
            return
        self._counted_at = time.monotonic()
        alive = {node["NodeID"]: node["Resources"] for node in ray.nodes() if node["Alive"]}
        if self._node not in alive:
            raise NodeGone("Ray no longer counts the driver's node among the living")
        nodes = list(alive.values())
        slots = sum(map(self.settings.slots, nodes))
        if self._keepers:
            _, self._keepers = ray.wait(self._keepers, num_returns=len(self._keepers), timeout=0)
            if slots and slots <= len(self._keepers):
                self._say("spent", 0, None)
            slots = slots and max(1, slots - len(self._keepers))
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


def session_members(leader: int) -> list[int]:
    """Return the living processes of a session but its leader."""
    found = []
    for process in psutil.pids():
        with contextlib.suppress(OSError, psutil.Error):
            if process != leader and os.getsid(process) == leader and psutil.Process(process).status() not in ENDED:
                found.append(process)
    return found


def end_session(leader: int) -> None:
    """Kill what a driver has started. Ray's own way takes 6 s, since its processes have the stop signals blocked."""
    while members := session_members(leader):
        for process in members:
            with contextlib.suppress(OSError):
                os.kill(process, signal.SIGKILL)
        time.sleep(0.01)


def main(descriptor: int) -> None:
    """Serve as the driver of the engine at the other end of an inherited pipe."""
    pipe: Connection = Connection(descriptor)
    _, settings = pipe.recv()
    campaign, status = os.getppid(), 1
    try:
        Driver(pipe, settings).run()
        status = 0
    except NodeGone as error:
        print(error, file=sys.stderr, flush=True)
    except Exception as error:
        traceback.print_exc()
        with contextlib.suppress(OSError):
            pipe.send(("error", 0, f"{type(error).__name__}: {error}"))
    finally:
        if settings.address:
            import ray

            ray.shutdown()
        end_session(os.getpid())
        if status == 0 or os.getppid() != campaign:
            shutil.rmtree(settings.folder, ignore_errors=True)
        # Ray's own end would wait for processes that are gone.
        os._exit(status)
