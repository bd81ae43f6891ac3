"""Figures of networks' scores: set-ups and streams in colours, losses over the epochs, shares of several trainings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, NullFormatter

from phloem.analysis.style.plot_style import INK, MUTED, OKABE_ITO, plain_axes, styled
from phloem.analysis.style.wording import fixed, number
from phloem.arithmetic import ceil_div
from phloem.errors import InputError

LOW = -10.0
"""Scores below are written as being below."""


@styled()
def set_up_scores_figure(
    scores: Mapping[str, Mapping[str, float]], words: str, ceiling: Mapping[str, float] | None = None
) -> Figure:
    """Draw a score of every set-up and stream as a table in colours, above it what the truth itself would have.

    Args:
        scores: by set-up and stream, NaN where there is none; at least one of both.
        words: what the score is.
        ceiling: by stream.

    Raises:
        InputError: nothing to draw.
    """
    streams = list(dict.fromkeys(name for one in scores.values() for name in one))
    if not streams:
        raise InputError("no set-up has a score: there is nothing to draw")
    rows: dict[str, Mapping[str, float]] = {**({"the truth itself": ceiling} if ceiling else {}), **scores}
    values = np.array([[float(one.get(stream, np.nan)) for stream in streams] for one in rows.values()])
    figure = Figure(figsize=(2.6 + 0.85 * len(streams), 1.0 + 0.27 * len(rows)), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(values, cmap="cividis", vmin=0.0, vmax=1.0, aspect="auto")
    for row, column in np.ndindex(values.shape):
        value = float(values[row, column])
        colour = INK if np.isfinite(value) and value > 0.6 else "white" if np.isfinite(value) else MUTED
        axes.text(
            column,
            row,
            fixed(value, 2) if not value < LOW else f"< {LOW:.0f}".replace("-", "−"),
            ha="center",
            va="center",
            fontsize=7.5,
            color=colour,
        )
    axes.set_xticks(range(len(streams)), [stream.replace("_", " ") for stream in streams], fontsize=7.5)
    axes.set_yticks(range(len(rows)), list(rows), fontsize=7.5)
    axes.tick_params(length=0)
    if ceiling:
        axes.axhline(0.5, color="white", linewidth=3)
    bar = figure.colorbar(image, ax=axes, shrink=0.8, extend="min")
    bar.set_label(words, fontsize=8)
    bar.ax.tick_params(labelsize=7)
    return figure


@styled()
def learning_curves_figure(
    set_ups: Sequence[str], losses: np.ndarray, dev: np.ndarray, looks: np.ndarray, patches: tuple[float, float]
) -> Figure:
    """Draw losses of the training patches (lines) and dev patches (dots) over the epochs, per patch, a panel a set-up.

    Args:
        set_ups: names.
        losses: sums over the training patches, (set-ups, members, epochs), NaN where a network was not trained.
        dev: sums over the dev patches, (set-ups, members, looks).
        looks: epochs before each.
        patches: number of training and of dev patches of a run.
    """
    columns = min(4, len(set_ups))
    rows = ceil_div(len(set_ups), columns)
    figure = Figure(figsize=(2.6 * columns, 0.5 + 1.7 * rows), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True).ravel()
    epochs = np.arange(1, losses.shape[-1] + 1)
    for axes, name, own, seen in zip(panels, set_ups, losses / max(patches[0], 1), dev / max(patches[1], 1),
                                     strict=False):  # fmt: skip
        plain_axes(axes, 7)
        for run, (line, dots) in enumerate(zip(own, seen, strict=True)):
            if np.isfinite(line).any():
                axes.plot(epochs, line, color=OKABE_ITO[0], lw=0.7, alpha=0.7, label="train" if not run else None)
                axes.plot(looks, dots, "o", color=OKABE_ITO[1], ms=2.2, mew=0, alpha=0.7,
                          label="dev" if not run and np.isfinite(dots).any() else None)  # fmt: skip
        axes.set_title(name, fontsize=8, loc="left")
        positive = np.concatenate([own[np.isfinite(own)], seen[np.isfinite(seen)]])
        if positive.size and (positive > 0).all():
            axes.set_yscale("log")
            axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: number(value, 2)))
            axes.yaxis.set_minor_formatter(NullFormatter())
    for axes in panels[len(set_ups) :]:
        axes.set_visible(False)
    for axes in panels[: len(set_ups)]:
        if axes.get_legend_handles_labels()[0]:
            axes.legend(frameon=False, fontsize=7)
            break
    figure.supxlabel("epoch", fontsize=8)
    figure.supylabel("loss per patch", fontsize=8)
    return figure


@styled()
def compared_shares_figure(rows: Sequence[Mapping[str, Any]]) -> Figure:
    """Draw the share of plant types in each stream's explained variance, a dot with its interval for each training.

    Args:
        rows: with `stream`, `training`, `share`, `low` and `high`; at least one.

    Raises:
        InputError: none.
    """
    if not rows:
        raise InputError("no shares: there is nothing to draw")
    streams, trainings = (list(dict.fromkeys(row[key] for row in rows)) for key in ("stream", "training"))
    figure = Figure(figsize=(1.8 + 1.1 * len(streams), 3.3), layout="constrained")
    axes = figure.subplots()
    plain_axes(axes, 8)
    for row in rows:
        place = trainings.index(row["training"])
        x = streams.index(row["stream"]) + 0.5 * (place + 0.5) / len(trainings) - 0.25
        colour = OKABE_ITO[place % len(OKABE_ITO)]
        if row["share"] is None:
            axes.text(x, 0.0, "–", ha="center", va="bottom", fontsize=8, color=MUTED)
            continue
        axes.plot([x], [100 * row["share"]], "o", color=colour, ms=5)
        if row["low"] is not None and row["high"] is not None:
            axes.plot([x, x], [100 * row["low"], 100 * row["high"]], color=colour, lw=1.2)
    axes.axhline(50.0, color=MUTED, lw=0.8, ls=":")
    axes.set_xticks(range(len(streams)), [stream.replace("_", " ") for stream in streams], fontsize=8)
    axes.set_ylabel("share of plant types in explained variance, %", fontsize=8)
    handles = [
        Line2D([], [], color=OKABE_ITO[n % len(OKABE_ITO)], marker="o", label=name) for n, name in enumerate(trainings)
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=2, frameon=False, fontsize=8)
    return figure
