"""The figure of the forward runs: trajectories, the last year against the growth curves, and maps of the difference."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np
from matplotlib.colors import TwoSlopeNorm
from matplotlib.figure import Figure

from phloem.analysis.style.coastline import draw_coasts
from phloem.analysis.style.plot_style import COLOURS, INK, MUTED, OKABE_ITO, styled
from phloem.io.references.growth_curves import DRY_MATTER

if TYPE_CHECKING:
    from collections.abc import Sequence


class Runs(Protocol):
    """Runs as they are drawn: `phloem.jobs.experiments.run_forward.ForwardBiomass`."""

    @property
    def experiments(self) -> Sequence[str]:
        """Names."""

    @property
    def coordinates(self) -> np.ndarray:
        """Latitude and longitude, (cells, 2)."""

    @property
    def median(self) -> np.ndarray:
        """Live biomass, gC m-2, (experiments, cells, years)."""

    @property
    def target(self) -> np.ndarray:
        """Of the growth curves, gC m-2, (cells, years)."""


@styled()
def forward_figure(runs: Runs) -> Figure:
    """Return the figure of some forward runs; `to_png` makes a file of it."""
    middle, target = runs.median / DRY_MATTER, runs.target / DRY_MATTER
    count, years = len(runs.experiments), middle.shape[2]
    figure = Figure(figsize=(3.2 * count, 6.2), layout="constrained")
    grid = figure.subplots(2, count, squeeze=False)
    age = np.arange(1, years + 1)
    top = 1.05 * float(np.nanmax([np.nanmax(target), np.nanmax(np.nanpercentile(middle, 95, axis=1))]))
    off = middle[:, :, -1] - target[:, -1]
    reach = float(np.nanpercentile(np.abs(off), 95))
    reach = reach if np.isfinite(reach) and reach > 0 else 1.0
    for n, name in enumerate(runs.experiments):
        colour = COLOURS.get(name, OKABE_ITO[n % len(OKABE_ITO)])
        axes = grid[0, n]
        low, high = np.nanpercentile(middle[n], [25, 75], axis=0)
        axes.fill_between(age, low, high, color=colour, alpha=0.25, lw=0)
        axes.plot(age, np.nanmedian(middle[n], axis=0), color=colour, lw=1.6, label="simulated")
        axes.plot(age, np.nanmedian(target, axis=0), color=INK, lw=1.2, ls="--", label="growth curves")
        axes.set(title=name, xlabel="stand age, years", ylim=(0, top))
        if n == 0:
            axes.set_ylabel("live biomass, Mg ha⁻¹")
            axes.legend(frameon=False, fontsize=8, loc="upper left")
        axes = grid[1, n]
        axes.set_facecolor("#f4f4f1")
        draw_coasts(axes, runs.coordinates[:, 1], runs.coordinates[:, 0])
        dots = axes.scatter(
            runs.coordinates[:, 1], runs.coordinates[:, 0], c=off[n], s=9, marker="s", cmap="RdBu_r",
            norm=TwoSlopeNorm(0, -reach, reach),
        )  # fmt: skip
        rmse = float(np.sqrt(np.nanmean(off[n] ** 2)))
        axes.set_title(f"at {years} years less target, RMSE {rmse:.1f}", fontsize=8.5, color=MUTED)
        axes.set_xlabel("longitude, °E")
        if n == 0:
            axes.set_ylabel("latitude, °N")
    figure.colorbar(dots, ax=grid[1], shrink=0.8, label="Mg ha⁻¹", pad=0.01)
    return figure
