"""The SLURM launcher on a real cluster: arrays, throttles, dependencies, options, awkward paths."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from phloem.hpc.slurm_engine.control import exclude_node, limits
from phloem.hpc.slurm_engine.job_states import end_class, job_states
from phloem.hpc.tasks import EngineError
from tests.support.engines.slurm_cluster import SlurmCluster
from tests.support.engines.slurm_runs import Run

pytestmark = pytest.mark.engine


def test_limits_of_the_cluster(slurm: SlurmCluster) -> None:
    found = limits()
    assert (found.max_array_size, found.requeue, found.accounting) == (11, True, False)


def test_arrays_are_split_and_throttled_together(slurm_run: Run) -> None:
    done = slurm_run.submit(25, "--hold", first=5, throttle=5)
    assert [(one.first, one.count) for one in done] == [(5, 9), (14, 8), (22, 8)]
    slurm_run.cluster.wait_for(lambda: len(slurm_run.running()) == 5, "5 running tasks")
    reasons = slurm_run.cluster.say("squeue", "-h", "-r", "-t", "PD", "-o", "%r").split()
    assert reasons == ["JobArrayTaskLimit"] * 20
    slurm_run.release()
    slurm_run.cluster.wait_until_empty()
    ends = slurm_run.ended()
    assert sorted(one["task"] for one in ends) == list(range(5, 30))
    assert slurm_run.most_at_once() <= 5
    assert {one["task"]: one["id"] for one in ends} == {
        index: task for one in done for index, task in one.tasks.items()
    }
    assert set(job_states([one.job for one in done]).items()) == {(task, "COMPLETED") for task in slurm_run.ids}


def test_a_throttle_below_the_number_of_arrays(slurm_run: Run) -> None:
    done = slurm_run.submit(23, "--hold", throttle=2)
    assert [one.count for one in done] == [8, 8, 7]
    slurm_run.cluster.wait_for(lambda: len(slurm_run.running()) == 2, "2 running tasks")
    waiting = slurm_run.cluster.say("squeue", "-h", "-j", done[2].job, "-o", "%r %E")
    assert waiting.startswith(f"Dependency afterany:{done[0].job}_")
    slurm_run.release()
    slurm_run.cluster.wait_until_empty()
    assert sorted(one["task"] for one in slurm_run.ended()) == list(range(23))
    assert slurm_run.most_at_once() <= 2


def test_a_cluster_without_arrays_gets_single_jobs(slurm_run: Run) -> None:
    done = slurm_run.submit(4, first=7, throttle=2, arrays=False)
    slurm_run.cluster.wait_until_empty()
    assert [one.tasks for one in done] == [{7 + n: one.job} for n, one in enumerate(done)]
    assert slurm_run.most_at_once() <= 2
    notes = slurm_run.started()
    assert {task: note["id"] for task, note in notes.items()} == {7 + n: one.job for n, one in enumerate(done)}
    assert {note["array_task"] for note in notes.values()} == {None}


def test_a_single_job_waits_for_all_others(slurm_run: Run) -> None:
    arrays = slurm_run.submit(14, "--hold")
    merge = slurm_run.launcher().submit_one(
        slurm_run.command(), dependency="afterany:" + ":".join(one.job for one in arrays)
    )
    slurm_run.cluster.wait_for(slurm_run.running, "running tasks")
    assert end_class(job_states([merge.job])[merge.job]) == "pending"
    assert slurm_run.cluster.say("squeue", "-h", "-j", merge.job, "-o", "%r") == "Dependency"
    slurm_run.release()
    slurm_run.cluster.wait_until_empty()
    assert len(slurm_run.ended()) == 15
    (note,) = slurm_run.notes_of("one")
    assert note["began"] >= max(one["ended"] for one in slurm_run.ended() if one["task"] is not None)
    assert note["id"] == merge.job


COMMENT = r"""it's "50%" \a \\ $HOME #1 `x`"""


