"""Columns of numbers of long CSV tables: read in parts at the speed of a compiled parser, refused with line and column.

`csv_table` takes the short tables of people row by row; a tower's half hours of twenty years are 350,000 lines of 200
fields, of which some thirty are wanted.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from itertools import islice
from typing import IO

import numpy as np

from phloem.errors import InputError, some
from phloem.io.files.csv_table import is_missing
from phloem.io.files.stored_values import UNDECLARED

PART = 20_000
"""Lines that are parsed at once: some 30 MB of a table of 200 columns."""


class NumberTable:
    """A CSV table of numbers with a header line.

    Attributes:
        header: names of the columns, in the file's order; one may stand twice.
    """

    def __init__(self, stream: IO[bytes], where: str) -> None:
        """Read the header.

        Args:
            stream: the file, at its beginning; UTF-8 with or without a byte order mark, lines
                that end as on Unix or Windows.
            where: file, for messages.

        Raises:
            InputError: an empty file, or one whose fields are not separated by commas.
        """
        self._stream, self.where, self._line = stream, where, 1
        first = self._text(stream.readline().removeprefix(b"\xef\xbb\xbf"), 1)
        self.header = tuple(name.strip() for name in next(csv.reader([first.rstrip("\r\n")]), []))
        if not any(self.header):
            raise InputError(f"{where}: empty; a line of column names is due")
        for name, mark in (("semicolons", ";"), ("tabs", "\t"), ("blanks", " ")):
            if len(self.header) == 1 and mark in self.header[0]:
                raise InputError(f"{where}: fields are separated by {name}; commas are due, and points in numbers")

    def _text(self, line: bytes, number: int) -> str:
        try:
            return line.decode()
        except UnicodeDecodeError as error:
            raise InputError(f"{self.where}, line {number}: not UTF-8 text ({error.reason})") from error

    def read(self, names: Sequence[str], notes: list[str]) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """Read columns to the end of the file; it can be done once.

        Args:
            names: of the columns, each in the header. Where one stands there twice both must be the same.
            notes: what is told is added here.

        Returns:
            Values by name, float64 (rows,), NaN where missing (-9999, an empty field or a usual word for it); and the
            line of each row in the file, counted from 1, int64 (rows,). Lines without any text are passed over.

        Raises:
            InputError: naming line and column: a line of more or fewer fields than the header, a text that is no
                number, two columns of one name that differ, no row at all.
        """
        places = [[n for n, have in enumerate(self.header) if have == name] for name in names]
        flat = [place for each in places for place in each]
        parts: list[np.ndarray] = []
        rows: list[np.ndarray] = []
        while lines := list(islice(self._stream, PART)):
            kept, numbers = self._whole(lines)
            self._line += len(lines)
            if kept:
                parts.append(self._numbers(kept, numbers, flat))
                rows.append(np.array(numbers, np.int64))
        if not parts:
            raise InputError(f"{self.where}: no row below the header")
        line = np.concatenate(rows)
        columns: dict[str, np.ndarray] = {}
        start = 0
        for name, each in zip(names, places, strict=True):
            columns[name] = np.concatenate([part[:, start] for part in parts])
            for more in range(1, len(each)):
                self._same(name, columns[name], np.concatenate([part[:, start + more] for part in parts]), line)
                notes.append(f"column {name} stands {len(each)} times, with the same values")
            start += len(each)
        return columns, line

    def _same(self, name: str, first: np.ndarray, other: np.ndarray, line: np.ndarray) -> None:
        differs = (first != other) & ~(np.isnan(first) & np.isnan(other))
        if differs.any():
            at = int(np.argmax(differs))
            raise InputError(
                f"{self.where}, line {line[at]}: column {name} stands twice in the header, with {first[at]:g} and "
                f"{other[at]:g}; delete one of them"
            )

    def _whole(self, lines: list[bytes]) -> tuple[list[bytes], list[int]]:
        """Lines that have text, and their numbers."""
        due = len(self.header) - 1
        kept, numbers = [], []
        for number, line in enumerate(lines, self._line + 1):
            if line.count(b",") != due:
                if not line.strip():
                    continue
                if b'"' not in line or len(self._fields(line, number)) != due + 1:
                    raise self._ragged(line, number)
            kept.append(line)
            numbers.append(number)
        return kept, numbers

    def _fields(self, line: bytes, number: int) -> list[str]:
        return next(csv.reader([self._text(line, number).rstrip("\r\n")]), [])

    def _ragged(self, line: bytes, number: int) -> InputError:
        count = len(self._fields(line, number))
        more = ""
        if count > len(self.header):
            more = "; a decimal comma makes two fields of one"
        elif not line.endswith((b"\n", b"\r")):
            more = "; the file ends within this line: it is not whole, fetch it again"
        elif count == 1 and any(mark in line for mark in (b";", b"\t")):
            more = "; commas are due between fields"
        return InputError(f"{self.where}, line {number}: {count} fields; the header has {len(self.header)}{more}")

    def _numbers(self, lines: list[bytes], numbers: list[int], places: list[int]) -> np.ndarray:
        """Values of lines, (lines, places)."""
        try:
            made = np.loadtxt(lines, delimiter=",", usecols=places, ndmin=2, comments=None, encoding="utf-8")
        except (ValueError, UnicodeDecodeError):
            made = self._slowly(lines, numbers, places)
        made[made == UNDECLARED] = np.nan
        if np.isinf(made).any():
            row, column = np.argwhere(np.isinf(made))[0]
            name = self.header[places[column]]
            raise InputError(f"{self.where}, line {numbers[row]}: column {name}: {made[row, column]} is not a number")
        return made

    def _slowly(self, lines: list[bytes], numbers: list[int], places: list[int]) -> np.ndarray:
        """The same, field by field: with quotes, words for what is missing, and where it fails."""
        made = np.empty((len(lines), len(places)))
        for row, (line, number) in enumerate(zip(lines, numbers, strict=True)):
            fields = self._fields(line, number)
            for column, place in enumerate(places):
                made[row, column] = self._number(fields[place].strip(), number, self.header[place])
        return made

    def _number(self, text: str, line: int, name: str) -> float:
        if is_missing(text):
            return math.nan
        try:
            return float(text)
        except ValueError:
            more = "; points are due in numbers" if "," in text else ""
            raise InputError(f"{self.where}, line {line}: column {name}: {text!r} is not a number{more}") from None


def first_of(header: Sequence[str], names: Sequence[str]) -> str:
    """Return the first of some names that a header has, empty where it has none."""
    return next((name for name in names if name in header), "")


def require_columns(header: Sequence[str], groups: Sequence[Sequence[str]], where: str) -> None:
    """Refuse a table that lacks columns.

    Args:
        header: of the table.
        groups: of each group one is due.
        where: file, for the message.

    Raises:
        InputError: it names all that is missing, and what is there.
    """
    missing = [" or ".join(names) for names in groups if not first_of(header, names)]
    if missing:
        raise InputError(f"{where}: missing columns: {', '.join(missing)}; the table has {some(header, most=40)}")
