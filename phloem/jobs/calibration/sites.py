"""From a cell that was read to what the kernels read, and the objective and optimiser of a campaign."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from phloem.errors import InputError
from phloem.io.drivers.grid_cell import GridCell
from phloem.io.drivers.tower_cell import Cell
from phloem.jobs.config.campaign_file import Configuration
from phloem.jobs.config.experiment import Experiment
from phloem.kernels.models.dalec_daily.daily_step import dalec
from phloem.kernels.models.dalec_daily.grid_operators import LIVE
from phloem.kernels.models.dalec_daily.mode_switches import switches
from phloem.kernels.models.dalec_daily.parameters import CALIBRATED
from phloem.kernels.objective.grid_site_input import GridSite, grid_site
from phloem.kernels.objective.site_input import Site, site
from phloem.kernels.objective.site_objective import SiteObjective
from phloem.kernels.optimise.optimiser import Options
from phloem.kernels.optimise.windowed_bfgs import FastOptions

LIVE_ROWS = tuple(row for row, unknown in enumerate(CALIBRATED) if unknown.name in LIVE)
"""Places of the live pools among a lane's unknowns."""


def build_site(cell: Cell | GridCell, experiment: Experiment) -> Site:
    """Return a cell as the kernels read it.

    Raises:
        InputError: a grid cell without the years that the experiment asks for.
    """
    if isinstance(cell, GridCell):
        return build_grid_site(cell, experiment)
    return site(
        cell.time,
        cell.doy,
        cell.latitude,
        cell.forcing,
        cell.observations,
        cell.evaporative_fraction,
        cell.training_days,
        switches(experiment.mode),
    )


def objective(experiment: Experiment) -> SiteObjective:
    """Return the objective of an experiment; equal tables give equal (and once compiled) objectives."""
    if experiment.is_grid:
        return experiment.grid_objective()
    mode = experiment.mode
    return SiteObjective(dalec(mode), switches(mode), experiment.pools, experiment.backend, experiment.edc4_sharpness)


def optimiser_options(configuration: Configuration) -> Options:
    """Return the kernels' form of the optimiser, as the experiment needs it."""
    options = configuration.optimiser.options()
    if isinstance(options, FastOptions) and options.windows and configuration.experiment.live_caps:
        return replace(options, regrown=LIVE_ROWS)
    return options


def build_grid_site(cell: GridCell, experiment: Experiment) -> GridSite:
    """Return a grid cell as the kernels read it.

    Raises:
        InputError: years that the record does not have, or no biomass where the experiment fits it.
    """
    snapshot = float(cell.statics.get("biomass_snapshot", np.nan))
    if experiment.name == "single-year" and not cell.has_snapshot:
        raise InputError(f"cell {cell.name}: no biomass_snapshot, which the single-year experiment fits")
    if experiment.name == "growth-curve" and not cell.has_trajectory:
        raise InputError(f"cell {cell.name}: no growth curve, which the growth-curve experiment fits")
    try:
        return grid_site(
            cell.time,
            cell.year,
            cell.doy,
            cell.latitude,
            cell.forcing,
            cell.observations,
            cell.window_start,
            cell.evaporative_fraction,
            cell.trajectory,
            snapshot,
            (float(cell.statics.get("lcma", np.nan)), 1 - float(cell.statics.get("cue", np.nan))),
            experiment.protocol,
            switches(experiment.mode),
            tuple(experiment.window_means),
            cell.withheld,
        )
    except ValueError as error:
        raise InputError(f"cell {cell.name}: {error}") from error
