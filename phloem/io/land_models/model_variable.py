"""One variable of a land model, read year by year in bounded memory, in gC m-2 and gC m-2 d-1.

At most `BLOCK_BYTES` of decoded values are held at once, or one step where that is more: a step of 0.5 degrees and 20
plant types has 41 MB, whatever the size of the file. A compressed file is unpacked into a temporary one first.
"""

from __future__ import annotations

import calendar
import contextlib
import gzip
import shutil
import tempfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import netCDF4
import numpy as np

from phloem.errors import InputError
from phloem.io.files.stored_values import FILLS, UNDECLARED, StoredValues, stored_values
from phloem.io.files.units import conversion
from phloem.io.grids.axis_names import LATITUDE, LONGITUDE, horizontal_word
from phloem.io.land_models.model_files import COVER, FLUXES, RECO, quantity_of
from phloem.io.land_models.model_steps import NAMES_OF_TIME, ModelSteps, read_steps
from phloem.io.land_models.rectilinear import Rectilinear, read_rectilinear

BLOCK_BYTES = 64 * 2**20
"""Decoded values of a variable that are in memory at once, bytes."""

FILLS_FOUND = (-99999.0, -999.0, 1e20)
"""Missing values that files have without declaring them; -9999, NaN and what is beyond 1e30 are known anyway."""

FLUX_UNIT, STOCK_UNIT = "gC m-2 d-1", "gC m-2"
_PROTOCOL = {FLUX_UNIT: "kg m-2 s-1", STOCK_UNIT: "kg m-2"}
_SUFFIXES = ("_full", "_reduced")


@dataclass(frozen=True)
class ReadingOptions:
    """What files of land models do not say themselves.

    Attributes:
        index_year: year in which a time axis without units begins.
        annual_mean_stocks: models (folder or prefix) whose annual stocks are means; the others' are of 31 December.
        per_plant_type: "auto", "sum" (values are contributions of plant types) or "cover" (densities on each type's own
            area, weighted by landCoverFrac).
    """

    index_year: int = 2003
    annual_mean_stocks: tuple[str, ...] = ("JULES", "JULES-ES")
    per_plant_type: str = "auto"


def days_of_months(year: int) -> np.ndarray:
    """Return lengths of the months, days, float64 (12,)."""
    return np.array([calendar.monthrange(year, month)[1] for month in range(1, 13)], np.float64)


COMMON_YEAR = 2001
"""One of 365 days: every year of a model without leap years is like it."""


@dataclass(eq=False)
class ModelVariable:
    """A variable of an open file.

    Attributes:
        path: of the file.
        quantity: what it is.
        grid: its rows and columns.
        steps: its months or years; None of a share of plant types that does not change.
        plant_types: how many it has, 0 where it is of the whole cell.
        findings: what is odd in the file.
    """

    path: Path
    quantity: str
    grid: Rectilinear
    steps: ModelSteps | None
    plant_types: int
    findings: list[str]
    _variable: netCDF4.Variable
    _storage: StoredValues
    _order: tuple[int, ...]
    _factor: float

    @property
    def is_flux(self) -> bool:
        """Whether it is a flux, gC m-2 d-1; else a stock, gC m-2, or a share."""
        return self.quantity in (*FLUXES, RECO)

    def parts(self, year: int | None) -> Iterator[tuple[slice, np.ndarray]]:
        """Give the steps of a year in blocks: places in the year, and float64 (steps, plant types or 1, rows, columns).

        Raises:
            InputError: the file cannot be read to its end.
        """
        places = slice(0, 1) if self.steps is None else self.steps.places(year or 0)
        most = max(1, BLOCK_BYTES // (8 * max(self.plant_types, 1) * int(np.prod(self.grid.shape))))
        for first in range(places.start, places.stop, most):
            some = slice(first, min(first + most, places.stop))
            yield slice(some.start - places.start, some.stop - places.start), self._read(some)

    def _read(self, some: slice) -> np.ndarray:
        key: list[slice] = [slice(None)] * self._variable.ndim
        if self.steps is not None:
            key[self._order[0]] = some
        try:
            raw = self._variable[tuple(key)]
        except (OSError, RuntimeError) as error:
            raise InputError(f"{self.path}: variable {self.quantity} cannot be read ({error}): is it whole?") from error
        raw = np.transpose(raw, self._order)
        if self.steps is None:
            raw = raw[None]
        if not self.plant_types:
            raw = raw[:, None]
        self._see_undeclared(raw)
        return self._storage.decode(raw) * self._factor

    def _see_undeclared(self, raw: np.ndarray) -> None:
        """Note missing values that the file does not declare."""
        if raw.dtype.kind != "f":
            return
        declared = {
            float(one)
            for key in FILLS
            if key in self._variable.ncattrs()
            for one in np.atleast_1d(self._variable.getncattr(key)).astype(raw.dtype)
        }
        for fill in {float(raw.dtype.type(one)) for one in (UNDECLARED, *FILLS_FOUND)} - declared:
            self._see(f"missing values are {fill:g}, which the file does not declare", bool((raw == fill).any()))
        self._see("missing values are NaN, which the file does not declare",
                  not any(key in self._variable.ncattrs() for key in FILLS) and bool(np.isnan(raw).any()))  # fmt: skip

    def _see(self, words: str, true: bool) -> None:
        if true and words not in self.findings:
            self.findings.append(words)


@contextlib.contextmanager
def open_variable(
    path: Path, quantity: str, options: ReadingOptions, *, monthly_steps: int = 0
) -> Iterator[ModelVariable]:
    """Open a variable of a land model.

    Args:
        path: `.nc`, or `.nc.gz`, which is unpacked into a temporary file.
        quantity: of `QUANTITIES`, or landCoverFrac.
        options: what the file does not say itself.
        monthly_steps: how many months the model has, 0 where unknown: a twelfth as many without units are years.

    Raises:
        InputError: not readable, no such variable, no axes, units of another kind.
    """
    with contextlib.ExitStack() as stack:
        plain = path
        if path.suffix == ".gz":
            plain = Path(stack.enter_context(tempfile.TemporaryDirectory())) / path.stem
            _unpack(path, plain)
        try:
            file = stack.enter_context(netCDF4.Dataset(str(plain)))
        except (OSError, RuntimeError) as error:
            raise InputError(f"{path}: not a readable NetCDF file ({error}): is it whole?") from error
        file.set_auto_maskandscale(False)
        file.set_auto_chartostring(False)
        yield _open(file, path, quantity, options, monthly_steps)


def _unpack(path: Path, plain: Path) -> None:
    try:
        with gzip.open(path, "rb") as packed, plain.open("wb") as whole:
            shutil.copyfileobj(packed, whole, 2**22)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path}: cannot be unpacked ({error}): is it whole?") from error


