"""Axes, variables and attributes of an application's product."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import netCDF4
import numpy as np

from phloem.io.drivers.tower_arrays import TIME_UNITS
from phloem.io.files.netcdf import CONVENTIONS, FILL, UNSTRUCTURED, put_texts
from phloem.io.flux_drivers.driver_places import DriverPlaces
from phloem.jobs.application.table import ApplicationTable
from phloem.jobs.calibration.run_dates import month_starts
from phloem.jobs.campaign.campaign import Campaign, open_campaign

CHUNK_BYTES = 2**20
"""Bytes of a chunk, about."""

CARBON, HEAT = "g m-2 d-1", "W m-2"

FLUX_VARIABLES = {
    "gpp": (CARBON, "gross primary production, carbon", "gross_primary_productivity_of_biomass_expressed_as_carbon"),
    "reco": (CARBON, "ecosystem respiration, carbon", ""),
    "nee": (CARBON, "net ecosystem exchange, carbon, positive to the atmosphere", ""),
    "le": (HEAT, "latent heat flux", "surface_upward_latent_heat_flux"),
}
"""Unit, long name, and standard name of CF where there is one."""

ENDS = {
    "lower": "lower end of the conformal interval of 90 %",
    "upper": "upper end of the conformal interval of 90 %",
    "spread_lower": "5 % of the members",
    "spread_upper": "95 % of the members",
}


@dataclass(frozen=True, eq=False)
class ProductAxes:
    """Axes of a product.

    Attributes:
        places: in the order of the drivers' file.
        months: datetime64[M], (months,).
        band: rows that are written at once.
    """

    places: DriverPlaces
    months: np.ndarray
    band: int

    @property
    def dimensions(self) -> tuple[str, ...]:
        """Those of all fluxes: as in the files that are read."""
        return ("time", "lat", "lon") if self.places.gridded else ("site", "time")

    @property
    def chunks(self) -> tuple[int, ...]:
        """Lengths of a chunk."""
        length = len(self.months)
        if not self.places.gridded:
            return max(1, min(self.places.rows, CHUNK_BYTES // (4 * length))), length
        plane = self.band * self.places.columns
        return max(1, min(length, CHUNK_BYTES // (4 * plane))), self.band, self.places.columns


def define_product(
    file: netCDF4.Dataset, axes: ProductAxes, table: ApplicationTable, names: list[str], campaign: Campaign
) -> None:
    """Create dimensions, coordinates, variables and attributes.

    Args:
        file: new.
        axes: of the product.
        table: of the application.
        names: of the floating variables.
        campaign: the application.
    """
    _put_attributes(file, table, campaign, axes)
    file.createDimension("bnds", 2)
    _define_places(file, axes.places)
    _define_time(file, axes.months)
    for name in names:
        variable = file.createVariable(
            name, "f4", axes.dimensions, zlib=True, complevel=1, shuffle=True, fill_value=np.float32(FILL),
            chunksizes=axes.chunks, chunk_cache=4 * CHUNK_BYTES,
        )  # fmt: skip
        variable.setncatts(_attributes(name, names))
        _place(variable, axes)
    inside = file.createVariable(
        "inside", "i1", axes.dimensions, zlib=True, complevel=1, fill_value=np.int8(-1), chunksizes=axes.chunks
    )
    inside.setncatts(
        {
            "long_name": "whether the drivers are like those of the training towers (area of applicability)",
            "flag_values": np.array([0, 1], np.int8),
            "flag_meanings": "outside inside",
        }
    )
    _place(inside, axes)


def _place(variable: netCDF4.Variable, axes: ProductAxes) -> None:
    if not axes.places.gridded:
        variable.coordinates = "lat lon"
        variable.CDI_grid_type = UNSTRUCTURED
    variable.set_auto_maskandscale(False)


def _attributes(name: str, names: list[str]) -> dict[str, str]:
    flux, _, end = name.partition("_")
    if flux not in FLUX_VARIABLES:
        text = "dissimilarity of the drivers to those of the training towers (Meyer and Pebesma 2021)"
        return {"units": "1", "long_name": text}
    unit, meaning, standard = FLUX_VARIABLES[flux]
    found = {"units": unit, "long_name": f"{meaning}: {ENDS[end]}" if end else meaning, "cell_methods": "time: mean"}
    if not end:
        beside = [one for one in names if one.startswith(f"{flux}_")]
        found["ancillary_variables"] = " ".join([*beside, "dissimilarity", "inside"])
        found |= {"standard_name": standard} if standard else {}
    return found


def _define_places(file: netCDF4.Dataset, places: DriverPlaces) -> None:
    axes = (("lat", "degrees_north", "latitude", "Y"), ("lon", "degrees_east", "longitude", "X"))
    if not places.gridded:
        file.createDimension("site", places.rows)
        put_texts(file, "site", "site", places.names, {"long_name": "site", "cf_role": "timeseries_id"})
        for (name, units, standard, _), values in zip(axes, (places.latitude, places.longitude), strict=True):
            variable = file.createVariable(name, "f8", ("site",))
            variable.setncatts({"units": units, "standard_name": standard, "long_name": standard})
            variable[:] = values
        return
    assert places.latitude_bounds is not None
    assert places.longitude_bounds is not None
    each = (places.latitude, places.latitude_bounds), (places.longitude, places.longitude_bounds)
    for (name, units, standard, axis), (values, bounds) in zip(axes, each, strict=True):
        file.createDimension(name, len(values))
        variable = file.createVariable(name, "f8", (name,))
        variable.setncatts({"units": units, "standard_name": standard, "axis": axis, "bounds": f"{name}_bnds"})
        variable[:] = values
        file.createVariable(f"{name}_bnds", "f8", (name, "bnds"))[:] = bounds
    area = file.createVariable("cell_area", "f8", ("lat", "lon"), zlib=True)
    area.setncatts({"units": "m2", "standard_name": "cell_area", "long_name": "area of the cell"})
    area[:] = places.areas()


def _define_time(file: netCDF4.Dataset, months: np.ndarray) -> None:
    keys = months.astype(np.int64) + 1970 * 12
    file.createDimension("time", len(months))
    time = file.createVariable("time", "f8", ("time",))
    time.setncatts(
        {"units": TIME_UNITS, "calendar": "standard", "standard_name": "time", "axis": "T", "bounds": "time_bnds"}
    )
    time[:] = month_starts(keys, "standard")
    edges = np.stack([month_starts(keys, "standard"), month_starts(keys + 1, "standard")], axis=1)
    file.createVariable("time_bnds", "f8", ("time", "bnds"))[:] = edges


def _put_attributes(file: netCDF4.Dataset, table: ApplicationTable, campaign: Campaign, axes: ProductAxes) -> None:
    models = Path(table.campaign)
    planned = open_campaign(models).configuration
    facts = {
        "Conventions": CONVENTIONS,
        "title": f"monthly fluxes by the models of {planned.campaign.name}",
        "source": f"phloem {campaign.version}",
        "configuration_hash": planned.fingerprint(),
        "models_sha256": table.models,
        "drivers": Path(table.drivers).name,
        "comment": "missing: places and months that lack a driver which the models need; gpp, reco and le are never "
        "negative here; intervals hold 90 % of the months of towers that had no part in the models, the spread of the "
        "members does not",
    }
    if not axes.places.gridded:
        facts["featureType"] = "timeSeries"
    file.setncatts(facts)
