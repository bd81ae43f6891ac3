"""Patches of a store as trainings read them: made while the step before is taken, kept as far as memory goes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import jax
import numpy as np

from phloem.errors import InputError
from phloem.io.patches.patch_store import PatchStore
from phloem.io.patches.predictor_moments import COLUMNS
from phloem.jobs.network.stored_cells import cells_of
from phloem.kernels.network.patch_cells import MonthAxis, patch_of_cells
from phloem.kernels.network.training_loss import Patch

CACHE_BYTES = 2**30
"""Bytes of made patches that a process keeps, about. Made anew, one of 320 cells and 276 months takes some 25 ms."""

Wanted = TypeVar("Wanted")
Made = TypeVar("Made")

Statistics = Mapping[str, tuple[float, float]]


class PatchSource:
    """Patches of one store for networks of one run.

    Attributes:
        store: the patches.
        statistics: of the columns that any network sees.
    """

    def __init__(
        self,
        store: PatchStore,
        statistics: Statistics,
        *,
        mode: str,
        dtype: np.dtype,
        leave_out: Sequence[str] = (),
        cache_bytes: int = CACHE_BYTES,
    ) -> None:
        self.store, self.statistics = store, statistics
        self._mode, self._dtype, self._leave_out = mode, dtype, tuple(leave_out)
        self._months = MonthAxis(store.first_month, store.months)
        self._kept: dict[int, Patch] = {}
        self._left = cache_bytes
        self._maker = ThreadPoolExecutor(1, "patches")

    def read(self, position: int) -> Patch:
        """Return a patch with all columns of `COLUMNS`, filled up to the store's rows.

        Raises:
            InputError: it is not what the store's table says, or no training can read it.
        """
        if position in self._kept:
            return self._kept[position]
        stored = self.store.read(position)
        cells = cells_of(stored, self.store.co2, self._mode, self._leave_out)
        try:
            patch = patch_of_cells(
                cells, self._months, self.statistics, self.store.rows,
                columns=COLUMNS, mode=self._mode, dtype=self._dtype,
            )  # fmt: skip
        except ValueError as error:
            raise InputError(f"{self.store.paths.patch(stored.name)}: {error}") from error
        size = sum(leaf.nbytes for leaf in jax.tree.leaves(patch))
        if size <= self._left:
            # Those that came first stay: of patches gone through in turn, the one used longest ago is needed next.
            self._kept[position] = patch
            self._left -= size
        return patch

    def ahead(self, wanted: Sequence[Wanted], make: Callable[[Wanted], Made]) -> Iterator[Made]:
        """Make one thing of patches after the other, each while the one before is worked on.

        Args:
            wanted: what is to be made.
            make: makes it, in a thread of its own.
        """
        waiting: Future[Made] | None = None
        for place, one in enumerate(wanted):
            made = make(one) if waiting is None else waiting.result()
            waiting = self._maker.submit(make, wanted[place + 1]) if place + 1 < len(wanted) else None
            yield made

    def shrink(self) -> bool:
        """Keep no more patches; return whether any were kept."""
        kept = bool(self._kept)
        self._kept.clear()
        self._left = 0
        return kept
