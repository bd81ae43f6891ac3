"""`benchmark` of a training: its networks against the labels of held-out patches and at sites."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from phloem.analysis.network.evaluated_set_up import EvaluatedSetUp
from phloem.analysis.network.score_files import RESULT, write_scores
from phloem.analysis.style.wording import fixed
from phloem.errors import InputError, WorkError
from phloem.io.files.atomic import checksum
from phloem.io.files.whole_folder import check_replaceable
from phloem.jobs.campaign.campaign import Campaign
from phloem.jobs.config.network_benchmark_file import NetworkBenchmarkSection, load_network_benchmark
from phloem.jobs.network.trained_networks import TrainedNetworks, chosen_set_ups, read_networks
from phloem.jobs.network_analyses.held_out import score_set_up
from phloem.jobs.network_analyses.predictor_cells import read_cells
from phloem.jobs.network_analyses.scored_patches import ScoredPatches, scored_patches
from phloem.jobs.network_analyses.towers import score_towers, tower_groups
from phloem.jobs.progress import ProgressBar, say

FOLDER = "benchmark"


def benchmark_networks(
    campaign: Campaign, config: Path | None = None, out: Path | None = None, assignments: Sequence[str] = ()
) -> dict[str, Any]:
    """Score the networks of a training and write the folder; an interrupted one is begun anew, to the same bytes.

    Args:
        campaign: a training, which is merged first where it is not.
        config: benchmark file of networks; None: all defaults.
        out: folder to write, replaced as a whole; by default DIR/benchmark.
        assignments: `key=value` texts that override the file.

    Returns:
        What benchmark.json holds, and `folder`.

    Raises:
        InputError: bad choices, a folder that holds something else, or no network that can be scored.
        WorkError: tiles without result.
    """
    folder = out or campaign.paths.root / FOLDER
    check_replaceable(folder, RESULT)
    choice = load_network_benchmark(config, assignments)
    if not campaign.paths.merged.exists():
        campaign.kind.merge(campaign)
    networks = read_networks(campaign)
    if choice.warm_up >= networks.store.months:
        raise InputError(
            f"warm_up = {choice.warm_up}: {networks.store.paths.index} has {networks.store.months} months, none is "
            "left to be compared: --set warm_up=0"
        )
    plans, notes = _plans(networks, choice)
    set_ups, failed = _score(networks, choice, plans)
    notes += failed
    if not any(one.ensemble for one in set_ups):
        raise InputError("\n  ".join(["nothing can be compared: no label is in the patches that are scored", *notes]))
    for note in notes:
        say(f"warning: {note}")
    places = read_cells(networks).places(networks)
    facts = _facts(networks, choice, plans, notes)
    return {"folder": str(folder), **write_scores(folder, set_ups, places, facts)}


def _plans(networks: TrainedNetworks, choice: NetworkBenchmarkSection) -> tuple[list[ScoredPatches], list[str]]:
    """Return what is scored of each set-up, and why others are left out."""
    plans, notes = [], []
    for set_up in chosen_set_ups(networks, choice.set_ups):
        try:
            plans.append(scored_patches(networks, set_up, choice))
        except InputError as error:
            notes.append(f"{error}; not scored")
    if not plans:
        raise InputError("\n  ".join([f"{networks.campaign.paths.root}: nothing can be scored:", *notes]))
    return plans, notes


def _score(
    networks: TrainedNetworks, choice: NetworkBenchmarkSection, plans: Sequence[ScoredPatches]
) -> tuple[list[EvaluatedSetUp], list[str]]:
    towers = {
        plan.set_up: sum(map(len, tower_groups(networks, plan.all_runs).values())) if choice.towers else 0
        for plan in plans
    }
    set_ups, notes, done = [], [], 0
    with ProgressBar("scoring", sum(plan.count + towers[plan.set_up] for plan in plans)) as bar:
        for plan in plans:

            def told(count: int, begun: int = done, name: str = plan.set_up) -> None:
                bar.update(begun + count, name)

            def told_of_sites(count: int, before: int = plan.count, tell: Callable[[int], None] = told) -> None:
                tell(before + count)

            try:
                found = score_set_up(networks, plan, choice, told)
                if towers[plan.set_up]:
                    sites = score_towers(networks, plan, choice.warm_up, told_of_sites)
                    found = replace(found, towers=sites.towers, tower_r=sites.r_of_each)
                set_ups.append(found)
            except WorkError as error:  # outputs of a network that are not finite
                notes.append(f"set-up {plan.set_up}: {error}; not scored")
            done += plan.count + towers[plan.set_up]
    if not set_ups:
        raise WorkError("\n  ".join(["nothing can be scored:", *notes]))
    return set_ups, notes


def _facts(
    networks: TrainedNetworks, choice: NetworkBenchmarkSection, plans: Sequence[ScoredPatches], notes: Sequence[str]
) -> dict[str, Any]:
    campaign, store, table = networks.campaign, networks.store, networks.table
    positions = sorted({position for plan in plans for where in plan.groups.values() for position in where})
    names = [store.names[position] for position in positions]
    own_test = choice.part == "test" and not table.folds and set(names) == set(store.facts.get("test") or ())
    return {
        "campaign": campaign.configuration.campaign.name,
        "configuration_hash": campaign.configuration.fingerprint(),
        "patches_sha256": store.checksum,
        "scored_patches_sha256": checksum("\n".join(names).encode()),
        "choice": choice.model_dump(),
        "folds": table.folds,
        "patches": len(names),
        "cells": sum(store.table["cells"][position] for position in positions),
        "months": store.months - choice.warm_up,
        "trained_on": [name for name in store.streams if name not in table.leave_out],
        "left_out": list(table.leave_out),
        "ceiling": dict(store.facts["ceiling"]) if own_test and store.facts.get("ceiling") else None,
        "notes": list(notes),
    }


def describe(document: Mapping[str, Any]) -> list[str]:
    """Return lines for people of what `benchmark_networks` returns."""
    choice = document["choice"]
    lines = [
        f"{document['campaign']}: {document['patches']} {choice['part']} patches, {document['cells']} cells, "
        f"{document['months']} months"
    ]
    streams = list(dict.fromkeys(name for one in document["set_ups"] for name in one["streams"]))
    lines.append(f"{'NSE of all pairs':22}" + "".join(f"{name[:13]:>14}" for name in streams))
    if document["ceiling"]:
        lines.append(f"{'the truth itself':22}" + "".join(_cell(document["ceiling"].get(name)) for name in streams))
    for one in document["set_ups"]:
        row = [
            _cell(levels["members"]["pooled"]["nse"]["mean"]) if (levels := one["streams"].get(name)) else _cell(None)
            for name in streams
        ]
        lines.append(f"{one['set_up'][:22]:22}" + "".join(row))
    lines.append("means over the networks of a set-up; all scores: scores.csv")
    lines += [f"warning: {note}" for note in document["notes"]]
    lines.append(f"written: {document['folder']}; next: phloem attribute, phloem report")
    return lines


def _cell(value: float | None) -> str:
    return f"{'–' if value is None else fixed(value, 3):>14}"
