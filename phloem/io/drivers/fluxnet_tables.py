"""Half-hourly tables of FLUXNET, AmeriFlux and ICOS (FLUXNET format, SUBSET or FULLSET), as downloaded: a tower's days.

Days are made of half hours or hours: the daily tables have no lowest and highest temperature. GPP and RECO are those of
the night-time partitioning at the reference threshold; a day has them where at least half of its half hours are
measured or filled with good quality (`NEE_VUT_REF_QC` of 0 or 1), and ET likewise by `LE_F_MDS_QC`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from phloem.errors import InputError
from phloem.io.drivers.oneflux_files import TowerTable, list_files, opened, table_of
from phloem.io.drivers.variables import EPOCH
from phloem.io.files.number_columns import NumberTable, first_of, require_columns

LEAST_GOOD = 0.5
"""Share of a day's half hours that are measured, or filled with good quality, from which on its flux counts."""

GRAMS_OF_CARBON = 12.011e-6 * 86400.0
"""gC m-2 d-1 of one umol m-2 s-1."""

STAMP = "TIMESTAMP_START"

COLUMNS = {
    "air": ("TA_F", "TA_F_MDS"),
    "light": ("SW_IN_F", "SW_IN_F_MDS"),
    "deficit": ("VPD_F", "VPD_F_MDS"),
    "rain": ("P_F", "P"),
    "co2": ("CO2_F_MDS",),
    "gpp": ("GPP_NT_VUT_REF", "GPP_NT_CUT_REF", "GPP_DT_VUT_REF"),
    "reco": ("RECO_NT_VUT_REF", "RECO_NT_CUT_REF", "RECO_DT_VUT_REF"),
    "carbon_quality": ("NEE_VUT_REF_QC", "NEE_CUT_REF_QC"),
    "heat": ("LE_F_MDS",),
    "heat_quality": ("LE_F_MDS_QC",),
}
"""What is read, by the names of its columns, the first that a table has."""

_NEEDED = ("air", "light", "deficit", "rain")


@dataclass(frozen=True, eq=False)
class FluxnetDays:
    """Days of a tower, of whole calendar years.

    Attributes:
        site: its name.
        time: days since 2001-01-01, int64 (days,).
        values: by CMIP name in the units of `variables.VARIABLES`, float64 (days,), NaN where missing.
        notes: what was seen, in words.
    """

    site: str
    time: np.ndarray
    values: dict[str, np.ndarray]
    notes: tuple[str, ...]


def list_tables(path: Path) -> list[TowerTable]:
    """Return the tables of half hours that there are, alone and in ZIP archives.

    Args:
        path: a table, an archive as downloaded, or a folder of either.

    Raises:
        InputError: there is none; where there are tables of days, that says so.
    """
    tables = [table for file in list_files(path) if (table := table_of(file)) is not None]
    found = [table for table in tables if table.resolution in ("HH", "HR")]
    if not found:
        days = next((table.file.where for table in tables if table.resolution == "DD"), "")
        only = f"; {days} is of days, which have no lowest and highest temperature" if days else ""
        raise InputError(f"{path}: no table of half hours (XX-Xxx_..._HH_....csv, or HR), alone or in a ZIP{only}")
    return found


def read_days(table: TowerTable) -> FluxnetDays:
    """Read a table of half hours as days.

    Raises:
        InputError: a column that is missing, a line that is no number, days with gaps.
    """
    where = table.file.where
    notes: list[str] = []
    with opened(table.file) as stream:
        file = NumberTable(stream, where)
        columns = {key: first_of(file.header, names) for key, names in COLUMNS.items()}
        require_columns(file.header, [(STAMP,), *(COLUMNS[key] for key in _NEEDED)], where)
        chosen = {key: name for key, name in columns.items() if name}
        read, _ = file.read([STAMP, *chosen.values()], notes)
    stamps = read[STAMP]
    if np.isnan(stamps).any():
        raise InputError(f"{where}: {STAMP} is missing at row {int(np.argmax(np.isnan(stamps))) + 2}")
    days = _days(table.site, where, stamps, {key: read[name] for key, name in chosen.items()}, chosen)
    return replace(days, notes=(*days.notes, *notes))


