"""Units of a campaign as a table by column: a hundred thousand are opened in a moment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, overload


@dataclass(frozen=True)
class PlannedUnit:
    """One unit of the tile table; in a calibration, a cell.

    Attributes:
        name: id of the unit; of a cell, of its site or place.
        source: input file, absolute or relative to the campaign directory.
        checksum: sha256 of its input when the campaign was planned.
        days: length of a cell's record.
        training_days: length of its calibration window.
        latitude: degrees north.
        longitude: degrees east.
        steps: that its lanes take, at most, where units differ in them.
        findings: what quality control said.
    """

    name: str
    source: str
    checksum: str
    days: int = 0
    training_days: int = 0
    latitude: float = float("nan")
    longitude: float = float("nan")
    steps: int = 0
    findings: tuple[str, ...] = ()


NEEDED = ("name", "source", "checksum")
CELL_COLUMNS = (*NEEDED, "days", "training_days", "latitude", "longitude")
"""Columns of a table of cells."""

COLUMNS = (*CELL_COLUMNS, "steps")
"""Columns of the table, in the order of files; a kind of work has those that are needed, and others of these."""


class UnitTable(Sequence[PlannedUnit]):
    """The units of a campaign, kept by column.

    Attributes:
        columns: one list a column, equally long.
        findings: what quality control said, by position (as text) of the units that have any.
    """

    def __init__(self, columns: Mapping[str, list[Any]], findings: Mapping[str, list[str]]) -> None:
        self.columns = {name: columns[name] for name in COLUMNS if name in columns or name in NEEDED}
        lengths = {len(column) for column in self.columns.values()}
        if len(lengths) != 1:
            raise ValueError(f"columns of {sorted(lengths)} units")
        self.findings = findings
        (self.length,) = lengths

    @classmethod
    def of(cls, units: Sequence[PlannedUnit], names: Sequence[str] = CELL_COLUMNS) -> UnitTable:
        """Return the table of some units with the columns that are named."""
        columns = {name: [getattr(unit, name) for unit in units] for name in names}
        return cls(columns, {str(n): list(unit.findings) for n, unit in enumerate(units) if unit.findings})

    def __len__(self) -> int:
        return self.length

    @overload
    def __getitem__(self, position: int) -> PlannedUnit: ...
    @overload
    def __getitem__(self, position: slice) -> list[PlannedUnit]: ...
    def __getitem__(self, position: int | slice) -> PlannedUnit | list[PlannedUnit]:
        if isinstance(position, slice):
            return [self[one] for one in range(*position.indices(self.length))]
        if not -self.length <= position < self.length:
            raise IndexError(position)
        position %= self.length
        values = {name: column[position] for name, column in self.columns.items()}
        return PlannedUnit(**values, findings=tuple(self.findings.get(str(position), ())))

    @property
    def names(self) -> list[str]:
        """Names of all units."""
        return self.columns["name"]
