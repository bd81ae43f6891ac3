"""An upscaling opened in a notebook: predictions of what was left out, scores, its models applied to other months."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import xarray as xr

from phloem.errors import InputError
from phloem.jobs.evaluation import Evaluation
from phloem.jobs.notebook.named_cells import require_product
from phloem.jobs.notebook.opened_campaign import OpenedCampaign
from phloem.jobs.notebook.plots import CampaignPlots


class OpenedUpscaling(OpenedCampaign):
    """An upscaling of tower fluxes: `merged` holds what models say of months that they were not fitted to.

    Example:
        >>> import phloem
        >>> fluxes = phloem.open_campaign("campaigns/towers")  # doctest: +SKIP
        >>> fluxes.scores["blend"]["tower"]["gpp"]["nse"]  # doctest: +SKIP
    """

    @property
    def cells(self) -> xr.Dataset:
        """The towers, (site,): latitude, longitude, months of each flux that count."""
        from phloem.jobs.upscaling.fit_units import planned_data

        rows = planned_data(self._campaign).rows
        count = len(rows.sites)
        first = np.array(
            [int(np.flatnonzero(rows.site == n)[0]) if (rows.site == n).any() else -1 for n in range(count)]
        )
        places = {
            long: np.where(first >= 0, rows.columns[short][first], np.nan)
            for long, short in (("latitude", "lat"), ("longitude", "lon"))
            if short in rows.columns
        }
        months = {
            f"months_{flux}": ("site", np.bincount(rows.site[np.isfinite(values)], minlength=count))
            for flux, values in rows.observed.items()
        }
        return xr.Dataset(
            {**months, **{name: ("site", values) for name, values in places.items()}}, {"site": list(rows.sites)}
        )

    @property
    def scores(self) -> dict[str, Any]:
        """Scores of what was left out, as scores.json has them.

        Raises:
            WorkError: it is not merged yet.
        """
        from phloem.jobs.upscaling.tower_scores import read_scores

        require_product(self._campaign)
        return read_scores(self.directory)

    def apply(self, columns: Mapping[str, Any] | xr.Dataset) -> xr.Dataset:
        """Predict fluxes of months of one's own.

        Args:
            columns: drivers by the names of tower tables (TA degC, VPD hPa, SWIN W m-2, CO2 ppm, LAI ...) and of places
                (lat, elevation, c4_fraction ...), each (rows,) or one number for all; `month` in months since 1970-01
                or as dates, `igbp` as names of classes or their numbers from 1.

        Returns:
            By row: gpp, reco, nee (gC m-2 d-1) and le (W m-2), `<flux>_lower` and `<flux>_upper` (conformal),
            `dissimilarity`, and `inside` the area of applicability.

        Raises:
            InputError: a driver that is needed is not there, a name that is not known, a value that there cannot be, or
                lengths that do not fit.
            WorkError: it is not merged yet.
        """
        from phloem.analysis.flux_maps.given_columns import numbers_of
        from phloem.jobs.upscaling.fitted_file import open_fitted

        given = numbers_of({str(name): columns[str(name)] for name in columns})
        lengths = {values.shape for values in given.values() if values.ndim}
        if len(lengths) != 1 or len(next(iter(lengths))) != 1:
            raise InputError(f"columns must be numbers or of one length, (rows,); they are {sorted(lengths)}")
        shape = lengths.pop()
        applied = open_fitted(self._campaign).apply({k: np.broadcast_to(v, shape) for k, v in given.items()})
        found: dict[str, np.ndarray] = {}
        for flux, values in applied.mean.items():
            found |= {flux: values, f"{flux}_lower": applied.lower[flux], f"{flux}_upper": applied.upper[flux]}
        found |= {"dissimilarity": applied.dissimilarity, "inside": applied.inside}
        return xr.Dataset({name: ("row", values) for name, values in found.items()})

    def simulate(self, cell: str, members: Sequence[int] | int | None = None) -> xr.Dataset:
        """Refuse: models of fluxes are applied.

        Raises:
            InputError: always.
        """
        raise InputError(
            f"models of fluxes are applied, not simulated: campaign.apply(...), or phloem apply {self.directory}"
        )

    def evaluate(self, cell: str, members: Sequence[int] | int | None = None, gradient: bool = False) -> Evaluation:
        """Refuse: its scores are in `scores`.

        Raises:
            InputError: always.
        """
        raise InputError(f"models of fluxes are scored where they were not fitted: campaign.scores ({self.directory})")

    @property
    def parameters(self) -> xr.DataArray:
        """None: trees and networks have no parameters of cells.

        Raises:
            InputError: always.
        """
        raise InputError(f"{self.directory} has no parameters of cells: it models fluxes")

    @cached_property
    def plot(self) -> CampaignPlots:
        """None of them: they are of calibrated cells.

        Raises:
            InputError: always.
        """
        raise InputError(f"figures of models of fluxes are in their report: phloem report {self.directory}")
