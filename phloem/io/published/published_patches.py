"""Patches of DifferLand_Global's files, read a block of boxes at a time in bounded memory, and its own splits."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from phloem.errors import InputError
from phloem.io.drivers.grid_cell import cell_name
from phloem.io.ingest.ingest_folder import Dropped
from phloem.io.patches.patch_store import PatchStore, box_name
from phloem.io.patches.splits import Split
from phloem.io.patches.stored_patch import StoredPatch
from phloem.io.products.raw_files import OpenFiles
from phloem.io.published.published_layout import FORCING, WEIGHTED, PublishedSurvey, weight_name
from phloem.io.published.published_survey import read_piece
from phloem.names import PATCH_STREAMS, STATIC_STREAMS

TRAINED = 0.9
"""Of a run's greatest number: patches up to it, rounded, are trained on; those above watch."""

_SPARE = 6
"""A block is read variable by variable; one of them is in memory so many times meanwhile."""


@dataclass(frozen=True, eq=False)
class PublishedPatch:
    """A box of the files.

    Attributes:
        name: of its patch.
        corner: latitude of its southern and longitude of its western edge, degrees.
        patch: None where no cell is left.
        dropped: what was left out.
        counts: what was counted on the way.
    """

    name: str
    corner: tuple[float, float]
    patch: StoredPatch | None
    dropped: list[Dropped] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)


def box_names(survey: PublishedSurvey) -> dict[str, tuple[int, int]]:
    """Return row and column of each box that is a patch, by its name, from south to north and west to east."""
    places = np.argwhere(np.isfinite(survey.index[0])).tolist()
    return {box_name(*survey.axes.corner(row, column)): (row, column) for row, column in places}


def read_published(survey: PublishedSurvey, done: Collection[str], memory: float) -> Iterator[PublishedPatch]:
    """Read the patches that are not done, from south to north and west to east.

    Args:
        survey: of the files.
        done: names of patches that are left out.
        memory: bytes that the months of a block of boxes may take.

    Raises:
        InputError: not even one box fits, or a file is damaged.
    """
    left = {at: name for name, at in box_names(survey).items() if name not in done}
    high, wide = survey.axes.boxes
    rows, columns = _block(survey, memory)
    with OpenFiles() as files:
        for south in range(0, high, rows):
            for west in range(0, wide, columns):
                block_rows, block_columns = (
                    range(south, min(south + rows, high)),
                    range(west, min(west + columns, wide)),
                )
                boxes = [(i, j) for i in block_rows for j in block_columns if (i, j) in left]
                if boxes:
                    block = _Block(survey, files, slice(south, south + rows), slice(west, west + columns))
                    for i, j in boxes:
                        yield block.patch(i, j, left[i, j])
                    del block  # else it would be in memory beside the next


