"""The SLURM engine: a command run as arrays of batch jobs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from itertools import accumulate
from pathlib import Path
from typing import Any

from phloem.arithmetic import ceil_div
from phloem.hpc.slurm_engine.control import cancel_jobs, limits, submit_script
from phloem.hpc.tasks import EngineError

STOP_SIGNAL = "USR2"
OWN_OPTIONS = {
    "array": "it is set by the number of tasks, its throttle by throttle",
    "batch": "the command decides it",
    "chdir": "jobs start where they are submitted",
    "dependency": "it is given with each submission",
    "error": "it goes to the log, with the output",
    "input": "jobs read nothing",
    "job-name": "it is the launcher's name",
    "mem": "set memory instead",
    "no-requeue": "set requeue instead",
    "open-mode": "a requeued job goes on with its log",
    "output": "logs are kept beside the scripts",
    "parsable": "sbatch must say `Submitted batch job`",
    "quiet": "sbatch must say `Submitted batch job`",
    "requeue": "set requeue instead",
    "signal": "set signal_seconds instead",
    "test-only": "nothing would be submitted",
    "time": "set walltime_minutes instead",
    "wrap": "the script is written here",
}
"""sbatch's options that `SlurmOptions.sbatch` may not hold, and why."""


NO_SUCH_NODE = "Requested node configuration is not available"
"""What sbatch says of a job that no node could ever run."""

NODE_OPTIONS = ("gres", "cpus_per_task", "memory", "constraint", "partition", "exclude")
"""Options that narrow down the nodes of a job."""


@dataclass(frozen=True)
class SlurmOptions:
    """Resources and options of batch jobs.

    Attributes:
        partition: queue; empty here and below means that the cluster's default holds.
        account: whom to charge.
        qos: quality of service.
        gres: generic resources, such as `gpu:1`.
        constraint: features that a node must have.
        walltime_minutes: limit of each task.
        cpus_per_task: cores of each task; 0 where nothing is to be asked (whole nodes).
        memory: of a node, as SLURM writes it (`4G`).
        exclude: nodes to avoid.
        throttle: tasks that may run at once, over all arrays of a submission; 0 for no limit.
        signal_seconds: how long before its walltime a task is sent USR2.
        requeue: whether SLURM may put a task back into the queue (node lost, preempted, `requeue_this_job`).
        arrays: whether the cluster takes job arrays; else each task is a job of its own.
        setup: lines of shell before the command, such as module loads; taken as they are.
        sbatch: any other option of sbatch and its value; true for options without a value.
        use_srun: whether the command is started through srun.

    Raises:
        EngineError: a value cannot be used; the message names the option.
    """

    partition: str = ""
    account: str = ""
    qos: str = ""
    gres: str = ""
    constraint: str = ""
    walltime_minutes: int = 60
    cpus_per_task: int = 1
    memory: str = ""
    exclude: tuple[str, ...] = ()
    throttle: int = 0
    signal_seconds: int = 120
    requeue: bool = True
    arrays: bool = True
    setup: tuple[str, ...] = ()
    sbatch: Mapping[str, str | int | float | bool] = field(default_factory=dict)
    use_srun: bool = False

    def __post_init__(self) -> None:
        if self.walltime_minutes < 1:
            raise EngineError(f"walltime_minutes must be at least 1, not {self.walltime_minutes}")
        if not 0 < self.signal_seconds < min(60 * self.walltime_minutes, 65536):
            raise EngineError(
                f"signal_seconds = {self.signal_seconds} must be more than 0 and less than the walltime "
                f"({self.walltime_minutes} minutes)"
            )
        if self.throttle < 0 or self.cpus_per_task < 0:
            raise EngineError("throttle and cpus_per_task must be 0 or more")
        named = {one.name for one in fields(self)}
        for key in self.sbatch:
            option = option_name(key)
            if option in OWN_OPTIONS:
                raise EngineError(f"the sbatch option {key} is not free: {OWN_OPTIONS[option]}")
            if option.replace("-", "_") in named:
                raise EngineError(f"the sbatch option {key} has a place of its own: set {option.replace('-', '_')}")

    def parameters(self) -> dict[str, Any]:
        """Return these options as submitit takes them."""
        more = {option_name(key): value for key, value in self.sbatch.items() if value is not False}
        # Without steps only the batch shell, which is the command, can hear the signal; with srun the steps do.
        more["signal"] = f"{'' if self.use_srun else 'B:'}{STOP_SIGNAL}@{self.signal_seconds}"
        more["requeue" if self.requeue else "no-requeue"] = True
        return {
            "partition": self.partition or None,
            "account": self.account or None,
            "qos": self.qos or None,
            "gres": self.gres or None,
            "constraint": self.constraint or None,
            "time": self.walltime_minutes,
            "nodes": 1,
            "ntasks_per_node": 1,
            "cpus_per_task": self.cpus_per_task or None,
            "mem": self.memory or None,
            "exclude": ",".join(self.exclude) or None,
            "setup": list(self.setup),
            "additional_parameters": more,
            "use_srun": False,
            "stderr_to_stdout": True,
            "wckey": None,
        }


