"""Times what an upscaled map needs beside its predictions: dissimilarity index and regional totals; prints JSON.

    python -m benchmarks.upscaling_maps --json

    {"index_rows_per_second": .., "index_seconds_of_16e6": .., "totals_seconds_of_16e6": .., "peak_mb": ..}

The index is that of 12,000 training rows of 20 predictors, all kept; totals are those of four fluxes and ten members
over half-degree cells, for the Earth, six bands, five climates and seventeen plant classes. One core.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import time

import numpy as np

CELL_MONTHS = 16_000_000
"""67,000 cells of land and 20 years."""

TRAINING, PREDICTORS, ROWS = 12_000, 20, 200_000
MEMBERS, STEP = 10, 0.5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    options = parser.parse_args()
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:1])
    results = measure()
    print(
        json.dumps(results) if options.json else "\n".join(f"{key:24} {value:12,.1f}" for key, value in results.items())
    )


def measure() -> dict[str, float]:
    """Return processor seconds of both, and the memory of the process."""
    index = index_seconds() / ROWS
    return {
        "index_rows_per_second": round(1 / index),
        "index_seconds_of_16e6": round(index * CELL_MONTHS, 1),
        "totals_seconds_of_16e6": round(totals_seconds() * CELL_MONTHS, 1),
        "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
    }


def index_seconds() -> float:
    """Return the processor time of an index of `ROWS` rows."""
    from phloem.analysis.flux_skill.dissimilarity import applicability

    rng = np.random.default_rng(0)
    training = rng.normal(size=(TRAINING, PREDICTORS))
    found = applicability(training, np.arange(TRAINING) % 130, 1 / np.arange(1, PREDICTORS + 1))
    rows = rng.normal(size=(ROWS, PREDICTORS)).astype(np.float32)
    begun = time.process_time()
    found.index(rows)
    return time.process_time() - begun


def totals_seconds() -> float:
    """Return the processor time of the totals of a cell-month, from a year of blocks of ten rows of the map."""
    from phloem.analysis.benchmark.skill_scores import cell_area
    from phloem.analysis.flux_maps.regional_totals import LATITUDE_BANDS, FluxBlock, FluxTotals, latitude_band

    rng = np.random.default_rng(0)
    months = np.arange("2003-01", "2004-01", dtype="datetime64[M]")
    units = {"gpp": "gC m-2 d-1", "reco": "gC m-2 d-1", "nee": "gC m-2 d-1", "le": "W m-2"}
    regions = {"band": LATITUDE_BANDS, "climate": tuple("ABCDE"), "class": tuple(map(str, range(17)))}
    totals = FluxTotals(months, units, regions, MEMBERS)
    latitude = np.repeat(np.arange(-2.25, 2.5, STEP), round(360 / STEP))
    labels = {name: rng.integers(-1, len(names), len(latitude)) for name, names in regions.items()}
    labels["band"] = latitude_band(latitude)
    shape = (MEMBERS, len(months), len(latitude))
    fluxes = {flux: rng.random(shape).astype(np.float32) for flux in units}
    block = FluxBlock(months[0], cell_area(latitude, STEP), np.ones(len(latitude)), labels, fluxes)
    totals.add(block)
    begun = time.process_time()
    for _ in range(3):
        totals.add(block)
    return (time.process_time() - begun) / 3 / len(latitude) / len(months)


if __name__ == "__main__":
    main()
