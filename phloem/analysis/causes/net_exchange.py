"""Net exchange that was predicted against that of predicted respiration and production, on a grid."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from phloem.analysis.benchmark.pair_means import PairMeans, measures, varying
from phloem.analysis.benchmark.skill_scores import finite
from phloem.io.references.flux_fields import BAND_BYTES, FluxFields

SHOWN = ("r2_pearson", "nse", "rmse", "bias", "slope_obs_on_pred", "slope_pred_on_obs")
"""Metrics of RECO - GPP (as predicted) against NEE (as observed)."""


@dataclass(frozen=True, eq=False)
class NetExchange:
    """How RECO - GPP meets NEE.

    Attributes:
        pairs: cells and months that have all three.
        metrics: by the names in `SHOWN`, cells weighed by their area.
        difference: mean over the months of NEE - (RECO - GPP), gC m-2 d-1, (rows, columns), NaN where nothing is known.
        rmse: root mean square of the same.
    """

    pairs: int
    metrics: dict[str, float]
    difference: np.ndarray
    rmse: np.ndarray

    def to_json(self) -> dict[str, Any]:
        """Return pairs and metrics, None in place of what is not finite."""
        return {"pairs": self.pairs, **{name: finite(value) for name, value in self.metrics.items()}}


def compare_net_exchange(
    fields: FluxFields, land_fraction: np.ndarray | None = None, band_bytes: int = BAND_BYTES
) -> NetExchange | None:
    """Compare the two, band by band; None where one of the three fluxes is not there.

    Args:
        fields: of a product.
        land_fraction: of the cells, (rows, columns) as the file orders them; by default all of each cell counts.
        band_bytes: of a band of rows.
    """
    if not {"gpp", "reco", "nee"} <= set(fields.fluxes):
        return None
    shape = fields.grid.latitude.length, fields.grid.longitude.length
    share = np.ones(shape) if land_fraction is None else np.nan_to_num(np.asarray(land_fraction, float))
    weights = share * fields.area[:, None] / fields.area.max()
    sums, pairs = np.zeros(8), 0
    differences: list[np.ndarray] = []
    squares: list[np.ndarray] = []
    for rows, values in fields.bands(band_bytes):
        direct, indirect = values["nee"], values["reco"] - values["gpp"]
        known = np.isfinite(direct) & np.isfinite(indirect)
        rest = np.where(known, direct - indirect, 0.0)
        count = known.sum(axis=0)
        for held, part in ((differences, rest.sum(axis=0)), (squares, (rest**2).sum(axis=0))):
            held.append(np.divide(part, count, out=np.full(count.shape, np.nan), where=count > 0))
        weight = np.broadcast_to(weights[rows], known.shape)[known]
        x, y = indirect[known], direct[known]
        pairs += len(x)
        for place, term in enumerate((np.ones_like(x), x, y, x * x, y * y, x * y, (x - y) ** 2, np.abs(x - y))):
            sums[place] += weight @ term
    found = dict.fromkeys(SHOWN, float("nan"))
    if sums[0] > 0:
        found = _metrics(sums[1:] / sums[0])
    return NetExchange(pairs, found, np.concatenate(differences), np.concatenate(squares) ** 0.5)


def _metrics(means: np.ndarray) -> dict[str, float]:
    """Return the metrics of means of x, y, xx, yy, xy, squared and absolute error."""
    x, y, xx, yy, xy, error, absolute = (float(value) for value in means)
    all_of = measures(
        PairMeans(
            mean_x=x, mean_y=y, xx=varying(xx - x * x, xx), yy=varying(yy - y * y, yy), xy=xy - x * y, error=error,
            error_spread=error - (x - y) ** 2, absolute_error=absolute, relative_error=np.nan, around_zero=True,
        ),
        has_zero=False,
    )  # fmt: skip
    return {name: float(all_of[name]) for name in SHOWN}
