"""`run` on the engine that the configuration names: in this process, in an MPI world, or through SLURM."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from phloem.errors import WorkError
from phloem.hpc.mpi_engine import inside_world, launch
from phloem.hpc.usable_cores import usable_cores
from phloem.jobs.campaign.campaign import Campaign
from phloem.jobs.campaign.planning import open_or_plan
from phloem.jobs.progress import say
from phloem.jobs.run.deliver import deliver
from phloem.jobs.run.execute import run_campaign
from phloem.jobs.run.outcome import Finished, ToldElsewhere
from phloem.jobs.run.retry_lanes import retry_lanes
from phloem.names import STATUS

FOLLOW_UPS = 2
"""Rounds that follow when lanes are tried again, at most."""


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

        outcome = run_in_world(lambda: open_or_plan(target, out, assignments), workers)
        return outcome if isinstance(outcome, ToldElsewhere) else Finished(*outcome, deliver(*outcome))
    campaign = open_or_plan(target, out, assignments)
    if not any(campaign.paths.journals_dir.glob("*")):
        for line in campaign.kind.describe(campaign):
            say(line)
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


def follow_up(outcome: Finished | ToldElsewhere, workers: int, assignments: Sequence[str]) -> Finished | ToldElsewhere:
    """Take up the lanes that lie in a poor basin since others of their cells were tried again and found a better one.

    Args:
        outcome: of a run that tried lanes again; where it was told elsewhere, nothing follows.
        workers: processes; 0: as the configuration says.
        assignments: `key.path=value` texts.
    """
    for _ in range(FOLLOW_UPS):
        if isinstance(outcome, ToldElsewhere):
            break
        campaign, count = retry_lanes(outcome.campaign, (STATUS["poor_basin"],))
        if not count:
            break
        say(f"{count} lanes lie above a basin that others of their cells have found since: they are tried again")
        outcome = run_planned(campaign, workers, assignments)
    return outcome


def _start_world(campaign: Campaign, workers: int, assignments: Sequence[str]) -> ToldElsewhere:
    """Start a world of ranks that run this campaign; its first rank says what came of it.

    Raises:
        WorkError: the world ended before its time.
    """
    ranks = workers or campaign.configuration.engine.ranks_of(usable_cores())
    words = [word for assignment in assignments for word in ("--set", assignment)]
    root = campaign.paths.root
    status = launch(ranks, "phloem", ["run", str(root), "--engine", "mpi", *words])
    if status > 2:
        raise WorkError(
            f"the MPI world ended with status {status}; what was done is kept. Go on with: phloem run {root}"
        )
    return ToldElsewhere(status)
