"""The benchmark file: one TOML file that says with what a campaign is compared, read into a typed tree."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, model_validator

from phloem.analysis.parameters.derived_quantities import DERIVED
from phloem.errors import InputError
from phloem.io.drivers.variables import OUTPUTS
from phloem.io.merge.member_statistics import SCREENING_RCV
from phloem.jobs.config.toml_file import Above, Positive, Section, read_toml
from phloem.names import CIRCULAR_PARAMETERS, PARAMETERS, POOLS, STREAMS

FLUXES = {name: OUTPUTS[name] for name in (*STREAMS, "nee")}
"""What can be compared of the years that no calibration saw: units and meaning."""

STOCKS = {
    "biomass": ("Mg ha-1", "live biomass, carbon: labile, foliar, fine roots and wood"),
    "agb": ("Mg ha-1", "carbon of wood and leaves"),
    **{pool: ("g m-2", f"{pool}, carbon") for pool in POOLS[:6]},
}
"""Pools at a year's end that can be compared: units and meaning."""

GROWTH_AGE = 100
"""Years of age at which biomass is compared with growth curves where the file names no other (calibration.md 8)."""

QUANTITIES = (*DERIVED, *(name for name in PARAMETERS if name not in DERIVED), *STOCKS)
"""What a map or a table can be compared with; of a name that is both, the derived quantity (turnover a year, 1 / A)."""

_NAME = Annotated[str, Field(pattern=r"^[A-Za-z0-9][^/\\]*$", max_length=60)]
Year = Annotated[int, Field(ge=1, le=9998)]
Years = Annotated[list[Year], Field(min_length=2, max_length=2)]
Level = int | float | str | list[int]
Statistic = Literal["median", "mean", "p25", "p75"]


