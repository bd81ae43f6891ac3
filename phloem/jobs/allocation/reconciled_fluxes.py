"""One set of fluxes of a year in the place of two estimates of Ra: least squares under all budgets at once."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from phloem.analysis.causes.reconciliation import reconcile

RELATIVE_ERROR = 0.1
"""Standard error of a flux, share of its size: a choice, and the same for all, so that only its ratios count."""

LEAST_ERROR = 10.0
"""Standard error that a flux has at least, gC m-2 yr-1."""

NAMES = ("gpp", "reco", "npp", "ra", "rh")


def reconciled_fluxes(gpp: np.ndarray, reco: np.ndarray, allocated: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return fluxes for which NPP + Ra = GPP and Ra + Rh = RECO with one Ra, by the names with `_reconciled`.

    The Ra that is given is the mean of the two estimates, whose half difference is added to its error.

    Args:
        gpp: gC m-2 yr-1, (cells,).
        reco: likewise.
        allocated: npp, ra, ra_of_reco and rh, likewise.
    """
    given = {
        "gpp": gpp,
        "reco": reco,
        "npp": allocated["npp"],
        "ra": (allocated["ra"] + allocated["ra_of_reco"]) / 2,
        "rh": allocated["rh"],
    }
    variances = {name: np.maximum(RELATIVE_ERROR * np.abs(flux), LEAST_ERROR) ** 2 for name, flux in given.items()}
    variances["ra"] = variances["ra"] + ((allocated["ra"] - allocated["ra_of_reco"]) / 2) ** 2
    found = reconcile(given, variances).fluxes
    return {f"{name}_reconciled": found[name] for name in NAMES}
