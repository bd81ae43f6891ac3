"""Effects that Zhu et al. 2026 print for Europe, and how far others are from them (attribution.md section 8)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from phloem.analysis.causes.causal_graph import Arc

EUROPE: Mapping[Arc, float] = {
    ("SWIN", "GPP"): 0.82, ("SWIN", "RECO"): 0.71, ("TA", "RECO"): 0.9, ("TA", "GPP"): 0.76, ("TA", "NEP"): 0.44,
    ("VPD", "GPP"): 0.84, ("VPD", "RECO"): 0.92, ("VPD", "NEP"): 0.57, ("CO2", "GPP"): 0.03, ("CO2", "NEP"): 0.03,
    ("CO2", "RECO"): -0.06, ("SWIN", "TA"): 0.65, ("SWIN", "VPD"): 0.81, ("TA", "VPD"): 0.97, ("P", "VPD"): -0.04,
}  # fmt: skip
"""Labels of arcs; TA to RECO is printed as above .9."""


def mean_departure(effects: Mapping[Arc, float]) -> float:
    """Return the mean absolute difference from the printed effects of the arcs that both have, NaN without any.

    Args:
        effects: by parent and child.
    """
    off = [abs(effects[arc] - value) for arc, value in EUROPE.items() if arc in effects]
    return float(np.mean(off)) if off else float("nan")