def check_quantity(name: str, valid: Sequence[str] = QUANTITIES) -> str:
    """Refuse a quantity that there is not.

    Raises:
        ValueError: naming the nearest and the valid ones.
    """
    if name in valid:
        return name
    near = difflib.get_close_matches(name, valid, 1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise ValueError(f"unknown quantity {name!r}.{hint} Valid are {', '.join(valid)}")


def _check_statistic(quantity: str, statistic: str) -> None:
    """Refuse, as a ValueError, a statistic that a day of the year has not."""
    if quantity in CIRCULAR_PARAMETERS and statistic != "median":
        raise ValueError(f'{quantity} is a day of the year, which has no lowest: statistic must be "median"')


class _Values(Section):
    """How values of a file become those of a quantity: (value in its unit) x scale + offset, converted."""

    units: str = ""
    scale: float = 1.0
    offset: float = 0.0


class _Screened(Section):
    """Which members speak for a cell."""

    screened: bool = True
    statistic: Statistic = "median"


class MapReference(_Values, _Screened):
    """A map; `years` compares pools at the ends of these years with the map's own years, `age` forward runs."""

    kind: Literal["map"]
    name: _NAME
    quantity: str
    path: str
    variable: str
    select: dict[str, Level] = Field(default_factory=dict)
    method: Literal["mean", "nearest"] = "mean"
    years: Annotated[list[Year], Field(min_length=1)] | None = None
    age: Positive | None = None

    @model_validator(mode="after")
    def _fits(self) -> MapReference:
        check_quantity(self.quantity)
        _check_statistic(self.quantity, self.statistic)
        if self.years and self.quantity not in STOCKS:
            raise ValueError(f"years go with {', '.join(STOCKS)}; {self.quantity} is of no year")
        if self.age and (self.quantity != "biomass" or self.years):
            raise ValueError('age goes with quantity = "biomass", and not with years: forward runs keep live biomass')
        return self


class TableReference(_Values, _Screened):
    """A table of points, whose rows are averaged by cell; `columns` maps quantities to columns."""

    kind: Literal["table"]
    name: _NAME
    path: str
    columns: Annotated[dict[str, str], Field(min_length=1)]
    cell: str = ""
    latitude: str = "latitude"
    longitude: str = "longitude"
    renormalise: list[str] = Field(default_factory=list)
    where: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _fits(self) -> TableReference:
        for name in self.columns:
            check_quantity(name)
            _check_statistic(name, self.statistic)
        if strange := [name for name in self.renormalise if name not in self.columns]:
            raise ValueError(f"renormalise has {strange[0]!r}, which is not among columns: {', '.join(self.columns)}")
        return self


class GrowthReference(_Screened):
    """Growth curves of the store: against forward runs, or the run itself where there are none."""

    kind: Literal["growth"]
    name: _NAME = "growth curves"
    age: Positive = GROWTH_AGE
    screened: bool = False


class SnapshotReference(_Screened):
    """The store's biomass of the mature forest, against the run's end."""

    kind: Literal["snapshot"]
    name: _NAME = "biomass of the mature forest"
    screened: bool = False


class WithheldReference(Section):
    """Observations of the validation years; by default of all streams that have any."""

    kind: Literal["withheld"]
    streams: Annotated[list[str], Field(min_length=1)] | None = None

    @model_validator(mode="after")
    def _fits(self) -> WithheldReference:
        for name in self.streams or ():
            check_quantity(name, tuple(FLUXES))
        return self


class SeriesReference(_Values):
    """Monthly series of a CF file, against means of the simulated months."""

    kind: Literal["series"]
    name: _NAME
    quantity: str
    path: str
    variable: str
    years: Years
    select: dict[str, Level] = Field(default_factory=dict)
    method: Literal["mean", "nearest"] = "mean"

    @model_validator(mode="after")
    def _fits(self) -> SeriesReference:
        check_quantity(self.quantity, tuple(FLUXES))
        if self.years[0] > self.years[1]:
            raise ValueError(f"years must ascend, as [2008, 2014]; got {self.years}")
        return self


class Stratum(Section):
    """A map of classes, by which scores are broken down; `names` are those of its numbers."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
    path: str
    variable: str
    select: dict[str, Level] = Field(default_factory=dict)
    names: dict[str, str] = Field(default_factory=dict)


Reference = Annotated[
    MapReference | TableReference | GrowthReference | SnapshotReference | WithheldReference | SeriesReference,
    Field(discriminator="kind"),
]
KINDS: dict[str, Any] = {
    "map": MapReference, "table": TableReference, "growth": GrowthReference, "snapshot": SnapshotReference,
    "withheld": WithheldReference, "series": SeriesReference,
}  # fmt: skip


class BenchmarkFile(Section):
    """A benchmark file."""

    cells: Positive = 500
    rcv_limit: Above = SCREENING_RCV
    reference: Annotated[list[Reference], Field(min_length=1)]
    stratum: list[Stratum] = Field(default_factory=list)


def load_benchmark_file(path: Path, assignments: Sequence[str] = ()) -> BenchmarkFile:
    """Read a benchmark file.

    Args:
        path: the TOML file.
        assignments: `key.path=value` texts that override it; references are numbered from 0.

    Raises:
        InputError: unreadable file, unknown key (the valid ones are named), bad value.
    """
    where = f"benchmark file {path}"
    return read_tree(read_toml(path, where), where, assignments)


def read_tree(tree: dict[str, Any], where: str, assignments: Sequence[str] = ()) -> BenchmarkFile:
    """Read a tree of keys; errors as of `load_benchmark_file`."""
    for assignment in assignments:
        _assign(tree, assignment)
    try:
        return BenchmarkFile.model_validate(tree)
    except ValidationError as error:
        lines = "\n  ".join(_explain(one) for one in error.errors())
        raise InputError(f"{where}:\n  {lines}") from error


def _assign(tree: Any, assignment: str) -> None:
    key, equals, text = assignment.partition("=")
    parts = key.strip().split(".")
    if not equals or not all(parts):
        raise InputError(f"--set {assignment!r}: write key.path=value, for example --set reference.0.scale=0.47")
    try:
        value = tomllib.loads(f"x = {text}")["x"]
    except tomllib.TOMLDecodeError:
        value = text
    for part in parts[:-1]:
        tree = tree[_step(tree, part, assignment)] if isinstance(tree, list) else tree.setdefault(part, {})
        if not isinstance(tree, (dict, list)):
            raise InputError(f"--set {assignment!r}: {part!r} is a value, not a section")
    tree[_step(tree, parts[-1], assignment)] = value


def _step(tree: dict[str, Any] | list[Any], part: str, assignment: str) -> Any:
    """Key of a table, or place in a list."""
    if isinstance(tree, dict):
        return part
    if not part.isdigit() or int(part) >= len(tree):
        raise InputError(f"--set {assignment!r}: {part!r} is none of the {len(tree)} entries, counted from 0")
    return int(part)


def _explain(error: Any) -> str:
    where = [part for part in error["loc"] if part not in ("str", "int", "float") and part not in KINDS]
    key = ".".join(str(part) for part in where if not str(part).startswith("list["))
    kind = next((part for part in error["loc"] if part in KINDS), None)
    if error["type"] == "extra_forbidden":
        section = KINDS[kind] if kind else Stratum if where[0] == "stratum" else BenchmarkFile
        valid = list(section.model_fields)
        near = difflib.get_close_matches(str(where[-1]), valid, 1)
        said = f' of kind = "{kind}"' if kind else ""
        return f"unknown key {key!r}{said}.{f' Did you mean {near[0]!r}?' if near else ''} Valid: {', '.join(valid)}."
    if error["type"] in ("union_tag_invalid", "union_tag_not_found"):
        given = error["input"].get("kind") if isinstance(error["input"], dict) else None
        return f"{key}.kind: must be one of {', '.join(KINDS)} (got {given!r})."
    if error["type"] == "missing":
        return f"missing key {key!r}."
    shown = "" if isinstance(error["input"], dict) else f" (got {error['input']!r})"
    return f"{key or 'benchmark file'}: {error['msg'].removeprefix('Value error, ')}{shown}."
