"""Campaigns that these tests run with the real command, and what can be asked of them afterwards."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import tomli_w

from phloem.endings import FREE
from phloem.io.drivers.tower_files import write_tower
from phloem.io.files.journals import read_events
from phloem.jobs.synthetic.weather import boreal_weather
from tests.support.drivers.cells import made_up
from tests.support.processes import until
from tests.support.warm_interpreter import WarmInterpreter

PHLOEM = Path(sys.executable).with_name("phloem")
WARM = WarmInterpreter()
SHORT, LONG = 20, 12_000
"""Iterations: of a tile that is to be done soon, and of one that is to be hit while it runs."""

OFTEN = 0.02
"""Minutes between two checkpoints."""

PROVENANCE = {"tile", "attempt"}
"""Variables of merged.nc that tell how a result came about; all others depend on the science alone."""

ADAM = {"name": "adam", "iterations": SHORT, "learning_rate": 0.01, "sharpness_iterations": 10}
"""The optimiser whose steps can be counted beforehand."""

Merged = dict[str, tuple[Any, ...]]


def command(
    *arguments: object, folder: Path, seconds: float = 400.0, afresh: bool = False, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run phloem to its end, which must come within so many seconds, in a process of its own.

    Args:
        arguments: the words after `phloem`.
        folder: where it runs.
        seconds: until which its end must have come.
        afresh: whether in an interpreter of its own, with a hash seed of its own: for what is compared bit by bit.
            Else in a fork of one that has imported all modules: that saves 5 to 13 seconds of processor time.
        environment: added to that of the tests.
    """
    words = [str(PHLOEM), *map(str, arguments)]
    env = {**os.environ, **environment}
    if not afresh:
        apart = WARM.refuses(env)
        if not apart:
            return WARM.run(words, folder, env, seconds)
        if left := apart - set(environment):
            warnings.warn(f"a command is started afresh, since {', '.join(sorted(left))} was set", stacklevel=2)
    return subprocess.run(words, cwd=folder, env=env, capture_output=True, text=True, timeout=seconds)


def succeed(*arguments: object, folder: Path, seconds: float = 400.0, afresh: bool = False, **environment: str) -> str:
    """Run phloem, which must succeed; return its standard output."""
    done = command(*arguments, folder=folder, seconds=seconds, afresh=afresh, **environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


def start(*arguments: object, folder: Path, **environment: str) -> subprocess.Popen[str]:
    """Start phloem in a process group of its own; its standard error goes to FOLDER/stderr."""
    with (folder / "stderr").open("w") as errors:
        words = [str(PHLOEM), *map(str, arguments)]
        return subprocess.Popen(
            words, cwd=folder, stdout=subprocess.DEVNULL, stderr=errors, text=True, start_new_session=True,
            preexec_fn=_hear_interrupts, env={**os.environ, **environment},
        )  # fmt: skip


def _hear_interrupts() -> None:
    """A shell starts what runs in its background deaf to interrupts, and so would be what these tests start."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def end(process: subprocess.Popen[str]) -> None:
    """Leave nothing of a started phloem behind."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def wait_for(what: str, true: Callable[[], Any], seconds: float = 150.0) -> Any:
    """Wait until something is true, and return it."""
    return until(true, seconds, what)


def count(root: Path, event: str) -> int:
    """Return how often an event stands in the logs of a campaign's workers."""
    return sum(line["event"] == event for log in root.glob("logs/*.log") for line in read_events(log))


def failures(root: Path) -> list[dict[str, Any]]:
    """Return the failed attempts that a campaign has journalled; interrupted ones have not failed."""
    events = read_events(root / "journals")
    return [event for event in events if event["event"] == "ended" and event["class"] not in FREE]


def write_campaign(folder: Path, **sections: dict[str, Any]) -> Path:
    """Write a synthetic campaign of 3 cells, 2 members, 2 years; sections override it. One worker."""
    data = {"kind": "synthetic", "cells": 3, "years": 2}
    given = sections.get("data", {})
    fast = sections.get("optimiser", {}).get("name") == "fast"
    tree = {
        "campaign": {"name": "made", "members": 2, **sections.get("campaign", {})},
        "data": given if given.get("kind") in ("tower", "grid") else {**data, **given},
        "optimiser": sections.get("optimiser", {}) if fast else {**ADAM, **sections.get("optimiser", {})},
        "tiles": {"cells": 1, **sections.get("tiles", {})},
        "engine": {"workers": 1, **sections.get("engine", {})},
        "failures": sections.get("failures", {}),
        "experiment": sections.get("experiment", {}),
    }
    path = folder / "made.toml"
    path.write_text(tomli_w.dumps(tree))
    return path


def write_long(folder: Path) -> Path:
    """Write the campaign of one tile that runs long enough to be interrupted."""
    tiles = {"cells": 3, "checkpoint_minutes": OFTEN}
    return write_campaign(folder, optimiser={"iterations": LONG}, tiles=tiles)


def merged(root: Path) -> Merged:
    """Return everything in a merged product, arrays as bytes."""
    with netCDF4.Dataset(root / "merged.nc") as file:
        file.set_auto_mask(False)
        arrays: Merged = {}
        for name, variable in file.variables.items():
            values = np.asarray(variable[...])
            content = values.tolist() if values.dtype.kind in "OUS" else values.tobytes()
            arrays[name] = (variable.dimensions, str(values.dtype), values.shape, content, str(variable.__dict__))
        arrays["attributes"] = (str(file.__dict__),)
    return arrays


def differing(one: Merged, two: Merged, apart: set[str] = PROVENANCE) -> set[str]:
    """Return what two merged products differ in, apart from provenance."""
    assert len(one) > 20
    assert "parameters" in one
    return {name for name in {*one, *two} - apart if one.get(name) != two.get(name)}


def files(folder: Path) -> set[Path]:
    """Return everything in a folder."""
    return set(folder.rglob("*"))


def tower_file(folder: Path, name: str, edit: Callable[[netCDF4.Dataset], None] | None = None) -> Path:
    """Write a sound tower file of two years, then change it."""
    cell = made_up(name, 61.0, boreal_weather(61.0, 2, np.random.default_rng(1)))
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}.nc"
    write_tower(path, cell)
    if edit is not None:
        with netCDF4.Dataset(path, "a") as file:
            edit(file)
    return path