def _block(survey: PublishedSurvey, memory: float) -> tuple[int, int]:
    """Rows and columns of boxes that fit into the memory at once."""
    axes = survey.axes
    parts = survey.choice.parts()
    kept = len(FORCING) + len(parts) + sum(stream in WEIGHTED for stream in parts)
    one = 4.0 * axes.months * axes.box[0] * axes.box[1] * (kept + _SPARE)
    fitting = int(memory // one)
    if not fitting:
        raise InputError(f"memory_gb: a patch of {axes.months} months takes {one / 1e9:.2g} GB; more is due")
    high, wide = axes.boxes
    return (1, fitting) if fitting < wide else (min(high, fitting // wide), wide)


class _Block:
    """The months of a block of boxes, float32, NaN where missing."""

    def __init__(self, survey: PublishedSurvey, files: OpenFiles, high: slice, wide: slice) -> None:
        self.survey, self.files = survey, files
        box = survey.axes.box
        self.first = high.start, wide.start
        self.window = slice(high.start * box[0], high.stop * box[0]), slice(wide.start * box[1], wide.stop * box[1])
        self.forcing = {key: self._read(name) for key, name in FORCING.items()}
        self.labels: dict[str, np.ndarray] = {}
        self.weights: dict[str, np.ndarray] = {}
        for stream, parts in survey.choice.parts().items():
            values = self._read(parts[0], still=stream in STATIC_STREAMS)
            for part in parts[1:]:
                values += self._read(part, still=stream in STATIC_STREAMS)
            self.labels[stream] = values
            if stream in WEIGHTED:
                self.weights[stream] = self._read(weight_name(parts[0]))

    def _read(self, name: str, still: bool = False) -> np.ndarray:
        piece = self.window if still else (slice(None), *self.window)
        factor = self.survey.factors.get(name, (1.0, 0.0))
        return read_piece(self.files, self.survey.paths.maps, name, piece, factor).astype(np.float32)

    def patch(self, row: int, column: int, name: str) -> PublishedPatch:
        """Return a box's patch."""
        survey, axes = self.survey, self.survey.axes
        high, wide = axes.box
        here = slice(row * high, (row + 1) * high), slice(column * wide, (column + 1) * wide)
        top, left = (row - self.first[0]) * high, (column - self.first[1]) * wide
        inside = slice(top, top + high), slice(left, left + wide)
        used = survey.usable[here]
        corner = axes.corner(row, column)
        counts = {"cells without predictors": int(survey.lacking[here].sum())}
        dropped: list[Dropped] = []
        if counts["cells without predictors"]:
            dropped.append((name, *corner, "predictors are missing", f"{counts['cells without predictors']} cells"))
        if not used.any():
            dropped.append((name, *corner, "no cell is left", "none is valid and has its predictors"))
            return PublishedPatch(name, corner, None, dropped, counts)
        rows, columns = np.nonzero(used)
        north, east = axes.latitude[here[0]][rows], axes.longitude[here[1]][columns]

        def cells(values: np.ndarray) -> np.ndarray:
            found: np.ndarray = values[..., inside[0], inside[1]][..., rows, columns]
            return found

        labels: dict[str, np.ndarray] = {}
        weights: dict[str, np.ndarray] = {}
        for stream, values in self.labels.items():
            own = cells(values)
            if stream in PATCH_STREAMS:
                own = _mean(own[:, survey.bulk[here][rows, columns]])
            if not np.isfinite(own).any():
                if stream in WEIGHTED:
                    _count(counts, stream, cells(self.weights[stream]) > 0, np.isfinite(own))
                continue
            labels[stream] = own
            if stream in WEIGHTED:
                stated, known = cells(self.weights[stream]), np.isfinite(own)
                _count(counts, stream, stated > 0, known)
                weights[stream] = np.where(known, np.where(stated > 0, stated, 1.0), 0.0)
        predictors = {key: values[here][rows, columns] for key, values in survey.predictors.items()}
        names = tuple(cell_name(*at, axes.step) for at in zip(north.tolist(), east.tolist(), strict=True))
        forcing = {key: cells(values) for key, values in self.forcing.items()}
        forcing["pr"], forcing["rsds"] = (np.maximum(forcing[key], 0) for key in ("pr", "rsds"))
        patch = StoredPatch(name, names, north, east, predictors, forcing, labels, weights)
        return PublishedPatch(name, corner, patch, dropped, counts)


def _mean(values: np.ndarray) -> np.ndarray:
    """Mean over the cells that have a value, (months,), NaN where none has."""
    known = np.isfinite(values)
    count = known.sum(1)
    total = np.where(known, values, 0.0).sum(1, dtype=float)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _count(counts: dict[str, int], stream: str, weighted: np.ndarray, known: np.ndarray) -> None:
    counts[f"{stream}: weights where the value is missing"] = int((weighted & ~known).sum())
    counts[f"{stream}: values without a weight, which count once"] = int((~weighted & known).sum())


def split_facts(survey: PublishedSurvey, store_names: Collection[str]) -> dict[str, Any]:
    """Return what the files say of the split, for the facts of a store.

    Args:
        survey: of the files.
        store_names: patches that have cells.

    Returns:
        `test`, names of the patches that are held out; `published_splits`, by the number of a run (from 1) the names
        that watch, `dev`; `published_index`, by run the number of each other patch, by name.
    """
    places = {name: at for name, at in box_names(survey).items() if name in store_names}
    numbers = {name: survey.index[:, row, column] for name, (row, column) in places.items()}
    test = [name for name, of in numbers.items() if of[0] < 0]
    rest = {name: of for name, of in numbers.items() if of[0] >= 0}
    index, splits = {}, {}
    for run in range(len(survey.index)):
        own = {name: int(of[run]) for name, of in rest.items()}
        last = np.round(TRAINED * max(own.values(), default=0))
        index[str(run + 1)] = own
        splits[str(run + 1)] = {"dev": [name for name, number in own.items() if number > last]}
    return {"test": test, "published_splits": splits, "published_index": index}


def published_order(store: PatchStore, run: int, *, watching: bool = False) -> list[int]:
    """Return the positions of a run's training patches in the order in which the public code takes them.

    Args:
        store: that was imported from its files.
        run: number of the run, from 1.
        watching: with the patches that watch, by their numbers too.

    Raises:
        InputError: the store has no such split.
    """
    own, dev = _split(store, run)
    positions = {name: place for place, name in enumerate(store.names)}
    return [positions[name] for name in sorted(own, key=own.__getitem__) if watching or name not in dev]


def published_split(store: PatchStore, run: int) -> Split:
    """Return the split of a run as the public code has it.

    Args:
        store: that was imported from its files.
        run: number of the run, from 1.

    Raises:
        InputError: the store has no such split.
    """
    own, dev = _split(store, run)
    train: list[int] = []
    watched: list[int] = []
    test: list[int] = []
    for place, name in enumerate(store.names):
        (test if name not in own else watched if name in dev else train).append(place)
    return Split(tuple(train), tuple(watched), tuple(test))


def _split(store: PatchStore, run: int) -> tuple[dict[str, int], set[str]]:
    """Numbers of the patches that are not held out, and those that watch."""
    index, splits = (store.facts.get(key, {}) for key in ("published_index", "published_splits"))
    if str(run) not in index:
        raise InputError(f"{store.paths.index}: no published split of run {run}; there are {len(index)}, from 1 on")
    return index[str(run)], set(splits[str(run)]["dev"])