def test_options_reach_the_job(slurm_run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    # a user's defaults for sbatch win over directives: what the launcher sets itself must hold all the same
    monkeypatch.setenv("SBATCH_TIMELIMIT", "3")
    monkeypatch.setenv("SBATCH_ARRAY_INX", "0-9")
    monkeypatch.setenv("SBATCH_SIGNAL", "INT@7")
    (one,) = slurm_run.submit(
        1,
        "--hold",
        walltime_minutes=77,
        cpus_per_task=2,
        memory="100M",
        constraint="",
        setup=("SETUP_FIRST='hello  world'", "export SETUP_SAID=$SETUP_FIRST"),
        sbatch={"comment": COMMENT, "nice": 5, "--exclusive": True, "contiguous": False, "ntasks_per_core": 1},
    )
    note = slurm_run.wait_noted(0)
    assert note["variables"]["SETUP_SAID"] == "hello  world"
    assert 76 * 60 < note["ends_at"] - note["began"] <= 78 * 60
    shown = slurm_run.cluster.say("scontrol", "show", "job", f"{one.job}_0")
    assert f"Comment={COMMENT} \n" in shown
    for text in ("TimeLimit=01:17:00", "Nice=5", "OverSubscribe=NO", "CPUs/Task=2", "MinMemoryNode=100M"):
        assert text in shown
    assert "ArrayTaskId=0 " in shown
    assert "#SBATCH --signal=B:USR2@120\n" in one.script.read_text()
    assert len(slurm_run.cluster.squeue("-j", one.job)) == 1


def test_files_have_the_users_umask_and_no_pickle_is_written(slurm_run: Run) -> None:
    before = os.umask(0o027)
    try:
        slurm_run.submit(2)
    finally:
        os.umask(before)
    (one,) = slurm_run.submitted
    slurm_run.cluster.wait_until_empty()
    files = sorted(path for path in slurm_run.scripts.rglob("*"))
    assert [path.name for path in files] == sorted(["test-1.sh", *(f"slurm-{task}.log" for task in slurm_run.ids)])
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o640}
    assert all(path.read_text().isprintable() or "\n" in path.read_text() for path in files)
    text = one.script.read_text()
    assert "pickle" not in text
    assert "submitit.core" not in text


def test_callables_are_refused(slurm_run: Run) -> None:
    with pytest.raises(EngineError, match="pickles"):
        slurm_run.launcher()._executor.submit(print, "x")
    assert list(slurm_run.scripts.iterdir()) == []


AWKWARD = {
    "quotes": 'it\'s a "place" $HOME `x` (1); #2 & *é',
    "percent": "50% %j %A",
    "newline": "two\nlines",
    "all": 'it\'s "50%" $HOME \\ \\n\nand\r\n\ttabs\x7f',
}


