"""The Ray engine on the real Ray: a local one, and clusters of three nodes on this machine."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from phloem.hpc.ray_engine.engine import RayEngine
from phloem.hpc.tasks import EngineError, Task
from tests.support.engines.killing import descendants
from tests.support.engines.ray_tasks import run, tasks
from tests.support.processes import alive, until

pytest.importorskip("ray", reason="the ray engine needs the package ray")
pytestmark = pytest.mark.engine

SMALL = {"object_store_memory": 80 * 2**20, "include_dashboard": False}
"""What a node of a cluster in these tests is given."""

Campaign = Callable[..., "subprocess.Popen[str]"]


def marks(folder: Path, name: str) -> int:
    return sum(path.stat().st_size for path in folder.glob(name))


def ray_folders() -> set[Path]:
    return set(Path(tempfile.gettempdir()).glob("phloem-ray-*"))


def test_outcomes_reports_and_what_is_left(tmp_path: Path) -> None:
    """Everything that ends a task in a Ray that lives on."""
    said: list[tuple[int, str]] = []
    before = ray_folders()
    handlers = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    engine = RayEngine(2, on_report=lambda key, message: said.append((key, message)), worker_retries=2)
    given = [*tasks("double", range(6)), *tasks("fail", range(6, 7)), *tasks("run_out", range(7, 8))]
    given += [*tasks("cannot_be_sent", range(8, 9)), Task(9, "tests.support.engines.ray_tasks:no_such", {})]
    given += [*tasks("die", range(10, 11), folder=str(tmp_path), deaths=2)]
    given += [*tasks("die", range(11, 12), folder=str(tmp_path), deaths=9), *tasks("double", range(12, 13))]
    found = run(engine, given)
    assert {key: found[key].value for key in (*range(6), 12)} == {n: 2 * n for n in (*range(6), 12)}
    assert sorted(said) == [(n, f"doubling {n}") for n in (*range(6), 12)]
    assert (found[6].kind, found[6].error, found[6].message) == ("failed", "ValueError", "number 6 is not liked")
    assert "ray_tasks.py" in found[6].value
    assert (found[7].kind, found[7].error, found[7].message) == ("failed", "MemoryError", "out of memory")
    assert (found[8].kind, found[8].error) == ("failed", "TypeError")
    assert (found[9].kind, found[9].error) == ("failed", "AttributeError")
    assert marks(tmp_path, "deaths-10") == 2
    assert (found[10].kind, found[10].value) == ("done", 3), "Ray tried again after each death"
    assert marks(tmp_path, "deaths-11") == 3
    assert (found[11].kind, found[11].error) == ("lost", "WorkerLost")
    assert not descendants(os.getpid()), "no process is left"
    assert ray_folders() <= before, "nor a file"
    assert handlers == [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]


def test_listens_on_loopback_only_and_runs_no_more_than_its_workers(tmp_path: Path) -> None:
    engine = RayEngine(2)
    listening: set[str] = set()
    met = []
    for outcome in engine.run(tasks("meet", range(8), folder=str(tmp_path))):
        met.append(outcome.value)
        mine = descendants(os.getpid())
        shown = subprocess.run(["ss", "-ltnpH"], capture_output=True, text=True, check=True).stdout
        listening |= {line.split()[3] for line in shown.splitlines() if any(f"pid={pid}," in line for pid in mine)}
    assert len(met) == 8
    assert max(met) == 2
    assert len(listening) >= 5
    assert {address.rpartition(":")[0] for address in listening} <= {"127.0.0.1", "[::ffff:127.0.0.1]", "[::1]"}


def test_environment_is_there_before_the_interpreter(tmp_path: Path) -> None:
    """PYTHONPATH is read once, when Python starts: a module that only it leads to shows that it was set before."""
    (tmp_path / "only_there.py").write_text("def name(arguments, context):\n    return __name__\n")
    wanted = {"JAX_PLATFORMS": "cpu", "NPROC": "1", "OMP_NUM_THREADS": "3", "PYTHONPATH": str(tmp_path)}
    engine, before = RayEngine(1, environment=wanted), dict(os.environ)
    found = run(engine, [Task(0, "only_there:name", {}), *tasks("environment", range(1, 2), names=list(wanted))])
    assert found[0].value == "only_there"
    assert found[1].value == wanted | {"PYTHONPATH": found[1].value["PYTHONPATH"]}
    assert str(tmp_path) in found[1].value["PYTHONPATH"].split(os.pathsep)
    assert {name: os.environ.get(name) for name in wanted} == {name: before.get(name) for name in wanted}


def test_tasks_are_taken_as_there_is_room() -> None:
    taken, ahead = 0, []

    def endless() -> Iterator[Task]:
        nonlocal taken
        for task in tasks("double", range(500)):
            taken += 1
            yield task

    ended = set()
    for outcome in RayEngine(2).run(endless()):
        ended.add((outcome.key, outcome.value))
        ahead.append(taken - len(ended))
    assert ended == {(n, 2 * n) for n in range(500)}
    assert max(ahead) <= 4, "twice the workers"


def test_no_tasks_need_no_ray() -> None:
    assert run(RayEngine(1, address="127.0.0.1:1"), []) == {}


def test_a_closed_generator_stops_what_runs(tmp_path: Path) -> None:
    outcomes = RayEngine(2).run([*tasks("double", range(1)), *tasks("wait", range(1, 3), folder=str(tmp_path))])
    assert next(outcomes).value == 0
    until(lambda: list(tmp_path.glob("running-*")))
    outcomes.close()
    assert len(list(tmp_path.glob("kept-*"))) == len(list(tmp_path.glob("running-*"))) > 0
    assert not descendants(os.getpid())


def test_more_than_any_node_has() -> None:
    with pytest.raises(EngineError, match="1 GPU, where no node has more than 0"):
        run(RayEngine(1, gpus_per_task=1), tasks("double", range(2)))
    assert not descendants(os.getpid())


@pytest.fixture
def campaign(tmp_path: Path) -> Iterator[Campaign]:
    """Start a process that waits in two workers; nothing of it is left afterwards."""
    started: list[subprocess.Popen[str]] = []
    below: set[int] = set()

    def start(*words: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "tests.support.engines.ray_tasks", str(tmp_path), *words]
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
        )
        started.append(process)
        until(lambda: len(list(tmp_path.glob("running-*"))) == 2)
        below.update(descendants(process.pid))
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
    for pid in filter(alive, below):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def workers(folder: Path, state: str) -> list[int]:
    return [int(path.name.partition("-")[2]) for path in folder.glob(f"{state}-*")]


@contextlib.contextmanager
def in_background(call: Callable[[], None]) -> Iterator[None]:
    """Do something meanwhile; what it raises is raised here."""
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(call)
        yield
        future.result()


@pytest.mark.parametrize(
    ("whom", "number"), [("process", signal.SIGTERM), ("group", signal.SIGINT), ("everyone", signal.SIGTERM)]
)
def test_a_stop_signal(campaign: Campaign, tmp_path: Path, whom: str, number: signal.Signals) -> None:
    """To the process, to its group (a terminal's Ctrl-C), to every process of the job (a batch system)."""
    process = campaign()
    below = descendants(process.pid)
    assert any("/raylet --" in line for line in below.values())
    if whom == "group":
        os.killpg(process.pid, number)
    else:
        for pid in [*below] * (whom == "everyone") + [process.pid]:
            os.kill(pid, number)
    said, _ = process.communicate(timeout=60)
    *ends, flag, handlers = said.splitlines()
    assert (flag, handlers) == (f"flag {number.name}", "handlers True")
    assert {end.partition(" ")[0] for end in ends} == {"stopped"}
    assert ends.count("stopped state kept") >= 2
    assert whom == "everyone" or len(ends) == 2, "waiting tasks do not start"
    assert sorted(workers(tmp_path, "kept")) == sorted(workers(tmp_path, "running"))
    assert not any(map(alive, below))


def test_workers_end_with_a_killed_campaign(campaign: Campaign, tmp_path: Path) -> None:
    """They keep their state first, and of Ray no process and no file is left."""
    before = ray_folders()
    process = campaign()
    below = descendants(process.pid)
    assert len(ray_folders() - before) == 1
    process.kill()
    until(lambda: not any(map(alive, below)), 20)
    until(lambda: ray_folders() <= before)
    assert sorted(workers(tmp_path, "kept")) == sorted(workers(tmp_path, "running"))


def test_a_killed_raylet_costs_what_had_begun(tmp_path: Path) -> None:
    """Ray on this machine is started anew for the tasks that wait."""
    killed = []

    def kill() -> None:
        until(lambda: list(tmp_path.glob("running-*")))
        killed.extend(pid for pid, line in descendants(os.getpid()).items() if "/raylet --" in line)
        os.kill(killed[0], signal.SIGKILL)

    with in_background(kill):
        found = run(RayEngine(1), [*tasks("wait", range(1), folder=str(tmp_path)), *tasks("double", range(1, 5))])
    assert len(killed) == 1
    assert found[0].kind in ("lost", "stopped")
    assert {key: found[key].value for key in range(1, 5)} == {n: 2 * n for n in range(1, 5)}


def test_ray_kills_for_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray's memory monitor, told of a limit 2 GiB above what is used now, tries again as for other deaths."""
    lines = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    total, free = (int(lines[name].split()[0]) * 1024 for name in ("MemTotal", "MemAvailable"))
    if free < 10 * 2**30:
        pytest.skip(f"the task that fills memory wants 10 GiB of it free, there are {free / 2**30:.1f}")
    monkeypatch.setenv("RAY_memory_usage_threshold", f"{(total - free + 2 * 2**30) / total:.4f}")
    monkeypatch.setenv("RAY_memory_monitor_refresh_ms", "50")
    found = run(RayEngine(1, worker_retries=1), tasks("swell", range(1), folder=str(tmp_path)))
    assert marks(tmp_path, "attempts-0") == 2
    assert (found[0].kind, found[0].error) == ("lost", "WorkerLost"), found[0]
    assert found[0].message.startswith("out of memory")


@pytest.fixture(scope="module")
def head() -> Iterator[Any]:
    """A cluster on this machine, so far of one node with one core."""
    from ray.cluster_utils import Cluster

    before = signal.getsignal(signal.SIGTERM)
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, **SMALL})
    yield cluster
    cluster.shutdown()
    signal.signal(signal.SIGTERM, before)