def _days(site: str, where: str, stamps: np.ndarray, read: dict[str, np.ndarray], names: dict[str, str]) -> FluxnetDays:
    texts = (f"{number:08d}" for number in (stamps.astype(np.int64) // 10_000).tolist())
    try:
        date = np.array([f"{text[:4]}-{text[4:6]}-{text[6:]}" for text in texts], "datetime64[D]")
    except ValueError as error:
        raise InputError(f"{where}: TIMESTAMP_START: {error}") from error
    day = (date - EPOCH).astype(np.int64)
    if (np.diff(day) < 0).any():
        raise InputError(f"{where}: TIMESTAMP_START does not ascend at row {int(np.argmax(np.diff(day) < 0)) + 2}")
    days, owner, steps = np.unique(day, return_inverse=True, return_counts=True)
    a_day = int(np.bincount(steps).argmax())
    if a_day not in (24, 48):
        raise InputError(f"{where}: {a_day} rows a day; 48 half hours or 24 hours are due")
    years = date.astype("datetime64[Y]")
    whole = [year for year in np.unique(years) if _is_whole(days, steps, a_day, year)]
    if not whole or len(whole) != int((whole[-1] - whole[0]).astype(int)) + 1:
        there = ", ".join(map(str, whole)) or "none"
        raise InputError(f"{where}: whole calendar years that follow one another are due; whole are {there}")
    first = (whole[0].astype("datetime64[D]") - EPOCH).astype(np.int64)
    last = ((whole[-1] + 1).astype("datetime64[D]") - EPOCH).astype(np.int64)
    kept = (days >= first) & (days < last)
    inside = kept[owner]
    shape = (int(kept.sum()), a_day)
    values = {key: column[inside].reshape(shape) for key, column in read.items()}
    notes = [f"{a_day} rows a day of {len(whole)} years, {whole[0]} to {whole[-1]}; {', '.join(names.values())}"]
    if left := len(days) - shape[0]:
        notes.append(f"{left} days of years that are not whole are left out")
    made = _of_days(values, where, notes)
    return FluxnetDays(site, days[kept], made, tuple(notes))


def _is_whole(days: np.ndarray, steps: np.ndarray, a_day: int, year: np.datetime64) -> bool:
    begin, end = ((one.astype("datetime64[D]") - EPOCH).astype(np.int64) for one in (year, year + 1))
    inside = (days >= begin) & (days < end)
    return int(inside.sum()) == int(end - begin) and bool((steps[inside] == a_day).all())


def _of_days(values: dict[str, np.ndarray], where: str, notes: list[str]) -> dict[str, np.ndarray]:
    """Return daily drivers and observations from (days, steps of a day)."""
    nothing = np.full(len(values["air"]), np.nan)
    made = {
        "tasmin": values["air"].min(1),
        "tasmax": values["air"].max(1),
        "rsds": np.maximum(values["light"], 0.0).mean(1) * 0.0864,
        "vpd": values["deficit"].mean(1),
        "pr": values["rain"].sum(1),
    }
    made["co2"] = _filled_co2(values.get("co2"), where, notes)
    good = _share(values.get("carbon_quality")) >= LEAST_GOOD
    for name in ("gpp", "reco"):
        flux = values[name].mean(1) * GRAMS_OF_CARBON if name in values else nothing
        made[name] = np.where(good, flux, np.nan)
    heat = nothing
    if "heat" in values:
        latent = 2.501e6 - 2361.0 * values["air"].mean(1)  # J kg-1
        good = _share(values.get("heat_quality")) >= LEAST_GOOD
        heat = np.where(good, values["heat"].mean(1) * 86400.0 / latent, np.nan)
    made["et"] = heat
    for name in ("gpp", "reco", "et"):
        notes.append(f"{name}: {int(np.isfinite(made[name]).sum())} of {len(nothing)} days")
    return made


def _share(quality: np.ndarray | None) -> np.ndarray:
    """Share of the steps of each day that are measured or filled with good quality; 0 where nothing says so."""
    if quality is None:
        return np.zeros(1)
    return np.asarray(((quality == 0) | (quality == 1)).mean(1))


def _filled_co2(values: np.ndarray | None, where: str, notes: list[str]) -> np.ndarray:
    if values is None or not np.isfinite(values).any():
        raise InputError(f"{where}: no CO2 ({' or '.join(COLUMNS['co2'])})")
    known = np.isfinite(values)
    count = known.sum(1)
    means = np.where(known, values, 0.0).sum(1) / np.maximum(count, 1)
    there = np.flatnonzero(count > 0)
    if len(there) < len(means):
        notes.append(f"co2: {len(means) - len(there)} days without a value are interpolated")
    return np.interp(np.arange(len(means)), there, means[there])
