"""The cells of a campaign, one quantity at a time: members, median, spread and range, for maps and tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from phloem.analysis.report_data.tower_product import Floats, Integers, apart
from phloem.analysis.style.wording import typeset
from phloem.io.campaign.tile_schema import good_lanes
from phloem.io.merge.at_bounds import without_bounds
from phloem.io.merge.member_statistics import LEAST_MEMBERS, circular_median_and_rcv, median_and_rcv
from phloem.io.merge.read_slices import Lattice, MergedSlices
from phloem.model_tables import ModelTables
from phloem.names import CELL_STATUS, STATUS

BLOCK = 8192
"""Cells whose derived quantities are computed at once."""


@dataclass(frozen=True)
class ShownQuantity:
    """Something that every member has a value of, as maps show it.

    Attributes:
        key: name in files; that of a derived quantity begins with `derived_`.
        label: name for people.
        unit: typeset, empty for shares and ratios.
        meaning: in a few words.
        low, high: bounds of a parameter, NaN of a derived quantity.
        period: after which it repeats, 0 where it does not.
    """

    key: str
    label: str
    unit: str
    meaning: str
    low: float = float("nan")
    high: float = float("nan")
    period: float = 0.0

    @property
    def circular(self) -> bool:
        """Whether it repeats, as a day of the year does."""
        return self.period > 0

    @property
    def derived(self) -> bool:
        """Whether it follows from several parameters."""
        return self.key.startswith("derived_")


@dataclass(frozen=True)
class Spread:
    """One quantity over the cells; NaN where there is none.

    Attributes:
        members: (cells, members). Days lie around their median, which may take them out of their period.
        median, rcv: (cells,), of three members or more; rcv is missing too where most stand at a bound.
        low, high: least and greatest of the members where there is a median.
    """

    members: Floats
    median: Floats
    rcv: Floats
    low: Floats
    high: Floats


@dataclass(frozen=True)
class CellSet:
    """The calibrated cells of one campaign.

    Attributes:
        tables: of the model.
        title: of the campaign among others.
        names: ids of the cells.
        latitude, longitude: degrees, (cells,).
        lattice: the regular grid that they lie on, or None for places.
        status: (cells, members), of `names.STATUS`.
        redraws: (cells, members).
        loss: (cells, members).
        scores: stream -> (NNSE of the calibration, of the validation), each (cells, members).
        parameter: returns the values of a parameter by its name, (cells, members).
    """

    tables: ModelTables
    title: str
    names: Sequence[str]
    latitude: Floats
    longitude: Floats
    lattice: Lattice | None
    status: Integers
    redraws: Integers
    loss: Floats
    scores: Mapping[str, tuple[Floats, Floats]]
    parameter: Callable[[str], Floats]
    _derived: dict[str, Floats] = field(default_factory=dict, repr=False)

    @property
    def good(self) -> np.ndarray:
        """Lanes whose result counts, bool (cells, members)."""
        return good_lanes(self.status)

    @property
    def members(self) -> int:
        """Members of a cell."""
        return int(self.status.shape[1])

    def spread(self, quantity: ShownQuantity) -> Spread:
        """Return members, median, rCV and range of a quantity."""
        if quantity.derived:
            if not self._derived:
                self._derived.update(self._derive())
            values = self._derived[quantity.key.removeprefix("derived_")]
        else:
            values = np.where(self.good, self.parameter(quantity.key), np.nan)
        found = _circular(values, quantity.period) if quantity.period else _linear(values)
        if quantity.derived:
            return found
        return replace(found, rcv=without_bounds(found.rcv, values, self.tables.parameter(quantity.key)))

    def _derive(self) -> dict[str, Floats]:
        tables = self.tables
        used = tables.derived.reads or tables.parameter_names
        columns = {name: np.where(self.good, self.parameter(name), np.nan) for name in used}
        derived = {name: np.full(self.status.shape, np.nan) for name in tables.derived.names}
        for begin in range(0, len(self.names), BLOCK):
            part = slice(begin, begin + BLOCK)
            values = np.full((*self.status[part].shape, len(tables.parameters)), np.nan)
            for name, column in columns.items():
                values[..., tables.column(name)] = column[part]
            for name, numbers in tables.derived.compute(values).items():
                derived[name][part] = numbers
        return derived

    def forget(self) -> None:
        """Let the derived quantities go."""
        self._derived.clear()

    @property
    def cell_status(self) -> Integers:
        """What became of the members of each cell, of `names.CELL_STATUS`."""
        count, every = self.good.sum(1), self.status.shape[1]
        kinds = ("missing", "all_calibrated", "some_calibrated", "too_few_calibrated", "set_aside")
        codes: Integers = np.select(
            [
                (self.status == STATUS["missing"]).all(1),
                count == every,
                count >= LEAST_MEMBERS,
                count > 0,
                (self.status == STATUS["set_aside"]).any(1),
            ],
            [CELL_STATUS[kind] for kind in kinds],
            CELL_STATUS["none_calibrated"],
        )
        return codes

    def middle_score(self, stream: str, window: int) -> Floats:
        """Return the members' median NNSE of a stream; window 0 is the calibration's, 1 the validation's."""
        return nanmedian(np.where(self.good, self.scores[stream][window], np.nan))

    @property
    def least_loss(self) -> Floats:
        """Least loss of the good members, NaN where there is none."""
        loss = np.where(self.good & np.isfinite(self.loss), self.loss, np.inf).min(1)
        return np.where(np.isfinite(loss), loss, np.nan)


