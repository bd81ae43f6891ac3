"""Figures of trained networks: shares of explained variance, dominance on a map, errors of set-ups, sites."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from phloem.analysis.network.dominance import NO_LABEL, Dominance
from phloem.analysis.network.set_up_partition import LEVEL, NormalisedError, SetUpPartition
from phloem.analysis.network.tower_scores import TowerScores
from phloem.analysis.style.coastline import draw_coasts
from phloem.analysis.style.plot_style import INK, MUTED, OKABE_ITO, plain_axes, styled
from phloem.analysis.style.wording import fixed, typeset
from phloem.errors import InputError

COLOURS_OF_GROUPS = {"PFT": OKABE_ITO[2], "CLIM": OKABE_ITO[0], "AGE": OKABE_ITO[3], "SOIL": OKABE_ITO[4]}
_MASKED = "#c9c9c4"


@styled()
def shares_figure(partitions: Sequence[SetUpPartition]) -> Figure:
    """Draw the share of each group in the explained variance, a group of bars a stream, with intervals.

    Args:
        partitions: of the streams, at least one.

    Raises:
        InputError: none.
    """
    if not partitions:
        raise InputError("no stream's variance is shared out: there is nothing to draw")
    groups = partitions[0].parts.groups
    figure = Figure(figsize=(1.6 + 1.25 * len(partitions), 3.4), layout="constrained")
    axes = figure.subplots()
    plain_axes(axes, 8)
    wide = 0.8 / len(groups)
    for place, one in enumerate(partitions):
        for n, (group, share) in enumerate(zip(groups, one.parts.share, strict=True)):
            x = place + (n - (len(groups) - 1) / 2) * wide
            if not np.isfinite(share):
                axes.text(x, 0.0, "–", ha="center", va="bottom", fontsize=8, color=MUTED)
                continue
            axes.bar(x, 100 * share, 0.92 * wide, color=COLOURS_OF_GROUPS[group], linewidth=0)
            low, high = 100 * one.share_interval[:, n]
            if np.isfinite([low, high]).all():
                axes.plot([x, x], [low, high], color=INK, linewidth=1.0, solid_capstyle="butt")
    axes.axhline(0.0, color=INK, linewidth=0.6)
    names = [f"{_words(one.stream)}\nr² {fixed(float(one.parts.total), 2)}" for one in partitions]
    axes.set_xticks(range(len(partitions)), names, fontsize=8)
    axes.set_ylabel("share of explained variance, %", fontsize=8.5)
    handles: list[Any] = [Patch(color=COLOURS_OF_GROUPS[group], label=group) for group in groups]
    handles.append(Line2D([], [], color=INK, linewidth=1.0, label=f"{100 * LEVEL:g} % over draws of members"))
    figure.legend(handles=handles, loc="outside upper center", ncols=len(handles), frameon=False, fontsize=8)
    return figure


@styled()
def dominance_figure(latitude: np.ndarray, longitude: np.ndarray, dominant: Dominance, stream: str) -> Figure:
    """Draw each place in the colour of the group that explains most of it; masked places are grey.

    Args:
        latitude: degrees north, (places,), at least one.
        longitude: degrees east.
        dominant: of the same places.
        stream: its name.

    Raises:
        InputError: other numbers of places.
    """
    if not len(latitude) == len(longitude) == len(dominant.labels) > 0:
        raise InputError(
            f"{stream}: {len(latitude)} latitudes, {len(longitude)} longitudes, {len(dominant.labels)} labels of places"
        )
    tall = max(np.ptp(latitude), 1.0) / max(np.ptp(longitude) * np.cos(np.deg2rad(latitude.mean())), 1.0)
    figure = Figure(figsize=(7.2, float(np.clip(6.2 * tall, 2.2, 6.2)) + 0.9), layout="constrained")
    axes = figure.subplots()
    plain_axes(axes, 8)
    axes.set_facecolor("#f4f4f1")
    draw_coasts(axes, longitude, latitude)
    size = float(np.clip(9000 / len(latitude), 1.5, 26))
    handles: list[Any] = []
    for label, colour, name in [
        (NO_LABEL, _MASKED, "masked"),
        *((n, COLOURS_OF_GROUPS[group], group) for n, group in enumerate(dominant.groups)),
    ]:
        there = dominant.labels == label
        axes.scatter(longitude[there], latitude[there], color=colour, s=size, marker="s", lw=0)
        part = f"{int(there.sum())}" if label == NO_LABEL else f"{fixed(100 * dominant.fraction[label], 0)} %"
        handles.append(Patch(color=colour, label=f"{name} {part}"))
    axes.set(xlabel="longitude, °E", ylabel="latitude, °N")
    axes.set_title(f"{_words(stream)}: group that explains most of each place", fontsize=9, loc="left")
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), frameon=False, fontsize=8)
    return figure


@styled()
def errors_figure(errors: Mapping[str, Sequence[NormalisedError]]) -> Figure:
    """Draw the mean absolute error of set-ups over that of the reference, a group of bars a stream, members' SD.

    Args:
        errors: by stream, at least one, of the same set-ups in the same order.

    Raises:
        InputError: no stream, or streams of different set-ups.
    """
    set_ups = [[one.groups for one in rows] for rows in errors.values()]
    if not set_ups or any(one != set_ups[0] for one in set_ups):
        raise InputError("errors of the same set-ups are due for every stream, and at least one stream")
    figure = Figure(figsize=(1.8 + 1.1 * len(errors), 3.3), layout="constrained")
    axes = figure.subplots()
    plain_axes(axes, 8)
    wide = 0.8 / len(set_ups[0])
    colours = (OKABE_ITO[2], OKABE_ITO[0], MUTED, *OKABE_ITO[3:])
    for place, rows in enumerate(errors.values()):
        for n, row in enumerate(rows):
            x = place + (n - (len(rows) - 1) / 2) * wide
            if not np.isfinite(row.ratio):
                axes.text(x, 0.0, "–", ha="center", va="bottom", fontsize=8, color=MUTED)
                continue
            axes.bar(x, row.ratio, 0.92 * wide, color=colours[n % len(colours)], linewidth=0)
            if np.isfinite(row.spread):
                axes.errorbar(x, row.ratio, row.spread, color=INK, linewidth=0.9, capsize=2)
    axes.axhline(1.0, color=INK, linewidth=0.6, linestyle=(0, (4, 2)))
    axes.set_xticks(range(len(errors)), [_words(stream) for stream in errors], fontsize=8)
    axes.set_ylabel("mean absolute error over that of the reference", fontsize=8)
    handles: list[Any] = [
        Patch(color=colours[n % len(colours)], label="+".join(groups)) for n, groups in enumerate(set_ups[0])
    ]
    handles.append(Line2D([], [], color=INK, linewidth=0.9, label="SD of the members"))
    figure.legend(handles=handles, loc="outside upper center", ncols=2, frameon=False, fontsize=8)
    return figure


@styled()
def sites_figure(towers: TowerScores, units: str) -> Figure:
    """Draw simulated against observed means of sites; those that are held out stand out.

    Args:
        towers: scores of one stream, with at least one site.
        units: of the stream.

    Raises:
        InputError: no site.
    """
    if not towers.sites:
        raise InputError(f"{towers.stream}: no site has enough months: there is nothing to draw")
    figure = Figure(figsize=(4.3, 4.3), layout="constrained")
    axes = figure.subplots()
    plain_axes(axes, 8)
    x, y, held = towers.mean_observed, towers.mean_simulated, towers.held_out
    low, high = min(x.min(), y.min()), max(x.max(), y.max())
    margin = 0.05 * (high - low) or 1.0
    ends = np.array([low - margin, high + margin])
    axes.plot(ends, ends, color=MUTED, lw=0.9, ls=":")
    for there, colour, name in ((~held, OKABE_ITO[0], "in training patches"), (held, OKABE_ITO[1], "held out")):
        label = f"{name}: {int(there.sum())}"
        axes.plot(x[there], y[there], "o", color=colour, ms=4, mew=0, alpha=0.75, label=label)
    axes.set(xlim=tuple(ends), ylim=tuple(ends), aspect="equal")
    axes.set_xlabel(f"observed mean of a site, {typeset(units)}", fontsize=8)
    axes.set_ylabel(f"simulated, {typeset(units)}", fontsize=8)
    scores = f"r of all {fixed(towers.all_sites.r, 2)}, of held out {fixed(towers.held_out_sites.r, 2)}"
    axes.set_title(f"{_words(towers.stream)}: {scores}", fontsize=9, loc="left")
    axes.legend(frameon=False, fontsize=7.5, loc="upper left")
    return figure


def _words(stream: str) -> str:
    return stream.replace("_", " ")
