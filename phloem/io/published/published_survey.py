"""The survey of DifferLand_Global's files: maps, masks, the index of patches, and a look at a year of forcing.

All that is not as the layout has it is refused here, before the months are read.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from phloem.errors import some
from phloem.io.drivers.humidity import saturation_pressure
from phloem.io.drivers.variables import VARIABLES
from phloem.io.files.stored_values import stored_values
from phloem.io.patches.patch_store import box_name
from phloem.io.products.raw_files import OpenFiles
from phloem.io.published.published_checks import YEAR, LayoutChecks
from phloem.io.published.published_layout import (
    FORCING,
    PREDICTOR_NAMES,
    PublishedAxes,
    PublishedChoice,
    PublishedPaths,
    PublishedSurvey,
)
from phloem.names import PERIOD, PREDICTOR_GROUPS

_DEFICIT = (0.2, 5.0)
"""Within this many times es(Tmax) - es(Tmin) a month's deficit in hPa lies at the median; kPa and Pa lie outside."""


def survey_published(paths: PublishedPaths, choice: PublishedChoice) -> PublishedSurvey:
    """Read the layout, the maps without months, and one year of forcing; refuse what is not as the layout has it.

    Raises:
        InputError: all that is wrong, a line each, with file and variable.
    """
    with OpenFiles() as files:
        checks = LayoutChecks(files, paths, choice)
        return _Survey(checks, checks.headers()).done()


def read_piece(
    files: OpenFiles, path: Path, name: str, piece: tuple[slice, ...], factor: tuple[float, float] = (1.0, 0.0)
) -> np.ndarray:
    """Return values of a variable, float64, NaN where missing, each times a factor and plus an offset."""
    header = files.get(path).header(name)
    values = stored_values(header.attributes, header.kind, f"{path}: variable {name}").decode(
        files.read(path, name, piece)
    )
    return values if factor == (1.0, 0.0) else values * factor[0] + factor[1]


