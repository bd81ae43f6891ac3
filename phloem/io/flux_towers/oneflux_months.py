"""Months of one tower from one table of the ONEFlux family: half hours, hours, days or months."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from phloem.errors import InputError
from phloem.io.drivers.fluxnet_tables import GRAMS_OF_CARBON
from phloem.io.drivers.oneflux_files import TowerTable, opened
from phloem.io.files.number_columns import NumberTable, first_of, require_columns
from phloem.io.flux_towers.oneflux_stamps import END, PLAIN, START, STEP_MINUTES, Steps, read_steps, stamp_columns
from phloem.io.flux_towers.tower_quantities import FLUXES

LEAST_OF_MONTH = 0.9
"""Share of a month's half-hours that a quantity must have, from which on its mean counts."""

DAYLIGHT = 20.0
"""W m-2 of shortwave above which a half-hour is of the day, for `VPD_DAY`."""

CARBON = ("VUT", "CUT")
"""Thresholds of friction velocity, variable by year and constant: all carbon fluxes of a tower are by one of them."""

COLUMNS: Mapping[str, tuple[str, ...]] = MappingProxyType({
    "LE": ("LE_F_MDS",), "LE_CORR": ("LE_CORR",), "H": ("H_F_MDS",), "G": ("G_F_MDS",), "RNET": ("NETRAD",),
    "TA": ("TA_F", "TA_F_MDS"), "TS": ("TS_F_MDS_1",), "VPD": ("VPD_F", "VPD_F_MDS"),
    "SWIN": ("SW_IN_F", "SW_IN_F_MDS"), "LWIN": ("LW_IN_F", "LW_IN_F_MDS"), "P": ("P_F", "P"), "PA": ("PA_F", "PA"),
    "CO2": ("CO2_F_MDS",), "WS": ("WS_F", "WS"), "SWC": ("SWC_F_MDS_1",),
})  # fmt: skip
"""Column of each quantity, the first that a table has."""

CARBON_COLUMNS: Mapping[str, str] = MappingProxyType({
    "NEE": "NEE_{}_REF", "GPP": "GPP_NT_{}_REF", "RECO": "RECO_NT_{}_REF", "GPP_DT": "GPP_DT_{}_REF",
    "RECO_DT": "RECO_DT_{}_REF",
})  # fmt: skip
"""Those of carbon, by threshold."""

FLAGGED = ("NEE", "LE", "TA", "SWIN", "VPD", "TS", "P", "RNET")
"""Quantities whose column may have one of quality beside it, of the same name and `_QC`."""

_FLAGS_OF_GOOD = {"P": (0.0,), "RNET": (0.0,)}
_GOOD = (0.0, 1.0)
"""0: measured; 1: filled with good quality. Rain counts where it is measured."""

_IMPOSSIBLE = (-1000.0, 1e5)
"""No quantity of these tables lies beyond, in any unit: what does is another mark of missing values."""


@dataclass(frozen=True, eq=False)
class OneTower:
    """Months of one tower.

    Attributes:
        months: datetime64[M], ascending, (months,).
        values: by quantity and in its unit, float64 (months,).
        provenance: texts by column.
        notes: what was seen and dropped.
    """

    months: np.ndarray
    values: dict[str, np.ndarray]
    provenance: dict[str, str]
    notes: tuple[str, ...]


