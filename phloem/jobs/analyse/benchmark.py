"""`benchmark`: a merged campaign, or the three experiments, against maps, tables, series and withheld years."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from phloem.analysis.benchmark.pairs import Pairs, common, why_nothing
from phloem.analysis.benchmark.result_files import check_folder, write_benchmark
from phloem.errors import InputError
from phloem.io.files.units import convert
from phloem.io.references.maps import read_map
from phloem.io.references.monthly_series import read_months
from phloem.jobs.analyse.benchmark_cells import (
    BenchmarkCells,
    compare_growth,
    compare_map,
    compare_snapshot,
    compare_table,
    greatest_age,
    slug_of,
)
from phloem.jobs.analyse.withheld_years import MonthlyReference, compare_runs, even_draw
from phloem.jobs.calibration.merged_members import Members, read_members, store_of
from phloem.jobs.campaign.campaign_set import open_campaigns
from phloem.jobs.config.benchmark_file import (
    GROWTH_AGE,
    BenchmarkFile,
    GrowthReference,
    MapReference,
    SeriesReference,
    SnapshotReference,
    TableReference,
    WithheldReference,
    load_benchmark_file,
    read_tree,
)
from phloem.jobs.config.paths import expand_path
from phloem.jobs.progress import say

FOLDER = "benchmark"


def benchmark(
    directory: Path, config: Path | None = None, out: Path | None = None, assignments: Sequence[str] = ()
) -> dict[str, Any]:
    """Compare and write.

    Args:
        directory: of a campaign, or the one that holds the three experiments.
        config: benchmark file; without one, what the store and the validation years allow.
        out: folder to write, replaced as a whole; by default DIR/benchmark, and for the three experiments also that of
            each campaign.
        assignments: `key.path=value` texts that override the file.

    Returns:
        What benchmark.json holds; the folder is `folder`.

    Raises:
        InputError: no campaign, a bad file, a reference that cannot be read, or nothing to compare.
        WorkError: tiles without result.
    """
    begun = time.monotonic()
    folder = out or directory / FOLDER
    check_folder(folder)
    opened = open_campaigns(directory)
    file = load_benchmark_file(config, opened.last.configuration.calibration.tables, assignments) if config else None
    base = config.resolve().parent if config else Path.cwd()
    opened.see_to_products()
    all_members = [read_members(campaign, opened.cells) for campaign in opened.campaigns]
    pairs_by_campaign = []
    for members in all_members:
        wanted = file or default_references(members, assignments)
        pairs_by_campaign.append(_compare(members, wanted, base))
    result = _together(pairs_by_campaign) if opened.several else pairs_by_campaign[0]
    if all(pairs.refused or not pairs.valid.any() for pairs in result):
        lines = [f"{pairs.name} ({pairs.quantity}): {pairs.refused or why_nothing(pairs)}" for pairs in result]
        raise InputError("nothing can be compared:\n  " + "\n  ".join(dict.fromkeys(lines)))
    facts = {
        "campaign": opened.last.configuration.campaign.name,
        "experiments": [members.name for members in all_members],
        "cells": len(opened.cells),
        "members": all_members[0].good.shape[1],
        "seconds": round(time.monotonic() - begun, 1),
    }
    if opened.several and out is None:
        for members, comparisons in zip(all_members, pairs_by_campaign, strict=True):
            own_facts = {**facts, "experiments": [members.name]}
            write_benchmark(members.campaign.paths.root / FOLDER, comparisons, own_facts)
    document = write_benchmark(folder, result, facts)
    return {"folder": str(folder), **document}


def default_references(members: Members, assignments: Sequence[str] = ()) -> BenchmarkFile:
    """Return the references that need no other file: the withheld years, and the store's biomass."""
    tree: dict[str, Any] = {"reference": [{"kind": "withheld"}]}
    store = store_of(members.campaign)
    if store is not None:
        columns = store.columns
        if any(columns["trajectory"]) and (age := greatest_age(members, GROWTH_AGE)) is not None:
            tree["reference"].append({"kind": "growth", "age": age})
        if any(columns["snapshot"]):
            tree["reference"].append({"kind": "snapshot"})
    return read_tree(tree, "--set", members.tables, assignments)