@pytest.fixture
def cluster(head: Any) -> Any:
    """A cluster of three nodes: a head with one core, and two others with two."""
    while len(head.worker_nodes) < 2:
        head.add_node(num_cpus=2, **SMALL)
    return head


def lose_a_node(cluster: Any, folder: Path, lost: list[str]) -> None:
    """Kill a node on which a task runs."""
    nodes = {node.node_id: node for node in cluster.worker_nodes}
    until(lambda: [path for path in folder.glob("begun-*") if path.name.rpartition("-")[2] in nodes])
    busy = [path.name.rpartition("-")[2] for path in folder.glob("begun-*")]
    lost.append(next(node for node in busy if node in nodes))
    cluster.remove_node(nodes[lost[0]], allow_graceful=False)


@pytest.mark.parametrize("retries", [3, 0])
def test_a_lost_node(cluster: Any, tmp_path: Path, retries: int) -> None:
    lost: list[str] = []
    given = tasks("work", range(10), folder=str(tmp_path), seconds=3)
    with in_background(lambda: lose_a_node(cluster, tmp_path, lost)):
        found = run(RayEngine(0, address=cluster.address, worker_retries=retries), given)
    assert len(found) == 10
    there = {int(path.name.split("-")[1]) for path in tmp_path.glob(f"begun-*-{lost[0]}")}
    died = {key for key in there if found[key].value != lost[0]}
    assert died, "tasks ran on the node that was lost"
    if retries:
        assert {outcome.kind for outcome in found.values()} == {"done"}
        assert marks(tmp_path, "begun-*") == 10 + len(died), "no task began more often than the loss explains"
    else:
        gone = {key for key in found if found[key].kind == "lost"}
        assert died <= gone
        assert len(gone) <= 2, "a node of two cores"
        assert {found[key].error for key in gone} <= {"NodeLost", "WorkerLost"}
        assert {found[key].kind for key in set(found) - gone} == {"done"}


