"""Times the application of fluxes: ten members of four fluxes, beside the library's own prediction of the trees.

`python -m benchmarks.apply_fluxes [--rows N] [--json]`: N months of places (a million) in 240 months of a grid, a third
of it ocean; CPU minutes of the whole command are extrapolated to 16 million; peak memory is of the largest process.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from phloem.analysis.upscaling.boosted_trees import GradientTrees
from phloem.analysis.upscaling.member_model import fit_member
from phloem.analysis.upscaling.upscaling_settings import TreeOptions
from phloem.arithmetic import ceil_div
from phloem.jobs.application.apply_fluxes import ApplyChoice, apply_fluxes
from phloem.jobs.application.fitted_models import fitted_models
from phloem.jobs.campaign.campaign import open_campaign
from phloem.jobs.commands.options import print_json
from phloem.jobs.upscaling.fit_units import planned_data, table_of
from phloem.jobs.upscaling.fitted_file import open_fitted, write_fitted
from tests.support.campaigns.applied_upscalings import write_upscaling
from tests.support.campaigns.campaigns import succeed
from tests.support.drivers.flux_towers import MadeGrid

GOAL_ROWS = 16_000_000
MEMBERS = 10
MONTHS = 240
COLUMNS = 240


def cpu_seconds() -> float:
    """Return processor time of this process and of all that it has waited for."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def measure(rows: int) -> dict[str, float]:
    """Apply models to so many months of places, about, and return what it took.

    What a command takes whatever it is applied to is told by a second one, of a twentieth of the rows.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _models(folder)
        few, seconds_of_few, _ = _apply(folder, rows // 20)
        many, seconds, wall = _apply(folder, rows)
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
        library = _library_seconds(folder / "up")
    each = (seconds - seconds_of_few) / (many - few)
    return {
        "rows": many,
        "cpu_seconds": seconds,
        "wall_seconds": wall,
        "cpu_seconds_of_any_command": seconds - each * many,
        "cpu_us_a_row": 1e6 * each,
        "cpu_minutes_of_16_million": (seconds + each * (GOAL_ROWS - many)) / 60,
        "peak_gb_of_a_process": peak,
        "us_a_row_and_model_of_the_library": 1e6 * library,
        "cpu_minutes_of_the_library_for_the_trees_alone": 4 * MEMBERS * library * GOAL_ROWS / 60,
    }


def _apply(folder: Path, rows: int) -> tuple[int, float, float]:
    """Return months with drivers, and the seconds of processors and of the clock that the command took."""
    grid = MadeGrid(max(3, ceil_div(3 * rows, 2 * MONTHS * COLUMNS)), COLUMNS, MONTHS)
    grid.values = {key: np.where(_ocean(grid)[..., None], np.float32(np.nan), one) for key, one in grid.values.items()}
    land = int(np.isfinite(grid.values["VPD"]).sum())
    grid.write(folder / "X.nc")
    begun, wall = cpu_seconds(), time.monotonic()
    apply_fluxes(folder / "up", folder / "O.nc", ApplyChoice(folder / "X.nc"), workers=1)
    return land, cpu_seconds() - begun, time.monotonic() - wall


def _models(folder: Path) -> None:
    """Make a small campaign, and put ten members of 100 trees of depth 6 in the place of its own."""
    write_upscaling(folder)
    succeed("run", "upscaled.toml", "--out", "up", folder=folder)
    campaign = open_campaign(folder / "up")
    prepared = planned_data(campaign).prepared
    settings = replace(table_of(campaign.configuration).settings(), trees=TreeOptions())
    none = np.zeros(len(prepared.rows), bool)
    members = {
        flux: [fit_member(prepared, flux, none, settings, (1, number)).model for number in range(MEMBERS)]
        for flux in settings.fluxes
    }
    write_fitted(campaign, replace(open_fitted(campaign), members=members))


def _ocean(grid: MadeGrid) -> np.ndarray:
    """A third of the cells, in pieces."""
    found: np.ndarray = np.add.outer(np.arange(len(grid.latitude)) // 3, np.arange(len(grid.longitude)) // 5) % 3 == 0
    return found


def _library_seconds(directory: Path, rows: int = 100_000) -> float:
    """Return seconds a row that the library takes for one model."""
    trees = next(iter(fitted_models(str(directory)).members["gpp"][0].trees.values()))
    assert isinstance(trees, GradientTrees)
    x = np.random.default_rng(1).normal(size=(rows, trees.booster.num_features())).astype(np.float32)
    begun = time.process_time()
    trees.booster.inplace_predict(x)
    return (time.process_time() - begun) / rows


def main() -> None:
    """Print what it took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    found = measure(chosen.rows)
    if chosen.json:
        print_json(found)
    else:
        print("\n".join(f"{name.replace('_', ' ')}: {value:.4g}" for name, value in found.items()))


if __name__ == "__main__":
    main()
