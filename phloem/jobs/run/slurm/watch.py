"""`run --engine slurm`: rounds of array jobs over what has no result, each with a last job that goes on or merges.

The launcher keeps no state: a round is a list of tiles on disk, every task of it a supervisor that takes its own tiles
first and then whatever is free. So a round may be submitted twice, die half-way, or run beside another, and no tile is
lost. Nobody has to stay logged in.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from phloem.errors import WorkError
from phloem.hpc.slurm_engine.control import limits, waiting_reasons
from phloem.hpc.slurm_engine.job_states import end_class, job_states, queue_states
from phloem.hpc.tasks import EngineError
from phloem.io.campaign.attempts import LEASE_SECONDS
from phloem.io.files.sealed_json import write_sealed
from phloem.jobs.campaign.campaign import Campaign, open_campaign
from phloem.jobs.progress import ProgressBar, say
from phloem.jobs.run.batch_jobs import alive, living, verdict
from phloem.jobs.run.deliver import deliver
from phloem.jobs.run.execute import conclude, describe_set_aside, prepare, todo
from phloem.jobs.run.outcome import Finished, ToldElsewhere
from phloem.jobs.run.slurm.rounds import (
    array_jobs,
    being_submitted,
    claimed_attempts,
    jobs_path,
    newest_round,
    progress,
    read_round,
    require_gpus_of_cluster,
    round_jobs,
    submit_after,
    submit_round,
)
from phloem.jobs.run.state import CampaignState, read_state
from phloem.jobs.tile.failures import stopped

POLL_SECONDS = 10.0

IDLE_ROUNDS = 3
"""So many rounds in a row may end without a checkpoint: all preempted, say, or a walltime that is too short."""

PATIENCE_SECONDS = 3600.0
"""So long a job waits for a controller that does not answer before it gives up its round."""

Found = TypeVar("Found")


def run_through_slurm(campaign: Campaign, detach: bool = False) -> Finished | ToldElsewhere:
    """Submit what has no result, wait for it, and merge.

    Args:
        campaign: planned; its engine is `slurm`.
        detach: return once it is submitted: the last job goes on, and merges.

    Raises:
        InputError: a task asks for more GPUs than any node has.
        WorkError: some tiles have no result.
        EngineError: SLURM refused.
    """
    root = campaign.paths.root
    state = prepare(campaign, verdict)
    if todo(campaign, state):
        require_gpus_of_cluster(campaign.configuration)
        number = newest_round(campaign)
        if alive(round_jobs(campaign, number)) or not submit_round(campaign, state, number):
            say("jobs of this campaign are in the queue already, or about to be: they go on")
        if detach:
            say(f"it goes on by itself. See: phloem status {root} --watch")
            return ToldElsewhere()
    try:
        state = _wait(campaign, state)
    except KeyboardInterrupt:
        raise WorkError(
            f"no longer watching; the jobs go on: {', '.join(round_jobs(campaign, newest_round(campaign)))}. "
            f"See: phloem status {root} --watch; go on watching: phloem run {root} --engine slurm; end them: scancel"
        ) from None
    return Finished(campaign, state, _product(campaign, state))


def _product(campaign: Campaign, state: CampaignState) -> Path:
    """Merge a finished campaign, and tidy it up.

    Raises:
        WorkError: it is not finished.
    """
    conclude(campaign, state, None)
    return deliver(campaign, state)


def _wait(campaign: Campaign, state: CampaignState) -> CampaignState:
    """Watch until nothing is left to do, submitting what the last job of a round did not; return the state."""
    total = sum(campaign.count_steps(tile) for tile in campaign.all_tiles)
    reported = ""
    with ProgressBar(campaign.kind.doing, total) as bar:
        while todo(campaign, state):
            number = newest_round(campaign)
            # In this order: what is submitted or committed meanwhile is then seen below.
            queued = alive(round_jobs(campaign, number)) or being_submitted(campaign)
            state = read_state(campaign, False, verdict)
            steps = sum(campaign.count_steps(tile) for tile in state.done)
            bar.update(steps + sum(beat["steps"] for beat in state.beats.values()))
            if stopped(campaign.paths):
                break
            if not todo(campaign, state):
                state = prepare(campaign, verdict)  # reads every byte
                continue
            if queued and not state.beats and (why := _why_waiting(campaign)) != reported:
                reported = why
                bar.note(f"in the queue: {why}" if why else "the first tasks begin")
            if not queued and not state.beats and newest_round(campaign) == number:
                _patiently(partial(go_on, campaign, state, number))
            time.sleep(POLL_SECONDS)
    return state


def _why_waiting(campaign: Campaign) -> str:
    """Return why no task of a campaign begins, in SLURM's words; empty where they do."""
    queue = describe_jobs(campaign)
    return ", ".join(sorted(set(queue.get("reasons", ())) - {"Dependency", "None"}))


