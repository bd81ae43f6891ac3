"""Times a whole training over patches of full size, read from a store, and its memory; prints JSON.

    python -m benchmarks.network_training --patches 60 --json

    {"step_ms": .., "networks": 15, "core_hours_of_300": .., "peak_mb": .., "store_mb": ..}

A store of so many patches of 320 cells and 276 months is made first (4 MB each). Then the fifteen set-ups of one run
are trained for an epoch on one core, as a tile of a campaign does it: patches read, proved, made and gone through. A
step is the wall time for one network, reading and all; more patches than the cache holds are made anew each time. What
300 x 199 x 764 steps need is extrapolated from it.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import tempfile
import time
from pathlib import Path

ROWS, MONTHS = 320, 276
FULL = 300 * 199 * 764
"""Steps of the paper's factorial."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--patches", type=int, default=60, help="patches of the store (default: 60)")
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    options = parser.parse_args()
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:1])
    with tempfile.TemporaryDirectory() as folder:
        results = measure(Path(folder), options.patches)
    print(
        json.dumps(results) if options.json else "\n".join(f"{key:20} {value:12,.1f}" for key, value in results.items())
    )


def measure(folder: Path, patches: int) -> dict[str, float]:
    """Return what an epoch takes, and the memory of the process."""
    from phloem.jobs.network.table import NetworkTable
    from phloem.jobs.network.tile_training import TileTraining
    from phloem.jobs.network.training_units import training_input
    from tests.support.patches import made_store

    store = made_store(folder, patches, ROWS, MONTHS)
    table = NetworkTable.model_validate({"backend": "cpu", "epochs": 2, "dev_every": 1})
    units = [training_input(table, store, 0, set_up, 0) for set_up in table.set_ups]
    work = TileTraining(table, 0, units)
    steps = len(units[0].split.train)
    while work.steps_taken < len(units) * steps:  # compiles, and fills the cache
        work.advance(steps)
    begun = time.perf_counter()
    work.advance(steps)
    each = (time.perf_counter() - begun) / steps / len(units)
    return {
        "step_ms": round(1e3 * each, 3),
        "networks": len(units),
        "core_hours_of_300": round(each * FULL / 3600, 1),
        "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
        "store_mb": round(sum(store.table["bytes"]) / 2**20, 1),
    }


if __name__ == "__main__":
    main()