def test_a_cluster_lacks_what_a_task_asks_for(cluster: Any) -> None:
    engine = RayEngine(0, address=cluster.address, cpus_per_task=64, node_seconds=2)
    with pytest.raises(EngineError, match="64 CPU, where no node has more than 2"):
        run(engine, tasks("double", range(2)))
    with pytest.raises(EngineError, match="auto"):
        run(RayEngine(0, address="ray://somewhere:10001"), tasks("double", range(2)))


def test_workers_of_a_cluster_end_with_a_killed_campaign(cluster: Any, campaign: Campaign, tmp_path: Path) -> None:
    process = campaign(cluster.address)
    held = workers(tmp_path, "running")
    below = descendants(process.pid)
    process.kill()
    until(lambda: set(workers(tmp_path, "kept")) >= set(held), 10)
    until(lambda: not any(map(alive, below)), 20)
    assert sorted(workers(tmp_path, "kept")) == sorted(workers(tmp_path, "running"))


def test_a_killed_driver_costs_what_had_begun(cluster: Any, campaign: Campaign, tmp_path: Path) -> None:
    """Ray ends its workers at once; the campaign goes on through another driver."""
    process = campaign(cluster.address)
    held = workers(tmp_path, "running")
    assert all(map(alive, held))
    drivers = [pid for pid, line in descendants(process.pid).items() if "ray_engine.driver" in line]
    assert len(drivers) == 1
    os.kill(drivers[0], signal.SIGKILL)
    until(lambda: not any(map(alive, held)), 10)
    until(lambda: len(set(workers(tmp_path, "running")) - set(held)) == 2)
    process.terminate()
    said, _ = process.communicate(timeout=60)
    kinds = [line.partition(" ")[0] for line in said.splitlines()]
    assert kinds.count("lost") <= 2, "what the driver had heard of; the rest is tried again"
    assert [kind for kind in kinds if kind != "lost"] == ["stopped", "stopped", "flag", "handlers"]
