"""Mass checks of a product's files as mass.json, mass.nc and a figure (docs/causes.md)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np

from phloem.analysis.causes.balance_figures import mass_figure
from phloem.analysis.causes.mass_identities import MassCheck, StocksAt, check_mass
from phloem.io.files.netcdf import CONVENTIONS, FILL, filled, write_netcdf
from phloem.io.products.raw_files import OpenFiles
from phloem.io.references.flux_fields import open_flux_fields
from phloem.jobs.upscaling_analyses.written_files import write_document, write_figure
from phloem.version import VERSION

RESULT, MAPS, FIGURE = "mass.json", "mass.nc", "mass"


def check_mass_files(
    folder: Path,
    paths: Sequence[Path],
    land_fraction: np.ndarray | None = None,
    stocks_at: StocksAt = "year_end",
    names: Mapping[str, str] | None = None,
    units: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Check that carbon adds up in a product, and write mass.json, maps in mass.nc, and a figure as PNG and SVG.

    Args:
        folder: is made where it is not there; other files in it stay.
        paths: CF files of fluxes and stocks on one grid, (time, lat, lon).
        land_fraction: of the cells, (rows, columns) as the files order them; by default all of each cell counts.
        stocks_at: when annual stocks are of.
        names: what the files call a field, by the names in `flux_fields.UNITS`.
        units: what values are, likewise, where the files do not say it.

    Returns:
        What mass.json holds.

    Raises:
        InputError: a file that cannot be checked; nothing is written.
    """
    with OpenFiles() as files:
        fields = open_flux_fields([Path(path) for path in paths], files, names, units)
        check = check_mass(fields, land_fraction, stocks_at)
        span = [str(np.datetime64(int(month), "M")) for month in (fields.months[0], fields.months[-1])]
        about = {
            "files": [Path(path).name for path in paths],
            "months": len(fields.months),
            "first": span[0],
            "last": span[1],
            "land_fraction": land_fraction is not None,
            "maps": MAPS,
        }
    folder.mkdir(parents=True, exist_ok=True)
    write_netcdf(folder / MAPS, lambda file: _fill(file, check))
    write_figure(folder, FIGURE, mass_figure(check), "residuals of the carbon balance, by cell")
    return write_document(folder / RESULT, {**about, **check.to_json()})


def variable_name(identity: str) -> str:
    """Return the variable of an identity's map in mass.nc: `gpp - (npp + ra)` is rmse_gpp_npp_ra."""
    return "rmse_" + "_".join(word for word in identity.replace("(", "").replace(")", "").split() if word.isalpha())


def _fill(file: netCDF4.Dataset, check: MassCheck) -> None:
    file.setncatts({"Conventions": CONVENTIONS, "title": "residuals of carbon", "source": f"phloem {VERSION}"})
    for name, values, unit in (("lat", check.latitude, "degrees_north"), ("lon", check.longitude, "degrees_east")):
        file.createDimension(name, len(values))
        file.createVariable(name, "f8", (name,))[:] = values
        file[name].units = unit
    maps = [
        (variable_name(name), one.rmse, "gC m-2 d-1", f"root mean square over months of {name}")
        for name, one in check.identities.items()
    ]
    if check.closure is not None:
        maps += [
            ("stock_imbalance", check.closure.mean, "gC m-2 yr-1", "mean over years of NEP less change of stocks"),
            ("rmse_stock_closure", check.closure.rmse, "gC m-2 yr-1", "root mean square over years of the same"),
        ]
    for name, values, unit, words in maps:
        variable = file.createVariable(name, "f4", ("lat", "lon"), fill_value=FILL, zlib=True, complevel=1)
        variable.setncatts({"units": unit, "long_name": words})
        variable[:] = filled(values.astype(np.float32))
