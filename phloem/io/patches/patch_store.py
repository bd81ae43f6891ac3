"""The patch store: a folder of patches, one file each, that `phloem ingest --what patches` makes and trainings read.

`patches.json` is the sealed table of the patches, with their checksums and the moments of their predictors; it comes
last and makes the folder a store.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from phloem.errors import InputError
from phloem.io.files.atomic import CorruptFile, checksum, hdf5_image, parse_hdf5, read_bytes, write_atomically
from phloem.io.files.sealed_json import copy_of, read_sealed, write_sealed
from phloem.io.patches.predictor_moments import COLUMNS, Moments, add_moments, column_values, moments_of
from phloem.io.patches.stored_patch import LABEL_STREAMS, StoredPatch, arrays_of, patch_of

FORMAT = 1

SPLIT_FACTS = ("test", "published_splits", "published_index")
"""What a store says of its split: which patches a training learns from depends on it as on their bytes."""

COLUMNS_OF_TABLE = ("name", "cells", "south", "west", "sha256", "bytes", "labels", "moments")
"""Columns of the table of patches."""


@dataclass(frozen=True)
class PatchStorePaths:
    """The files of a patch store; nobody else spells their names.

    Attributes:
        root: the folder.
    """

    root: Path

    @property
    def index(self) -> Path:
        """The sealed table of patches."""
        return self.root / "patches.json"

    @property
    def journal(self) -> Path:
        """One checksummed line for each patch that is done, while the store is being made."""
        return self.root / "ingest.jsonl"

    @property
    def dropped(self) -> Path:
        """The cells and patches that were left out, and why (CSV)."""
        return self.root / "dropped.csv"

    @property
    def log(self) -> Path:
        """What was read, converted and dropped, for people."""
        return self.root / "ingest.log"

    @property
    def truth(self) -> Path:
        """The true quantities of a synthetic Earth's cells (NetCDF)."""
        return self.root / "truth.nc"

    @property
    def truth_partition(self) -> Path:
        """How much of a synthetic Earth's streams each group of predictors explains (sealed JSON)."""
        return self.root / "truth_partition.json"

    def patch(self, name: str) -> Path:
        """Return the file of a patch."""
        return self.root / "patches" / f"{name}.h5"


def box_name(south: float, west: float) -> str:
    """Return the name of a box by its south-western corner, as N40W005 or S04.5E120."""

    def part(value: float, letters: str, width: int) -> str:
        text = f"{abs(value):g}"
        whole, point, rest = text.partition(".")
        return letters[value < 0] + whole.zfill(width) + point + rest

    return part(south, "NS", 2) + part(west, "EW", 3)


def write_patch(paths: PatchStorePaths, patch: StoredPatch, south: float, west: float) -> dict[str, Any]:
    """Write a patch, whole or not at all; the same patch gives the same bytes.

    Args:
        paths: of the store.
        patch: its cells.
        south: latitude of its box's southern edge, degrees.
        west: longitude of its western edge, degrees.

    Returns:
        Its row of the table, by `COLUMNS_OF_TABLE`.

    Raises:
        InputError: it is no patch that a training can read.
    """
    patch.check()
    arrays = arrays_of(patch)
    image = hdf5_image(arrays, {"name": patch.name, "format": FORMAT})
    path = paths.patch(patch.name)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, image)
    known = {stream: int(np.isfinite(values).sum()) for stream, values in patch.labels.items()}
    moments = moments_of(column_values(patch.predictors, patch.latitude, patch.longitude))
    return {
        "name": patch.name,
        "cells": len(patch),
        "south": float(south),
        "west": float(west),
        "sha256": checksum(image),
        "bytes": len(image),
        "labels": known,
        "moments": [list(moments[name]) for name in COLUMNS],
    }


