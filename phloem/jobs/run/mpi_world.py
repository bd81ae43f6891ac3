"""`run --engine mpi`: every rank supervises workers of its own; rank 0 plans, watches and merges."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from phloem.errors import InputError, WorkError
from phloem.hpc.gpu_driver import list_gpus_apart
from phloem.hpc.gpus import by_uuid, gpus_of_rank, shares_suffice, visible_gpus
from phloem.hpc.mpi_engine import World, world
from phloem.hpc.tasks import EngineError
from phloem.io.files.journals import append_event
from phloem.jobs.campaign.campaign import Campaign, open_campaign
from phloem.jobs.config.campaign_file import Configuration
from phloem.jobs.progress import ProgressBar
from phloem.jobs.run.batch_jobs import verdict
from phloem.jobs.run.execute import conclude, local_engine, prepare, supervise
from phloem.jobs.run.outcome import ToldElsewhere
from phloem.jobs.run.state import CampaignState
from phloem.jobs.run.supervisor import COMPILING, Supervisor, Watch

Planned = tuple[str, Configuration, set[int]]
"""Campaign directory, configuration of this run, tiles that are done."""


def run_in_world(
    open_or_plan: Callable[[], Campaign], workers: int = 0
) -> tuple[Campaign, CampaignState] | ToldElsewhere:
    """Compute a campaign on all ranks of this world.

    Args:
        open_or_plan: called on rank 0.
        workers: processes a rank; 0 is one.

    Returns:
        On rank 0 the campaign and its state.

    Raises:
        InputError: on rank 0; the input is wrong.
        WorkError: on rank 0; some tiles have no result.
    """
    here = world()
    planned = _plan(here, open_or_plan)
    if isinstance(planned, ToldElsewhere):
        return planned
    campaign = replace(open_campaign(Path(planned[0])), configuration=planned[1])
    tiles, begun = len(campaign.all_tiles), time.time()
    first = here.rank * tiles // here.size
    workers = workers or 1
    gpus = _own_gpus(here, campaign, workers)
    if isinstance(gpus, ToldElsewhere):
        return gpus
    engine = local_engine(campaign, workers, gpus)
    steps = [campaign.count_steps(tile) for tile in range(tiles)]
    watch = Watch(steps={tile: steps[tile] for tile in planned[2]})
    order = [*range(first, tiles), *range(first)]
    supervisor = Supervisor(campaign, engine, watch, order, set(planned[2]), verdict=verdict)
    if here.rank == 0:
        with ProgressBar(campaign.kind.doing, sum(steps), sum(watch.steps.values()), COMPILING) as watch.bar:
            state = supervise(supervisor)
    else:
        state = supervise(supervisor)
    here.meet()
    if here.rank:
        return ToldElsewhere()
    journal = campaign.paths.journal(supervisor.name)
    append_event(journal, {"event": "ran", "seconds": round(time.time() - begun, 1)})
    return campaign, conclude(campaign, state, engine.flag.name)


def _own_gpus(here: World, campaign: Campaign, workers: int) -> list[str] | ToldElsewhere | None:
    """Return the GPUs of this rank, None where the campaign asks for none; too few are refused on rank 0."""
    engine = campaign.configuration.engine
    if not engine.gpus:
        return None
    each = workers * engine.devices
    mine, why = [], ""
    try:
        mine = visible_gpus()
    except EngineError as error:
        why = str(error)
    place, neighbours = here.of_machine(mine)
    if not shares_suffice(neighbours, each):  # as seen by every rank of the machine, so that all or none meet again
        place, neighbours = here.of_machine(by_uuid(mine, list_gpus_apart()))
    try:
        mine = mine if why else gpus_of_rank(neighbours, place, each)
    except EngineError as error:
        why = str(error)
    wrong = next(filter(None, here.communicator.allgather(why)), "")
    if not wrong:
        return mine
    if here.rank == 0:
        raise InputError(wrong)
    return ToldElsewhere(2)


def _plan(here: World, open_or_plan: Callable[[], Campaign]) -> Planned | ToldElsewhere:
    """Plan on rank 0 and tell the others; what is wrong there is raised there, and ends them all."""
    answer: Planned | InputError | WorkError | None = None
    if here.rank == 0:
        try:
            campaign = open_or_plan()
            state = prepare(campaign)
            answer = str(campaign.paths.root.resolve()), campaign.configuration, set(state.done)
        except (InputError, WorkError) as error:
            answer = error
    planned = here.from_first(answer)
    if isinstance(planned, InputError | WorkError):
        if here.rank == 0:
            raise planned
        return ToldElsewhere(2 if isinstance(planned, InputError) else 1)
    return planned
