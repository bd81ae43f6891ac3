"""Stored values of NetCDF and HDF variables: which are missing, and what the others are, by attributes of CF and NUG.

The one decoder of every file that is read. What files do and the conventions leave open is decided here:

- `_FillValue` and `missing_value` may be of another type than the values, or text that is a number: they are compared
  as the values are stored, and where they are of a narrower type also in that one.
- Where no `_FillValue` is declared the default fill of the stored type is missing, but for bytes; so are floating
  values that are not finite or lie beyond 1e30, and -9999 of values that are not packed, which is counted apart.
- `_Unsigned` turns signed integers, their fills and their ranges into unsigned ones, and `false` the other way round.
- Texts that are no numbers are told and not used, but as `scale_factor` and `add_offset`, where they are refused.
- `valid_min`, `valid_max` and `valid_range` are of the packed values, unless they have the type of `scale_factor` (of
  the wider of it and `add_offset`) and that is wider than the packed one, or are floating numbers beside packed
  integers. What lies outside is missing, and counted.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import netCDF4
import numpy as np

from phloem.errors import InputError

HUGE = 1e30
"""Floating values beyond this are missing, declared or not: fills such as 9.96921e36 and 1e36."""

UNDECLARED = -9999.0
"""Stands for a missing value in many files, whether they say so or not."""

FILLS = ("_FillValue", "missing_value", "fill_value")
"""Attributes that name missing values; the last is HDF4's."""

SCALING = ("scale_factor", "add_offset")
RANGES = ("valid_range", "valid_min", "valid_max")
_DUE = {"valid_range": 2, "valid_min": 1, "valid_max": 1}
_CDL_SUFFIX = re.compile(r"(?<=[0-9.])[fFdDsSlLbB]$")

OUTSIDE, SENTINEL = "outside its valid range", "of -9999, which the file does not declare,"
"""What is counted of the values that are taken as missing."""


@dataclass(frozen=True, eq=False)
class StoredValues:
    """How the values of a variable are stored.

    Attributes:
        kind: type as which stored values are compared.
        fills: stored values that mean missing, in that type; floating ones of a narrower type are compared in theirs.
        packed: lowest and highest valid stored value.
        unpacked: lowest and highest valid value after unpacking.
        scale, offset: unpacking.
        sentinel: whether -9999 is missing.
        sign: -1 where values count the other way than they should; the last that is done to them.
        valid: the attributes that give the range, in words; empty where there is none.
        unread: attributes that are no numbers, in words.
        counts: how many values were taken as missing that no fill names, so far.
    """

    kind: np.dtype[Any]
    fills: tuple[np.generic, ...] = ()
    packed: tuple[float, float] = (-np.inf, np.inf)
    unpacked: tuple[float, float] = (-np.inf, np.inf)
    scale: float = 1.0
    offset: float = 0.0
    sentinel: bool = False
    sign: int = 1
    valid: str = ""
    unread: tuple[str, ...] = ()
    counts: Counter[str] = field(default_factory=Counter)

    def decode(self, raw: np.ndarray) -> np.ndarray:
        """Return values in the file's unit, float64, NaN where missing.

        Args:
            raw: as stored, neither unpacked nor masked.
        """
        stored = _as_kind(raw, self.kind)
        floating = self.kind.kind == "f"
        missing = ~(np.abs(stored) < HUGE) if floating else np.zeros(stored.shape, bool)
        for fill in self.fills:
            missing |= (stored.astype(fill.dtype) if floating and fill.dtype != self.kind else stored) == fill
        values = stored.astype(np.float64)
        if self.sentinel:
            self._take(missing, values == UNDECLARED, SENTINEL)
        if self.packed != (-np.inf, np.inf):
            self._take(missing, (values < self.packed[0]) | (values > self.packed[1]), OUTSIDE)
        if (self.scale, self.offset) != (1.0, 0.0):
            values = values * self.scale + self.offset
        if self.unpacked != (-np.inf, np.inf):
            slack = 0.5 * abs(self.scale) if self.kind.kind in "iu" else 0.0
            self._take(missing, (values < self.unpacked[0] - slack) | (values > self.unpacked[1] + slack), OUTSIDE)
        values[missing] = np.nan
        return values if self.sign == 1 else 0.0 - values

    def _take(self, missing: np.ndarray, more: np.ndarray, why: str) -> None:
        more = more & ~missing
        if count := int(more.sum()):
            self.counts[why] += count
            missing |= more

    def told(self) -> list[str]:
        """Return in words what was taken as missing that no fill names."""
        said = {OUTSIDE: f"{OUTSIDE} ({self.valid})"}
        counted = sorted(self.counts.items())
        return [*(f"{count:,} values {said.get(why, why)} count as missing" for why, count in counted), *self.unread]


