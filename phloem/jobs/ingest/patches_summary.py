"""What an ingest of patches has made, in lines for people and as JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from phloem.io.global_products.valid_cells import TOO_FEW
from phloem.io.patches.patch_store import PatchStore
from phloem.io.patches.stored_patch import LABEL_STREAMS


@dataclass(frozen=True)
class PatchesSummary:
    """A patch store that is complete, and what became of cells and patches.

    Attributes:
        store: the store.
        reasons: cells and patches that were left out, by reason.
        water: cells that are water.
        made: patches that this run has made.
        impossible: values that count as missing, by variable.
    """

    store: PatchStore
    reasons: dict[str, int]
    water: int
    made: int
    impossible: dict[str, int]

    def lines(self) -> list[str]:
        """Return the closing lines for people."""
        store = self.store
        last = store.first_month + (store.months - 1)
        size = sum(store.table["bytes"]) / 1e6
        found = [
            f"{len(store)} patches, {sum(store.table['cells'])} cells of {store.step:g} degrees, {store.first_month} "
            f"to {last}, {size:.1f} MB: {store.paths.root}"
        ]
        for reason, count in sorted(self.reasons.items()):
            what = "patches" if reason == TOO_FEW else "cells"
            found.append(f"left out: {count} {what}: {reason}")
        found.append(f"water: {self.water} cells")
        for stream in LABEL_STREAMS:
            if count := store.count_labels(stream):
                found.append(f"{stream}: {count} labels in {_with_any(store, stream)} of {len(store)} patches")
        found += [f"{name}: {count} impossible values count as missing" for name, count in self.impossible.items()]
        if self.reasons:
            found.append(f"each with its reason: {store.paths.dropped}")
        return found

    def as_json(self) -> dict[str, Any]:
        """Return the same as a JSON object."""
        return {
            "directory": str(self.store.paths.root),
            "patches": len(self.store),
            "cells": sum(self.store.table["cells"]),
            "made": self.made,
            "bytes": sum(self.store.table["bytes"]),
            "dropped": self.reasons,
            "water": self.water,
            "labels": {stream: self.store.count_labels(stream) for stream in self.store.streams},
            "impossible": self.impossible,
            **self.store.facts,
        }


def _with_any(store: PatchStore, stream: str) -> int:
    return sum(one.get(stream, 0) > 0 for one in store.table["labels"])
