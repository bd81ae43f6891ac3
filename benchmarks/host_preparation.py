"""Times what the processor does for a cell of a driver store before a device can begin: milliseconds a cell, by stage.

    python -m benchmarks.host_preparation [--cells 24] [--experiment growth-curve] [--repeats 5] [--json]

Cells are made up (36 years). The clock is the processor's time of this process; each stage is the median of its
repeats, warm, of all cells together.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np

from phloem.jobs.config.experiments import find_experiment
from phloem.jobs.synthetic.boreal_domain import make_store
from phloem.kernels.objective.record_windows import richest_years
from phloem.kernels.objective.site import site_data

LINE = {"alpha": -8.3, "gamma": 2.06, "sigma": 0.3}
WINDOWS = (1, 3)
"""Years of the optimiser's windows."""


def measure(cells: int, name: str, repeats: int) -> dict[str, float]:
    """Return milliseconds a cell by stage, and their sum."""
    experiment: Any = find_experiment(name).model_validate({"name": name, "leaf_economics": LINE})
    with tempfile.TemporaryDirectory() as folder:
        store = make_store(Path(folder) / "store", cells, 5, None)
        read = list(store.read(range(cells)))

        def timed(work: Callable[[], Any]) -> float:
            work()
            seconds = []
            for _ in range(repeats):
                begun = time.process_time()
                jax.block_until_ready(work())
                seconds.append(time.process_time() - begun)
            return 1e3 * statistics.median(seconds) / cells

        sites = [experiment.site(cell) for cell in read]
        plain = [experiment.site_on_windows(cell, site) for cell, site in zip(read, sites, strict=True)]
        cut = [[richest_years(site, years) for site in plain] for years in WINDOWS]
        stages: dict[str, Callable[[], Any]] = {
            "read": lambda: list(store.read(range(cells))) and None,
            "site": lambda: [experiment.site(cell) for cell in read] and None,
            "site on windows": lambda: list(map(experiment.site_on_windows, read, sites)) and None,
            "windows": lambda: [[richest_years(site, years) for site in plain] for years in WINDOWS] and None,
            "tables": lambda: site_data(sites, np.float32).tables.weather,
            "tables of windows": lambda: [site_data(part, np.float32).tables.weather for part in cut],
        }
        found = {stage: round(timed(work), 2) for stage, work in stages.items()}
    return {**found, "together": round(sum(found.values()), 2)}


def main() -> None:
    """Read the command line, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", type=int, default=24)
    parser.add_argument("--experiment", choices=("growth-curve", "baseline"), default="growth-curve")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    found = measure(given.cells, given.experiment, given.repeats)
    if given.json:
        print(json.dumps(found))
        return
    for stage, milliseconds in found.items():
        print(f"{stage:20s} {milliseconds:7.2f} ms a cell")


if __name__ == "__main__":
    main()
