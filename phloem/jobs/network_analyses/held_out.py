"""Scores of a set-up's networks on the patches that they are scored on, patch after patch."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from phloem.analysis.network.evaluated_set_up import EvaluatedSetUp, evaluated_set_up
from phloem.analysis.network.held_out_scores import HeldOutSums
from phloem.analysis.network.patch_pairs import LIVE_POOLS, SIMULATED, PairRules, live_biomass, patch_pairs
from phloem.jobs.config.network_benchmark_file import NetworkBenchmarkSection
from phloem.jobs.network.stored_cells import cells_of
from phloem.jobs.network.trained_networks import TrainedNetworks
from phloem.jobs.network_analyses.scored_patches import ScoredPatches
from phloem.jobs.network_products.predict import predicted

OUTPUTS = tuple(
    dict.fromkeys([*(name for names in SIMULATED.values() for name in names if name != "biomass"), *LIVE_POOLS])
)
"""Outputs that any stream is compared with, or made of."""


def first_cells(networks: TrainedNetworks) -> np.ndarray:
    """Return the number of each patch's first cell, where all cells of the store are counted, and of all cells.

    Returns:
        (patches + 1,).
    """
    return np.concatenate([[0], np.cumsum(networks.store.table["cells"])])


def score_set_up(
    networks: TrainedNetworks,
    patches: ScoredPatches,
    choice: NetworkBenchmarkSection,
    report: Callable[[int], None] = lambda done: None,
) -> EvaluatedSetUp:
    """Score the networks of a set-up, and their mean over those that are scored on a patch.

    Args:
        networks: of the campaign.
        patches: which of them are scored where.
        choice: of months, and of how water storage is compared.
        report: told of the patches that are done.

    Raises:
        InputError: a patch that cannot be read, or labels that cannot be compared.
        WorkError: a network gives outputs that are not finite.
    """
    rules = PairRules(choice.warm_up, choice.water, networks.store.rows)
    sums, ensemble = [HeldOutSums() for _ in patches.scored], HeldOutSums()
    first, positions = first_cells(networks), {name: place for place, name in enumerate(networks.store.names)}
    done = 0
    for runs, where in patches.groups.items():
        for stored, outputs in predicted(networks, patches.set_up, runs, where, OUTPUTS):
            cells = cells_of(stored, networks.store.co2, networks.table.mode)
            position = positions[stored.name]
            ids = np.arange(first[position], first[position + 1])
            simulated = {**outputs, "biomass": live_biomass(outputs)}
            for number, run in enumerate(runs):
                one = {name: values[number] for name, values in simulated.items()}
                pairs = patch_pairs(one, cells.labels, cells.weights, rules)
                sums[patches.place_of(run)].add(position, ids, pairs)
            mean = {name: np.asarray(values, float).mean(0) for name, values in simulated.items()}
            ensemble.add(position, ids, patch_pairs(mean, cells.labels, cells.weights, rules))
            done += 1
            report(done)
    return evaluated_set_up(
        patches.set_up, patches.scored, patches.runs, (one.scores() for one in sums), ensemble.scores()
    )