def seal_patches(root: Path, facts: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> PatchStore:
    """Write the table that makes a folder of patches a store.

    Args:
        root: the folder.
        facts: `step` of the cells and `box` (height, width) of the patches in degrees, `first_month` as 2001-01,
            `months`, `co2` in ppm of each month, `rows` of a full patch, and what else the store says of itself, as
            `sources`; `test`, the names of the patches that are always held out, where its source says so.
        rows: of the table, as `write_patch` returns them.

    Raises:
        InputError: no patch at all, or two of one name.
    """
    ordered = sorted(rows, key=lambda row: (row["south"], row["west"], row["name"]))
    names = [row["name"] for row in ordered]
    if not names or len(set(names)) < len(names):
        raise InputError(f"{root}: {len(names)} patches with {len(set(names))} names; each has one, and one is due")
    table = {key: [row[key] for row in ordered] for key in COLUMNS_OF_TABLE}
    write_sealed(PatchStorePaths(root).index, {"format": FORMAT, "facts": dict(facts), "patches": table})
    return open_patches(root)


@dataclass(frozen=True, eq=False)
class PatchStore:
    """A patch store.

    Attributes:
        paths: its files.
        facts: what it says of itself; see `seal_patches`.
        table: by `COLUMNS_OF_TABLE`, equally long lists; patches go from south to north and from west to east.
    """

    paths: PatchStorePaths
    facts: Mapping[str, Any]
    table: Mapping[str, list[Any]]

    def __len__(self) -> int:
        return len(self.names)

    @property
    def names(self) -> list[str]:
        """Names of all patches."""
        return self.table["name"]

    @property
    def rows(self) -> int:
        """Cells of a full patch: every patch is filled up to so many rows."""
        return int(self.facts["rows"])

    @property
    def months(self) -> int:
        """Months of the records."""
        return int(self.facts["months"])

    @property
    def first_month(self) -> np.datetime64:
        """The first month, a January."""
        return np.datetime64(self.facts["first_month"], "M")

    @property
    def co2(self) -> np.ndarray:
        """Carbon dioxide of each month, ppm, (months,)."""
        return np.asarray(self.facts["co2"], float)

    @property
    def step(self) -> float | None:
        """Size of a cell in degrees; None where its cells are places on no grid."""
        return None if self.facts.get("step") is None else float(self.facts["step"])

    @property
    def streams(self) -> list[str]:
        """Streams of which any patch has a label."""
        return [name for name in LABEL_STREAMS if self.count_labels(name)]

    @property
    def checksum(self) -> str:
        """SHA-256 over the checksums of all patches, what they share, and how the store itself splits them."""
        text = "\n".join([*self.table["sha256"], str(self.facts["first_month"]), repr(self.co2.tolist())])
        if own := {key: self.facts[key] for key in SPLIT_FACTS if self.facts.get(key)}:
            text += "\n" + json.dumps(own, sort_keys=True)
        return checksum(text.encode())

    def count_labels(self, stream: str) -> int:
        """Return the labels of a stream in all patches."""
        return sum(one.get(stream, 0) for one in self.table["labels"])

    def moments(self, positions: Sequence[int]) -> Moments:
        """Return the moments of the predictors over some patches."""
        rows = self.table["moments"]
        return add_moments(
            {name: (int(one[0]), one[1], one[2]) for name, one in zip(COLUMNS, rows[place], strict=True)}
            for place in sorted(positions)
        )

    def is_whole(self) -> bool:
        """Tell whether the files of all patches are what the table says."""
        try:
            return all(
                checksum(read_bytes(self.paths.patch(name))) == digest
                for name, digest in zip(self.names, self.table["sha256"], strict=True)
            )
        except OSError:
            return False

    def read(self, position: int) -> StoredPatch:
        """Read a patch and prove it by its checksum.

        Raises:
            InputError: it is not what the table says; the message says what mends it.
        """
        name = self.names[position]
        path = self.paths.patch(name)
        try:
            data = read_bytes(path)
            if checksum(data) != self.table["sha256"][position]:
                raise CorruptFile("its bytes are not those of the table")
            arrays, _ = parse_hdf5(data, str(path))
            return patch_of(arrays, name)
        except (OSError, CorruptFile, KeyError) as error:
            raise InputError(
                f"{path}: not what {self.paths.index.name} says ({error}); run `phloem ingest` again"
            ) from error


def open_patches(root: Path) -> PatchStore:
    """Open a patch store.

    Raises:
        InputError: none there, one that is not finished, or a damaged one.
    """
    paths = PatchStorePaths(Path(root))
    if not paths.index.is_file() and not copy_of(paths.index).is_file():
        state = "an ingest that is not finished: run it again" if paths.journal.exists() else "no patch store here"
        raise InputError(
            f"{root}: {state} (no {paths.index.name}); make one with `phloem ingest INGEST.toml --what patches`"
        )
    try:
        sealed = read_sealed(paths.index)
        facts, table = sealed["facts"], sealed["patches"]
        lengths = {len(table[key]) for key in COLUMNS_OF_TABLE}
        needed = [facts[key] for key in ("first_month", "months", "co2", "rows")]
    except (OSError, ValueError, KeyError, TypeError, CorruptFile) as error:
        raise InputError(f"{paths.index}: damaged ({error}); run `phloem ingest` again") from error
    if sealed.get("format") != FORMAT or len(lengths) != 1 or len(needed[2]) != needed[1]:
        raise InputError(f"{paths.index}: format {sealed.get('format')}, this program reads {FORMAT}; ingest anew")
    return PatchStore(paths, facts, table)
