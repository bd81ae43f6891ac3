"""Batch scripts: the sbatch text is submitit's, the command is ours, and nothing is ever pickled.

submitit is imported here and nowhere else; this module is imported when a launcher is made.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

import submitit

from phloem.hpc.slurm_engine.control import SCRIPT_VARIABLE
from phloem.hpc.tasks import EngineError

CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def shell_word(text: str) -> str:
    r"""Return text as one word of bash, on one line whatever it holds.

    Control characters are written as octal escapes: sbatch refuses a script that holds `\r\n`, and a script is read by
    people.

    Raises:
        EngineError: the text holds a NUL, which no argument of a program can.
    """
    if "\0" in text:
        raise EngineError(f"a command cannot hold a NUL character: {text!r}")
    if not CONTROL.search(text):
        return shlex.quote(text)
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return "$'" + CONTROL.sub(lambda found: f"\\{ord(found[0]):03o}", escaped) + "'"


def directive(key: str, value: Any) -> Any:
    """Return the value of a `#SBATCH` directive, as submitit must be given it.

    submitit quotes it as for a shell; sbatch then drops backslashes, also inside single quotes.

    Raises:
        EngineError: the value holds a control character; a directive is one line and has no escapes for them.
    """
    if not isinstance(value, str):
        return value
    if CONTROL.search(value):
        raise EngineError(f"the sbatch option {key} cannot hold a line break or another control character: {value!r}")
    return value.replace("\\", "\\\\")


def log_option(folder: Path, array: bool) -> tuple[str, str]:
    """Return where a job's output goes: the `--output` option, and a line for the script (empty: none).

    SLURM expands `%` anywhere in the path, expands nothing in a path with a backslash, and has no way to say a line
    break. Where the folder's path holds one of them, the script itself opens its log; what SLURM's own daemon has to
    say about the job (walltime, cancelled) is then lost.
    """
    plain = not CONTROL.search(str(folder)) and not set("%\\") & set(str(folder))
    if plain:
        return f"{folder}/slurm-{'%A_%a' if array else '%j'}.log", ""
    own = '"$SLURM_ARRAY_JOB_ID"_"$SLURM_ARRAY_TASK_ID"' if array else '"$SLURM_JOB_ID"'
    return "/dev/null", f"exec >>{shell_word(str(folder))}/slurm-{own}.log 2>&1 || exit 1"


class ScriptExecutor(submitit.SlurmExecutor):
    """submitit's SLURM executor as a stateless launcher: its script text, our command, no pickles."""

    def __init__(self, folder: Path) -> None:
        try:
            super().__init__(folder)
        except RuntimeError as error:
            raise EngineError(f"SLURM's commands are not on PATH here: {error}") from error

    def _internal_process_submissions(self, delayed_submissions: Sequence[Any]) -> NoReturn:
        raise EngineError("callables are not submitted, since that would write pickles: submit a command")

    def write(self, command: Sequence[str], tail: str, count: int, parameters: Mapping[str, Any]) -> Path:
        """Write a script to a new file in the folder, named by the job and the first number that is free.

        Args:
            command: program and arguments.
            tail: text of bash after them.
            count: tasks of the array; 0 for a job that is none.
            parameters: what submitit's `update_parameters` takes; lines of our own go before `setup`.
        """
        output, opening = log_option(self.folder, count > 0)
        parameters = {key: directive(key, value) for key, value in parameters.items()}
        more = {key: directive(key, value) for key, value in parameters["additional_parameters"].items()}
        parameters["additional_parameters"] = {**more, "output": output}
        stem = re.sub(r"[^A-Za-z0-9._-]+", "_", parameters["job_name"])
        number = 1 + sum(1 for _ in self.folder.glob(f"{stem}-*.sh"))
        while True:
            path = self.folder / f"{stem}-{number}.sh"
            own = [opening] if opening else []
            setup = [*own, f"export {SCRIPT_VARIABLE}={shell_word(str(path))}", *parameters["setup"]]
            self.update_parameters(**{**parameters, "setup": setup})
            self.parameters["map_count"] = count or None
            # exec, so that a signal to the batch shell is one to the command
            text = self._make_submission_file_text(f"exec {' '.join(map(shell_word, command))}{tail}", "")
            try:
                with path.open("x", encoding="utf-8", errors="surrogateescape") as file:
                    file.write(text)
                return path
            except FileExistsError:
                number += 1
            except OSError as error:
                raise EngineError(f"the batch script {path} could not be written: {error.strerror}") from error
