"""Sites of a patch store: their labels, and what networks simulate there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from phloem.analysis.network.patch_pairs import SIMULATED
from phloem.analysis.network.tower_scores import TowerScores, tower_scores
from phloem.jobs.network.stored_cells import cells_of
from phloem.jobs.network.trained_networks import TrainedNetworks
from phloem.jobs.network_analyses.scored_patches import Groups, ScoredPatches
from phloem.jobs.network_products.predict import predicted

TOWERS = ("tower_gpp", "tower_reco", "tower_et")
OUTPUTS = ("gpp", "nee", "et")


@dataclass(frozen=True, eq=False)
class SiteScores:
    """Scores at sites.

    Attributes:
        towers: of the networks' mean, by stream.
        r_of_each: spatial correlation of each run's own at all sites and at those held out, by stream, (runs, 2).
    """

    towers: dict[str, TowerScores]
    r_of_each: dict[str, np.ndarray]


def tower_positions(networks: TrainedNetworks) -> list[int]:
    """Return the positions of the patches with a label of a tower."""
    return [
        position
        for position, counts in enumerate(networks.store.table["labels"])
        if any(counts.get(stream, 0) for stream in TOWERS)
    ]


def tower_groups(networks: TrainedNetworks, runs: tuple[int, ...]) -> Groups:
    """Return the patches with towers by the runs that simulate them: with folds, those that hold the patch out."""
    groups: Groups = {}
    held = {run: set(networks.patches("test", run)) for run in runs}
    for position in tower_positions(networks):
        here = tuple(run for run in runs if not networks.table.folds or position in held[run])
        if here:
            groups.setdefault(here, []).append(position)
    return groups


def score_towers(
    networks: TrainedNetworks,
    patches: ScoredPatches,
    warm_up: int,
    report: Callable[[int], None] = lambda done: None,
) -> SiteScores:
    """Score the means of sites, of the mean of the networks and of each.

    A site is held out where its patch is a test patch of all networks that simulate it.

    Args:
        networks: of the campaign.
        patches: whose runs simulate the sites.
        warm_up: first months that are left out.
        report: told of the patches that are done.
    """
    runs = patches.all_runs
    names: list[str] = []
    held: list[bool] = []
    observed: dict[str, list[np.ndarray]] = {stream: [] for stream in TOWERS}
    simulated: dict[str, list[np.ndarray]] = {stream: [] for stream in TOWERS}
    done = 0
    positions = {name: place for place, name in enumerate(networks.store.names)}
    for here, where in tower_groups(networks, runs).items():
        rows = [runs.index(run) for run in here]
        for stored, outputs in predicted(networks, patches.set_up, here, where, OUTPUTS):
            cells, months = cells_of(stored, networks.store.co2, networks.table.mode), stored.months
            labels = {stream: _labels(cells.labels, cells.weights, stream, (months, len(stored))) for stream in TOWERS}
            sites = np.flatnonzero(np.any([np.isfinite(one).any(0) for one in labels.values()], axis=0))
            place = positions[stored.name]
            names += [stored.cells[site] for site in sites]
            held += [all(place in networks.patches("test", run) for run in here)] * len(sites)
            for stream in TOWERS:
                series = np.full((len(runs), months, len(sites)), np.nan)
                series[rows] = sum(np.asarray(outputs[name], float)[:, :, sites] for name in SIMULATED[stream])
                simulated[stream].append(series[:, warm_up:])
                observed[stream].append(labels[stream][warm_up:, sites])
            done += 1
            report(done)
    towers, r_of_each = {}, {}
    for stream in TOWERS:
        if not names or not np.isfinite(np.concatenate(observed[stream], 1)).any():
            continue
        x, y = np.concatenate(simulated[stream], 2), np.concatenate(observed[stream], 1)
        there = np.isfinite(x).all(1)
        mean = np.where(there[:, None], x, 0.0).sum(0) / np.maximum(there.sum(0), 1)
        towers[stream] = tower_scores(stream, names, mean, y, held)
        each = [tower_scores(stream, names, one, y, held) for one in x]
        r_of_each[stream] = np.array([[one.all_sites.r, one.held_out_sites.r] for one in each])
    return SiteScores(towers, r_of_each)


def _labels(
    labels: Mapping[str, np.ndarray], weights: Mapping[str, np.ndarray], stream: str, shape: tuple[int, int]
) -> np.ndarray:
    """Labels of a stream, NaN where they have no weight, (months, cells)."""
    if stream not in labels:
        return np.full(shape, np.nan)
    values = np.asarray(labels[stream], float)
    return np.where(np.asarray(weights[stream]) > 0, values, np.nan) if stream in weights else values
