"""CF-NetCDF tables of tower months, (site, time), with the names of `tower_quantities`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import MappingProxyType

import netCDF4
import numpy as np
import xarray as xr

from phloem.errors import InputError, did_you_mean, some
from phloem.io.drivers.tower_arrays import TIME_UNITS
from phloem.io.files.atomic import checksum
from phloem.io.files.netcdf import CONVENTIONS, FILL, filled, put_texts, write_netcdf
from phloem.io.files.own_variables import OwnVariables
from phloem.io.files.stored_dataset import as_the_user_says, decoded_values, open_stored, storage
from phloem.io.files.stored_values import StoredValues
from phloem.io.files.time_axis import StampsAt
from phloem.io.files.units import convert, of_month, of_steps
from phloem.io.flux_towers.tower_months import TowerMonths, in_half_turns
from phloem.io.flux_towers.tower_quantities import FLUXES, IGBP, OF_SITE, QUANTITIES
from phloem.io.grids.axis_names import LATITUDE, LONGITUDE, horizontal_word
from phloem.io.ingest.cf_grid_file import dated
from phloem.io.monthly.variable_names import CLASSES, NAMES

NEEDED = ("TA", "SWIN")
"""Weather without which nothing can be learned of a table."""

MAX_MONTHS = 2400
"""Longest axis of months, two centuries: a stamp further off is an error in the file, not a gap to be filled."""

_PROVENANCE = "provenance_"
_VALID = (*QUANTITIES, *OF_SITE)


def read_tower_table(
    path: Path, own: OwnVariables = MappingProxyType({}), stamps: StampsAt = "begin", *, complete: bool = True
) -> TowerMonths:
    """Read a table of tower months.

    Args:
        path: NetCDF with values along (site, time) in either order, and latitude and longitude of each site.
        own: what the user says of its variables, by the names in `tower_quantities`.
        stamps: where stamps stand in their months if the file has no time bounds.
        complete: whether weather and a flux are due; without them any quantity will do.

    Raises:
        InputError: naming file and variable: what is missing of lat, lon, TA, SWIN and at least one flux; a unit that
            is not known; towers without a name or of one name; a month that stands twice; a tower on no place of Earth.
    """
    path = Path(path)
    with open_stored(path) as opened:
        said = as_the_user_says(opened.load(), path, own, lambda key: (key,), _VALID)
        stored = storage(said, path)
        return _TableReader(decoded_values(said, stored), path, stored).read(stamps, complete)


class _TableReader:
    """One table being read."""

    def __init__(self, file: xr.Dataset, path: Path, stored: dict[str, StoredValues]) -> None:
        self.file, self.path, self.stored = file, path, stored
        self.notes = [str(line) for line in str(file.attrs.get("notes", "")).splitlines()]
        self.names = {name: actual for name in _VALID if (actual := self._actual(name))}

    def read(self, stamps: StampsAt, complete: bool) -> TowerMonths:
        """Read all of it."""
        if complete:
            self._require_learnable()
        elif not any(name in self.names for name in QUANTITIES):
            raise self._error("LAI", f"at least one is due of {', '.join(QUANTITIES)}; {self._there()}")
        self.dimension, self.sites = self._sites()
        months, place = self._months(stamps)
        self.place, self.count = place, len(months)
        values = {name: self._series(name, months) for name in QUANTITIES if name in self.names}
        of_site = self._of_site()
        return TowerMonths(
            sites=tuple(self.sites),
            months=months,
            values=values,
            of_site=of_site,
            igbp=self._classes(),
            provenance=self._provenance(values, months),
            notes=tuple(dict.fromkeys([*self.notes, *self._told()])),
            checksum=checksum(self.path.read_bytes()),
        )

    def _require_learnable(self) -> None:
        """Refuse a table without weather or fluxes."""
        if not any(name in self.names for name in FLUXES.values()):
            raise self._error("GPP", f"at least one flux is due: {', '.join(FLUXES.values())}; {self._there()}")
        for name in NEEDED:
            if name not in self.names:
                guess = did_you_mean(name, [str(one) for one in self.file.variables])
                raise self._error(name, f"is missing; needed are {', '.join(NEEDED)}; {self._there()}.{guess}")

    def _actual(self, name: str) -> str:
        """What the file calls a quantity: its name, else the one variable that differs by case or is a coordinate."""
        if name in self.file.variables:
            return name
        wanted = {"lat": LATITUDE, "lon": LONGITUDE}.get(name)
        found = []
        for key, one in self.file.variables.items():
            text = str(key)
            if wanted:
                word = horizontal_word(text, *(str(one.attrs.get(key, "")) for key in ("standard_name", "units")))
                found += [text] if word == wanted else []
            elif text.lower() == name.lower() and text not in _VALID:
                found.append(text)
        return found[0] if len(found) == 1 else ""

    def _error(self, name: str, message: str) -> InputError:
        return InputError(f"{self.path}: variable {name}: {message}")

    def _there(self) -> str:
        return f"the file has {some(sorted(map(str, self.file.variables)), most=60)}"

    def _texts(self, wanted: Sequence[str], length: int = -1) -> tuple[str, str, list[str]] | None:
        """The first variable of texts of some names that has one dimension: its name, dimension and texts."""
        for name in wanted:
            if name in self.file.variables and self.file[name].ndim == 1 and self.file[name].dtype.kind in "OUS":
                texts = [one.decode() if isinstance(one, bytes) else str(one) for one in self.file[name].values]
                if length in (-1, len(texts)):
                    return name, str(self.file[name].dims[0]), [text.strip("\0 ") for text in texts]
        return None

    def _sites(self) -> tuple[str, list[str]]:
        ids = [str(name) for name, one in self.file.variables.items() if one.attrs.get("cf_role") == "timeseries_id"]
        found = self._texts([*ids, *NAMES])
        if found is None:
            raise self._error("site", f"a name of each tower is due as text: {', '.join(NAMES)}; {self._there()}")
        name, dimension, texts = found
        twice = sorted({text for text in texts if texts.count(text) > 1})
        if twice or not all(texts) or not texts:
            raise self._error(name, f"each tower needs a name of its own; {some(twice) or 'one has none'}")
        return dimension, texts

    def _months(self, stamps: StampsAt) -> tuple[np.ndarray, np.ndarray]:
        """Consecutive months, and the place of each step of the file among them."""
        if "time" not in self.file.variables or self.file["time"].dims != ("time",) or not self.file.sizes["time"]:
            raise self._error("time", f"one axis of months is due; {self._there()}")
        times = dated(self.file, self.path)
        found = times.days_within(stamps).astype("datetime64[M]")
        unique, counts = np.unique(found, return_counts=True)
        if (counts > 1).any():
            raise self._error("time", f"month {unique[counts > 1][0]} stands {counts.max()} times; once is due")
        first = unique[0]
        count = int((unique[-1] - first).astype(int)) + 1
        if count > MAX_MONTHS:
            raise self._error("time", f"{first} to {unique[-1]} are {count} months; at most {MAX_MONTHS} are read")
        if count > len(unique):
            self.notes.append(f"time: {count - len(unique)} months that the file leaves out are missing in every tower")
        return first + np.arange(count), (found - first).astype(np.int64)

    def _series(self, name: str, months: np.ndarray) -> np.ndarray:
        """A quantity in its unit, (sites, months)."""
        key = self.names[name]
        one = self.file[key]
        if one.dtype.kind != "f":
            raise self._error(key, f"numbers are due, not {one.dtype}")
        dims = set(map(str, one.dims))
        if dims not in ({self.dimension, "time"}, {"time"}):
            raise self._error(key, f"dimensions {one.dims}; ({self.dimension}, time) are due")
        if self.dimension not in dims:
            one = one.expand_dims({self.dimension: len(self.sites)})
        made = np.full((len(self.sites), len(months)), np.nan)
        made[:, self.place] = one.transpose(self.dimension, "time").values
        due, unit = QUANTITIES[name].unit, of_steps(str(one.attrs.get("units", "")).strip(), "month-1")
        if not unit and due != "1":
            self.notes.append(f"{key}: no units attribute; taken as {due}")
        if due.endswith("d-1") and (a_day := of_month(unit)) is not None:
            made /= np.diff(np.append(months, months[-1] + 1).astype("datetime64[D]")).astype(float)
            unit = a_day
        return convert(made, unit or due, due, f"{self.path}: variable {key}")

    def _of_site(self) -> dict[str, np.ndarray]:
        made = {}
        for name, quantity in OF_SITE.items():
            key = self.names.get(name, "")
            if not key:
                if name in ("lat", "lon"):
                    raise self._error(name, f"is missing: degrees of each tower are due; {self._there()}")
                continue
            one = self.file[key]
            if one.dims != (self.dimension,) or one.dtype.kind != "f":
                raise self._error(key, f"one number a tower is due, not {one.dtype} of dimensions {one.dims}")
            unit = str(one.attrs.get("units", "")).strip() or quantity.unit
            if not (name in ("lat", "lon") and unit.lower().startswith("deg")):
                made[name] = convert(one.values.astype(float), unit, quantity.unit, f"{self.path}: variable {key}")
            else:
                made[name] = one.values.astype(float)
        for name, least, most in (("lat", -90.0, 90.0), ("lon", -180.0, 360.0)):
            wrong = ~((made[name] >= least) & (made[name] <= most))
            if wrong.any():
                lost = [f"{self.sites[n]} ({made[name][n]:g})" for n in np.flatnonzero(wrong)]
                raise self._error(self.names[name], f"{least:g} to {most:g} degrees are due; not so at {some(lost)}")
        made["lon"] = in_half_turns(made["lon"])
        if "koppen" in made:
            made["koppen"] = np.where(made["koppen"] >= 1.0, made["koppen"], np.nan)
        return made

    def _classes(self) -> tuple[str, ...]:
        found = self._texts(CLASSES, len(self.sites))
        if found is not None:
            return known_classes(found[2], self.notes)
        name = next((name for name in CLASSES if name in self.file.variables), "")
        if name and self.file[name].dims == (self.dimension,) and self.file[name].dtype.kind == "f":
            numbers = self.file[name].values
            wrong = np.isfinite(numbers) & ~np.isin(numbers, np.arange(1, len(IGBP) + 1))
            if wrong.any():
                raise self._error(name, f"classes 1 to {len(IGBP)} or their texts are due, not {numbers[wrong][0]:g}")
            return tuple(IGBP[int(number) - 1] if np.isfinite(number) else "" for number in numbers)
        self.notes.append("igbp: not in the file; no tower has a plant class")
        return ("",) * len(self.sites)

    def _provenance(self, values: dict[str, np.ndarray], months: np.ndarray) -> tuple[dict[str, str], ...]:
        keys = [str(name) for name in self.file.variables if str(name).startswith(_PROVENANCE)]
        columns = {key: found[2] for key in keys if (found := self._texts([key], len(self.sites)))}
        if columns:
            rows = zip(*columns.values(), strict=True)
            names = [key.removeprefix(_PROVENANCE) for key in columns]
            return tuple(dict(zip(names, row, strict=True)) for row in rows)
        known = [np.isfinite(values[name]) for name in FLUXES.values() if name in values]
        known = known or [np.isfinite(one) for one in values.values()]
        fluxes: np.ndarray = np.logical_or.reduce(known)
        used = " ".join(values)
        rows_of = []
        for number, site in enumerate(self.sites):
            there = months[fluxes[number]]
            span = {"first": str(there[0]), "last": str(there[-1])} if len(there) else {"first": "", "last": ""}
            share = values["NEE_QC"][number][fluxes[number]] if "NEE_QC" in values else np.array([])
            share = share[np.isfinite(share)]
            rows_of.append({
                "site": site, "file": self.path.name, "product": "CF table", "version": "", "resolution": "MM", **span,
                "months": str(len(there)), "columns": used, "share_good": f"{share.mean():.3f}" if len(share) else "",
            })  # fmt: skip
        return tuple(rows_of)

    def _told(self) -> list[str]:
        used = set(self.names.values())
        told = [f"{name}: {text}" for name in sorted(used & self.stored.keys()) for text in self.stored[name].told()]
        edges = {"time", self.dimension, str(self.file["time"].attrs.get("bounds", "time_bnds"))}
        rest = {str(name) for name in self.file.variables if not str(name).startswith(_PROVENANCE)}
        rest -= used | edges | set(NAMES) | set(CLASSES)
        return [*told, *([f"not read: {', '.join(sorted(rest))}"] if rest else [])]


def known_classes(texts: Sequence[str], notes: list[str]) -> tuple[str, ...]:
    """Return plant classes in capitals; those that are none of `IGBP` are empty, and told.

    Args:
        texts: as a file has them.
        notes: what is told is added here.
    """
    classes = [text.strip().upper() for text in texts]
    odd = sorted({text for text in classes if text and text not in IGBP})
    if odd:
        notes.append(f"igbp: {some(odd)} {'is' if len(odd) == 1 else 'are'} none of {', '.join(IGBP)}: unknown there")
    return tuple(text if text in IGBP else "" for text in classes)


def write_tower_table(months: TowerMonths, path: Path) -> None:
    """Write a table of tower months, atomically: `read_tower_table` of the file gives identical arrays.

    Args:
        months: the table.
        path: NetCDF file.
    """
    write_netcdf(Path(path), lambda file: _fill(file, months))


def _fill(file: netCDF4.Dataset, table: TowerMonths) -> None:
    """Put a table into an empty file."""
    file.setncatts({
        "Conventions": CONVENTIONS, "featureType": "timeSeries", "title": "monthly eddy-covariance towers",
        "notes": "\n".join(table.notes),
    })  # fmt: skip
    file.createDimension("site", len(table.sites))
    file.createDimension("time", len(table.months))
    file.createDimension("bounds", 2)
    edges = np.append(table.months, table.months[-1:] + 1).astype("datetime64[D]")
    days = (edges - np.datetime64(TIME_UNITS.split()[2])).astype(float)
    time = file.createVariable("time", "f8", ("time",))
    time.setncatts({
        "units": TIME_UNITS, "calendar": "standard", "standard_name": "time", "axis": "T", "bounds": "time_bounds",
    })  # fmt: skip
    time[:] = days[:-1]
    file.createVariable("time_bounds", "f8", ("time", "bounds"))[:] = np.stack([days[:-1], days[1:]], 1)
    put_texts(file, "site", "site", table.sites, {"long_name": "tower", "cf_role": "timeseries_id"})
    put_texts(file, "igbp", "site", table.igbp, {"long_name": "plant class of the IGBP"})
    for name, values in {**table.values, **table.of_site}.items():
        dimensions = ("site", "time") if name in QUANTITIES else ("site",)
        variable = file.createVariable(name, "f8", dimensions, fill_value=FILL, zlib=True, shuffle=True)
        quantity = QUANTITIES[name] if name in QUANTITIES else OF_SITE[name]
        attributes = {"units": quantity.unit, "long_name": quantity.meaning}
        if name in ("lat", "lon"):
            attributes["standard_name"] = quantity.meaning
        elif name in QUANTITIES:
            attributes["coordinates"] = "lat lon site"
        variable.setncatts(attributes)
        variable[...] = filled(np.asarray(values, np.float64))
    for key in dict.fromkeys(key for row in table.provenance for key in row):
        texts = [row.get(key, "") for row in table.provenance]
        put_texts(file, f"{_PROVENANCE}{key}", "site", texts, {"long_name": f"{key} of the tower's data"})
