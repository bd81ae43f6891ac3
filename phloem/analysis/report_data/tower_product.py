"""Numbers behind the report: a checked view of a merged product, and means of daily series."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from phloem.errors import InputError
from phloem.io.campaign.tile_schema import good_lanes
from phloem.model_tables import ModelTables, Parameter
from phloem.names import STATUS

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

WEEK = 7
"""Days in a window of the time series."""

ENOUGH_DAYS = 4
"""A window with fewer observed days than this has no mean."""

BINS = 52
"""Weeks of the mean seasonal cycle; the last one also takes days 365 and 366."""

_NEEDED = {
    "status": ("cell", "member"),
    "redraws": ("cell", "member"),
    "iterations": ("cell", "member"),
    "gradient_equivalents": ("cell", "member"),
    "stop": ("cell", "member"),
    "loss": ("cell", "member"),
    "best_loss": ("cell", "member"),
    "loss_terms": ("cell", "member", "term"),
    "loss_trace": ("cell", "member", "trace"),
    "nnse": ("cell", "member", "stream"),
    "nnse_validation": ("cell", "member", "stream"),
    "parameters": ("cell", "member", "parameter"),
    "parameters_median": ("cell", "parameter"),
    "parameters_rcv": ("cell", "parameter"),
}

_LATER = {"ceiling_days": ("cell", "member", "pool"), "borrowed": ("cell", "member")}
"""What older products do not have: 0 there."""


@dataclass(frozen=True)
class TowerProduct:
    """A merged product as plain arrays; what is missing is NaN.

    Attributes:
        tables: Of the model.
        cells: Names of the cells, in the product's order.
        status, redraws, iterations, stop: (cells, members) integers; a status that the file lacks is `missing`.
        gradient_equivalents: (cells, members) cost in gradients of the whole record.
        loss, best_loss: (cells, members).
        loss_terms: (cells, members, terms) in the order of the tables.
        loss_trace: (cells, members, points) and trace_iteration (points,).
        nnse, nnse_validation: (cells, members, streams) likewise.
        parameters: (cells, members, parameters) physical values.
        parameters_median, parameters_rcv: (cells, parameters).
        ceiling_days: (cells, members, pools) days of the run at whose end the pool stood at its ceiling.
        borrowed: (cells, members) 1 for lanes that ended beside another member's basin.
    """

    tables: ModelTables
    cells: tuple[str, ...]
    status: Integers
    redraws: Integers
    iterations: Integers
    stop: Integers
    gradient_equivalents: Floats
    loss: Floats
    best_loss: Floats
    loss_terms: Floats
    loss_trace: Floats
    trace_iteration: Floats
    nnse: Floats
    nnse_validation: Floats
    parameters: Floats
    parameters_median: Floats
    parameters_rcv: Floats
    ceiling_days: Floats
    borrowed: Floats

    @property
    def members(self) -> int:
        """Number of members of a cell."""
        return int(self.status.shape[1])

    @property
    def calibrated(self) -> NDArray[np.bool_]:
        """(cells, members): lanes whose result counts."""
        return good_lanes(self.status)

    def best_member(self, index: int) -> int | None:
        """Return the calibrated member with the lowest loss of the cell at `index`, or None where there is none."""
        loss = np.where(self.calibrated[index] & np.isfinite(self.loss[index]), self.loss[index], np.inf)
        return int(np.argmin(loss)) if np.isfinite(loss).any() else None


def read_product(merged: xr.Dataset, tables: ModelTables) -> TowerProduct:
    """Check and load what the report needs from a merged product.

    Args:
        merged: The product that `phloem merge` writes, with a `cell` dimension.
        tables: Of the model.

    Raises:
        InputError: A variable is absent or has other dimensions than it should.
    """
    absent = [name for name in (*_NEEDED, "trace_iteration") if name not in merged]
    if "cell" not in merged.coords or absent:
        lacking = ", ".join(absent) or "the coordinate cell"
        raise InputError(f"the merged product lacks {lacking}: write it again with `phloem merge DIR`")
    labels = {"stream": tables.streams, "parameter": tables.parameter_names, "term": tables.terms}
    arrays = {name: _values(merged[name], dimensions, labels) for name, dimensions in _NEEDED.items()}
    for name, dimensions in _LATER.items():
        lengths = [arrays["status"].shape[0], arrays["status"].shape[1], len(tables.pools)][: len(dimensions)]
        arrays[name] = _values(merged[name], dimensions, labels) if name in merged else np.zeros(lengths)
    status = np.nan_to_num(arrays.pop("status"), nan=STATUS["missing"]).astype(np.int64)
    # A hole has fill values here, which mean nothing as counts.
    done = status != STATUS["missing"]
    redraws, iterations, stop = (
        np.where(done, np.nan_to_num(arrays.pop(name)), 0).astype(np.int64)
        for name in ("redraws", "iterations", "stop")
    )
    cells = tuple(name.decode() if isinstance(name, bytes) else str(name) for name in merged["cell"].values.tolist())
    return TowerProduct(
        tables=tables,
        cells=cells,
        trace_iteration=np.asarray(merged["trace_iteration"].values, dtype=np.float64),
        status=status,
        redraws=redraws,
        iterations=iterations,
        stop=stop,
        **arrays,
    )


def _values(variable: xr.DataArray, dimensions: tuple[str, ...], known: Mapping[str, tuple[str, ...]]) -> Floats:
    if set(variable.dims) != set(dimensions):
        raise InputError(
            f"variable {variable.name} of the merged product has dimensions {variable.dims}, not {dimensions}"
        )
    for dimension in dimensions:
        labels = known.get(dimension)
        if labels is None:
            continue
        if dimension in variable.coords:
            variable = variable.reindex({dimension: list(labels)})
        elif variable.sizes[dimension] != len(labels):
            raise InputError(
                f"variable {variable.name} of the merged product has {variable.sizes[dimension]} entries "
                f"along {dimension}, not {len(labels)}"
            )
    return np.asarray(variable.transpose(*dimensions).values, dtype=np.float64)


def middle(values: Floats) -> float:
    """Return the median of the finite values, NaN where there is none."""
    finite = values[np.isfinite(values)]
    return float(np.median(finite)) if finite.size else float("nan")


def envelope(values: Floats) -> tuple[Floats, Floats, Floats]:
    """Return median, lowest and highest of the members, ignoring NaN.

    Args:
        values: (members, points).

    Returns:
        Three arrays (points,), NaN where no member has a value.
    """
    some = np.isfinite(values).any(axis=0)
    results = np.full((3, values.shape[1]), np.nan)
    if some.any():
        seen = np.where(np.isfinite(values[:, some]), values[:, some], np.nan)
        results[:, some] = np.nanmedian(seen, axis=0), np.nanmin(seen, axis=0), np.nanmax(seen, axis=0)
    return results[0], results[1], results[2]


def weekly_means(values: Floats) -> Floats:
    """Return means of seven-day windows counted from the first day.

    Args:
        values: (..., days), NaN = missing.

    Returns:
        (..., ceil(days / 7)); NaN where fewer than four days have a value.
    """
    days = values.shape[-1]
    padding = [(0, 0)] * (values.ndim - 1) + [(0, -days % WEEK)]
    windows = np.pad(values, padding, constant_values=np.nan).reshape(*values.shape[:-1], -1, WEEK)
    present = np.isfinite(windows)
    count = present.sum(axis=-1)
    total = np.where(present, windows, 0.0).sum(axis=-1)
    return np.where(count >= ENOUGH_DAYS, total / np.maximum(count, 1), np.nan)


def seasonal_means(values: Floats, time: NDArray[np.datetime64]) -> Floats:
    """Return the mean of every week of the year over the whole record.

    Args:
        values: (..., days), NaN = missing.
        time: (days,) datetime64[D].

    Returns:
        (..., 52); NaN for a week without any value.
    """
    day = (time - time.astype("datetime64[Y]").astype("datetime64[D]")).astype(np.int64)
    week = np.minimum(day // WEEK, BINS - 1)
    rows = values.reshape(-1, values.shape[-1])
    means = np.full((rows.shape[0], BINS), np.nan)
    for row, mean in zip(rows, means, strict=True):
        present = np.isfinite(row)
        count = np.bincount(week[present], minlength=BINS)
        total = np.bincount(week[present], weights=row[present], minlength=BINS)
        mean[count > 0] = total[count > 0] / count[count > 0]
    return means.reshape(*values.shape[:-1], BINS)


def position(values: Floats, parameter: Parameter) -> Floats:
    """Return where values of a parameter lie between its bounds: 0 at the lower, 1 at the upper.

    Args:
        values: Physical values, any shape.
        parameter: With bounds above 0, or with a period.

    Returns:
        ln(value / lower) / ln(upper / lower), the `u` of the bounded transform; of what repeats, the share of the
        period.
    """
    if parameter.period:
        return np.mod(values, parameter.period) / parameter.period
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.log(values / parameter.lower) / np.log(parameter.upper / parameter.lower))


def apart(values: Floats, reference: float | Floats, period: float) -> Floats:
    """Return the signed shortest way from `reference` to `values` around a period, in [-period / 2, period / 2)."""
    return np.mod(values - reference + period / 2, period) - period / 2
