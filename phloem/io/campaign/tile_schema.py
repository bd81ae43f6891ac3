"""The variables of a tile, in one table: name, dimensions, attributes, and their place in the merged product."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from phloem.names import POOR_BASIN_GAP, STATUS

SCHEMA_VERSION = 1

MAY_BE_EMPTY = ("trace", "value")
"""Dimensions along which a tile may have nothing: no loss is traced, no month of a block has drivers."""

SUCCESSES = (STATUS["calibrated"], STATUS["calibrated_after_redraw"], STATUS["budget"])
"""Values of status whose lanes count: one that ran out of steps no more than POOR_BASIN_GAP above the best is as good
as the others."""

NOT_COUNTED = tuple(name for name, code in STATUS.items() if code not in SUCCESSES)
"""Names of the others."""

MEDIANS_RULE = (
    "medians and spreads are those of the members that are calibrated, calibrated_after_redraw, or budget (out of "
    f"steps); left out are poor_basin (loss more than {POOR_BASIN_GAP:g} above the least of the cell's), dead_stand "
    "(foliage at its floor all through the last year), diverged, set_aside and missing"
)
"""The rule by which members count, for people."""


def good_lanes(status: np.ndarray) -> np.ndarray:
    """Tell which lanes have a result that counts, bool of the shape of their status."""
    return np.isin(status, SUCCESSES)


def ended_lanes(status: np.ndarray) -> np.ndarray:
    """Tell which lanes came to an end in some basin, those that count and the poor ones, bool of the status' shape."""
    ended: np.ndarray = good_lanes(status) | (status == STATUS["poor_basin"])
    return ended


