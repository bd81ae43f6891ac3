"""Modelled biomass against ESA CCI as biomass.json, biomass.nc and figures (docs/causes.md)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np

from phloem.analysis.causes.balance_figures import biomass_figure
from phloem.analysis.causes.biomass_comparison import BiomassComparison, above_ground_carbon, compare_biomass
from phloem.errors import InputError
from phloem.io.files.netcdf import CONVENTIONS, FILL, filled, write_netcdf
from phloem.io.products.raw_files import OpenFiles
from phloem.io.references.cci_biomass import NonForest, read_cci_biomass
from phloem.io.references.flux_fields import UNITS, open_flux_fields
from phloem.jobs.upscaling_analyses.written_files import write_document, write_figure
from phloem.version import VERSION

RESULT, MAPS, FIGURE = "biomass.json", "biomass.nc", "biomass"
ABOVE_GROUND = ("cLeaf", "cWood")


@dataclass(frozen=True)
class ModelVersion:
    """Files of one version of a model: mean, lower or upper quartile.

    Attributes:
        paths: CF files that hold leaves and wood, (time, lat, lon), annual or monthly; of months the mean is taken.
        names: what they call `cLeaf` and `cWood`, such as cWood_q25.
        units: what the values are, where the files do not say it.
    """

    paths: tuple[Path, ...]
    names: Mapping[str, str] = field(default_factory=dict)
    units: Mapping[str, str] = field(default_factory=dict)


def compare_with_cci(
    folder: Path,
    versions: Mapping[str, ModelVersion],
    references: Sequence[Path],
    land: np.ndarray | None = None,
    non_forest: NonForest = "zero",
) -> dict[str, Any]:
    """Compare a model's leaves and wood with maps, and write biomass.json, biomass.nc and a figure a version.

    Args:
        folder: is made where it is not there; other files in it stay.
        versions: of the model, on one grid, by name.
        references: files of CCI Biomass, v5 or v6.
        land: cells that count, (rows from south to north, columns from 180 W); by default those that have values.
        non_forest: what pixels without biomass count as.

    Returns:
        What biomass.json holds.

    Raises:
        InputError: a file that cannot be read or has nothing in common with the others; nothing is written.
    """
    if not versions:
        raise InputError("biomass: no version of the model")
    read = {name: _read_version(name, one) for name, one in versions.items()}
    first = next(iter(read.values()))
    for name, one in read.items():
        same = all(np.array_equal(a, b) for a, b in zip(one[1:], first[1:], strict=True))
        if not same:
            raise InputError(f"biomass: version {name} has another grid or other years than {next(iter(read))}")
    _, years, lat, lon = first
    step = float(np.diff(lat).mean())
    reference = read_cci_biomass(references, lat, lon, step, non_forest)
    compared = compare_biomass(
        {name: one[0] for name, one in read.items()}, years, reference.carbon, reference.years, lat, lon, land
    )
    folder.mkdir(parents=True, exist_ok=True)
    write_netcdf(folder / MAPS, lambda file: _fill(file, compared))
    for name in compared.versions:
        label = f"biomass of {name} against satellites"
        write_figure(folder, f"{FIGURE}_{name}", biomass_figure(compared, name), label)
    about = {
        "reference": "ESA CCI Biomass",
        "reference_versions": list(reference.versions),
        "reference_files": [Path(path).name for path in references],
        "non_forest": non_forest,
        "figures": {name: f"{FIGURE}_{name}.svg" for name in compared.versions},
        "maps": MAPS,
    }
    return write_document(folder / RESULT, {**about, **compared.to_json()})


def _read_version(name: str, version: ModelVersion) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return MgC ha-1 (years, rows, columns), years, and axes from south to north and from 180 W."""
    with OpenFiles() as files:
        fields = open_flux_fields(version.paths, files, version.names, version.units)
        absent = [part for part in ABOVE_GROUND if part not in fields.series]
        if absent:
            raise InputError(f"{version.paths[0]}: version {name}: no {', '.join(absent)}; due are leaves and wood")
        of_step = 1970 + fields.stock_months // 12
        years = np.unique(of_step)
        lat, lon = fields.grid.latitude.centres, fields.grid.longitude.centres
        values = np.empty((len(years), len(lat), len(lon)))
        for rows, band in fields.bands():
            carbon = above_ground_carbon(band["cLeaf"], band["cWood"], UNITS["cWood"])
            for n, year in enumerate(years):
                values[n, rows] = carbon[of_step == year].mean(axis=0)
    south, west = np.argsort(lat), np.argsort(lon)
    return values[:, south][:, :, west], years, lat[south], lon[west]


def _fill(file: netCDF4.Dataset, compared: BiomassComparison) -> None:
    file.setncatts({"Conventions": CONVENTIONS, "title": "biomass compared", "source": f"phloem {VERSION}"})
    axes = (("lat", compared.latitude, "degrees_north"), ("lon", compared.longitude, "degrees_east"))
    for name, values, unit in axes:
        file.createDimension(name, len(values))
        file.createVariable(name, "f8", (name,))[:] = values
        file[name].units = unit
    for version, one in compared.versions.items():
        for name, values, unit, words in (
            (f"difference_{version}", one.difference, "Mg ha-1", "carbon of leaves and wood, model less reference"),
            (f"relative_{version}", one.relative, "%", "the same, of the reference"),
        ):
            variable = file.createVariable(name, "f4", ("lat", "lon"), fill_value=FILL, zlib=True, complevel=1)
            variable.setncatts({"units": unit, "long_name": f"{words}, {version}"})
            variable[:] = filled(values.astype(np.float32))
