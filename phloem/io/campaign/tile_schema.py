"""The variables of a tile, in one table: what a tile file holds and what the merged product takes from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from phloem.names import ALL_STREAMS, LOSS_TERMS, PARAMETERS, POOLS, STATUS, STREAMS

GOOD = (STATUS["calibrated"], STATUS["calibrated_after_redraw"])

SCHEMA_VERSION = 1

FIXED_DIMENSIONS = {
    "parameter": len(PARAMETERS),
    "pool": len(POOLS),
    "unknown": len(PARAMETERS) + len(POOLS),
    "term": len(LOSS_TERMS),
}
"""Dimensions of one length in every tile; cell, member, trace and stream have a length of their own."""

STREAM_COUNTS = (len(STREAMS), len(ALL_STREAMS))
"""Streams that a tile may have: those of a site, or biomass too."""

SUCCESSES = (STATUS["calibrated"], STATUS["calibrated_after_redraw"])
"""Values of status whose lanes count."""


@dataclass(frozen=True)
class Variable:
    """One variable of a tile.

    Attributes:
        dimensions: names of its dimensions.
        dtypes: as which types it may be stored; the first is the usual one, "str" means text.
        units: UDUNITS text, empty where units depend on the element or there are none.
        long_name: what it is.
        finite: no NaN and no infinity in a lane that counts.
        merged: part of the merged product.
    """

    dimensions: tuple[str, ...]
    dtypes: tuple[str, ...]
    units: str
    long_name: str
    finite: bool = False
    merged: bool = True


_STREAMS_DUE = " or ".join(map(str, STREAM_COUNTS))
_LANE = ("cell", "member")

SCHEMA = {
    "cell": Variable(("cell",), ("str",), "", "site or cell identifier"),
    "latitude": Variable(("cell",), ("f8",), "degrees_north", "latitude"),
    "longitude": Variable(("cell",), ("f8",), "degrees_east", "longitude"),
    "raw": Variable(
        (*_LANE, "unknown"),
        ("f8", "f4"),
        "1",
        "unbounded values of the 30 parameters and 8 initial pools at the last iterate",
        finite=True,
        merged=False,
    ),
    "parameters": Variable((*_LANE, "parameter"), ("f8",), "", "calibrated parameters", finite=True),
    "initial_pools": Variable((*_LANE, "pool"), ("f8",), "", "calibrated initial pools", finite=True),
    "loss": Variable(_LANE, ("f8",), "1", "loss, sharpness at its end value", finite=True),
    "loss_terms": Variable((*_LANE, "term"), ("f8",), "1", "parts of the loss", finite=True),
    "nnse": Variable((*_LANE, "stream"), ("f8",), "1", "normalised Nash-Sutcliffe efficiency, calibration window"),
    "nnse_validation": Variable(
        (*_LANE, "stream"), ("f8",), "1", "normalised Nash-Sutcliffe efficiency, validation window"
    ),
    "best_loss": Variable(_LANE, ("f8",), "1", "least loss after the sharpness reached its end value", finite=True),
    "best_raw": Variable(
        (*_LANE, "unknown"),
        ("f8", "f4"),
        "1",
        "unbounded values of the 30 parameters and 8 initial pools at best_loss",
        finite=True,
        merged=False,
    ),
    "status": Variable(_LANE, ("i1",), "", "what became of the lane"),
    "redraws": Variable(_LANE, ("i1",), "1", "times the lane was drawn anew"),
    "iterations": Variable(_LANE, ("i4",), "1", "iterations of the optimiser"),
    "gradient_evaluations": Variable(_LANE, ("i4",), "1", "evaluations of the gradient"),
    "gradient_equivalents": Variable(_LANE, ("f8",), "1", "cost of the calibration, in gradients of the whole record"),
    "stop": Variable(_LANE, ("i1",), "", "why the optimiser left the lane"),
    "loss_trace": Variable((*_LANE, "trace"), ("f4",), "1", "loss during the optimisation"),
    "trace_iteration": Variable(("trace",), ("i4",), "1", "iteration of the loss trace"),
}
"""Every variable of a tile. NNSE is NaN where a stream has no observations in the window; the loss trace
where a lane never came that far."""


def validate(arrays: Mapping[str, np.ndarray], whole: bool = True) -> dict[str, np.ndarray]:
    """Check the arrays of a tile against the table.

    Args:
        arrays: one array a variable of `SCHEMA`, no more and no fewer.
        whole: every lane of its cells is there; else some may be missing.

    Returns:
        The same values in the types in which they are stored, in the order of the table.

    Raises:
        ValueError: naming the variable and what is wrong with it.
    """
    wrong = sorted(set(arrays).symmetric_difference(SCHEMA))
    if wrong:
        what = "is missing" if wrong[0] in SCHEMA else f"is not one of {', '.join(SCHEMA)}"
        raise ValueError(f"variable {wrong[0]!r} {what}")
    lengths = dict(FIXED_DIMENSIONS)
    stored = {name: _stored(name, np.asarray(arrays[name]), lengths) for name in SCHEMA}
    cells = stored["cell"].tolist()
    if len(set(cells)) != len(cells) or "" in cells:
        raise ValueError("variable 'cell': identifiers must be unique and not empty")
    status = stored["status"]
    unknown = set(status.flat) - (set(STATUS.values()) - ({STATUS["missing"]} if whole else set()))
    if unknown:
        raise ValueError(f"variable 'status': {sorted(map(int, unknown))} are not states of a computed lane")
    counts = np.isin(status, SUCCESSES)
    for name, variable in SCHEMA.items():
        if variable.finite and not np.isfinite(stored[name][counts]).all():
            broken = ~np.isfinite(stored[name]).reshape(*status.shape, -1).all(axis=-1) & counts
            cell, member = np.argwhere(broken)[0]
            raise ValueError(
                f"variable {name!r}: not finite in cell {cells[cell]!r}, member {member}, whose status is calibrated"
            )
    return stored


def _stored(name: str, values: np.ndarray, lengths: dict[str, int]) -> np.ndarray:
    variable = SCHEMA[name]
    if values.ndim != len(variable.dimensions):
        raise ValueError(f"variable {name!r}: shape {values.shape}, dimensions {variable.dimensions}")
    for dimension, length in zip(variable.dimensions, values.shape, strict=True):
        if dimension == "stream" and length not in STREAM_COUNTS:
            raise ValueError(f"variable {name!r}: {length} along 'stream', where {_STREAMS_DUE} are due")
        if lengths.setdefault(dimension, length) != length or (length == 0 and dimension != "trace"):
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