def _open(
    file: netCDF4.Dataset, path: Path, quantity: str, options: ReadingOptions, monthly_steps: int
) -> ModelVariable:
    named = [name for name in file.variables if quantity_of(name) == quantity]
    if len(named) != 1:
        have = ", ".join(file.variables)
        raise InputError(f"{path}: {len(named)} variables that are {quantity}; one is due. The file has {have}")
    variable = file.variables[named[0]]
    where = f"{path}: variable {variable.name}"
    axes: dict[str, str] = {}
    for dimension in variable.dimensions:
        word = axis_word(file, dimension)
        if word and word in axes:
            raise InputError(f"{where}: both {axes[word]} and {dimension} are {word}")
        axes[word or "plant type"] = dimension
    lacking = [word for word in (LATITUDE, LONGITUDE) if axes.get(word) not in file.variables]
    if lacking or len(axes) != variable.ndim or variable.ndim > 4:
        raise InputError(
            f"{where}: dimensions ({', '.join(variable.dimensions)}): time, latitude, longitude and perhaps plant "
            f"types are due{', with a coordinate variable of each' if lacking else ''}"
        )
    grid, findings = read_rectilinear(file[axes[LATITUDE]][:], file[axes[LONGITUDE]][:], str(path))
    found = list(findings)
    if (
        any(axes[word].lower().endswith(_SUFFIXES) for word in (LATITUDE, LONGITUDE))
        or axes.get("time", "time") != "time"
    ):
        found.append(
            f"axes are called {', '.join(axes[word] for word in ('time', LATITUDE, LONGITUDE) if word in axes)}"
        )
    steps = None
    if "time" in axes:
        name = axes["time"]
        length = len(file.dimensions[name])
        values, attributes = (file[name][:], file[name].__dict__) if name in file.variables else (np.arange(length), {})
        steps = read_steps(
            values, attributes, f"{path}: variable {name}", index_year=options.index_year,
            monthly_steps=monthly_steps, single=quantity not in (*FLUXES, RECO),
        )  # fmt: skip
        found += steps.findings
    elif quantity != COVER:
        raise InputError(f"{where}: no time axis; dimensions are ({', '.join(variable.dimensions)})")
    order = [axes[word] for word in ("time", "plant type", LATITUDE, LONGITUDE) if word in axes]
    factor = 1.0 if quantity == COVER else _factor(variable, where, quantity, found)
    return ModelVariable(
        path=path,
        quantity=quantity,
        grid=grid,
        steps=steps,
        plant_types=len(file.dimensions[axes["plant type"]]) if "plant type" in axes else 0,
        findings=found,
        _variable=variable,
        _storage=stored_values(variable.__dict__, variable.dtype, where, FILLS_FOUND),
        _order=tuple(variable.dimensions.index(name) for name in order),
        _factor=factor,
    )


def axis_word(file: netCDF4.Dataset, dimension: str) -> str:
    """Return which axis a dimension is: latitude, longitude, time, or empty: another, as of plant types."""
    lower = dimension.lower()
    if lower in NAMES_OF_TIME:
        return "time"
    bare = lower
    for suffix in _SUFFIXES:
        bare = bare.removesuffix(suffix)
    attributes = file[dimension].__dict__ if dimension in file.variables else {}
    return horizontal_word(bare, str(attributes.get("standard_name", "")), str(attributes.get("units", "")))


def _factor(variable: netCDF4.Variable, where: str, quantity: str, findings: list[str]) -> float:
    due = FLUX_UNIT if quantity in (*FLUXES, RECO) else STOCK_UNIT
    unit = str(variable.__dict__.get("units", "")).strip()
    if unit in ("", "-", "1", "unknown", "none"):
        findings.append(f"no unit: taken as {_PROTOCOL[due]}, that of the protocol")
        unit = _PROTOCOL[due]
    elif "$" in unit or "/" in unit or "{" in unit:
        findings.append(f"unit {unit!r}")
    found = conversion(unit, due)
    if found is None or found[1]:
        raise InputError(f"{where}: unit {unit!r}; {_PROTOCOL[due]!r} or what converts to it is due")
    return found[0]