def quantities(tables: ModelTables, parameters: bool = True) -> list[ShownQuantity]:
    """Return what maps show: derived quantities, then the parameters that the model reads."""

    def shown(unit: str) -> str:
        return "" if unit == "1" else typeset(unit)

    listed = [
        ShownQuantity(f"derived_{one.name}", one.meaning, shown(one.unit), one.meaning)
        for one in tables.derived.quantities
    ]
    for parameter in tables.shown if parameters else ():
        listed.append(
            ShownQuantity(
                parameter.name,
                parameter.name,
                shown(parameter.unit),
                parameter.meaning,
                parameter.lower,
                parameter.upper,
                parameter.period,
            )
        )
    return listed


def read_cells(
    merged: MergedSlices,
    tables: ModelTables,
    title: str,
    names: Sequence[str],
    latitude: Sequence[float],
    longitude: Sequence[float],
) -> CellSet:
    """Return the cells of an open product, which stays open as long as parameters are asked for.

    Args:
        merged: opened with the same cells.
        tables: of the model.
        title: of the campaign.
        names: of the cells, as planned.
        latitude: degrees north.
        longitude: degrees east.
    """
    slots = {name: slot for slot, name in enumerate(merged.labels("parameter"))}
    streams = merged.labels("stream")
    status = merged.read("status").astype(np.int64)
    unknown = ~np.isin(status, list(STATUS.values()))
    return CellSet(
        tables=tables,
        title=title,
        names=names,
        latitude=np.asarray(latitude, float),
        longitude=np.asarray(longitude, float),
        lattice=merged.lattice,
        status=np.where(unknown, STATUS["missing"], status),
        redraws=np.where(unknown, 0, merged.read("redraws").astype(np.int64)),
        loss=merged.read("loss"),
        scores={
            name: (
                merged.read("nnse", slice(None), row),
                merged.read("nnse_validation", slice(None), row),
            )
            for row, name in enumerate(streams)
        },
        parameter=lambda name: merged.read("parameters", slice(None), slots[name]),
    )


def nanmedian(values: Floats) -> Floats:
    """Return the median along the last axis of what is not NaN, NaN where nothing is."""
    if not values.size:
        return np.full(values.shape[:-1], np.nan)
    ranked = np.sort(values, axis=-1)  # NaN comes last
    count = np.isfinite(values).sum(-1)
    ends = [np.clip((count - 1 + more) // 2, 0, None)[..., None] for more in (0, 1)]
    low, high = (np.take_along_axis(ranked, end, -1)[..., 0] for end in ends)
    return np.where(count > 0, (low + high) / 2, np.nan)


def _ends(members: Floats, median: Floats) -> tuple[Floats, Floats]:
    known = np.isfinite(median)
    low = np.where(np.isfinite(members), members, np.inf).min(1)
    high = np.where(np.isfinite(members), members, -np.inf).max(1)
    return np.where(known, low, np.nan), np.where(known, high, np.nan)


def _linear(members: Floats) -> Spread:
    median, rcv = median_and_rcv(members, np.isfinite(members))
    return Spread(members, median, rcv, *_ends(members, median))


def _circular(members: Floats, period: float) -> Spread:
    """Unwrap days around a common day, so that a map of them has no edge where the year begins."""
    median, rcv = circular_median_and_rcv(members, np.isfinite(members), period)
    known = median[np.isfinite(median)]
    centre = 0.0
    if known.size:
        angle = np.angle(np.exp(2j * np.pi * known / period).mean())
        centre = float(angle / (2 * np.pi) * period) % period
    unwrapped = centre + np.mod(median - centre + period / 2, period) - period / 2
    around = unwrapped[:, None] + apart(members, median[:, None], period)
    members = np.where(np.isfinite(median)[:, None], around, centre + apart(members, centre, period))
    return Spread(members, unwrapped, rcv, *_ends(members, unwrapped))
