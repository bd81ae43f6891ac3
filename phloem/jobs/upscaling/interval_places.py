"""Places that count as one in the calibration of intervals, and whether there are enough of them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from phloem.analysis.flux_skill.conformal import least_towers
from phloem.analysis.upscaling.flux_rows import FluxRows
from phloem.analysis.upscaling.leave_out import LeftOut, leave_out
from phloem.errors import InputError
from phloem.jobs.upscaling.table import UpscalingTable

WORDS = {"tower": "places with towers", "block": "boxes with towers"}
"""Schemes whose residuals can calibrate intervals, the best first, and what counts as one there."""


def interval_scheme(table: UpscalingTable) -> str | None:
    """Return the scheme whose residuals calibrate intervals: towers, else boxes, which no model had seen either."""
    return next((scheme for scheme in WORDS if scheme in table.cv), None)


def interval_groups(table: UpscalingTable, rows: FluxRows, left_out: Mapping[str, LeftOut], scheme: str) -> np.ndarray:
    """Return which rows count as one in the calibration of intervals.

    Args:
        table: of the upscaling.
        rows: months of towers.
        left_out: of each scheme.
        scheme: of `interval_scheme`: "tower", towers of one place; "block", boxes, each by itself even where several
            are left out at once.

    Returns:
        int64 (rows,).
    """
    return (left_out["tower"] if scheme == "tower" else leave_out(rows, scheme, 0, table.block_degrees, 0)).fold


def check_places(table: UpscalingTable, rows: FluxRows, left_out: Mapping[str, LeftOut]) -> None:
    """Refuse what would end without intervals, before anything is fitted.

    Raises:
        InputError: too few places for the level, of which one is left out to measure what intervals hold.
    """
    scheme = interval_scheme(table)
    if scheme is None:
        return
    groups, due = interval_groups(table, rows, left_out, scheme), least_towers(table.level) + 1
    for flux in table.fluxes:
        count = len(np.unique(groups[np.isfinite(rows.observed[flux])]))
        if count < due:
            smaller = ", smaller block_degrees" if scheme == "block" else ""
            raise InputError(
                f"experiment.level = {table.level:g} needs {due} {WORDS[scheme]}, and {flux} is known at {count}; "
                f"leave it out of experiment.fluxes{smaller}, or ask for less, as experiment.level = "
                f"{max(0.5, (count - 1) / max(count, 1) - 0.05):.2f}"
            )