@pytest.mark.parametrize("kind", AWKWARD)
def test_awkward_paths(slurm: SlurmCluster, tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / AWKWARD[kind]
    run = Run.in_folder(slurm, place)
    monkeypatch.chdir(place)
    run.submit(2)
    one = run.launcher().submit_one(run.command())
    slurm.wait_until_empty()
    assert sorted(run.started()) == [0, 1]
    for note in (*run.started().values(), *run.notes_of("one")):
        assert note["cwd"] == str(place)
        log = run.scripts / f"slurm-{note['id']}.log"
        assert log.read_text() == f"task {note['task']} of job {note['id']}\n"
    assert run.started()[1]["script"] == str(run.submitted[0].script)
    assert run.notes_of("one")[0]["script"] == str(one.script)
    assert not [path for path in tmp_path.iterdir() if path != place]


def test_srun_starts_the_command_and_hears_the_signal(slurm_run: Run) -> None:
    (one,) = slurm_run.submit(1, "--hold", "--on-usr2", "resubmit", use_srun=True, requeue=False)
    note = slurm_run.wait_noted(0)
    assert note["variables"]["SLURM_STEP_ID"] == "0"
    # without --batch: to the steps, as the directive says with srun
    slurm_run.cluster.say("scancel", "--signal=USR2", f"{one.job}_0")
    again = slurm_run.wait_noted(0, times=2)
    assert again["variables"]["SLURM_STEP_ID"] == "0"
    assert again["array_job"] != note["array_job"]


def test_excluded_nodes_are_not_used(slurm_run: Run) -> None:
    (one,) = slurm_run.submit(6, "--hold", cpus_per_task=4, exclude=("n1",))
    slurm_run.cluster.wait_for(lambda: len(slurm_run.running()) == 2, "2 running tasks")
    first = set(slurm_run.running())
    assert exclude_node([one.job], "n2") == 4
    assert exclude_node([one.job], "n2") == 4, "again does no harm"
    slurm_run.release()
    slurm_run.cluster.wait_until_empty()
    nodes = {note["id"]: note["node"] for note in slurm_run.started().values()}
    assert {nodes[task] for task in first} == {"n2", "n3"}
    assert {node for task, node in nodes.items() if task not in first} == {"n3"}
    assert exclude_node([one.job], "n3") == 0, "nothing waits any more"


def test_what_sbatch_refuses_is_said(slurm_run: Run) -> None:
    with pytest.raises(EngineError, match=r"sbatch .*test-1\.sh. failed .*invalid partition"):
        slurm_run.submit(1, partition="nowhere")
    with pytest.raises(EngineError, match="unrecognized option '--frobnicate"):
        slurm_run.submit(1, sbatch={"frobnicate": "high"})
    with pytest.raises(EngineError, match=r"afterany:x"):
        slurm_run.submit(1, dependency="afterany:x\n")
    with pytest.raises(EngineError, match="NUL"):
        slurm_run.launcher().submit(["a\0b"], 1)
    assert slurm_run.cluster.say("squeue", "-h", "--me") == ""


SHIM = """#!/bin/sh
echo x >> {calls}
[ "$(wc -l < {calls})" = 2 ] && {{ echo "sbatch: error: the queue is full" >&2; exit 1; }}
PATH={path} exec sbatch "$@"
"""


def test_a_submission_that_fails_half_way_is_withdrawn(
    slurm_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bin").mkdir()
    shim, calls = tmp_path / "bin/sbatch", tmp_path / "calls"
    shim.write_text(SHIM.format(calls=calls, path=os.environ["PATH"]))
    shim.chmod(0o755)
    monkeypatch.setenv("PATH", f"{shim.parent}:{os.environ['PATH']}")
    before = set(slurm_run.cluster.squeue())
    with pytest.raises(EngineError, match=r"the queue is full; the jobs submitted before it, (\d+), were cancelled"):
        slurm_run.submit(25, "--hold")
    assert len(calls.read_text().split()) == 2, "the fault was there"
    slurm_run.cluster.wait_until_empty()
    new = {task: state for task, state in slurm_run.cluster.squeue().items() if task not in before}
    assert set(new.values()) == {"CANCELLED"}


def test_without_slurm_on_path_it_is_said(tmp_path: Path) -> None:
    program = (
        "import pathlib, sys\n"
        "from phloem.hpc.slurm_engine.control import limits\n"
        "from phloem.hpc.slurm_engine.job_states import job_states\n"
        "from phloem.hpc.slurm_engine.launcher import SlurmLauncher, SlurmOptions\n"
        "from phloem.hpc.tasks import EngineError\n"
        "for do in (lambda: SlurmLauncher(pathlib.Path(sys.argv[1]), 'x', SlurmOptions()), limits):\n"
        "    try: do()\n"
        "    except EngineError as error: print(error)\n"
        "print(job_states(['1', '2_3']))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, tmp_path], env={"PATH": "/nowhere"}, capture_output=True, text=True, check=True
    )
    said = done.stdout.splitlines()
    assert said[0].startswith("SLURM's commands are not on PATH here")
    assert said[1].startswith("`scontrol show config` could not be started")
    assert said[2] == "{'1': 'UNKNOWN', '2_3': 'UNKNOWN'}"
