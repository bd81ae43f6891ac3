"""The monthly model with what a patch is compared with, as a text for the fold: every term of a cell, month by month.

The means of years run along in the state and begin anew each January. Labels of months stand with the forcing, which
is read in all of them; those of years with the observations, which are 0 in all months but December.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import jax.numpy as jnp
import numpy as np

from phloem.arithmetic import ceil_div
from phloem.kernels.models.dalec_monthly.mode_switches import MonthlySwitches
from phloem.kernels.models.dalec_monthly.monthly_step import monthly_dalec
from phloem.kernels.models.dalec_monthly.records import CARBON, OUTPUTS, MonthlyWeather, State, record
from phloem.kernels.models.model import Model
from phloem.kernels.network.patch_labels import LabelStream, PatchLabels
from phloem.kernels.network.patch_loss import YEAR, CellSums, flows, whole_years, years
from phloem.kernels.time_loop.day_tables import DayTables

MONTHLY = ("sif", "lai", "tower_gpp", "tower_reco", "tower_et", "et")
"""Streams that are compared month by month."""

YEARLY = ("biomass", "vod")
"""Streams that are compared as means of years."""

PatchState = record("PatchState", (*State._fields, *(f"{name}_sum" for name in YEARLY)), "Pools, and sums of the year.")


def _with_weights(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(part for name in names for part in (name, f"{name}_weight"))


PatchWeather = record(
    "PatchWeather",
    (*MonthlyWeather._fields, "year_keep", *_with_weights(MONTHLY)),
    "A month's forcing; `year_keep` is 0 in January, else 1; labels and weights of the month.",
)
PatchOutputs = record(
    "PatchOutputs",
    (*OUTPUTS, *(f"{name}_sum" for name in YEARLY), *(f"{name}_error" for name in MONTHLY)),
    "Outputs, sums since January, and weighted squared errors of the month.",
)
PatchObserved = record(
    "PatchObserved",
    (*_with_weights(YEARLY), "december"),
    "Labels and weights of years, in December alone; 1 in December.",
)
_FLOWS = tuple(f"{name}_{way}" for way in ("inflow", "outflow", "december") for name in CARBON)
PatchSums = record(
    "PatchSums",
    (*(f"{name}_error" for name in (*MONTHLY, *YEARLY)), "violation", "som", *_FLOWS),
    "The sums of `CellSums`.",
)


def first_state(pools: Any) -> Any:
    """Return the first state of the seven initial pools, (7, ...)."""
    nothing = jnp.zeros_like(pools[0])
    return PatchState(*pools, *(nothing for _ in YEARLY))


def _seen(o: Any) -> dict[str, Any]:
    """What a month's outputs give for each stream that is compared with them."""
    return {
        "sif": o.sif,
        "lai": o.lai,
        "tower_gpp": o.gpp,
        "tower_reco": o.gpp + o.nee,
        "tower_et": o.et,
        "et": o.et,
    }


def _error(seen: Any, of: Any, name: str) -> Any:
    return getattr(of, f"{name}_weight") * (seen - getattr(of, name)) ** 2


def _score(o: Any, y: Any) -> Any:
    errors = {f"{name}_error": getattr(o, f"{name}_error") for name in MONTHLY}
    errors |= {f"{name}_error": _error(getattr(o, f"{name}_sum") * (1 / YEAR), y, name) for name in YEARLY}
    into, out = flows(o)
    ends = tuple(getattr(o, name) * y.december for name in CARBON)
    flowing = dict(zip(_FLOWS, (*into, *out, *ends), strict=True))
    return PatchSums(**errors, violation=o.violation, som=o.som, **flowing)


