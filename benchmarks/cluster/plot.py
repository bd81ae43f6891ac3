"""Draws where the core-hours of simulated campaigns go, by tile size: one panel a scenario.

python -m benchmarks.cluster.model --nodes 20 --years 107 --tile 1,4,12,13,25,51,64 --json | \\
    python -m benchmarks.cluster.plot docs/images/cluster_model.svg
"""

from __future__ import annotations

import json
import statistics
import sys
from collections import defaultdict
from typing import Any

from matplotlib import rc_context
from matplotlib.figure import Figure

SHARES = {
    "efficiency": ("useful", "#2f6f4f"),
    "padding": ("padding of blocks", "#c9c19a"),
    "idle": ("idle cores of held nodes", "#c9ccd1"),
    "overhead": ("starts, checkpoints, isolation", "#d98f3d"),
    "lost": ("lost", "#a83232"),
}


def draw(rows: list[dict[str, Any]], path: str) -> None:
    """Write one stacked bar a tile size, means over seeds."""
    panels: dict[str, dict[int, list[dict[str, Any]]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        panels[row["scenario"]][row["tile"]].append(row)
    figure = Figure(figsize=(3.2 * len(panels) + 1.2, 3.4), layout="constrained")
    axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for axis, (scenario, tiles) in zip(axes, panels.items(), strict=True):
        names, bottom = [str(tile) for tile in tiles], [0.0] * len(tiles)
        for share, (label, colour) in SHARES.items():
            heights = [100 * statistics.fmean(row[share] for row in some) for some in tiles.values()]
            axis.bar(names, heights, bottom=bottom, color=colour, label=label, width=0.8)
            bottom = [low + height for low, height in zip(bottom, heights, strict=True)]
        axis.set(title=scenario, xlabel="cells a tile", ylim=(0, 100))
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylabel("% of the core-hours used")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(SHARES), frameon=False, fontsize=8)
    with rc_context({"svg.hashsalt": "phloem", "svg.fonttype": "none"}):
        figure.savefig(path, metadata={"Date": None} if path.endswith(".svg") else None)


if __name__ == "__main__":
    draw(json.load(sys.stdin), sys.argv[1])
