"""Figure of a causal network: nodes in layers, arcs labelled with their rank correlations."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import FancyArrowPatch

from phloem.analysis.causes.causal_graph import Arc, CausalGraph
from phloem.analysis.style.plot_style import INK, MUTED, OKABE_ITO, styled
from phloem.analysis.style.wording import fixed

POSITIVE, NEGATIVE = OKABE_ITO[0], OKABE_ITO[1]

NEAR_CHILD, FAR_FROM_CHILD = 0.74, 0.42
"""Shares of an arc at which its label may stand."""

CLIMATE_PLACES = {
    "SWIN": (0.17, 1.0), "P": (0.5, 1.0), "CO2": (0.83, 1.0), "TA": (0.67, 0.67), "TS": (0.04, 0.42),
    "VPD": (0.665, 0.35),
}  # fmt: skip
"""Places of climate nodes above three fluxes, chosen so that no arc runs through a node between its ends."""

_WIDE, _TALL = 8.2, 6.2


def node_places(graph: CausalGraph) -> dict[str, tuple[float, float]]:
    """Return where nodes are drawn, 0 to 1 across and up: each a layer below its lowest parent.

    Nodes without children stand in the last layer. Nodes of `CLIMATE_PLACES` stand there if all others are fluxes.
    """
    others = [name for name in graph.nodes if name not in CLIMATE_PLACES]
    if len(others) < len(graph.nodes) and not any(graph.parents[name] == () for name in others):
        fluxes = {name: ((n + 0.5) / len(others), 0.0) for n, name in enumerate(others)}
        return {name: place for name, place in CLIMATE_PLACES.items() if name in graph.nodes} | fluxes
    depth: dict[str, int] = {}
    for name in graph.nodes:
        depth[name] = max((depth[parent] + 1 for parent in graph.parents[name]), default=0)
    with_children = {parent for parent, _ in graph.arcs}
    last = max(depth.values(), default=0)
    depth |= dict.fromkeys((name for name in graph.nodes if name not in with_children), last)
    places = {}
    for layer in range(last + 1):
        inside = [name for name in graph.nodes if depth[name] == layer]
        for n, name in enumerate(inside):
            shift = (0.0, 0.13, -0.13)[layer % 3] if len(inside) < 3 and 0 < layer < last else 0.0
            places[name] = ((n + 0.5) / len(inside) + shift, 1.0 - layer / max(last, 1))
    return places


@styled()
def network_figure(
    graph: CausalGraph,
    effects: Mapping[Arc, float],
    intervals: Mapping[Arc, tuple[float, float]] | None = None,
    title: str = "",
) -> Figure:
    """Draw a graph with a number on each arc.

    Args:
        graph: nodes and parents.
        effects: of each arc, -1 to 1; its sign is the colour and its size the width of the arc.
        intervals: of each arc; where one holds 0 the arc is dashed.
        title: above it.
    """
    figure = Figure(figsize=(_WIDE, _TALL), layout="constrained")
    axes = figure.subplots()
    places = node_places(graph)
    for child in graph.nodes:
        parents = graph.parents[child]
        # Labels of a child stand at different heights, in the order in which its arcs come from left to right.
        across = sorted(parents, key=lambda parent: places[parent][0])
        for n, parent in enumerate(across):
            share = NEAR_CHILD - (NEAR_CHILD - FAR_FROM_CHILD) * (n % 3) / 2 if len(across) > 1 else 0.55
            _draw_arc(axes, places[parent], places[child], (parent, child), effects, intervals or {}, share)
    for name, (x, y) in places.items():
        axes.text(
            x, y, name, ha="center", va="center", fontsize=10, color=INK, zorder=5,
            bbox={"boxstyle": "round,pad=0.45", "facecolor": "white", "edgecolor": INK, "linewidth": 1.0},
        )  # fmt: skip
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.08, 1.08))
    axes.axis("off")
    handles = [
        Line2D([], [], color=POSITIVE, lw=2, label="positive"),
        Line2D([], [], color=NEGATIVE, lw=2, label="negative"),
    ]
    if intervals:
        handles.append(Line2D([], [], color=MUTED, lw=1.2, ls="--", label="interval holds 0"))
    axes.legend(handles=handles, frameon=False, fontsize=8, loc="lower left", ncols=3, bbox_to_anchor=(0.0, -0.06))
    if title:
        axes.set_title(title, fontsize=9, color=INK, loc="left")
    return figure


def _draw_arc(
    axes: Axes,
    start: tuple[float, float],
    end: tuple[float, float],
    arc: Arc,
    effects: Mapping[Arc, float],
    intervals: Mapping[Arc, tuple[float, float]],
    share: float,
) -> None:
    value = effects[arc]
    low, high = intervals.get(arc, (value, value))
    colour = POSITIVE if value >= 0 else NEGATIVE
    strength = min(1.0, abs(value)) if np.isfinite(value) else 0.0
    axes.add_patch(
        FancyArrowPatch(
            start, end, arrowstyle="-|>", mutation_scale=9, shrinkA=14, shrinkB=16, color=colour,
            alpha=0.25 + 0.6 * strength, lw=0.6 + 2.4 * strength, ls="--" if low <= 0 <= high else "-", zorder=2,
        )
    )  # fmt: skip
    x, y = (a + share * (b - a) for a, b in zip(start, end, strict=True))
    axes.text(
        x, y, fixed(value, 2), ha="center", va="center", fontsize=7.5, color=colour, zorder=4,
        bbox={"boxstyle": "round,pad=0.12", "facecolor": "white", "edgecolor": "none", "alpha": 0.9},
    )  # fmt: skip