@cache
def patch_model(mode: str | MonthlySwitches = "strict") -> Model:
    """Return the model text of a mode (`strict`, `compat`) with the terms of a patch."""
    plain = monthly_dalec(mode)
    count, forcing = len(State._fields), len(MonthlyWeather._fields)

    def step(s: Any, c: Any, w: Any) -> tuple[Any, Any]:
        new, o = plain.step(State(*s[:count]), c, MonthlyWeather(*w[:forcing]))
        biomass = s.biomass_sum * w.year_keep + (o.labile + o.foliar + o.root + o.wood)
        vod = s.vod_sum * w.year_keep + o.vod
        errors = (_error(seen, w, name) for name, seen in _seen(o).items())
        return PatchState(*new, biomass, vod), PatchOutputs(*o, biomass, vod, *errors)

    return Model(
        name=f"patch-{plain.name}",
        parameters=plain.parameters,
        pools=plain.pools,
        inputs=plain.inputs,
        state=PatchState,
        weather=PatchWeather,
        outputs=PatchOutputs,
        observed=PatchObserved,
        sums=PatchSums,
        prepare=plain.prepare,
        step=step,
        score=_score,
        from_values=plain.from_values,
        from_logs=plain.from_logs,
        from_pools=first_state,
    )


def cell_sums(sums: Any) -> CellSums:
    """Return the sums of a fold as the loss reads them."""
    named = sums._asdict()
    grouped = {way: tuple(named[f"{pool}_{way}"] for pool in CARBON) for way in ("inflow", "outflow", "december")}
    return CellSums(**{key: named[key] for key in CellSums._fields if key not in grouped}, **grouped)


def segment_of(months: int, most: int = 96) -> int:
    """Return months of a checkpointed segment, so that whole segments make a record without padding if any do."""
    fitting = max(size for size in range(1, most + 1) if months % size == 0)
    return fitting if fitting >= min(months, most // 4) else most


def patch_tables(weather: MonthlyWeather, labels: PatchLabels, dtype: Any) -> DayTables:
    """Return the tables of a patch for the fold.

    Args:
        weather: each (months, rows).
        labels: of the patch.
        dtype: floating type of the tables.
    """
    months, rows = np.shape(weather[0])
    december = np.asarray(labels.december, float)
    # Column after column into its place: stacked first and converted then, a patch of 320 cells took twice as long.
    table = np.empty((months, len(PatchWeather._fields), rows), dtype)
    for column, values in enumerate((*weather, _keep(december)[:, None])):
        table[:, column] = values
    for column, name in enumerate(MONTHLY):
        stream: LabelStream = getattr(labels, name)
        weight = np.asarray(stream.weight)
        place = len(weather) + 1 + 2 * column
        table[:, place] = np.where(weight > 0, np.asarray(stream.label), 0)
        table[:, place + 1] = weight
    observed = np.zeros((months, len(PatchObserved._fields), rows), dtype)
    for name in YEARLY:
        stream = getattr(labels, name)
        if not np.asarray(stream.weight).any():
            continue
        weight = np.asarray(whole_years(jnp.asarray(stream.weight, float)))
        label = np.where(weight > 0, np.asarray(years(jnp.asarray(stream.label, float))), 0.0)
        for part, of_years in ((name, label), (f"{name}_weight", weight)):
            observed[YEAR - 1 :: YEAR, PatchObserved._fields.index(part)] = of_years
    observed[:, PatchObserved._fields.index("december")] = december[:, None]
    segment = segment_of(months)
    padded = ceil_div(months, segment) * segment
    index = np.minimum(np.arange(padded), months - 1).astype(np.int32)
    live = np.broadcast_to((np.arange(padded) < months)[:, None], (padded, rows))
    weather_table, observed_table, alive = (jnp.asarray(one, dtype) for one in (table, observed, live))
    return DayTables(weather_table, observed_table, jnp.asarray(index), jnp.asarray(index), alive)


def _keep(december: np.ndarray) -> np.ndarray:
    """0 in the months after a December and in the first, else 1."""
    keep = np.ones_like(december)
    keep[0] = 0.0
    keep[1:] -= december[:-1]
    return keep