def stored_values(
    attributes: Mapping[str, Any],
    kind: np.dtype[Any],
    where: str,
    fills: Iterable[float] = (),
    scale: float = 1.0,
    coordinate: bool = False,
    sign: int = 1,
) -> StoredValues:
    """Read how the values of a variable are stored.

    Args:
        attributes: of the variable.
        kind: type of its stored values, a number.
        where: file and variable, for messages.
        fills: further stored values that mean missing.
        scale: of packed integers that have no `scale_factor`.
        coordinate: whether they are times or places, of which -9999 may be one.
        sign: -1 where the user says that they count the other way.

    Raises:
        InputError: an attribute that is neither a number nor the text of one.
    """
    kind = kind.newbyteorder("=")
    signs = str(attributes.get("_Unsigned", "")).strip().lower()
    own = kind
    if (kind.kind, signs) in (("i", "true"), ("u", "false")):
        own = np.dtype(f"{'u' if kind.kind == 'i' else 'i'}{kind.itemsize}")
    numbers = {key: _numbers(attributes[key]) for key in (*SCALING, *FILLS, *RANGES) if key in attributes}
    odd = [key for key, one in numbers.items() if one is None or (key in RANGES and len(one) != _DUE[key])]
    for key in odd:
        if key in SCALING:
            raise InputError(f"{where}: {key} = {attributes[key]!r} is not a number")
    read = {key: one for key, one in numbers.items() if one and key not in odd}
    stated = [np.float64(value) for value in fills] + [one for key in FILLS for one in read.get(key, [])]
    found = [one for value in stated for one in _as_stored(value, kind, own)]
    if "_FillValue" not in attributes and kind.itemsize > 1 and kind.kind in "iu":
        found += _as_stored(kind.type(netCDF4.default_fillvals[f"{kind.kind}{kind.itemsize}"]), kind, own)
    plain = {"scale_factor": scale if kind.kind in "iu" else 1.0, "add_offset": 0.0}
    factor, offset = (float(read[key][0]) if key in read else plain[key] for key in SCALING)
    scaling = [read[key][0].dtype for key in SCALING if key in read]
    limits, valid, physical = _valid_range({key: read[key] for key in RANGES if key in read}, kind, own, scaling)
    unscaled = (factor, offset) == (1.0, 0.0)
    return StoredValues(
        kind=own,
        fills=tuple({(one.dtype, one.item()): one for one in found if one == one}.values()),
        packed=(-np.inf, np.inf) if physical else limits,
        unpacked=limits if physical else (-np.inf, np.inf),
        scale=factor,
        offset=offset,
        sentinel=not coordinate and unscaled and own.kind in "if" and own.itemsize > 1,
        sign=sign,
        valid=valid,
        unread=tuple(f"{key} = {attributes[key]!r} is not understood, and not used" for key in odd),
    )


def _valid_range(
    given: Mapping[str, list[np.generic]], kind: np.dtype[Any], own: np.dtype[Any], scaling: list[np.dtype[Any]]
) -> tuple[tuple[float, float], str, bool]:
    """Limits, the attributes that give them in words, and whether they are of unpacked values."""
    low, high, said, types = -np.inf, np.inf, [], []
    for key, numbers in given.items():
        types += [one.dtype for one in numbers]
        ends = [float(_limit(one, kind, own)) for one in numbers]
        if key != "valid_max" and not np.isnan(ends[0]):
            low = max(low, ends[0])
        if key != "valid_min" and not np.isnan(ends[-1]):
            high = min(high, ends[-1])
        said.append(f"{key} = {', '.join(f'{one:g}' for one in ends)}")
    if not said or not scaling:
        return (low, high), ", ".join(said), False
    wide = max(scaling, key=lambda one: one.itemsize)
    as_scale = all(one == wide for one in types) and wide.itemsize > kind.itemsize
    beside_integers = kind.kind in "iu" and any(one.kind == "f" for one in types)
    return (low, high), ", ".join(said), as_scale or beside_integers


def _limit(value: np.generic, kind: np.dtype[Any], own: np.dtype[Any]) -> np.generic:
    """A limit as the values are stored: as exact as they are, and with their sign."""
    if kind.kind == "f":
        return kind.type(value)
    return own.type(_as_kind(np.asarray(value), own)[()]) if value.dtype == kind else value


def _numbers(value: Any) -> list[np.generic] | None:
    """An attribute as numbers of its own type, texts of numbers as float64; None where it is something else."""
    if isinstance(value, bytes):
        value = value.decode(errors="replace")
    if isinstance(value, str):
        value = value.replace(",", " ").split()
    if isinstance(value, list) and value and all(isinstance(one, str) for one in value):
        try:
            return [np.float64(_CDL_SUFFIX.sub("", one.strip())) for one in value]
        except ValueError:
            return None
    array = np.atleast_1d(np.asarray(value))
    return list(array.reshape(-1)) if array.dtype.kind in "iuf" else None


def _as_stored(value: np.generic, kind: np.dtype[Any], own: np.dtype[Any]) -> list[np.generic]:
    """A missing value as stored ones; none where the stored type cannot hold it."""
    number = float(value)
    if kind.kind == "f":
        with np.errstate(over="ignore"):
            found: list[np.generic] = [kind.type(value)]
        if value.dtype.kind == "f" and value.dtype.itemsize < kind.itemsize:
            found.append(value)
        return found
    if not np.isfinite(number) or number != np.floor(number):
        return []
    for one in (kind, own):
        limits = np.iinfo(one)
        if limits.min <= number <= limits.max:
            exact = int(value) if value.dtype.kind in "iu" else int(number)
            return [own.type(_as_kind(np.asarray(exact, one), own)[()])]
    return []


def _as_kind(raw: np.ndarray, kind: np.dtype[Any]) -> np.ndarray:
    """Stored values in this machine's byte order, their bits as the given type where it is a type of the same size."""
    array = np.asarray(raw)
    array = array.astype(array.dtype.newbyteorder("="), copy=False)
    if array.dtype != kind and array.dtype.itemsize == kind.itemsize and {array.dtype.kind, kind.kind} == {"i", "u"}:
        return array.view(kind)
    return array
