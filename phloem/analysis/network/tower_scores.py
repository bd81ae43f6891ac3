"""Scores at towers: means of sites, and how well their differences are met."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from phloem.analysis.benchmark.skill_scores import Metrics, metrics
from phloem.analysis.network.place_moments import PlaceMoments
from phloem.errors import InputError

LEAST_MONTHS_OF_SITE = 12
"""Months with data that a site has at least."""


@dataclass(frozen=True, eq=False)
class TowerScores:
    """Scores of the means of sites, each site once; `r` of them is the spatial correlation.

    Attributes:
        stream: tower_gpp, tower_reco or tower_et.
        sites: names of those with enough months, (sites,).
        months: of each with data.
        mean_simulated, mean_observed: over the months with data, (sites,).
        held_out: whether a site lies in a patch that no network was trained on.
        too_short: names of the sites with fewer months, which count nowhere.
        all_sites: of all sites with enough months.
        held_out_sites: of those that are held out.
    """

    stream: str
    sites: tuple[str, ...]
    months: np.ndarray
    mean_simulated: np.ndarray
    mean_observed: np.ndarray
    held_out: np.ndarray
    too_short: tuple[str, ...]
    all_sites: Metrics
    held_out_sites: Metrics

    def to_json(self) -> dict[str, Any]:
        """Return scores and means of sites."""
        rows = zip(
            self.sites,
            self.months.tolist(),
            self.mean_simulated.tolist(),
            self.mean_observed.tolist(),
            self.held_out.tolist(),
            strict=True,
        )
        names = ("site", "months", "simulated", "observed", "held_out")
        return {
            "stream": self.stream,
            "least_months": LEAST_MONTHS_OF_SITE,
            "all": self.all_sites.to_json(),
            "held_out": self.held_out_sites.to_json(),
            "sites": [dict(zip(names, row, strict=True)) for row in rows],
            "too_short": list(self.too_short),
        }


def tower_scores(
    stream: str,
    sites: Sequence[str],
    simulated: np.ndarray,
    observed: np.ndarray,
    held_out: Sequence[bool] | np.ndarray,
) -> TowerScores:
    """Score the means of sites over the months in which they have data.

    Args:
        stream: its name.
        sites: names, each once; towers of one cell are one site, by the mean of the month.
        simulated: (months, sites), NaN where missing.
        observed: likewise.
        held_out: of each site, whether its patch is a test patch.

    Raises:
        InputError: a site named twice, or shapes that do not fit.
    """
    held = np.asarray(held_out, bool)
    if len(set(sites)) < len(sites):
        raise InputError(f"{stream}: site {next(s for s in sites if list(sites).count(s) > 1)} is named twice")
    if not simulated.shape == observed.shape == (len(simulated), len(sites)) or len(held) != len(sites):
        raise InputError(
            f"{stream}: {len(sites)} sites, simulated {simulated.shape}, observed {observed.shape}, "
            f"held out {held.shape}"
        )
    moments = PlaceMoments.of(simulated, observed)
    enough = moments.count >= LEAST_MONTHS_OF_SITE
    x, y, held = moments.mean_x[enough], moments.mean_y[enough], held[enough]
    return TowerScores(
        stream=stream,
        sites=tuple(site for site, long in zip(sites, enough, strict=True) if long),
        months=moments.count[enough].astype(int),
        mean_simulated=x,
        mean_observed=y,
        held_out=held,
        too_short=tuple(site for site, long in zip(sites, enough, strict=True) if not long),
        all_sites=metrics(x, y),
        held_out_sites=metrics(x[held], y[held]),
    )
