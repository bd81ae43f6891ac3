"""CSV tables of users: read row by row, refused with file, line, column and the text found there."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from phloem.errors import InputError
from phloem.io.files.stored_values import UNDECLARED

_MISSING = ("", "na", "n/a", "nan", "none", "null", "-", "--", ".")
"""Texts that stand for a missing value, in any case."""


def is_missing(text: str) -> bool:
    """Return whether a field stands for a missing value: one of the usual words, or -9999 however it is written."""
    text = text.strip()
    if text.lower() in _MISSING:
        return True
    try:
        return float(text) == UNDECLARED
    except ValueError:
        return False


@dataclass(frozen=True)
class Row:
    """One row of a table.

    Attributes:
        where: file and line, for messages.
        line: line in the file, counted from 1 as editors do.
        values: text by column, without the blanks around it.
    """

    where: str
    line: int
    values: dict[str, str]

    def number(self, name: str, above: float = -math.inf, least: float = -math.inf, most: float = math.inf) -> float:
        """Return a finite number.

        Args:
            name: its column.
            above: it must be greater than this.
            least: it must not be smaller than this.
            most: it must not be greater than this.

        Raises:
            InputError: not a number, or outside; the message names file, line, column and value.
        """
        text = self.values[name]
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise InputError(f"{self.where}: {name} = {text!r} is not a number")
        if value == UNDECLARED:
            raise InputError(f"{self.where}: {name} = {text} stands for a missing value, and a number is due")
        if value <= above:
            raise InputError(f"{self.where}: {name} = {text} must be greater than {above:g}")
        if not least <= value <= most:
            limits = f"at least {least:g}" if most == math.inf else f"in {least:g}..{most:g}"
            raise InputError(f"{self.where}: {name} = {text} must be {limits}")
        return value

    def optional(self, name: str, **limits: float) -> float:
        """Return a number, NaN where it is missing.

        Args:
            name: its column; where the table has none it is missing.
            limits: as of `number`.

        Raises:
            InputError: as of `number`.
        """
        return math.nan if is_missing(self.values.get(name, "")) else self.number(name, **limits)


class Table:
    """A CSV file with a header line, read when it is made; its rows are taken apart one by one.

    Attributes:
        path: the file.
        columns: names in the header.
    """

    def __init__(self, path: Path, text: str | None = None) -> None:
        """Read a file.

        Args:
            path: the file.
            text: what is in it, where it was read already, as from an archive.

        Raises:
            InputError: it cannot be read as text, has no header, or a column stands in it twice.
        """
        self.path = Path(path)
        try:
            self._text = self.path.read_text(encoding="utf-8-sig") if text is None else text.removeprefix("\ufeff")
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{self.path}: not a readable CSV table ({error})") from error
        self.columns = next((tuple(row) for _, row in self._lines()), ())
        if not any(self.columns):
            raise InputError(f"{self.path}: empty; a line of column names is due")
        repeated = sorted({name for name in self.columns if self.columns.count(name) > 1})
        if repeated:
            raise InputError(f"{self.path}: columns that stand twice: {', '.join(repeated)}")
        for name, mark in (("semicolons", ";"), ("tabs", "\t")):
            if len(self.columns) == 1 and mark in self.columns[0]:
                raise InputError(f"{self.path}: fields are separated by {name}; commas are due, and points in numbers")

    def require(self, names: Sequence[str]) -> None:
        """Refuse a table that lacks one of the columns.

        Raises:
            InputError: it names what is missing and what is there.
        """
        missing = [name for name in names if name not in self.columns]
        if missing:
            raise InputError(
                f"{self.path}: missing columns: {', '.join(missing)}; the table has: {', '.join(self.columns)}"
            )

    def rows(self) -> Iterator[Row]:
        """Take the rows in the file's order; lines without any text are passed over.

        Raises:
            InputError: a line that is not CSV or has not as many fields as the header, or no row at all.
        """
        lines = self._lines()
        next(lines)
        line = 0
        for line, fields in lines:
            where = f"{self.path}, line {line}"
            if len(fields) != len(self.columns):
                commas = "; a decimal comma makes two of one" if len(fields) > len(self.columns) else ""
                raise InputError(f"{where}: {len(fields)} fields; the header has {len(self.columns)}{commas}")
            yield Row(where, line, dict(zip(self.columns, fields, strict=True)))
        if not line:
            raise InputError(f"{self.path}: no row below the header")

    def _lines(self) -> Iterator[tuple[int, list[str]]]:
        reader = csv.reader(io.StringIO(self._text, newline=""))
        try:
            for fields in reader:
                stripped = [field.strip() for field in fields]
                if any(stripped):
                    yield reader.line_num, stripped
        except csv.Error as error:
            raise InputError(f"{self.path}, line {reader.line_num}: {error}") from error


def half_degree_cell(latitude: float, longitude: float) -> tuple[float, float]:
    """Return the centre of the half-degree cell that holds a point.

    Args:
        latitude: degrees north, -90..90.
        longitude: degrees east, -180..360.

    Returns:
        Latitude and longitude of the centre, the latter in -180..180. A point on an edge belongs to the cell north or
        east of it; the poles belong to the outermost row.
    """
    east = (longitude + 180.0) % 360.0 - 180.0
    north = min(math.floor(2.0 * latitude), 179)
    return 0.5 * north + 0.25, 0.5 * math.floor(2.0 * east) + 0.25


def cell_of(row: Row, latitude: str = "latitude", longitude: str = "longitude") -> tuple[float, float]:
    """Return the centre of the half-degree cell of a row.

    Raises:
        InputError: coordinates that are not numbers or not on Earth.
    """
    return half_degree_cell(
        row.number(latitude, least=-90.0, most=90.0), row.number(longitude, least=-180.0, most=360.0)
    )


def cell_name(cell: tuple[float, float]) -> str:
    """Return a cell's name for people: 61.75 N 24.25 E."""
    latitude, longitude = cell
    return f"{abs(latitude):g} {'S' if latitude < 0 else 'N'} {abs(longitude):g} {'W' if longitude < 0 else 'E'}"
