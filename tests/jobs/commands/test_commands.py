"""Commands that set up a campaign or look at one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from phloem.jobs.config.campaign_file import load_configuration
from phloem.version import VERSION
from tests.support.campaigns.campaigns import PHLOEM, command, count, end, start, succeed, tower_file, wait_for
from tests.support.processes import children

COMMANDS = ["new", "doctor", "plan", "run", "status", "retry", "merge", "report", "simulate", "evaluate", "demo"]
COMMANDS += ["normalise"]
TILES = {"done", "running", "failed", "pending"}


def test_every_command_has_help_with_an_example(tmp_path: Path) -> None:
    listed = succeed("--help", folder=tmp_path)
    for name in COMMANDS:
        assert f" {name} " in listed
        shown = succeed(name, "--help", folder=tmp_path)
        assert f"Example: phloem {name}" in shown, name


def test_version(tmp_path: Path) -> None:
    assert succeed("--version", folder=tmp_path) == f"phloem {VERSION}\n"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_gets_a_script_that_completes(tmp_path: Path, shell: str) -> None:
    script = succeed(folder=tmp_path, _PHLOEM_COMPLETE=f"source_{shell}")
    assert f"_PHLOEM_COMPLETE=complete_{shell}" in script


def test_show_completion_knows_the_shell_it_is_called_from(tmp_path: Path) -> None:
    done = subprocess.run(
        ["bash", "-c", f"{PHLOEM} --show-completion; exit $?"], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "complete -o default -F _phloem_completion phloem" in done.stdout


@pytest.mark.parametrize(
    ("typed", "completed"),
    [
        ("phloem re", {"report", "retry"}),
        ("phloem run X.toml --engine ", {"local", "mpi", "ray", "slurm"}),
        ("phloem run X.toml --det", {"--detach"}),
    ],
)
def test_commands_options_and_choices_are_completed(tmp_path: Path, typed: str, completed: set[str]) -> None:
    asked = {"_PHLOEM_COMPLETE": "complete_bash", "COMP_WORDS": typed, "COMP_CWORD": str(typed.count(" "))}
    assert set(succeed(folder=tmp_path, **asked).split()) == completed


@pytest.mark.parametrize("name", ["", "no-such-command"])
def test_no_such_command(tmp_path: Path, name: str) -> None:
    done = command(*([name] if name else []), folder=tmp_path)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_a_new_file_is_accepted(tmp_path: Path) -> None:
    for site in ("AA-One", "BB-Two"):
        tower_file(tmp_path / "towers", site)
    for name, kind in (("mine", "tower"), ("made-up", "synthetic")):
        written = succeed("new", f"{name}.toml", "--kind", kind, folder=tmp_path)
        assert f"phloem run {name}.toml" in written
        assert load_configuration(tmp_path / f"{name}.toml").campaign.name == name
    found = json.loads(succeed("plan", "mine.toml", "--json", folder=tmp_path))
    assert found["directory"] == "campaigns/mine"
    assert (tmp_path / "campaigns/mine/plan.json").is_file()
    assert (found["tiles"], found["lanes"]) == (1, 10)
    assert found["cell_years"] == pytest.approx(20, rel=0.01)
    assert min(found[key] for key in ("bytes_per_worker", "disk_bytes", "files", "workers")) > 0
    again = succeed("plan", "mine.toml", folder=tmp_path)
    for part in (
        "2 cells x 5 members = 10 lanes",
        "at most 2120 steps of fast each",
        "core-hours",
        "MiB",
        "phloem run campaigns/mine",
    ):
        assert part in again


def test_doctor(tmp_path: Path) -> None:
    found = json.loads(succeed("doctor", "--json", folder=tmp_path))
    assert found["ok"] is True
    levels = {check["name"]: check["level"] for check in found["checks"]}
    assert {"phloem", "python", "packages", "devices", "file system", "engines", "gradient"} <= set(levels)
    assert {"gpus", "ray", "mpi", "slurm", "kernels", "programs"} <= set(levels)
    facts = {check["name"]: check["facts"] for check in found["checks"]}
    usable = [name for name in ("ray", "mpi", "slurm") if levels[name] == "ok"]
    assert facts["engines"]["usable"] == ["local", *usable]
    assert facts["file system"]["folder"] == str(tmp_path.resolve())
    assert facts["kernels"]["files"] > 0, "the gradient was compiled before"
    assert all(check["mend"] for check in found["checks"] if check["level"] == "note")
    assert "problem" not in levels.values()
    assert list(tmp_path.iterdir()) == []


def test_doctor_names_a_problem(tmp_path: Path) -> None:
    done = command("doctor", folder=tmp_path, PHLOEM_DATA=str(tmp_path / "absent"))
    assert done.returncode == 1
    assert "problems with: data" in done.stderr
    assert str(tmp_path / "absent") in done.stdout
    assert "-> unset PHLOEM_DATA, or set it to the folder" in done.stdout


def test_doctor_without_mpiexec_and_slurm_is_well(tmp_path: Path) -> None:
    """Engines that need not be there are notes; the exit status is 0."""
    said = succeed("doctor", folder=tmp_path, PATH="/nonexistent", CC="/usr/bin/cc")
    assert "no sbatch, scontrol, squeue, scancel on PATH: this machine is not of a SLURM cluster" in said
    assert "-> run phloem on a login node of the cluster" in said


def look(root: Path) -> dict:
    found = json.loads(succeed("status", root, "--json", folder=root.parent))
    assert {"tiles", "lanes", "eta_seconds"} <= set(found)
    assert set(found["tiles"]) == TILES
    assert sum(found["tiles"].values()) == 1
    assert sum(found["lanes"].values()) == 6
    return found


def test_status_before_during_and_after(planned_long: Path, undisturbed: Path) -> None:
    before = look(planned_long)
    assert before["tiles"] == {"done": 0, "running": 0, "failed": 0, "pending": 1}
    assert before["eta_seconds"] is None
    assert f"phloem run {planned_long}" in succeed("status", planned_long, folder=planned_long.parent)

    process = start("run", planned_long, folder=planned_long.parent)
    try:
        wait_for(
            "two checkpoints: the first may tell of the start alone", lambda: count(planned_long, "checkpoint") > 1
        )
        during = look(planned_long)
        os.kill(process.pid, signal.SIGTERM)
        assert process.wait(120) == 1
    finally:
        end(process)
    assert during["tiles"] == {"done": 0, "running": 1, "failed": 0, "pending": 0}
    assert during["lanes"]["running"] == 6
    assert 0 < during["eta_seconds"] < 3600

    stopped = look(planned_long)
    assert stopped["tiles"] == before["tiles"], "what was stopped is waiting, not running"
    after = look(undisturbed)
    assert after["tiles"] == {"done": 1, "running": 0, "failed": 0, "pending": 0}
    assert after["eta_seconds"] == 0
    states = {"calibrated", "calibrated_after_redraw", "diverged", "poor_basin", "dead_stand", "budget"}
    assert sum(after["lanes"][name] for name in states) == 6


def test_status_after_a_kill_of_everything(planned_long: Path) -> None:
    """Nothing runs any more, whatever the last beat said."""
    process = start("run", planned_long, folder=planned_long.parent)
    try:
        wait_for("a checkpoint", lambda: count(planned_long, "checkpoint"))
        workers = children(process.pid)
    finally:
        end(process)
    assert len(workers) == 1
    wait_for("the worker's end", lambda: not Path(f"/proc/{workers[0]}").exists(), 20)
    assert list(planned_long.glob("attempts/000/*.beat"))
    assert look(planned_long)["tiles"] == {"done": 0, "running": 0, "failed": 0, "pending": 1}
