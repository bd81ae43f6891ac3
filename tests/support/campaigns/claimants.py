"""Processes that hold attempts: they do what their standard input says, line by line, and answer on standard output.

As a program: `python -m tests.support.campaigns.claimants CAMPAIGN [JOB RESTART]`. Lines: `take TILE`,
`commit TILE NUMBER SALT`, `end TILE NUMBER CLASS`, `now`.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from phloem.io.campaign.attempts import TakenError, claim_tile, end_attempt, file_system_now, holder
from phloem.io.campaign.paths import CampaignPaths
from phloem.io.campaign.tiles import StaleAttempt, write_tile
from tests.support.campaigns.campaign_samples import ATTRIBUTES, SCHEMA, cells_of, tile_arrays

ELSEWHERE = ["unshare", "--pid", "--fork", "--kill-child", "--uts", "--mount-proc"]
"""Starts a process that sees nothing of the others, as one on another machine."""


class Claimant:
    """A process that can be told to take, commit and end attempts."""

    def __init__(self, paths: CampaignPaths, *job: str, elsewhere: bool = False, **environment: str) -> None:
        words = [
            *(ELSEWHERE if elsewhere else []),
            sys.executable,
            "-m",
            "tests.support.campaigns.claimants",
            str(paths.root),
            *job,
        ]
        env = {**os.environ, **environment}
        self.process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env)
        assert self.answer() == "ready"

    def answer(self) -> str:
        """Return the next answer."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def say(self, *words: object) -> None:
        """Send a line, and do not wait."""
        assert self.process.stdin is not None
        self.process.stdin.write(" ".join(map(str, words)) + "\n")
        self.process.stdin.flush()

    def ask(self, *words: object) -> str:
        """Send a line and return the answer."""
        self.say(*words)
        return self.answer()

    def kill(self, reap: bool = True) -> None:
        """Kill it; not reaped it stays a zombie."""
        self.process.send_signal(signal.SIGKILL)
        if reap:
            self.process.wait()
        else:
            os.waitid(os.P_PID, self.process.pid, os.WEXITED | os.WNOWAIT)


def can_be_elsewhere() -> bool:
    """Tell whether this user may start processes in a namespace of their own."""
    return bool(shutil.which("unshare")) and subprocess.run([*ELSEWHERE, "true"], capture_output=True).returncode == 0


def main(root: str, *job: str) -> None:
    paths = CampaignPaths(Path(root))
    me = holder(f"claimant-{os.uname().nodename}-{os.getpid()}", *([job[0], int(job[1])] if job else []))
    print("ready", flush=True)
    for line in sys.stdin:
        what, *words = line.split()
        try:
            if what == "take":
                told = str(claim_tile(paths, int(words[0]), me))
            elif what == "commit":
                index, number, salt = map(int, words)
                told = write_tile(paths, index, number, SCHEMA, tile_arrays(cells_of(index), salt=salt), ATTRIBUTES)
            elif what == "end":
                told = str(end_attempt(paths, int(words[0]), int(words[1]), words[2], f"by {os.getpid()}"))
            else:
                told = f"{time.time()} {file_system_now(paths.attempts_dir)}"
        except (TakenError, StaleAttempt) as error:
            told = f"{type(error).__name__}: {error}"
        print(told, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
