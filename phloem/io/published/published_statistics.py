"""Means and standard deviations of predictors as the public code stores them, by run, and how ours compare."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from phloem.errors import InputError
from phloem.io.files.csv_table import Table
from phloem.io.patches.patch_store import PatchStore
from phloem.io.patches.predictor_moments import mean_and_deviation
from phloem.io.published.published_layout import PREDICTOR_NAMES
from phloem.io.published.published_patches import published_order

_HEMISPHERE = ("LAT_SIGMOID", "LAT")
"""Columns that may hold the hemisphere."""


def read_statistics(path: Path, runs: int) -> dict[str, list[float]]:
    """Read a table of means or of standard deviations, a row a run and one of train + dev, a column a predictor.

    Args:
        path: the table.
        runs: rows that are due at least.

    Returns:
        Numbers of all rows, by the predictor's name here; of those there are columns of.

    Raises:
        InputError: another table, or a number that is none.
    """
    table = Table(path)
    names = {key: name for key, name in PREDICTOR_NAMES.items() if name in table.columns}
    hemisphere = next((name for name in _HEMISPHERE if name in table.columns), "")
    names |= {"hemisphere": hemisphere} if hemisphere else {}
    if not names:
        raise InputError(f"{path}: none of {', '.join(PREDICTOR_NAMES.values())} is a column")
    rows = list(table.rows())
    if len(rows) < runs:
        raise InputError(f"{path}: {len(rows)} rows; one for each of the {runs} runs is due, then one of train + dev")
    return {key: [row.number(name) for row in rows] for key, name in names.items()}


def differences(store: PatchStore, means: Mapping[str, Any], deviations: Mapping[str, Any], run: int = 1) -> list[str]:
    """Return where a store's own statistics of a run differ from those of the tables, in words.

    Args:
        store: that was imported.
        means: of `read_statistics`.
        deviations: likewise.
        run: number of the run.
    """
    moments = store.moments(published_order(store, run))
    shared = [name for name in means if name in deviations and moments[name][0]]
    lines = []
    for name in shared:
        try:
            mean, deviation = mean_and_deviation(moments, [name])[name]
        except InputError:
            continue
        theirs = means[name][run - 1], deviations[name][run - 1]
        if abs(mean - theirs[0]) > 1e-3 * theirs[1] or abs(deviation - theirs[1]) > 1e-3 * theirs[1]:
            lines.append(
                f"{name}: mean and deviation of run {run} are {mean:.6g} and {deviation:.6g} here, {theirs[0]:.6g} and "
                f"{theirs[1]:.6g} in the tables"
            )
    return lines
