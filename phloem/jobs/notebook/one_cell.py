"""`phloem.simulate` and `phloem.evaluate`: one site, given drivers and parameters."""

from __future__ import annotations

import xarray as xr

from phloem.io.drivers.variables import driver_variables
from phloem.jobs.config.experiments import DEFAULT
from phloem.jobs.evaluation import Evaluation
from phloem.jobs.notebook.daily_datasets import tower_dataset
from phloem.jobs.notebook.driver_arrays import GivenDrivers, read_drivers
from phloem.jobs.notebook.parameter_arrays import GivenParameters, parameter_values
from phloem.jobs.single_cell import check_choices, evaluate_cell, simulate_tower, tower_experiment


def simulate(
    drivers: GivenDrivers,
    parameters: GivenParameters,
    *,
    mode: str = "strict",
    precision: str = "float32",
    quality: str = "repair",
    experiment: str = DEFAULT,
    site: str = "site",
) -> xr.Dataset:
    """Simulate one site with given parameters: every member, every day.

    Args:
        drivers: a tower file. Or an xarray Dataset, or arrays by name, (time,): `tasmin` and `tasmax` (degC), `rsds`
            (MJ m-2 d-1), `co2` (ppm), `vpd` (hPa), `pr` (mm d-1), with `time` (dates, daily, two years or more) and
            `latitude` (degrees north). Other units are converted where an array has a `units` attribute. No
            observations are needed.
        parameters: a parameters file, CSV or NetCDF. Or an array (member, parameter), as of `read_parameters`. Or
            values by name, one a member or one for all.
        mode: `strict`, the corrected equations, or `compat`, the published arithmetic.
        precision: of the arithmetic, `float32` or `float64`.
        quality: what happens to mendable defects of the drivers: `repair`, `keep` or `refuse`. What is mended is
            warned of.
        experiment: name of an experiment of towers: whose model is run.
        site: name of a site that is not in a file.

    Returns:
        Daily outputs, (member, time), with units and long names: fluxes of the day, and pools at its end.

    Raises:
        InputError: bad drivers, parameters or choices.

    Example:
        >>> import phloem
        >>> drivers = "campaigns/transect/drivers/T000.nc"
        >>> truth = phloem.read_parameters("campaigns/transect/drivers/truth.csv")
        >>> daily = phloem.simulate(drivers, truth.sel(member=0))
        >>> daily.gpp.dims, daily.gpp.units
        (('member', 'time'), 'g m-2 d-1')
    """
    check_choices(mode, precision, option="")
    chosen = tower_experiment(mode, precision, experiment)
    values, members = parameter_values(parameters, chosen.tables)
    cell = read_drivers(drivers, driver_variables(chosen.tables), site, quality, compared=False)
    return tower_dataset(simulate_tower(cell, values, chosen), members)


def evaluate(
    drivers: GivenDrivers,
    parameters: GivenParameters,
    gradient: bool = False,
    *,
    mode: str = "strict",
    precision: str = "float32",
    backend: str = "auto",
    quality: str = "repair",
    experiment: str = DEFAULT,
    site: str = "site",
) -> Evaluation:
    """Score given parameters against what was observed at one site.

    Args:
        drivers: as of `simulate`, with at least one observed stream: `gpp`, `reco` (gC m-2 d-1), `et` (mm d-1), `lai`
            (m2 m-2), NaN where nothing was observed.
        parameters: as of `simulate`.
        gradient: also return the gradient of `j_obs` with respect to the physical values.
        mode: as of `simulate`.
        precision: as of `simulate`.
        backend: what runs the time loop: `auto`, `xla`, `cpu` (generated C) or `gpu`.
        quality: as of `simulate`.
        experiment: as of `simulate`; also which streams are compared.
        site: as of `simulate`.

    Returns:
        Scores of each member in the calibration window, which is the first half of the years, and in the validation
        window after it. Its `to_json()` is what `phloem evaluate --json` prints.

    Raises:
        InputError: bad drivers, parameters or choices.

    Example:
        >>> import phloem
        >>> truth = phloem.read_parameters("campaigns/transect/drivers/truth.csv")
        >>> scores = phloem.evaluate("campaigns/transect/drivers/T000.nc", truth, gradient=True)
        >>> bool(scores.nnse.sel(member=0, stream="gpp") > 0.9)
        True
        >>> scores.gradient.dims
        ('member', 'parameter')
    """
    check_choices(mode, precision, backend, option="")
    chosen = tower_experiment(mode, precision, experiment)
    values, members = parameter_values(parameters, chosen.tables)
    cell = read_drivers(drivers, driver_variables(chosen.tables), site, quality, compared=True)
    return evaluate_cell(cell, values, chosen, backend, gradient, members)
