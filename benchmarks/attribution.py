"""times an attribution: targets x predictors x cells, with SHAP, validation, members, noise floor, bands and partition

    python -m benchmarks.attribution --cells 10000 --targets 6 --predictors 20 --json

Smooth and rough maps on made continents, targets that are functions of some of them, members that scatter about these.
The memory is the most that this process and its workers held at one time, added up; pages that they share count twice.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.merge import land
from phloem.analysis.attribution.all_targets import attribute
from phloem.analysis.attribution.inputs import Predictor, Target
from phloem.analysis.attribution.noise_shadows import on_sphere
from phloem.analysis.attribution.result_files import write_attribution
from phloem.analysis.trees.settings import AttributionSettings

GROUPS = ("climate", "soil", "vegetation")
WAVES = 200
LENGTH = 0.06
"""Correlation length of the smooth maps, radians: about 3.4 degrees."""


def make(cells: int, targets: int, predictors: int, members: int) -> tuple[list[Target], list[Predictor], np.ndarray]:
    """Targets, predictors, and (2, cells) latitudes and longitudes."""
    rng = np.random.default_rng(0)
    place = np.array(land(cells))
    points = on_sphere(*place)

    def field() -> np.ndarray:
        waves = rng.normal(size=(3, WAVES)) / LENGTH
        smooth = np.cos(points @ waves + rng.uniform(0, 2 * np.pi, WAVES)) @ rng.normal(size=WAVES)
        return np.asarray((smooth - smooth.mean()) / smooth.std())

    maps = [field() if number % 4 else rng.normal(size=cells) for number in range(predictors)]
    predictor_maps = [Predictor(f"x{n}", GROUPS[n % 3], "1", f"predictor {n}", values) for n, values in enumerate(maps)]
    wanted = []
    for number in range(targets):
        a, b, c = (maps[(3 * number + step) % predictors] for step in (1, 2, 3))
        truth = 10 + a + 1.5 * np.maximum(b - 0.5, 0) - 0.5 * c**2 + 0.5 * field()
        values = truth[:, None] + 0.3 * rng.normal(size=(cells, members))
        wanted.append(Target(f"y{number}", "1", f"target {number}", values))
    return wanted, predictor_maps, place


def held(spent: dict[int, float]) -> float:
    """Memory of this process and all below it, MiB; notes the seconds of processor time that each has had."""
    kilobytes, waiting = 0, [os.getpid()]
    ticks = os.sysconf("SC_CLK_TCK")
    while waiting:
        process = waiting.pop()
        try:
            status = Path(f"/proc/{process}/status").read_text()
            tasks = list(Path(f"/proc/{process}/task").iterdir())
            times = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()
            spent[process] = (int(times[11]) + int(times[12])) / ticks
            waiting += [int(child) for task in tasks for child in (task / "children").read_text().split()]
        except OSError:
            continue
        kilobytes += sum(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))
    return kilobytes / 1024


def measure(cells: int, targets: int, predictors: int, members: int, settings: AttributionSettings) -> dict[str, Any]:
    """Attribute, write the files, and say what that took."""
    wanted, predictor_maps, (latitude, longitude) = make(cells, targets, predictors, members)
    spent: dict[int, float] = {}
    most, over = [held(spent)], threading.Event()
    before = sum(spent.values())

    def watch() -> None:
        while not over.wait(0.2):
            most.append(held(spent))

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    begun = time.perf_counter()
    result = attribute(wanted, predictor_maps, latitude, longitude, settings)
    seconds = time.perf_counter() - begun
    with tempfile.TemporaryDirectory() as folder:
        begun = time.perf_counter()
        write_attribution(Path(folder) / "attribution", result)
        writing = time.perf_counter() - begun
    over.set()
    watcher.join()
    return {
        "cells": cells,
        "targets": targets,
        "predictors": predictors,
        "members": members,
        "estimator": result.to_json()["targets"][0].get("estimator"),
        "processors": len(os.sched_getaffinity(0)),
        "load": os.getloadavg()[0],
        "attribution_seconds": round(seconds, 1),
        "writing_seconds": round(writing, 1),
        "cpu_seconds": round(sum(spent.values()) - before, 1),
        "peak_mib": round(max(most)),
    }


def main() -> None:
    """Measure once and print it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", type=int, default=10_000)
    parser.add_argument("--targets", type=int, default=6)
    parser.add_argument("--predictors", type=int, default=20)
    parser.add_argument("--members", type=int, default=5)
    parser.add_argument("--workers", type=int, default=0, help="processes; default: one a core")
    parser.add_argument("--estimator", choices=("auto", "exact", "histogram"), default="auto")
    parser.add_argument("--json", action="store_true", help="one JSON object in place of lines")
    chosen = parser.parse_args()
    settings = AttributionSettings(workers=chosen.workers, estimator=chosen.estimator)
    measured = measure(chosen.cells, chosen.targets, chosen.predictors, chosen.members, settings)
    if chosen.json:
        print(json.dumps(measured))
        return
    for key, value in measured.items():
        print(f"{key.replace('_', ' ')}: {value}")


if __name__ == "__main__":
    main()
