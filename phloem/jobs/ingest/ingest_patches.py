"""`phloem ingest --what patches`: a patch store from monthly products, in bounded memory, resumable after any kill."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from phloem.errors import InputError, WorkError
from phloem.io.files.atomic import FULL_DISK, CorruptFile
from phloem.io.global_products.boxes import NumberedPatches
from phloem.io.global_products.make_patch import patch_from
from phloem.io.global_products.read_patches import PatchValues, arrays_a_cell, read_patches
from phloem.io.global_products.sample_of_products import check_products
from phloem.io.global_products.tower_labels import PlacedTowers, place_towers
from phloem.io.global_products.valid_cells import (
    ValidCells,
    dropped_box,
    find_valid_cells,
    load_valid_cells,
    save_valid_cells,
)
from phloem.io.ingest.cell_records import INCOMPLETE
from phloem.io.ingest.ingest_folder import Dropped, IngestFolder, stamp
from phloem.io.patches.patch_store import PatchStorePaths, seal_patches, write_patch
from phloem.io.products.raw_files import OpenFiles
from phloem.jobs.config.patches_file import PatchesFile, load_patches_file
from phloem.jobs.ingest.ingest_products import BASE_BYTES
from phloem.jobs.ingest.patches_summary import PatchesSummary
from phloem.jobs.ingest.survey_patches import PatchSurvey, survey_patches
from phloem.jobs.progress import ProgressBar, say

_FULL = 0.85
"""Share of the memory that is planned for."""

_SHARE_OF_PIECES = 0.35
"""Of the memory left: for a piece of a file and what is made of it; the rest holds the values of cells."""

_TEMPORARIES = 3.0
"""Memory of a piece beside its stored values: as float64, and sums over rows and columns."""

_LEAST_PIECE = 4_000_000
_A_PATCH = 4.0
"""Times that the numbers of a patch are held while it is put together and written."""


def ingest_patches(path: Path, out: Path) -> PatchesSummary:
    """Make a patch store, or go on with one.

    Args:
        path: the ingest file.
        out: folder of the store.

    Raises:
        InputError: a wrong ingest file or product, too little memory, or a folder that was begun with something else.
        WorkError: another ingest is at work in the folder, or the disk is full.
    """
    file = load_patches_file(path)
    folder = IngestFolder(NumberedPatches(out, file.grid))
    folder.check_place()
    with OpenFiles() as files:
        try:
            return _PatchIngest(file, path.resolve().parent, folder, files).run()
        except OSError as error:
            if error.errno not in FULL_DISK:
                raise
            raise WorkError(
                f"{error.filename or out}: the disk is full; {len(folder.done())} patches are done: make room, and run "
                "`phloem ingest` again"
            ) from error


class _PatchIngest:
    """One run of an ingest."""

    def __init__(self, file: PatchesFile, base: Path, folder: IngestFolder, files: OpenFiles) -> None:
        self.file, self.base, self.folder, self.files = file, base, folder, files
        self.limits, self.memory = file.valid.limits, file.store.memory_gb
        self.room = round(self.memory * 1e9 * _FULL) - BASE_BYTES
        if self.room < 50_000_000:
            raise InputError(f"store.memory_gb = {self.memory:g} is too little; at least {self._least(50_000_000):.2f}")
        self.pieces = round(self.room * _SHARE_OF_PIECES)
        self.towers: PlacedTowers | None = None

    def _least(self, room: float) -> float:
        return (BASE_BYTES + room) / 1e9 / _FULL + 0.005

    def run(self) -> PatchesSummary:
        """Check everything, then make what is not made yet."""
        say("looking at the products: files, variables, units, months")
        found = survey_patches(self.file, self.base, self.files)
        plan = {"content": self.file.content, "inputs": stamp(found.inputs)}
        if self.folder.is_begun():
            self.folder.compare(plan)
        budget = self._piece_bytes(found)
        valid = self._known_cells() or self._find_cells(found)
        most = self._cells_at_once(found, valid)
        if found.products.towers is not None:
            self.towers = place_towers(found.products.towers, valid, self.limits)
        with self.folder.held():
            self.folder.sweep()
            fresh = not self.folder.is_begun()
            if fresh:
                self.folder.begin(plan)
            if not self.folder.domain.exists():
                save_valid_cells(self.folder.domain, valid)
            for layout in (layout for series in found.products.series for layout in series.layouts):
                layout.packing.stored.counts.clear()  # of what was only looked at
            try:
                return self._make(found, valid, most, budget)
            except InputError:
                if fresh and not self.folder.paths.journal.exists():
                    self.folder.clear()
                raise

    def _known_cells(self) -> ValidCells | None:
        if not self.folder.is_begun():
            return None
        try:
            return load_valid_cells(self.folder.domain, self.file.grid)
        except (CorruptFile, OSError, KeyError):
            return None

    def _find_cells(self, found: PatchSurvey) -> ValidCells:
        """Find the valid cells by maps, and look at some values of all products in them."""
        region = self.file.store.region
        numbers = self.file.grid.inside(region.south, region.north, region.west, region.east)
        with ProgressBar("valid cells", len(numbers)) as bar:
            valid = find_valid_cells(found.products, self.limits, numbers, self.files, self.pieces, bar.update)
        if not len(valid):
            counts = Counter(reason for *_, reason, _ in valid.dropped)
            listed = ", ".join(f"{count}: {reason}" for reason, count in counts.most_common())
            raise InputError(f"no patch is left: {listed}; {valid.water} cells are water")
        say(f"{len(valid)} valid cells in {len(valid.boxes)} patches; looking at the products there")
        check_products(found.products, valid, self.files)
        return valid

    def _piece_bytes(self, found: PatchSurvey) -> int:
        """Bytes of a file that are read at once, beside the largest storage chunk, which HDF5 unpacks as a whole."""
        layout = max(
            (layout for one in found.products.varying for layout in one.series.layouts), key=lambda one: one.chunk_bytes
        )
        left = (self.pieces - 2 * layout.chunk_bytes) / (1.0 + _TEMPORARIES)
        if left < _LEAST_PIECE:
            short = (_LEAST_PIECE - left) * (1.0 + _TEMPORARIES) / _SHARE_OF_PIECES
            raise InputError(
                f"{layout.path}: storage chunks of {layout.chunk_bytes / 1e6:.0f} MB: store.memory_gb = "
                f"{self.memory:g} is too little for them; at least {self._least(self.room + short):.2f}"
            )
        return int(left)

    def _cells_at_once(self, found: PatchSurvey, valid: ValidCells) -> int:
        """Cells whose values fit into the memory, beside those of a patch that is put together."""
        each = 4 * arrays_a_cell(found.products) * found.products.months.count
        largest = int(np.bincount(valid.patch).max())
        known = 8 * len(valid) * (len(valid.statics) + 3)
        room = self.room - self.pieces - known - _A_PATCH * largest * each
        if room < largest * each:
            least = self._least((known + (_A_PATCH + 1) * largest * each) / (1 - _SHARE_OF_PIECES))
            raise InputError(
                f"store.memory_gb = {self.memory:g} is too little for {len(valid)} cells, and a patch of "
                f"{largest} over {found.products.months.count} months; at least {least:.2f}"
            )
        return int(room // each)

    def _make(self, found: PatchSurvey, valid: ValidCells, most: int, budget: int) -> PatchesSummary:
        """Make the patches that are not done, and seal the store."""
        done = self.folder.done()
        pending = [place for place, number in enumerate(valid.boxes.tolist()) if number not in done]
        counts = np.bincount(valid.patch, minlength=len(valid.boxes))
        groups = _groups(pending, counts, most)
        begin = [
            f"{len(done)} of {len(valid.boxes)} patches are done" if done else f"{len(valid.boxes)} patches to make",
            f"{len(groups)} pass{'es' if len(groups) != 1 else ''} over the files, at most {most} cells at once, "
            f"within {self.memory:g} GB",
        ]
        towers = self.towers.notes if self.towers is not None else ()
        self.folder.say([*found.notes, *(f"towers: {note}" for note in towers), *begin])
        if pending:
            say("; ".join(begin))
            steps = sum(len(one.steps) for one in found.products.varying)
            with ProgressBar("ingesting", steps * len(valid.boxes), steps * len(done)) as bar:
                for number, group in enumerate(groups):
                    before = len(done) + sum(len(one) for one in groups[:number])
                    self._pass(found, valid, np.array(group), budget, bar, steps * before)
        return self._seal(found, valid, len(pending))

    def _pass(
        self, found: PatchSurvey, valid: ValidCells, patches: np.ndarray, budget: int, bar: ProgressBar, begun: float
    ) -> None:
        """Read the cells of some patches, and write these patches one by one."""
        seen = begun

        def tell(steps: int, what: str) -> None:
            nonlocal seen
            seen += steps * len(patches)
            bar.update(min(seen, bar.total), what)

        values = read_patches(found.products, valid, patches, self.files, budget, tell)
        for place in range(len(patches)):
            self._write(found, valid, values, place)
        bar.update(min(seen, bar.total), valid.grid.name(int(valid.boxes[patches[-1]])))

    def _write(self, found: PatchSurvey, valid: ValidCells, values: PatchValues, place: int) -> None:
        grid, number = valid.grid, int(valid.boxes[values.patches[place]])
        made = patch_from(found.products, valid, values, place, self.limits, self.towers)
        dropped = [valid.dropped_cell(cell, INCOMPLETE, why) for cell, why in made.holes.items()]
        columns: dict[str, Any] = {"name": []}
        if made.patch is None:
            dropped.append(dropped_box(grid, number, made.valid, self.limits))
        else:
            row = write_patch(PatchStorePaths(self.folder.paths.root), made.patch, *grid.corner(number))
            columns = {"name": [row["name"]], "row": row}
        self.folder.commit(number, columns, dropped, made.impossible, {})

    def _seal(self, found: PatchSurvey, valid: ValidCells, made: int) -> PatchesSummary:
        """Write the table that makes the folder a store."""
        done = self.folder.done()
        missing = [number for number in valid.boxes.tolist() if number not in done]
        if missing:
            path = self.folder.paths.chunk(missing[0])
            raise WorkError(f"{path}: is not what was written; run `phloem ingest` again")
        dropped: list[Dropped] = [*valid.dropped, *(tuple(row) for event in done.values() for row in event["dropped"])]
        reasons = dict(Counter(reason for *_, reason, _ in dropped))
        rows = [event["columns"]["row"] for event in done.values() if event["columns"]["name"]]
        if not rows:
            self.folder.clear()  # it is nothing, and a mended input could not go on with it
            first = next(row for row in dropped if row[3] == INCOMPLETE)
            raise InputError(f"no patch is left: {reasons[INCOMPLETE]} cells: {INCOMPLETE}, as {first[0]}: {first[4]}")
        self.folder.write_dropped(dropped)
        impossible: Counter[str] = Counter()
        for event in done.values():
            impossible.update(event["impossible"])
        store = seal_patches(self.folder.paths.root, self._facts(found), rows)
        finished = PatchesSummary(store, reasons, valid.water, made, {key: n for key, n in impossible.items() if n})
        taken = [
            f"{layout.path.name}: variable {layout.name}: {text}"
            for series in found.products.series
            for layout in series.layouts
            for text in layout.packing.stored.told()
        ]
        self.folder.say([*taken, *finished.lines()])
        return finished

    def _facts(self, found: PatchSurvey) -> dict[str, Any]:
        products, store = found.products, self.file.store
        return {
            "step": store.step,
            "box": list(store.box),
            "first_month": str(products.months.first),
            "months": products.months.count,
            "rows": products.grid.cells,
            "co2": products.co2.tolist(),
            "sources": found.sources,
            "limits": self.file.valid.model_dump(),
            "predictors": list(products.given),
            "climate": {name: "given" if name in products.maps else "forcing" for name in ("MAT", "MAP")},
            "herbaceous": list(products.herbaceous) if products.gpp else [],
        }


def _groups(patches: Sequence[int], counts: np.ndarray, most: int) -> list[list[int]]:
    """Cut patches into groups of so many cells at most, in their order."""
    groups: list[list[int]] = []
    room = 0
    for place in patches:
        if not groups or counts[place] > room:
            groups.append([])
            room = most
        groups[-1].append(place)
        room -= int(counts[place])
    return groups
