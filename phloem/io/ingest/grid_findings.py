"""Quality control of a file of grid drivers: what is counted while its cells are read, told at its end, or refused.

The same limits as for towers and raw products: values that cannot be (`Variable.lowest` to `highest`), fluxes too small
in all seasons (`plausibility.FLOORS`), a minimum above the maximum, vapour pressure in the place of its deficit.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from phloem.errors import InputError
from phloem.io.drivers.quality import TURNED, TURNED_WORDS, check_vapour_pressure
from phloem.io.drivers.variables import VARIABLES, Variable
from phloem.io.files.stored_values import StoredValues
from phloem.io.ingest.cell_records import INCOMPLETE
from phloem.io.ingest.ingest_folder import Dropped
from phloem.io.ingest.plausibility import DIM, DRY, FLOORS, SPAN

MAX_IMPOSSIBLE_SHARE = 0.01
"""Share of impossible values beyond which a variable is taken to have another unit than its file says."""

MAX_EXCHANGED_SHARE = 0.01
"""Share of days whose minimum exceeds their maximum beyond which nobody can tell what happened."""


@dataclass
class _Seen:
    """What was seen of one variable."""

    variable: Variable
    finite: int = 0
    impossible: int = 0
    least: float = np.inf
    most: float = -np.inf
    total: float = 0.0


@dataclass
class GridFindings:
    """What was seen of a file while its cells were read.

    Attributes:
        path: the file.
        units: of its variables, as it states them.
        stored: how they are stored, by name.
        dropped: cells that were left out.
        nothing: cells without any forcing.
        burned: variable of burned area that is above 0 somewhere; empty where there is none.
    """

    path: Path
    units: Mapping[str, str] = field(default_factory=dict)
    stored: Mapping[str, StoredValues] = field(default_factory=dict)
    dropped: list[Dropped] = field(default_factory=list)
    nothing: int = 0
    burned: str = ""
    _seen: dict[str, _Seen] = field(default_factory=dict)
    _days: int = 0
    _exchanged: int = 0
    _compared: int = 0
    _wettest: float = 0.0
    _vapour: list[bool] = field(default_factory=list)

    def clean(self, variable: Variable, values: np.ndarray) -> np.ndarray:
        """Count values that cannot be, and return the others, NaN in their place.

        Args:
            variable: what they are.
            values: in its unit, (days, cells).
        """
        seen = self._seen.setdefault(variable.name, _Seen(variable))
        wrong = (values < variable.lowest - variable.slack) | (values > variable.highest)
        seen.finite += int(np.isfinite(values).sum())
        seen.impossible += int(wrong.sum())
        seen.total += float(np.nansum(values))
        if np.isfinite(values).any():
            seen.least, seen.most = min(seen.least, float(np.nanmin(values))), max(seen.most, float(np.nanmax(values)))
        return np.where(wrong, np.nan, values)

    def check_weather(self, forcing: Mapping[str, np.ndarray]) -> None:
        """Look at the forcing of some cells, (days, cells); days whose minimum exceeds the maximum are exchanged."""
        low, high = forcing["tasmin"], forcing["tasmax"]
        wrong = low > high
        self._exchanged += int(wrong.sum())
        self._compared += int((np.isfinite(low) & np.isfinite(high)).sum())
        low[wrong], high[wrong] = high[wrong], low[wrong]
        self._days = len(low)
        if np.isfinite(forcing["pr"]).any():
            with np.errstate(invalid="ignore"):
                known = np.isfinite(forcing["pr"])
                mean = np.where(known, forcing["pr"], 0.0).sum(0) / np.maximum(known.sum(0), 1)
            self._wettest = max(self._wettest, float(mean.max()))

    def check_deficit(self, forcing: Mapping[str, np.ndarray], time: np.ndarray) -> None:
        """Look whether the deficit of one cell, (days,), behaves like vapour pressure."""
        vpd, low, high, light = (forcing[key].astype(float) for key in ("vpd", "tasmin", "tasmax", "rsds"))
        issue = check_vapour_pressure(vpd, low, high, light, time)
        self._vapour.append(issue is not None)

    def drop(self, name: str, north: float, east: float, missing: Mapping[str, int], days: int) -> None:
        """Take down a cell without complete forcing; one without any value is sea.

        Args:
            name: of the cell.
            north: degrees.
            east: degrees.
            missing: days without a value, by variable.
            days: of the record.
        """
        if all(count == days for name, count in missing.items() if name != "co2"):
            self.nothing += 1
            return
        detail = ", ".join(f"{name} on {count} of {days} days" for name, count in missing.items() if count)
        self.dropped.append((name, north, east, INCOMPLETE, f"no value of {detail}"))

    def refuse(self) -> None:
        """Refuse what cannot be, all of it.

        Raises:
            InputError: a line each.
        """
        lines = []
        for name, seen in self._seen.items():
            variable, said = seen.variable, self.units.get(name, "")
            if seen.impossible > MAX_IMPOSSIBLE_SHARE * max(seen.finite, 1):
                limits = f"{variable.lowest:g}..{variable.highest:g}"
                lines.append(
                    f"variable {name}: {seen.least:.4g} to {seen.most:.4g} {variable.unit}; {seen.impossible:,} of "
                    f"{seen.finite:,} values are outside {limits}; the file says {said!r}"
                )
        if not lines:
            lines += self._too_small()
        if self._exchanged > MAX_EXCHANGED_SHARE * max(self._compared, 1):
            lines.append(
                f"variable tasmin: exceeds tasmax on {self._exchanged:,} of {self._compared:,} days of all cells"
            )
        if self._vapour and 2 * sum(self._vapour) > len(self._vapour):
            lines.append(
                f"variable vpd: behaves like vapour pressure, not like its deficit, in {sum(self._vapour)} of "
                f"{len(self._vapour)} cells looked at: it falls on clear days"
            )
        if lines:
            raise InputError("\n".join(f"{self.path}: {line}" for line in lines))

    def _too_small(self) -> Iterable[str]:
        if self._days < SPAN:
            return
        for name, floor in {"rsds": DIM, **FLOORS}.items():
            seen = self._seen.get(name)
            if seen is None or not 0.0 < seen.most < floor or (name not in ("rsds", "pr") and self._wettest < DRY):
                continue
            yield (
                f"variable {name}: at most {seen.most:.2g} {VARIABLES[name].unit} in all seasons and cells, where at "
                f"least {floor:g} is due; the file says {self.units.get(name, '')!r}"
            )

    def told(self) -> list[str]:
        """Return in words what was taken as missing, mended or left out."""
        lines = [
            f"{name}: {seen.impossible:,} impossible values count as missing"
            for name, seen in self._seen.items()
            if seen.impossible
        ]
        lines += [f"{name}: {text}" for name, how in self.stored.items() for text in how.told()]
        for name in ("gpp", "reco"):
            if (of := self._seen.get(name)) and of.total < -TURNED * of.finite:
                lines.append(f"{name}: {TURNED_WORDS.format(name)}")
        if self.burned:
            lines.append(f"{self.burned}: above 0 on some days, and not read: the model has no fire")
        if self._exchanged:
            lines.append(
                f"tasmin and tasmax: exchanged on {self._exchanged:,} days of all cells, where the minimum was above"
            )
        if self.dropped:
            first = self.dropped[0]
            lines.append(f"left out: {len(self.dropped)} cells: {INCOMPLETE}, as {first[0]}: {first[4]}")
        if self.nothing:
            lines.append(f"sea, or no forcing at all: {self.nothing} cells")
        return [f"{self.path.name}: {line}" for line in lines]
