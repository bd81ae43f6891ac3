"""Figures of a benchmark: simulated against reference with both regressions, and maps of the difference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure

from phloem.analysis.benchmark.pairs import Pairs
from phloem.analysis.benchmark.scorecard import NAMES
from phloem.analysis.benchmark.skill_scores import metrics
from phloem.analysis.style.coastline import draw_coasts
from phloem.analysis.style.plot_style import INK, MUTED, OKABE_ITO, styled

CROWD = 3000
"""Pairs above which their density is drawn in place of points."""

_BLUE, _ORANGE, _GREEN = OKABE_ITO[0], OKABE_ITO[1], OKABE_ITO[2]


@styled()
def scatter_figure(pairs: Pairs) -> Figure:
    """Draw simulated against reference values, with the members' range, both regressions and the line of equality.

    Args:
        pairs: those that are there, at least one.
    """
    x, y = pairs.reference, pairs.simulated
    skill = metrics(y, x, has_zero=pairs.has_zero)
    figure = Figure(figsize=(4.6, 4.5), layout="constrained")
    axes = figure.subplots()
    low, high = np.percentile(np.concatenate([x, y]), [0.1, 99.9])
    margin = 0.05 * (high - low) or 1.0
    low, high = low - margin, high + margin
    if len(x) > CROWD:
        axes.hexbin(x, y, gridsize=60, extent=(low, high, low, high), norm=LogNorm(), cmap="Greys", mincnt=1, lw=0)
    else:
        least, most = pairs.range()
        axes.vlines(x, least, most, color=OKABE_ITO[5], lw=0.5, alpha=0.5, zorder=1)
        axes.plot(x, y, "o", color=_BLUE, ms=max(1.6, min(4.0, 60 / np.sqrt(len(x)))), mew=0, alpha=0.6, zorder=2)
    ends = np.array([low, high])
    axes.plot(ends, ends, color=MUTED, lw=0.9, ls=":", zorder=3, label="1:1")
    if np.isfinite(skill.slope_pred_on_obs):
        line = skill.slope_pred_on_obs * ends + skill.intercept_pred_on_obs
        axes.plot(
            ends, line, color=_ORANGE, lw=1.4, zorder=4, label=f"simulated on reference {skill.slope_pred_on_obs:.2f}"
        )
    if np.isfinite(skill.slope_obs_on_pred) and skill.slope_obs_on_pred:
        line = (ends - skill.intercept_obs_on_pred) / skill.slope_obs_on_pred
        label = f"reference on simulated {skill.slope_obs_on_pred:.2f}"
        axes.plot(ends, line, color=_GREEN, lw=1.4, ls="--", zorder=4, label=label)
    axes.set(xlim=(low, high), ylim=(low, high), aspect="equal")
    axes.set_xlabel(f"reference: {pairs.name}{_units(pairs)}")
    axes.set_ylabel(f"simulated {pairs.quantity}{_units(pairs)}")
    axes.legend(frameon=False, fontsize=7.5, loc="upper left", title="slopes", title_fontsize=7.5)
    words = [f"n {skill.pairs}", f"r² {_two(skill.r2_pearson)}", f"NSE {_two(skill.nse)}", f"RMSE {skill.rmse:.3g}"]
    axes.set_title(
        ",  ".join(
            [*words, *([f"PBIAS {skill.pbias:+.1f} %"] if np.isfinite(skill.pbias) else [f"bias {skill.bias:+.2g}"])]
        ),
        fontsize=8,
        color=INK,
    )
    return figure


def on_the_map(pairs: Pairs) -> Pairs:
    """Return the pairs of cells that have a latitude and a longitude: a tower file need not give the latter."""
    return pairs.only((np.isfinite(pairs.latitude) & np.isfinite(pairs.longitude))[pairs.cell])


@styled()
def map_figure(pairs: Pairs) -> Figure:
    """Draw simulated less reference at the cells, and the same as a share of the reference.

    Args:
        pairs: those that are there and `on_the_map`, at least one; of a cell's pairs the means are drawn.
    """
    places, reference, simulated = by_cell(pairs)
    off = simulated - reference
    with np.errstate(divide="ignore", invalid="ignore"):
        relative = np.where(reference != 0, 100 * off / np.abs(reference), np.nan)
    lat, lon = pairs.latitude[places], pairs.longitude[places]
    tall = max(np.ptp(lat), 1.0) / max(np.ptp(lon) * np.cos(np.deg2rad(lat.mean())), 1.0)
    figure = Figure(figsize=(9.6, float(np.clip(4.4 * tall, 1.6, 4.6)) + 1.0), layout="constrained")
    left, right = figure.subplots(1, 2)
    _draw(figure, left, lon, lat, off, f"simulated less reference{_units(pairs)}")
    _draw(figure, right, lon, lat, relative, "as a share of the reference, per cent")
    figure.suptitle(f"{pairs.quantity}: {pairs.name}", fontsize=9, color=INK)
    return figure


@styled()
def scorecard_figure(rows: Sequence[tuple[str, Mapping[str, float | None]]]) -> Figure:
    """Draw scores between 0 and 1 as a table in colours, a row a comparison.

    Args:
        rows: titles, and scores by their names.
    """
    values = np.array([[np.nan if card[name] is None else card[name] for name in NAMES] for _, card in rows], float)
    figure = Figure(figsize=(8.0, 0.9 + 0.26 * len(rows)), layout="constrained")
    axes = figure.subplots()
    axes.imshow(np.ma.masked_invalid(values), cmap="viridis", vmin=0, vmax=1, aspect="auto")
    axes.set_xticks(range(len(NAMES)), [_HEADS.get(name, name) for name in NAMES])
    axes.set_yticks(range(len(rows)), [title if len(title) <= 52 else f"{title[:50]}…" for title, _ in rows])
    axes.tick_params(length=0, labeltop=True, labelbottom=False)
    for side in axes.spines.values():
        side.set_visible(False)
    for (row, column), value in np.ndenumerate(values):
        known = bool(np.isfinite(value))
        colour = MUTED if not known else INK if value > 0.6 else "white"
        axes.text(column, row, f"{value:.2f}" if known else "–", ha="center", va="center", fontsize=8, color=colour)
    axes.axvline(len(NAMES) - 1.5, color="white", lw=3)
    return figure


_HEADS = {"rmse": "RMSE", "iav": "between years", "distribution": "between cells", "phase": "season"}


def by_cell(pairs: Pairs) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the places of the cells that have pairs, and the means of reference and simulated values there."""
    places, number = np.unique(pairs.cell, return_inverse=True)
    count = np.bincount(number)
    return places, np.bincount(number, pairs.reference) / count, np.bincount(number, pairs.simulated) / count


def _draw(figure: Figure, axes: Axes, lon: np.ndarray, lat: np.ndarray, values: np.ndarray, label: str) -> None:
    axes.set_facecolor("#f4f4f1")
    draw_coasts(axes, lon, lat)
    known = np.abs(values[np.isfinite(values)])
    reach = float(np.percentile(known, 95)) if len(known) else 1.0
    size = float(np.clip(6000 / max(len(lon), 1), 1.5, 26))
    dots = axes.scatter(
        lon, lat, c=values, s=size, marker="s", lw=0, cmap="RdBu_r", norm=Normalize(-(reach or 1), reach or 1)
    )
    axes.set(xlabel="longitude, °E", ylabel="latitude, °N")
    axes.tick_params(labelsize=8)
    figure.colorbar(dots, ax=axes, shrink=0.85, pad=0.01, label=label, extend="both")


def _units(pairs: Pairs) -> str:
    return "" if pairs.units in ("", "1") else f", {pairs.units}"


def _two(value: float) -> str:
    return "–" if not np.isfinite(value) else f"{value:.2f}"