def option_name(key: str) -> str:
    """Return sbatch's long option as it is written, from `ntasks_per_core` or `--ntasks-per-core`."""
    return key.lstrip("-").replace("_", "-")


@dataclass(frozen=True)
class Submission:
    """One batch job.

    Attributes:
        job: its id.
        script: what was submitted.
        first: index of its first task.
        count: number of its tasks.
        array: whether it is an array; else its one task has the job's own id.
    """

    job: str
    script: Path
    first: int
    count: int
    array: bool

    @property
    def tasks(self) -> dict[int, str]:
        """SLURM's id of each task, by index."""
        if not self.array:
            return {self.first: self.job}
        return {self.first + offset: f"{self.job}_{offset}" for offset in range(self.count)}


class SlurmLauncher:
    """Submits commands to SLURM; keeps no state but scripts and logs, as text, in a folder.

    Args:
        folder: where scripts and logs go; must be seen by all nodes.
        name: of the jobs.
        options: what they ask of the cluster.

    Raises:
        EngineError: submitit or SLURM's commands are not installed.
    """

    def __init__(self, folder: Path, name: str, options: SlurmOptions) -> None:
        try:
            from phloem.hpc.slurm_engine.script import ScriptExecutor
        except ImportError as error:
            raise EngineError(f"the slurm engine needs submitit (pip install 'phloem[slurm]'): {error}") from error
        self.name = name
        self.options = options
        self.folder = folder.absolute()
        self.folder.mkdir(parents=True, exist_ok=True)
        self._executor = ScriptExecutor(self.folder)

    def submit(self, command: Sequence[str], count: int, dependency: str = "", first: int = 0) -> list[Submission]:
        """Submit `count` tasks, in as many arrays as the cluster needs.

        Each task runs the command with `--task INDEX` added, INDEX from `first` to `first + count - 1`.

        Args:
            command: program and arguments.
            count: number of tasks.
            dependency: what must come first, as sbatch writes it, such as `afterany:12:13`.
            first: index of the first task.

        Raises:
            EngineError: nothing was submitted, or what had been is cancelled again.
        """
        if count < 1:
            raise EngineError(f"{count} tasks cannot be submitted")
        largest = limits().max_array_size if self.options.arrays else 1
        array = largest > 1
        sizes = shares(count, ceil_div(count, largest)) if array else [1] * count
        throttle = self.options.throttle or count
        at_once = shares(throttle, len(sizes)) if throttle >= len(sizes) else [1] * len(sizes)
        starts = accumulate(sizes, initial=first)
        done: list[Submission] = []
        try:
            for number, (start, size) in enumerate(zip(starts, sizes, strict=False)):
                before = [dependency] if dependency else []
                if number >= throttle:
                    before.append(f"afterany:{done[number - throttle].job}")
                index = f'"$(({start} + SLURM_ARRAY_TASK_ID))"' if array else str(start)
                script = self._write(
                    command, f" --task {index}", size if array else 0, ",".join(before), at_once[number]
                )
                done.append(Submission(submit_script(script), script, start, size, array))
        except EngineError as error:
            raise self._withdrawn(error, done) from error
        return done

    def submit_one(self, command: Sequence[str], dependency: str = "") -> Submission:
        """Submit one job that runs the command as it is, say after others have ended (`afterany:12:13`).

        Raises:
            EngineError: sbatch refused it or did not answer.
        """
        script = self._write(command, "", 0, dependency, 1)
        return Submission(submit_script(script), script, 0, 1, array=False)

    def _write(self, command: Sequence[str], tail: str, count: int, dependency: str, at_once: int) -> Path:
        if not command:
            raise EngineError("there is no command to submit")
        starter = ["srun", "--unbuffered"] if self.options.use_srun else []
        parameters = self.options.parameters() | {
            "job_name": self.name,
            "dependency": dependency or None,
            "array_parallelism": at_once,
        }
        return self._executor.write([*starter, *command], tail, count, parameters)

    def _withdrawn(self, error: EngineError, done: Sequence[Submission]) -> EngineError:
        """Cancel what was submitted before something failed; return the error to raise."""
        if NO_SUCH_NODE in error.said:
            options = {one.name: getattr(self.options, one.name) for one in fields(self.options)}
            asked = ", ".join(f"{name} = {options[name]}" for name in NODE_OPTIONS if options[name])
            error = EngineError(
                f"{error}; a task asks one node for {asked}, and no node that it may use has that: engine.gpus "
                "and the others say how much, engine.partition where",
                error.said,
                error.answered,
            )
        if not done:
            return error
        ids = [one.job for one in done]
        try:
            cancel_jobs(ids)
            fate = "were cancelled"
        except EngineError as second:
            fate = f"could not be cancelled ({second})"
        message = f"{error}; the jobs submitted before it, {', '.join(ids)}, {fate}"
        return EngineError(message, error.said, error.answered)


def shares(total: int, parts: int) -> list[int]:
    """Return `total` cut into parts that differ by 1 at most, larger ones first."""
    return [total // parts + (number < total % parts) for number in range(parts)]
