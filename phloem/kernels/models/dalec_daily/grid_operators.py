"""The daily DALEC with the observation operators of the grid experiments (docs/science.md#observations).

The same day as that of the towers, and two things more: running sums of the streams that are compared as means, which
begin anew with each window so that the mean can be compared on the window's last day; and the live biomass of a day's
end. By default ecosystem respiration alone is a mean; where products are monthly, all streams can be.
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

from phloem.kernels.models.dalec_daily.daily_step import dalec
from phloem.kernels.models.dalec_daily.forcing_terms import Weather
from phloem.kernels.models.dalec_daily.mode_switches import Switches
from phloem.kernels.models.dalec_daily.records import Observed, Outputs, State, Sums
from phloem.kernels.models.model import Model
from phloem.names import ALL_STREAMS, STREAMS, WINDOW_MEANS

LIVE = ("labile", "foliar", "root", "wood")
"""Pools of the live biomass."""


def _extended(name: str, fields: tuple[str, ...], text: str) -> Any:
    """Return a NamedTuple class of some fields."""
    record_class = NamedTuple(name, [(field, Any) for field in fields])  # type: ignore[misc]
    record_class.__doc__ = text
    return record_class


GridWeather = _extended(
    "GridWeather",
    (*Weather._fields, "window_keep"),
    "One day's forcing; `window_keep` is 0 on the first day of a window, else 1.",
)
GridObserved = _extended(
    "GridObserved",
    (*Observed._fields[:-1], "biomass", "biomass_weight", "window_share", "year_end"),
    "One day's observations and weights; `window_share` is 1 over the window's days on its last day, else 0.",
)
GridSums = _extended("GridSums", ("biomass_error", *Sums._fields), "The sums of the site objective, and of biomass.")


@cache
def _records(windowed: tuple[str, ...]) -> tuple[Any, Any]:
    """Return the classes of state and outputs where some streams have running sums."""
    totals = tuple(f"{name}_sum" for name in windowed)
    return (
        _extended("GridState", (*State._fields, *totals), "The state, and streams summed since their window began."),
        _extended(
            "GridOutputs",
            (*Outputs._fields, *totals, "biomass"),
            "The outputs, streams summed since their window began, and live biomass at the day's end, gC m-2.",
        ),
    )


def grid_dalec(mode: str | Switches = "strict", windowed: tuple[str, ...] = WINDOW_MEANS) -> Model:
    """Return the model text of a mode (`strict`, `compat`) with the grid experiments' operators.

    Args:
        mode: of the plain model.
        windowed: streams that are compared as means over windows, in the order of `names.STREAMS`; the others are
            compared day by day.

    Raises:
        ValueError: streams that there are not, twice, or in another order.
    """
    if windowed != tuple(name for name in STREAMS if name in windowed):
        raise ValueError(f"windowed = {windowed}: some of {', '.join(STREAMS)}, in this order")
    return _grid_dalec(mode, windowed)


@cache  # by both arguments: with the default left out there was a second model, compiled again
def _grid_dalec(mode: str | Switches, windowed: tuple[str, ...]) -> Model:
    plain = dalec(mode)
    state, record = _records(windowed)
    count = len(State._fields)

    def step(s: Any, c: Any, w: Any) -> tuple[Any, Any]:
        new, outputs = plain.step(State(*s[:count]), c, Weather(*w[:-1]))
        totals = [
            total * w.window_keep + getattr(outputs, name) for name, total in zip(windowed, s[count:], strict=True)
        ]
        biomass = outputs.labile + outputs.foliar + outputs.root + outputs.wood
        return state(*new, *totals), record(*outputs, *totals, biomass)

    def first_state(pools: Any) -> Any:
        first = plain.first_state(pools)
        return state(*first, *[first.wood_rest * 0] * len(windowed))

    def score(o: Any, y: Any) -> Any:
        seen = {name: getattr(o, name) for name in ALL_STREAMS}
        seen |= {name: getattr(o, f"{name}_sum") * y.window_share for name in windowed}
        errors = {
            f"{name}_error": getattr(y, f"{name}_weight") * (seen[name] - getattr(y, name)) ** 2 for name in ALL_STREAMS
        }
        ends = {f"{name}_year_ends": getattr(o, name) * y.year_end for name in (*LIVE, "litter", "som")}
        totals = {name: getattr(o, name) for name in Sums._fields if name not in errors and name not in ends}
        return GridSums(**errors, **ends, **totals)

    return Model(
        name=f"grid-{plain.name}" + ("" if windowed == WINDOW_MEANS else f"-{'+'.join(windowed)}"),
        parameters=plain.parameters,
        pools=plain.pools,
        inputs=plain.inputs,
        state=state,
        weather=GridWeather,
        outputs=record,
        observed=GridObserved,
        sums=GridSums,
        prepare=plain.prepare,
        step=step,
        score=score,
        rare=("biomass", "biomass_weight", "year_end"),
        from_values=plain.from_values,
        from_logs=plain.from_logs,
        from_pools=first_state,
    )
