"""A variable of a product over all its files: checked once, then read piece by piece as means over cells."""

from __future__ import annotations

from collections.abc import Container, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from phloem.errors import InputError
from phloem.io.drivers.humidity import is_vapour_pressure
from phloem.io.drivers.moisture import PLACE_OF_VPD
from phloem.io.drivers.variables import Variable
from phloem.io.grids.file_grid import FileGrid, Gather
from phloem.io.products.catalogue import SIX_HOURS, STATIC, Choice
from phloem.io.products.layouts import VariableLayout, find_variable, read_layout
from phloem.io.products.raw_files import OpenFiles, expand
from phloem.io.products.times import Days, Stamps, read_stamps


@dataclass(frozen=True, eq=False)
class ProductSeries:
    """A variable over the files of a product, in the order of time.

    Attributes:
        key: its name here.
        choice: the product.
        quantity: what it is.
        layouts: one a file.
        file, place: of each step: which layout, and where in it; int64 (steps,).
        date, hour: of each step, by the product's own calendar.
        edges: (steps, 2) first day and first day after, or None.
        calendar: `standard` or `noleap`; empty for a static layer.
        notes: what was taken for granted, for the log.
    """

    key: str
    choice: Choice
    quantity: Variable
    layouts: list[VariableLayout]
    file: np.ndarray
    place: np.ndarray
    date: np.ndarray
    hour: np.ndarray
    edges: np.ndarray | None
    calendar: str
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.file)

    @property
    def grid(self) -> FileGrid:
        """Of all its files."""
        return self.layouts[0].grid

    @property
    def paths(self) -> list[Path]:
        """Its files."""
        return [layout.path for layout in self.layouts]

    def where(self, step: int) -> str:
        """Return file, variable and date of a step, for messages."""
        layout = self.layouts[int(self.file[step])]
        return f"{layout.path}: variable {layout.name}: {self.date[step]}"

    def runs(self, first: int, last: int) -> Iterator[tuple[VariableLayout, slice, slice]]:
        """Return steps first..last-1 as pieces of files: layout, places in the file, places among these steps."""
        file, place = self.file[first:last], self.place[first:last]
        breaks = np.flatnonzero((np.diff(file) != 0) | (np.diff(place) != 1)) + 1
        for begin, end in zip(np.append(0, breaks), np.append(breaks, len(file)), strict=True):
            if end > begin:
                start = int(place[begin])
                yield self.layouts[int(file[begin])], slice(start, start + int(end - begin)), slice(begin, end)

    def read(self, files: OpenFiles, gather: Gather, first: int = 0, last: int = 1) -> np.ndarray:
        """Return means over cells at steps first..last-1: float64 (steps, cells), NaN where no pixel has a value."""
        window = gather.window
        means = np.empty((last - first, len(gather.weights)))
        for layout, places, steps in self.runs(first, last):
            raw = layout.arrange(files.read(layout.path, layout.name, layout.piece(places, window)))
            means[steps] = mean_of(raw, layout, gather, window)
        return means


def mean_of(raw: np.ndarray, layout: VariableLayout, gather: Gather, window: tuple[slice, slice]) -> np.ndarray:
    """Return masked means: missing pixels count neither above nor below; every cell's terms in one and the same order.

    Args:
        raw: stored values (steps, rows, columns) of the window.
        layout: how they are packed.
        gather: pixels of the cells.
        window: that was read.

    Returns:
        float64 (steps, cells).
    """
    flat, width = raw.reshape(len(raw), -1), raw.shape[2]
    above = below = None
    for rows, columns, weights in gather.terms(window):
        values = layout.packing.unpack(np.take(flat, rows * width + columns, axis=1))
        if gather.is_plain:
            values[:, weights <= 0] = np.nan
            return values
        there = ~np.isnan(values)
        values[~there] = 0.0
        values *= weights
        counted = there * weights
        above, below = (values, counted) if above is None else (np.add(above, values, above), below + counted)
    assert above is not None
    assert below is not None
    return np.divide(above, below, out=np.full(above.shape, np.nan), where=below > 0)


