"""Windows of an optimiser: the consecutive years of a record that hold most observations."""

from __future__ import annotations

import numpy as np

from phloem.kernels.objective.site import Site


def richest_years(site: Site, years: int) -> Site:
    """Return the consecutive years of a cell's calibration window that hold most observations.

    Years are those of the record, from one marked end to the next; what is left at its end counts as one.

    Each stream counts by the share of its observations that the years hold, and of equals the first are taken. The last
    day's mark is left out, as a record ends before its last year's mean can be compared with another's start.

    Args:
        site: the cell.
        years: how many; where its calibration window has no more than these, all of that.

    Returns:
        The same cell with these days only; all of them are calibration days.
    """
    ends = np.flatnonzero(site.year_end[: site.training_days]) + 1
    starts = np.concatenate([[0], ends[ends < site.training_days]])
    stops = np.append(starts[1:], site.training_days)
    first = max(len(starts) - years, 0)
    choices = [slice(int(starts[i]), int(stops[min(i + years, len(starts)) - 1])) for i in range(first + 1)]
    return site.cut(max(choices, key=lambda days: _share(site, days)))


def _share(site: Site, days: slice) -> float:
    """Return what share of the observations some days hold, summed over the streams."""
    total = 0.0
    for name in site.streams:
        seen = np.isfinite(site.observations[name][: site.training_days])
        total += seen[days].sum() / max(1, seen.sum())
    return round(total, 9)
