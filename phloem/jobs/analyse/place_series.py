"""Series of single places of a grid or monthly campaign for its report: which of them, and their members' runs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from phloem.analysis.report_data.cell_sets import CellSet
from phloem.analysis.report_data.place_series import PlaceSeries, stream_means, window_begins
from phloem.errors import InputError, some
from phloem.jobs.analyse.member_runs import Run, late_runs
from phloem.jobs.analyse.withheld_years import even_draw
from phloem.jobs.calibration.merged_members import Members, read_members
from phloem.jobs.calibration.run_dates import calendar_dates
from phloem.jobs.campaign.campaign import Campaign
from phloem.kernels.calibrations.protocol import RunProtocol

MOST_PLACES = 12
"""Places whose series a report shows where none were asked for."""

EVERY = "all"


def place_scores(cells: CellSet) -> np.ndarray:
    """Return the mean over the streams of the members' median NNSE of the calibration, (cells,), NaN without any."""
    scores = np.stack([cells.middle_score(stream, 0) for stream in cells.scores])
    count = np.isfinite(scores).sum(0)
    return np.where(count > 0, np.nansum(scores, 0) / np.maximum(count, 1), np.nan)


def spread_by_rank(scores: np.ndarray, most: int) -> np.ndarray:
    """Return at most so many places, evenly spread from the worst score to the best; those without score are left out.

    Args:
        scores: (places,), NaN where there is none.
        most: places that are chosen.
    """
    order = np.argsort(scores, kind="stable")[: int(np.isfinite(scores).sum())]
    return order[even_draw(len(order), most)]


def telling_places(cells: CellSet) -> list[int]:
    """Return some places of a campaign, from the worst fit to the best."""
    return spread_by_rank(place_scores(cells), MOST_PLACES).tolist()


def named_places(campaign: Campaign, wanted: Sequence[str]) -> list[int]:
    """Return the places of cells.

    Args:
        campaign: of a driver store.
        wanted: names of its cells, or `all`.

    Raises:
        InputError: no such cell.
    """
    names = campaign.cells.names
    if list(wanted) == [EVERY]:
        return list(range(len(names)))
    numbers = {name: place for place, name in enumerate(names)}
    unknown = [name for name in wanted if name not in numbers]
    if unknown:
        lacks = f"{campaign.paths.root} has no cell {some(unknown)}; it has {some(names)}"
        raise InputError(f"--cells: {lacks}, or say all")
    return list(dict.fromkeys(numbers[name] for name in wanted))


def place_series(campaign: Campaign, cells: CellSet, places: Sequence[int]) -> list[PlaceSeries]:
    """Simulate some places with all members that count.

    Args:
        campaign: merged, of a driver store.
        cells: all of its cells.
        places: their numbers.

    Raises:
        WorkError: the product or the store cannot be read.
    """
    if not places:
        return []
    members = read_members(campaign, [cells.names[place] for place in places])
    return series_of(members, places, place_scores(cells)[list(places)])


def series_of(members: Members, places: Sequence[int], scores: np.ndarray) -> list[PlaceSeries]:
    """Simulate the members that count at all of their cells.

    Args:
        members: of some cells.
        places: numbers of these cells in the campaign.
        scores: as of `place_scores`, (cells,).
    """
    protocol = members.campaign.configuration.calibration.protocol
    fields = tuple(one.name for one in members.tables.compared)
    runs = late_runs(members, range(len(places)), fields, protocol.calibration[0], withheld=False)
    return [
        _series(run, members.cells[run.place], place, members.good[run.place], float(score), protocol)
        for run, place, score in zip(runs, places, scores, strict=True)
    ]


def _series(run: Run, name: str, place: int, good: np.ndarray, score: float, protocol: RunProtocol) -> PlaceSeries:
    # A run that repeats its forcing may meet a later year for the last time before it meets the first one again.
    again = np.flatnonzero(np.diff(run.year) < 0)
    begin = int(again[-1]) + 1 if len(again) else 0
    kept = slice(begin + int(np.argmax(run.year[begin:] >= protocol.calibration[0])), None)
    begins = window_begins(run.window[kept])
    day = calendar_dates("standard", run.year[kept], run.doy[kept])  # true years, whatever the calendar of the cell
    number = day.astype(np.int64)
    ends = np.append(begins[1:], len(number)) - 1
    return PlaceSeries(
        cell=name,
        place=place,
        members=int(good.sum()),
        of_members=len(good),
        score=score,
        first=day[begins],
        centres=(number[begins] + number[ends]) / 2,
        last=day[-1],
        validation=np.datetime64(f"{protocol.validation[0]}-01-01", "D"),
        streams={
            stream: stream_means(
                begins, run.observed[stream][kept], run.reference[stream][kept], run.simulated[stream][:, kept]
            )
            for stream in run.observed
        },
    )