def least_losses(status: np.ndarray, loss: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return which lanes ended with a finite loss, bool (cells, members), and the least of each cell, (cells, 1).

    Args:
        status: of each lane, (cells, members).
        loss: of each lane, (cells, members).

    Returns:
        The least loss is inf where no lane of a cell ended.
    """
    ended = ended_lanes(status) & np.isfinite(loss)
    return ended, np.where(ended, loss, np.inf).min(axis=1, keepdims=True, initial=np.inf)


def with_basins(status: np.ndarray, loss: np.ndarray) -> np.ndarray:
    """Return the status of the members of cells, told apart by their basins.

    Args:
        status: of each lane as its tile has it, (cells, members).
        loss: of each lane, (cells, members).

    Returns:
        The same, `poor_basin` where a lane that would count ended more than POOR_BASIN_GAP above the least loss of
        those of its cell.
    """
    known, least = least_losses(status, loss)
    poor = known & (loss > least + POOR_BASIN_GAP)
    mended = known & (status == STATUS["poor_basin"]) & ~poor
    judged: np.ndarray = np.select([poor, mended], [STATUS["poor_basin"], STATUS["calibrated_after_redraw"]], status)
    return judged.astype(status.dtype)


@dataclass(frozen=True)
class TileVariable:
    """One variable of a tile.

    Attributes:
        dimensions: names of its dimensions.
        dtypes: as which types it may be stored; the first is the usual one, "str" means text.
        units: UDUNITS text, empty where units depend on the element or there are none.
        long_name: what it is.
        finite: no NaN and no infinity in a lane that counts.
        merged: part of the merged product.
        unknown: its value in tiles that were written before it was kept; None: it always was.
    """

    dimensions: tuple[str, ...]
    dtypes: tuple[str, ...]
    units: str
    long_name: str
    finite: bool = False
    merged: bool = True
    unknown: int | None = None


@dataclass(frozen=True)
class TileSchema:
    """Variables of a campaign's tiles. The first dimension is that of the cells, `cell`, or none of them.

    Attributes:
        variables: by name, in the order of files; `cell` (text) and `status` (cell, member) are among them.
        lengths: of the dimensions that have one length in every tile; the others have a length of their own.
    """

    variables: Mapping[str, TileVariable]
    lengths: Mapping[str, int]

    @cached_property
    def per_cell(self) -> list[str]:
        """Variables that become part of the product, one entry a cell."""
        return [name for name, one in self.variables.items() if one.merged and one.dimensions[0] == "cell"]

    @cached_property
    def per_lane(self) -> list[str]:
        """Variables that become part of the product, one entry a lane."""
        return [name for name in self.per_cell if self.variables[name].dimensions[1:2] == ("member",)]

    def validate(self, arrays: Mapping[str, np.ndarray], complete: bool = True) -> dict[str, np.ndarray]:
        """Check the arrays of a tile.

        Args:
            arrays: one array a variable, no more and no fewer.
            complete: every lane of its cells is there; else some may be missing.

        Returns:
            The same values in the types in which they are stored, in the order of the table.

        Raises:
            ValueError: naming the variable and what is wrong with it.
        """
        arrays = self._with_unknown(arrays)
        wrong = sorted(set(arrays).symmetric_difference(self.variables))
        if wrong:
            what = "is missing" if wrong[0] in self.variables else f"is not one of {', '.join(self.variables)}"
            raise ValueError(f"variable {wrong[0]!r} {what}")
        lengths = dict(self.lengths)
        stored = {name: self._stored(name, np.asarray(arrays[name]), lengths) for name in self.variables}
        cells = stored["cell"].tolist()
        if len(set(cells)) != len(cells) or "" in cells:
            raise ValueError("variable 'cell': identifiers must be unique and not empty")
        status = stored["status"]
        unknown = set(status.flat) - (set(STATUS.values()) - ({STATUS["missing"]} if complete else set()))
        if unknown:
            raise ValueError(f"variable 'status': {sorted(map(int, unknown))} are not states of a computed lane")
        good = good_lanes(status)
        for name, variable in self.variables.items():
            if variable.finite and not np.isfinite(stored[name][good]).all():
                broken = ~np.isfinite(stored[name]).reshape(*status.shape, -1).all(axis=-1) & good
                cell, member = np.argwhere(broken)[0]
                raise ValueError(
                    f"variable {name!r}: not finite in cell {cells[cell]!r}, member {member}, "
                    "whose status is calibrated"
                )
        return stored

    def _with_unknown(self, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return the arrays with those that older tiles do not have."""
        found = dict(arrays)
        sizes = dict(self.lengths)
        for name, values in arrays.items():
            if name in self.variables:
                sizes.update(zip(self.variables[name].dimensions, np.shape(values), strict=False))
        for name, variable in self.variables.items():
            if name not in found and variable.unknown is not None and set(variable.dimensions) <= set(sizes):
                shape = tuple(sizes[dimension] for dimension in variable.dimensions)
                found[name] = np.full(shape, variable.unknown, variable.dtypes[0])
        return found

    def _stored(self, name: str, values: np.ndarray, lengths: dict[str, int]) -> np.ndarray:
        variable = self.variables[name]
        if values.ndim != len(variable.dimensions):
            raise ValueError(f"variable {name!r}: shape {values.shape}, dimensions {variable.dimensions}")
        for dimension, length in zip(variable.dimensions, values.shape, strict=True):
            if lengths.setdefault(dimension, length) != length or (length == 0 and dimension not in MAY_BE_EMPTY):
                raise ValueError(f"variable {name!r}: {length} along {dimension!r}, where {lengths[dimension]} are due")
        if variable.dtypes == ("str",):
            if values.dtype.kind not in "UTO":
                raise ValueError(f"variable {name!r}: dtype {values.dtype}, text is due")
            return np.asarray(values, dtype=str)
        dtypes = [np.dtype(dtype) for dtype in variable.dtypes]
        if values.dtype in dtypes:
            return values
        if values.dtype.kind != dtypes[0].kind or values.dtype.itemsize > dtypes[0].itemsize:
            raise ValueError(f"variable {name!r}: dtype {values.dtype}, {' or '.join(map(str, dtypes))} is due")
        return values.astype(dtypes[0])