def go_on(campaign: Campaign, state: CampaignState, number: int) -> int:
    """Submit the round after one that has ended with tiles left to do.

    Returns:
        The number of the new round; 0 where another process submits it.

    Raises:
        WorkError: another round would do no better, or nobody wants one; the message says what to do.
        EngineError: SLURM refused.
    """
    root, folder = campaign.paths.root, campaign.paths.batches_dir
    cancelled = [task for task, found in _states(array_jobs(campaign, number)).items() if found == "CANCELLED"]
    if cancelled:
        raise WorkError(f"jobs were cancelled ({', '.join(cancelled)}); go on with: phloem run {root} --engine slurm")
    idle = 0
    if number:
        this = read_round(campaign, number)
        if claimed_attempts(campaign) == this.attempts:
            raise WorkError(
                f"round {number} ended without computing anything; see the jobs' output in {folder}, mend the cause, "
                f"then: phloem run {root} --engine slurm"
            )
        idle = this.idle + 1 if progress(campaign, state) == list(this.progress) else 0
    if idle >= IDLE_ROUNDS:
        raise WorkError(
            f"{idle} rounds in a row ended before any tile reached a checkpoint (see the jobs' output in {folder}): "
            f"more engine.walltime or less tiles.checkpoint_minutes, then: phloem run {root} --engine slurm"
        )
    return submit_round(campaign, state, number, idle)


def _states(jobs: list[str]) -> dict[str, str]:
    try:
        return job_states(jobs) if jobs else {}
    except EngineError:
        return {}


def finish(directory: Path, number: int) -> str:
    """Go on after a round: merge where all is done, else submit the next round.

    Args:
        directory: of the campaign.
        number: of the round that has ended.

    Returns:
        What was done, for the job's output.

    Raises:
        WorkError: some tiles have no result and will not be tried again by themselves.
        EngineError: SLURM refused, or did not answer for very long.
    """
    campaign = open_campaign(directory)
    campaign = replace(campaign, configuration=read_round(campaign, number).configuration)
    jobs = array_jobs(campaign, number)
    waiting = _patiently(lambda: living(jobs))
    if waiting:
        after = _patiently(lambda: submit_after(campaign, number, waiting))
        arrays = [job for job in jobs if not (campaign.paths.batches_dir / f"round-{number:04d}.again-{job}").exists()]
        write_sealed(jobs_path(campaign, number), {"arrays": arrays, "after": after})
        return f"jobs {', '.join(waiting)} go on; looking again after them, in job {after}"
    state = _state_when_free(campaign)
    if not todo(campaign, state):
        merged = f"merged: {_product(campaign, state)}"
        return "\n".join(filter(None, [merged, describe_set_aside(state, campaign.paths.root)]))
    if newest_round(campaign) > number:
        return f"round {newest_round(campaign)} has been submitted already"
    new = _patiently(lambda: go_on(campaign, state, number))
    return f"round {new} submitted" if new else "somebody else submits the next round"


def _state_when_free(campaign: Campaign) -> CampaignState:
    """Return the state of a campaign once something is free, or nothing left to do.

    After a round a tile may still be held by one who is gone, where the scheduler cannot say so: until its lease ends.
    """
    until = time.monotonic() + LEASE_SECONDS + POLL_SECONDS
    state = prepare(campaign, verdict)
    while time.monotonic() < until and (left := todo(campaign, state)) and set(left) <= set(state.beats):
        time.sleep(POLL_SECONDS)
        state = read_state(campaign, None, verdict)
    return state


def _patiently(action: Callable[[], Found]) -> Found:
    """Do something that asks the controller, again and again while it does not answer: nobody else will do it."""
    until = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return action()
        except EngineError:
            if time.monotonic() > until or _answers():
                raise
            time.sleep(POLL_SECONDS)


def _answers() -> bool:
    try:
        limits()
    except EngineError:
        return False
    return True


def describe_jobs(campaign: Campaign) -> dict[str, Any]:
    """Return what the queue holds of a campaign, for `status`: round, jobs, tasks by what they do, why some wait.

    Empty where nothing was ever submitted, or nothing is in the queue any more.
    """
    number = newest_round(campaign)
    jobs = round_jobs(campaign, number)
    if not jobs:
        return {}
    tasks: dict[str, int] = {}
    try:
        for state in queue_states(jobs).values():
            if (kind := end_class(state)) in ("pending", "running", "unknown"):
                tasks[kind] = tasks.get(kind, 0) + 1
        reasons = waiting_reasons(jobs)
    except EngineError:
        return {"round": number, "jobs": jobs, "tasks": {"unknown": len(jobs)}, "reasons": {"SLURM does not answer": 1}}
    return {"round": number, "jobs": jobs, "tasks": tasks, "reasons": reasons} if tasks else {}
