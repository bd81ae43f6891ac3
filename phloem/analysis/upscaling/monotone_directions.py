"""Directions in which fluxes follow predictors, where physics knows one."""

from __future__ import annotations

from collections.abc import Sequence

RISING = {
    "gpp": ("SWIN", "LAI", "FAPAR", "fapar", "NDVI", "ndvi", "NIRv", "baseline_gpp"),
    "reco": ("TA", "TS", "LAI", "FAPAR", "fapar", "baseline_gpp"),
    "nee": (),
    "le": ("RNET", "net_radiation", "LAI", "FAPAR", "fapar", "baseline_le"),
}
"""By flux, predictors with which it does not fall while all others stay."""


def directions(flux: str, predictors: Sequence[str]) -> list[int]:
    """Return 1 for each predictor with which a flux does not fall, else 0.

    Of "residual" they bind what is learned beside the baseline, not the sum.

    Args:
        flux: gpp, reco, nee or le.
        predictors: in the order of the table.
    """
    return [int(name in RISING[flux]) for name in predictors]