def read_oneflux_months(table: TowerTable, completeness: float = LEAST_OF_MONTH) -> OneTower:
    """Read a table, and average it to months where it is finer.

    A quantity has a month where `completeness` of its steps are there; its share of good data counts all steps of the
    month, those without a value as not good. Months of a monthly table are taken as they are.

    Args:
        table: as `oneflux_files.table_of` gives it.
        completeness: share of the steps.

    Raises:
        InputError: naming file, line and column: what is missing, or is no number or date, or a mark of missing values
            other than -9999.
    """
    where, notes = table.file.where, list[str]()
    with opened(table.file) as stream:
        file = NumberTable(stream, where)
        wanted = _Columns(file.header)
        stamps = stamp_columns(file.header, table.resolution)
        due = (START, END, PLAIN) if table.resolution in ("HH", "HR") else (PLAIN, START)
        if not stamps:
            require_columns(file.header, [due, *wanted.groups], where)
        require_columns(file.header, wanted.groups, where)
        columns, line = file.read([*stamps, *wanted.all], notes)
    _refuse_marks({name: columns[name] for name in wanted.all}, line, where)
    steps = read_steps({name: columns[name] for name in stamps}, line, table.resolution, where)
    read = {name: columns[name][steps.order] for name in wanted.all}
    chosen = wanted.chosen(read)
    if not any(name in chosen for name in FLUXES.values()):
        raise InputError(f"{where}: no value of any flux: {', '.join(wanted.fluxes)}")
    made = (_as_months if table.resolution == "MM" else _Means(table.resolution, completeness).months)(
        steps, read, chosen
    )
    months, values = made
    unknown = [key for key in ("NEE", "LE") if key in values and f"{key}_QC" not in values]
    notes += [f"{key}: no column {chosen[key]}_QC; its share of good data is not known" for key in unknown]
    if table.resolution != "MM":
        notes.append(_incomplete(values, months, completeness))
    return OneTower(months, values, _provenance(table, months, values, chosen), (*steps.notes, *filter(None, notes)))


class _Columns:
    """Which columns of a table are read."""

    def __init__(self, header: Sequence[str]) -> None:
        self.plain = {key: name for key, names in COLUMNS.items() if (name := first_of(header, names))}
        self.carbon = {
            way: {key: name for key, form in CARBON_COLUMNS.items() if (name := form.format(way)) in header}
            for way in CARBON
        }
        self.fluxes = [name for way in CARBON for name in self.carbon[way].values()]
        self.fluxes += [self.plain["LE"]] if "LE" in self.plain else []
        self.header = set(header)
        values = dict.fromkeys([*self.plain.values(), *self.fluxes])
        self.all = [*values, *(f"{name}_QC" for name in values if f"{name}_QC" in header)]
        usual = [form.format(CARBON[0]) for form in CARBON_COLUMNS.values()]
        self.groups = [COLUMNS["TA"], COLUMNS["SWIN"], self.fluxes or [*usual, *COLUMNS["LE"]]]

    def chosen(self, read: Mapping[str, np.ndarray]) -> dict[str, str]:
        """Column of each quantity that has a value; of carbon those of the first threshold that has NEE or GPP."""
        way = next((way for way in CARBON if any(
            np.isfinite(read[name]).any() for key, name in self.carbon[way].items() if key in ("NEE", "GPP")
        )), CARBON[0])  # fmt: skip
        both = {**self.carbon[way], **self.plain}
        return {key: name for key, name in both.items() if np.isfinite(read[name]).any()}


def _refuse_marks(read: Mapping[str, np.ndarray], line: np.ndarray, where: str) -> None:
    """Refuse values that no quantity has."""
    low, high = _IMPOSSIBLE
    for name, values in read.items():
        wrong = (values < low) | (values > high)
        if wrong.any():
            row = int(np.argmax(wrong))
            raise InputError(f"{where}, line {line[row]}: column {name}: {values[row]:g} cannot be, and is not -9999, "
                             "which stands for a missing value")  # fmt: skip


def _flags(read: Mapping[str, np.ndarray], chosen: Mapping[str, str]) -> dict[str, np.ndarray]:
    return {key: read[f"{chosen[key]}_QC"] for key in FLAGGED if key in chosen and f"{chosen[key]}_QC" in read}


