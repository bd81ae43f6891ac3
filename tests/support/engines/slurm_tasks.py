"""What the tests submit: a program that notes where it runs, and does what it is told when it is signalled.

    python -m tests.support.engines.slurm_tasks FOLDER [--hold] [--on-usr2 requeue|resubmit|either] [--task N]

It appends one line of JSON to FOLDER/N.jsonl when it starts. With --hold it goes on until FOLDER/release exists.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time
from dataclasses import asdict
from pathlib import Path

from phloem.hpc.gpus import visible_gpus
from phloem.hpc.slurm_engine.own_job import requeue_this_job, resubmit_this_task, this_job
from phloem.hpc.tasks import EngineError


def go_on_later(note: Path, how: str) -> None:
    """Be requeued, or submitted anew, or the second where the first is refused."""
    note.with_suffix(".signalled").touch()
    if how in ("requeue", "either"):
        try:
            # The SIGTERM that follows would end this process before it can say whether the request went well. It is
            # handled, not ignored: the command that asks would inherit that, and is to fend for itself.
            signal.signal(signal.SIGTERM, lambda *_: None)
            requeue_this_job()
            note.with_suffix(".requeued").touch()
            time.sleep(60)
        except EngineError as error:
            if how == "requeue":
                raise
            note.with_suffix(".refused").write_text(str(error))
    note.with_suffix(".resubmitted").write_text(resubmit_this_task())
    sys.exit(0)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--hold", action="store_true")
    parser.add_argument("--on-usr2", choices=["requeue", "resubmit", "either"])
    parser.add_argument("--task", type=int)
    given = parser.parse_args()
    heard: list[int] = []
    signal.signal(signal.SIGUSR2, lambda number, _: heard.append(number))
    job = this_job()
    assert job is not None
    note = {
        "task": given.task,
        "id": job.id,
        "pid": os.getpid(),
        "variables": {key: value for key, value in os.environ.items() if key.startswith(("SLURM", "SETUP", "PHLOEM"))},
        "gpus": visible_gpus(),
        "cwd": os.getcwd(),
        **{key: value for key, value in asdict(job).items() if key != "script"},
        "script": str(job.script),
        "began": time.time(),
    }
    path = given.folder / f"{'one' if given.task is None else given.task}.jsonl"
    with path.open("a") as file:
        file.write(json.dumps(note) + "\n")
    print(f"task {given.task} of job {job.id}", flush=True)
    while given.hold and not (given.folder / "release").exists():
        if heard and given.on_usr2:
            go_on_later(given.folder / f"{given.task}", given.on_usr2)
        time.sleep(0.05)
    with (given.folder / "ended.jsonl").open("a") as file:
        file.write(json.dumps({"task": given.task, "id": job.id, "began": note["began"], "ended": time.time()}) + "\n")


if __name__ == "__main__":
    main()
