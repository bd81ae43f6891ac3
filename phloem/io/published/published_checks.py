"""Checks of the layout of DifferLand_Global's files by their headers: variables, units, axes, months, CO2."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from phloem.errors import InputError, some
from phloem.io.drivers.variables import VARIABLES
from phloem.io.files.csv_table import Table
from phloem.io.files.stored_values import stored_values
from phloem.io.files.time_axis import decode_dates
from phloem.io.files.units import conversion
from phloem.io.patches.stored_patch import UNITS
from phloem.io.products.raw_files import OpenFiles, decoded
from phloem.io.published.published_layout import (
    BOX,
    FORCING,
    LABEL_CHOICES,
    PREDICTOR_NAMES,
    WEIGHTED,
    PublishedAxes,
    PublishedChoice,
    PublishedPaths,
    weight_name,
)

YEAR = 12
_UNITS_OF_FORCING = {**{key: VARIABLES[key].unit for key in FORCING if key in VARIABLES}, "burned_area": "1"}
_UNITS_OF_PREDICTORS = {"MAT": "degC", "MAP": "mm yr-1"}
_NO_UNITS = ("sif", "vod")
"""Streams whose units nothing converts to."""


class LayoutChecks:
    """The checks of one set of files; what is wrong is collected, and refused together by `refuse`.

    Attributes:
        faults: what is wrong, a line each.
        notes: for the log.
        factors: factor and offset that lead to the unit here, by variable of the file.
    """

    def __init__(self, files: OpenFiles, paths: PublishedPaths, choice: PublishedChoice) -> None:
        self.files, self.paths, self.choice = files, paths, choice
        self.faults: list[str] = []
        self.notes: list[str] = []
        self.factors: dict[str, tuple[float, float]] = {}
        self.names = set(files.get(paths.maps).names())

    def fault(self, path: Path, name: str, text: str) -> None:
        """Note what is wrong with a variable."""
        self.faults.append(f"{path}: variable {name}: {text}")

    def refuse(self) -> None:
        """Refuse the files if anything is wrong.

        Raises:
            InputError: all of it, a line each.
        """
        if self.faults:
            raise InputError("\n  ".join(["not the layout of DifferLand_Global:", *self.faults]))

    def headers(self) -> PublishedAxes:
        """Return the axes.

        Raises:
            InputError: all that is wrong with the headers, the axes and the table of CO2.
        """
        self._choices()
        north, east = self._axis("lat", -90.0, BOX[0]), self._axis("lon", -180.0, BOX[1])
        months = self._length("time")
        self._shapes(months, None if north is None else len(north), None if east is None else len(east))
        first = self._first_month(months) if months else None
        co2 = self._co2(months, first)
        if north is not None and east is not None:
            self._step(north, east)
        self.refuse()
        assert north is not None
        assert east is not None
        assert first is not None
        assert co2 is not None
        return PublishedAxes(round(float(np.diff(north).mean()), 6), north, east, first, months, co2)

    def _choices(self) -> None:
        """Which variables are due, and in which units they are."""
        for stream in sorted(set(self.choice.labels) - set(LABEL_CHOICES)):
            self.faults.append(f"labels.{stream}: there is no such stream; valid are {', '.join(LABEL_CHOICES)}")
        due = {name: _UNITS_OF_FORCING[key] for key, name in FORCING.items()}
        due |= {name: _UNITS_OF_PREDICTORS.get(key, "") for key, name in PREDICTOR_NAMES.items()}
        for stream, parts in self.choice.parts().items():
            due |= dict.fromkeys(parts, "" if stream in _NO_UNITS else UNITS[stream][0])
            due |= dict.fromkeys(map(weight_name, parts), "") if stream in WEIGHTED else {}
        self.due = {**due, "LAT": ""}
        for name in sorted(set(self.choice.units) - set(self.due)):
            self.faults.append(f"units.{name}: that variable is not read; read are {', '.join(self.due)}")
        for name, wanted in self.due.items():
            if name in self.names:
                self._unit(name, wanted)
                continue
            stream = next((key for key, parts in self.choice.parts().items() if name in parts), "")
            hint = f" (labels.{stream}; the public code knows {', '.join(LABEL_CHOICES[stream])})" if stream else ""
            self.fault(self.paths.maps, name, f"is missing{hint}")

    def _unit(self, name: str, wanted: str) -> None:
        attribute = self.files.get(self.paths.maps).header(name).text("units")
        stated = self.choice.units.get(name, "")
        found = conversion(stated or attribute, wanted) if wanted and (stated or attribute) else (1.0, 0.0)
        if stated and found is None:
            self.fault(self.paths.maps, name, f"units.{name} = {stated!r} does not lead to {wanted!r}")
        elif not stated and found != (1.0, 0.0):
            self.fault(
                self.paths.maps, name,
                f"its attribute says {attribute!r}, the layout has {wanted!r}; say which it is with units.{name}",
            )  # fmt: skip
        self.factors[name] = found or (1.0, 0.0)

    def _axis(self, name: str, start: float, box: float) -> np.ndarray | None:
        """Return the centres of the rows or columns; None where they are no such axis."""
        path = self.paths.maps
        if name not in self.names or len(self.files.get(path).header(name).shape) != 1:
            self.fault(path, name, "an axis of cell centres is due")
            return None
        values = decoded(self.files.get(path), path, name)
        steps = np.diff(values)
        if len(values) < 2 or not np.isfinite(values).all() or not np.allclose(steps, steps[0], atol=1e-4):
            self.fault(path, name, "centres of one step are due")
            return None
        if steps[0] < 0:
            way = "south to north" if name == "lat" else "west to east"
            self.fault(path, name, f"goes from {values[0]:g} to {values[-1]:g}; the layout goes from {way}")
            return None
        step = float(steps.mean())
        ends = (values[0] - 0.5 * step - start) / box, (values[-1] + 0.5 * step - start) / box
        cells = box / step
        if abs(cells - round(cells)) > 1e-3 or any(abs(end - round(end)) > 0.25 / cells for end in ends):
            self.fault(
                path, name,
                f"{len(values)} cells of {step:g} degrees from {values[0]:g} on are no whole boxes of {box:g} degrees "
                f"from {start:g} on",
            )  # fmt: skip
            return None
        return values

    def _step(self, north: np.ndarray, east: np.ndarray) -> None:
        sizes = [float(np.diff(one).mean()) for one in (north, east)]
        if abs(sizes[0] - sizes[1]) > 1e-4:
            self.fault(self.paths.maps, "lon", f"cells are {sizes[1]:g} degrees wide and {sizes[0]:g} high")

    def _length(self, dimension: str) -> int:
        for name in FORCING.values():
            if name in self.names:
                header = self.files.get(self.paths.maps).header(name)
                if dimension in header.dimensions:
                    return header.shape[header.dimensions.index(dimension)]
        self.fault(self.paths.maps, dimension, "no forcing has this dimension")
        return 0

    def _shapes(self, months: int, rows: int | None, columns: int | None) -> None:
        file = self.files.get(self.paths.maps)
        still = {*PREDICTOR_NAMES.values(), *self.choice.parts().get("soil_carbon", ()), "LAT"}
        for name in self.due:
            if name not in self.names:
                continue
            header = file.header(name)
            due = ("lat", "lon") if name in still else ("time", "lat", "lon")
            sizes = {"time": months, "lat": rows, "lon": columns}
            if header.dimensions != due:
                self.fault(self.paths.maps, name, f"dimensions {header.dimensions}; {due} are due in this order")
            elif any(sizes[key] not in (None, n) for key, n in zip(due, header.shape, strict=True)):
                self.fault(self.paths.maps, name, f"shape {header.shape}; {tuple(sizes[key] for key in due)} is due")
            elif header.kind.kind not in "fiu":
                self.fault(self.paths.maps, name, f"numbers are due, not {header.kind}")

    def _first_month(self, months: int) -> np.datetime64 | None:
        path, given = self.paths.maps, self.choice.first_month
        file = self.files.get(path)
        header = file.header("time") if "time" in self.names else None
        if header is not None and " since " in header.text("units"):
            where, values = f"{path}: variable time", decoded(file, path, "time")
            try:
                dates, _ = decode_dates(values, header.text("units"), header.text("calendar"), where)
            except InputError as error:
                self.faults.append(str(error))
                return None
            found = dates.astype("datetime64[M]")
            if (np.diff(found.astype(int)) != 1).any():
                self.fault(path, "time", "months that follow one another are due, one step each")
                return None
            if given and found[0] != np.datetime64(given, "M"):
                self.fault(path, "time", f"begins in {found[0]}, first_month says {given}")
                return None
            first = found[0]
        elif not self._days_are_months():
            return None
        else:
            first = np.datetime64(given or "2001-01", "M")
            self.notes.append(f"time: no dates in the file; the first month is taken as {first}")
        if int(first.astype(int)) % YEAR or months % YEAR:
            self.fault(path, "time", f"{months} months from {first} on; whole years from a January on are due")
            return None
        return np.datetime64(first, "M")

    def _days_are_months(self) -> bool:
        """Whether DAYS counts months; it is all that tells where the time axis has no dates."""
        path = self.paths.maps
        if "DAYS" not in self.names:
            self.fault(path, "time", "no dates (units `days since ...`), and there is no DAYS")
            return False
        file = self.files.get(path)
        header = file.header("DAYS")
        whole = decoded(file, path, "DAYS") if len(header.shape) == 1 else None
        if whole is None:
            stored = stored_values(header.attributes, header.kind, f"{path}: variable DAYS", coordinate=True)
            last = self.files.read(path, "DAYS", (slice(None), slice(0, 1), slice(None)))
            values = stored.decode(last).reshape(len(last), -1)
            known = np.flatnonzero(np.isfinite(values).all(0))
            whole = values[:, known[0]] if len(known) else np.full(len(last), np.nan)
        steps = np.diff(whole)
        if not ((steps >= 27) & (steps <= 32)).all():
            self.fault(path, "DAYS", f"steps of {some(sorted({round(float(s), 2) for s in steps}))} days are no months")
            return False
        return True

    def _co2(self, months: int, first: np.datetime64 | None) -> np.ndarray | None:
        path = self.paths.co2
        try:
            table = Table(path)
            table.require(["average"])
            limits = VARIABLES["co2"]
            rows = list(table.rows())
            values = [row.number("average", least=limits.lowest, most=limits.highest) for row in rows]
            if len(values) < months:
                raise InputError(f"{path}: {len(values)} rows; row i is month i, so {months} are due")
            if first is not None and {"year", "month"} <= set(table.columns):
                begins = f"{int(rows[0].number('year')):04d}-{int(rows[0].number('month')):02d}"
                if begins != str(first):
                    raise InputError(f"{path}: begins in {begins}, the maps in {first}")
        except InputError as error:
            self.faults.append(str(error))
            return None
        return np.array(values[:months])
