"""Times fits of tower models in a real campaign, and what the engine takes beside them; prints JSON.

    python -m benchmarks.upscaling_fits --table towers.nc --parts 12 --json

    {"fits": .., "fit_cpu_s": .., "of_8000_cpu_min": .., "engine_share": .., "engine_cpu_s": ..}

A campaign over a table of tower months leaves out so many parts of it, box by box of degrees, with ten members of four
fluxes that learn residuals with the usual trees, and is run by the command `phloem run` on all cores. CPU time is that
of all processes of the command: workers, start, plan, merge, scores. What fits alone take is the CPU time of
`fit_member` for the same fits, median of repeats, on as many cores at once as the campaign has workers, since cores
share caches and clock; what is beside is the engine's. Its part that does not grow with the fits (start of as many
workers, plan, merge) is told apart by a second campaign of two parts. Eight thousand fits are 206 towers x 4 fluxes x
10 members.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import tomli_w

FITS = 206 * 4 * 10
MEMBERS = 10
REPEATS = 40


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    shared = os.environ.get("PHLOEM_DATA", "../shared/data")
    parser.add_argument("--table", type=Path, default=Path(shared) / "uflux" / "towers_monthly.nc")
    parser.add_argument("--parts", type=int, default=12, help="parts that are left out in turn (default: 12)")
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        results = measure(Path(folder), options.table.resolve(), options.parts)
    print(
        json.dumps(results) if options.json else "\n".join(f"{key:20} {value:12,.3f}" for key, value in results.items())
    )


def campaign(folder: Path, table: Path, parts: int) -> Path:
    """Write the file of a campaign that leaves out so many parts."""
    tree = {
        "campaign": {"name": f"parts-{parts}", "members": MEMBERS},
        "data": {"kind": "flux-towers", "path": str(table)},
        "experiment": {"name": "upscaling", "learn": "residual", "cv": ["block"], "folds": parts},
        "tiles": {"cells": 6 if parts == 2 else 24},  # of two parts too, both workers have a tile
    }
    path = folder / f"parts-{parts}.toml"
    path.write_text(tomli_w.dumps(tree))
    return path


def cpu_of(command: list[str]) -> float:
    """Run a command and return the CPU seconds of it and all of its children."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def pace(path: Path) -> tuple[float, int]:
    """Return the CPU seconds of a fit, median over fits of all fluxes, and the fits of the campaign."""
    from phloem.analysis.upscaling.member_model import fit_member
    from phloem.jobs.config.campaign_file import load_configuration
    from phloem.jobs.upscaling.fit_units import check_towers, read_towers, table_of

    configuration = load_configuration(path)
    checked = check_towers(configuration, path.parent)
    checked_fits = len(checked.units(path.parent).table) * MEMBERS
    table = table_of(configuration)
    data = read_towers(Path(str(configuration.data.path)), table, 0)
    settings, times = table.settings(), []
    for number in range(REPEATS + 1):
        flux = table.fluxes[number % len(table.fluxes)]
        held = data.left_out["block"].fold == number % table.folds
        begun = time.process_time()
        fit_member(data.prepared, flux, held, settings, (0, number))
        times.append(time.process_time() - begun)
    return statistics.median(times[1:]), checked_fits


def measure(folder: Path, table: Path, parts: int) -> dict[str, float]:
    """Return the pace of fits and the engine's part of a campaign."""
    program = str(Path(sys.executable).with_name("phloem"))
    used = {}
    for count in (2, parts):
        path = campaign(folder, table, count)
        used[count] = cpu_of([program, "run", str(path), "--out", str(folder / str(count))])
    workers = len(os.sched_getaffinity(0))
    with multiprocessing.get_context("spawn").Pool(workers) as pool:
        found = pool.map(pace, [folder / f"parts-{parts}.toml"] * workers, chunksize=1)
    each, fits = statistics.median(one[0] for one in found), found[0][1]
    fewer = fits - 4 * (parts - 2) * MEMBERS
    a_fit = (used[parts] - used[2]) / (fits - fewer)
    fixed = used[2] - fewer * a_fit
    whole = fixed + FITS * a_fit
    return {
        "fits": float(fits),
        "campaign_cpu_s": used[parts],
        "fit_cpu_s": each,
        "fit_in_campaign_cpu_s": a_fit,
        "engine_cpu_s": fixed,
        "of_8000_cpu_min": whole / 60,
        "engine_share": max(0.0, whole - FITS * each) / whole,
    }


if __name__ == "__main__":
    main()
