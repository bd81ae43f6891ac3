"""What the tests run on: commands forked from a warm interpreter, and compiled programs kept from run to run."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import zlib
from pathlib import Path

import pytest

from tests.support.campaigns.campaigns import WARM
from tests.support.compiled_programs import CompiledPrograms
from tests.support.once import once_a_run
from tests.support.rooms import LONG
from tests.support.warm_interpreter import SET_BY_IMPORTS, WarmInterpreter

TELLS = """
import os, sys
assert __name__ == "__main__"
print(sys.argv[1:], os.getcwd(), os.environ.get("COLUMNS"), sys.path[0])
print("said", file=sys.stderr)
if sys.argv[1:]:
    sys.exit({"3": 3, "words": "no more", "error": None}[sys.argv[1]] or 1 / 0)
"""


@pytest.fixture
def script(tmp_path: Path) -> str:
    path = tmp_path / "script"
    path.write_text(TELLS)
    return str(path)


def test_a_forked_command_has_its_own_arguments_folder_environment_and_output(script: str, tmp_path: Path) -> None:
    there = tmp_path / "there"
    there.mkdir()
    done = WARM.run([script], there, {**os.environ, "COLUMNS": "7"}, 60)
    assert (done.returncode, done.stderr) == (0, "said\n")
    assert done.stdout == f"[] {there} 7 {tmp_path}\n"


@pytest.mark.parametrize(("word", "status", "last"), [("3", 3, "said"), ("words", 1, "no more"), ("error", 1, "zero")])
def test_a_forked_command_ends_as_one_started_afresh(
    script: str, tmp_path: Path, word: str, status: int, last: str
) -> None:
    done = WARM.run([script, word], tmp_path, os.environ, 60)
    afresh = subprocess.run([sys.executable, script, word], capture_output=True, text=True)
    assert done.returncode == afresh.returncode == status
    assert done.stderr.splitlines()[-1].endswith(last)
    assert done.stderr.splitlines()[-1] == afresh.stderr.splitlines()[-1]


def test_a_forked_command_that_takes_too_long_is_killed_and_others_follow(tmp_path: Path) -> None:
    path = tmp_path / "sleeper"
    path.write_text("import os, time\nopen('pid', 'w').write(str(os.getpid()))\ntime.sleep(600)\n")
    with pytest.raises(subprocess.TimeoutExpired):
        WARM.run([str(path)], tmp_path, os.environ, 2)
    assert not Path("/proc", (tmp_path / "pid").read_text()).exists()
    path.write_text("print('next')\n")
    assert WARM.run([str(path)], tmp_path, os.environ, 60).stdout == "next\n"


def test_another_environment_needs_an_interpreter_started_afresh() -> None:
    interpreter = WarmInterpreter()  # not started: its environment is that of this process now
    assert interpreter.refuses({**os.environ, "COLUMNS": "80"}) == set()
    assert (
        interpreter.refuses({name: value for name, value in os.environ.items() if name not in SET_BY_IMPORTS}) == set()
    )
    other = {**os.environ, "JAX_ENABLE_COMPILATION_CACHE": "false"}
    assert interpreter.refuses(other) == {"JAX_ENABLE_COMPILATION_CACHE"}
    assert interpreter.refuses({n: value for n, value in os.environ.items() if n != "PYTHONPATH"}) == {"PYTHONPATH"}


def test_imports_set_no_other_variable_than_those_that_make_no_difference() -> None:
    words = "import os; before = set(os.environ); from tests.support.warm_interpreter import warm; warm(); "
    words += "print(*(set(os.environ) - before))"
    plain = {name: value for name, value in os.environ.items() if name not in SET_BY_IMPORTS}
    done = subprocess.run([sys.executable, "-c", words], env=plain, capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) <= SET_BY_IMPORTS


def test_compiled_programs_are_kept_whole_and_torn_ones_are_not(tmp_path: Path) -> None:
    first = CompiledPrograms(tmp_path)
    program = zlib.compress(os.urandom(10_000))
    (first.folder / "whole-cache").write_bytes(program)
    (first.folder / "torn-cache").write_bytes(program[:5_000])
    first.keep()
    assert not first.folder.exists()
    second = CompiledPrograms(tmp_path)
    assert [path.name for path in second.folder.iterdir()] == ["whole-cache"]
    assert (second.folder / "whole-cache").read_bytes() == program


def test_a_program_compiled_in_one_run_is_found_in_the_next(tmp_path: Path) -> None:
    """JAX knows it by a key in which the folder of the run has no part."""
    words = "import jax, jax.numpy as jnp; jax.jit(lambda x: jnp.sin(x) * 3 + x)(jnp.ones(7))"
    names = []
    for _ in range(2):
        run = CompiledPrograms(tmp_path)
        environment = {**os.environ, "JAX_COMPILATION_CACHE_DIR": str(run.folder)}
        subprocess.run([sys.executable, "-c", words], env=environment, check=True)
        names.append({path.name for path in run.folder.glob("*-cache")})
        run.keep()
    assert any(name.startswith("jit__lambda") for name in names[0])
    assert names[1] == names[0]


def test_folders_of_runs_that_were_killed_are_removed_when_they_are_old(tmp_path: Path) -> None:
    left, young = CompiledPrograms(tmp_path), CompiledPrograms(tmp_path)
    long_ago = time.time() - 2 * 86_400
    os.utime(left.folder, (long_ago, long_ago))
    CompiledPrograms(tmp_path)
    assert young.folder.exists()
    assert not left.folder.exists()


def test_what_is_made_once_a_run_is_made_again_only_where_it_failed(tmp_path_factory: pytest.TempPathFactory) -> None:
    made = []

    def fail(folder: Path) -> None:
        (folder / "half").touch()
        raise OSError("no space")

    def make(folder: Path) -> None:
        assert not list(folder.iterdir())
        made.append(folder)
        (folder / "whole").touch()

    with pytest.raises(OSError, match="no space"):
        once_a_run(tmp_path_factory, "trial", fail)
    for _ in range(2):
        assert [path.name for path in once_a_run(tmp_path_factory, "trial", make).iterdir()] == ["whole"]
    assert len(made) == 1


def test_what_make_quick_leaves_out_is_there() -> None:
    assert [name for name in sorted(LONG) if not (Path(__file__).parent / name).exists()] == []