def names_in(choice: Choice, files: OpenFiles) -> dict[str, list[str]]:
    """Return the variables of a product's files, by their names here: in the order of the files.

    Raises:
        InputError: no file, or a name that the user has given and no file has.
    """
    found: dict[str, list[str]] = {}
    seen: dict[str, None] = {}
    for path in expand(choice.patterns, f"[products.{choice.name}]"):
        file = files.get(path)
        seen |= dict.fromkeys(sorted(file.names()))
        for key, field in choice.product.fields.items():
            name = find_variable(file, field, choice.variables.get(key, ""))
            if name is not None:
                found.setdefault(key, []).append(name)
    for key, given in choice.variables.items():
        if given and key not in found:
            raise InputError(
                f"[products.{choice.name}]: no file has {given!r} (variables.{key}); they have {', '.join(seen)}"
            )
    return found


def scan(choice: Choice, files: OpenFiles, needless: Container[str] = ()) -> dict[str, ProductSeries]:
    """Read the headers of a product's files, and refuse what does not fit together.

    Args:
        choice: the product.
        files: open files.
        needless: names here of variables that are not read.

    Returns:
        Its variables by their names here; those that no file has are left out.

    Raises:
        InputError: no file, none of the variables in a file, grids or calendars that differ, a step that stands twice.
    """
    paths = expand(choice.patterns, f"[products.{choice.name}]")
    product = choice.product
    by_key: dict[str, list[tuple[VariableLayout, Stamps | None]]] = {}
    for path in paths:
        file = files.get(path)
        any_here = False
        for key, field in product.fields.items():
            name = find_variable(file, field, choice.variables.get(key, ""))
            if name is None:
                continue
            any_here = True
            if key in needless:
                continue
            said = file.header(name).text("standard_name")
            if key == "vpd" and is_vapour_pressure(said):
                due = f"the deficit is due, or {PLACE_OF_VPD} in its place"
                raise InputError(f"{path}: variable {name}: standard_name {said!r}; {due}")
            layer = choice.layers.get(key)
            layout = read_layout(file, path, name, key, field, choice, layer)
            stamps = None
            if product.step != STATIC:
                known = "noleap" if product.step == SIX_HOURS else ""
                stamps = read_stamps(file, path, layout.time, layout.steps, product.stamp, known)
                if len(stamps.date) != layout.steps:
                    raise InputError(f"{path}: {len(stamps.date)} times for {layout.steps} steps of {name}")
            by_key.setdefault(key, []).append((layout, stamps))
        if not any_here:
            sought = [choice.variables.get(key) or field.names[0] for key, field in product.fields.items()]
            raise InputError(
                f"{path}: no variable {' or '.join(sought)} ({product.title}); the file has "
                f"{', '.join(sorted(file.names())) or 'none'}; another name is given by {said_by(choice)}"
            )
    return {key: _join(key, choice, parts) for key, parts in by_key.items()}


def said_by(choice: Choice) -> str:
    """Return the line of an ingest file that says what a variable of a product is called."""
    keys = list(choice.product.fields)
    return 'variable = "..."' if len(keys) == 1 else f'variables = {{ {keys[0]} = "..." }}'


def _join(key: str, choice: Choice, parts: list[tuple[VariableLayout, Stamps | None]]) -> ProductSeries:
    layouts = [layout for layout, _ in parts]
    quantity = choice.product.fields[key].quantity
    for layout in layouts[1:]:
        if layout.grid != layouts[0].grid:
            raise InputError(
                f"{layout.path}: variable {layout.name}: {layout.grid}; {layouts[0].path.name} has {layouts[0].grid}"
            )
    if choice.product.step == STATIC:
        if len(layouts) > 1:
            raise InputError(f"[products.{choice.name}]: {len(layouts)} files have {key}; one is due")
        none = np.zeros(1, np.int64)
        return ProductSeries(
            key, choice, quantity, layouts, none, none, np.zeros(1, "datetime64[D]"), np.zeros(1), None, ""
        )
    stamps = [_begun(one, choice) for _, one in parts if one is not None]
    calendars = {one.calendar for one in stamps}
    if len(calendars) > 1:
        other = next(place for place, one in enumerate(stamps) if one.calendar != stamps[0].calendar)
        raise InputError(
            f"{layouts[other].path}: calendar {stamps[other].calendar}; {layouts[0].path.name} has {stamps[0].calendar}"
        )
    file = np.repeat(np.arange(len(layouts)), [layout.steps for layout in layouts])
    place = np.concatenate([np.arange(layout.steps) for layout in layouts])
    date, hour = np.concatenate([one.date for one in stamps]), np.concatenate([one.hour for one in stamps])
    edges = None
    if all(one.edges is not None for one in stamps):
        edges = np.concatenate([one.edges for one in stamps if one.edges is not None])
    order = np.lexsort((hour, date))
    file, place, date, hour = file[order], place[order], date[order], hour[order]
    twice = np.flatnonzero((np.diff(date).astype(int) == 0) & (np.diff(hour) == 0))
    if len(twice):
        step = int(twice[0])
        names = sorted({str(layouts[int(file[step])].path), str(layouts[int(file[step + 1])].path)})
        raise InputError(f"{' and '.join(names)}: {key} of {date[step]} {hour[step]:g} h stands twice")
    notes = sorted({f"dates from {one.note}" for one in stamps if one.note})
    edges = edges[order] if edges is not None else None
    return ProductSeries(key, choice, quantity, layouts, file, place, date, hour, edges, calendars.pop(), tuple(notes))


