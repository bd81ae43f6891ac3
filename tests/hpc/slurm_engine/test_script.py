"""What the SLURM engine reads and writes, without a cluster: states, ids, words of bash, options."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phloem.hpc.commands import run_command
from phloem.hpc.slurm_engine.job_states import end_class, expand_tasks
from phloem.hpc.slurm_engine.launcher import SlurmOptions, shares
from phloem.hpc.slurm_engine.script import log_option, shell_word
from phloem.hpc.tasks import EngineError

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(
    ("state", "meaning"),
    [
        ("COMPLETED", "completed"),
        ("PREEMPTED", "preempted"),
        ("TIMEOUT", "walltime"),
        ("NODE_FAIL", "node lost"),
        ("BOOT_FAIL", "node lost"),
        ("OUT_OF_MEMORY", "out of memory"),
        ("CANCELLED", "cancelled"),
        ("FAILED", "worker lost"),
        ("RUNNING", "running"),
        ("COMPLETING", "running"),
        ("CONFIGURING", "running"),
        ("PENDING", "pending"),
        ("REQUEUED", "pending"),
        ("UNKNOWN", "unknown"),
        ("A_STATE_OF_A_LATER_SLURM", "unknown"),
        ("", "unknown"),
    ],
)
def test_what_a_state_means(state: str, meaning: str) -> None:
    assert end_class(state) == meaning


@pytest.mark.parametrize(
    ("text", "indices"),
    [("7_[0-3]", [0, 1, 2, 3]), ("7_[5]", [5]), ("7_[1-2,9,20-24:2%3]", [1, 2, 9, 20, 22, 24]), ("7_[3%1]", [3])],
)
def test_waiting_tasks_are_told_apart(text: str, indices: list[int]) -> None:
    assert expand_tasks(text) == [f"7_{index}" for index in indices]


def test_single_ids_stand_for_themselves() -> None:
    assert [expand_tasks(one) for one in ("7", "7_1")] == [["7"], ["7_1"]]


def test_every_word_survives_bash() -> None:
    @given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0")), min_size=1, max_size=20))
    def survives(words: list[str]) -> None:
        line = " ".join(map(shell_word, words))
        assert not set("\n\r") & set(line)
        done = subprocess.run(["bash", "-c", f"printf '%s\\0' {line}"], capture_output=True, check=True)
        assert done.stdout.split(b"\0")[:-1] == [word.encode() for word in words]

    survives()


def test_logs_in_folders_that_slurm_cannot_name_are_opened_by_the_script() -> None:
    assert log_option(Path("/a b/it's"), True) == ("/a b/it's/slurm-%A_%a.log", "")
    assert log_option(Path("/a"), False) == ("/a/slurm-%j.log", "")
    for folder in ("/50%", "/a\\b", "/two\nlines"):
        output, line = log_option(Path(folder), True)
        assert output == "/dev/null"
        assert line.startswith("exec >>")


@given(st.integers(1, 2000), st.integers(1, 50))
def test_shares_are_even(total: int, parts: int) -> None:
    found = shares(total, parts)
    assert (sum(found), len(found)) == (total, parts)
    assert max(found) - min(found) <= 1


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"walltime_minutes": 0}, "walltime_minutes"),
        ({"walltime_minutes": 2, "signal_seconds": 120}, "signal_seconds"),
        ({"signal_seconds": 0}, "signal_seconds"),
        ({"throttle": -1}, "throttle"),
        ({"sbatch": {"array": "0-3"}}, "array is not free: it is set by the number of tasks"),
        ({"sbatch": {"--open_mode": "truncate"}}, "open_mode is not free"),
        ({"sbatch": {"partition": "x"}}, "set partition"),
        ({"sbatch": {"cpus-per-task": 3}}, "set cpus_per_task"),
    ],
)
def test_options_that_cannot_be_are_refused_by_name(options: dict, named: str) -> None:
    with pytest.raises(EngineError, match=named):
        SlurmOptions(**options)


def test_engines_packages_are_not_imported_with_the_part() -> None:
    program = "import sys, phloem.hpc; print([name for name in ('submitit', 'ray', 'mpi4py') if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True).stdout == "[]\n"


def test_a_command_that_fails_is_named_with_what_it_said() -> None:
    assert run_command(["echo", "a b"]) == "a b\n"
    with pytest.raises(EngineError, match="`sh -c echo no >&2; exit 3` failed with status 3: no") as failed:
        run_command(["sh", "-c", "echo no >&2; exit 3"])
    assert (failed.value.said, failed.value.answered) == ("no", True)
    with pytest.raises(EngineError, match=r"`sleep 60` did not answer within 0.1 s") as late:
        run_command(["sleep", "60"], seconds=0.1)
    assert not late.value.answered
    with pytest.raises(EngineError, match="could not be started"):
        run_command(["no-such-program-here"])
