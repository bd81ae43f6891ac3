"""Series of a single place for the report: what was observed and what its members simulated, as means over windows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from phloem.analysis.report_data.tower_product import WEEK, Floats, Integers, envelope

SHORT = 5
"""Windows of fewer days than this are too many to draw: weeks take their place."""


@dataclass(frozen=True)
class StreamMeans:
    """One stream of a place; each array is (windows,), NaN where there is nothing.

    Attributes:
        observed: what the calibration saw.
        withheld: what it did not see.
        median, low, high: over the members that count.
    """

    observed: Floats
    withheld: Floats
    median: Floats
    low: Floats
    high: Floats


@dataclass(frozen=True)
class PlaceSeries:
    """What the report shows of a place.

    Attributes:
        cell: its name.
        place: among the campaign's cells.
        members: how many of its members count.
        of_members: how many it has.
        score: mean over the streams of the members' median NNSE of the calibration, NaN where there is none.
        first: first day of each window, datetime64[D] (windows,).
        centres: middles of the windows, days since 1970-01-01, (windows,).
        last: last day.
        validation: first day of the validation years.
        streams: by name.
    """

    cell: str
    place: int
    members: int
    of_members: int
    score: float
    first: np.ndarray
    centres: Floats
    last: np.datetime64
    validation: np.datetime64
    streams: Mapping[str, StreamMeans]


def window_begins(window: Integers) -> Integers:
    """Return where windows begin among consecutive days; where windows are short, where weeks do.

    Args:
        window: number of the window of each day, (days,).
    """
    begins = np.flatnonzero(np.diff(window, prepend=window[0] - 1))
    return begins if len(window) >= SHORT * len(begins) else np.arange(0, len(window), WEEK)


def stream_means(begins: Integers, observed: Floats, withheld: Floats, simulated: Floats) -> StreamMeans:
    """Return a stream's means over windows.

    Args:
        begins: where windows begin, as `window_begins` gives them.
        observed: (days,), NaN where there is none; a window's mean is that of its days with a value.
        withheld: likewise.
        simulated: (members, days), NaN for members that do not count.
    """
    days = np.diff(np.append(begins, simulated.shape[1]))
    members = np.add.reduceat(np.asarray(simulated, np.float64), begins, axis=1) / days
    return StreamMeans(_seen_means(begins, observed), _seen_means(begins, withheld), *envelope(members))


def _seen_means(begins: Integers, values: Floats) -> Floats:
    seen = np.isfinite(values)
    count = np.add.reduceat(seen.astype(np.int64), begins)
    total = np.add.reduceat(np.where(seen, values, 0.0), begins)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)
