"""What of a training is not to be relied on, in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from phloem.analysis.interpret.climate_response import outside_range
from phloem.analysis.report.network_shares import FEW
from phloem.errors import some
from phloem.io.campaign.tile_schema import good_lanes
from phloem.jobs.network.trained_networks import SPLIT, TrainedNetworks
from phloem.jobs.network.training_units import unit_name
from phloem.jobs.network_analyses.ensembles import groups_of
from phloem.jobs.network_analyses.predictor_cells import PredictorCells
from phloem.kernels.network.set_ups import CONTROLS, GROUPS
from phloem.names import STATUS

RISE = 0.05
"""Share by which the last look at the dev patches may be above the lowest."""

MOSTLY = 0.5
"""Share of the cells at a bound from which a quantity is named."""


def doubts(networks: TrainedNetworks, cells: PredictorCells, attribution: Mapping[str, Any] | None) -> list[str]:
    """Return what is not to be relied on.

    Args:
        networks: of the campaign.
        cells: of its store.
        attribution: attribution.json; None where there is none.
    """
    return [
        *_networks(networks),
        *_dev_losses(networks),
        *_edges(networks, cells),
        *(_agreement(attribution) if attribution else ()),
    ]


def _networks(networks: TrainedNetworks) -> Iterator[str]:
    root, set_ups = networks.campaign.paths.root, networks.set_ups
    good = good_lanes(networks.status)
    lost = [unit_name(set_ups[place], run) for place, run in np.argwhere(~good).tolist()]
    if lost:
        names = {value: name for name, value in STATUS.items()}
        what = sorted({names[int(value)].replace("_", " ") for value in networks.status[~good]})
        yield (
            f"{len(lost)} of {good.size} networks do not count ({', '.join(what)}): {some(lost)}. "
            f"`phloem retry {root} --lanes` trains them anew."
        )
    counts = networks.kept.sum(1)
    if counts.min() < FEW:
        few = [f"{name} ({count})" for name, count in zip(set_ups, counts.tolist(), strict=True) if count < FEW]
        yield (
            f"Fewer than {FEW} networks count of {some(few)}: standard deviations, intervals and identifiability are "
            "of too few draws; more runs are `campaign.members`."
        )
    if len(set_ups) == 1:
        yield (
            f"One set-up was trained, {set_ups[0]}: what plant type and environment explain cannot be told apart, and "
            "whether predictors help at all is not shown."
        )
    if networks.table.train_on == "train+dev":
        yield "Trained on training and dev patches: no dev loss tells whether networks were trained too long."


def _dev_losses(networks: TrainedNetworks) -> Iterator[str]:
    """Set-ups whose dev loss has risen again."""
    if networks.table.choose == "best-dev":  # what came after the best look is not in the weights
        return
    rising, counted = [], 0
    for place, name in enumerate(networks.set_ups):
        dev = networks.dev_loss[place][networks.kept[place]]
        dev = dev[np.isfinite(dev).all(1)]
        if not len(dev) or dev.shape[1] < 2:
            continue
        counted += 1
        low, last = dev.min(1), dev[:, -1]
        if np.median(last / np.where(low > 0, low, np.nan)) > 1 + RISE:
            rising.append(name)
    if rising:
        yield (
            f"The dev loss of {some(rising)} is more than {100 * RISE:g} % above its lowest at the end: these networks "
            "learn their training patches by heart; fewer epochs would do better elsewhere."
        )
    if not counted and networks.table.train_on == "train":
        yield "No dev loss was looked at twice: whether networks were trained too long is not known."


def _edges(networks: TrainedNetworks, cells: PredictorCells) -> Iterator[str]:
    """Held-out cells with a predictor beyond what networks were trained in."""
    seen = [
        name for group, names in {**GROUPS, **CONTROLS}.items() for name in names
        if any(group in groups_of(set_up) for set_up in networks.set_ups)
    ]  # fmt: skip
    runs = np.flatnonzero(networks.kept.any(0))
    if not runs.size:
        return
    learned = (networks.split[runs] == SPLIT["train"])[:, cells.patch]
    away = (networks.split[runs] == SPLIT["test"])[:, cells.patch]
    shares: list[float] = []
    names: dict[str, int] = {}
    for trained, held in zip(learned, away, strict=True):
        if not held.any() or not trained.any():
            continue
        outside = np.zeros(int(held.sum()), bool)
        for name in seen:
            values = cells.table.column(name)[trained]
            if np.ptp(values) > 0:
                beyond = outside_range(cells.table.cells(held), {name: (float(values.min()), float(values.max()))})
                outside |= beyond
                names[name] = names.get(name, 0) + int(beyond.sum())
        shares.append(float(outside.mean()))
    if shares and max(shares) > 0:
        worst = sorted((name for name, count in names.items() if count), key=lambda name: -names[name])
        yield (
            f"{100 * float(np.mean(shares)):.1f} % of the held-out cells have a predictor beyond the range of the "
            f"training cells ({some(worst)}): there networks extrapolate."
        )


def _agreement(attribution: Mapping[str, Any]) -> Iterator[str]:
    for one in attribution["identifiability"]["screens"]:
        if one["set_up"] != groups_list(attribution["set_up"]):
            continue
        rows = [row for row in one["std"]["rows"] if row["read"]]
        lost = [row["parameter"] for row in rows if not row["kept"]]
        if lost:
            name = attribution["set_up"]
            yield f"The networks of {name} do not agree on {some(lost, most=40)}: leave their maps alone."
        pinned = [row["parameter"] for row in rows if row["cells"] and row["cells_at_bounds"] > MOSTLY * row["cells"]]
        if pinned:
            yield f"In most cells networks stand at a bound of {', '.join(pinned)}: what labels ask for lies beyond."
    yield from (f"Left out: {line}." for line in attribution["left_out"])


def groups_list(set_up: str) -> list[str]:
    """Return the groups of a set-up as JSON has them."""
    return list(groups_of(set_up))
