"""Monthly fluxes of towers: from a CF file of sites and months, or from FLUXNET's tables of half hours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from phloem.errors import InputError, some
from phloem.io.drivers.fluxnet_tables import LEAST_GOOD, list_tables, read_days
from phloem.io.drivers.tower_files import COORDINATES, coordinates_in
from phloem.io.drivers.variables import EPOCH, VARIABLES
from phloem.io.files.csv_table import Table
from phloem.io.files.own_variables import OwnVariables
from phloem.io.files.stored_values import stored_values
from phloem.io.files.time_axis import StampsAt
from phloem.io.files.units import convert
from phloem.io.global_products.months_of_series import StoreMonths
from phloem.io.global_products.patch_catalogue import CLASS_OF_TOWERS, PLANT_TYPES
from phloem.io.monthly.variable_names import CLASSES, names_of
from phloem.io.products.levels import labels, texts_of
from phloem.io.products.raw_files import OpenFiles, RawFile, decoded
from phloem.io.references.maps import listed_places
from phloem.io.references.monthly_series import read_months

FLUXES = {"tower_gpp": "gpp", "tower_reco": "reco", "tower_et": "et"}
"""Streams of towers, and what they are."""

WEIGHTS = ("weight", "representativeness", "weights")
"""Variables that may say how much a tower counts."""

_UNIT = {"gpp": "g m-2 d-1", "reco": "g m-2 d-1", "et": "mm d-1"}


@dataclass(frozen=True, eq=False)
class TowerRecords:
    """Towers and their months.

    Attributes:
        paths: files that were read.
        names: of the towers.
        latitude, longitude: degrees north and east (-180 to 180), (towers,).
        types: plant type of each, empty where its class is not known.
        classes: as the source says.
        values: by stream, float64 (towers, months), NaN where missing.
        weights: how much each counts by the source, (towers,); None: its type's share of the cell.
        notes: for the log.
    """

    paths: Sequence[Path]
    names: Sequence[str]
    latitude: np.ndarray
    longitude: np.ndarray
    types: Sequence[str]
    classes: Sequence[str]
    values: dict[str, np.ndarray]
    weights: np.ndarray | None
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.names)


def read_tower_file(path: Path, months: StoreMonths, own: OwnVariables, stamps: StampsAt = "begin") -> TowerRecords:
    """Read a CF file of sites and months.

    Args:
        path: NetCDF with gpp, reco or et along sites and time, their latitudes and longitudes, and their classes.
        months: of the store.
        own: what the user says of gpp, reco and et.
        stamps: where the stamps of months stand if the file has no time bounds.

    Raises:
        InputError: naming file and variable: what is missing, or is not what it should be.
    """
    with OpenFiles() as files:
        file = files.get(path)
        have = file.names()
        chosen = {}
        for stream, key in FLUXES.items():
            said = own.get(key)
            sought = (said.name,) if said and said.name else names_of(key)
            name = next((one for one in sought if one in have), "")
            if said and said.name and not name:
                raise InputError(f"{path}: no variable {said.name!r} (variables.{key}); it has {some(sorted(have))}")
            if name:
                chosen[stream] = name
        if not chosen:
            raise InputError(f"{path}: no gpp, reco or et; the file has {some(sorted(have), most=40)}")
        header = file.header(next(iter(chosen.values())))
        where = listed_places(file, header)
        if where is None:
            raise InputError(
                f"{path}: variable {next(iter(chosen.values()))}: no latitudes and longitudes of its sites"
            )
        dimension, north, east = where
        latitude, longitude = decoded(file, path, north), (decoded(file, path, east) + 180.0) % 360.0 - 180.0
        names = _texts(
            file, dimension, ("site", "site_id", "name", "station", "station_name", dimension), len(latitude)
        )
        names = names or [f"site{number}" for number in range(len(latitude))]
        places = set(zip(latitude.tolist(), longitude.tolist(), strict=True))
        if len(set(names)) < len(names) or (len(places) < len(names) and labels(file, dimension) != names):
            raise InputError(
                f"{path}: several towers of one name, or at one place and not told apart: names along {dimension} are "
                f"due, in a variable {dimension} or with cf_role = 'timeseries_id'"
            )
        classes = _texts(file, dimension, CLASSES, len(latitude))
        if not classes:
            raise InputError(f"{path}: no classes of the towers ({' or '.join(CLASSES)}): texts such as ENF are due")
        weights = _weights(file, path, dimension)
    years = int(str(months.first)[:4]), int(str(months.first + (months.count - 1))[:4])
    values = {}
    for stream, name in chosen.items():
        key = FLUXES[stream]
        said = own.get(key)
        read = read_months(
            path, name, latitude, longitude, 1e-6, years, units=_UNIT[key], stated=said.units if said else "",
            names=names, stamped=stamps,
        )  # fmt: skip
        place = months.places(read.months)
        values[stream] = np.full((len(names), months.count), np.nan)
        values[stream][:, place] = read.values * (said.sign if said else 1)
    return _records([path], names, latitude, longitude, classes, values, weights)


def read_tower_tables(source: Path, months: StoreMonths) -> TowerRecords:
    """Read FLUXNET's, AmeriFlux's or ICOS's tables of half hours, as downloaded; a month needs half of its days.

    Args:
        source: a table, an archive or a folder of them, with a `site_coords.csv` (SITE_ID, lat, lon, IGBP) beside them.
        months: of the store.

    Raises:
        InputError: as of `fluxnet_tables.read_days`; a site without a place or a class.
    """
    tables = list_tables(source)
    listed = (source if source.is_dir() else source.parent) / COORDINATES
    if not listed.is_file():
        raise InputError(f"{listed}: is missing; columns SITE_ID, lat, lon, IGBP are due")
    table = Table(listed)
    table.require(["SITE_ID", "lat", "lon", "IGBP"])
    kinds = {row.values["SITE_ID"]: row.values["IGBP"] for row in table.rows()}
    names, places, classes = [], [], []
    found: dict[str, list[np.ndarray]] = {stream: [] for stream in FLUXES}
    for tower in tables:
        path, days = tower.file.path, read_days(tower)
        if days.site in names:
            raise InputError(f"{path}: site {days.site} stands twice: half hours and hours, or two releases")
        if days.site not in kinds:
            raise InputError(f"{listed}: no site {days.site}, of {path.name}")
        place = coordinates_in(listed, days.site)
        names.append(days.site)
        places.append((place["lat"], place["lon"]))
        classes.append(kinds[days.site])
        month = months.places((EPOCH + days.time).astype("datetime64[D]"))
        for stream, key in FLUXES.items():
            values = days.values.get(key, np.full(len(month), np.nan))
            known = np.isfinite(values) & (month >= 0)
            count = np.bincount(month[known], minlength=months.count)
            total = np.bincount(month[known], values[known], minlength=months.count)
            enough = (count >= LEAST_GOOD * months.days) & (count > 0)
            found[stream].append(np.divide(total, count, out=np.full(months.count, np.nan), where=enough))
    latitude, longitude = np.array(places, float).T
    monthly = {stream: np.stack(rows) for stream, rows in found.items()}
    paths = [*dict.fromkeys(tower.file.path for tower in tables), listed]
    return _records(paths, names, latitude, longitude, classes, monthly, None)


def _records(
    paths: Sequence[Path], names: Sequence[str], latitude: np.ndarray, longitude: np.ndarray, classes: Sequence[str],
    values: dict[str, np.ndarray], weights: np.ndarray | None,
) -> TowerRecords:  # fmt: skip
    notes = []
    for stream, found in values.items():
        variable = VARIABLES[FLUXES[stream]]
        with np.errstate(invalid="ignore"):
            odd = (found < variable.lowest) | (found > variable.highest)
        if odd.any():
            found[odd] = np.nan
            notes.append(f"{stream}: {int(odd.sum())} impossible values count as missing")
    types = [CLASS_OF_TOWERS.get(one.strip().upper(), one if one in PLANT_TYPES else "") for one in classes]
    longitude = (np.asarray(longitude, float) + 180.0) % 360.0 - 180.0
    return TowerRecords(
        paths, list(names), np.asarray(latitude, float), longitude, types, list(classes), values, weights, tuple(notes)
    )


def _texts(file: RawFile, dimension: str, names: Sequence[str], length: int) -> list[str]:
    for name in names:
        if name in file.names() and file.header(name).dimensions[:1] == (dimension,):
            found = texts_of(file, name)
            if len(found) == length:
                return found
    return []


def _weights(file: RawFile, path: Path, dimension: str) -> np.ndarray | None:
    """The weights of towers, (towers,); None where the file has none."""
    for name in WEIGHTS:
        if name in file.names() and file.header(name).dimensions == (dimension,):
            header = file.header(name)
            raw = np.asarray(file.read(name, (slice(None),)))
            values = stored_values(header.attributes, header.kind, f"{path}: variable {name}").decode(raw)
            share = convert(values, header.text("units") or "1", "1", f"{path}: variable {name}")
            if np.nanmax(share, initial=0.0) > 1.0 or np.nanmin(share, initial=0.0) < 0.0:
                raise InputError(f"{path}: variable {name}: weights from 0 to 1 are due")
            return np.nan_to_num(share)
    return None
