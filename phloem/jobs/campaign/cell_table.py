"""The cells of a campaign, by column: a hundred thousand are opened in a moment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, overload


@dataclass(frozen=True)
class PlannedCell:
    """One cell of the tile table.

    Attributes:
        name: site or cell id.
        source: driver file, absolute or relative to the campaign directory.
        checksum: sha256 of the driver file when the campaign was planned.
        days: length of the record.
        training_days: length of the calibration window.
        latitude: degrees north.
        longitude: degrees east.
        findings: what quality control said.
    """

    name: str
    source: str
    checksum: str
    days: int
    training_days: int
    latitude: float
    longitude: float
    findings: tuple[str, ...] = ()


_COLUMNS = ("name", "source", "checksum", "days", "training_days", "latitude", "longitude")


class CellTable(Sequence[PlannedCell]):
    """The cells of a campaign, kept by column: a hundred thousand are opened in a moment.

    Attributes:
        columns: one list a column, equally long.
        findings: what quality control said, by position (as text) of the cells that have any.
    """

    def __init__(self, columns: Mapping[str, list[Any]], findings: Mapping[str, list[str]]) -> None:
        lengths = {len(columns[name]) for name in _COLUMNS}
        if len(lengths) != 1:
            raise ValueError(f"columns of {sorted(lengths)} cells")
        self.columns, self.findings = columns, findings
        (self.length,) = lengths

    @classmethod
    def of(cls, cells: Sequence[PlannedCell]) -> CellTable:
        """Return the table of some cells."""
        columns = {name: [getattr(cell, name) for cell in cells] for name in _COLUMNS}
        return cls(columns, {str(n): list(cell.findings) for n, cell in enumerate(cells) if cell.findings})

    def __len__(self) -> int:
        return self.length

    @overload
    def __getitem__(self, position: int) -> PlannedCell: ...
    @overload
    def __getitem__(self, position: slice) -> list[PlannedCell]: ...
    def __getitem__(self, position: int | slice) -> PlannedCell | list[PlannedCell]:
        if isinstance(position, slice):
            return [self[one] for one in range(*position.indices(self.length))]
        if not -self.length <= position < self.length:
            raise IndexError(position)
        position %= self.length
        values = {name: self.columns[name][position] for name in _COLUMNS}
        return PlannedCell(**values, findings=tuple(self.findings.get(str(position), ())))

    @property
    def names(self) -> list[str]:
        """Names of all cells."""
        return self.columns["name"]