def _are_days(edges: np.ndarray | None) -> bool:
    return edges is not None and bool((edges[:, 1] - edges[:, 0] == np.timedelta64(1, "D")).all())


def _begun(stamps: Stamps, choice: Choice) -> Stamps:
    """Stamps at which steps begin: of days by their bounds or as the user says, of six hours by the first and last."""
    if choice.product.step != SIX_HOURS and (choice.stamps == "end" or _are_days(stamps.edges)):
        begins = stamps.days_within(choice.stamps)
        return replace(stamps, date=begins, hour=np.where(begins == stamps.date, stamps.hour, 0.0))
    if choice.product.step != SIX_HOURS or not len(stamps.hour):
        return stamps
    if not (stamps.hour[0] == 6.0 and stamps.hour[-1] == 0.0):
        return stamps
    before = stamps.hour < 6.0
    date = stamps.date - before.astype(np.int64)
    if stamps.calendar == "noleap":
        month = date.astype("datetime64[M]")
        leap_day = (month.astype(np.int64) % 12 == 1) & ((date - month).astype(np.int64) == 28)
        date = date - leap_day.astype(np.int64)
    note = (stamps.note + ", " if stamps.note else "") + "stamps that end their six hours"
    return replace(stamps, date=date, hour=(stamps.hour - 6.0) % 24.0, note=note)


def check_days(series: ProductSeries, days: Days, wanted: slice, a_day: int) -> np.ndarray:
    """Return places of a series' steps among the store's days; refuse holes.

    Args:
        series: daily or finer.
        days: of the store.
        wanted: days that must all be there.
        a_day: steps of each day.

    Returns:
        Place of each step, -1 outside, int64 (steps,).

    Raises:
        InputError: a day with too few or too many steps, with file and date.
    """
    places = days.places(series.date)
    counts = np.bincount(places[places >= 0], minlength=len(days))[wanted]
    leap_days = np.zeros(len(counts), bool)
    if series.calendar == "noleap" and days.calendar == "standard":
        year = days.year[wanted]
        leap_days = (days.doy[wanted] == 60) & (year % 4 == 0) & ((year % 100 != 0) | (year % 400 == 0))
    wrong = np.flatnonzero((counts != a_day) & ~leap_days)
    if not len(wrong):
        return places
    first = wanted.start + int(wrong[0])
    before = np.flatnonzero((places >= 0) & (places < first))
    near = series.layouts[int(series.file[before[-1] if len(before) else 0])]
    what = f"{near.path}: variable {near.name} of [products.{series.choice.name}]"
    if not len(before):
        due = f"{days.date(wanted.start)} to {days.date(wanted.stop - 1)}"
        raise InputError(f"{what}: from {series.date[0]} to {series.date[-1]}, where {due} is due")
    last, count = days.date(wanted.start + int(wrong[-1])), int(counts[wrong[0]])
    raise InputError(
        f"{what} is the last before a hole in time: {len(wrong)} of {len(counts)} days have other than {a_day} "
        f"value{'s' if a_day > 1 else ''}; the first, {days.date(first)}, has {count}, the last is {last}"
    )
