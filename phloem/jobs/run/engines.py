"""`run` on the engine that the configuration names: in this process, in an MPI world, or through SLURM."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from phloem.errors import WorkError
from phloem.hpc.local_engine import default_workers
from phloem.hpc.mpi_engine import inside_world, launch
from phloem.jobs.campaign.campaign import Campaign
from phloem.jobs.campaign.planning import open_or_plan
from phloem.jobs.run.deliver import deliver
from phloem.jobs.run.execute import run_campaign
from phloem.jobs.run.outcome import Finished, ToldElsewhere


def run(
    target: Path, out: Path | None, assignments: Sequence[str], workers: int = 0, detach: bool = False
) -> Finished | ToldElsewhere:
    """Plan if need be, compute what has no committed result on the configured engine, and merge.

    Args:
        target: campaign file or directory.
        out: where to plan it.
        assignments: `key.path=value` texts.
        workers: processes; 0: as the configuration says.
        detach: with SLURM, return when all is submitted.

    Raises:
        InputError: bad file, key, value or input.
        WorkError: some tiles have no result.
    """
    if inside_world():
        from phloem.jobs.run.mpi_world import run_in_world

        found = run_in_world(lambda: open_or_plan(target, out, assignments), workers)
        return found if isinstance(found, ToldElsewhere) else Finished(*found, deliver(*found))
    campaign = open_or_plan(target, out, assignments)
    return run_planned(campaign, workers, assignments, detach)


def run_planned(
    campaign: Campaign, workers: int = 0, assignments: Sequence[str] = (), detach: bool = False
) -> Finished | ToldElsewhere:
    """Compute what a planned campaign has no committed result for, and merge; arguments and errors as in `run`."""
    name = campaign.configuration.engine.name
    if name == "mpi":
        return _start_world(campaign, workers, assignments)
    if name == "slurm":
        from phloem.jobs.run.slurm.watch import run_through_slurm

        return run_through_slurm(campaign, detach)
    state = run_campaign(campaign, workers)
    return Finished(campaign, state, deliver(campaign, state))


def _start_world(campaign: Campaign, workers: int, assignments: Sequence[str]) -> ToldElsewhere:
    """Start a world of ranks that run this campaign; its first rank says what came of it.

    Raises:
        WorkError: the world ended before its time.
    """
    ranks = workers or campaign.configuration.engine.workers or default_workers()
    words = [word for assignment in assignments for word in ("--set", assignment)]
    root = campaign.paths.root
    status = launch(ranks, "phloem", ["run", str(root), "--engine", "mpi", *words])
    if status > 2:
        raise WorkError(
            f"the MPI world ended with status {status}; what was done is kept. Go on with: phloem run {root}"
        )
    return ToldElsewhere(status)
