"""Axes of places in products that are written part by part: a grid with bounds and areas, or cells with coordinates."""

from __future__ import annotations

from collections.abc import Sequence

import netCDF4
import numpy as np

from phloem.io.files.netcdf import FILL, filled, put_texts
from phloem.io.grids.placed_cells import Grid


def define_grid_axes(file: netCDF4.Dataset, grid: Grid) -> tuple[str, ...]:
    """Create and write the axes of a grid, and return their dimensions; the file has a dimension `bnds`."""
    for name, values, units, standard, axis in (
        ("lat", grid.latitude, "degrees_north", "latitude", "Y"),
        ("lon", grid.longitude, "degrees_east", "longitude", "X"),
    ):
        file.createDimension(name, len(values))
        variable = file.createVariable(name, "f8", (name,))
        variable.setncatts({"units": units, "standard_name": standard, "axis": axis, "bounds": f"{name}_bnds"})
        variable[:] = values
    for name, values in zip(("lat", "lon"), grid.bounds(), strict=True):
        file.createVariable(f"{name}_bnds", "f8", (name, "bnds"))[:] = values
    area = file.createVariable("cell_area", "f8", ("lat", "lon"))
    area.setncatts({"units": "m2", "standard_name": "cell_area"})
    area[:] = np.broadcast_to(grid.areas()[:, None], grid.shape)
    return "lat", "lon"


def define_cell_axis(
    file: netCDF4.Dataset, names: Sequence[str], latitude: np.ndarray, longitude: np.ndarray
) -> tuple[str, ...]:
    """Create and write the axis of cells that lie on no grid, and return its dimension."""
    file.createDimension("cell", len(names))
    put_texts(file, "cell", "cell", names, {"long_name": "site or cell identifier", "cf_role": "timeseries_id"})
    for name, units, values in (("latitude", "degrees_north", latitude), ("longitude", "degrees_east", longitude)):
        variable = file.createVariable(name, "f8", ("cell",), fill_value=FILL)
        variable.setncatts({"units": units, "standard_name": name})
        variable[:] = filled(np.asarray(values, float))
    return ("cell",)