class _Survey:
    """One survey."""

    def __init__(self, checks: LayoutChecks, axes: PublishedAxes) -> None:
        self.checks, self.axes, self.files, self.paths = checks, axes, checks.files, checks.paths

    def done(self) -> PublishedSurvey:
        valid = self._still(self.paths.valid, "era_valid") > 0
        bulk = self._still(self.paths.bulk, "assimilate_bulk_variable") > 0
        predictors = {key: self._still(self.paths.maps, name) for key, name in PREDICTOR_NAMES.items()}
        index, numbered = self._index()
        self.checks.refuse()
        choice = self.checks.choice
        due = {"MAT", "MAP", *(name for group in choice.groups for name in PREDICTOR_GROUPS[group])}
        known = np.logical_and.reduce([np.isfinite(predictors[name]) for name in sorted(due)])
        usable, lacking = valid & numbered & known, valid & numbered & ~known
        if usable.any():
            self._look(usable, predictors)
        else:
            self.checks.faults.append("no cell is valid, of a patch, and has its predictors")
        self.checks.refuse()
        return PublishedSurvey(
            self.paths, choice, self.axes, usable, lacking, bulk, predictors, index, self.checks.factors,
            self.checks.notes,
        )  # fmt: skip

    def _read(self, path: Path, name: str, piece: tuple[slice, ...]) -> np.ndarray:
        own = self.checks.factors if path == self.paths.maps else {}
        return read_piece(self.files, path, name, piece, own.get(name, (1.0, 0.0)))

    def _still(self, path: Path, name: str) -> np.ndarray:
        """Return a map, (rows, columns), NaN where missing; NaN everywhere where it is not there."""
        names = self.files.get(path).names()
        shape = self.files.get(path).header(name).shape if name in names else None
        if shape != self.axes.shape:
            why = f"shape {shape}; {self.axes.shape} is due" if shape else f"is missing; the file has {some(names)}"
            self.checks.fault(path, name, why)
            return np.full(self.axes.shape, np.nan)
        return self._read(path, name, (slice(None), slice(None)))

    def _index(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the number of each box in each run, and which cells have one."""
        path, name = self.paths.index, "run_simulation_idx"
        shape, box, (high, wide) = self.axes.shape, self.axes.box, self.axes.boxes
        nothing = np.full((1, high, wide), np.nan), np.zeros(shape, bool)
        if name not in self.files.get(path).names():
            self.checks.fault(path, name, "is missing")
            return nothing
        runs, *plane = self.files.get(path).header(name).shape
        if tuple(plane) != shape or not runs:
            self.checks.fault(path, name, f"shape {(runs, *plane)}; (runs, {shape[0]}, {shape[1]}) is due")
            return nothing
        found: list[np.ndarray] = []
        numbered = np.zeros(shape, bool)
        for run in range(runs):
            cells = self._read(path, name, (slice(run, run + 1), slice(None), slice(None)))[0]
            known = np.isfinite(cells)
            numbered = known if run == 0 else numbered
            boxes = cells.reshape(high, box[0], wide, box[1])
            there = np.isfinite(boxes).any((1, 3))
            least = np.where(np.isfinite(boxes), boxes, np.inf).min((1, 3))
            most = np.where(np.isfinite(boxes), boxes, -np.inf).max((1, 3))
            if (least != most)[there].any():
                row, column = np.argwhere(there & (least != most))[0]
                place = box_name(*self.axes.corner(int(row), int(column)))
                self.checks.fault(path, name, f"run {run + 1}: box {place} has several numbers; one a patch is due")
                return nothing
            numbers = np.where(there, least, np.nan)
            trained = numbers[numbers >= 0]
            if len(np.unique(trained)) < len(trained):
                self.checks.fault(path, name, f"run {run + 1}: a number stands in several boxes")
                return nothing
            if run and ((known != numbered).any() or ((numbers < 0) != (found[0] < 0)).any()):
                self.checks.fault(
                    path, name, f"run {run + 1}: other patches, or others that are held out, than in run 1"
                )
                return nothing
            found.append(numbers)
        return np.stack(found), numbered

    def _look(self, usable: np.ndarray, predictors: Mapping[str, np.ndarray]) -> None:
        """Look whether a year of forcing and the predictors are what their names say."""
        path = self.paths.maps
        shares = np.stack([predictors[name][usable] for name in PREDICTOR_GROUPS["PFT"]])
        if np.isfinite(shares).any() and not 1.5 < np.nanmax(shares) <= 100.5:
            self.checks.fault(path, "NF", f"shares of plant types go up to {np.nanmax(shares):.3g}; per cent are due")
        off = np.abs(self._still(path, "LAT") - self.axes.latitude[:, None])[usable]
        if not (off < 0.51 * self.axes.step).all():
            self.checks.fault(path, "LAT", "is not the latitude of the axis lat")
        year = {
            key: self._read(path, name, (slice(0, YEAR), slice(None), slice(None)))[:, usable]
            for key, name in FORCING.items()
        }
        for key, values in year.items():
            holes = int((~np.isfinite(values)).any(0).sum())
            if holes:
                self.checks.fault(path, FORCING[key], f"is missing in the first year of {holes:,} cells that are used")
            low, high = (0.0, 1.0) if key == "burned_area" else (VARIABLES[key].lowest, VARIABLES[key].highest)
            slack = 1e-3 if key == "burned_area" else VARIABLES[key].slack
            least, most = float(np.nanmin(values)), float(np.nanmax(values))
            if least < low - slack or most > high:
                self.checks.fault(
                    path, FORCING[key], f"{least:.4g} to {most:.4g} where {low:g} to {high:g} are possible"
                )
        if not self.checks.faults:
            self._compare(year, predictors, usable)

    def _compare(
        self, year: Mapping[str, np.ndarray], predictors: Mapping[str, np.ndarray], usable: np.ndarray
    ) -> None:
        path = self.paths.maps
        span = saturation_pressure(year["tasmax"]) - saturation_pressure(year["tasmin"])
        warm = span > 1.0
        if warm.any():
            ratio = float(np.median(year["vpd"][warm] / span[warm]))
            if not _DEFICIT[0] < ratio < _DEFICIT[1]:
                self.checks.fault(
                    path, "VPD",
                    f"at the median {ratio:.2g} times es(Tmax) - es(Tmin) in hPa: another unit; say it with units.VPD",
                )  # fmt: skip
        rain, wet = year["pr"].mean(0) * PERIOD, predictors["MAP"][usable]
        share = float(np.median(rain[wet > 0] / wet[wet > 0])) if (wet > 0).any() else 1.0
        if not 0.2 < share < 5:
            self.checks.fault(
                path, "PREC", f"a year has {share:.2g} times MAP at the median: mm d-1 and mm yr-1 are due"
            )
        warmth = float(np.median(0.5 * (year["tasmin"] + year["tasmax"]).mean(0) - predictors["MAT"][usable]))
        if abs(warmth) > 10:
            self.checks.fault(path, "MAT", f"a year is {warmth:+.3g} K from it at the median; degC are due")
