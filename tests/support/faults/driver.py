"""The process behind `shim.Driver`: a line of cases in, a line of answers out; every case in a fork of its own."""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any

from phloem.io.campaign.paths import CampaignPaths
from tests.support.faults.operations import OPERATIONS, perform, prepare

LIBRARY = ctypes.CDLL(None)
PATIENCE_SECONDS = 120
"""A child that hangs is ended by SIGALRM, which no test expects."""


def work(case: dict[str, Any], start: int, told: int) -> None:
    """Run one case in a forked child."""
    signal.alarm(PATIENCE_SECONDS)
    os.environ.update(case["variables"])
    waits = 0

    def free(_path: Path) -> None:
        nonlocal waits
        waits += 1
        if waits == case["frees"]:
            LIBRARY.shim_disarm()

    os.read(start, 1)
    if LIBRARY.shim_arm() != 0:
        os._exit(98)
    error = message = ""
    value = None
    try:
        value = perform(case["operation"], CampaignPaths(case["root"]), free if case["frees"] else None)
    except Exception as caught:
        error, message = type(caught).__name__, str(caught)
    answer = {"error": error, "message": message, "value": value, "waits": waits}
    os.write(told, json.dumps(answer).encode())
    os.close(told)
    # The C library's exit, so that HDF5's own end is run, with the fault still there.
    LIBRARY.exit(0)


def run(cases: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Fork a child for each case, let all go at once, and gather what they tell."""
    start, go = os.pipe()
    children = []
    for case in cases:
        ears, told = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(go)
            os.close(ears)
            work(case, start, told)
        os.close(told)
        children.append((pid, ears))
    os.close(go)
    os.close(start)
    answers = []
    for pid, ears in children:
        with os.fdopen(ears, "rb") as pipe:
            said = pipe.read()
        status = os.waitpid(pid, 0)[1]
        assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, status
        answer = json.loads(said) if said else {"error": "", "message": "", "value": None, "waits": 0}
        answers.append({**answer, "signal": os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0})
    return answers


def warm_up(folder: Path) -> None:
    """Do everything once, so that a child begins at once."""
    for name, operation in OPERATIONS.items():
        root = Path(tempfile.mkdtemp(dir=folder, prefix=name))
        operation.run(prepare(CampaignPaths(root), operation), None)
        shutil.rmtree(root)


if __name__ == "__main__":
    # Libraries write to standard output when they fail: the answers have a descriptor of their own.
    with os.fdopen(os.dup(1), "w") as answers:
        os.dup2(2, 1)
        warm_up(Path(sys.argv[1]))
        print(json.dumps("ready"), file=answers, flush=True)
        for line in sys.stdin:
            print(json.dumps(run(json.loads(line))), file=answers, flush=True)