def _compare(members: Members, file: BenchmarkFile, base: Path) -> list[Pairs]:
    """All comparisons of one campaign; what can be refused without a simulation is looked at first."""
    cells = BenchmarkCells(members, _strata(members, file, base), file.rcv_limit, base, file.cells)
    made: list[Pairs] = []
    streams: list[str] = []
    asked: set[str] = set()
    series = []
    for reference in file.reference:
        if isinstance(reference, SeriesReference):
            series.append(_series(members, reference, base))
        elif isinstance(reference, WithheldReference):
            asked |= set(reference.streams or ())
            names = reference.streams or [output.name for output in members.tables.compared]
            streams += [name for name in names if name not in streams]
        elif isinstance(reference, MapReference):
            made.append(compare_map(cells, reference))
        elif isinstance(reference, TableReference):
            made += compare_table(cells, reference)
        elif isinstance(reference, GrowthReference):
            made.append(compare_growth(cells, reference))
        elif isinstance(reference, SnapshotReference):
            made.append(compare_snapshot(cells, reference))
    if streams or series:
        count = len(members.cells)
        places = even_draw(count, file.cells)
        notes = [f"{len(places)} of {count} cells, evenly drawn (cells = {file.cells})"] if len(places) < count else []
        for note in notes:
            say(f"{members.name}: {note}")
        compared = compare_runs(members, places.tolist(), streams, series, cells.strata, notes)
        known = any(pairs.kind == "withheld" and not pairs.refused for pairs in compared)
        made += [p for p in compared if p.kind != "withheld" or not p.refused or not known or p.quantity in asked]
    slugs = [pairs.slug for pairs in made]
    if twice := sorted({slug for slug in slugs if slugs.count(slug) > 1}):
        raise InputError(f"two references would write {twice[0]}.csv; give them different names")
    return made


def _strata(members: Members, file: BenchmarkFile, base: Path) -> dict[str, np.ndarray]:
    found = {}
    for one in file.stratum:
        path = expand_path(one.path, base)
        classes = read_map(
            path, one.variable, members.latitude, members.longitude, members.campaign.step, one.select, "nearest",
            names=members.cells,
        ).values  # fmt: skip
        texts = [f"{value:g}" if np.isfinite(value) else "none" for value in classes]
        found[one.name] = np.array([one.names.get(text, text) for text in texts], object)
    return found


def _series(members: Members, reference: SeriesReference, base: Path) -> MonthlyReference:
    path = expand_path(reference.path, base)
    units = members.tables.compared_output(reference.quantity).unit
    plain = reference.scale == 1.0 and reference.offset == 0.0
    values = read_months(
        path, reference.variable, members.latitude, members.longitude, members.campaign.step,
        (reference.years[0], reference.years[1]), reference.select, reference.method, units if plain else "",
        reference.units, members.cells, reference.stamps,
    )  # fmt: skip
    if not plain:
        where = f"{path}: variable {reference.variable}"
        values = replace(
            values,
            values=convert(values.values * reference.scale + reference.offset, values.units, units, where),
            units=units,
        )
    return MonthlyReference(
        slug_of(f"{reference.name}-{reference.quantity}"),
        reference.name,
        reference.quantity,
        path.name,
        values,
        values.notes,
    )


def _together(by_campaign: Sequence[Sequence[Pairs]]) -> list[Pairs]:
    """The comparisons of several experiments over the pairs that all of them have."""
    by_slug: dict[str, list[Pairs]] = {}
    for comparisons in by_campaign:
        for pairs in comparisons:
            by_slug.setdefault(pairs.slug, []).append(pairs)
    joined = []
    for slug, several in by_slug.items():
        refused = [pairs for pairs in several if pairs.refused or not len(pairs.cell)]
        usable = [pairs for pairs in several if pairs not in refused]
        joined += [
            replace(pairs, slug=f"{pairs.experiment}-{slug}") for pairs in (common(usable) if usable else []) + refused
        ]
    return joined


def describe(document: Mapping[str, Any]) -> list[str]:
    """Return lines for people of what `benchmark` returns."""
    several = len(document["experiments"]) > 1
    lines = [f"{'comparison':44}{'pairs':>8}{'RMSE':>10}{'r':>7}{'NSE':>8}{'PBIAS %':>10}{'in range':>10}"]
    for row in document["comparisons"]:
        name = f"{row['experiment']}: {row['name']}" if several else row["name"]
        if row["quantity"] not in row["name"].lower():
            name += f", {row['quantity']}"
        if row["refused"]:
            lines.append(f"{name[:43]:44}{row['refused']}")
            continue
        s = row["scores"]
        lines.append(
            f"{name[:43]:44}{row['pairs']:>8}{_number(s['rmse'], '.3g'):>10}{_number(s['r'], '.2f'):>7}"
            f"{_number(s['nse'], '.2f'):>8}{_number(s['pbias'], '+.1f'):>10}{_number(row['within_members'], '.0%'):>10}"
        )
        lines += [f"  {text}" for text in (*row["warnings"], *row["notes"])]
    lines.append(
        f"look at {document['folder']}: scorecard.png, benchmark.json, scores.csv, differences.nc, scatter and maps"
    )
    return lines


def _number(value: float | None, how: str) -> str:
    return "-" if value is None else format(value, how)
