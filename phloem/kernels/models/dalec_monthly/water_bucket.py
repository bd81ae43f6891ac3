"""The water bucket of the monthly model: runoff, and what closes its balance at its bounds."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

from phloem.kernels.models.dalec_daily.daily_step import VIOLATION_PER_MM, bounded
from phloem.kernels.models.dalec_monthly.parameters import POOLS

WATER = POOLS[-1]


def month_of_water(
    water: Any, precipitation: Any, et: Any, capacity: Any, days: Any, dry_runoff: str
) -> tuple[Any, Any, Any, Any]:
    """Return the water at a month's end, mm, ET and runoff in mm d-1, and the violation.

    At a bound runoff closes the balance. Where it would be negative there is less water than was evaporated: ET is cut
    to what there was, and the loss has a penalty for the demand that was not met.

    Args:
        water: at the month's start, mm.
        precipitation: mm d-1.
        et: demanded, mm d-1.
        capacity: focal point of the runoff, mm.
        days: length of the month.
        dry_runoff: `zero`, or `negative` as the public code leaves it.
    """
    per_day = 1 / days
    runoff = jnp.where(water <= 0.5 * capacity, water * water / capacity, water - 0.25 * capacity) * per_day
    kept, excess, _ = bounded(water + (precipitation - runoff - et) * days, WATER)
    runoff = runoff + excess * per_day
    dry = runoff < 0
    violation = jnp.where(dry, -VIOLATION_PER_MM * runoff, 0.0)
    et = jnp.where(dry, et + runoff, et)
    return kept, et, (jnp.where(dry, 0.0, runoff) if dry_runoff == "zero" else runoff), violation
