"""`phloem ingest --what monthly`: a driver store of days from files of monthly drivers."""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from phloem.errors import InputError
from phloem.io.drivers.store import (
    COLUMNS,
    OBSERVED,
    STATICS,
    Store,
    StorePaths,
    chunk_columns,
    seal_store,
    write_chunk,
)
from phloem.io.drivers.tower_files import COORDINATES
from phloem.io.files.own_variables import OwnVariables
from phloem.io.files.time_axis import StampsAt
from phloem.io.ingest.ingest_folder import IngestFolder, stamp
from phloem.io.monthly.monthly_cells import INCOMPLETE, MonthlyCells, monthly_cells
from phloem.io.monthly.several_files import monthly_paths, read_monthly_files
from phloem.jobs.progress import ProgressBar
from phloem.names import STREAMS

CHUNK = 12
"""Cells a chunk."""


@dataclass(frozen=True)
class MadeMonthly:
    """A store of days that was made of months.

    Attributes:
        store: the store.
        found: what the file gave.
    """

    store: Store
    found: MonthlyCells

    def lines(self) -> list[str]:
        """Return the closing lines for people."""
        facts, dropped = self.store.facts, Counter(reason for *_, reason, _ in self.found.dropped)
        lines_of_text = [
            f"{len(self.store)} {'places' if facts.get('places') else 'cells'}, {facts['first_year']} to "
            f"{facts['last_year']} ({facts['calendar']} calendar), from months: {self.store.paths.root}"
        ]
        lines_of_text += [f"left out: {count}: {reason}" for reason, count in dropped.items()]
        lines_of_text += [f"each with its reason: {self.store.paths.dropped}"] if dropped else []
        lines_of_text += [f"no forcing at all: {self.found.nothing}"] if self.found.nothing else []
        for name, row in self.counts().items():
            held = f", {row['withheld']} withheld" if row["withheld"] else ""
            lines_of_text.append(f"{name}: {row['months']} months{held}, none in {row['without']} of {len(self.store)}")
        return lines_of_text + [f"note: {note}" for note in self.found.notes]

    def counts(self) -> dict[str, dict[str, int]]:
        """Return months with a value, months withheld, and places without a value, by stream."""
        kept, found = self.found.kept, {}
        for name in STREAMS:
            known = np.isfinite(self.found.observations[name][kept])
            held = self.found.withheld.get(name)
            count = 0 if held is None else int(np.isfinite(held[kept]).sum())
            found[name] = {"months": int(known.sum()), "withheld": count, "without": int((~known.any(axis=1)).sum())}
        return found

    def as_json(self) -> dict[str, Any]:
        """Return the same as a JSON object."""
        return {
            "directory": str(self.store.paths.root),
            "cells": len(self.store),
            "dropped": len(self.found.dropped),
            "observations": self.counts(),
            "notes": self.found.notes,
            **self.store.facts,
        }


def ingest_monthly(
    path: Path,
    out: Path,
    rain: str = "even",
    light: str = "cloudy",
    stamps: StampsAt = "begin",
    own: OwnVariables = MappingProxyType({}),
) -> MadeMonthly:
    """Make a driver store of files of monthly drivers; begun again after an interruption, it makes the same.

    Args:
        path: the file, or a folder of files.
        out: folder of the store.
        rain: how a month's rain falls, as in `downscaling.RAIN`.
        light: how its radiation and deficit are spread, as in `downscaling.LIGHT`.
        stamps: where the stamps of months stand, if a file has no time bounds.
        own: what the user says of the files' variables.

    Raises:
        InputError: a file is not what it should be, no place has complete forcing, or the folder holds something
            else.
        WorkError: another ingest is at work in the folder.
    """
    paths = monthly_paths(path)
    folder = IngestFolder(StorePaths(out))
    folder.check_place()
    content: dict[str, Any] = {"what": "monthly", "rain": rain, "light": light} | (
        {"stamps": stamps} if stamps != "begin" else {}
    )
    content |= {"variables": {key: asdict(one) for key, one in own.items()}} if own else {}
    tables = [path.with_name(COORDINATES) for path in paths if path.with_name(COORDINATES).is_file()]
    plan = {"content": content, "inputs": stamp([one.resolve() for one in (*paths, *tables)])}
    if folder.is_begun():
        folder.compare(plan)
    monthly = monthly_cells(read_monthly_files(paths, stamps, own))
    if not len(monthly.kept):
        first = f", as {monthly.dropped[0][0]}: {monthly.dropped[0][4]}" if monthly.dropped else ""
        raise InputError(f"{path}: no place is left: {len(monthly.dropped)} places: {INCOMPLETE}{first}")
    with folder.held():
        folder.sweep()
        if not folder.is_begun():
            folder.begin(plan)
        columns: dict[str, list[Any]] = {key: [] for key in (*COLUMNS, *OBSERVED)}
        cells = monthly.cells(rain, light)
        with ProgressBar("downscaling", len(monthly.kept)) as bar:
            for number in itertools.count():
                chunk = list(itertools.islice(cells, CHUNK))
                if not chunk:
                    break
                write_chunk(folder.paths.chunk(number), chunk, monthly.units)
                for key, values in chunk_columns(number, chunk).items():
                    columns[key] += values
                bar.update(len(columns["name"]))
        folder.write_dropped(monthly.dropped)
        made_store = MadeMonthly(seal_store(out, _facts(monthly, paths, rain, light), columns), monthly)
        folder.say(made_store.lines())
    return made_store


def _facts(monthly: MonthlyCells, paths: list[Path], rain: str, light: str) -> dict[str, Any]:
    file = monthly.monthly
    place: dict[str, Any] = {"places": True} if file.step is None else {"step": file.step}
    if monthly.snapshot_year is not None:
        place["snapshot_year"] = monthly.snapshot_year
    return {
        "first_year": file.first_year,
        "last_year": file.last_year,
        "calendar": file.calendar,
        **place,
        "window_means": list(STREAMS),
        "downscaled": {"from": "months", "rain": rain, "light": light},
        "withheld": list(monthly.withheld),
        "sources": [str(path.resolve()) for path in paths],
        "statics": {name: {**STATICS, **monthly.units}[name][0] for name in monthly.statics},
    }
