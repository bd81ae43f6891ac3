"""`phloem ingest`: a driver store from raw products, in bounded memory, resumable after any kill."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from phloem.arithmetic import ceil_div
from phloem.errors import InputError, WorkError
from phloem.io.drivers.store import Store, StorePaths, chunk_columns, seal_store, write_chunk
from phloem.io.files.atomic import CorruptFile
from phloem.io.ingest.cell_records import ARRAYS, INCOMPLETE, Products, make_cells, read_records
from phloem.io.ingest.domain import Domain, load_domain, save_domain
from phloem.io.ingest.ingest_folder import Dropped, IngestFolder, stamp
from phloem.io.products.raw_files import OpenFiles
from phloem.jobs.config.ingest_file import IngestFile, load_ingest_file
from phloem.jobs.ingest.survey import Survey, find_domain, survey
from phloem.jobs.progress import ProgressBar, say

BASE_BYTES = 250_000_000
"""Memory of the program itself with its libraries: 130 MB measured, and room for what HDF5 and malloc keep."""

_SHARE_OF_BLOCKS = 0.35
"""Of the memory left: what is read at once; the rest holds the records of cells."""

_LEAST_BLOCK = 10_000_000

_FULL = 0.85
"""Share of the memory that is planned for."""


@dataclass(frozen=True)
class IngestSummary:
    """A store that is complete, and what became of the cells.

    Attributes:
        store: the store.
        reasons: cells that were left out, by reason.
        sea: cells of the region without any forcing.
        made: chunks that this run has made.
        size: bytes of all chunks.
        empty: cells without any value, by observed stream.
    """

    store: Store
    reasons: dict[str, int]
    sea: int
    made: int
    size: int
    empty: dict[str, int]

    def lines(self) -> list[str]:
        """Return the closing lines for people."""
        facts = self.store.facts
        lines_of_text = [
            f"{len(self.store)} cells, {facts['first_year']} to {facts['last_year']} ({facts['calendar']} calendar), "
            f"{self.size / 1e6:.1f} MB: {self.store.paths.root}"
        ]
        lines_of_text += [f"left out: {count} cells: {reason}" for reason, count in sorted(self.reasons.items())]
        lines_of_text += [
            f"{key}: no value in {count} of {len(self.store)} cells" for key, count in self.empty.items() if count
        ]
        lines_of_text.append(f"sea, or no forcing at all: {self.sea} cells")
        if self.reasons:
            lines_of_text.append(f"each with its reason: {self.store.paths.dropped}")
        return lines_of_text

    def as_json(self) -> dict[str, Any]:
        """Return the same as a JSON object."""
        return {
            "directory": str(self.store.paths.root),
            "cells": len(self.store),
            "chunks": len(set(self.store.columns["chunk"])),
            "made": self.made,
            "bytes": self.size,
            "dropped": self.reasons,
            "sea": self.sea,
            "no_value": self.empty,
            **self.store.facts,
        }


def ingest(path: Path, out: Path) -> IngestSummary:
    """Make a driver store, or go on with one.

    Args:
        path: the ingest file.
        out: folder of the store.

    Raises:
        InputError: a wrong ingest file or product, too little memory, or a folder that was begun with something else.
        WorkError: another ingest is at work in the folder.
    """
    file = load_ingest_file(path)
    folder = IngestFolder(StorePaths(out))
    folder.check_place()
    with OpenFiles() as files:
        return _Ingest(file, path.resolve().parent, folder, files).run()


class _Ingest:
    """One run of an ingest."""

    def __init__(self, file: IngestFile, base: Path, folder: IngestFolder, files: OpenFiles) -> None:
        self.file, self.base, self.folder, self.files = file, base, folder, files
        self.room = round(file.store.memory_gb * 1e9 * _FULL) - BASE_BYTES
        if self.room < 50_000_000:
            least = (BASE_BYTES + 50_000_000) / 1e9 / _FULL
            raise InputError(f"store.memory_gb = {file.store.memory_gb:g} is too little; at least {least:.2f}")
        self.budget = self.blocks = round(self.room * _SHARE_OF_BLOCKS)

    def run(self) -> IngestSummary:
        """Check everything, then make what is not made yet."""
        surveyed = survey(self.file, self.base, self.files)
        plan = {"content": self.file.content, "inputs": stamp(surveyed.inputs)}
        if self.folder.is_begun():
            self.folder.compare(plan)
        domain = self._known_domain() or find_domain(surveyed, self.files, self.budget)
        if not len(domain):
            counts = Counter(reason for *_, reason, _ in domain.dropped)
            listed = ", ".join(f"{count} cells: {reason}" for reason, count in counts.most_common())
            if self.folder.is_begun():
                with self.folder.held():
                    self.folder.clear()
            raise InputError(f"no cell is left: {listed}")
        self.blocks = self._block_bytes(surveyed)
        most = self._cells_at_once(surveyed.products, domain)
        with self.folder.held():
            self.folder.sweep()
            fresh = not self.folder.is_begun()
            if fresh:
                self.folder.begin(plan)
            if not self.folder.domain.exists():
                save_domain(self.folder.domain, domain)
            for layout in (layout for series in surveyed.varying for layout in series.layouts):
                layout.packing.stored.counts.clear()  # of what was only looked at
            try:
                return self._make(surveyed, domain, most)
            except InputError:
                if fresh and not self.folder.paths.journal.exists():
                    self.folder.clear()
                raise

    def _known_domain(self) -> Domain | None:
        if not self.folder.is_begun():
            return None
        try:
            return load_domain(self.folder.domain)
        except (CorruptFile, OSError, KeyError):
            return None

    def _block_bytes(self, surveyed: Survey) -> int:
        """Memory for what is read at once, beside the largest storage chunk, which HDF5 unpacks as a whole."""
        layout = max((layout for one in surveyed.varying for layout in one.layouts), key=lambda one: one.chunk_bytes)
        left = self.budget - 2 * layout.chunk_bytes
        if left < _LEAST_BLOCK:
            least = (self.room + (_LEAST_BLOCK - left) / _SHARE_OF_BLOCKS + BASE_BYTES) / _FULL / 1e9
            raise InputError(
                f"{layout.path}: storage chunks of {layout.chunk_bytes / 1e6:.0f} MB: store.memory_gb = "
                f"{self.file.store.memory_gb:g} is too little for them; at least {least:.2f}"
            )
        return left

    def _cells_at_once(self, products: Products, domain: Domain) -> int:
        """Cells whose records fit into the memory: a multiple of a chunk."""
        days, chunk = len(products.forcing.days), self.file.store.cells_per_chunk
        each = 4 * ARRAYS * days
        room = self.room - self.budget - round(1.2 * chunk * each)
        if room < chunk * each:
            least = (round(2.2 * chunk * each) / (1 - _SHARE_OF_BLOCKS) + BASE_BYTES) / _FULL / 1e9
            raise InputError(
                f"store.memory_gb = {self.file.store.memory_gb:g} is too little for chunks of {chunk} cells over "
                f"{days} days; at least {least:.2f}, or fewer cells_per_chunk"
            )
        return min(ceil_div(len(domain), chunk) * chunk, room // each // chunk * chunk)

    def _make(self, surveyed: Survey, domain: Domain, most: int) -> IngestSummary:
        """Make the chunks that are not done, and seal the store."""
        products = surveyed.products
        size = self.file.store.cells_per_chunk
        done = self.folder.done()
        total = ceil_div(len(domain), size)
        pending = [number for number in range(total) if number not in done]
        passes = ceil_div(len(pending), max(1, most // size))
        forest = " over mature forest" if domain.kept is not None else ""
        begin = [
            f"{len(done)} of {total} chunks are done" if done else f"{len(domain)} cells in {total} chunks",
            f"{passes} pass{'es' if passes != 1 else ''} over the files, at most {most} cells at once, within "
            f"{self.file.store.memory_gb:g} GB",
        ]
        required = ", ".join(self.file.required) or "nothing"
        self.folder.say(
            [*surveyed.notes, f"cells need complete forcing, and: {required}", f"observations are means{forest}"]
        )
        self.folder.say(begin)
        if pending:
            say("; ".join(begin))
            with ProgressBar("ingesting", total * size * products.work, len(done) * size * products.work) as bar:
                groups = max(1, most // size)
                for first in range(0, len(pending), groups):
                    some = pending[first : first + groups]
                    self._pass(surveyed, domain, some, bar, (len(done) + first) * size * products.work)
        return self._seal(surveyed, domain, total, len(pending))

    def _pass(self, surveyed: Survey, domain: Domain, chunks: Sequence[int], bar: ProgressBar, begun: float) -> None:
        """Read the cells of some chunks, and write these chunks one by one."""
        products = surveyed.products
        size = self.file.store.cells_per_chunk
        parts = [np.arange(n * size, min((n + 1) * size, len(domain))) for n in chunks]
        cells = np.concatenate(parts)
        tell = _Teller(bar, begun, len(cells))
        records = read_records(products, domain, cells, self.files, self.blocks, tell)
        names = domain.names
        start = 0
        for number, part in zip(chunks, parts, strict=True):
            places = np.arange(start, start + len(part))
            start += len(part)
            alive = np.array([place for place in places if place not in records.reasons], np.int64)
            complete = make_cells(products, domain, records, alive)
            if complete:
                write_chunk(self.folder.paths.chunk(number), complete, surveyed.units)
            columns = chunk_columns(number, complete)
            dropped = []
            for place in places:
                if int(place) in records.reasons:
                    cell = int(cells[place])
                    where = float(domain.latitude[cell]), float(domain.longitude[cell])
                    dropped.append((names[cell], *where, INCOMPLETE, records.reasons[int(place)]))
            impossible = {key: int(counts[alive].sum()) for key, counts in records.impossible.items()}
            valued = {key: int(np.isfinite(records.values[key][alive]).any(axis=1).sum()) for key in products.streams}
            self.folder.commit(number, columns, dropped, impossible, valued)
            bar.update(begun + start * products.work, f"chunk {number}")

    def _seal(self, surveyed: Survey, domain: Domain, total: int, made: int) -> IngestSummary:
        """Write the table that makes the folder a store."""
        done = self.folder.done()
        missing = [number for number in range(total) if number not in done]
        if missing:
            raise WorkError(
                f"{self.folder.paths.chunk(missing[0])}: is not what was written; run `phloem ingest` again"
            )
        columns: dict[str, list[Any]] = {}
        dropped: list[Dropped] = list(domain.dropped)
        impossible: Counter[str] = Counter()
        for event in done.values():
            for key, values in event["columns"].items():
                columns.setdefault(key, []).extend(values)
            dropped += [tuple(row) for row in event["dropped"]]
            impossible.update(event["impossible"])
        reasons = dict(Counter(reason for *_, reason, _ in dropped))
        if not columns["name"]:
            self.folder.clear()  # it is nothing, and a mended input could not go on with it
            first = next(row for row in dropped if row[3] == INCOMPLETE)
            raise InputError(f"no cell is left: {reasons[INCOMPLETE]} cells: {INCOMPLETE}, as {first[0]}: {first[4]}")
        empty = self._empty_streams(surveyed, list(done.values()), len(columns["name"]))
        self.folder.write_dropped(dropped)
        store = seal_store(self.folder.paths.root, self._facts(surveyed, domain), columns)
        finished = IngestSummary(
            store, reasons, domain.sea, made, sum(event["bytes"] for event in done.values()), empty
        )
        odd = [f"{key}: {count} impossible values count as missing" for key, count in impossible.items() if count]
        taken = [
            f"{layout.path.name}: variable {layout.name}: {text}"
            for series in surveyed.series
            for layout in series.layouts
            for text in layout.packing.stored.told()
        ]
        for text in taken:
            say(text)
        self.folder.say([*odd, *taken, *finished.lines()])
        return finished

    def _empty_streams(self, surveyed: Survey, events: Sequence[Mapping[str, Any]], cells: int) -> dict[str, int]:
        """Cells without any value by stream; a stream that has none at all is refused.

        What was made is taken back then: it can be gone on with neither as it is nor with another product.
        """
        empty = {}
        for key, stream in surveyed.products.streams.items():
            if not all(key in event.get("valued", {}) for event in events):
                continue  # chunks that an earlier version of this program has made
            empty[key] = cells - sum(event["valued"][key] for event in events)
            if empty[key] == cells:
                layout = stream.series.layouts[0]
                self.folder.clear()
                raise InputError(
                    f"{layout.path}: variable {layout.name} of [products.{key}]: no value in any of the {cells} cells "
                    f"of the store, in none of {len(stream.series.layouts)} files"
                )
        return empty

    def _facts(self, surveyed: Survey, domain: Domain) -> dict[str, Any]:
        days = surveyed.products.forcing.days
        return {
            "first_year": days.first_year,
            "last_year": days.last_year,
            "calendar": days.calendar,
            "step": surveyed.products.step,
            "sources": surveyed.sources,
            "mature_forest": domain.kept is not None,
            "required": list(self.file.required),
            "statics": {name: surveyed.units[name][0] for name in domain.statics},
        }


class _Teller:
    """Turns steps that were read into the progress of a pass."""

    def __init__(self, bar: ProgressBar, begun: float, cells: int) -> None:
        self.bar, self.done, self.cells = bar, begun, cells

    def __call__(self, steps: int, what: str) -> None:
        self.done += steps * self.cells
        self.bar.update(self.done, what)
