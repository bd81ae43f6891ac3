"""Identifiability of the forty quantities that networks predict: how far the kept members agree on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from phloem.analysis.benchmark.skill_scores import finite
from phloem.analysis.parameters.screening import STANDARD_LIMIT, Screen, screen
from phloem.errors import InputError
from phloem.io.merge.at_bounds import mostly_at_bounds
from phloem.io.merge.member_statistics import SCREENING_RCV
from phloem.kernels.models.dalec_monthly.parameters import PARAMETERS, UNKNOWNS

QUANTITIES = tuple(
    one.name if number < len(PARAMETERS) else f"initial_{one.name}" for number, one in enumerate(UNKNOWNS)
)
"""Names of the quantities in the order in which a network gives them."""


@dataclass(frozen=True, eq=False)
class MemberAgreement:
    """Both screens of the quantities, over the cells of one set-up.

    Attributes:
        set_up: its groups.
        std: SD / |mean| (ddof 1), kept below the limit in the spatial median.
        mad: robust CV, kept cell by cell up to the limit.
        at_bounds: cells where most members stand at a bound, (quantities,): there they agree on nothing, and the
            spread counts as infinite.
        std_limit, mad_limit: the limits.
    """

    set_up: tuple[str, ...]
    std: Screen
    mad: Screen
    at_bounds: np.ndarray
    std_limit: float
    mad_limit: float

    @property
    def kept(self) -> tuple[str, ...]:
        """Names of the quantities that the first screen keeps, and that the model reads."""
        return tuple(name for name, one, kept in zip(QUANTITIES, UNKNOWNS, self.std.kept, strict=True)
                     if kept and one.read)  # fmt: skip

    def to_json(self) -> dict[str, Any]:
        """Return a row for each quantity and screen, as attribution.json has them, and whether the model reads it."""
        common = [
            {"parameter": name, "read": one.read, "cells_at_bounds": int(self.at_bounds[n])}
            for n, (name, one) in enumerate(zip(QUANTITIES, UNKNOWNS, strict=True))
        ]
        std = [
            {**row, "median_cv": finite(float(self.std.median[n])), "cells": int(self.std.cells[n]),
             "kept": bool(self.std.kept[n])}
            for n, row in enumerate(common)
        ]  # fmt: skip
        mad = [
            {**row, "median_cv": finite(float(self.mad.median[n])), "cells": int(self.mad.cells[n]),
             "share_kept": finite(float(self.mad.share_kept[n]))}
            for n, row in enumerate(common)
        ]  # fmt: skip
        return {
            "set_up": list(self.set_up),
            "std": {"limit": self.std_limit, "rows": std},
            "mad": {"limit": self.mad_limit, "rows": mad},
        }


def member_agreement(
    values: np.ndarray,
    set_up: Sequence[str],
    std_limit: float = STANDARD_LIMIT,
    mad_limit: float = SCREENING_RCV,
) -> MemberAgreement:
    """Screen the forty quantities by how much the kept members of a set-up differ.

    The two days of phenology are circular: their spread is in radians about the circular mean or median.

    Args:
        values: physical values, (cells, members, 40), NaN where missing, in the order of `QUANTITIES`.
        set_up: its groups.
        std_limit: of the spatial median of SD / |mean|.
        mad_limit: of the robust CV of a cell.

    Raises:
        InputError: another number of quantities.
    """
    values = np.asarray(values, float)
    if values.ndim != 3 or values.shape[2] != len(QUANTITIES):
        raise InputError(
            f"set-up {'+'.join(set_up)}: values of shape {values.shape} are not (cells, members, {len(QUANTITIES)})"
        )
    periods = {name: one.period for name, one in zip(QUANTITIES, UNKNOWNS, strict=True) if one.period}
    stopped = mostly_at_bounds(values, np.isfinite(values).any(axis=-1), UNKNOWNS)
    std = screen(values, QUANTITIES, "std", std_limit, periods=periods, stopped=stopped)
    mad = screen(values, QUANTITIES, "mad", mad_limit, periods=periods, stopped=stopped)
    return MemberAgreement(tuple(set_up), std, mad, stopped.sum(axis=0), std_limit, mad_limit)
