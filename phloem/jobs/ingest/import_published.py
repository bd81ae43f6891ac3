"""`phloem ingest --what published-patches`: a patch store from the data files of the public DifferLand_Global code."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from phloem.io.ingest.ingest_folder import stamp
from phloem.io.patches.patch_ingest import PatchIngest, begun_ingest
from phloem.io.patches.patch_store import PatchStore
from phloem.io.published.published_layout import BOX, PublishedSurvey
from phloem.io.published.published_patches import box_names, read_published, split_facts
from phloem.io.published.published_statistics import differences, read_statistics
from phloem.io.published.published_survey import survey_published
from phloem.jobs.config.published_file import PublishedFile
from phloem.jobs.progress import ProgressBar


@dataclass(frozen=True)
class ImportedPatches:
    """A patch store that was made of other files.

    Attributes:
        store: the store.
        notes: what was counted, taken otherwise or left out, a line each.
    """

    store: PatchStore
    notes: tuple[str, ...]

    def lines(self) -> list[str]:
        """Return the closing lines for people."""
        store, facts = self.store, self.store.facts
        cells = sum(store.table["cells"])
        held = f", {len(facts['test'])} of them held out" if "test" in facts else ""
        found = [
            f"{len(store)} patches{held}, {cells:,} cells, {store.months} months from {store.first_month} on: "
            f"{store.paths.root}"
        ]
        found += [f"{stream}: {store.count_labels(stream):,} labels" for stream in store.streams]
        return found + [f"note: {note}" for note in self.notes]

    def as_json(self) -> dict[str, Any]:
        """Return the same as a JSON object."""
        store = self.store
        return {
            "directory": str(store.paths.root),
            "patches": len(store),
            "cells": sum(store.table["cells"]),
            "months": store.months,
            "labels": {stream: store.count_labels(stream) for stream in store.streams},
            "held_out": len(store.facts.get("test", [])),
            "notes": list(self.notes),
        }


def import_published(file: PublishedFile, base: Path, out: Path) -> ImportedPatches:
    """Make a patch store of DifferLand_Global's files; begun again after an interruption, it makes the same.

    Args:
        file: where they are, and what is taken of them.
        base: folder from which its relative paths count.
        out: folder of the store.

    Raises:
        InputError: another layout (all that is wrong is named), or the folder holds something else.
        WorkError: another ingest is at work in the folder.
    """
    paths, tables = file.paths(base), file.statistics(base)
    inputs = [paths.maps, paths.co2, paths.valid, paths.index, paths.bulk, *(tables or ())]
    content = {"what": "published-patches", **file.model_dump(exclude={"memory_gb", "path"})}
    plan = {"content": content, "inputs": stamp([path.resolve() for path in inputs])}
    survey = survey_published(paths, file.choice)
    statistics = {
        key: read_statistics(path, len(survey.index))
        for key, path in zip(("mean", "deviation"), tables or (), strict=False)
    }
    with begun_ingest(out, plan) as ingest:
        done = ingest.done()
        with ProgressBar("patches", len(box_names(survey))) as bar:
            for count, box in enumerate(read_published(survey, done, file.memory_gb * 1e9), len(done) + 1):
                ingest.commit(box.patch, box.name, box.corner, box.dropped, box.counts)
                bar.update(count)
        names = [event["row"]["name"] for event in ingest.done().values() if event["row"]]
        store = ingest.seal(_facts(survey, names, statistics))
        notes = [*survey.notes, *_counted(ingest)]
        notes += differences(store, statistics["mean"], statistics["deviation"]) if statistics else []
        finished = ImportedPatches(store, tuple(notes))
        ingest.folder.say(finished.lines())
    return finished


def _facts(survey: PublishedSurvey, names: list[str], statistics: dict[str, Any]) -> dict[str, Any]:
    axes, parts = survey.axes, survey.choice.parts()
    return {
        "step": axes.step,
        "box": list(BOX),
        "first_month": str(axes.first_month),
        "months": axes.months,
        "co2": axes.co2.tolist(),
        "rows": axes.box[0] * axes.box[1],
        "sources": {"layout": "DifferLand_Global", "files": [str(path) for path in vars(survey.paths).values()]},
        "label_variables": {stream: "+".join(of) for stream, of in parts.items()},
        **split_facts(survey, names),
        **({"published_statistics": statistics} if statistics else {}),
    }


def _counted(ingest: PatchIngest) -> list[str]:
    total: Counter[str] = Counter()
    for event in ingest.done().values():
        total.update(event["counts"])
    return [f"{what}: {count:,}" for what, count in sorted(total.items()) if count]