def _as_months(
    steps: Steps, read: Mapping[str, np.ndarray], chosen: Mapping[str, str]
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Months of a monthly table."""
    values = {key: read[name] for key, name in chosen.items()}
    if "PA" in values:
        values["PA"] = values["PA"] * 10.0  # kPa to hPa
    values |= {f"{key}_QC": np.where(np.isfinite(values[key]), share, np.nan)
               for key, share in _flags(read, chosen).items()}  # fmt: skip
    return steps.month, values


class _Means:
    """Means over the months of finer steps."""

    def __init__(self, resolution: str, completeness: float) -> None:
        self.days, self.completeness = resolution == "DD", completeness
        self.a_day = 1440 // STEP_MINUTES[resolution]

    def months(
        self, steps: Steps, read: Mapping[str, np.ndarray], chosen: Mapping[str, str]
    ) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Return months and values by quantity."""
        number = steps.month.astype(np.int64)
        first = int(number[0])
        self.owner, self.count = number - first, int(number[-1]) - first + 1
        months = steps.month[0] + np.arange(self.count)
        edges = np.append(months, months[-1] + 1).astype("datetime64[D]")
        self.due = np.diff(edges).astype(np.int64) * self.a_day
        values = {key: self._mean(read[name]) * self._factor(key) for key, name in chosen.items()}
        for key, flag in _flags(read, chosen).items():
            share = self._share(flag, _FLAGS_OF_GOOD.get(key, _GOOD))
            values[f"{key}_QC"] = np.where(np.isfinite(values[key]), share, np.nan)
        if "RNET" in values and "RNET_QC" not in values:
            share = self._sum(np.isfinite(read[chosen["RNET"]]).astype(float)) / self.due
            values["RNET_QC"] = np.where(np.isfinite(values["RNET"]), share, np.nan)
        if not self.days and {"VPD", "SWIN"} <= chosen.keys():
            light, deficit = read[chosen["SWIN"]], read[chosen["VPD"]]
            bright = np.where(light > DAYLIGHT, deficit, np.nan)
            count = self._sum(np.isfinite(bright).astype(float))
            total = self._sum(np.nan_to_num(bright))
            whole = np.isfinite(values["VPD"]) & np.isfinite(values["SWIN"]) & (count > 0)
            values["VPD_DAY"] = np.divide(total, count, out=np.full(self.count, np.nan), where=whole)
        return months, values

    def _factor(self, key: str) -> float:
        """From the unit of a step to that of a month."""
        if key == "PA":
            return 10.0  # kPa to hPa
        if self.days:
            return 1.0
        if key in CARBON_COLUMNS:
            return GRAMS_OF_CARBON
        return float(self.a_day) if key == "P" else 1.0

    def _sum(self, values: np.ndarray) -> np.ndarray:
        return np.bincount(self.owner, values, self.count)

    def _mean(self, values: np.ndarray) -> np.ndarray:
        """Mean of the steps that have a value, NaN where they are too few."""
        known = np.isfinite(values)
        count = self._sum(known.astype(float))
        enough = (count >= self.completeness * self.due) & (count > 0)
        return np.divide(self._sum(np.where(known, values, 0.0)), count, out=np.full(self.count, np.nan), where=enough)

    def _share(self, flag: np.ndarray, good: tuple[float, ...]) -> np.ndarray:
        """Share of a month's steps of good quality; in tables of days flags are shares of the day."""
        counted = np.nan_to_num(flag) if self.days else np.isin(flag, good).astype(float)
        return self._sum(counted) / self.due


def _incomplete(values: Mapping[str, np.ndarray], months: np.ndarray, completeness: float) -> str:
    short = [f"{key} {len(months) - int(np.isfinite(values[key]).sum())}" for key in (*FLUXES.values(), "TA", "SWIN")
             if key in values and not np.isfinite(values[key]).all()]  # fmt: skip
    said = f"of {len(months)} months have less than {completeness:.0%} of their steps, and are missing"
    return f"{', '.join(short)} {said}" if short else ""


def _provenance(
    table: TowerTable, months: np.ndarray, values: Mapping[str, np.ndarray], chosen: Mapping[str, str]
) -> dict[str, str]:
    there = np.logical_or.reduce([np.isfinite(values[name]) for name in FLUXES.values() if name in values])
    span = months[there]
    share = values.get("NEE_QC", values.get("LE_QC", np.full(len(months), np.nan)))
    share = share[np.isfinite(share)]
    return {
        "site": table.site,
        "file": table.file.name,
        "product": " ".join(filter(None, [table.product, table.contents])),
        "version": table.version,
        "resolution": table.resolution,
        "first": str(span[0]) if len(span) else "",
        "last": str(span[-1]) if len(span) else "",
        "months": str(len(span)),
        "columns": " ".join(f"{key}={name}" for key, name in chosen.items()),
        "share_good": f"{share.mean():.3f}" if len(share) else "",
    }
